//! What is needed to go on appending to a log: its length and the roots of its complete subtrees.

use super::{EMPTY_ROOT, LOG_LENGTH_MAX, NodeSource, node_hash};
use crate::codec::Reader;
use crate::log::vector::Prefix;

/// A log's length and peaks: O(log n) hashes that give its root and take the next entry.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    length: u64,
    /// One complete subtree for every set bit of the length, largest first.
    peaks: Vec<[u8; 32]>,
}

/// Bytes that are no frontier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the frontier of a log; the record is damaged")]
pub struct FrontierError;

impl Frontier {
    /// That of the first `length` entries.
    ///
    /// # Errors
    /// Those of `source`.
    pub fn at<S: NodeSource>(source: &S, length: u64) -> Result<Self, S::Error> {
        let mut peaks = Vec::with_capacity(length.count_ones() as usize);
        let mut at = 0;
        while at < length {
            let level = (length - at).ilog2();
            peaks.push(source.node(level, at >> level)?);
            at += 1 << level;
        }
        Ok(Self { length, peaks })
    }

    /// How many entries the log has.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Adds an entry by its [leaf hash](super::leaf_hash).
    ///
    /// Returns the roots of all complete subtrees that end with this entry, level 0 (the leaf itself) first. Kept beside
    /// the entry they make every node of the tree one lookup: node (level, index) is number `level` of what the entry
    /// `((index + 1) << level) - 1` returned.
    ///
    /// A log ends at [`LOG_LENGTH_MAX`] entries, more than can be written.
    pub fn append(&mut self, leaf: [u8; 32]) -> Vec<[u8; 32]> {
        let kept = self.peaks.len() - self.length.trailing_ones() as usize;
        let mut complete = Vec::with_capacity(self.peaks.len() - kept + 1);
        let mut hash = leaf;
        complete.push(hash);
        for left in self.peaks.drain(kept..).rev() {
            hash = node_hash(&left, &hash);
            complete.push(hash);
        }
        self.peaks.push(hash);
        self.length += 1;
        complete
    }

    /// The root over all entries.
    #[must_use]
    pub fn root(&self) -> [u8; 32] {
        let mut smallest_first = self.peaks.iter().rev();
        let Some(smallest) = smallest_first.next() else { return EMPTY_ROOT };
        smallest_first.fold(*smallest, |right, left| node_hash(left, &right))
    }

    /// Length and root.
    #[must_use]
    pub fn prefix(&self) -> Prefix {
        Prefix { length: self.length, root: self.root() }
    }

    /// The bytes: length (varint), then the peaks.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(10 + self.peaks.len() * 32);
        crate::codec::put_varint(&mut out, self.length);
        self.peaks.iter().for_each(|peak| out.extend_from_slice(peak));
        out
    }

    /// The inverse of [`Frontier::encode`].
    ///
    /// # Errors
    /// [`FrontierError`] for a length over [`LOG_LENGTH_MAX`] and for anything that `encode` does not give.
    pub fn decode(bytes: &[u8]) -> Result<Self, FrontierError> {
        let mut reader = Reader::new(bytes);
        let length = reader.varint().map_err(|_| FrontierError)?;
        if length > LOG_LENGTH_MAX {
            return Err(FrontierError);
        }
        let peaks = (0..length.count_ones()).map(|_| reader.array::<32>()).collect::<Result<_, _>>();
        let peaks = peaks.map_err(|_| FrontierError)?;
        reader.finish().map_err(|_| FrontierError)?;
        Ok(Self { length, peaks })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_bytes_are_no_frontier() {
        let mut frontier = Frontier::default();
        (0..11).for_each(|byte| drop(frontier.append([byte; 32])));
        let bytes = frontier.encode();
        assert_eq!(bytes.len(), 1 + 3 * 32);
        for length in 0..bytes.len() {
            assert_eq!(Frontier::decode(&bytes[..length]), Err(FrontierError), "{length}");
        }
        assert_eq!(Frontier::decode(&[bytes.as_slice(), &[0]].concat()), Err(FrontierError));
        let mut endless = Vec::new();
        crate::codec::put_varint(&mut endless, LOG_LENGTH_MAX + 1);
        endless.extend_from_slice(&[0; 32]);
        assert_eq!(Frontier::decode(&endless), Err(FrontierError));
        let changed = |byte| [&[byte], &bytes[1..]].concat();
        for byte in 0..=255 {
            if let Ok(frontier) = Frontier::decode(&changed(byte)) {
                assert_eq!(frontier.encode(), changed(byte));
                assert_eq!(byte.count_ones(), 3);
            }
        }
    }

    #[test]
    fn the_longest_log_has_a_frontier() {
        let mut longest = Vec::new();
        crate::codec::put_varint(&mut longest, LOG_LENGTH_MAX);
        longest.extend_from_slice(&[7; 63 * 32]);
        assert_eq!(Frontier::decode(&longest).map(|frontier| frontier.length()), Ok(LOG_LENGTH_MAX));
    }
}
