//! The tables of a database file. `docs/spec/file.md` lists their keys and values.
//!
//! Every value ends in a check over table, key and value, verified on each read.

use std::cell::OnceCell;
use std::ops::Bound;
use std::sync::Arc;

use redb::{CursorError, ReadableTable, StorageError, TableDefinition};

use super::ReadError;
use super::lease::Lessee;
use super::pages::DamagedPage;
use crate::contain::contain;

type Definition = TableDefinition<'static, &'static [u8], &'static [u8]>;

/// A table and its number in checks and messages.
#[derive(Clone, Copy)]
pub(crate) struct TableName {
    pub definition: Definition,
    pub name: &'static str,
    seed: u64,
}

macro_rules! tables {
    ($($(#[$doc:meta])* $field:ident = $number:expr;)*) => {
        /// The definitions.
        pub(crate) mod name {
            use super::{TableDefinition, TableName};
            $(
                #[expect(non_upper_case_globals, reason = "a table is named like the field that holds it")]
                pub const $field: TableName = TableName {
                    definition: TableDefinition::new(stringify!($field)),
                    name: stringify!($field),
                    seed: $number,
                };
            )*
        }

        /// The tables of a read transaction.
        pub(crate) struct ReadTables {
            $($(#[$doc])* pub $field: Table<ReadOnly>,)*
        }

        impl ReadTables {
            pub fn open(transaction: &redb::ReadTransaction, lessee: &Arc<Lessee>) -> Result<Self, ReadError> {
                Ok(Self {
                    $($field: Table {
                        rows: opened(lessee, || transaction.open_table(name::$field.definition))?,
                        name: name::$field,
                        lessee: lessee.clone(),
                    },)*
                })
            }
        }

        /// The tables of a write transaction.
        pub(crate) struct WriteTables<'t> {
            $($(#[$doc])* pub $field: WriteTable<'t>,)*
        }

        impl<'t> WriteTables<'t> {
            pub fn new(transaction: &'t redb::WriteTransaction, lessee: &Arc<Lessee>) -> Self {
                Self { $($field: WriteTable::new(transaction, lessee, name::$field),)* }
            }

            /// Makes every table that is not there yet.
            pub fn create(&self) -> Result<(), ReadError> {
                $(self.$field.rows.opened()?;)*
                Ok(())
            }
        }

        /// The tables that documents are read from, in either kind of transaction.
        pub(crate) trait Tables {
            type Rows: Opens;
            $($(#[$doc])* fn $field(&self) -> &Table<Self::Rows>;)*
        }

        impl Tables for ReadTables {
            type Rows = ReadOnly;
            $(fn $field(&self) -> &Table<Self::Rows> { &self.$field })*
        }

        impl<'t> Tables for WriteTables<'t> {
            type Rows = Opening<'t>;
            $(fn $field(&self) -> &Table<Self::Rows> { &self.$field })*
        }
    };
}

tables! {
    /// Single records: format, database id, nonce, home.
    meta = 1;
    /// Local records of the crates above.
    local = 2;
    /// Slot ↔ name, writer, space.
    names = 3;
    /// Space slot → effective table and counts.
    spaces = 4;
    /// Space, plane, writer → state of the log.
    logs = 5;
    /// Log, sequence → header and body.
    entries = 6;
    /// Log, sequence → hashes of the complete subtrees that end there.
    tree = 7;
    /// Log, length → signature.
    heads = 8;
    /// Space, plane, number → log and sequence, in order of application.
    order = 9;
    /// Log, sequence → why the commit that starts there counts for nothing.
    voids = 10;
    /// Collection, space, id → document record.
    documents = 11;
    /// Index, space, key, id → nothing.
    indexes = 12;
    /// Cells of text and json.
    rich = 13;
    /// Collection, space, id, number → older commits that touched a document.
    touches = 14;
    /// Collection, space, id → nothing: the documents with conflicts.
    conflicts = 15;
}

/// After so many rows without a neighbour, the rest of a batch is taken for scattered.
const LONE_ROWS_MAX: usize = 3;

/// How many bytes of check follow every value.
pub(crate) const CHECK_BYTES: usize = 8;

pub(crate) type ReadOnly = redb::ReadOnlyTable<&'static [u8], &'static [u8]>;
type Writable<'t> = redb::Table<'t, &'static [u8], &'static [u8]>;

/// A table that can be read, in either kind of transaction.
pub(crate) trait Opens {
    type Opened: ReadableTable<&'static [u8], &'static [u8]>;

    fn opened(&self) -> Result<&Self::Opened, ReadError>;
}

impl Opens for ReadOnly {
    type Opened = Self;

    fn opened(&self) -> Result<&Self, ReadError> {
        Ok(self)
    }
}

/// A table of a write transaction that is opened at its first use: a small write uses few, and opening one costs as much as
/// several rows.
pub(crate) struct Opening<'t> {
    transaction: &'t redb::WriteTransaction,
    definition: Definition,
    lessee: Arc<Lessee>,
    opened: OnceCell<Writable<'t>>,
}

impl<'t> Opens for Opening<'t> {
    type Opened = Writable<'t>;

    fn opened(&self) -> Result<&Self::Opened, ReadError> {
        if let Some(opened) = self.opened.get() {
            return Ok(opened);
        }
        let opened = opened(&self.lessee, || self.transaction.open_table(self.definition))?;
        Ok(self.opened.get_or_init(|| opened))
    }
}

impl<'t> Opening<'t> {
    fn opened_mut(&mut self) -> Result<&mut Writable<'t>, ReadError> {
        self.opened()?;
        Ok(self.opened.get_mut().expect("opened above"))
    }
}

/// A table that can be written.
pub(crate) type WriteTable<'t> = Table<Opening<'t>>;

/// One table whose values carry checks.
pub(crate) struct Table<R> {
    rows: R,
    name: TableName,
    /// Lost when redb panics, since it can't be used after that.
    lessee: Arc<Lessee>,
}

/// A value whose check was verified.
pub(crate) struct Checked<'a>(redb::AccessGuard<'a, &'static [u8]>);

impl std::ops::Deref for Checked<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let value = self.0.value();
        &value[..value.len().saturating_sub(CHECK_BYTES)]
    }
}

/// A row of a range, verified when its value is asked for.
pub(crate) struct Row<'a> {
    key: redb::AccessGuard<'a, &'static [u8]>,
    value: redb::AccessGuard<'a, &'static [u8]>,
    name: TableName,
}

impl Row<'_> {
    pub fn key(&self) -> &[u8] {
        self.key.value()
    }

    pub fn value(&self) -> Result<&[u8], ReadError> {
        verified(self.name, self.key.value(), self.value.value())
    }
}

/// The rows of a range. After one that redb can't give there are no more.
pub(crate) struct Rows<'a, R> {
    rows: redb::Range<'a, &'static [u8], &'static [u8]>,
    table: &'a Table<R>,
    /// Where the range starts: what an error names.
    start: Box<[u8]>,
    is_over: bool,
}

