//! Documents and index rows as queries read them: of a snapshot, or of the storage transaction that a transaction runs in.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

use super::ReadError;
use super::indexing::{index_prefix, split_row};
use super::overlay::Overlay;
use super::records::{RichReader, Showing, document_key, schema_of};
use super::rich_cells::StoredCells;
use super::state::{SpaceState, State};
use super::tables::{Tables, after_prefix};
use crate::codec;
use crate::document::Document;
use crate::document::record::lazy::{Found, LazyState};
use crate::document::state::DocumentState;
use crate::id::{DocumentId, SpaceId};
use crate::operation::FieldKind;
use crate::query::source::{self, Candidate, Flow, Place, Reading, Source, Visit, VisitRow};
use crate::schema::{Index, SCHEMAS};
use crate::value::{Fields, Value};

/// A consistent view: tables, and the state in memory that belongs to them.
pub(crate) struct View<'a, T> {
    pub tables: &'a T,
    pub state: &'a State,
    pub cells: &'a crate::rich::Cache,
    /// What the running transaction changed.
    pub overlay: Option<&'a Overlay>,
    /// Whether the tables are those of a read transaction: only what is committed may be cached.
    pub committed: bool,
}

impl<'a, T: Tables> View<'a, T> {
    pub fn space(&self, id: &SpaceId) -> Result<&'a SpaceState, ReadError> {
        self.state.spaces.get(id).map(|space| &**space).ok_or(ReadError::UnknownSpace { space: *id })
    }

    pub fn cells_of(&self, space: &'a SpaceState, collection: u32, id: &'a str) -> StoredCells<'a, T> {
        StoredCells {
            tables: self.tables,
            names: &self.state.names,
            cache: self.cells,
            space,
            collection,
            id,
            committed: self.committed,
        }
    }

    /// The document's state, changes of the running transaction included.
    pub fn document_state(
        &self,
        space: &SpaceState,
        collection: u32,
        id: &str,
    ) -> Result<Option<DocumentState>, ReadError> {
        if let Some(changing) = self.changing(space).and_then(|overlay| overlay.get(collection, id)) {
            return changing.seen().map(|state| Some(state.into_owned()));
        }
        super::records::load_state(self.tables, &self.state.names, &document_key(collection, space.slot, id))
    }

    fn changing(&self, space: &SpaceState) -> Option<&'a Overlay> {
        self.overlay.filter(|overlay| overlay.space == space.id)
    }

    /// Everything readers see of a document; `None` when it is not alive.
    pub fn document(
        &self,
        space: &'a SpaceState,
        collection: u32,
        id: &str,
        state: &DocumentState,
    ) -> Result<Option<Document>, ReadError> {
        let cells = self.cells_of(space, collection, id);
        let pending = self.changing(space).and_then(|overlay| overlay.get(collection, id));
        let rich: &dyn RichReader = match pending {
            Some(changing) => &super::rich_cells::PendingCells { changing, stored: cells },
            None => &cells,
        };
        let showing = Showing { names: &self.state.names, schema: schema_of(space, collection), rich: Some(rich) };
        let Some((generation, fields, conflicted)) = showing.live(state)? else { return Ok(None) };
        Ok(Some(Document {
            space: space.id,
            collection: self.state.names.owned(collection),
            id: DocumentId::new(id).map_err(|_| super::tables::damaged("documents", id.as_bytes()))?,
            generation,
            fields,
            conflicted,
        }))
    }

    /// A document as stored, with all its fields; `None` when it is not alive.
    pub fn stored(&self, space: &SpaceId, collection: &str, id: &str) -> Result<Option<Document>, ReadError> {
        let mut found = None;
        let reading = Reading { fields: &[], select: None };
        self.lookup(Place { collection, space }, id, &reading, &mut |candidate| {
            found = Some(candidate.document()?);
            Ok(ControlFlow::Break(()))
        })?;
        Ok(found)
    }

    fn slots(&self, place: Place<'_>) -> Result<Option<(&'a SpaceState, u32)>, ReadError> {
        let space = self.space(place.space)?;
        Ok(self.state.names.slot(place.collection).map(|collection| (space, collection)))
    }

    fn visit_row(
        &self,
        space: &'a SpaceState,
        collection: u32,
        key: &[u8],
        row: &[u8],
        reading: &Reading<'_>,
        visit: &mut Visit<'_>,
    ) -> Flow {
        let wrong = || self.tables.documents().damaged(key);
        let id = std::str::from_utf8(key.get(8..).unwrap_or_default()).map_err(|_| wrong())?;
        let state = LazyState::new(row, self.state.names.slots()).map_err(|_| wrong())?;
        let Some(generation) = state.live_generation() else { return Ok(ControlFlow::Continue(())) };
        let chain = state.chain(generation);
        visit(&Stored { view: self, space, collection, id, key, state, chain, generation, reading })
    }
}

