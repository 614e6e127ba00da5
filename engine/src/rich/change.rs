//! Reading a change chunk: the frame around the operations.

use automerge::{ActorId, ChangeHash};

use super::MAX_CHANGE_BYTES;
use crate::codec::{DecodeError, Reader};

/// The four bytes that every automerge chunk starts with.
pub(super) const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];
/// The chunk type of an uncompressed change.
pub(super) const CHANGE_CHUNK: u8 = 1;
/// The longest actor id of a change that is told from a made-up one, in bytes.
const MAX_ACTOR_BYTES: usize = 32;

/// What a change says of itself, without its operations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The SHA-256 of the chunk, by which other changes depend on it.
    pub hash: ChangeHash,
    /// Who made it.
    pub actor: ActorId,
    /// Its place among its actor's changes, from 1.
    pub seq: u64,
    /// Its first operation's counter.
    pub start_op: u64,
    /// Its last operation's counter.
    pub max_op: u64,
    /// The changes it was made on top of.
    pub deps: Vec<ChangeHash>,
    /// The earlier generations whose changes or operations it builds on, ascending.
    pub reaches: Vec<u64>,
    /// Of a text's change, the column that tells insertions from deletions.
    pub(super) inserts: Vec<u8>,
}

/// The frame of a change: everything but the meaning of its columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub hash: ChangeHash,
    pub deps: Vec<ChangeHash>,
    pub actor: ActorId,
    pub seq: u64,
    pub start_op: u64,
    pub time: i64,
    pub message: &'a [u8],
    pub other_actors: Vec<ActorId>,
    /// Column specification and data, in the order of the chunk.
    pub columns: Vec<(u32, &'a [u8])>,
    /// What follows the columns.
    pub extra: &'a [u8],
}

/// Why bytes are not the frame of an uncompressed change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Longer than [`MAX_CHANGE_BYTES`].
    #[error("a change has at most {MAX_CHANGE_BYTES} bytes")]
    TooLong,
    /// Not an automerge chunk.
    #[error("not an automerge chunk")]
    Magic,
    /// A document, a compressed change, a bundle, or an unknown chunk.
    #[error("chunk type {found}, only uncompressed changes (type {CHANGE_CHUNK}) are taken")]
    ChunkType {
        /// The type.
        found: u8,
    },
    /// The content does not have the hash that the chunk announces.
    #[error("the checksum is wrong")]
    Checksum,
    /// An actor id that is too long.
    #[error("an actor id has at most {MAX_ACTOR_BYTES} bytes")]
    ActorLength,
    /// Anything else: too short, too long, numbers that are not in their shortest form.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

impl<'a> Frame<'a> {
    /// Reads the frame. Memory is bounded by the length of `bytes`.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, FrameError> {
        if bytes.len() > MAX_CHANGE_BYTES {
            return Err(FrameError::TooLong);
        }
        let mut reader = Reader::new(bytes);
        if reader.array()? != MAGIC {
            return Err(FrameError::Magic);
        }
        let checksum: [u8; 4] = reader.array()?;
        let hashed = &bytes[reader.position()..];
        match reader.byte()? {
            CHANGE_CHUNK => {}
            found => return Err(FrameError::ChunkType { found }),
        }
        let length = reader.varint()?;
        match reader.remaining() as u64 {
            rest if rest < length => return Err(DecodeError::Truncated.into()),
            rest if rest > length => return Err(DecodeError::Trailing { count: (rest - length) as usize }.into()),
            _ => {}
        }
        let hash = sha256(hashed);
        if hash.0[..4] != checksum {
            return Err(FrameError::Checksum);
        }
        Self::parse_content(&mut reader, hash)
    }

    /// The data of a column, if the change has it.
    pub fn column(&self, spec: u32) -> Option<&'a [u8]> {
        self.columns.iter().find(|(found, _)| *found == spec).map(|(_, bytes)| *bytes)
    }

    fn parse_content(reader: &mut Reader<'a>, hash: ChangeHash) -> Result<Self, FrameError> {
        let deps = (0..reader.count(32)?).map(|_| reader.array().map(ChangeHash)).collect::<Result<_, _>>()?;
        let actor = actor(reader)?;
        let [seq, start_op] = [reader.varint()?, reader.varint()?];
        let time = signed_leb128(reader)?;
        let message = reader.bytes()?;
        let other_actors = (0..reader.count(1)?).map(|_| self::actor(reader)).collect::<Result<_, _>>()?;
        let specs: Vec<(u32, usize)> = (0..reader.count(2)?)
            .map(|_| {
                let spec = u32::try_from(reader.varint()?).map_err(|_| DecodeError::Varint)?;
                let length = usize::try_from(reader.varint()?).map_err(|_| DecodeError::Truncated)?;
                Ok((spec, length))
            })
            .collect::<Result<_, DecodeError>>()?;
        let columns = specs
            .into_iter()
            .map(|(spec, length)| Ok((spec, reader.take(length)?)))
            .collect::<Result<_, DecodeError>>()?;
        let extra = reader.take(reader.remaining())?;
        Ok(Self { hash, deps, actor, seq, start_op, time, message, other_actors, columns, extra })
    }
}

fn actor(reader: &mut Reader<'_>) -> Result<ActorId, FrameError> {
    let bytes = reader.bytes()?;
    if bytes.len() > MAX_ACTOR_BYTES { Err(FrameError::ActorLength) } else { Ok(ActorId::from(bytes)) }
}

/// A signed LEB128 number (not zigzag) in its shortest form, as automerge writes them.
pub(super) fn signed_leb128(reader: &mut Reader<'_>) -> Result<i64, DecodeError> {
    let mut number = 0i64;
    let mut previous = 0;
    for shift in (0..64).step_by(7) {
        let byte = reader.byte()?;
        number |= i64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            let negative = byte & 0x40 != 0;
            // The last byte adds nothing when it only repeats the sign of the byte before it.
            let repeats_sign = shift > 0 && (byte == 0 && previous & 0x40 == 0 || byte == 0x7f && previous & 0x40 != 0);
            let overflows = shift == 63 && byte != 0 && byte != 0x7f;
            if repeats_sign || overflows {
                return Err(DecodeError::Varint);
            }
            if negative && shift + 7 < 64 {
                number |= -1i64 << (shift + 7);
            }
            return Ok(number);
        }
        previous = byte;
    }
    Err(DecodeError::Varint)
}

pub(super) fn sha256(bytes: &[u8]) -> ChangeHash {
    use sha2::Digest;
    ChangeHash(sha2::Sha256::digest(bytes).into())
}
