//! What a detached lease keeps of what others overwrite, and where that ends.

use std::io;

use redb::StorageBackend;
use redb::backends::InMemoryBackend;

use super::{KEPT_BYTES_MAX, Lease, PAGE_BYTES, Storage};
use crate::store::pages::DamagedPage;

const BLOCKS: usize = KEPT_BYTES_MAX / PAGE_BYTES;

/// Storage whose page 1 can't be read.
#[derive(Debug)]
struct Unreadable(InMemoryBackend, fn() -> io::Error);

impl StorageBackend for Unreadable {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if offset == PAGE_BYTES as u64 { Err(self.1()) } else { self.0.read(offset, out) }
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }
}

/// A detached lease of storage of so many pages of ones, and the lease after it.
fn leases(backend: impl StorageBackend, pages: usize) -> (Lease, Lease) {
    backend.set_len((pages * PAGE_BYTES) as u64).unwrap();
    (0..pages).for_each(|page| backend.write(at(page), &[1; PAGE_BYTES]).unwrap());
    let storage = Storage::new(Box::new(backend));
    let detached = storage.lease();
    detached.detach().unwrap();
    (detached, storage.lease())
}

fn at(page: usize) -> u64 {
    (page * PAGE_BYTES) as u64
}

fn page(lease: &Lease, page: usize) -> io::Result<u8> {
    let mut out = [0; PAGE_BYTES];
    lease.read(at(page), &mut out).map(|()| out[0])
}

fn overwrite(lease: &Lease, pages: std::ops::Range<usize>) {
    pages.for_each(|page| lease.write(at(page), &[2; PAGE_BYTES]).unwrap());
}

#[test]
fn a_view_lasts_until_it_would_have_to_keep_too_much() {
    let (detached, next) = leases(InMemoryBackend::new(), BLOCKS + 2);
    overwrite(&next, 0..BLOCKS);
    assert_eq!([0, BLOCKS - 1, BLOCKS].map(|number| page(&detached, number).unwrap()), [1; 3]);
    overwrite(&next, 0..1);
    assert_eq!(page(&detached, 0).unwrap(), 1, "what is kept is kept once");
    overwrite(&next, BLOCKS..BLOCKS + 2);
    assert!(page(&detached, 0).unwrap_err().to_string().contains("too much"));
    assert!(detached.lessee().is_lost());
    assert_eq!(page(&next, 0).unwrap(), 2);
}

#[test]
fn a_view_takes_its_own_writes_up_to_the_same_limit() {
    let (detached, next) = leases(InMemoryBackend::new(), BLOCKS + 1);
    overwrite(&detached, 0..BLOCKS);
    assert_eq!((page(&detached, 7).unwrap(), page(&next, 7).unwrap()), (2, 1));
    detached.write(at(7) + 9, &[3; 20]).unwrap();
    let mut out = [0; 31];
    detached.read(at(7) + 8, &mut out).unwrap();
    assert_eq!((out[0], out[1], out[20], out[21]), (2, 3, 3, 2));
    let refused = detached.write(at(BLOCKS), &[2; PAGE_BYTES]).unwrap_err();
    assert!(refused.to_string().contains("too much") && detached.lessee().is_lost());
    assert_eq!(page(&next, 7).unwrap(), 1, "nothing of it reached the storage");
}

#[test]
fn what_was_damaged_before_it_was_overwritten_stays_damaged_in_the_view() {
    let damaged = || io::Error::from(DamagedPage { page: 1 });
    let (detached, next) = leases(Unreadable(InMemoryBackend::new(), damaged), 3);
    overwrite(&next, 0..3);
    assert_eq!((page(&detached, 0).unwrap(), page(&detached, 2).unwrap()), (1, 1));
    let error = page(&detached, 1).unwrap_err();
    assert_eq!(DamagedPage::of(&error).map(|damaged| damaged.page), Some(1));
}

#[test]
fn a_whole_page_is_written_over_one_that_can_not_be_read() {
    let (detached, _next) = leases(Unreadable(InMemoryBackend::new(), || io::Error::other("no answer")), 3);
    overwrite(&detached, 1..2);
    assert_eq!(page(&detached, 1).unwrap(), 2);
}

#[test]
fn a_view_ends_when_what_is_overwritten_can_not_be_copied() {
    let (detached, next) = leases(Unreadable(InMemoryBackend::new(), || io::Error::other("no answer")), 3);
    overwrite(&next, 0..1);
    assert_eq!(page(&detached, 0).unwrap(), 1);
    overwrite(&next, 1..2);
    assert!(page(&detached, 0).is_err());
    assert_eq!(page(&next, 0).unwrap(), 2, "the writer goes on");
}
