//! What happened, as a running hash to compare runs by and as a story to read.

use std::collections::BTreeMap;

/// The story of a run keeps its last lines.
const STORY_LINES: usize = 400;

#[derive(Debug, Default)]
pub(super) struct Trace {
    hash: blake3::Hasher,
    story: std::collections::VecDeque<String>,
    /// How often what happened.
    pub(super) counts: BTreeMap<&'static str, u64>,
}

impl Trace {
    /// Something that belongs to the story.
    pub(super) fn tell(&mut self, now_ms: i64, what: &str) {
        self.note(now_ms, what.as_bytes());
        if self.story.len() >= STORY_LINES {
            self.story.pop_front();
        }
        self.story.push_back(format!("{:>9}.{:03} s  {what}", now_ms / 1000, now_ms % 1000));
    }

    /// Something that must be the same in every run of a seed.
    pub(super) fn note(&mut self, now_ms: i64, what: &[u8]) {
        self.hash.update(&now_ms.to_le_bytes()).update(&(what.len() as u64).to_le_bytes()).update(what);
    }

    pub(super) fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    pub(super) fn hash(&self) -> [u8; 32] {
        *self.hash.finalize().as_bytes()
    }

    pub(super) fn story(&self) -> Vec<String> {
        self.story.iter().cloned().collect()
    }
}
