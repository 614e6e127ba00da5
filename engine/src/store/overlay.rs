//! Documents that a commit changes: loaded once, folded in memory, written once, with their index rows.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::ReadError;
use super::group::Work;
use super::indexing;
use super::names::intern;
use super::records::{document_key, load_state};
use super::rich_changes::Change;
use super::rich_edits::Pending;
use super::schemas;
use crate::codec;
use crate::document::fold::{CellEdit, Origin};
use crate::document::state::{DocumentState, Dot};
use crate::id::SpaceId;
use crate::operation::{Action, FieldKind, FieldOp, Operation};
use crate::rich::RichCell;
use crate::rich::document::Made;
use crate::schema::SCHEMAS;

/// The changed documents of one space.
pub(crate) struct Overlay {
    pub space: SpaceId,
    /// By collection slot and id.
    pub documents: BTreeMap<u32, BTreeMap<Box<str>, Changing>>,
}

/// A document that was looked at to be changed.
#[derive(Clone)]
pub(crate) struct Changing {
    pub state: DocumentState,
    /// Whether an operation was folded into it: a look alone is not stored.
    changed: bool,
    /// Whether it was alive before.
    was_alive: bool,
    /// Its index rows before.
    index_rows: Vec<indexing::IndexRow>,
    /// Text and json cells that a transaction edits, by field slot.
    pub pending: BTreeMap<(u32, FieldKind), Pending>,
}

impl Changing {
    /// The state as the running transaction sees it: with the texts and json that it edits, which become operations, and
    /// so a part of the state, only once it is finished with them.
    pub fn seen(&self) -> Cow<'_, DocumentState> {
        let mut seen = Cow::Borrowed(&self.state);
        for ((field, kind), pending) in &self.pending {
            if pending.made.is_none() && pending.cell.is_edited() {
                let origin = Origin { dot: pending.dot, timestamp_ms: pending.timestamp_ms, saw: &|_| true };
                seen.to_mut().edit(pending.generation, *field, &CellEdit::Rich(*kind), &origin);
            }
        }
        seen
    }
}

impl Overlay {
    pub fn new(space: SpaceId) -> Self {
        Self { space, documents: BTreeMap::new() }
    }

    /// The document, loaded if this is the first look at it.
    pub fn document(&mut self, work: &Work<'_>, collection: u32, id: &str) -> Result<&mut Changing, ReadError> {
        let documents = self.documents.entry(collection).or_default();
        if !documents.contains_key(id) {
            let space = work.space(&self.space)?;
            let state = load_state(&work.tables, &work.state.names, &document_key(collection, space.slot, id))?
                .unwrap_or_default();
            let index_rows = indexing::rows_of(&work.state.names, space, collection, id, &state)?;
            let was_alive = state.live_generation().is_some();
            documents
                .insert(id.into(), Changing { state, changed: false, was_alive, index_rows, pending: BTreeMap::new() });
        }
        Ok(documents.get_mut(id).expect("inserted above"))
    }

    /// Folds one operation.
    pub fn fold(&mut self, work: &mut Work<'_>, operation: &Operation, origin: &Origin<'_>) -> Result<(), ReadError> {
        let collection = intern(&mut work.state.names, &mut work.tables, &operation.collection)?;
        let id = operation.id.as_str();
        let generation = operation.generation;
        let changing = self.document(work, collection, id)?;
        changing.changed = true;
        let state = &mut changing.state;
        let edits = match &operation.action {
            Action::Insert(edits) => {
                state.open(generation, None);
                edits.as_slice()
            }
            Action::Edit(edits) => edits.as_slice(),
            Action::Restore { continues } => {
                state.open(generation, Some(*continues));
                &[]
            }
            Action::Delete => {
                state.close(generation, origin);
                &[]
            }
        };
        for (name, edit) in edits {
            let field = intern(&mut work.state.names, &mut work.tables, name)?;
            let edit = match edit {
                FieldOp::Set(value) => CellEdit::Set(value),
                FieldOp::Clear => CellEdit::Clear,
                FieldOp::Add(amount) => CellEdit::Add(*amount),
                FieldOp::Include(values) => CellEdit::Include(values),
                FieldOp::Exclude(values) => CellEdit::Exclude(values),
                FieldOp::Text(_) | FieldOp::Json(_) => CellEdit::Rich(edit.kind()),
            };
            state.edit(generation, field, &edit, origin);
        }
        Ok(())
    }

    /// The finished changes of text and json, each with its generation's chain and the cell that holds it.
    pub fn take_changes(&mut self) -> Vec<(Vec<u64>, Change, RichCell)> {
        let mut changes = Vec::new();
        for (collection, documents) in &mut self.documents {
            for (id, changing) in documents {
                for ((field, kind), pending) in std::mem::take(&mut changing.pending) {
                    let Some(made) = pending.made else { continue };
                    let chain = changing.state.chain(pending.generation);
                    let (collection, id, generation) = (*collection, id.clone(), pending.generation);
                    let Made { summary, bytes } = made;
                    let change = Change { collection, id, field, kind, generation, summary, bytes };
                    changes.push((chain, change, pending.cell));
                }
            }
        }
        changes
    }

    /// Writes every changed document, its index rows and its touch, and follows changed schemas.
    pub fn store(self, work: &mut Work<'_>, dot: Dot) -> Result<(), ReadError> {
        let space_id = self.space;
        let mut changed_schemas = Vec::new();
        let mut record = Vec::new();
        for (collection, mut documents) in self.documents {
            documents.retain(|_, changing| changing.changed);
            if documents.is_empty() {
                continue;
            }
            let name = work.state.names.name(collection).clone();
            let mut alive = 0i64;
            for (id, mut changing) in documents {
                let space = work.space(&space_id)?.clone();
                let key = document_key(collection, space.slot, &id);
                touch(work, &key, &mut changing.state, dot)?;
                record.clear();
                changing.state.encode(&mut record).map_err(|_| work.tables.documents.damaged(&key))?;
                work.tables.documents.insert(&key, &record)?;
                let rows = indexing::rows_of(&work.state.names, &space, collection, &id, &changing.state)?;
                indexing::replace(work, &changing.index_rows, &rows)?;
                alive += i64::from(changing.state.live_generation().is_some()) - i64::from(changing.was_alive);
                if &*name == SCHEMAS {
                    changed_schemas.push(id);
                }
            }
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

/// Notes that a commit touched the document. Full lists move to rows of their own, so a record stays small.
fn touch(work: &mut Work<'_>, key: &[u8], state: &mut DocumentState, dot: Dot) -> Result<(), ReadError> {
    if state.touches.last() == Some(&dot) {
        return Ok(());
    }
    if state.touches.len() == DocumentState::INLINE_TOUCHES {
        let mut row = Vec::new();
        for touch in state.touches.drain(..) {
            codec::put_varint(&mut row, u64::from(touch.writer));
            codec::put_varint(&mut row, touch.sequence);
        }
        work.tables.touches.insert(&touches_key(key, state.spilled_touches), &row)?;
        state.spilled_touches += 1;
    }
    state.touches.push(dot);
    Ok(())
}

/// The key of a full row of touches. Ids hold no zero byte at this place: the length of the id stands before it.
fn touches_key(document: &[u8], number: u32) -> Vec<u8> {
    let mut key = document[..8].to_vec();
    key.extend_from_slice(&u16::try_from(document.len() - 8).unwrap_or(u16::MAX).to_be_bytes());
    key.extend_from_slice(&document[8..]);
    key.extend_from_slice(&number.to_be_bytes());
    key
}
