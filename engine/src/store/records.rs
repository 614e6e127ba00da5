//! Document records: their keys, how they are read and written, and what of them readers are shown.

use std::collections::BTreeMap;

use super::ReadError;
use super::names::Names;
use super::state::{DeclaredSchema, SpaceState};
use super::tables::{Tables, damaged};
use crate::codec::DecodeError;
use crate::document::held::Held;
use crate::document::policy::ConflictPolicy;
use crate::document::record::Slots;
use crate::document::record::lazy::LazyState;
use crate::document::state::{Cell, DocumentState};
use crate::document::view::{self, Shown};
use crate::id::DocumentId;
use crate::operation::FieldKind;
use crate::value::{Fields, Value};

/// How many bytes of a document's key stand before its id.
pub(crate) const DOCUMENT_PREFIX_BYTES: usize = 8;

/// The key of a document's record: collection slot, space slot, id.
pub(crate) fn document_key(collection: u32, space: u32, id: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(DOCUMENT_PREFIX_BYTES + id.len());
    put_document_key(&mut key, collection, space, id);
    key
}

/// Appends the key of a document's record.
pub(crate) fn put_document_key(key: &mut Vec<u8>, collection: u32, space: u32, id: &str) {
    key.extend_from_slice(&collection.to_be_bytes());
    key.extend_from_slice(&space.to_be_bytes());
    key.extend_from_slice(id.as_bytes());
}

/// The document's state; empty when nothing has named it.
pub(crate) fn load_state(tables: &impl Tables, names: &Names, key: &[u8]) -> Result<Option<DocumentState>, ReadError> {
    let Some(row) = tables.documents().get(key)? else { return Ok(None) };
    DocumentState::decode(&row, names.slots()).map(Some).map_err(|_| tables.documents().damaged(key))
}

/// The document, to be changed.
pub(crate) fn load(tables: &impl Tables, names: &Names, key: &[u8]) -> Result<Held, ReadError> {
    let Some(row) = tables.documents().get(key)? else { return Ok(Held::Nothing) };
    Held::stored(&row, names.slots()).map_err(|_| tables.documents().damaged(key))
}

/// The error for a document whose record does not decode although its check is right.
pub(crate) fn undecodable(id: &str) -> impl Fn(DecodeError) -> ReadError {
    move |_| damaged("documents", id.as_bytes())
}

/// How a document is shown: its schema's kinds, and where text and json come from.
pub(crate) struct Showing<'a> {
    pub names: &'a Names,
    pub schema: Option<&'a DeclaredSchema>,
    /// `None`: text and json are left out.
    pub rich: Option<&'a dyn RichReader>,
}

/// Gives the content of text and json cells.
pub(crate) trait RichReader {
    /// What the cell of `field` holds in the union of the generations of `chain`.
    fn rich(&self, field: u32, kind: FieldKind, chain: &[u64]) -> Result<Value, ReadError>;
}

impl Showing<'_> {
    /// The value that readers see of one field's cells in `chain`.
    pub fn field(&self, slot: u32, cells: &[Cell], chain: &[u64]) -> Result<Option<Value>, ReadError> {
        let declared = self.declared(slot);
        let Some(cell) = view::shown_cell(cells, chain, declared, self.names) else { return Ok(None) };
        self.cell(slot, cell, chain)
    }

    /// Whether readers see text or json in one field's cells in `chain`.
    pub fn is_rich(&self, slot: u32, cells: &[Cell], chain: &[u64]) -> bool {
        let cell = view::shown_cell(cells, chain, self.declared(slot), self.names);
        cell.is_some_and(|cell| matches!(cell.kind(), FieldKind::Text | FieldKind::Json))
    }

    /// The value that one cell has in `chain`, shown or not.
    pub fn cell(&self, slot: u32, cell: &Cell, chain: &[u64]) -> Result<Option<Value>, ReadError> {
        match view::show(cell, chain, self.policy(slot), self.names) {
            Some(Shown::Value(value)) => Ok(Some(value)),
            Some(Shown::Rich(kind)) => self.rich.map(|rich| rich.rich(slot, kind, chain)).transpose(),
            None => Ok(None),
        }
    }

    /// Whether a field has something that people should look at.
    pub fn conflicted(&self, slot: u32, cells: &[Cell], chain: &[u64]) -> bool {
        let shown = view::shown_cell(cells, chain, self.declared(slot), self.names);
        shown.is_some_and(|shown| view::conflicted(cells, shown, chain))
    }

    /// The kind that the schema declares for a field.
    pub fn declared(&self, slot: u32) -> Option<FieldKind> {
        let schema = self.schema?;
        schema.schema.fields.get(&**self.names.name(slot)).map(|field| field.kind)
    }

    /// Which of concurrent values the schema says to show.
    pub fn policy(&self, slot: u32) -> ConflictPolicy {
        let declared = self.schema.and_then(|schema| schema.schema.fields.get(&**self.names.name(slot)));
        declared.map(|field| field.conflict).unwrap_or_default()
    }

    /// Whether a document has anything that people should look at.
    pub fn is_conflicted(&self, held: &Held) -> Result<bool, DecodeError> {
        if let Held::Record(record) = held {
            let lazy = LazyState::new(record, Slots::CHECKED)?;
            if lazy.is_in_first_life() {
                let mut fields = lazy.fields();
                while let Some((slot, field)) = fields.next()? {
                    if lazy.plain_value(&field, &[1]).is_none() && self.conflicted(slot, &lazy.cells(&field)?, &[1]) {
                        return Ok(true);
                    }
                }
                return Ok(false);
            }
        }
        let state = held.state()?;
        let chain = state.live_generation().map(|generation| state.chain(generation)).unwrap_or_default();
        let in_conflict = |(slot, cells): (&u32, &Vec<Cell>)| self.conflicted(*slot, cells, &chain);
        Ok(state.fields.iter().any(in_conflict) || !state.edited_while_deleted(&chain).is_empty())
    }

    /// All fields that readers see in the live generation, and whether any is in conflict; `None`: the document is not alive.
    pub fn live(&self, state: &DocumentState) -> Result<Option<(u64, Fields, bool)>, ReadError> {
        let Some(generation) = state.live_generation() else { return Ok(None) };
        let chain = state.chain(generation);
        let mut fields = BTreeMap::new();
        let mut conflicted = !state.edited_while_deleted(&chain).is_empty();
        for (slot, cells) in &state.fields {
            if let Some(value) = self.field(*slot, cells, &chain)? {
                fields.insert(self.names.owned(*slot), value);
            }
            conflicted |= self.conflicted(*slot, cells, &chain);
        }
        Ok(Some((generation, fields, conflicted)))
    }
}

/// The schema of a collection in a space.
pub(crate) fn schema_of(space: &SpaceState, collection: u32) -> Option<&DeclaredSchema> {
    space.schemas.get(&collection).map(|schema| &**schema)
}

/// A document id from a stored key.
pub(crate) fn id_of(key: &[u8]) -> Option<DocumentId> {
    let id = std::str::from_utf8(key.get(DOCUMENT_PREFIX_BYTES..)?).ok()?;
    DocumentId::new(id).ok()
}
