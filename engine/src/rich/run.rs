//! Splices that touch each other become one: typing is many splices, and automerge's work is by the splice.

/// The longest run, in inserted scalar values: merging into it moves what comes after.
const MAX_RUN: usize = 1 << 15;

/// One splice of a text, made of one or more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Run {
    pub at: usize,
    pub delete: usize,
    pub insert: Vec<char>,
}

impl Run {
    pub fn new(at: usize, delete: usize, insert: &str) -> Self {
        Self { at, delete, insert: insert.chars().collect() }
    }

    /// Adds a splice that comes after this run and touches what it inserted. Says whether it did.
    pub fn merge(&mut self, at: usize, delete: usize, insert: &str) -> bool {
        let (start, end) = (self.at, self.at + self.insert.len());
        if at > end || at + delete < start || self.insert.len() > MAX_RUN {
            return false;
        }
        let before = start.saturating_sub(at);
        let after = (at + delete).saturating_sub(end);
        let within = at.max(start) - start..(at + delete).min(end) - start;
        self.insert.splice(within, insert.chars());
        self.delete += before + after;
        self.at -= before;
        true
    }

    /// `text` with the run applied.
    pub fn applied(&self, text: &str) -> String {
        let byte = |position: usize| text.char_indices().nth(position).map_or(text.len(), |(byte, _)| byte);
        let (front, back) = (byte(self.at), byte(self.at + self.delete));
        text[..front].chars().chain(self.insert.iter().copied()).chain(text[back..].chars()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::sample::Sampler;

    #[test]
    fn a_run_does_what_its_splices_do() {
        let mut random = Sampler::new(5);
        let mut merged = 0;
        for round in 0..3_000 {
            let start: String = (0..random.below(12)).map(|at| "aé🦀".chars().nth(at % 3).unwrap()).collect();
            let mut text: Vec<char> = start.chars().collect();
            let mut run: Option<Run> = None;
            for _ in 0..random.below(6) {
                let at = random.below(text.len() + 1);
                let delete = random.below(text.len() - at + 1).min(3);
                let insert = ["", "x", "yz"][random.below(3)];
                if run.as_mut().is_some_and(|run| !run.merge(at, delete, insert)) {
                    break;
                }
                merged += usize::from(run.is_some());
                run.get_or_insert_with(|| Run::new(at, delete, insert));
                text.splice(at..at + delete, insert.chars());
            }
            let run = run.unwrap_or_default();
            assert_eq!(run.applied(&start), text.into_iter().collect::<String>(), "round {round}");
        }
        assert!(merged > 1_000);
    }

    #[test]
    fn typing_and_taking_back_leaves_nothing() {
        let mut run = Run::new(7, 0, "h");
        assert!(run.merge(8, 0, "i") && run.merge(9, 1, "") && run.merge(7, 2, ""));
        assert_eq!(run, Run { at: 7, delete: 1, insert: vec![] });
        assert!(!run.merge(9, 0, "elsewhere"));
    }
}
