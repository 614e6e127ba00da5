//! Logs and vectors for the sync session. Only what is durable is shown: nothing leaves the device before.

use std::collections::{BTreeMap, BTreeSet};

use super::append::{TreeRows, applied_root, split_entry};
use super::apply::{OpenFailure, open_run, run_at};
use super::receive::BATCH_ENTRIES_MAX;
use super::state::{SpaceState, entry_key, log_key, order_key};
use super::tables::damaged;
use super::voids::Void;
use super::{ControlCommit, ControlRecord, Inner, LogBatch, LoggedEntry, Published, ReadError, SignedHead, VoidCommit};
use crate::codec::Reader;
use crate::id::{EpochId, SpaceId, WriterId};
use crate::log::seal::Opener;
use crate::log::tree::{consistency_proof, inclusion_proof, root_at};
use crate::log::{Branch, Header, NodeSource, Place, Plane, Prefix, VersionVector};

fn space<'p>(published: &'p Published, space: &SpaceId) -> Result<&'p SpaceState, ReadError> {
    let state = if planted!(SentBeforeDurable) { &published.state } else { &published.durable };
    state.spaces.get(space).map(|space| &**space).ok_or(ReadError::UnknownSpace { space: *space })
}

pub(crate) fn vector(inner: &Inner, id: &SpaceId, plane: Plane) -> Result<VersionVector, ReadError> {
    Ok(space(&inner.published(), id)?.vector(plane))
}

pub(crate) fn applied(inner: &Inner, id: &SpaceId, plane: Plane) -> Result<VersionVector, ReadError> {
    let published = inner.published();
    let space = space(&published, id)?;
    let mut vector = VersionVector::default();
    for (writer, log) in space.logs(plane) {
        let root = applied_root(&*published.tables, space, plane, writer, log.applied)?;
        vector.set(*writer, Prefix { length: log.applied, root });
    }
    Ok(vector)
}

pub(crate) fn read_log(
    published: &Published,
    id: &SpaceId,
    plane: Plane,
    writer: &WriterId,
    from: u64,
    max_bytes: usize,
) -> Result<Option<LogBatch>, ReadError> {
    let tables = &*published.tables;
    let space = space(published, id)?;
    let Some(log) = space.log(plane, writer).filter(|log| from < log.head) else { return Ok(None) };
    let rows = log_key(space.slot, plane, log.slot);
    let mut entries: Vec<LoggedEntry> = Vec::new();
    let mut bytes = 0;
    let mut end: Option<(u64, [u8; 64])> = None;
    for row in tables.heads.range(&entry_key(rows, from + 1)[..]..=&entry_key(rows, log.head)[..])? {
        let row = row?;
        let wrong = || damaged("heads", row.key());
        let (_, length) = row.key().split_last_chunk::<8>().ok_or_else(wrong)?;
        let length = u64::from_be_bytes(*length);
        let signature = row.value()?.try_into().map_err(|_| wrong())?;
        let already = entries.len();
        let start = from + already as u64;
        for row in tables.entries.range(&entry_key(rows, start)[..]..&entry_key(rows, length)[..])? {
            let row = row?;
            let (header, body) = split_entry(row.key(), row.value()?)?;
            bytes += header.len() + body.len();
            if end.is_some() && (bytes > max_bytes || entries.len() >= BATCH_ENTRIES_MAX) {
                break;
            }
            entries.push(LoggedEntry { header: header.to_vec(), body: body.to_vec() });
        }
        if from + entries.len() as u64 != length {
            entries.truncate(already);
            break;
        }
        end = Some((length, signature));
        if bytes >= max_bytes {
            break;
        }
    }
    let Some((length, signature)) = end else { return Err(tables.entries.damaged(&entry_key(rows, from))) };
    let root = applied_root(tables, space, plane, writer, length)?;
    let head = SignedHead { length, root: Some(root), signature };
    Ok(Some(LogBatch { space: *id, plane, writer: *writer, from, entries, head }))
}

pub(crate) fn prefix_at(
    inner: &Inner,
    id: &SpaceId,
    plane: Plane,
    writer: &WriterId,
    length: u64,
) -> Result<Option<Prefix>, ReadError> {
    let published = inner.published();
    let space = space(&published, id)?;
    if space.log(plane, writer).is_none_or(|log| log.length() < length) {
        return Ok(None);
    }
    let root = applied_root(&*published.tables, space, plane, writer, length)?;
    Ok(Some(Prefix { length, root }))
}

