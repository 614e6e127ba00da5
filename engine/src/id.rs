//! Identifiers: spaces, devices, incarnations, writers, epochs and documents.

use std::fmt;
use std::str::FromStr;

/// Why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdError {
    /// The text is not the expected number of lower-case hexadecimal digits.
    #[error("expected {expected} hexadecimal digits, found {found:?}")]
    NotHex {
        /// How many digits the identifier has.
        expected: usize,
        /// What was given, cut to 80 characters.
        found: String,
    },
    /// A document id must have 1 to 512 bytes.
    #[error("a document id has 1 to {max} bytes, this one has {length}", max = DocumentId::MAX_BYTES)]
    DocumentIdLength {
        /// The length that was given, in bytes.
        length: usize,
    },
}

macro_rules! byte_id {
    ($(#[$doc:meta])* $name:ident, $length:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $length]);

        impl $name {
            /// How many bytes the identifier has.
            pub const BYTES: usize = $length;

            /// The bytes.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; $length] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                parse_hex(text).map(Self)
            }
        }
    };
}

byte_id!(
    /// A space: the hash of its genesis operation.
    SpaceId, 32
);
byte_id!(
    /// A device: its Ed25519 public key, which is also its transport identity.
    DeviceId, 32
);
byte_id!(
    /// One life of a device's database file: a restored backup or a copied file starts a new one.
    Incarnation, 8
);
byte_id!(
    /// An epoch of a space: the hash of its key, which commits every entry to that key.
    EpochId, 32
);
byte_id!(
    /// A database file: random, made with the file.
    DatabaseId, 16
);
byte_id!(
    /// A commit of a data plane: a hash of its place, the same on every replica.
    CommitId, 16
);
byte_id!(
    /// The concurrent values of one field as they were when somebody looked: a hash of the commits that they are from, the same
    /// on every replica. Another value, or one less, is another version.
    ConflictVersion, 16
);

/// The owner of one log per space and plane: a device in one of its incarnations.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WriterId {
    /// Whose signature the log's heads carry.
    pub device: DeviceId,
    /// Which life of the device's file.
    pub incarnation: Incarnation,
}

impl WriterId {
    /// How many bytes [`WriterId::to_bytes`] gives.
    pub const BYTES: usize = DeviceId::BYTES + Incarnation::BYTES;

    /// Device, then incarnation.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        out[..DeviceId::BYTES].copy_from_slice(&self.device.0);
        out[DeviceId::BYTES..].copy_from_slice(&self.incarnation.0);
        out
    }

    /// The inverse of [`WriterId::to_bytes`].
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let (device, incarnation) = bytes.split_at(DeviceId::BYTES);
        Self {
            device: DeviceId(device.try_into().expect("32 of 40 bytes")),
            incarnation: Incarnation(incarnation.try_into().expect("8 of 40 bytes")),
        }
    }
}

impl fmt::Display for WriterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.device, self.incarnation)
    }
}

impl fmt::Debug for WriterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WriterId({self})")
    }
}

/// A document's id: any text of 1 to 512 bytes, unique in its space and collection.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocumentId(Box<str>);

impl DocumentId {
    /// The longest id, in bytes of UTF-8.
    pub const MAX_BYTES: usize = 512;

    /// Checks the length of `text`.
    ///
    /// # Errors
    /// [`IdError::DocumentIdLength`] for an empty text and for one over [`DocumentId::MAX_BYTES`].
    pub fn new(text: impl Into<Box<str>>) -> Result<Self, IdError> {
        let text = text.into();
        if text.is_empty() || text.len() > Self::MAX_BYTES {
            return Err(IdError::DocumentIdLength { length: text.len() });
        }
        Ok(Self(text))
    }

    /// A time-ordered id: a ULID (48 bits of milliseconds, 80 random bits, 26 characters of Crockford's base 32).
    #[must_use]
    pub fn time_ordered(now_ms: i64, random: [u8; 10]) -> Self {
        const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
        let time = now_ms.clamp(0, (1 << 48) - 1) as u128;
        let random = random.iter().fold(0u128, |sum, byte| sum << 8 | u128::from(*byte));
        let bits = time << 80 | random;
        let text: String = (0..26).rev().map(|digit| DIGITS[(bits >> (digit * 5) & 31) as usize] as char).collect();
        Self(text.into())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DocumentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn parse_hex<const N: usize>(text: &str) -> Result<[u8; N], IdError> {
    let wrong = || IdError::NotHex { expected: N * 2, found: text.chars().take(80).collect() };
    if text.len() != N * 2 || !text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
        return Err(wrong());
    }
    let mut out = [0; N];
    for (byte, pair) in out.iter_mut().zip(text.as_bytes().chunks(2)) {
        let pair = std::str::from_utf8(pair).map_err(|_| wrong())?;
        *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_ordered_ids_sort_by_time_and_have_26_characters() {
        let early = DocumentId::time_ordered(1_700_000_000_000, [255; 10]);
        let late = DocumentId::time_ordered(1_700_000_000_001, [0; 10]);
        assert_eq!(early.as_str().len(), 26);
        assert!(early < late);
        assert_eq!(DocumentId::time_ordered(0, [0; 10]).as_str(), "0".repeat(26));
        assert_eq!(DocumentId::time_ordered(-1, [0; 10]).as_str(), "0".repeat(26));
        // The last that a ULID has room for.
        assert_eq!(DocumentId::time_ordered(i64::MAX, [255; 10]).as_str(), format!("7{}", "Z".repeat(25)));
        // The example of the specification of ULIDs.
        assert!(DocumentId::time_ordered(1_469_918_176_385, [0; 10]).as_str().starts_with("01ARYZ6S41"));
    }

    #[test]
    fn hexadecimal_ids_round_trip_and_refuse_other_text() {
        let id = SpaceId([0xab; 32]);
        assert_eq!(id.to_string().parse::<SpaceId>().unwrap(), id);
        for wrong in ["", "ab", &"AB".repeat(32), &"zz".repeat(32), &"ab".repeat(33)] {
            assert!(wrong.parse::<SpaceId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_document_id_has_1_to_512_bytes() {
        assert_eq!(DocumentId::new(""), Err(IdError::DocumentIdLength { length: 0 }));
        assert!(DocumentId::new("x".repeat(512)).is_ok());
        assert_eq!(DocumentId::new("x".repeat(513)), Err(IdError::DocumentIdLength { length: 513 }));
    }
}
