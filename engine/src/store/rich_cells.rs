//! Text and json cells in the store: where their rows stand, how they are read, and how changes of others come in.
//!
//! The key of a row: collection slot, space slot, length of the id (u16), id, field slot, kind, generation, and then
//! the key that `rich::rows` gives it.

use std::sync::Arc;

use super::names::Names;
use super::overlay::Changing;
use super::records::RichReader;
use super::state::SpaceState;
use super::tables::{Opening, Opens, Table, Tables, WriteTable, WriteTables};
use super::{ReadError, WriteError};
use crate::id::DocumentId;
use crate::operation::FieldKind;
use crate::rich::document::Generation;
use crate::rich::rows::{self, Rows, RowsMut, Visit};
use crate::rich::{Cache, CellName, RichCell, RichError};
use crate::value::Value;

/// What all rows of a document's cells start with.
pub(crate) fn cells_prefix(collection: u32, space: u32, id: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(10 + id.len() + 13);
    key.extend_from_slice(&collection.to_be_bytes());
    key.extend_from_slice(&space.to_be_bytes());
    key.extend_from_slice(&u16::try_from(id.len()).unwrap_or(u16::MAX).to_be_bytes());
    key.extend_from_slice(id.as_bytes());
    key
}

fn cell_prefix(mut document: Vec<u8>, field: u32, kind: FieldKind, generation: u64) -> Vec<u8> {
    document.extend_from_slice(&field.to_be_bytes());
    document.push(kind as u8);
    document.extend_from_slice(&generation.to_be_bytes());
    document
}

/// The rows of one cell, for reading.
struct CellRows<'t, R> {
    table: &'t Table<R>,
    prefix: Vec<u8>,
}

impl<R: Opens> Rows for CellRows<'_, R> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        Ok(self.table.get(&[&self.prefix[..], key].concat())?.map(|row| row.to_vec()))
    }

    fn range(&self, first: &[u8], last: &[u8], visit: &mut Visit<'_>) -> Result<(), ReadError> {
        let (first, last) = ([&self.prefix[..], first].concat(), [&self.prefix[..], last].concat());
        for row in self.table.range(&first[..]..=&last[..])? {
            let row = row?;
            visit(&row.key()[self.prefix.len()..], row.value()?)?;
        }
        Ok(())
    }

    fn last(&self, first: &[u8], last: &[u8]) -> Result<Option<(Vec<u8>, Vec<u8>)>, ReadError> {
        let (first, last) = ([&self.prefix[..], first].concat(), [&self.prefix[..], last].concat());
        let Some(row) = self.table.range(&first[..]..=&last[..])?.next_back() else { return Ok(None) };
        let row = row?;
        Ok(Some((row.key()[self.prefix.len()..].to_vec(), row.value()?.to_vec())))
    }
}

/// The rows of one cell, inside a write.
pub(crate) struct CellRowsMut<'w, 't> {
    table: &'w mut WriteTable<'t>,
    prefix: Vec<u8>,
}

impl<'w, 't> CellRowsMut<'w, 't> {
    pub fn new(
        tables: &'w mut WriteTables<'t>,
        space: u32,
        collection: u32,
        id: &str,
        field: u32,
        kind: FieldKind,
        generation: u64,
    ) -> Self {
        let prefix = cell_prefix(cells_prefix(collection, space, id), field, kind, generation);
        Self { table: &mut tables.rich, prefix }
    }

    fn reading(&self) -> CellRows<'_, Opening<'t>> {
        CellRows { table: self.table, prefix: self.prefix.clone() }
    }
}

impl Rows for CellRowsMut<'_, '_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        self.reading().get(key)
    }

    fn range(&self, first: &[u8], last: &[u8], visit: &mut Visit<'_>) -> Result<(), ReadError> {
        self.reading().range(first, last, visit)
    }

    fn last(&self, first: &[u8], last: &[u8]) -> Result<Option<(Vec<u8>, Vec<u8>)>, ReadError> {
        self.reading().last(first, last)
    }
}

impl RowsMut for CellRowsMut<'_, '_> {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), WriteError> {
        Ok(self.table.insert(&[&self.prefix[..], key].concat(), value)?)
    }
}

/// The cells of one document as stored.
pub(crate) struct StoredCells<'a, T> {
    pub tables: &'a T,
    pub names: &'a Names,
    pub cache: &'a Cache,
    pub space: &'a SpaceState,
    pub collection: u32,
    pub id: &'a str,
    /// Whether what is loaded may be cached.
    pub committed: bool,
}

