//! Append-only logs: entries, their Merkle roots, signed heads, version vectors, and the sealing of bodies.
//!
//! `docs/spec/log.md` is the specification; this module is its only implementation, and `tests` keeps a naive second one.

pub mod vector;

pub use vector::{Prefix, VersionVector};

/// A space has two logs for every writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Plane {
    /// Membership, keys, policy.
    Control = 0,
    /// Documents.
    Data = 1,
}
