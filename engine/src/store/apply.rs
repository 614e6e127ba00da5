//! Applying what is held: a commit takes effect when all of it is there, its dependencies are applied, the control
//! vector it was written under has been evaluated, and the key to open it is held. Until then it is parked.

use std::collections::BTreeMap;

use super::append::{applied_root, split_entry, store_order};
use super::group::{Work, lock};
use super::overlay::Overlay;
use super::rich_changes;
use super::state::{LogState, SpaceState, entry_key, log_key};
use super::tables::{Tables, damaged};
use super::voids::{Void, VoidReason};
use super::{Inner, ReadError};
use crate::document::fold::Origin;
use crate::document::state::Dot;
use crate::id::{SpaceId, WriterId};
use crate::log::run::join;
use crate::log::seal::{OpenError, Opener};
use crate::log::{Header, Place, Plane, Prefix};
use crate::operation::{Action, MAX_OPERATIONS, Operation, StreamError, decode_commit};
use crate::space::{EffectiveTable, Rank, SecretKey};

/// A commit in a log.
pub(crate) struct Run {
    /// The sequence number of the first entry.
    pub first: u64,
    /// The headers of all its entries.
    pub headers: Vec<Header>,
}

impl Run {
    pub fn end(&self) -> u64 {
        self.first + self.headers.len() as u64
    }
}

/// Why a held commit does not open.
pub(crate) enum OpenFailure {
    /// The key is not here; it may come.
    MissingKey,
    /// The author is at fault; every replica finds the same.
    Malformed(String),
}

/// The commit that starts at `first`, if all of it is within `length`.
pub(crate) fn run_at(tables: &impl Tables, rows: [u8; 9], first: u64, length: u64) -> Result<Option<Run>, ReadError> {
    let mut headers = Vec::new();
    for row in tables.entries().range(&entry_key(rows, first)[..]..&entry_key(rows, length)[..])? {
        let row = row?;
        let (header, _) = split_entry(row.key(), row.value()?)?;
        let header = Header::decode(header).map_err(|_| damaged("entries", row.key()))?;
        let last = header.last;
        headers.push(header);
        if last {
            return Ok(Some(Run { first, headers }));
        }
    }
    Ok(None)
}

/// Opens the bodies of the commit whose first entry is at `first`, and joins them.
pub(crate) fn open_run(
    opener: &mut Opener,
    tables: &impl Tables,
    first: Place,
    rows: [u8; 9],
    run: &Run,
    key: Option<&SecretKey>,
) -> Result<Result<Vec<u8>, OpenFailure>, ReadError> {
    let epoch = run.headers[0].epoch;
    let Some(key) = key else { return Ok(Err(OpenFailure::MissingKey)) };
    if key.epoch_id() != epoch {
        // The control plane has one key for ever; a data key was looked up by this id.
        return Ok(Err(OpenFailure::Malformed("the control plane is sealed under another key".to_owned())));
    }
    let mut chunks = Vec::with_capacity(run.headers.len());
    for (sequence, header) in (run.first..).zip(&run.headers) {
        let row_key = entry_key(rows, sequence);
        let row = tables.entries().get(&row_key)?.ok_or_else(|| damaged("entries", &row_key))?;
        let (header_bytes, body) = split_entry(&row_key, &row)?;
        let place = Place { sequence, ..first };
        match opener.open(&place, header, header_bytes, body, key) {
            Ok(chunk) => chunks.push(chunk),
            // The body was right when it came: the record is damaged, and that says nothing about the commit.
            Err(OpenError::Body) => return Err(damaged("entries", &row_key)),
            Err(error) => return Ok(Err(OpenFailure::Malformed(error.to_string()))),
        }
    }
    Ok(join(first.plane, chunks).map_err(|error| OpenFailure::Malformed(error.to_string())))
}

