//! Documents that a commit changes: loaded once, folded in memory, written once, with their index rows.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::ReadError;
use super::conflicts::{self, ConflictChanges};
use super::group::Work;
use super::indexing::{self, IndexChanges};
use super::names::{intern, intern_after};
use super::records::{DOCUMENT_PREFIX_BYTES, document_key, load, put_document_key, undecodable};
use super::rich_changes::Change;
use super::rich_edits::Pending;
use super::schemas;
use super::tables::damaged;
use super::touches;
use crate::document::fold::{CellEdit, Origin};
use crate::document::held::Held;
use crate::document::state::DocumentState;
use crate::id::SpaceId;
use crate::operation::{Action, FieldKind, FieldOp, Operation};
use crate::rich::RichCell;
use crate::rich::document::Made;
use crate::schema::SCHEMAS;

/// The changed documents of one space.
pub(crate) struct Overlay {
    pub space: SpaceId,
    collections: BTreeMap<u32, Documents>,
    /// The document that was asked for last: collection slot and place. The next question is often for the same.
    last: (u32, usize),
}

/// Documents of one collection, in the order in which they were looked at.
#[derive(Default)]
struct Documents {
    all: Vec<Changing>,
    /// How many of them, from the first on, came in ascending order: they need no other index.
    ascending: usize,
    /// The places of the others.
    places: BTreeMap<Arc<str>, usize>,
}

impl Documents {
    fn place(&self, id: &str) -> Option<usize> {
        let ascending = &self.all[..self.ascending];
        if ascending.last().is_none_or(|last| *last.id < *id) {
            return self.places.get(id).copied();
        }
        let found = ascending.binary_search_by(|changing| (*changing.id).cmp(id)).ok();
        found.or_else(|| self.places.get(id).copied())
    }

    fn add(&mut self, changing: Changing) -> usize {
        let at = self.all.len();
        if at == self.ascending && self.all.last().is_none_or(|last| last.id < changing.id) {
            self.ascending += 1;
        } else {
            self.places.insert(changing.id.clone(), at);
        }
        self.all.push(changing);
        at
    }
}

/// A document that was looked at to be changed.
#[derive(Clone)]
pub(crate) struct Changing {
    pub id: Arc<str>,
    pub held: Held,
    /// Whether an operation was folded into it: a look alone is not stored.
    changed: bool,
    /// Whether nothing had named it before.
    is_new: bool,
    /// Whether it was alive before.
    was_alive: bool,
    /// Whether it had conflicts before.
    was_conflicted: bool,
    /// Its index rows before.
    index_rows: Vec<indexing::IndexRow>,
    /// Text and json cells that a transaction edits, by field slot.
    pub pending: BTreeMap<(u32, FieldKind), Pending>,
}

impl Changing {
    /// The state as the running transaction sees it: with the texts and json that it edits, which become operations, and
    /// so a part of the state, only once it is finished with them.
    pub fn seen(&self) -> Result<Cow<'_, DocumentState>, ReadError> {
        let mut seen = self.held.state().map_err(undecodable(&self.id))?;
        for ((field, kind), pending) in &self.pending {
            if pending.made.is_none() && pending.cell.is_edited() {
                let origin = Origin { dot: pending.dot, timestamp_ms: pending.timestamp_ms, saw: &|_| true };
                seen.to_mut().edit(pending.generation, *field, &CellEdit::Rich(*kind), &origin);
            }
        }
        Ok(seen)
    }
}

impl Overlay {
    pub fn new(space: SpaceId) -> Self {
        Self { space, collections: BTreeMap::new(), last: (0, 0) }
    }

    /// The document, loaded if this is the first look at it.
    pub fn document(&mut self, work: &Work<'_>, collection: u32, id: &str) -> Result<&mut Changing, ReadError> {
        let documents = self.collections.entry(collection).or_default();
        let is_last = |at: &usize| documents.all.get(*at).is_some_and(|changing| &*changing.id == id);
        let known = Some(self.last.1).filter(|at| self.last.0 == collection && is_last(at));
        let at = match known.or_else(|| documents.place(id)) {
            Some(at) => at,
            None => documents.add(look_at(work, &self.space, collection, id)?),
        };
        self.last = (collection, at);
        Ok(&mut documents.all[at])
    }

    /// The document, if it was looked at.
    pub fn get(&self, collection: u32, id: &str) -> Option<&Changing> {
        let documents = self.collections.get(&collection)?;
        documents.place(id).map(|at| &documents.all[at])
    }

    /// The documents of a collection that were looked at.
    pub fn of_collection(&self, collection: u32) -> Option<&[Changing]> {
        self.collections.get(&collection).map(|documents| documents.all.as_slice())
    }

    /// Every document that was looked at, with the slot of its collection.
    pub fn all(&self) -> impl Iterator<Item = (u32, &Changing)> {
        self.collections.iter().flat_map(|(slot, documents)| documents.all.iter().map(|changing| (*slot, changing)))
    }

