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

/// An entry's delta does not move a log forward: the entry is malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an entry repeats or moves back its dependency on the log of {writer}")]
pub struct FoldError {
    /// Whose log.
    pub writer: WriterId,
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

    /// What moved since `before`: the prefixes that are longer here. It is what an entry carries as a delta.
    #[must_use]
    pub fn moved_since(&self, before: &VersionVector) -> VersionVector {
        let longer = self.iter().filter(|(writer, prefix)| prefix.length > before.length(writer));
        Self(longer.map(|(writer, prefix)| (*writer, *prefix)).collect())
    }

    /// Moves by the delta of an entry.
    ///
    /// # Errors
    /// [`FoldError`] where the delta does not move a log forward; the vector is then as before.
    pub fn fold(&mut self, moved: &[(WriterId, Prefix)]) -> Result<(), FoldError> {
        if let Some((writer, _)) = moved.iter().find(|(writer, prefix)| prefix.length <= self.length(writer)) {
            return Err(FoldError { writer: *writer });
        }
        self.0.extend(moved.iter().copied());
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{DeviceId, Incarnation};

    fn at(byte: u8, length: u64) -> (WriterId, Prefix) {
        let writer = WriterId { device: DeviceId([byte; 32]), incarnation: Incarnation([byte; 8]) };
        (writer, Prefix { length, root: [length as u8; 32] })
    }

    #[test]
    fn folding_what_moved_gives_the_later_vector() {
        let before: VersionVector = [at(1, 5), at(2, 7)].into_iter().collect();
        let after: VersionVector = [at(1, 5), at(2, 9), at(3, 1)].into_iter().collect();
        let moved: Vec<_> = after.moved_since(&before).iter().map(|(writer, prefix)| (*writer, *prefix)).collect();
        assert_eq!(moved, [at(2, 9), at(3, 1)]);
        let mut folded = before.clone();
        folded.fold(&moved).unwrap();
        assert_eq!(folded, after);
        assert!(after.moved_since(&after).is_empty());
    }

    #[test]
    fn a_delta_that_does_not_move_forward_is_refused_whole() {
        let mut vector: VersionVector = [at(2, 7)].into_iter().collect();
        for length in [0, 6, 7] {
            assert_eq!(vector.fold(&[at(1, 1), at(2, length)]), Err(FoldError { writer: at(2, 0).0 }));
            assert_eq!(vector, [at(2, 7)].into_iter().collect());
        }
    }
}