/// Applies everything in a space that is ready, until nothing more is. Gives how many commits were applied.
pub(crate) fn apply_ready(work: &mut Work<'_>, space: &SpaceId) -> Result<u64, ReadError> {
    let mut applied = 0;
    for plane in [Plane::Control, Plane::Data] {
        loop {
            let before = applied;
            let waiting: Vec<WriterId> = work
                .space(space)?
                .logs(plane)
                .iter()
                .filter(|(_, log)| log.applied < log.length())
                .map(|(writer, _)| *writer)
                .collect();
            for writer in waiting {
                while apply_next(work, space, plane, &writer)? {
                    applied += 1;
                }
            }
            if applied == before {
                break;
            }
        }
    }
    Ok(applied)
}

/// What a ready commit comes to.
enum Outcome {
    /// It waits.
    Parked,
    /// It counts for nothing, on every replica alike.
    Void(Void),
    Control,
    /// Kept for others by a relay, which can't open it.
    Sealed,
    Data(Vec<Operation>, Vec<rich_changes::Change>),
}

/// Applies the next commit of a log. False: there is none, or it has to wait.
fn apply_next(work: &mut Work<'_>, id: &SpaceId, plane: Plane, writer: &WriterId) -> Result<bool, ReadError> {
    let space = work.space(id)?.clone();
    let Some(log) = space.log(plane, writer) else { return Ok(false) };
    let rows = log_key(space.slot, plane, log.slot);
    let Some(run) = run_at(&work.tables, rows, log.applied, log.length())? else { return Ok(false) };
    let outcome = judge(work, &space, plane, writer, rows, &run)?;
    // Not held while the space changes, or every commit would copy it.
    drop(space);
    if matches!(outcome, Outcome::Parked) {
        return Ok(false);
    }
    *work.dirty = true;
    let bytes = run_bytes(work, rows, &run)?;
    let (past, control) = lists(work, &run)?;
    let log = work.log_mut(id, plane, writer)?;
    let slot = log.slot;
    let first = log.applied;
    log.applied = run.end();
    if !planted!(ParkedBytesKept) {
        log.parked_bytes = log.parked_bytes.saturating_sub(bytes);
    }
    fold(&mut log.past, &past);
    fold(&mut log.control, &control);
    let past = log.past.clone();
    match outcome {
        Outcome::Data(operations, changes) => {
            let dot = Dot { writer: slot, sequence: first };
            let saw = |other: Dot| {
                if other.writer == slot {
                    other.sequence <= first
                } else {
                    past.get(&other.writer).is_some_and(|length| *length > other.sequence)
                }
            };
            let origin = Origin { dot, timestamp_ms: run.headers[0].timestamp_ms, saw: &saw };
            let mut overlay = Overlay::new(*id);
            for operation in &operations {
                if planted!(DeleteDropped) && operation.action == Action::Delete {
                    continue;
                }
                overlay.fold(work, operation, &origin)?;
                if planted!(AppliedTwice) {
                    overlay.fold(work, operation, &origin)?;
                }
            }
            overlay.store(work)?;
            for change in changes.iter().filter(|_| !planted!(TextForgotten)) {
                record_change(work, id, writer, first, change)?;
            }
        }
        Outcome::Void(void) => {
            work.tables.voids.insert(&entry_key(rows, first), &void.encode())?;
            if plane == Plane::Data {
                work.space_mut(id)?.voids += 1;
            }
        }
        Outcome::Control | Outcome::Sealed | Outcome::Parked => {}
    }
    let space = work.space_mut(id)?;
    let number = space.applied_commits[plane as usize];
    space.applied_commits[plane as usize] += 1;
    let space_slot = space.slot;
    store_order(&mut work.tables, space_slot, plane, number, slot, run.first..run.end())?;
    work.changed.counters.insert(*id);
    work.changed.spaces.insert((*id, plane));
    Ok(true)
}