    /// Folds one operation.
    pub fn fold(&mut self, work: &mut Work<'_>, operation: &Operation, origin: &Origin<'_>) -> Result<(), ReadError> {
        let collection = intern(&mut work.state.names, &mut work.tables, &operation.collection)?;
        let id = operation.id.as_str();
        let edits = match &operation.action {
            Action::Insert(edits) | Action::Edit(edits) => edits.as_slice(),
            Action::Restore { .. } | Action::Delete => &[],
        };
        let mut writes: Vec<(u32, &FieldOp)> = Vec::with_capacity(edits.len());
        let mut slot = collection;
        for (name, edit) in edits {
            slot = intern_after(&mut work.state.names, &mut work.tables, slot, name)?;
            writes.push((slot, edit));
        }
        let changing = self.document(work, collection, id)?;
        changing.held.fold(operation, &writes, origin).map_err(undecodable(id))?;
        changing.changed = true;
        Ok(())
    }

    /// The finished changes of text and json, each with its generation's chain and the cell that holds it.
    pub fn take_changes(&mut self) -> Result<Vec<(Vec<u64>, Change, RichCell)>, ReadError> {
        let mut changes = Vec::new();
        for (collection, documents) in &mut self.collections {
            for changing in &mut documents.all {
                let id = &changing.id;
                for ((field, kind), pending) in std::mem::take(&mut changing.pending) {
                    let Some(made) = pending.made else { continue };
                    let chain = changing.held.chain(pending.generation).map_err(undecodable(id))?.into_owned();
                    let (collection, id, generation) = (*collection, id.clone(), pending.generation);
                    let Made { summary, bytes } = made;
                    let change = Change { collection, id, field, kind, generation, summary, bytes };
                    changes.push((chain, change, pending.cell));
                }
            }
        }
        Ok(changes)
    }

    /// Writes every changed document with its index rows, and follows changed schemas.
    pub fn store(self, work: &mut Work<'_>) -> Result<(), ReadError> {
        let space_id = self.space;
        let mut changed_schemas = Vec::new();
        for (collection, Documents { all: mut documents, .. }) in self.collections {
            documents.retain(|changing| changing.changed);
            if documents.is_empty() {
                continue;
            }
            // Neighbours in the table are written one after the other.
            documents.sort_unstable_by(|a, b| a.id.cmp(&b.id));
            let name = work.state.names.name(collection).clone();
            let mut alive = 0i64;
            let space = work.space(&space_id)?.clone();
            let (mut new, mut known): (Vec<Changing>, Vec<Changing>) =
                documents.into_iter().partition(|changing| changing.is_new);
            let mut key = document_key(collection, space.slot, "");
            for Changing { id, held, .. } in new.iter_mut().chain(&mut known) {
                key.truncate(DOCUMENT_PREFIX_BYTES);
                key.extend_from_slice(id.as_bytes());
                touches::spill(&mut work.tables, &key, id, held)?;
            }
            for changing in &known {
                key.truncate(DOCUMENT_PREFIX_BYTES);
                key.extend_from_slice(changing.id.as_bytes());
                let record = changing.held.record().map_err(|_| work.tables.documents.damaged(&key))?;
                work.tables.documents.insert(&key, &record)?;
            }
            work.tables.documents.insert_new(new.len(), |at, key, value| {
                let Changing { id, held, .. } = &new[at];
                put_document_key(key, collection, space.slot, id);
                let record = held.record().map_err(|_| damaged("documents", key))?;
                value.extend_from_slice(&record);
                Ok(())
            })?;
            let mut index_changes = IndexChanges::default();
            let mut conflict_changes = ConflictChanges::default();
            for changing in new.iter().chain(&known) {
                let id = &changing.id;
                let rows = indexing::rows_of(&work.state.names, &space, collection, id, &changing.held)?;
                index_changes.replace(&changing.index_rows, rows);
                let is_conflicted =
                    conflicts::is_conflicted(&work.state.names, &space, collection, id, &changing.held)?;
                if is_conflicted != changing.was_conflicted {
                    conflict_changes.note(document_key(collection, space.slot, id), is_conflicted);
                }
                let is_alive = changing.held.live_generation().map_err(undecodable(id))?.is_some();
                alive += i64::from(is_alive) - i64::from(changing.was_alive);
                if &*name == SCHEMAS {
                    changed_schemas.push(id.clone());
                }
            }
            index_changes.store(work)?;
            conflict_changes.store(work)?;
            // Not held while the space changes, or it would be copied.
            drop(space);
            let counts = &mut work.space_mut(&space_id)?.counts;
            let count = counts.entry(collection).or_default();
            *count = count.saturating_add_signed(alive);
            work.changed.collections.insert(name);
        }
        for collection in changed_schemas {
            schemas::follow(work, &space_id, &collection)?;
        }
        Ok(())
    }
}

fn look_at(work: &Work<'_>, space: &SpaceId, collection: u32, id: &str) -> Result<Changing, ReadError> {
    let space = work.space(space)?;
    let held = load(&work.tables, &work.state.names, &document_key(collection, space.slot, id))?;
    Ok(Changing {
        index_rows: indexing::rows_of(&work.state.names, space, collection, id, &held)?,
        was_conflicted: conflicts::is_conflicted(&work.state.names, space, collection, id, &held)?,
        was_alive: held.live_generation().map_err(undecodable(id))?.is_some(),
        id: id.into(),
        is_new: matches!(held, Held::Nothing),
        held,
        changed: false,
        pending: BTreeMap::new(),
    })
}
