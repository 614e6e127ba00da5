//! Appending a commit to this writer's own log: cut, seal, hash, store, and mark it applied.

use super::group::{Work, lock, sign_head};
use super::state::{LogState, entry_key, log_key, order_key};
use super::tables::{Opens, Table, Tables, WriteTables, damaged};
use super::{Inner, ReadError, WriteError};
use crate::codec::{self, Reader};
use crate::id::{EpochId, SpaceId, WriterId};
use crate::log::run::{RunError, cut};
use crate::log::seal::EntryDraft;
use crate::log::tree::{leaf_hash, root_at};
use crate::log::{NodeSource, Place, Plane, Prefix, VersionVector};
use crate::space::{Rank, SecretKey};

/// What lies between two heads is no longer than this, or one entry: who receives it holds all of it before any can be checked.
const HEAD_BYTES_MAX: u64 = 256 << 10;
/// At most so many entries between two heads.
const HEAD_ENTRIES_MAX: u64 = 1_000;

const FORKED: &str = "a copy of this database wrote to its log too; open the database again to begin a new one";

/// Appends one commit to the control log, and returns when it is durable.
pub(crate) fn control(inner: &Inner, space: &SpaceId, body: &[u8]) -> Result<(), WriteError> {
    inner.write(true, |mut work| {
        let key = work.space(space)?.table.control_key.clone();
        let key = key.ok_or_else(|| forbidden(space, "it holds no control key of it"))?;
        if work.space(space)?.table.effective_length(Plane::Control, &inner.writer) < u64::MAX {
            return Err(forbidden(space, FORKED));
        }
        append(&mut work, space, Plane::Control, body, &key, inner.host.now_ms())
    })
}

/// The key to seal this device's next data commit with.
///
/// # Errors
/// [`WriteError::Forbidden`] when this device's rank or keys don't allow a commit.
pub(crate) fn data_key(work: &Work<'_>, space: &SpaceId) -> Result<SecretKey, WriteError> {
    let table = &work.space(space)?.table;
    let writer = &work.inner.writer;
    let rank = table.rank(&writer.device).ok_or_else(|| forbidden(space, "it is not a member"))?;
    if rank < Rank::Writer && !planted!(ReaderWrites) {
        return Err(forbidden(space, "its rank is below writer"));
    }
    let held = work.space(space)?.log(Plane::Data, writer).map_or(0, LogState::length);
    if table.fork_length(Plane::Data, writer) < u64::MAX {
        return Err(forbidden(space, FORKED));
    }
    if table.effective_length(Plane::Data, writer) <= held && !planted!(ClosedLogWritten) {
        return Err(forbidden(space, "its log was closed by a removal; open the database again to begin a new one"));
    }
    let no_key = || forbidden(space, "it holds no current epoch key; connect to a member that does");
    let mut epoch: EpochId = table.write_epoch.ok_or_else(no_key)?;
    if planted!(OldEpochUsed) {
        epoch = table.epochs.keys().find(|other| **other != epoch).copied().unwrap_or(epoch);
    }
    table.epochs.get(&epoch).cloned().ok_or_else(no_key)
}

pub(crate) fn forbidden(space: &SpaceId, why: &str) -> WriteError {
    WriteError::Forbidden { space: *space, why: why.to_owned() }
}

/// Cuts, seals and stores a commit at the end of this writer's log of `plane`, and counts it as applied.
pub(crate) fn append(
    work: &mut Work<'_>,
    space: &SpaceId,
    plane: Plane,
    stream: &[u8],
    key: &SecretKey,
    timestamp_ms: i64,
) -> Result<(), WriteError> {
    let writer = work.inner.writer;
    let own = work.log_mut(space, plane, &writer)?;
    let slot = own.slot;
    if own.applied < own.length() {
        // A commit on top would count them as applied although they are not in the documents.
        return Err(forbidden(space, "earlier commits of it wait for a key or a member's log"));
    }
    let moved = moved(work, space, plane, slot)?;
    let parts = cut(plane, stream, &moved.dependencies, &moved.control).map_err(|error| match error {
        RunError::CommitTooLarge { length, limit } => {
            WriteError::TooLarge { what: "the transaction", size: length as u64, limit: limit as u64 }
        }
        other => WriteError::Invalid { why: other.to_string() },
    })?;
    *work.dirty = true;
    work.changed.spaces.insert((*space, plane));
    work.changed.counters.insert(*space);
    let inner = work.inner;
    let state =
        std::sync::Arc::make_mut(work.state.spaces.get_mut(space).ok_or(ReadError::UnknownSpace { space: *space })?);
    let space_slot = state.slot;
    let log = state.logs[plane as usize].get_mut(&writer).expect("made above");
    let first = log.length();
    let log_rows = log_key(space_slot, plane, slot);
    let mut sealer = lock(&inner.sealer);
    for part in parts {
        let place = Place { space: *space, plane, writer, sequence: log.length() };
        let mut random = [0; 16];
        inner.host.fill_random(&mut random);
        let draft = EntryDraft {
            timestamp_ms,
            first: part.first,
            last: part.last,
            dependencies: part.dependencies,
            control: part.control,
        };
        let sealed = sealer
            .seal(&place, draft, key, random, part.chunk)
            .map_err(|error| WriteError::Invalid { why: error.to_string() })?;
        let bytes = (sealed.header.len() + sealed.body.len()) as u64;
        let unsigned = log.length() - log.head;
        if unsigned >= HEAD_ENTRIES_MAX || unsigned > 0 && log.unsigned_bytes + bytes > HEAD_BYTES_MAX {
            sign_head(inner, &mut work.tables, space, space_slot, plane, log)?;
        }
        store_entry(&mut work.tables, log_rows, log, &place, &sealed.header, &sealed.body)?;
        log.unsigned_bytes += bytes;
        *work.bytes += bytes;
    }
    log.applied = log.length();
    log.open_run = log.length();
    log.past.extend(moved.past);
    log.control.extend(moved.control_lengths);
    let length = log.length();
    let number = state.applied_commits[plane as usize];
    state.applied_commits[plane as usize] += 1;
    store_order(&mut work.tables, space_slot, plane, number, slot, first..length)?;
    Ok(())
}