impl<'a, R: Opens> Rows<'a, R> {
    fn step(&mut self, step: impl FnOnce(&mut redb::Range<'a, &'static [u8], &'static [u8]>) -> Step<'a>) -> Next<'a> {
        if self.is_over {
            return None;
        }
        let Self { rows, table, start, .. } = self;
        let row = table.ask(start, || {
            let row = step(rows).transpose()?;
            row.iter().for_each(|(key, value)| {
                within_page(key);
                within_page(value);
            });
            Ok(row)
        });
        let row = row.transpose()?;
        self.is_over = row.is_err();
        Some(row.map(|(key, value)| Row { key, value, name: self.table.name }))
    }
}

/// Asks for the bytes once where a panic is contained: whether they lie within their page does not change later.
fn within_page(guard: &Guard<'_>) {
    std::hint::black_box(guard.value());
}

type Guard<'a> = redb::AccessGuard<'a, &'static [u8]>;
type Step<'a> = Option<Result<(Guard<'a>, Guard<'a>), StorageError>>;
type Next<'a> = Option<Result<Row<'a>, ReadError>>;

impl<'a, R: Opens> Iterator for Rows<'a, R> {
    type Item = Result<Row<'a>, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step(Iterator::next)
    }
}

impl<R: Opens> DoubleEndedIterator for Rows<'_, R> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.step(DoubleEndedIterator::next_back)
    }
}

fn check(name: TableName, key: &[u8], value: &[u8]) -> [u8; CHECK_BYTES] {
    use xxhash_rust::xxh3::xxh3_64_with_seed;
    xxh3_64_with_seed(value, xxh3_64_with_seed(key, name.seed)).to_le_bytes()
}

