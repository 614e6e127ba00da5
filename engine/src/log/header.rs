//! Places and headers: the signed part of an entry. See `docs/spec/log.md`, *Header*.

use super::vector::Prefix;
use super::{LOG_LENGTH_MAX, Plane};
use crate::codec::{DecodeError, Reader, put_varint};
use crate::id::{EpochId, SpaceId, WriterId};

/// The longest header, in bytes.
pub const HEADER_BYTES_MAX: usize = 64 * 1024;
/// The largest entry, header and body together, in bytes.
pub const ENTRY_BYTES_MAX: usize = 256 * 1024;
/// The smallest body, in bytes: a sealed empty chunk.
pub const BODY_BYTES_MIN: usize = 17;
/// The largest body, in bytes: a sealed chunk of [`CHUNK_BYTES_MAX`](super::seal::CHUNK_BYTES_MAX) that does not compress.
pub const BODY_BYTES_MAX: usize = 200_720;
/// The most logs that one list of one entry names.
pub const MOVED_LOGS_MAX: usize = 256;

const VERSION: u8 = 2;
const SUITE: u8 = 1;
const FIRST: u8 = 1;
const LAST: u8 = 2;
/// Version, suite, flags, timestamp and epoch id stand before the salt.
const SALT_AT: usize = 1 + 1 + 1 + 8 + EpochId::BYTES;
/// Body length and body hash stand at the end.
const TAIL_BYTES: usize = 4 + 32;
/// A header with empty lists.
const BARE_BYTES: usize = SALT_AT + SALT_BYTES + 2 + TAIL_BYTES;
/// How many bytes a salt has.
pub const SALT_BYTES: usize = 8;

/// Where an entry stands. It enters the leaf hash and the sealing, so an entry counts and opens nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The space.
    pub space: SpaceId,
    /// Which of the writer's two logs.
    pub plane: Plane,
    /// The log's owner.
    pub writer: WriterId,
    /// The entry's number in its log, from 0.
    pub sequence: u64,
}

impl Place {
    /// How many bytes [`Place::to_bytes`] gives.
    pub const BYTES: usize = SpaceId::BYTES + 1 + WriterId::BYTES + 8;

    /// Space, plane, writer, sequence.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        let (space, rest) = out.split_at_mut(SpaceId::BYTES);
        let (plane, rest) = rest.split_at_mut(1);
        let (writer, sequence) = rest.split_at_mut(WriterId::BYTES);
        space.copy_from_slice(self.space.as_bytes());
        plane[0] = self.plane as u8;
        writer.copy_from_slice(&self.writer.to_bytes());
        sequence.copy_from_slice(&self.sequence.to_be_bytes());
        out
    }
}

/// The logs that moved since the writer's previous entry, and how far: ascending by writer.
pub type Moved = Vec<(WriterId, Prefix)>;

/// The signed part of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The writer's clock, milliseconds since 1970-01-01 UTC. Advisory.
    pub timestamp_ms: i64,
    /// Whether a commit begins here.
    pub first: bool,
    /// Whether a commit ends here.
    pub last: bool,
    /// Names the key that opens the body.
    pub epoch: EpochId,
    /// Makes the body's key and nonce unique.
    pub salt: [u8; SALT_BYTES],
    /// The other logs of the same plane that moved.
    pub dependencies: Moved,
    /// The control logs that moved; empty on the control plane.
    pub control: Moved,
    /// How many bytes the body has.
    pub body_length: u32,
    /// The BLAKE3 hash of the body.
    pub body_hash: [u8; 32],
}

/// Why bytes are not a header, or not one for their place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// Not the one canonical layout, or over a limit. Whoever sent it is at fault.
    #[error("malformed entry header: {what}")]
    Malformed {
        /// The part that is wrong.
        what: &'static str,
    },
    /// Written by newer software.
    #[error("entry format {version} is newer than this software reads ({VERSION}); upgrade")]
    Newer {
        /// The version, or the suite where the version is known.
        version: u8,
    },
}

fn malformed(what: &'static str) -> HeaderError {
    HeaderError::Malformed { what }
}

impl From<DecodeError> for HeaderError {
    fn from(_: DecodeError) -> Self {
        malformed("cut short, or a number that is not canonical")
    }
}

