//! The first page of a file: what file it is, and which headers it may have.

use std::io;

use redb::StorageBackend;
use xxhash_rust::xxh3::xxh3_64;

use super::place::PAGE_BYTES;
use super::{DamagedPage, read_within};

/// The version of the file format that this software writes, and the only one that it reads.
pub const FORMAT_VERSION: u32 = 5;

/// How every file of ours starts, whatever its version.
const MAGIC: &[u8; 16] = b"tidewater\x1A\x0A\xA9\x0D\x0A\0\0";
/// How every redb file starts.
pub(super) const REDB_MAGIC: &[u8] = b"redb\x1A\x0A\xA9\x0D\x0A";
/// Of what says which file it is: magic, version, their hash.
const IDENTITY_BYTES: usize = 32;
/// What a disk writes whole or not at all, in bytes.
const SECTOR_BYTES: usize = 512;
const RECORDS: usize = 2;
/// How many views a record lists.
pub(super) const VIEWS: usize = 3;
const RECORD_BYTES: usize = 8 + VIEWS * 8 + 8;

/// What a file is, by how it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Empty,
    /// A database of this format version.
    Database(u32),
    /// A database whose first page is damaged.
    Damaged,
    /// A plain redb file.
    Redb,
    Other,
}

/// Looks at how a file starts.
pub(crate) fn kind(backend: &dyn StorageBackend) -> io::Result<Kind> {
    let mut start = [0; IDENTITY_BYTES];
    if read_within(backend, 0, &mut start)? == 0 {
        return Ok(Kind::Empty);
    }
    let (told, hash) = start.split_at(IDENTITY_BYTES - 8);
    Ok(if !start.starts_with(MAGIC) {
        if start.starts_with(REDB_MAGIC) { Kind::Redb } else { Kind::Other }
    } else if hash != xxh3_64(told).to_le_bytes() {
        Kind::Damaged
    } else {
        let version = told[MAGIC.len()..].first_chunk().expect("four bytes of version follow");
        Kind::Database(u32::from_le_bytes(*version))
    })
}

/// Which views the header may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Record {
    /// Counts records.
    pub number: u64,
    pub views: [u64; VIEWS],
}

impl Record {
    /// The record that follows this one.
    pub fn next(&self, views: [u64; VIEWS]) -> Self {
        Self { number: self.number + 1, views }
    }

    /// The sector where it stands, by turns.
    fn offset(&self) -> usize {
        SECTOR_BYTES * (1 + (self.number % RECORDS as u64) as usize)
    }

    fn sector(&self) -> [u8; SECTOR_BYTES] {
        let mut sector = [0; SECTOR_BYTES];
        let parts = std::iter::once(self.number).chain(self.views);
        for (place, part) in sector.chunks_exact_mut(8).zip(parts) {
            place.copy_from_slice(&part.to_le_bytes());
        }
        let hash = xxh3_64(&sector[..RECORD_BYTES - 8]).to_le_bytes();
        sector[RECORD_BYTES - 8..RECORD_BYTES].copy_from_slice(&hash);
        sector
    }

    /// `None`: it did not arrive whole, or is damaged.
    fn read(sector: &[u8]) -> Option<Self> {
        let part = |at: usize| sector.get(at * 8..)?.first_chunk().map(|part| u64::from_le_bytes(*part));
        let record = Self { number: part(0)?, views: [part(1)?, part(2)?, part(3)?] };
        (record.number > 0 && sector == record.sector()).then_some(record)
    }

    pub fn store(&self, backend: &dyn StorageBackend) -> io::Result<()> {
        backend.write(self.offset() as u64, &self.sector())
    }

    /// The record that counts.
    pub fn load(backend: &dyn StorageBackend) -> io::Result<Self> {
        let mut page = [0; PAGE_BYTES];
        read_within(backend, 0, &mut page)?;
        let found = page.chunks_exact(SECTOR_BYTES).skip(1).take(RECORDS).filter_map(Self::read);
        found.max_by_key(|record| record.number).ok_or_else(|| DamagedPage { page: 0 }.into())
    }
}

/// Writes the first page of a new file, whose header is not written yet.
pub(super) fn create(backend: &dyn StorageBackend) -> io::Result<Record> {
    let record = Record::default().next([0; VIEWS]);
    let mut page = [0; PAGE_BYTES];
    page[..MAGIC.len()].copy_from_slice(MAGIC);
    page[MAGIC.len()..][..4].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    let hash = xxh3_64(&page[..IDENTITY_BYTES - 8]).to_le_bytes();
    page[IDENTITY_BYTES - 8..IDENTITY_BYTES].copy_from_slice(&hash);
    page[record.offset()..][..SECTOR_BYTES].copy_from_slice(&record.sector());
    backend.set_len(PAGE_BYTES as u64)?;
    backend.write(0, &page)?;
    Ok(record)
}