/// A stored document of which a query decodes what it asks for.
struct Stored<'v, 'a, T> {
    view: &'v View<'a, T>,
    space: &'a SpaceState,
    collection: u32,
    id: &'v str,
    key: &'v [u8],
    state: LazyState<'v>,
    chain: Cow<'static, [u64]>,
    generation: u64,
    reading: &'v Reading<'v>,
}

impl<'v, T: Tables> Stored<'v, '_, T> {
    fn damaged(&self) -> ReadError {
        self.view.tables.documents().damaged(self.key)
    }

    /// What readers see of one field, and whether it is in conflict.
    fn value(&self, slot: u32, field: &Found<'v>) -> Result<(Option<Value>, bool), ReadError> {
        match self.plain_value(slot, field) {
            Some(mut value) => Ok((Some(Value::decode(&mut value).map_err(|_| self.damaged())?), false)),
            None => self.merged_value(slot, field),
        }
    }

    /// The encoded value of a field that has just one, which is shown.
    fn plain_value(&self, slot: u32, field: &Found<'v>) -> Option<codec::Reader<'v>> {
        let names = &self.view.state.names;
        let schema = schema_of(self.space, self.collection);
        let declared = Showing { names, schema, rich: None }.declared(slot);
        if declared.is_some_and(|kind| kind != FieldKind::Register) {
            return None;
        }
        self.state.plain_value(field, &self.chain)
    }

    /// Whether a delete missed edits of this document. A document in its first life has none.
    fn edited_while_deleted(&self) -> Result<bool, ReadError> {
        if self.state.is_in_first_life() {
            return Ok(false);
        }
        let state = super::records::load_state(self.view.tables, &self.view.state.names, self.key)?;
        Ok(state.is_some_and(|state| !state.edited_while_deleted(&self.chain).is_empty()))
    }

    fn merged_value(&self, slot: u32, field: &Found<'v>) -> Result<(Option<Value>, bool), ReadError> {
        let cells = self.state.cells(field).map_err(|_| self.damaged())?;
        let stored = StoredCells {
            tables: self.view.tables,
            names: &self.view.state.names,
            cache: self.view.cells,
            space: self.space,
            collection: self.collection,
            id: self.id,
            committed: self.view.committed,
        };
        let showing = Showing {
            names: &self.view.state.names,
            schema: schema_of(self.space, self.collection),
            rich: Some(&stored),
        };
        let conflicted = showing.conflicted(slot, &cells, &self.chain);
        Ok((showing.field(slot, &cells, &self.chain)?, conflicted))
    }
}

impl<T: Tables> Candidate for Stored<'_, '_, T> {
    fn id(&self) -> &str {
        self.id
    }

    fn field(&self, position: usize) -> Result<Option<Cow<'_, Value>>, ReadError> {
        let name = self.reading.fields.get(position).map(String::as_str).unwrap_or_default();
        let Some(slot) = self.view.state.names.slot(name) else { return Ok(None) };
        let Some(field) = self.state.field(slot).map_err(|_| self.damaged())? else { return Ok(None) };
        Ok(self.value(slot, &field)?.0.map(Cow::Owned))
    }

    fn document(&self) -> Result<Document, ReadError> {
        let names = &self.view.state.names;
        let wanted = |name: &str| self.reading.select.is_none_or(|select| select.iter().any(|field| field == name));
        let mut fields = Fields::new();
        let mut conflicted = self.edited_while_deleted()?;
        let mut stored = self.state.fields();
        while let Some((slot, field)) = stored.next().map_err(|_| self.damaged())? {
            let name = names.name(slot);
            // Fields that are not wanted still decide whether the document is in conflict.
            if !wanted(name) {
                conflicted =
                    conflicted || self.plain_value(slot, &field).is_none() && self.merged_value(slot, &field)?.1;
                continue;
            }
            let (value, several) = self.value(slot, &field)?;
            conflicted |= several;
            if let Some(value) = value {
                fields.insert(String::from(&**name), value);
            }
        }
        Ok(Document {
            space: self.space.id,
            collection: names.owned(self.collection),
            id: DocumentId::new(self.id).map_err(|_| self.damaged())?,
            generation: self.generation,
            fields,
            conflicted,
        })
    }
}