fn verified<'v>(name: TableName, key: &[u8], stored: &'v [u8]) -> Result<&'v [u8], ReadError> {
    stored
        .split_last_chunk::<CHECK_BYTES>()
        .filter(|(value, found)| check(name, key, value) == **found || planted!(CheckIgnored))
        .map(|(value, _)| value)
        .ok_or_else(|| damaged(name.name, key))
}

/// The error for a record that does not match its check, or can't be decoded although it does.
pub(crate) fn damaged(table: &'static str, key: &[u8]) -> ReadError {
    ReadError::Damaged { table, key: key.iter().take(64).map(|byte| format!("{byte:02x}")).collect() }
}

/// Any failure of the storage, as a read error.
pub(crate) fn storage(error: impl std::fmt::Display) -> ReadError {
    ReadError::Storage { why: error.to_string() }
}

/// A failure of redb: the damaged page that it met, or whatever it says.
pub(crate) fn failed(error: impl Into<redb::Error>) -> ReadError {
    let error = error.into();
    let page = if let redb::Error::Io(error) = &error { DamagedPage::of(error) } else { None };
    page.map_or_else(|| storage(error), |damaged| ReadError::DamagedPage { page: damaged.page })
}

fn opened<T>(lessee: &Lessee, open: impl FnOnce() -> Result<T, redb::TableError>) -> Result<T, ReadError> {
    contain(open).map_err(|said| lost(lessee, said))?.map_err(failed)
}

fn lost(lessee: &Lessee, said: String) -> ReadError {
    lessee.lose();
    storage(said)
}

impl<R: Opens> Table<R> {
    /// Asks redb, which can panic and finds pages wrong where they are damaged: then whatever is at `key` can't be read.
    fn ask<T>(&self, key: &[u8], question: impl FnOnce() -> Result<T, StorageError>) -> Result<T, ReadError> {
        match contain(question) {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(StorageError::Corrupted(_))) => Err(self.damaged(key)),
            Ok(Err(error)) => Err(failed(error)),
            Err(_) => {
                self.lessee.lose();
                Err(self.damaged(key))
            }
        }
    }

    pub fn get(&self, key: &[u8]) -> Result<Option<Checked<'_>>, ReadError> {
        let rows = self.rows.opened()?;
        let found = self.ask(key, || {
            let found = rows.get(key)?;
            found.iter().for_each(within_page);
            Ok(found)
        });
        let Some(guard) = found? else { return Ok(None) };
        verified(self.name, key, guard.value())?;
        Ok(Some(Checked(guard)))
    }

    /// Rows in a range of keys, in either direction.
    pub fn range<'a, 'k>(&'a self, range: impl std::ops::RangeBounds<&'k [u8]> + 'k) -> Result<Rows<'a, R>, ReadError> {
        let start: Box<[u8]> = match range.start_bound() {
            Bound::Included(key) | Bound::Excluded(key) => (*key).into(),
            Bound::Unbounded => Box::default(),
        };
        let rows = self.rows.opened()?;
        let rows = self.ask(&start, || rows.range::<&[u8]>(range))?;
        Ok(Rows { rows, table: self, start, is_over: false })
    }

    /// Rows whose key starts with `prefix`.
    pub fn prefixed<'a>(&'a self, prefix: &[u8]) -> Result<Rows<'a, R>, ReadError> {
        let after = after_prefix(prefix);
        let end = after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        self.range((Bound::Included(prefix), end))
    }

    /// The error for a record of this table that can't be decoded.
    pub fn damaged(&self, key: &[u8]) -> ReadError {
        damaged(self.name.name, key)
    }
}

impl<'t> WriteTable<'t> {
    fn new(transaction: &'t redb::WriteTransaction, lessee: &Arc<Lessee>, name: TableName) -> Self {
        let rows =
            Opening { transaction, definition: name.definition, lessee: lessee.clone(), opened: OnceCell::new() };
        Self { rows, name, lessee: lessee.clone() }
    }

