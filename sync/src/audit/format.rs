//! The layout of an exported trail: `docs/spec/audit.md`.

use std::io::{self, Read, Write};

use tidewater_engine::id::{DeviceId, SpaceId};
use tidewater_engine::log::header::ENTRY_BYTES_MAX;
use tidewater_engine::space::SecretKey;
use tidewater_engine::store::LoggedEntry;

use super::fault::{AuditFaultKind, AuditVerifyError};
use crate::codec::{Codec, Decoded, Malformed, Reader, put_bytes};
use crate::database::MAX_GENESIS_BYTES;

const MAGIC: &[u8; 15] = b"tidewater audit";
/// How many bytes stand before the first record.
pub(super) const MAGIC_BYTES: usize = MAGIC.len() + 1;
const VERSION: u8 = 1;
const CHECK_BYTES: usize = 8;
const SIGNATURE_BYTES: usize = 64;
const SIGNED_CONTEXT: &[u8] = b"tidewater audit export v1\0";

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Start = 1,
    Log = 2,
    Entry = 3,
    Head = 4,
    End = 5,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        [Self::Start, Self::Log, Self::Entry, Self::Head, Self::End].into_iter().find(|kind| *kind as u8 == byte)
    }

    /// The longest content, in bytes.
    fn limit(self) -> usize {
        match self {
            Self::Start => 32 + 1 + 32 + MAX_GENESIS_BYTES,
            Self::Log => 40,
            // The length of the header, which takes three bytes at most, is not part of the entry.
            Self::Entry => 3 + ENTRY_BYTES_MAX,
            Self::Head => SIGNATURE_BYTES,
            Self::End => 32 + 8 + SIGNATURE_BYTES,
        }
    }
}

/// The content of the start.
pub(crate) struct Start {
    pub(crate) space: SpaceId,
    pub(crate) control_key: Option<SecretKey>,
    pub(crate) genesis: Vec<u8>,
}

impl Codec for Start {
    fn encode(&self, out: &mut Vec<u8>) {
        self.space.encode(out);
        out.push(u8::from(self.control_key.is_some()));
        if let Some(key) = &self.control_key {
            out.extend_from_slice(key.expose());
        }
        out.extend_from_slice(&self.genesis);
    }

    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        let space = SpaceId::decode(reader)?;
        let control_key = if reader.bool()? { Some(SecretKey::new(reader.array()?)) } else { None };
        Ok(Self { space, control_key, genesis: reader.take_rest().to_vec() })
    }
}

/// An entry as the content of its record.
pub(super) fn encode_entry(entry: &LoggedEntry) -> Vec<u8> {
    let mut out = Vec::with_capacity(3 + entry.header.len() + entry.body.len());
    put_bytes(&mut out, &entry.header);
    out.extend_from_slice(&entry.body);
    out
}

/// The inverse of [`encode_entry`].
pub(super) fn decode_entry(content: &[u8]) -> Decoded<LoggedEntry> {
    let mut reader = Reader::new(content);
    let header = reader.bytes(ENTRY_BYTES_MAX)?.to_vec();
    let entry = LoggedEntry { header, body: reader.take_rest().to_vec() };
    let within = entry.header.len() + entry.body.len() <= ENTRY_BYTES_MAX;
    if within { Ok(entry) } else { Err(Malformed("an entry is over 256 KiB")) }
}

/// What the end claims, before its signature.
pub(super) fn claim(device: &DeviceId, time_ms: i64) -> [u8; 40] {
    let mut claim = [0; 40];
    claim[..32].copy_from_slice(&device.0);
    claim[32..].copy_from_slice(&time_ms.to_be_bytes());
    claim
}

/// What the exporter signs: the file up to its signature.
pub(super) fn signed_message(file: &blake3::Hash) -> Vec<u8> {
    [SIGNED_CONTEXT, file.as_bytes()].concat()
}

/// Writes records, each with its check.
pub(super) struct RecordWriter<W> {
    out: W,
    hash: blake3::Hasher,
    bytes: u64,
}

impl<W: Write> RecordWriter<W> {
    /// Begins a file.
    pub(super) fn new(out: W) -> io::Result<Self> {
        let mut writer = Self { out, hash: blake3::Hasher::new(), bytes: 0 };
        writer.put(MAGIC)?;
        writer.put(&[VERSION])?;
        Ok(writer)
    }

