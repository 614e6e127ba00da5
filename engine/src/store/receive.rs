//! Taking batches of another replica: the cheap checks first, then the signature, then one storage transaction for all.

use super::append::{TreeRows, applied_root, store_entry};
use super::apply::{apply_ready, is_ready, is_relay};
use super::group::Work;
use super::state::{LogState, SpaceState, entry_key, log_key};
use super::{Inner, LogBatch, ReadError, ReceiveError, ReceiveOutcome, WriteError};
use crate::log::header::ENTRY_BYTES_MAX;
use crate::log::run::{OpenRun, RunCheck};
use crate::log::tree::leaf_hash;
use crate::log::{Frontier, Header, HeaderError, Place, Plane, Prefix, verify_head};

/// At most so many entries in one batch.
pub(crate) const BATCH_ENTRIES_MAX: usize = 1_024;
/// At most so many bytes wait for dependencies or keys in one plane of one space; twice as many with the beginnings of
/// commits that wait for nothing but their end.
const PARKED_BYTES_MAX: u64 = 64 << 20;

/// Takes batches one after the other in one storage transaction. One that is refused leaves no trace, and keeps none of the
/// others back; when the storage fails, none is taken.
pub(crate) fn receive(
    inner: &Inner,
    batches: &[LogBatch],
) -> Result<Vec<Result<ReceiveOutcome, ReceiveError>>, WriteError> {
    inner.write(true, |mut work| batches.iter().map(|batch| receive_one(&mut work, batch)).collect())
}

/// What a batch comes to, or why the storage failed.
fn receive_one(work: &mut Work<'_>, batch: &LogBatch) -> Result<Result<ReceiveOutcome, ReceiveError>, WriteError> {
    let checked = match check(work, batch) {
        Ok(Some(checked)) => checked,
        Ok(None) => {
            let (parked, _) = work.space(&batch.space)?.parked(batch.plane);
            return Ok(Ok(ReceiveOutcome { stored: 0, applied: 0, parked }));
        }
        Err(ReceiveError::Write(error)) => return Err(error),
        Err(refused @ ReceiveError::Fork { writer, .. }) if writer == work.inner.writer => {
            // Somebody else has this device's key and writes to its log: the next open begins another one.
            *work.dirty = true;
            super::file::retire(&mut work.tables)?;
            return Ok(Err(refused));
        }
        Err(refused) => return Ok(Err(refused)),
    };
    store(work, batch, checked.held, &checked.headers)?;
    let applied = apply_ready(work, &batch.space)?;
    let (parked, _) = work.space(&batch.space)?.parked(batch.plane);
    Ok(Ok(ReceiveOutcome { stored: checked.headers.len() as u64, applied, parked }))
}

/// What is known about a batch that may be stored.
struct Checked {
    /// How many of its entries are held already.
    held: usize,
    /// The headers of the others.
    headers: Vec<Header>,
}