    /// Changes rows. redb can panic at damaged pages when it writes, too.
    fn change<T>(&mut self, change: impl FnOnce(&mut Writable<'t>) -> Result<T, ReadError>) -> Result<T, ReadError> {
        let Self { rows, lessee, .. } = self;
        let rows = rows.opened_mut()?;
        contain(|| change(rows)).map_err(|said| lost(lessee, said))?
    }

    pub fn insert(&mut self, key: &[u8], value: &[u8]) -> Result<(), ReadError> {
        let length = value.len();
        let check = check(self.name, key, value);
        self.change(|rows| {
            let mut room = rows.insert_reserve(key, length + CHECK_BYTES).map_err(failed)?;
            let room = room.as_mut();
            room[..length].copy_from_slice(value);
            room[length..].copy_from_slice(&check);
            Ok(())
        })
    }

    /// Inserts so many rows, whose keys ascend and are not there yet: runs of neighbours go down the tree as one. `row` writes
    /// the key and the value of each.
    pub fn insert_new(
        &mut self,
        count: usize,
        mut row: impl FnMut(usize, &mut Vec<u8>, &mut Vec<u8>) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        let (name, mut key, mut value) = (self.name, Vec::new(), Vec::new());
        let mut fill = |at: usize, key: &mut Vec<u8>, value: &mut Vec<u8>| {
            key.clear();
            value.clear();
            row(at, key, value)?;
            value.extend_from_slice(&check(name, key, value));
            Ok::<(), ReadError>(())
        };
        self.change(|rows| {
            // One row alone is cheaper to insert as such.
            let (mut at, mut lone) = (0, if count > 1 { 0 } else { LONE_ROWS_MAX });
            while at < count {
                fill(at, &mut key, &mut value)?;
                at += 1;
                if lone == LONE_ROWS_MAX {
                    rows.insert(&key[..], &value[..]).map_err(failed)?;
                    continue;
                }
                let mut gap = rows.lower_bound_mut(Bound::Included(&key[..])).map_err(failed)?;
                gap.insert_before(&key[..], &value[..]).map_err(failed)?;
                lone += 1;
                while at < count {
                    fill(at, &mut key, &mut value)?;
                    match gap.insert_before(&key[..], &value[..]) {
                        Err(CursorError::UnorderedKey) => break,
                        inserted => inserted.map_err(failed)?,
                    }
                    (at, lone) = (at + 1, 0);
                }
                gap.close().map_err(failed)?;
            }
            Ok(())
        })
    }

    pub fn remove(&mut self, key: &[u8]) -> Result<(), ReadError> {
        self.change(|rows| rows.remove(key).map(drop).map_err(failed))
    }

    /// Removes every row whose key starts with `prefix`.
    pub fn remove_prefixed(&mut self, prefix: &[u8]) -> Result<(), ReadError> {
        let after = after_prefix(prefix);
        let end = after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        self.change(|rows| rows.retain_in::<&[u8], _>((Bound::Included(prefix), end), |_, _| false).map_err(failed))
    }
}

/// The least key that is greater than every key with this prefix; `None` when there is none.
pub(crate) fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut after = prefix[..=last].to_vec();
    after[last] += 1;
    Some(after)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use redb::ReadableDatabase;

    use super::*;
    use crate::value::sample::Sampler;

    /// Runs, rows between others, and rows far from each other are inserted alike.
    #[test]
    fn new_rows_are_there_whatever_stands_between_them() {
        for seed in 0..60 {
            let mut sampler = Sampler::new(seed);
            let redb = redb::Database::builder().create_with_backend(redb::backends::InMemoryBackend::new()).unwrap();
            let mut expected = BTreeMap::new();
            for _ in 0..4 {
                let spread = [300, 3_000, 300_000][sampler.below(3)];
                let new: BTreeMap<Vec<u8>, Vec<u8>> = (0..sampler.below(400))
                    .map(|_| ((sampler.below(spread) as u32).to_be_bytes().to_vec(), vec![7; sampler.below(90)]))
                    .filter(|(key, _)| !expected.contains_key(key))
                    .collect();
                let transaction = redb.begin_write().unwrap();
                let mut tables = WriteTables::new(&transaction, &Arc::default());
                tables.create().unwrap();
                let rows: Vec<_> = new.iter().collect();
                let write = |at: usize, key: &mut Vec<u8>, value: &mut Vec<u8>| {
                    key.extend_from_slice(rows[at].0);
                    value.extend_from_slice(rows[at].1);
                    Ok(())
                };
                tables.documents.insert_new(rows.len(), write).unwrap();
                drop(tables);
                transaction.commit().unwrap();
                expected.extend(new);
            }
            let tables = ReadTables::open(&redb.begin_read().unwrap(), &Arc::default()).unwrap();
            let found = tables.documents.range(..).unwrap().map(|row| {
                let row = row.unwrap();
                (row.key().to_vec(), row.value().unwrap().to_vec())
            });
            assert!(found.eq(expected), "seed {seed}");
        }
    }
}