pub(crate) fn prefix_proof(
    inner: &Inner,
    id: &SpaceId,
    plane: Plane,
    writer: &WriterId,
    old: u64,
    new: u64,
) -> Result<Option<Vec<[u8; 32]>>, ReadError> {
    let published = inner.published();
    let space = space(&published, id)?;
    let Some(log) = space.log(plane, writer).filter(|log| old <= new && new <= log.length()) else { return Ok(None) };
    let rows = TreeRows { rows: &published.tables.tree, log: log_key(space.slot, plane, log.slot) };
    consistency_proof(&rows, old, new).map(Some)
}

/// What this database holds of a log beyond `shared`, as one of its histories. `None`: it holds no more, or another beginning.
pub(crate) fn branch(
    inner: &Inner,
    id: &SpaceId,
    plane: Plane,
    writer: &WriterId,
    shared: &Prefix,
) -> Result<Option<Branch>, ReadError> {
    let published = inner.published();
    let (tables, space) = (&*published.tables, space(&published, id)?);
    let Some(log) = space.log(plane, writer).filter(|log| shared.length < log.head) else { return Ok(None) };
    let rows = log_key(space.slot, plane, log.slot);
    let tree = TreeRows { rows: &tables.tree, log: rows };
    if root_at(&tree, shared.length)? != shared.root {
        return Ok(None);
    }
    // The first head beyond gives the shortest proof.
    let (first, last) = (entry_key(rows, shared.length + 1), entry_key(rows, log.head));
    let Some(row) = tables.heads.range(&first[..]..=&last[..])?.next().transpose()? else { return Ok(None) };
    let wrong = || damaged("heads", row.key());
    let (_, length) = row.key().split_last_chunk::<8>().ok_or_else(wrong)?;
    let length = u64::from_be_bytes(*length);
    let signature = row.value()?.try_into().map_err(|_| wrong())?;
    Ok(Some(Branch {
        head: Prefix { length, root: root_at(&tree, length)? },
        signature,
        consistency: consistency_proof(&tree, shared.length, length)?,
        leaf: tree.node(0, shared.length)?,
        inclusion: inclusion_proof(&tree, shared.length, length)?,
    }))
}

/// The bodies of control commits of one entry that are held and not applied, in the logs beyond what was looked at before.
/// They are opened before all that they depend on is there: a proof needs nothing else to be believed.
pub(crate) fn waiting_control(
    inner: &Inner,
    id: &SpaceId,
    looked: &mut BTreeMap<WriterId, u64>,
) -> Result<Vec<Vec<u8>>, ReadError> {
    let published = inner.published();
    let (tables, space) = (&*published.tables, space(&published, id)?);
    let key = space.table.control_key.as_ref();
    let (mut opener, mut bodies) = (Opener::new(), Vec::new());
    for (writer, log) in space.logs(Plane::Control) {
        let rows = log_key(space.slot, Plane::Control, log.slot);
        let looked = looked.entry(*writer).or_insert(0);
        let from = std::mem::replace(looked, log.length()).max(log.applied);
        for next in from..log.length() {
            let place = Place { space: *id, plane: Plane::Control, writer: *writer, sequence: next };
            if let Some(run) = run_at(tables, rows, next, next + 1)?
                && let Ok(body) = open_run(&mut opener, tables, place, rows, &run, key)?
            {
                bodies.push(body);
            }
        }
    }
    Ok(bodies)
}

/// Which of these epochs the data logs of this device are sealed under.
pub(crate) fn written_under(
    inner: &Inner,
    id: &SpaceId,
    epochs: &BTreeSet<EpochId>,
) -> Result<BTreeSet<EpochId>, ReadError> {
    let published = inner.published();
    let (tables, space) = (&*published.tables, space(&published, id)?);
    let mut found = BTreeSet::new();
    for (_, log) in space.logs(Plane::Data).iter().filter(|(writer, _)| writer.device == inner.writer.device) {
        for row in tables.entries.prefixed(&log_key(space.slot, Plane::Data, log.slot))? {
            let row = row?;
            let (header, _) = split_entry(row.key(), row.value()?)?;
            let epoch = Header::decode(header).map_err(|_| damaged("entries", row.key()))?.epoch;
            if epochs.contains(&epoch) {
                found.insert(epoch);
            }
        }
    }
    Ok(found)
}

