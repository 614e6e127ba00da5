//! Target: rows of a database file that were changed and given the right check, as whoever may write to the file can.

use redb::{Database as Redb, ReadableDatabase, ReadableTable, TableDefinition};
use tidewater_engine::store::Pages;
use tidewater_sync::Database;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::people::{options, people};
use super::reading::read_everything;
use super::script::{Script, put_block};
use super::{Memory, Target};
use crate::disk::Disk;

pub(super) const TARGET: Target = Target {
    name: "row",
    run,
    seeds,
    input_bytes_max: 2_048,
    memory: Memory { fixed: 64 << 20, per_byte: 64 << 10 },
    executions: 250,
};

/// The tables, by their numbers in checks: `docs/spec/file.md`.
const TABLES: [&str; 14] = [
    "meta",
    "local",
    "names",
    "spaces",
    "logs",
    "entries",
    "tree",
    "heads",
    "order",
    "voids",
    "documents",
    "indexes",
    "rich",
    "touches",
];
/// Rows that one script changes at most.
const MAX_ROWS: usize = 4;

type Rows = Vec<(Vec<u8>, Vec<u8>)>;

fn definition(table: usize) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
    TableDefinition::new(TABLES[table])
}

fn redb(disk: &Disk) -> Redb {
    Redb::builder().create_with_backend(Pages::new(Box::new(disk.database()))).expect("an honest file opens")
}

/// The rows of a table with their values without checks.
pub(super) fn rows(disk: &Disk, table: usize) -> Rows {
    let redb = redb(disk);
    let transaction = redb.begin_read().expect("an honest file is read");
    let table = transaction.open_table(definition(table)).expect("a table of the file");
    let rows = table.iter().expect("rows").map(|row| {
        let (key, value) = row.expect("a row");
        let value = value.value();
        (key.value().to_vec(), value[..value.len() - 8].to_vec())
    });
    rows.collect()
}

/// Writes a row with the check that belongs to it; without a value it is removed.
pub(super) fn put(disk: &Disk, table: usize, key: &[u8], value: Option<&[u8]>) {
    let redb = redb(disk);
    let transaction = redb.begin_write().expect("a disk in memory");
    {
        let mut rows = transaction.open_table(definition(table)).expect("a table of the file");
        match value {
            Some(value) => {
                let check = xxh3_64_with_seed(value, xxh3_64_with_seed(key, table as u64 + 1));
                let stored = [value, &check.to_le_bytes()].concat();
                rows.insert(key, &*stored).expect("a row is written");
            }
            None => drop(rows.remove(key).expect("a row is removed")),
        }
    }
    transaction.commit().expect("a disk in memory");
}

/// A few times: a table, a row, what is done to it.
fn run(input: &[u8]) -> bool {
    let disk = Disk::holding(people().ada.clone());
    let mut script = Script::new(input);
    for _ in 0..MAX_ROWS {
        let (table, how) = (usize::from(script.byte()) % TABLES.len(), script.byte());
        let rows = rows(&disk, table);
        let Some((key, value)) = rows.get(script.place(rows.len())) else { continue };
        let mut value = value.clone();
        let mut key = key.clone();
        let at = script.place(value.len() + 1);
        match how % 8 {
            0 => value = script.block().to_vec(),
            1 => value.truncate(at),
            2 => drop(value.splice(at..at, script.block().iter().copied())),
            3 => {
                put(&disk, table, &key, None);
                continue;
            }
            4 => {
                let at = at.min(key.len().saturating_sub(1));
                key[at] = script.byte();
            }
            _ => {
                let end = value.len().min(at + 1 + usize::from(how / 64));
                drop(value.splice(at..end, script.bytes(1 + usize::from(how / 64)).iter().copied()));
            }
        }
        put(&disk, table, &key, Some(&value));
        if script.is_over() {
            break;
        }
    }
    Database::open(disk.location(), options(51)).is_ok_and(|database| read_everything(&database))
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = vec![Vec::new()];
    for table in 0..TABLES.len() as u8 {
        let mut replaced = vec![table, 0, 0, 0, 0, 0];
        put_block(&mut replaced, &[1, 2, 3]);
        seeds.extend([vec![table, 3], vec![table, 1, 0, 1, 0, 2], vec![table, 69, 0, 1, 0, 3, 0xff, 0xff], replaced]);
    }
    seeds
}