/// Everything that can be wrong with a batch, before anything is stored. `None`: all of it is held.
fn check(work: &Work<'_>, batch: &LogBatch) -> Result<Option<Checked>, ReceiveError> {
    check_shape(batch)?;
    let space = work.state.spaces.get(&batch.space).cloned();
    let space = space.ok_or(ReceiveError::UnknownSpace { space: batch.space })?;
    let log = space.log(batch.plane, &batch.writer).cloned().unwrap_or_default();
    if batch.from > log.length() {
        if planted!(GapTaken) {
            return Ok(None);
        }
        return Err(ReceiveError::Gap { writer: batch.writer, from: batch.from, held: log.length() });
    }
    let counts = space.table.fork_length(batch.plane, &batch.writer);
    if log.length() >= counts && batch.head.length > log.length() {
        // All that counts is here; which of the histories goes on doesn't matter.
        return Err(ReceiveError::Fork { writer: batch.writer, plane: batch.plane, length: counts });
    }
    let root = match batch.head.root {
        Some(root) => root,
        None => root_after(work, &space, &log, batch)?,
    };
    let head = Prefix { length: batch.head.length, root };
    if head.length <= log.length() {
        let held = applied_root(&work.tables, &space, batch.plane, &batch.writer, head.length)?;
        return if held == head.root || planted!(ForkIgnored) { Ok(None) } else { Err(contradiction(batch, &head)) };
    }
    let held = usize::try_from(log.length() - batch.from).unwrap_or(usize::MAX);
    if batch.writer == work.inner.writer {
        // Only this file writes this log; who extends it has a copy of the file, or of the device's key.
        return Err(contradiction(batch, &head));
    }
    let (headers, runs) = check_entries(work, &space, &log, batch, held, &head)?;
    let bytes = batch.entries[held..].iter().map(|entry| (entry.header.len() + entry.body.len()) as u64).sum::<u64>();
    let (_, waiting) = space.parked(batch.plane);
    let limit = match (applies_at_once(work.inner, &space, &log, batch.plane, &headers), runs.open()) {
        // It does not wait, so what others park can't keep it out.
        (true, None) => u64::MAX,
        (true, Some(_)) => 2 * PARKED_BYTES_MAX,
        (false, _) => PARKED_BYTES_MAX,
    };
    if waiting + bytes > limit {
        return Err(ReceiveError::ParkingFull { waiting, limit });
    }
    Ok(Some(Checked { held, headers }))
}

/// The root over what is held before a batch, and its entries.
fn root_after(work: &Work<'_>, space: &SpaceState, log: &LogState, batch: &LogBatch) -> Result<[u8; 32], ReadError> {
    let mut frontier = if batch.from == log.length() {
        log.frontier.clone()
    } else {
        let rows = log_key(space.slot, batch.plane, log.slot);
        Frontier::at(&TreeRows { rows: &work.tables.tree, log: rows }, batch.from)?
    };
    for (sequence, entry) in (batch.from..).zip(&batch.entries) {
        let place = Place { space: batch.space, plane: batch.plane, writer: batch.writer, sequence };
        frontier.append(leaf_hash(&place, &entry.header));
    }
    Ok(frontier.root())
}

/// Whether the commits of a batch wait for nothing but each other.
fn applies_at_once(inner: &Inner, space: &SpaceState, log: &LogState, plane: Plane, headers: &[Header]) -> bool {
    let has_key = |header: &Header| match plane {
        Plane::Control => space.table.control_key.is_some(),
        Plane::Data => space.table.epochs.contains_key(&header.epoch) || is_relay(&space.table, inner),
    };
    log.applied == log.open_run && headers.iter().all(|header| has_key(header) && is_ready(space, plane, header))
}

fn invalid(batch: &LogBatch, why: impl std::fmt::Display) -> ReceiveError {
    ReceiveError::Invalid { writer: batch.writer, why: why.to_string() }
}

/// What can be said without the store.
fn check_shape(batch: &LogBatch) -> Result<(), ReceiveError> {
    if batch.entries.is_empty() || batch.entries.len() > BATCH_ENTRIES_MAX {
        return Err(invalid(batch, format_args!("{} entries", batch.entries.len())));
    }
    if batch.from.checked_add(batch.entries.len() as u64) != Some(batch.head.length) {
        return Err(invalid(batch, "it does not end at its head"));
    }
    let oversized = |entry: &super::LoggedEntry| entry.header.len() + entry.body.len() > ENTRY_BYTES_MAX;
    if batch.entries.iter().any(oversized) {
        return Err(invalid(batch, "an entry is over 256 KiB"));
    }
    Ok(())
}

/// Two histories of one log: evidence of a fork if the writer signed both, else the sender made it up.
fn contradiction(batch: &LogBatch, head: &Prefix) -> ReceiveError {
    if verify_head(&batch.space, batch.plane, &batch.writer, head, &batch.head.signature) {
        ReceiveError::Fork { writer: batch.writer, plane: batch.plane, length: head.length }
    } else {
        invalid(batch, "the head's signature is wrong")
    }
}