/// A commit that was applied, whatever it came to.
pub(crate) struct AppliedCommit {
    /// Counts the applied commits of its plane.
    pub number: u64,
    pub writer: WriterId,
    /// The sequence of its first entry.
    pub first: u64,
    /// The sequence of its last entry.
    pub last: u64,
}

pub(crate) fn applied_order(
    published: &Published,
    id: &SpaceId,
    plane: Plane,
    from: u64,
    limit: usize,
) -> Result<Vec<AppliedCommit>, ReadError> {
    let space = space(published, id)?;
    let end = space.applied_commits[plane as usize];
    let mut order = Vec::new();
    let (first, last) = (order_key(space.slot, plane, from), order_key(space.slot, plane, end));
    for row in published.tables.order.range(&first[..]..&last[..])?.take(limit) {
        let row = row?;
        let wrong = || damaged("order", row.key());
        let (_, number) = row.key().split_last_chunk::<8>().ok_or_else(wrong)?;
        let mut reader = Reader::new(row.value()?);
        let slot = reader.varint().ok().and_then(|slot| u32::try_from(slot).ok()).ok_or_else(wrong)?;
        let first = reader.varint().map_err(|_| wrong())?;
        let last = first.checked_add(reader.varint().map_err(|_| wrong())?).ok_or_else(wrong)?;
        let writer = *published.durable.names.writer_at(slot).ok_or_else(wrong)?;
        order.push(AppliedCommit { number: u64::from_be_bytes(*number), writer, first, last });
    }
    Ok(order)
}

pub(crate) fn control_commits(inner: &Inner, id: &SpaceId) -> Result<Vec<ControlCommit>, ReadError> {
    let history = control_history(inner, id)?.into_iter();
    Ok(history.filter(|record| record.void.is_none()).map(|record| record.commit).collect())
}

pub(crate) fn control_history(inner: &Inner, id: &SpaceId) -> Result<Vec<ControlRecord>, ReadError> {
    let published = inner.published();
    let space = space(&published, id)?;
    let key = space.table.control_key.as_ref();
    let mut opener = Opener::new();
    let mut history = Vec::new();
    let mut pasts: BTreeMap<WriterId, VersionVector> = BTreeMap::new();
    for AppliedCommit { writer, first, .. } in applied_order(&published, id, Plane::Control, 0, usize::MAX)? {
        let log = space.log(Plane::Control, &writer).ok_or_else(|| damaged("order", &writer.to_bytes()))?;
        let rows = log_key(space.slot, Plane::Control, log.slot);
        let run = run_at(&*published.tables, rows, first, log.length())?.ok_or_else(|| damaged("entries", &rows))?;
        let past = pasts.entry(writer).or_default();
        for (other, prefix) in run.headers.iter().flat_map(|header| &header.dependencies) {
            // What lies beyond a fork was not checked: it could be any number.
            let prefix = space.table.effective_prefix(Plane::Control, other, *prefix);
            if prefix.length > past.length(other) {
                past.set(*other, prefix);
            }
        }
        let place = Place { space: *id, plane: Plane::Control, writer, sequence: first };
        let row = entry_key(rows, first);
        let void = published.tables.voids.get(&row)?.map(|row| Void::decode(&row).ok_or(row));
        let void = void.transpose().map_err(|_| published.tables.voids.damaged(&row))?;
        let body = match open_run(&mut opener, &*published.tables, place, rows, &run, key)? {
            Ok(body) => body,
            Err(OpenFailure::Malformed(_)) if void.is_some() => Vec::new(),
            Err(OpenFailure::Malformed(_)) => return Err(damaged("entries", &row)),
            Err(OpenFailure::MissingKey) => break,
        };
        if first > 0 {
            let root = applied_root(&*published.tables, space, Plane::Control, &writer, first)?;
            past.set(writer, Prefix { length: first, root });
        }
        let timestamp_ms = run.headers[0].timestamp_ms;
        let commit = ControlCommit { writer, sequence: first, timestamp_ms, past: past.clone(), body };
        history
            .push(ControlRecord { commit, void: void.map(|Void { reason, why }| VoidCommit { place, reason, why }) });
    }
    Ok(history)
}
