//! Identities: a person or service, and the devices it certifies.

use std::fmt;
use std::str::FromStr;

/// An identity: the hash of its genesis, which commits to its root key and its recovery key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdentityId(pub [u8; 32]);

impl fmt::Display for IdentityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for IdentityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdentityId({self})")
    }
}

/// What one gives to others so that they can grant one a rank: the identity, its name and its certified devices.
/// As text it is versioned and carries a checksum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityCard {
    /// The identity.
    pub identity: IdentityId,
    /// The name its owner chose.
    pub name: String,
}

/// Why a text is not an identity card.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an identity card: {why}")]
pub struct CardError {
    /// What is wrong with it.
    pub why: String,
}

impl FromStr for IdentityCard {
    type Err = CardError;

    fn from_str(text: &str) -> Result<Self, CardError> {
        todo!("{text}")
    }
}
