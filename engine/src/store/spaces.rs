//! Spaces, their effective tables, the home space, and local records.

use std::sync::Arc;

use super::apply::{apply_ready, is_relay};
use super::group::Work;
use super::names::Names;
use super::records::document_key;
use super::state::{self, SpaceState};
use super::tables::storage;
use super::{Durability, Inner, ReadError, WriteError};
use crate::id::SpaceId;
use crate::log::Plane;
use crate::space::EffectiveTable;

pub(crate) const HOME_KEY: &[u8] = b"home";

pub(crate) fn set_home(inner: &Inner, space: SpaceId) -> Result<(), WriteError> {
    inner.write(true, |mut work| {
        work.space(&space)?;
        *work.dirty = true;
        work.tables.meta.insert(HOME_KEY, space.as_bytes())?;
        work.state.home = Some(space);
        Ok(())
    })
}

pub(crate) fn set_effective(inner: &Inner, id: SpaceId, table: EffectiveTable) -> Result<(), WriteError> {
    if inner.published().state.spaces.get(&id).is_some_and(|space| *space.table == table) {
        return Ok(());
    }
    inner.write(true, |mut work| {
        *work.dirty = true;
        if !work.state.spaces.contains_key(&id) {
            // Below the highest there may be free ones, of spaces that were forgotten.
            let highest = work.state.spaces.values().map(|space| space.slot).max();
            let slot = highest.map_or(Some(0), |slot| slot.checked_add(1)).ok_or_else(|| storage("too many spaces"))?;
            work.state.spaces.insert(id, Arc::new(SpaceState::new(id, slot)));
        }
        let old = std::mem::replace(&mut work.space_mut(&id)?.table, Arc::new(table));
        let space = work.space(&id)?.clone();
        state::save_table(&mut work.tables, &space)?;
        if [Plane::Control, Plane::Data]
            .iter()
            .any(|plane| space.table.effective_length(*plane, &inner.writer) < u64::MAX)
        {
            // A log that was cut, or has another history, is closed for ever: its device goes on with another one.
            super::file::retire(&mut work.tables)?;
        }
        work.changed.counters.insert(id);
        work.changed.spaces.insert((id, Plane::Control));
        let forks = old.forks != space.table.forks;
        let decides = forks || changes_validity(&work.state.names, &space, &old) || reads_now(&space, &old, inner);
        if decides && !planted!(RefoldSkipped) {
            if forks {
                reapply(&mut work, &id, Plane::Control)?;
            }
            refold(&mut work, &id)?;
        }
        apply_ready(&mut work, &id)?;
        Ok(())
    })
}

/// Whether the new table decides otherwise about any commit that is already applied, or lets count what such a commit
/// may have been written after and did not wait for.
fn changes_validity(names: &Names, space: &SpaceState, old: &EffectiveTable) -> bool {
    let waits_for_more = space.logs(Plane::Data).values().flat_map(|log| &log.past).any(|(slot, length)| {
        let of = |table: &EffectiveTable| {
            let writer = names.writer_at(*slot)?;
            Some(table.effective_length(Plane::Data, writer).min(*length))
        };
        of(old) < of(&space.table)
    });
    if waits_for_more {
        return true;
    }
    space.logs(Plane::Data).iter().any(|(writer, log)| {
        let counts = |table: &EffectiveTable| {
            table
                .devices
                .get(&writer.device)
                .map(|authority| (authority.rank, authority.effective_length(writer.incarnation).min(log.applied)))
        };
        log.applied > 0 && counts(old) != counts(&space.table)
    })
}

/// Whether this device was a relay that kept commits without opening them, and is no longer; or the other way round.
fn reads_now(space: &SpaceState, old: &EffectiveTable, inner: &Inner) -> bool {
    is_relay(old, inner) != is_relay(&space.table, inner)
}