impl Header {
    /// The canonical bytes. Lists must ascend by writer: [`run::cut`](super::run::cut) sees to it, and [`Header::decode`]
    /// refuses others.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.encode_sealed();
        out.extend_from_slice(&self.body_length.to_be_bytes());
        out.extend_from_slice(&self.body_hash);
        out
    }

    /// The bytes up to the body length: what is sealed with the body.
    pub(super) fn encode_sealed(&self) -> Vec<u8> {
        let moved = self.dependencies.len() + self.control.len();
        let mut out = Vec::with_capacity(BARE_BYTES + 2 + moved * (WriterId::BYTES + 10 + 32));
        let flags = if self.first { FIRST } else { 0 } | if self.last { LAST } else { 0 };
        out.extend_from_slice(&[VERSION, SUITE, flags]);
        out.extend_from_slice(&self.timestamp_ms.to_be_bytes());
        out.extend_from_slice(self.epoch.as_bytes());
        out.extend_from_slice(&self.salt);
        encode_moved(&mut out, &self.dependencies);
        encode_moved(&mut out, &self.control);
        out
    }

    /// Reads the canonical bytes, and refuses every other spelling.
    ///
    /// # Errors
    /// [`HeaderError::Newer`] for another version or suite, [`HeaderError::Malformed`] for everything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, HeaderError> {
        if bytes.len() > HEADER_BYTES_MAX {
            return Err(malformed("over 64 KiB"));
        }
        let mut reader = Reader::new(bytes);
        let [version, suite, flags] = reader.array::<3>()?;
        if version != VERSION {
            return Err(if version < VERSION { malformed("an old version") } else { HeaderError::Newer { version } });
        }
        if suite != SUITE {
            return Err(if suite == 0 { malformed("suite 0") } else { HeaderError::Newer { version: suite } });
        }
        if flags & !(FIRST | LAST) != 0 {
            return Err(malformed("unknown flags"));
        }
        let timestamp_ms = i64::from_be_bytes(reader.array()?);
        let epoch = EpochId(reader.array()?);
        let salt = reader.array()?;
        let dependencies = decode_moved(&mut reader)?;
        let control = decode_moved(&mut reader)?;
        let body_length = u32::from_be_bytes(reader.array()?);
        let body_hash = reader.array()?;
        reader.finish().map_err(|_| malformed("bytes after the end"))?;
        if !(BODY_BYTES_MIN..=BODY_BYTES_MAX).contains(&(body_length as usize)) {
            return Err(malformed("body length"));
        }
        let (first, last) = (flags & FIRST != 0, flags & LAST != 0);
        Ok(Self { timestamp_ms, first, last, epoch, salt, dependencies, control, body_length, body_hash })
    }

    /// Checks what a header may say at its place: no dependency on its own log, no control delta on the control plane,
    /// a sequence that a log can reach.
    ///
    /// # Errors
    /// [`HeaderError::Malformed`].
    pub fn check_place(&self, place: &Place) -> Result<(), HeaderError> {
        if place.sequence >= LOG_LENGTH_MAX {
            return Err(malformed("sequence number"));
        }
        if self.dependencies.binary_search_by(|(writer, _)| writer.cmp(&place.writer)).is_ok() {
            return Err(malformed("a dependency on its own log"));
        }
        if place.plane == Plane::Control && !self.control.is_empty() {
            return Err(malformed("a control delta on the control plane"));
        }
        Ok(())
    }

    /// Whether `body` is the body that this header was signed with.
    #[must_use]
    pub fn fits_body(&self, body: &[u8]) -> bool {
        body.len() == self.body_length as usize && *blake3::hash(body).as_bytes() == self.body_hash
    }
}

/// The part of a header's bytes that is sealed with the body.
pub(super) fn sealed_part(header_bytes: &[u8]) -> &[u8] {
    &header_bytes[..header_bytes.len().saturating_sub(TAIL_BYTES)]
}

/// Puts the salt into the bytes of [`Header::encode_sealed`].
pub(super) fn set_salt(sealed: &mut [u8], salt: &[u8; SALT_BYTES]) {
    sealed[SALT_AT..SALT_AT + SALT_BYTES].copy_from_slice(salt);
}

fn encode_moved(out: &mut Vec<u8>, moved: &[(WriterId, Prefix)]) {
    put_varint(out, moved.len() as u64);
    for (writer, prefix) in moved {
        out.extend_from_slice(&writer.to_bytes());
        put_varint(out, prefix.length);
        out.extend_from_slice(&prefix.root);
    }
}

fn decode_moved(reader: &mut Reader<'_>) -> Result<Moved, HeaderError> {
    let count = reader.varint()?;
    if count > MOVED_LOGS_MAX as u64 {
        return Err(malformed("a list of more than 256 logs"));
    }
    let mut moved = Moved::new();
    for _ in 0..count {
        let writer = WriterId::from_bytes(&reader.array()?);
        let length = reader.varint()?;
        let root = reader.array()?;
        if length == 0 || length > LOG_LENGTH_MAX {
            return Err(malformed("the length of a moved log"));
        }
        if moved.last().is_some_and(|(previous, _)| *previous >= writer) {
            return Err(malformed("a list out of order"));
        }
        moved.push((writer, Prefix { length, root }));
    }
    Ok(moved)
}

#[cfg(test)]
mod tests;