/// Decides what becomes of a complete commit, from the cheapest question to the dearest.
fn judge(
    work: &mut Work<'_>,
    space: &SpaceState,
    plane: Plane,
    writer: &WriterId,
    rows: [u8; 9],
    run: &Run,
) -> Result<Outcome, ReadError> {
    let table = &space.table;
    if run.end() > table.fork_length(plane, writer) {
        // Nothing that follows in this log counts, so nothing has to be there.
        let why = format!("there is another history of {writer} from entry {} on", table.fork_length(plane, writer));
        return Ok(Outcome::Void(Void::new(VoidReason::Fork, why)));
    }
    // A commit that will be void waits like any other: its lists are folded into what its writer saw.
    let too_early =
        |header: &Header| planted!(ClockDecides) && header.timestamp_ms > work.inner.host.now_ms() + 3_600_000;
    if !run.headers.iter().all(|header| is_ready(space, plane, header) && !too_early(header)) {
        return Ok(Outcome::Parked);
    }
    if let Some(why) = wrong_lists(work, space, plane, writer, run)? {
        return Ok(Outcome::Void(Void::new(VoidReason::Past, why)));
    }
    let first = Place { space: space.id, plane, writer: *writer, sequence: run.first };
    if plane == Plane::Control {
        return Ok(
            match open_run(&mut lock(&work.inner.opener), &work.tables, first, rows, run, table.control_key.as_ref())? {
                Ok(_) => Outcome::Control,
                Err(OpenFailure::MissingKey) => Outcome::Parked,
                Err(OpenFailure::Malformed(why)) => Outcome::Void(Void::new(VoidReason::Unreadable, why)),
            },
        );
    }
    if let Some(void) = lacks_authority(space, writer, run) {
        return Ok(Outcome::Void(void));
    }
    if is_relay(&space.table, work.inner) {
        return Ok(Outcome::Sealed);
    }
    let key = table.epochs.get(&run.headers[0].epoch);
    let stream = match open_run(&mut lock(&work.inner.opener), &work.tables, first, rows, run, key)? {
        Ok(stream) => stream,
        Err(OpenFailure::MissingKey) => return Ok(Outcome::Parked),
        Err(OpenFailure::Malformed(why)) => return Ok(Outcome::Void(Void::new(VoidReason::Unreadable, why))),
    };
    let operations = match decode_commit(&stream) {
        Ok(operations) => operations,
        Err(StreamError::Unknown { .. }) if may_be_newer(space, writer, run) => return Ok(Outcome::Parked),
        Err(error) => return Ok(Outcome::Void(Void::new(VoidReason::Unreadable, error.to_string()))),
    };
    let reach = generations_within_reach(past_total(work, space, writer, run) + run.first);
    if let Some(why) = malformed(space, writer, &operations, reach) {
        return Ok(Outcome::Void(Void::new(VoidReason::Operation, why)));
    }
    Ok(match rich_changes::check(work, space, writer, run, &operations)? {
        Ok(changes) => Outcome::Data(operations, changes),
        Err(why) => Outcome::Void(Void::new(VoidReason::Change, why)),
    })
}

/// Whether this device stores and forwards what it cannot read.
pub(crate) fn is_relay(table: &EffectiveTable, inner: &Inner) -> bool {
    table.rank(&inner.writer.device) == Some(Rank::Relay)
}

/// Whether a commit was written under a feature level that this software does not know.
fn may_be_newer(space: &SpaceState, writer: &WriterId, run: &Run) -> bool {
    let log = space.log(Plane::Data, writer);
    let known_to_log = |of: &WriterId| {
        let slot = space.log(Plane::Control, of).map(|log| log.slot);
        slot.and_then(|slot| log?.control.get(&slot).copied()).unwrap_or(0)
    };
    let known_to_run = |of: &WriterId| {
        let moved = run.headers.iter().flat_map(|header| &header.control).filter(|(other, _)| other == of);
        moved.map(|(_, prefix)| prefix.length).max().unwrap_or(0)
    };
    space.table.raised.iter().any(|(of, length)| known_to_log(of).max(known_to_run(of)) >= *length)
}