impl<T: Tables> Source for View<'_, T> {
    fn spaces(&self, collection: &str, named: Option<&[SpaceId]>) -> Result<Vec<SpaceId>, ReadError> {
        if let Some(named) = named {
            let mut spaces = named.to_vec();
            spaces.sort_unstable();
            spaces.dedup();
            spaces.iter().try_for_each(|space| self.space(space).map(|_| ()))?;
            return Ok(spaces);
        }
        let Some(slot) = self.state.names.slot(collection) else {
            return Ok(self.overlay.map(|overlay| overlay.space).into_iter().collect());
        };
        let holds = |space: &SpaceState| {
            space.counts.contains_key(&slot) || self.overlay.is_some_and(|overlay| overlay.space == space.id)
        };
        Ok(self.state.spaces.values().filter(|space| holds(space)).map(|space| space.id).collect())
    }

    fn indexes(&self, place: Place<'_>) -> Result<BTreeMap<String, Index>, ReadError> {
        let Some((space, collection)) = self.slots(place)? else { return Ok(BTreeMap::new()) };
        Ok(schema_of(space, collection).map(|declared| declared.schema.indexes.clone()).unwrap_or_default())
    }

    fn scan(
        &self,
        place: Place<'_>,
        ids: (Bound<&str>, Bound<&str>),
        descending: bool,
        reading: &Reading<'_>,
        visit: &mut Visit<'_>,
    ) -> Result<(), ReadError> {
        let Some((space, collection)) = self.slots(place)? else { return Ok(()) };
        let prefix = document_key(collection, space.slot, "");
        let Some(range) = within(&prefix, (ids.0.map(str::as_bytes), ids.1.map(str::as_bytes))) else { return Ok(()) };
        let mut rows = self.tables.documents().range((as_slice(&range.0), as_slice(&range.1)))?;
        while let Some(row) = if descending { rows.next_back() } else { rows.next() } {
            let row = row?;
            if self.visit_row(space, collection, row.key(), row.value()?, reading, visit)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn lookup(
        &self,
        place: Place<'_>,
        id: &str,
        reading: &Reading<'_>,
        visit: &mut Visit<'_>,
    ) -> Result<(), ReadError> {
        let Some((space, collection)) = self.slots(place)? else { return Ok(()) };
        let key = document_key(collection, space.slot, id);
        if let Some(row) = self.tables.documents().get(&key)? {
            let _ = self.visit_row(space, collection, &key, &row, reading, visit)?;
        }
        Ok(())
    }

    fn index_scan(
        &self,
        place: Place<'_>,
        index: &str,
        rows: (Bound<&[u8]>, Bound<&[u8]>),
        descending: bool,
        visit: &mut VisitRow<'_>,
    ) -> Result<(), ReadError> {
        let Some((space, collection)) = self.slots(place)? else { return Ok(()) };
        let declared = schema_of(space, collection);
        let Some(slot) = declared.and_then(|declared| declared.index_slots.get(index)) else { return Ok(()) };
        let Some(range) = within(&index_prefix(*slot, space.slot), rows) else { return Ok(()) };
        let table = self.tables.indexes();
        let mut found = table.range((as_slice(&range.0), as_slice(&range.1)))?;
        while let Some(row) = if descending { found.next_back() } else { found.next() } {
            let row = row?;
            let (entry, id) = split_row(row.key(), row.value()?).ok_or_else(|| table.damaged(row.key()))?;
            if visit(entry, id)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn overlay(&self, place: Place<'_>) -> Result<Option<Cow<'_, source::Overlay>>, ReadError> {
        let Some((space, collection)) = self.slots(place)? else { return Ok(None) };
        let Some(changed) = self.changing(space).and_then(|overlay| overlay.of_collection(collection)) else {
            return Ok(None);
        };
        let mut overlay = source::Overlay::new();
        for changing in changed {
            let id = &changing.id;
            overlay.insert(id.to_string(), self.document(space, collection, id, &*changing.seen()?)?);
        }
        Ok(Some(Cow::Owned(overlay)))
    }
}

type Keys = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// The keys that start with `prefix` and go on within `rest`. `None`: there are none; redb panics on a range that ends
/// before it starts.
fn within(prefix: &[u8], rest: (Bound<&[u8]>, Bound<&[u8]>)) -> Option<Keys> {
    let key = |rest: &[u8]| [prefix, rest].concat();
    let lower = match rest.0 {
        Bound::Unbounded => Bound::Included(prefix.to_vec()),
        bound => bound.map(key),
    };
    let upper = match rest.1 {
        Bound::Unbounded => after_prefix(prefix).map_or(Bound::Unbounded, Bound::Excluded),
        bound => bound.map(key),
    };
    let empty = match (&lower, &upper) {
        (Bound::Included(lower), Bound::Included(upper)) => lower > upper,
        (Bound::Included(lower) | Bound::Excluded(lower), Bound::Included(upper) | Bound::Excluded(upper)) => {
            lower >= upper
        }
        _ => false,
    };
    if empty { None } else { Some((lower, upper)) }
}

fn as_slice(bound: &Bound<Vec<u8>>) -> Bound<&[u8]> {
    bound.as_ref().map(Vec::as_slice)
}

impl<T: Tables> View<'_, T> {
    /// The collections that hold documents or have a schema, the database's own not included.
    pub fn collections(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .state
            .spaces
            .values()
            .flat_map(|space| {
                let counted = space.counts.iter().filter(|(_, count)| **count > 0).map(|(slot, _)| *slot);
                counted.chain(space.schemas.keys().copied())
            })
            .map(|slot| self.state.names.owned(slot))
            .filter(|name| !name.starts_with('$'))
            .collect();
        names.sort();
        names.dedup();
        debug_assert!(!names.iter().any(|name| name == SCHEMAS));
        names
    }
}
