//! The logs of an exported trail, entry by entry and head by head.

use std::collections::BTreeMap;

use tidewater_engine::id::{SpaceId, WriterId};
use tidewater_engine::log::run::RunCheck;
use tidewater_engine::log::seal::{OpenError, Opener};
use tidewater_engine::log::tree::leaf_hash;
use tidewater_engine::log::{Frontier, Header, Place, Plane, Prefix, VersionVector, verify_head};
use tidewater_engine::space::SecretKey;
use tidewater_engine::store::{LogBatch, LoggedEntry, SignedHead};

use super::{AuditFinding, MAX_AUDIT_FINDINGS};
use crate::audit::fault::{AuditFault, AuditFaultKind, AuditVerifyError};
use crate::audit::format::decode_entry;
use crate::codec::Malformed;

/// Between two heads: what one batch holds.
const MAX_SEGMENT_ENTRIES: usize = 1_024;
/// The most bytes of entries that are held to be evaluated.
pub(super) const MAX_OPENED_BYTES: u64 = 256 << 20;

type Checked = Result<(), AuditVerifyError>;

/// What was read of the logs so far.
pub(super) struct Logs {
    space: SpaceId,
    control_key: Option<SecretKey>,
    open: Option<OpenLog>,
    /// The root at each length of each log, from 1.
    roots: BTreeMap<WriterId, Vec<[u8; 32]>>,
    /// What entries say that they were written after.
    after: Vec<After>,
    /// The logs that end in the middle of a commit.
    unfinished: Vec<WriterId>,
    /// The entries themselves, where they are to be read.
    batches: Vec<LogBatch>,
    bytes: u64,
}

/// The log that is being read.
struct OpenLog {
    writer: WriterId,
    frontier: Frontier,
    runs: RunCheck,
    /// How many entries were read since the last head.
    since_head: usize,
    /// These entries, where they are to be read.
    segment: Vec<LoggedEntry>,
}

struct After {
    by: (WriterId, u64),
    writer: WriterId,
    prefix: Prefix,
}

impl Logs {
    pub(super) fn new(space: SpaceId, control_key: Option<SecretKey>) -> Self {
        Self {
            space,
            control_key,
            open: None,
            roots: BTreeMap::new(),
            after: Vec::new(),
            unfinished: Vec::new(),
            batches: Vec::new(),
            bytes: 0,
        }
    }

    /// Where the next entry stands, if a log is open.
    pub(super) fn next_entry(&self) -> Option<(WriterId, u64)> {
        self.open.as_ref().map(|log| (log.writer, log.frontier.length()))
    }

    pub(super) fn begin(&mut self, content: &[u8]) -> Checked {
        self.close()?;
        let writer =
            WriterId::from_bytes(content.try_into().map_err(|_| AuditFaultKind::Layout("a log that names no writer"))?);
        if self.roots.last_key_value().is_some_and(|(last, _)| *last >= writer) {
            return Err(AuditFaultKind::Layout("the logs are out of order").into());
        }
        self.roots.insert(writer, Vec::new());
        let (frontier, runs) = (Frontier::default(), RunCheck::new(Plane::Control));
        self.open = Some(OpenLog { writer, frontier, runs, since_head: 0, segment: Vec::new() });
        Ok(())
    }

    pub(super) fn entry(&mut self, content: &[u8]) -> Checked {
        let space = self.space;
        let log = self.open.as_mut().ok_or(AuditFaultKind::Layout("an entry outside of a log"))?;
        if log.since_head == MAX_SEGMENT_ENTRIES {
            return Err(AuditFaultKind::Layout("more than 1,024 entries before a head").into());
        }
        let sequence = log.frontier.length();
        let place = Place { space, plane: Plane::Control, writer: log.writer, sequence };
        let entry = decode_entry(content).map_err(|Malformed(why)| AuditFaultKind::Layout(why))?;
        let header = Header::decode(&entry.header).map_err(AuditFaultKind::Header)?;
        header.check_place(&place).map_err(AuditFaultKind::Header)?;
        log.runs.accept(&header).map_err(AuditFaultKind::Run)?;
        if !header.fits_body(&entry.body) {
            return Err(AuditFaultKind::Body.into());
        }
        log.frontier.append(leaf_hash(&place, &entry.header));
        self.roots.entry(log.writer).or_default().push(log.frontier.root());
        let by = (log.writer, sequence);
        self.after.extend(header.dependencies.into_iter().map(|(writer, prefix)| After { by, writer, prefix }));
        if self.control_key.is_some() {
            self.bytes += content.len() as u64;
            if self.bytes > MAX_OPENED_BYTES {
                return Err(AuditFaultKind::TooLarge { limit: MAX_OPENED_BYTES }.into());
            }
            log.segment.push(entry);
        }
        log.since_head += 1;
        Ok(())
    }