/// Whether all that an entry was written after is applied here. What lies beyond a cut or a fork counts for nothing and may
/// never come, so it is not waited for.
pub(crate) fn is_ready(space: &SpaceState, plane: Plane, header: &Header) -> bool {
    let reaches = |plane, writer: &WriterId, there: u64, wanted: u64| {
        let counts = space.table.effective_length(plane, writer);
        // The commit in which a log stops to count may never be whole.
        let ends = |log: &LogState| log.length() >= counts && log.open_run == log.applied;
        there >= wanted.min(counts) || counts < wanted && space.log(plane, writer).is_some_and(ends)
    };
    let is_applied = |writer: &WriterId, length: u64| {
        let applied = space.log(plane, writer).map_or(0, |log| log.applied);
        planted!(DependencyIgnored) || reaches(plane, writer, applied, length)
    };
    let is_evaluated =
        |writer: &WriterId, length: u64| reaches(Plane::Control, writer, space.table.control.length(writer), length);
    header.dependencies.iter().all(|(writer, prefix)| is_applied(writer, prefix.length))
        && header.control.iter().all(|(writer, prefix)| is_evaluated(writer, prefix.length))
}

/// What is wrong with the lists of a commit whose dependencies are met, if anything.
fn wrong_lists(
    work: &Work<'_>,
    space: &SpaceState,
    plane: Plane,
    writer: &WriterId,
    run: &Run,
) -> Result<Option<String>, ReadError> {
    let log = space.log(plane, writer);
    let dependencies = run.headers.iter().flat_map(|header| &header.dependencies);
    let control = run.headers.iter().flat_map(|header| &header.control);
    let mut seen = [BTreeMap::new(), BTreeMap::new()];
    for (list, folded, (other, prefix)) in (dependencies.map(|moved| (plane, log.map(|log| &log.past), moved)))
        .chain(control.map(|moved| (Plane::Control, log.map(|log| &log.control), moved)))
    {
        let slot = work.state.names.writer_slot(other);
        let before = slot.and_then(|slot| folded?.get(&slot).copied()).unwrap_or(0);
        let is_control_of_data = usize::from(list != plane);
        let before = seen[is_control_of_data].insert(*other, prefix.length).unwrap_or(before);
        if prefix.length <= before {
            return Ok(Some(format!("it repeats or moves back what it saw of {other}")));
        }
        if prefix.length > space.table.effective_length(list, other) {
            // Whether it is held here may not matter.
            continue;
        }
        if applied_root(&work.tables, space, list, other, prefix.length)? != prefix.root {
            return Ok(Some(format!("it was written after another history of {other}")));
        }
        if !ends_commit(work, space, list, other, prefix.length)? {
            return Ok(Some(format!("it was written after a part of a commit of {other}")));
        }
    }
    Ok(None)
}

/// Why the author of a commit had no right to write it, if so.
fn lacks_authority(space: &SpaceState, writer: &WriterId, run: &Run) -> Option<Void> {
    let Some(authority) = space.table.devices.get(&writer.device) else {
        return Some(Void::new(VoidReason::Rank, format!("device {} is not a member", writer.device)));
    };
    if authority.rank < crate::space::Rank::Writer {
        return Some(Void::new(VoidReason::Rank, format!("device {} may not write", writer.device)));
    }
    let is_cut = run.end() > authority.effective_length(writer.incarnation) && !planted!(RemovedStillHeard);
    is_cut.then(|| Void::new(VoidReason::Cut, format!("{writer} was removed before")))
}

/// The sum of the lengths of a commit's vector as far as they count, its writer's own log not counted.
fn past_total(work: &Work<'_>, space: &SpaceState, writer: &WriterId, run: &Run) -> u64 {
    let past = space.log(Plane::Data, writer).into_iter().flat_map(|log| &log.past);
    let past = past.filter_map(|(slot, length)| Some((*work.state.names.writer_at(*slot)?, *length)));
    let mut lengths: BTreeMap<WriterId, u64> = past.collect();
    let moved = run.headers.iter().flat_map(|header| &header.dependencies);
    lengths.extend(moved.map(|(other, prefix)| (*other, prefix.length)));
    // What lies beyond a cut was not checked: it could be any number.
    lengths.iter().map(|(other, length)| (*length).min(space.table.effective_length(Plane::Data, other))).sum()
}

