//! Taking a batch of another replica: the cheap checks first, then the signature, then one storage transaction.

use super::append::{applied_root, store_entry};
use super::apply::{apply_ready, is_ready, is_relay};
use super::group::Work;
use super::state::{LogState, SpaceState, entry_key, log_key};
use super::{Inner, LogBatch, ReadError, ReceiveError, ReceiveOutcome, WriteError};
use crate::log::header::ENTRY_BYTES_MAX;
use crate::log::run::{OpenRun, RunCheck};
use crate::log::tree::leaf_hash;
use crate::log::{Header, HeaderError, Place, Plane, verify_head};

/// At most so many entries in one batch.
pub(crate) const BATCH_ENTRIES_MAX: usize = 1_024;
/// At most so many bytes wait for dependencies or keys in one plane of one space; twice as many with the beginnings of
/// commits that wait for nothing but their end.
const PARKED_BYTES_MAX: u64 = 64 << 20;

pub(crate) fn receive(inner: &Inner, batch: &LogBatch) -> Result<ReceiveOutcome, ReceiveError> {
    check_shape(batch)?;
    inner.write(true, |mut work| {
        let space = work.state.spaces.get(&batch.space).cloned();
        let space = space.ok_or(ReceiveError::UnknownSpace { space: batch.space })?;
        let log = space.log(batch.plane, &batch.writer).cloned().unwrap_or_default();
        if batch.from > log.length() {
            return Err(ReceiveError::Gap { writer: batch.writer, from: batch.from, held: log.length() });
        }
        let head = &batch.head.prefix;
        if head.length <= log.length() {
            let held = applied_root(&work.tables, &space, batch.plane, &batch.writer, head.length)?;
            if held != head.root {
                return Err(contradiction(batch));
            }
            let (parked, _) = space.parked(batch.plane);
            return Ok(ReceiveOutcome { stored: 0, applied: 0, parked });
        }
        let new = usize::try_from(log.length() - batch.from).unwrap_or(usize::MAX);
        if batch.writer == inner.writer {
            // Only this file writes this log; who extends it has a copy of the file, or of the device's key.
            return Err(contradiction(batch));
        }
        let (headers, runs) = check_entries(&work, &space, &log, batch, new)?;
        let bytes =
            batch.entries[new..].iter().map(|entry| (entry.header.len() + entry.body.len()) as u64).sum::<u64>();
        let (_, waiting) = space.parked(batch.plane);
        let limit = match (applies_at_once(inner, &space, &log, batch.plane, &headers), runs.open()) {
            // It does not wait, so what others park can't keep it out.
            (true, None) => u64::MAX,
            (true, Some(_)) => 2 * PARKED_BYTES_MAX,
            (false, _) => PARKED_BYTES_MAX,
        };
        if waiting + bytes > limit {
            return Err(ReceiveError::ParkingFull { waiting, limit });
        }
        store(&mut work, batch, new, &headers)?;
        let applied = apply_ready(&mut work, &batch.space)?;
        let (parked, _) = work.space(&batch.space)?.parked(batch.plane);
        Ok(ReceiveOutcome { stored: (batch.entries.len() - new) as u64, applied, parked })
    })
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
    if batch.from.checked_add(batch.entries.len() as u64) != Some(batch.head.prefix.length) {
        return Err(invalid(batch, "it does not end at its head"));
    }
    let oversized = |entry: &super::LoggedEntry| entry.header.len() + entry.body.len() > ENTRY_BYTES_MAX;
    if batch.entries.iter().any(oversized) {
        return Err(invalid(batch, "an entry is over 256 KiB"));
    }
    Ok(())
}

/// Two histories of one log: evidence of a fork if the writer signed both, else the sender made it up.
fn contradiction(batch: &LogBatch) -> ReceiveError {
    if verify_head(&batch.space, batch.plane, &batch.writer, &batch.head.prefix, &batch.head.signature) {
        ReceiveError::Fork { writer: batch.writer, plane: batch.plane, length: batch.head.prefix.length }
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
    if !verify_head(&batch.space, batch.plane, &batch.writer, &batch.head.prefix, &batch.head.signature) {
        return Err(invalid(batch, "the head's signature is wrong"));
    }
    if frontier.root() != batch.head.prefix.root {
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
        store_entry(&mut work.tables, rows, &mut log, &place, &entry.header, &entry.body)?;
        let bytes = (entry.header.len() + entry.body.len()) as u64;
        log.parked_bytes += bytes;
        *work.bytes += bytes;
    }
    log.head = log.length();
    work.tables.heads.insert(&entry_key(rows, log.length()), &batch.head.signature)?;
    *work.log_mut(&batch.space, batch.plane, &batch.writer)? = log;
    Ok(())
}