impl<T: Tables> StoredCells<'_, T> {
    fn rows(&self, field: u32, kind: FieldKind, generation: u64) -> CellRows<'_, T::Rows> {
        let prefix = cell_prefix(cells_prefix(self.collection, self.space.slot, self.id), field, kind, generation);
        CellRows { table: self.tables.rich(), prefix }
    }

    /// Does something with the rows of every generation of a chain, and of those that their changes build on.
    pub fn with_chain<O>(
        &self,
        field: u32,
        kind: FieldKind,
        chain: &[u64],
        work: impl FnOnce(&[Generation<'_>]) -> O,
    ) -> Result<O, ReadError> {
        let mut numbers = chain.to_vec();
        let mut next = 0;
        while let Some(number) = numbers.get(next).copied() {
            next += 1;
            // Nothing comes before the first generation, so most documents need no look.
            let reaches = if number > 1 { rows::reaches(&self.rows(field, kind, number))? } else { Vec::new() };
            for reached in reaches {
                if !numbers.contains(&reached) {
                    numbers.push(reached);
                }
            }
        }
        numbers.sort_unstable();
        Ok(self.with(field, kind, &numbers, work))
    }

    /// Does something with the rows of `generation` and of every earlier one that has any.
    pub fn with_earlier<O>(
        &self,
        field: u32,
        kind: FieldKind,
        generation: u64,
        work: impl FnOnce(&[Generation<'_>]) -> O,
    ) -> Result<O, ReadError> {
        let mut numbers = vec![generation];
        while let Some(earlier) = numbers.last().copied().filter(|number| *number > 1) {
            let document = cells_prefix(self.collection, self.space.slot, self.id);
            let first = cell_prefix(document.clone(), field, kind, 0);
            let end = cell_prefix(document, field, kind, earlier);
            let Some(row) = self.tables.rich().range(&first[..]..&end[..])?.next_back() else { break };
            let number = row?.key()[first.len() - 8..].first_chunk().map(|number| u64::from_be_bytes(*number));
            numbers.push(number.ok_or_else(|| super::tables::damaged("rich", &first))?);
        }
        numbers.reverse();
        Ok(self.with(field, kind, &numbers, work))
    }

    fn with<O>(&self, field: u32, kind: FieldKind, numbers: &[u64], work: impl FnOnce(&[Generation<'_>]) -> O) -> O {
        let rows: Vec<_> = numbers.iter().map(|number| self.rows(field, kind, *number)).collect();
        let generations: Vec<Generation<'_>> =
            numbers.iter().zip(&rows).map(|(number, rows)| Generation { number: *number, rows }).collect();
        work(&generations)
    }

    pub fn cell_name(&self, field: u32, kind: FieldKind, generation: u64) -> Result<CellName, ReadError> {
        Ok(CellName {
            space: self.space.id,
            collection: self.names.owned(self.collection),
            id: DocumentId::new(self.id).map_err(|_| super::tables::damaged("documents", self.id.as_bytes()))?,
            generation,
            field: self.names.owned(field),
            kind,
        })
    }

    /// The cell, for changing: out of the cache, or loaded.
    pub fn take(&self, field: u32, kind: FieldKind, chain: &[u64]) -> Result<RichCell, RichError> {
        let newest = chain.last().copied().unwrap_or_default();
        let name = self.cell_name(field, kind, newest)?;
        self.with_chain(field, kind, chain, |generations| {
            match self.cache.take(&name, RichCell::version_of(generations)?) {
                Some(cell) => Ok(cell),
                None => RichCell::load(kind, generations),
            }
        })?
    }

    fn unavailable(&self, field: u32, error: RichError) -> ReadError {
        match error {
            RichError::Read(error) => error,
            other => ReadError::FieldUnavailable {
                collection: self.names.owned(self.collection),
                id: DocumentId::new(self.id).unwrap_or_else(|_| DocumentId::time_ordered(0, [0; 10])),
                field: self.names.owned(field),
                why: other.to_string(),
            },
        }
    }
}

impl<T: Tables> RichReader for StoredCells<'_, T> {
    fn rich(&self, field: u32, kind: FieldKind, chain: &[u64]) -> Result<Value, ReadError> {
        let newest = chain.last().copied().unwrap_or_default();
        let name = self.cell_name(field, kind, newest)?;
        self.with_chain(field, kind, chain, |generations| {
            let cell = match self.cache.get(&name, RichCell::version_of(generations)?) {
                Some(cell) => cell,
                None => {
                    let cell = RichCell::load(kind, generations).map_err(|error| self.unavailable(field, error))?;
                    let cell = Arc::new(cell);
                    if self.committed {
                        self.cache.put(name, cell.clone());
                    }
                    cell
                }
            };
            content(&cell, kind).map_err(|error| self.unavailable(field, error))
        })?
    }
}

fn content(cell: &RichCell, kind: FieldKind) -> Result<Value, RichError> {
    match kind {
        FieldKind::Text => Ok(Value::String(cell.text()?.to_string())),
        _ => cell.json(),
    }
}

/// The cells of a document that a transaction is changing: those it edits as it left them, the others as stored.
pub(crate) struct PendingCells<'a, T> {
    pub changing: &'a Changing,
    pub stored: StoredCells<'a, T>,
}

impl<T: Tables> RichReader for PendingCells<'_, T> {
    fn rich(&self, field: u32, kind: FieldKind, chain: &[u64]) -> Result<Value, ReadError> {
        match self.changing.pending.get(&(field, kind)) {
            Some(pending) if chain.last() == Some(&pending.generation) => {
                content(&pending.cell, kind).map_err(|error| self.stored.unavailable(field, error))
            }
            _ => self.stored.rich(field, kind, chain),
        }
    }
}
