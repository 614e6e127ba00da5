//! Target: a database file with changed bytes. It opens or is refused, and what is read of it is the truth or an error.

use tidewater_engine::store::Location;
use tidewater_sync::Database;

use super::people::{options, people};
use super::reading::read_everything;
use super::script::Script;
use super::{Memory, Target};
use crate::disk::Disk;

pub(super) const TARGET: Target = Target {
    name: "file",
    run,
    seeds,
    input_bytes_max: 256,
    memory: Memory { fixed: 64 << 20, per_byte: 64 << 10 },
    executions: 200,
};

/// A few times: a place of three bytes, and what is done to the byte there. At the end maybe a new length.
fn run(input: &[u8]) -> bool {
    let mut bytes = people().ada.clone();
    let mut script = Script::new(input);
    while !script.is_over() {
        let (high, low, change) = (usize::from(script.byte()), script.short(), script.byte());
        let at = (high << 16 | low) % bytes.len().max(1);
        match change {
            0 => bytes.truncate(at),
            change => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= change;
                }
            }
        }
    }
    let disk = Disk::holding(bytes);
    let Ok(database) = Database::open(Location::Backend(Box::new(disk)), options(61)) else { return false };
    if let Ok(Some(note)) = database.snapshot().and_then(|now| now.get(None, "notes", "by-ada")) {
        assert_eq!(note.fields["title"], "by-ada".into(), "what is read is the truth");
    }
    read_everything(&database)
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = vec![Vec::new(), vec![0, 0, 9, 1], vec![0, 16, 0, 0]];
    seeds.extend((1u8..16).map(|page| vec![0, page << 4, page.wrapping_mul(37), 1 << (page % 8)]));
    seeds
}