    pub(super) fn record(&mut self, kind: Kind, content: &[u8]) -> io::Result<()> {
        self.begin(kind, content.len())?;
        self.put(content)?;
        self.check()
    }

    /// Ends the file with what `sign` makes of it. Gives how many bytes it has.
    pub(super) fn end(mut self, claim: &[u8; 40], sign: impl FnOnce(&[u8]) -> [u8; 64]) -> io::Result<u64> {
        self.begin(Kind::End, claim.len() + SIGNATURE_BYTES)?;
        self.put(claim)?;
        let signature = sign(&signed_message(&self.hash.finalize()));
        self.put(&signature)?;
        self.check()?;
        self.out.flush()?;
        Ok(self.bytes)
    }

    fn begin(&mut self, kind: Kind, length: usize) -> io::Result<()> {
        debug_assert!(length <= kind.limit(), "what is exported is within its limits");
        self.put(&[kind as u8])?;
        self.put(&(length as u32).to_be_bytes())
    }

    fn check(&mut self) -> io::Result<()> {
        let check = self.hash.finalize();
        self.put(&check.as_bytes()[..CHECK_BYTES])
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        self.out.write_all(bytes)
    }
}

/// A record as it was read.
pub(super) struct Record {
    pub(super) kind: Kind,
    pub(super) content: Vec<u8>,
    /// The hash of the file up to the last 64 bytes of the content, where the end has its signature.
    pub(super) signed: blake3::Hash,
}

/// Reads records and holds each to its check.
pub(super) struct RecordReader<R> {
    input: R,
    hash: blake3::Hasher,
    at: u64,
}

impl<R: Read> RecordReader<R> {
    /// Reads what a file begins with.
    pub(super) fn new(input: R) -> Result<Self, AuditVerifyError> {
        let mut reader = Self { input, hash: blake3::Hasher::new(), at: 0 };
        let mut start = [0; MAGIC_BYTES];
        match reader.fill(&mut start) {
            Err(AuditVerifyError::Bad(_)) => return Err(AuditVerifyError::NotAnExport),
            other => other?,
        }
        let (magic, version) = start.split_at(MAGIC.len());
        match version {
            _ if magic != MAGIC => Err(AuditVerifyError::NotAnExport),
            [VERSION] => Ok(reader),
            _ => Err(AuditVerifyError::Newer { version: version[0] }),
        }
    }

    /// Where the next record begins, in bytes.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// Faults say what is wrong; where is known to the caller.
    pub(super) fn next(&mut self) -> Result<Record, AuditVerifyError> {
        let mut head = [0; 5];
        self.fill(&mut head)?;
        let [kind, length @ ..] = head;
        let kind = Kind::from_byte(kind).ok_or(AuditFaultKind::Layout("a record of an unknown kind"))?;
        let length = u32::from_be_bytes(length) as usize;
        if length > kind.limit() {
            return Err(AuditFaultKind::Layout("a record is over its limit").into());
        }
        let mut content = vec![0; length];
        let (front, back) = content.split_at_mut(length.saturating_sub(SIGNATURE_BYTES));
        self.fill(front)?;
        let signed = self.hash.finalize();
        self.fill(back)?;
        let expected = self.hash.finalize();
        let mut check = [0; CHECK_BYTES];
        self.fill(&mut check)?;
        if check != expected.as_bytes()[..CHECK_BYTES] {
            return Err(AuditFaultKind::Altered.into());
        }
        Ok(Record { kind, content, signed })
    }

    /// The hash of the whole file, where it ends.
    pub(super) fn finish(mut self) -> Result<blake3::Hash, AuditVerifyError> {
        match self.input.read_exact(&mut [0]) {
            Ok(()) => Err(AuditFaultKind::Layout("something follows the end").into()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(self.hash.finalize()),
            Err(error) => Err(error.into()),
        }
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), AuditVerifyError> {
        self.input.read_exact(bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => AuditFaultKind::Cut.into(),
            _ => AuditVerifyError::Input(error),
        })?;
        self.hash.update(bytes);
        self.at += bytes.len() as u64;
        Ok(())
    }
}