/// The greatest generation that a commit can name honestly: every operation in its past, and every one of its own, opens
/// one at most. So nobody uses up a document's generations.
fn generations_within_reach(vector_total: u64) -> u64 {
    vector_total.saturating_add(1).saturating_mul(MAX_OPERATIONS as u64)
}

/// Why a commit counts for nothing although its author may write, if so. Decided from the commit and its past alone.
fn malformed(space: &SpaceState, writer: &WriterId, operations: &[Operation], reach: u64) -> Option<String> {
    let rank = space.table.devices.get(&writer.device).map(|authority| authority.rank);
    operations.iter().find_map(|operation| {
        let at = || format!("{}/{}", operation.collection, operation.id);
        if rank < Some(operation.least_rank()) {
            return Some(format!("{}: needs rank {:?}", at(), operation.least_rank()));
        }
        if operation.generation > reach {
            return Some(format!("{}: generation {} is out of reach", at(), operation.generation));
        }
        match operation.action {
            Action::Restore { continues } if continues >= operation.generation => {
                Some(format!("{}: generation {} can't continue {continues}", at(), operation.generation))
            }
            _ => None,
        }
    })
}

/// Brings a change of text or json into its cell's rows.
fn record_change(
    work: &mut Work<'_>,
    id: &SpaceId,
    writer: &WriterId,
    sequence: u64,
    change: &rich_changes::Change,
) -> Result<(), ReadError> {
    let space = work.space(id)?.clone();
    let key = super::records::document_key(change.collection, space.slot, &change.id);
    let state = super::records::load_state(&work.tables, &work.state.names, &key)?.unwrap_or_default();
    let chain = state.chain(change.generation);
    rich_changes::record(work, &space, &chain, change, writer, sequence, None).map_err(|error| match error {
        super::WriteError::Read(error) => error,
        other => super::tables::storage(other),
    })
}

fn ends_commit(
    work: &Work<'_>,
    space: &SpaceState,
    plane: Plane,
    writer: &WriterId,
    length: u64,
) -> Result<bool, ReadError> {
    let Some(log) = space.log(plane, writer) else { return Ok(false) };
    if length == log.applied {
        return Ok(true);
    }
    let key = entry_key(log_key(space.slot, plane, log.slot), length - 1);
    let row = work.tables.entries.get(&key)?.ok_or_else(|| damaged("entries", &key))?;
    let (header, _) = split_entry(&key, &row)?;
    Ok(Header::decode(header).map_err(|_| damaged("entries", &key))?.last)
}

fn run_bytes(work: &Work<'_>, rows: [u8; 9], run: &Run) -> Result<u64, ReadError> {
    let mut bytes = 0;
    for sequence in run.first..run.end() {
        let key = entry_key(rows, sequence);
        bytes += work.tables.entries.get(&key)?.ok_or_else(|| damaged("entries", &key))?.len() as u64;
    }
    Ok(bytes)
}

type Lengths = Vec<(u32, u64)>;

/// Moves a folded list forward.
fn fold(folded: &mut BTreeMap<u32, u64>, moved: &Lengths) {
    for (slot, length) in moved {
        let folded = folded.entry(*slot).or_insert(0);
        *folded = (*folded).max(*length);
    }
}

/// The lists of a commit with writers as slots.
fn lists(work: &mut Work<'_>, run: &Run) -> Result<(Lengths, Lengths), ReadError> {
    let mut slots = |list: &mut dyn Iterator<Item = &(WriterId, Prefix)>| {
        list.map(|(writer, prefix)| {
            let slot = super::names::intern_writer(&mut work.state.names, &mut work.tables, writer)?;
            Ok((slot, prefix.length))
        })
        .collect::<Result<Lengths, ReadError>>()
    };
    Ok((
        slots(&mut run.headers.iter().flat_map(|header| &header.dependencies))?,
        slots(&mut run.headers.iter().flat_map(|header| &header.control))?,
    ))
}