/// Removes a space with everything in it, and writes local records in the same storage transaction.
pub(crate) fn forget(inner: &Inner, id: SpaceId, records: &[(&str, Option<&[u8]>)]) -> Result<(), WriteError> {
    inner.write(true, |mut work| {
        let slot = work.space(&id)?.slot;
        *work.dirty = true;
        remove_documents(&mut work, &id)?;
        let tables = &mut work.tables;
        let of_space = slot.to_be_bytes();
        for table in [
            &mut tables.order,
            &mut tables.voids,
            &mut tables.heads,
            &mut tables.tree,
            &mut tables.entries,
            &mut tables.logs,
            &mut tables.spaces,
        ] {
            table.remove_prefixed(&of_space)?;
        }
        if work.state.home == Some(id) {
            work.tables.meta.remove(HOME_KEY)?;
            work.state.home = None;
        }
        // Should the space come back, what this writer wrote there is not here to be continued.
        super::file::retire(&mut work.tables)?;
        work.state.spaces.remove(&id);
        work.changed.spaces.extend([(id, Plane::Control), (id, Plane::Data)]);
        put_local(&mut work, records)
    })
}

/// Removes every row about the documents of a space.
fn remove_documents(work: &mut Work<'_>, id: &SpaceId) -> Result<(), ReadError> {
    let slot = work.space(id)?.slot;
    let names = work.state.names.clone();
    for (collection, name) in names.all_names() {
        let prefix = document_key(collection, slot, "");
        work.tables.documents.remove_prefixed(&prefix)?;
        work.tables.touches.remove_prefixed(&prefix)?;
        work.tables.indexes.remove_prefixed(&prefix)?;
        work.tables.rich.remove_prefixed(&prefix)?;
        work.tables.conflicts.remove_prefixed(&prefix)?;
        if work.space(id)?.counts.contains_key(&collection) {
            work.changed.collections.insert(name.clone());
        }
    }
    Ok(())
}

/// Throws the documents of a space away and marks its data logs as not applied, so that [`apply_ready`] folds
/// them again under the present table.
fn refold(work: &mut Work<'_>, id: &SpaceId) -> Result<(), ReadError> {
    remove_documents(work, id)?;
    reapply(work, id, Plane::Data)?;
    let space = work.space_mut(id)?;
    space.voids = 0;
    space.counts.clear();
    space.schemas.clear();
    Ok(())
}

/// Marks the logs of a plane as not applied.
fn reapply(work: &mut Work<'_>, id: &SpaceId, plane: Plane) -> Result<(), ReadError> {
    let slot = work.space(id)?.slot;
    let first = state::order_key(slot, plane, 0);
    work.tables.order.remove_prefixed(&first[..5])?;
    work.tables.voids.remove_prefixed(&first[..5])?;
    let writers: Vec<_> = work.space(id)?.logs(plane).keys().copied().collect();
    for writer in writers {
        let rows = state::log_key(slot, plane, work.log_mut(id, plane, &writer)?.slot);
        let mut bytes = 0;
        for row in work.tables.entries.prefixed(&rows)? {
            bytes += row?.value()?.len() as u64;
        }
        let log = work.log_mut(id, plane, &writer)?;
        log.applied = 0;
        log.parked_bytes = bytes;
        log.past.clear();
        log.control.clear();
    }
    work.space_mut(id)?.applied_commits[plane as usize] = 0;
    Ok(())
}

pub(crate) fn local(inner: &Inner, name: &str) -> Result<Option<Vec<u8>>, ReadError> {
    Ok(inner.published().tables.local.get(name.as_bytes())?.map(|row| row.to_vec()))
}

pub(crate) fn locals(inner: &Inner, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, ReadError> {
    let published = inner.published();
    let rows = published.tables.local.prefixed(prefix.as_bytes())?;
    rows.map(|row| {
        let row = row?;
        let name = std::str::from_utf8(row.key()).map_err(|_| published.tables.local.damaged(row.key()))?;
        Ok((name.to_owned(), row.value()?.to_vec()))
    })
    .collect()
}

pub(crate) fn set_local(
    inner: &Inner,
    durability: Durability,
    records: &[(&str, Option<&[u8]>)],
) -> Result<(), WriteError> {
    inner.write(durability == Durability::Local, |mut work| {
        *work.dirty = true;
        put_local(&mut work, records)
    })
}

fn put_local(work: &mut Work<'_>, records: &[(&str, Option<&[u8]>)]) -> Result<(), WriteError> {
    for (name, record) in records {
        match record {
            Some(record) => work.tables.local.insert(name.as_bytes(), record)?,
            None => work.tables.local.remove(name.as_bytes())?,
        }
    }
    Ok(())
}
