//! Rows of secondary indexes: index slot, space slot, index key, document id → the length of the index key.

use super::ReadError;
use super::group::Work;
use super::names::Names;
use super::records::{Showing, document_key, id_of, load, schema_of, undecodable};
use super::state::SpaceState;
use crate::codec;
use crate::document::held::Held;
use crate::id::SpaceId;
use crate::query::key::{index_entries, unknown_entry};
use crate::schema::Index;
use crate::value::Fields;

/// One row of an index.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct IndexRow {
    pub key: Vec<u8>,
    entry_bytes: u32,
}

/// What every row of an index in one space starts with.
pub(crate) fn index_prefix(index: u32, space: u32) -> [u8; 8] {
    let mut prefix = [0; 8];
    prefix[..4].copy_from_slice(&index.to_be_bytes());
    prefix[4..].copy_from_slice(&space.to_be_bytes());
    prefix
}

/// The rows that a document should have in all indexes of its collection, in order.
pub(crate) fn rows_of(
    names: &Names,
    space: &SpaceState,
    collection: u32,
    id: &str,
    held: &Held,
) -> Result<Vec<IndexRow>, ReadError> {
    let Some(declared) = schema_of(space, collection) else { return Ok(Vec::new()) };
    let mut rows = Vec::new();
    for (name, slot) in &declared.index_slots {
        if let Some(index) = declared.schema.indexes.get(name) {
            rows_of_index(names, space, collection, id, held, (index, *slot), &mut rows)?;
        }
    }
    rows.sort();
    Ok(rows)
}

fn rows_of_index(
    names: &Names,
    space: &SpaceState,
    collection: u32,
    id: &str,
    held: &Held,
    (index, slot): (&Index, u32),
    rows: &mut Vec<IndexRow>,
) -> Result<(), ReadError> {
    let Some(generation) = held.live_generation().map_err(undecodable(id))? else { return Ok(()) };
    let chain = held.chain(generation).map_err(undecodable(id))?;
    let showing = Showing { names, schema: schema_of(space, collection), rich: None };
    let mut fields = Fields::new();
    let mut unknown = false;
    for path in &index.fields {
        let name = path.split('.').next().unwrap_or(path);
        let Some(field) = names.slot(name) else { continue };
        let cells = held.cells(field).map_err(undecodable(id))?;
        unknown |= showing.is_rich(field, &cells, &chain);
        if let Some(value) = showing.field(field, &cells, &chain)? {
            fields.insert(name.to_owned(), value);
        }
    }
    let entries = if unknown { vec![unknown_entry()] } else { index_entries(index, &fields) };
    for entry in entries {
        let mut key = index_prefix(slot, space.slot).to_vec();
        let entry_bytes = u32::try_from(entry.len()).unwrap_or(u32::MAX);
        key.extend_from_slice(&entry);
        key.extend_from_slice(id.as_bytes());
        rows.push(IndexRow { key, entry_bytes });
    }
    Ok(())
}

/// What becomes of index rows in one commit.
#[derive(Default)]
pub(crate) struct IndexChanges {
    gone: Vec<IndexRow>,
    come: Vec<IndexRow>,
}

impl IndexChanges {
    /// Replaces a document's rows. Both lists are in order.
    pub fn replace(&mut self, mut old: &[IndexRow], mut new: Vec<IndexRow>) {
        if old == new {
            return;
        }
        if planted!(IndexRowForgotten) && !old.is_empty() {
            new.clear();
        }
        if planted!(IndexRowLeft) {
            old = &[];
        }
        self.gone.extend(old.iter().filter(|row| new.binary_search(row).is_err()).cloned());
        new.retain(|row| old.binary_search(row).is_err());
        self.come.append(&mut new);
    }

    /// Writes them, neighbours after one another.
    pub fn store(mut self, work: &mut Work<'_>) -> Result<(), ReadError> {
        self.gone.sort_unstable();
        for row in &self.gone {
            work.tables.indexes.remove(&row.key)?;
        }
        insert(work, self.come)
    }
}

fn insert(work: &mut Work<'_>, mut rows: Vec<IndexRow>) -> Result<(), ReadError> {
    rows.sort_unstable();
    work.tables.indexes.insert_new(rows.len(), |at, key, value| {
        let IndexRow { key: row, entry_bytes } = &rows[at];
        key.extend_from_slice(row);
        codec::put_varint(value, u64::from(*entry_bytes));
        Ok(())
    })
}

/// Splits a stored row into the index key and the document's id.
pub(crate) fn split_row<'r>(key: &'r [u8], value: &[u8]) -> Option<(&'r [u8], &'r str)> {
    let entry_bytes = usize::try_from(codec::Reader::new(value).varint().ok()?).ok()?;
    let (entry, id) = key.get(8..)?.split_at_checked(entry_bytes)?;
    Some((entry, std::str::from_utf8(id).ok()?))
}

/// Fills an index of a collection in a space from its documents.
pub(crate) fn build(
    work: &mut Work<'_>,
    space: &SpaceId,
    collection: u32,
    index: (&Index, u32),
) -> Result<(), ReadError> {
    let space = work.space(space)?.clone();
    let prefix = document_key(collection, space.slot, "");
    let mut from = prefix.clone();
    // Rows are inserted in steps, because a table can't be read and written at once.
    const STEP: usize = 1_000;
    loop {
        let mut rows = Vec::new();
        let mut seen = 0;
        let keys: Vec<Vec<u8>> = work
            .tables
            .documents
            .range(&from[..]..)?
            .take(STEP)
            .map(|row| row.map(|row| row.key().to_vec()))
            .collect::<Result<_, _>>()?;
        for key in &keys {
            if !key.starts_with(&prefix) {
                break;
            }
            seen += 1;
            let id = id_of(key).ok_or_else(|| work.tables.documents.damaged(key))?;
            let held = load(&work.tables, &work.state.names, key)?;
            rows_of_index(&work.state.names, &space, collection, id.as_str(), &held, index, &mut rows)?;
        }
        insert(work, rows)?;
        if seen < STEP {
            return Ok(());
        }
        from.clone_from(&keys[STEP - 1]);
        from.push(0);
    }
}
