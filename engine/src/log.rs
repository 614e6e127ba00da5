//! Append-only logs: entries, their Merkle roots, signed heads, version vectors, and the sealing of bodies.
//!
//! `docs/spec/log.md` is the specification; this module is its only implementation. The golden vectors in
//! `engine/tests/golden` pin every byte of it.

pub mod fork;
pub mod head;
pub mod header;
pub mod run;
pub mod seal;
pub mod tree;
pub mod vector;

pub use fork::{Branch, Fork};
pub use head::{head_message, verify_head};
pub use header::{Header, HeaderError, Moved, Place};
pub use tree::{EMPTY_ROOT, Frontier, LOG_LENGTH_MAX, NodeSource};
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

impl Plane {
    /// The plane in one word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Data => "data",
        }
    }

    /// The plane that encodes as `byte`.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Control),
            1 => Some(Self::Data),
            _ => None,
        }
    }
}
