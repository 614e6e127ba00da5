//! Target: document records, put into a file with the right check.

use tidewater_sync::Database;

use super::people::{options, people};
use super::reading::read_everything;
use super::row::{put, rows};
use super::{Memory, Target};
use crate::disk::Disk;

pub(super) const TARGET: Target = Target {
    name: "record",
    run,
    seeds,
    input_bytes_max: 2_048,
    memory: Memory { fixed: 64 << 20, per_byte: 64 << 10 },
    executions: 200,
};

/// The table of documents, counted from 0.
const DOCUMENTS: usize = 10;

fn run(input: &[u8]) -> bool {
    let disk = Disk::holding(people().ada.clone());
    let documents = rows(&disk, DOCUMENTS);
    let note = documents.iter().find(|(key, _)| key.ends_with(b"n1")).expect("a note");
    put(&disk, DOCUMENTS, &note.0, Some(input));
    let Ok(database) = Database::open(disk.location(), options(71)) else { return false };
    let taken = database.snapshot().and_then(|now| now.get(None, "notes", "n1")).is_ok();
    read_everything(&database);
    taken
}

fn seeds() -> Vec<Vec<u8>> {
    rows(&Disk::holding(people().ada.clone()), DOCUMENTS).into_iter().map(|(_, value)| value).collect()
}
