//! The Merkle tree over a log: RFC 9162's shape with BLAKE3. See `docs/spec/log.md`, *Tree*.
//!
//! A writer appends with a [`Frontier`]. Everything else is computed from a [`NodeSource`], which looks up the complete
//! subtrees that [`Frontier::append`] handed out.

mod frontier;
mod proof;

#[cfg(test)]
pub(super) mod naive;

pub use frontier::{Frontier, FrontierError};
pub use proof::{PROOF_HASHES_MAX, consistency_proof, inclusion_proof, root_at, verify_consistency, verify_inclusion};

/// The most entries a log can have.
pub const LOG_LENGTH_MAX: u64 = i64::MAX as u64;

/// The root over no entries: `H("")`.
pub const EMPTY_ROOT: [u8; 32] = [
    0xaf, 0x13, 0x49, 0xb9, 0xf5, 0xf9, 0xa1, 0xa6, 0xa0, 0x40, 0x4d, 0xea, 0x36, 0xdc, 0xc9, 0x49, 0x9b, 0xcb, 0x25,
    0xc9, 0xad, 0xc1, 0x12, 0xb7, 0xcc, 0x9a, 0x93, 0xca, 0xe4, 0x1f, 0x32, 0x62,
];

/// Looks up complete subtrees of one log.
pub trait NodeSource {
    /// Why a node could not be read.
    type Error;

    /// The root over the entries `index << level` up to, not including, `(index + 1) << level`.
    ///
    /// It is number `level` of the hashes that [`Frontier::append`] returned for the last of them.
    ///
    /// # Errors
    /// Whatever the storage says. The functions of this module ask only for nodes within the length they were given.
    fn node(&self, level: u32, index: u64) -> Result<[u8; 32], Self::Error>;
}

/// The hash of an entry: `H(0x00 || place || header)`. The header commits to the body.
#[must_use]
pub fn leaf_hash(place: &super::Place, header: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[0]);
    hasher.update(&place.to_bytes());
    hasher.update(header);
    *hasher.finalize().as_bytes()
}

fn node_hash(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    let mut bytes = [1; 65];
    bytes[1..33].copy_from_slice(left);
    bytes[33..].copy_from_slice(right);
    *blake3::hash(&bytes).as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Prefix;

    #[test]
    fn the_empty_root_is_the_hash_of_nothing() {
        assert_eq!(EMPTY_ROOT, *blake3::hash(b"").as_bytes());
        assert_eq!(Frontier::default().prefix(), Prefix { length: 0, root: EMPTY_ROOT });
    }
}
