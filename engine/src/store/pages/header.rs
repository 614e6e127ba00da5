//! redb's header, which alone is written in place. The first page says which it may be, so that an old one is found out.

use std::io;

use redb::StorageBackend;

use super::DamagedPage;
use super::first::{self, REDB_MAGIC, Record, VIEWS};
use super::place::{self, PAGE_BYTES};
use super::read_within;

/// How long it is.
pub(super) const HEADER_BYTES: usize = 320;

// Where redb keeps what in it: `docs/spec/file.md`.
const CHOICE: usize = 9;
const GEOMETRY: std::ops::Range<usize> = 12..24;
const SLOTS: usize = 64;
const SLOT_BYTES: usize = 128;
/// Of the byte of choice: which slot counts.
const CHOSEN: u8 = 1;
const TWO_PHASE: u8 = 4;

/// The view of a header that was not written yet.
const NONE: u64 = 0;

type Bytes = [u8; HEADER_BYTES];

/// What decides what is read, as a hash.
fn view(header: &Bytes) -> u64 {
    if !header.starts_with(REDB_MAGIC) {
        return NONE;
    }
    let choice = header[CHOICE];
    let slot = SLOTS + SLOT_BYTES * usize::from(choice & CHOSEN);
    let parts: [&[u8]; 4] =
        [REDB_MAGIC, &[choice & (CHOSEN | TWO_PHASE)], &header[GEOMETRY], &header[slot..slot + SLOT_BYTES]];
    xxhash_rust::xxh3::xxh3_64(&parts.concat()).max(1)
}

/// The view once the other slot is chosen.
fn view_of_other(header: &Bytes) -> u64 {
    let mut chosen = *header;
    chosen[CHOICE] ^= CHOSEN;
    view(&chosen)
}

/// The slot that is not chosen.
fn other_slot(header: &Bytes) -> &[u8] {
    let slot = SLOTS + SLOT_BYTES * usize::from(header[CHOICE] & CHOSEN ^ CHOSEN);
    &header[slot..slot + SLOT_BYTES]
}

fn place() -> u64 {
    place::offset(place::of_page(0))
}

fn load(backend: &dyn StorageBackend) -> io::Result<Bytes> {
    let mut bytes = [0; HEADER_BYTES];
    read_within(backend, place(), &mut bytes)?;
    Ok(bytes)
}

/// The header as it is stored, and what the first page says of it.
#[derive(Debug)]
pub(super) struct Header {
    bytes: Bytes,
    /// `None`: there is no first page yet.
    record: Option<Record>,
    /// The record was synced.
    is_listed: bool,
    /// The view to come, while a commit is being made.
    expected: Option<u64>,
    /// Nothing was written, so the file counts as empty.
    is_blank: bool,
}

impl Header {
    pub fn load(backend: &dyn StorageBackend) -> io::Result<Self> {
        if backend.len()? == 0 {
            return Ok(Self {
                bytes: [0; HEADER_BYTES],
                record: None,
                is_listed: false,
                expected: None,
                is_blank: true,
            });
        }
        let record = Record::load(backend)?;
        let bytes = load(backend)?;
        let view = view(&bytes);
        let is_whole = view == NONE || backend.len()? >= place::offset(place::file_pages(1));
        if !record.views.contains(&view) || !is_whole {
            return Err(DamagedPage { page: place::of_page(0) }.into());
        }
        Ok(Self { bytes, record: Some(record), is_listed: false, expected: None, is_blank: view == NONE })
    }

    pub fn is_blank(&self) -> bool {
        self.is_blank
    }

    /// Begins the file. What a creation that was cut short left of it goes.
    pub fn create(&mut self, backend: &dyn StorageBackend) -> io::Result<()> {
        match self.record {
            Some(_) => backend.set_len(PAGE_BYTES as u64)?,
            None => self.record = Some(first::create(backend)?),
        }
        self.bytes = [0; HEADER_BYTES];
        self.is_blank = false;
        Ok(())
    }

    /// The header, if it is still stored as it was written.
    pub fn read(&self, backend: &dyn StorageBackend) -> io::Result<&Bytes> {
        if load(backend)? == self.bytes { Ok(&self.bytes) } else { Err(DamagedPage { page: place::of_page(0) }.into()) }
    }

    fn list(&mut self, backend: &dyn StorageBackend, views: [u64; VIEWS]) -> io::Result<()> {
        let record = self.record.unwrap_or_default().next(views);
        record.store(backend)?;
        (self.record, self.is_listed) = (Some(record), false);
        Ok(())
    }

    fn lists(&self, view: u64) -> bool {
        self.record.is_some_and(|record| record.views.contains(&view))
    }

    pub fn write(&mut self, backend: &dyn StorageBackend, at: usize, data: &[u8]) -> io::Result<()> {
        let mut bytes = self.bytes;
        let Some(room) = bytes.get_mut(at..).and_then(|bytes| bytes.get_mut(..data.len())) else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the header's page holds the header alone"));
        };
        room.copy_from_slice(data);
        let (before, after) = (view(&self.bytes), view(&bytes));
        if before != after {
            self.expected = None;
        }
        let other = view_of_other(&bytes);
        let makes_commit = before == after && before != NONE && other_slot(&bytes) != other_slot(&self.bytes);
        if makes_commit {
            self.expected = Some(other);
        }
        if before != after && !(self.is_listed && self.lists(after)) {
            // Not foreseen: nothing may depend on it before both are listed.
            self.list(backend, [before, after, after])?;
            backend.sync_data()?;
            self.is_listed = true;
        } else if makes_commit && !self.lists(other) {
            self.list(backend, [before, other, other])?;
        }
        self.bytes = bytes;
        backend.write(place() + at as u64, data)
    }

    /// What was written is stored for good: an earlier header may not come back.
    pub fn synced(&mut self, backend: &dyn StorageBackend) -> io::Result<()> {
        self.is_listed = true;
        let now = view(&self.bytes);
        let views = [now, self.expected.unwrap_or(now), self.expected.unwrap_or(now)];
        if self.record.is_some_and(|record| record.views != views) { self.list(backend, views) } else { Ok(()) }
    }
}