    pub(super) fn head(&mut self, content: &[u8]) -> Checked {
        let log = self.open.as_mut().ok_or(AuditFaultKind::Layout("a head outside of a log"))?;
        let (count, entries) = (std::mem::take(&mut log.since_head), std::mem::take(&mut log.segment));
        if count == 0 {
            return Err(AuditFaultKind::Layout("a head without entries").into());
        }
        let signature = content.try_into().map_err(|_| AuditFaultKind::Layout("a head that is too short"))?;
        let prefix = log.frontier.prefix();
        let from = prefix.length - count as u64;
        let writer = log.writer;
        if !verify_head(&self.space, Plane::Control, &writer, &prefix, &signature) {
            let first = from + self.first_that_does_not_open(writer, from, &entries);
            let (entry, kind) = (Some((writer, first)), AuditFaultKind::Head { last: prefix.length - 1 });
            return Err(AuditVerifyError::Bad(AuditFault { entry, at: 0, kind }));
        }
        if self.control_key.is_some() {
            let head = SignedHead { length: prefix.length, root: Some(prefix.root), signature };
            self.batches.push(LogBatch { space: self.space, plane: Plane::Control, writer, from, entries, head });
        }
        Ok(())
    }

    /// Which of some entries was changed by who had no key: 0 when that can't be told.
    fn first_that_does_not_open(&self, writer: WriterId, from: u64, entries: &[LoggedEntry]) -> u64 {
        let Some(key) = &self.control_key else { return 0 };
        let mut opener = Opener::new();
        let mut opens = |(sequence, entry): (u64, &LoggedEntry)| {
            let place = Place { space: self.space, plane: Plane::Control, writer, sequence };
            let header = Header::decode(&entry.header);
            let opened = header.map(|header| opener.open(&place, &header, &entry.header, &entry.body, key));
            !matches!(opened, Err(_) | Ok(Err(OpenError::Refused)))
        };
        (from..).zip(entries).position(|entry| !opens(entry)).unwrap_or(0) as u64
    }

    /// The end of the file: no log is open any more.
    pub(super) fn end(&mut self) -> Checked {
        self.close()?;
        if self.roots.is_empty() { Err(AuditFaultKind::Layout("no log").into()) } else { Ok(()) }
    }

    fn close(&mut self) -> Checked {
        let Some(log) = &self.open else { return Ok(()) };
        if log.frontier.length() == 0 || log.since_head > 0 {
            return Err(AuditFaultKind::Layout("a log that does not end at a head").into());
        }
        if log.runs.open().is_some() {
            self.unfinished.push(log.writer);
        }
        self.open = None;
        Ok(())
    }

    /// What entries say of logs that are not, or not so, in the file, and where a log breaks off: the first of it, and how much.
    pub(super) fn findings(&self) -> (Vec<AuditFinding>, u64) {
        let length = |writer: &WriterId| self.roots.get(writer).map_or(0, Vec::len) as u64;
        let unfinished = self.unfinished.iter();
        let unfinished = unfinished.map(|writer| AuditFinding::Unfinished { writer: *writer, length: length(writer) });
        let said = self.after.iter().filter_map(|After { by, writer, prefix }| {
            let roots = self.roots.get(writer).map_or(&[][..], Vec::as_slice);
            let (by, writer, length) = (*by, *writer, prefix.length);
            match usize::try_from(length - 1).ok().and_then(|at| roots.get(at)) {
                Some(root) if *root == prefix.root => None,
                Some(_) => Some(AuditFinding::Contradicted { writer, length, by }),
                None => Some(AuditFinding::Missing { writer, held: roots.len() as u64, length, by }),
            }
        });
        let (mut findings, mut count) = (Vec::new(), 0);
        for finding in unfinished.chain(said) {
            count += 1;
            if findings.len() < MAX_AUDIT_FINDINGS {
                findings.push(finding);
            }
        }
        (findings, count)
    }

    pub(super) fn take_batches(&mut self) -> Vec<LogBatch> {
        std::mem::take(&mut self.batches)
    }

    /// How much of each log was read.
    pub(super) fn vector(&self) -> VersionVector {
        let last = |roots: &Vec<[u8; 32]>| Some(Prefix { length: roots.len() as u64, root: *roots.last()? });
        self.roots.iter().filter_map(|(writer, roots)| Some((*writer, last(roots)?))).collect()
    }
}
