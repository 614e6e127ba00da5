//! Checking an exported trail, without a database.

mod evaluation;
mod logs;

use std::collections::BTreeMap;
use std::io::Read;

use tidewater_engine::id::{DeviceId, SpaceId, WriterId};
use tidewater_engine::log::VersionVector;

use super::fault::{AuditFault, AuditFaultKind, AuditVerifyError};
use super::format::{Kind, Record, RecordReader, Start, signed_message};
use super::{AuditEntry, AuditParty};
use crate::codec::{Codec, Malformed};
use crate::database::Member;
use crate::device;
use crate::membership::Verdict;
use crate::space::{ControlOperation, SpaceGenesis};
use logs::Logs;

/// How many findings are told one by one.
pub const MAX_AUDIT_FINDINGS: usize = 100;

/// What a file that was not changed shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditReport {
    /// Whose trail it is.
    pub space: SpaceId,
    /// The device that exported it. Nobody changed the file after it.
    pub exporter: DeviceId,
    /// When it says it did, in milliseconds since 1970 UTC.
    pub exported_ms: i64,
    /// A hash over the space and the length and root of every log: equal exactly where the entries are.
    pub digest: [u8; 32],
    /// How much of each log is there.
    pub logs: VersionVector,
    /// How many entries are there.
    pub entries: u64,
    /// What is open, at most [`MAX_AUDIT_FINDINGS`].
    pub findings: Vec<AuditFinding>,
    /// How many findings there are.
    pub findings_count: u64,
    /// What the entries mean. `None`: the export is sealed.
    pub meaning: Option<AuditMeaning>,
}

/// What the entries of a file mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditMeaning {
    /// The trail. Names and labels are empty: they are sealed under keys that the file never has.
    pub trail: Vec<AuditEntry>,
    /// The members in the end, highest rank first.
    pub members: Vec<Member>,
    /// Whose device exported the file, if the space names it.
    pub exporter: Option<AuditParty>,
    /// Entries that wait for others that the file does not have.
    pub waiting: u64,
}

impl AuditMeaning {
    /// How many commits came to what.
    #[must_use]
    pub fn verdicts(&self) -> BTreeMap<Verdict, u64> {
        let mut verdicts = BTreeMap::new();
        for entry in &self.trail {
            *verdicts.entry(entry.verdict).or_default() += 1;
        }
        verdicts
    }
}

/// Something that a file leaves open, by what its own entries say.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuditFinding {
    /// An entry was written after more of a log than the file has: something was left out.
    Missing {
        /// The log.
        writer: WriterId,
        /// How many of its entries are there.
        held: u64,
        /// How many there must have been.
        length: u64,
        /// The log and the sequence of the entry that says so.
        by: (WriterId, u64),
    },
    /// A log ends in the middle of a commit: its end was left out, or has not come to the exporter.
    Unfinished {
        /// The log.
        writer: WriterId,
        /// How many of its entries are there.
        length: u64,
    },
    /// An entry was written after another history of a log: one of the two writers said two things.
    Contradicted {
        /// The log.
        writer: WriterId,
        /// The length at which the histories differ.
        length: u64,
        /// The log and the sequence of the entry that says so.
        by: (WriterId, u64),
    },
}

impl std::fmt::Display for AuditFinding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing { writer, held, length, by: (other, sequence) } => write!(
                f,
                "log {writer} has {held} entries here, and log {other}, entry {sequence} was written after {length} of them"
            ),
            Self::Unfinished { writer, length } => {
                write!(f, "log {writer} ends in the middle of a commit, after {length} entries")
            }
            Self::Contradicted { writer, length, by: (other, sequence) } => write!(
                f,
                "log {other}, entry {sequence} was written after another history of log {writer}, up to {length}"
            ),
        }
    }
}

