//! A source in memory, for tests: documents by id, and index rows kept up as a store keeps them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Bound;

use super::key::{index_entries, unknown_entry};
use super::path::split;
use super::source::{Candidate, Overlay, Place, Reading, Source, Visit, VisitRow};
use crate::document::Document;
use crate::id::{DocumentId, SpaceId};
use crate::schema::Index;
use crate::store::ReadError;
use crate::value::{Fields, Value};

/// The one collection there is.
pub(crate) const COLLECTION: &str = "notes";

#[derive(Debug, Clone, Default)]
pub(crate) struct Memory {
    spaces: BTreeMap<SpaceId, SpaceState>,
}

#[derive(Debug, Clone, Default)]
struct SpaceState {
    documents: BTreeMap<String, Document>,
    indexes: BTreeMap<String, Index>,
    /// Rows of every index, with the length of their key.
    rows: BTreeMap<String, BTreeMap<Vec<u8>, usize>>,
    overlay: Overlay,
}

/// A space's id by its number.
pub(crate) fn space(number: u8) -> SpaceId {
    SpaceId([number; 32])
}

pub(crate) fn document(space: SpaceId, id: &str, fields: Fields) -> Document {
    let id = DocumentId::new(id).expect("a test's id has 1 to 512 bytes");
    Document { space, collection: COLLECTION.to_owned(), id, generation: 1, fields, conflicted: false }
}

impl Memory {
    pub fn add_space(&mut self, space: SpaceId, indexes: BTreeMap<String, Index>) {
        let rows = indexes.keys().map(|name| (name.clone(), BTreeMap::new())).collect();
        self.spaces.insert(space, SpaceState { indexes, rows, ..SpaceState::default() });
    }

    /// Inserts, replaces or removes a document, and its index rows.
    pub fn put(&mut self, space: SpaceId, id: &str, fields: Option<Fields>) {
        let state = self.spaces.get_mut(&space).expect("the test added the space");
        let new = fields.map(|fields| document(space, id, fields));
        let old = match new.clone() {
            Some(new) => state.documents.insert(id.to_owned(), new),
            None => state.documents.remove(id),
        };
        for (name, index) in &state.indexes {
            let rows = state.rows.get_mut(name).expect("every index has rows");
            let keys = |document: &Option<Document>| {
                document.as_ref().map(|document| entries(index, &document.fields)).unwrap_or_default()
            };
            for key in keys(&old) {
                assert!(rows.remove(&[&key, id.as_bytes()].concat()).is_some(), "rows of the old fields are there");
            }
            for key in keys(&new) {
                assert!(rows.insert([&key, id.as_bytes()].concat(), key.len()).is_none(), "no row comes twice");
            }
        }
    }

    /// Changes a document as an uncommitted transaction does.
    pub fn put_uncommitted(&mut self, space: SpaceId, id: &str, fields: Option<Fields>) {
        let state = self.spaces.get_mut(&space).expect("the test added the space");
        state.overlay.insert(id.to_owned(), fields.map(|fields| document(space, id, fields)));
    }

    /// Every document as a reader sees it.
    pub fn documents(&self) -> Vec<&Document> {
        let mut all = Vec::new();
        for state in self.spaces.values() {
            all.extend(state.documents.iter().filter(|(id, _)| !state.overlay.contains_key(*id)).map(|(_, d)| d));
            all.extend(state.overlay.values().flatten());
        }
        all
    }

    fn state(&self, place: Place<'_>) -> Result<&SpaceState, ReadError> {
        self.spaces.get(place.space).ok_or(ReadError::UnknownSpace { space: *place.space })
    }
}

/// Text with this start passes for a text field, which is not read when documents are stored.
const UNREAD: char = '水';

fn entries(index: &Index, fields: &Fields) -> Vec<Vec<u8>> {
    let mut values = index.fields.iter().filter_map(|path| fields.get(split(path).0));
    let unread = |value: &Value| matches!(value, Value::String(text) if text.starts_with(UNREAD));
    if values.any(unread) { vec![unknown_entry()] } else { index_entries(index, fields) }
}

impl Source for Memory {
    fn spaces(&self, _collection: &str, named: Option<&[SpaceId]>) -> Result<Vec<SpaceId>, ReadError> {
        let Some(named) = named else { return Ok(self.spaces.keys().copied().collect()) };
        match named.iter().find(|space| !self.spaces.contains_key(*space)) {
            Some(space) => Err(ReadError::UnknownSpace { space: *space }),
            None => Ok(named.to_vec()),
        }
    }

    fn indexes(&self, place: Place<'_>) -> Result<BTreeMap<String, Index>, ReadError> {
        Ok(self.state(place)?.indexes.clone())
    }

    fn scan(
        &self,
        place: Place<'_>,
        ids: (Bound<&str>, Bound<&str>),
        descending: bool,
        reading: &Reading<'_>,
        visit: &mut Visit<'_>,
    ) -> Result<(), ReadError> {
        let range = self.state(place)?.documents.range::<str, _>(ids);
        let range: Box<dyn Iterator<Item = _>> = if descending { Box::new(range.rev()) } else { Box::new(range) };
        for (_, document) in range {
            if visit(&Stored { document, reading })?.is_break() {
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
        match self.state(place)?.documents.get(id) {
            Some(document) => visit(&Stored { document, reading }).map(drop),
            None => Ok(()),
        }
    }

    fn index_scan(
        &self,
        place: Place<'_>,
        index: &str,
        rows: (Bound<&[u8]>, Bound<&[u8]>),
        descending: bool,
        visit: &mut VisitRow<'_>,
    ) -> Result<(), ReadError> {
        let range = self.state(place)?.rows[index].range::<[u8], _>(rows);
        let range: Box<dyn Iterator<Item = _>> = if descending { Box::new(range.rev()) } else { Box::new(range) };
        for (row, key_bytes) in range {
            let (key, id) = row.split_at(*key_bytes);
            if visit(key, std::str::from_utf8(id).expect("ids are text"))?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn overlay(&self, place: Place<'_>) -> Result<Option<Cow<'_, Overlay>>, ReadError> {
        Ok(Some(&self.state(place)?.overlay).filter(|overlay| !overlay.is_empty()).map(Cow::Borrowed))
    }
}

struct Stored<'c> {
    document: &'c Document,
    reading: &'c Reading<'c>,
}

impl Candidate for Stored<'_> {
    fn id(&self) -> &str {
        self.document.id.as_str()
    }

    fn field(&self, position: usize) -> Result<Option<Cow<'_, Value>>, ReadError> {
        Ok(self.document.fields.get(&self.reading.fields[position]).map(Cow::Borrowed))
    }

    fn document(&self) -> Result<Document, ReadError> {
        let mut document = self.document.clone();
        document.fields.retain(|name, _| self.reading.select.is_none_or(|select| select.contains(name)));
        Ok(document)
    }
}
