//! Version vectors: which prefix of which log a replica holds.

use std::collections::BTreeMap;

use crate::id::WriterId;

/// A log's prefix: its length in entries and its Merkle root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix {
    /// How many entries.
    pub length: u64,
    /// The root over them.
    pub root: [u8; 32],
}

/// Writer → prefix, for one plane of one space. A writer that is absent has length 0.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VersionVector(BTreeMap<WriterId, Prefix>);

impl VersionVector {
    /// How many entries of `writer`'s log are in.
    #[must_use]
    pub fn length(&self, writer: &WriterId) -> u64 {
        self.0.get(writer).map_or(0, |prefix| prefix.length)
    }

    /// The prefix of `writer`'s log, if any of it is in.
    #[must_use]
    pub fn get(&self, writer: &WriterId) -> Option<&Prefix> {
        self.0.get(writer)
    }

    /// Moves `writer` to `prefix`. A prefix of length 0 removes it.
    pub fn set(&mut self, writer: WriterId, prefix: Prefix) {
        if prefix.length == 0 {
            self.0.remove(&writer);
        } else {
            self.0.insert(writer, prefix);
        }
    }

    /// Whether every prefix of `other` is within this vector's, by length.
    #[must_use]
    pub fn covers(&self, other: &VersionVector) -> bool {
        other.iter().all(|(writer, prefix)| self.length(writer) >= prefix.length)
    }

    /// The sum of all lengths.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.values().map(|prefix| prefix.length).sum()
    }

    /// All prefixes, by writer.
    pub fn iter(&self) -> impl Iterator<Item = (&WriterId, &Prefix)> {
        self.0.iter()
    }

    /// Whether nothing is in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many writers are in.
    #[must_use]
    pub fn writers(&self) -> usize {
        self.0.len()
    }
}

impl FromIterator<(WriterId, Prefix)> for VersionVector {
    fn from_iter<I: IntoIterator<Item = (WriterId, Prefix)>>(prefixes: I) -> Self {
        let mut vector = Self::default();
        prefixes.into_iter().for_each(|(writer, prefix)| vector.set(writer, prefix));
        vector
    }
}