/// Headers, run rules, bodies, root, signature: all before anything is stored.
fn check_entries(
    work: &Work<'_>,
    space: &SpaceState,
    log: &LogState,
    batch: &LogBatch,
    new: usize,
    head: &Prefix,
) -> Result<(Vec<Header>, RunCheck), ReceiveError> {
    let mut headers = Vec::with_capacity(batch.entries.len() - new);
    let mut runs = open_run_check(work, space, log, batch.plane)?;
    let mut frontier = log.frontier.clone();
    for (sequence, entry) in (log.length()..).zip(&batch.entries[new..]) {
        let place = Place { space: batch.space, plane: batch.plane, writer: batch.writer, sequence };
        let header = Header::decode(&entry.header).map_err(|error| match error {
            HeaderError::Newer { version } => ReceiveError::Newer { writer: batch.writer, version },
            error => invalid(batch, error),
        })?;
        header.check_place(&place).map_err(|error| invalid(batch, error))?;
        runs.accept(&header).map_err(|error| invalid(batch, error))?;
        if !header.fits_body(&entry.body) {
            return Err(invalid(batch, "a body does not match its header"));
        }
        frontier.append(leaf_hash(&place, &entry.header));
        headers.push(header);
    }
    if !verify_head(&batch.space, batch.plane, &batch.writer, head, &batch.head.signature) {
        return Err(invalid(batch, "the head's signature is wrong"));
    }
    if frontier.root() != head.root {
        // Either the sender changed entries, or the writer signed a head that does not extend what is held. A proof
        // that leads from the prefix at `held` to this head tells which.
        return Err(ReceiveError::Inconsistent { writer: batch.writer, plane: batch.plane, held: log.length() });
    }
    Ok((headers, runs))
}

/// The run check at the end of what is held.
fn open_run_check(work: &Work<'_>, space: &SpaceState, log: &LogState, plane: Plane) -> Result<RunCheck, ReadError> {
    let mut check = RunCheck::new(plane);
    let rows = log_key(space.slot, plane, log.slot);
    if log.open_run == log.length() {
        return Ok(check);
    }
    let mut open: Option<OpenRun> = None;
    for row in work.tables.entries.range(&entry_key(rows, log.open_run)[..]..&entry_key(rows, log.length())[..])? {
        let row = row?;
        let (header, _) = super::append::split_entry(row.key(), row.value()?)?;
        let header = Header::decode(header).map_err(|_| super::tables::damaged("entries", row.key()))?;
        check.accept(&header).map_err(|_| super::tables::damaged("entries", row.key()))?;
        open = check.open().copied();
    }
    Ok(open.map_or(check, |open| RunCheck::resume(plane, open)))
}

fn store(work: &mut Work<'_>, batch: &LogBatch, new: usize, headers: &[Header]) -> Result<(), WriteError> {
    *work.dirty = true;
    work.changed.spaces.insert((batch.space, batch.plane));
    work.changed.counters.insert(batch.space);
    let space_slot = work.space(&batch.space)?.slot;
    let mut log = std::mem::take(work.log_mut(&batch.space, batch.plane, &batch.writer)?);
    let rows = log_key(space_slot, batch.plane, log.slot);
    for (entry, header) in batch.entries[new..].iter().zip(headers) {
        let place = Place { space: batch.space, plane: batch.plane, writer: batch.writer, sequence: log.length() };
        if header.last {
            log.open_run = place.sequence + 1;
        }
        let bytes = store_entry(&mut work.tables, rows, &mut log, &place, &entry.header, &entry.body)?;
        log.parked_bytes += bytes;
        *work.bytes += bytes;
    }
    log.head = log.length();
    work.tables.heads.insert(&entry_key(rows, log.length()), &batch.head.signature)?;
    *work.log_mut(&batch.space, batch.plane, &batch.writer)? = log;
    Ok(())
}