/// Checks an exported trail from the beginning to the end: `docs/spec/audit.md`. `expected` is the space it should be of.
///
/// A file with the control key is held in memory, several times over; a sealed one only as numbers and hashes.
///
/// # Errors
/// [`AuditVerifyError`]: the first thing that is wrong, with its place. What the file leaves open is no error: see
/// [`AuditReport::findings`].
pub fn verify_audit(input: impl Read, expected: Option<&SpaceId>) -> Result<AuditReport, AuditVerifyError> {
    let mut reader = RecordReader::new(input)?;
    let (start, genesis) = read_start(&mut reader)?;
    if let Some(expected) = expected.filter(|expected| **expected != start.space) {
        return Err(AuditVerifyError::Foreign { found: start.space, expected: *expected });
    }
    let mut logs = Logs::new(start.space, start.control_key.clone());
    let (end, exporter, exported_ms) = loop {
        let at = reader.at();
        let placed = |logs: &Logs, error| place(error, at, logs.next_entry());
        let record = reader.next().map_err(|error| placed(&logs, error))?;
        let taken = match record.kind {
            Kind::Start => Err(AuditFaultKind::Layout("a second start").into()),
            Kind::Log => logs.begin(&record.content),
            Kind::Entry => logs.entry(&record.content),
            Kind::Head => logs.head(&record.content),
            Kind::End => match logs.end().and_then(|()| read_end(&record)) {
                Ok((exporter, time_ms)) => break (reader.at(), exporter, time_ms),
                Err(error) => Err(error),
            },
        };
        taken.map_err(|error| placed(&logs, error))?;
    };
    let file = reader.finish().map_err(|error| place(error, end, None))?;
    let (findings, findings_count) = logs.findings();
    let meaning = match &start.control_key {
        None => None,
        Some(key) => Some(evaluation::meaning(&start, &genesis, key, &exporter, &file, &mut logs)?),
    };
    let vector = logs.vector();
    Ok(AuditReport {
        space: start.space,
        exporter,
        exported_ms,
        digest: digest(&start.space, &vector),
        entries: vector.total(),
        logs: vector,
        findings,
        findings_count,
        meaning,
    })
}

/// Says where a fault is, unless it says so itself.
fn place(error: AuditVerifyError, at: u64, entry: Option<(WriterId, u64)>) -> AuditVerifyError {
    match error {
        AuditVerifyError::Bad(fault) => {
            AuditVerifyError::Bad(AuditFault { entry: fault.entry.or(entry), at, kind: fault.kind })
        }
        other => other,
    }
}

fn read_start(reader: &mut RecordReader<impl Read>) -> Result<(Start, SpaceGenesis), AuditVerifyError> {
    let at = reader.at();
    let read = reader.next().and_then(|record| {
        if record.kind != Kind::Start {
            return Err(AuditFaultKind::Layout("it does not begin with the space").into());
        }
        let start = Start::from_bytes(&record.content).map_err(|Malformed(why)| AuditFaultKind::Layout(why))?;
        if SpaceGenesis::space_of(&start.genesis) != start.space {
            return Err(AuditFaultKind::Genesis("its hash is another").into());
        }
        let Ok(ControlOperation::Genesis(genesis)) = ControlOperation::read(&start.genesis) else {
            return Err(AuditFaultKind::Genesis("it can't be read").into());
        };
        if !genesis.verify() {
            return Err(AuditFaultKind::Genesis("a certificate in it is not genuine").into());
        }
        Ok((start, genesis))
    });
    read.map_err(|error| place(error, at, None))
}

fn read_end(record: &Record) -> Result<(DeviceId, i64), AuditVerifyError> {
    let parts: Option<(&[u8; 40], &[u8; 64])> =
        record.content.split_first_chunk().and_then(|(claim, rest)| Some((claim, rest.try_into().ok()?)));
    let (claim, signature) = parts.ok_or(AuditFaultKind::Layout("the end is too short"))?;
    let (device, time) = claim.split_first_chunk::<32>().ok_or(AuditFaultKind::Layout("the end is too short"))?;
    if !device::verify(device, &signed_message(&record.signed), signature) {
        return Err(AuditFaultKind::Exporter.into());
    }
    let time = time.try_into().map_err(|_| AuditFaultKind::Layout("the end is too short"))?;
    Ok((DeviceId(*device), i64::from_be_bytes(time)))
}

fn digest(space: &SpaceId, logs: &VersionVector) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("tidewater 2026 audit history v1");
    hasher.update(space.as_bytes());
    for (writer, prefix) in logs.iter() {
        hasher.update(&writer.to_bytes()).update(&prefix.length.to_be_bytes()).update(&prefix.root);
    }
    *hasher.finalize().as_bytes()
}