/// Stores one entry and its hashes at the end of a log. Gives how many bytes its row has.
pub(crate) fn store_entry(
    tables: &mut WriteTables<'_>,
    rows: [u8; 9],
    log: &mut LogState,
    place: &Place,
    header: &[u8],
    body: &[u8],
) -> Result<u64, ReadError> {
    let key = entry_key(rows, place.sequence);
    let mut row = Vec::with_capacity(header.len() + body.len() + 4);
    codec::put_bytes(&mut row, header);
    row.extend_from_slice(body);
    tables.entries.insert(&key, &row)?;
    let hashes = log.frontier.append(leaf_hash(place, header));
    tables.tree.insert(&key, hashes.as_flattened())?;
    Ok(row.len() as u64)
}

/// Splits a stored entry into header and body.
pub(crate) fn split_entry<'e>(key: &[u8], row: &'e [u8]) -> Result<(&'e [u8], &'e [u8]), ReadError> {
    let mut reader = Reader::new(row);
    let header = reader.bytes().map_err(|_| damaged("entries", key))?;
    let body = reader.take(reader.remaining()).map_err(|_| damaged("entries", key))?;
    Ok((header, body))
}

/// Notes that the commit of `writer` over these entries was applied next.
pub(crate) fn store_order(
    tables: &mut WriteTables<'_>,
    space: u32,
    plane: Plane,
    number: u64,
    writer: u32,
    entries: std::ops::Range<u64>,
) -> Result<(), ReadError> {
    let mut row = Vec::with_capacity(16);
    codec::put_varint(&mut row, u64::from(writer));
    codec::put_varint(&mut row, entries.start);
    codec::put_varint(&mut row, entries.end - entries.start - 1);
    tables.order.insert(&order_key(space, plane, number), &row)
}

/// What moved since this writer's previous entry.
struct MovedLogs {
    dependencies: VersionVector,
    control: VersionVector,
    past: Vec<(u32, u64)>,
    control_lengths: Vec<(u32, u64)>,
}

fn moved(work: &mut Work<'_>, space: &SpaceId, plane: Plane, own: u32) -> Result<MovedLogs, ReadError> {
    let state = work.space(space)?.clone();
    let own_log = state.log(plane, &work.inner.writer).expect("made by the caller");
    let mut moved = MovedLogs {
        dependencies: VersionVector::default(),
        control: VersionVector::default(),
        past: Vec::new(),
        control_lengths: Vec::new(),
    };
    for (writer, log) in state.logs(plane) {
        if log.slot == own || log.applied <= own_log.past.get(&log.slot).copied().unwrap_or(0) {
            continue;
        }
        let root = applied_root(&work.tables, &state, plane, writer, log.applied)?;
        moved.dependencies.set(*writer, Prefix { length: log.applied, root });
        moved.past.push((log.slot, log.applied));
    }
    if plane == Plane::Data {
        for (writer, prefix) in state.table.control.iter() {
            let slot = super::names::intern_writer(&mut work.state.names, &mut work.tables, writer)?;
            if prefix.length > own_log.control.get(&slot).copied().unwrap_or(0) {
                moved.control.set(*writer, *prefix);
                moved.control_lengths.push((slot, prefix.length));
            }
        }
    }
    Ok(moved)
}

/// The root of a log's first `length` entries; `length` is at most what is held.
pub(crate) fn applied_root(
    tables: &impl Tables,
    space: &super::state::SpaceState,
    plane: Plane,
    writer: &WriterId,
    length: u64,
) -> Result<[u8; 32], ReadError> {
    let Some(log) = space.log(plane, writer) else { return Ok(crate::log::EMPTY_ROOT) };
    if length == log.length() {
        return Ok(log.frontier.root());
    }
    root_at(&TreeRows { rows: tables.tree(), log: log_key(space.slot, plane, log.slot) }, length)
}

/// The stored hashes of one log.
pub(crate) struct TreeRows<'t, R> {
    pub rows: &'t Table<R>,
    pub log: [u8; 9],
}

impl<R: Opens> NodeSource for TreeRows<'_, R> {
    type Error = ReadError;

    fn node(&self, level: u32, index: u64) -> Result<[u8; 32], ReadError> {
        let key = entry_key(self.log, ((index + 1) << level) - 1);
        let hashes = self.rows.get(&key)?.ok_or_else(|| damaged("tree", &key))?;
        let at = level as usize * 32;
        hashes.get(at..at + 32).and_then(|hash| hash.try_into().ok()).ok_or_else(|| damaged("tree", &key))
    }
}
