//! Target: a database file with changed bytes. It opens or is refused, and what is read of it is the truth or an error.

use std::io;

use redb::StorageBackend;
use tidewater_engine::store::Pages;
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

/// In a place: its page gets the sum that belongs to it, as whoever may write to the file can give it.
const WITH_SUM: u8 = 0x80;

/// A few times: a place of three bytes, and what is done to the byte there. At the end maybe a new length.
fn run(input: &[u8]) -> bool {
    let disk = Disk::holding(people().ada.clone());
    let mut script = Script::new(input);
    while !script.is_over() {
        let (high, low, change) = (script.byte(), script.short(), script.byte());
        let place = usize::from(high & !WITH_SUM) << 16 | low;
        // What is damaged already stays so.
        let _ = if high & WITH_SUM > 0 { change_page(&disk, place, change) } else { change_file(&disk, place, change) };
    }
    let Ok(database) = Database::open(disk.location(), options(61)) else { return false };
    if let Ok(Some(note)) = database.snapshot().and_then(|now| now.get(None, "notes", "by-ada")) {
        assert_eq!(note.fields["title"], "by-ada".into(), "what is read is the truth");
    }
    read_everything(&database)
}

fn change_file(disk: &Disk, place: usize, change: u8) -> io::Result<()> {
    let file = disk.database();
    let at = place as u64 % file.len()?.max(1);
    if change == 0 {
        return file.set_len(at);
    }
    let mut byte = [0];
    file.read(at, &mut byte)?;
    file.write(at, &[byte[0] ^ change])
}

/// The same to what redb takes for its file.
fn change_page(disk: &Disk, place: usize, change: u8) -> io::Result<()> {
    let pages = Pages::new(Box::new(disk.database()));
    let at = place as u64 % pages.len()?.max(1);
    if change == 0 {
        pages.set_len(at - at % 4096)?;
    } else {
        let mut byte = [0];
        pages.read(at, &mut byte)?;
        pages.write(at, &[byte[0] ^ change])?;
    }
    pages.sync_data()
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = vec![Vec::new(), vec![0, 0, 9, 1], vec![0, 16, 0, 0], vec![WITH_SUM, 16, 0, 0]];
    for with_sum in [0, WITH_SUM] {
        seeds.extend((1u8..16).map(|page| vec![with_sum, page << 4, page.wrapping_mul(37), 1 << (page % 8)]));
    }
    // Where the title of a note is stored: no sum tells that it was changed.
    seeds.extend(places_of(b"by-ada").into_iter().map(|place| {
        let [_, high, middle, low] = place.to_be_bytes();
        vec![high | WITH_SUM, middle, low, 1]
    }));
    seeds
}

/// Where these bytes stand in what redb takes for its file.
fn places_of(wanted: &[u8]) -> Vec<u32> {
    let disk = Disk::holding(people().ada.clone());
    let pages = Pages::new(Box::new(disk.database()));
    let mut found = Vec::new();
    for page in 1..pages.len().expect("an honest file") / 4096 {
        let mut bytes = vec![0; 4096];
        if pages.read(page * 4096, &mut bytes).is_ok() {
            let within = bytes.windows(wanted.len()).enumerate().filter(|(_, window)| *window == wanted);
            found.extend(within.map(|(at, _)| page as u32 * 4096 + at as u32));
        }
    }
    found.truncate(16);
    found
}
