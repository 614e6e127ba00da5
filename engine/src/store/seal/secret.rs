//! What opens a sealed file: a passphrase, or the bytes of a key file.

use std::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use zeroize::Zeroizing;

/// A key in a key file, and a database key, in bytes.
pub const KEY_BYTES: usize = 32;
/// The longest passphrase, in bytes.
pub const MAX_PASSPHRASE_BYTES: usize = 1024;

/// What kind of secret seals a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SealKind {
    /// A passphrase, by Argon2id.
    Passphrase,
    /// The 32 bytes of a key file.
    KeyFile,
}

impl fmt::Display for SealKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Passphrase => "passphrase",
            Self::KeyFile => "key file",
        })
    }
}

/// What a guess at a passphrase costs: the parameters of Argon2id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Cost {
    /// The least and the most memory, in KiB.
    const MEMORY: [u32; 2] = [8 << 10, 1 << 20];
    const MAX_PASSES: u32 = 16;
    const MAX_LANES: u32 = 16;
    /// Memory times passes, in KiB: what an opening costs is bounded, whatever a header asks for.
    const MAX_WORK: u64 = 4 << 20;

    /// The least that a file may be sealed with: for tests, and machines with little memory.
    pub const LEAST: Self = Self { memory_kib: Self::MEMORY[0], passes: 1, lanes: 1 };

    /// So much memory, so many passes over it, in so many lanes. `None` outside of the bounds: 8 MiB to 1 GiB, 1 to 16 passes, 1
    /// to 16 lanes, and at most 4 GiB in all passes.
    #[must_use]
    pub fn new(memory_kib: u32, passes: u32, lanes: u32) -> Option<Self> {
        let is_bounded = (Self::MEMORY[0]..=Self::MEMORY[1]).contains(&memory_kib)
            && (1..=Self::MAX_PASSES).contains(&passes)
            && (1..=Self::MAX_LANES).contains(&lanes)
            && u64::from(memory_kib) * u64::from(passes) <= Self::MAX_WORK;
        is_bounded.then_some(Self { memory_kib, passes, lanes })
    }

    pub(super) fn parts(self) -> [u32; 3] {
        [self.memory_kib, self.passes, self.lanes]
    }
}

/// 64 MiB, 3 passes, 4 lanes: what RFC 9106 recommends where memory is short.
impl Default for Cost {
    fn default() -> Self {
        Self { memory_kib: 64 << 10, passes: 3, lanes: 4 }
    }
}

/// Why something is no passphrase or key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// Nothing is no passphrase.
    #[error("the passphrase is empty")]
    Empty,
    /// It is too long.
    #[error("the passphrase has more than {MAX_PASSPHRASE_BYTES} bytes")]
    TooLong,
    /// A key has 32 bytes.
    #[error("a key file has {KEY_BYTES} bytes, this one {found}; make one with `tide key new`")]
    KeyLength {
        /// How many there were.
        found: usize,
    },
}

/// What seals a file, and opens it. The secret is wiped when this is dropped.
///
/// ```
/// use tidewater_engine::store::{Location, Seal};
///
/// let seal = Seal::passphrase("correct horse battery staple")?;
/// let location = Location::File("notes.db".into()).sealed(seal);
/// # drop(location);
/// # Ok::<_, tidewater_engine::store::SecretError>(())
/// ```
#[derive(Clone)]
pub struct Seal {
    secret: Zeroizing<Vec<u8>>,
    kind: SealKind,
    cost: Cost,
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seal").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl Seal {
    /// A passphrase, as it stands: neither trimmed nor normalised.
    ///
    /// # Errors
    /// When it is empty, or longer than [`MAX_PASSPHRASE_BYTES`].
    pub fn passphrase(text: &str) -> Result<Self, SecretError> {
        match text.len() {
            0 => Err(SecretError::Empty),
            1..=MAX_PASSPHRASE_BYTES => Ok(Self::of(SealKind::Passphrase, text.as_bytes())),
            _ => Err(SecretError::TooLong),
        }
    }

    /// The bytes of a key file, which should be random.
    ///
    /// # Errors
    /// When there are not exactly [`KEY_BYTES`].
    pub fn key(bytes: &[u8]) -> Result<Self, SecretError> {
        match bytes.len() {
            KEY_BYTES => Ok(Self::of(SealKind::KeyFile, bytes)),
            found => Err(SecretError::KeyLength { found }),
        }
    }

    fn of(kind: SealKind, secret: &[u8]) -> Self {
        Self { secret: Zeroizing::new(secret.to_vec()), kind, cost: Cost::default() }
    }

    /// The same, where a file is sealed with it: so that a guess costs this much. A file that is opened says itself what it costs.
    #[must_use]
    pub fn with_cost(self, cost: Cost) -> Self {
        Self { cost, ..self }
    }

    /// What kind of secret it is.
    #[must_use]
    pub fn kind(&self) -> SealKind {
        self.kind
    }

    /// What a header says of the cost: nothing for a key, which needs none.
    pub(super) fn cost(&self) -> Option<Cost> {
        (self.kind == SealKind::Passphrase).then_some(self.cost)
    }

    /// 32 bytes that only who knows the secret has.
    pub(super) fn stretched(&self, salt: &[u8], cost: Option<Cost>) -> Zeroizing<[u8; KEY_BYTES]> {
        let mut stretched = Zeroizing::new([0; KEY_BYTES]);
        match cost {
            None => stretched.copy_from_slice(&self.secret),
            Some(Cost { memory_kib, passes, lanes }) => {
                let params = Params::new(memory_kib, passes, lanes, Some(KEY_BYTES)).expect("they are within bounds");
                Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
                    .hash_password_into(&self.secret, salt, &mut *stretched)
                    .expect("lengths are within bounds");
            }
        }
        stretched
    }
}
