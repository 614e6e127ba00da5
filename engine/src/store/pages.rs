//! Pages and their sums. redb verifies nothing that it reads, so what it takes for its file is kept page by page, each with
//! a sum that stands apart from it: what a page holds is given to redb only when it is what was last written to it.
//!
//! `docs/spec/file.md` says where what lies, in which order it is written, and why that survives a crash.

mod first;
mod header;
mod place;
mod sums;

use std::io;
use std::ops::Bound;
use std::sync::Mutex;

use redb::{BackendError, StorageBackend};

pub use self::first::FORMAT_VERSION;
pub(crate) use self::first::{Kind, kind};
use self::header::Header;
use self::place::GROUP_PAGES;
pub(crate) use self::place::PAGE_BYTES;
use self::sums::{Sums, UNWRITTEN, sum};
use super::group::lock;

/// A page of the file is not what was written there. The source of an [`io::Error`] of kind `InvalidData`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("page {page} of the file is damaged")]
pub struct DamagedPage {
    /// Which page, from 0: it starts at so many times 4096 bytes, behind the header if the file is sealed.
    pub page: u64,
}

impl DamagedPage {
    /// The damaged page that a call failed at, if that is why.
    #[must_use]
    pub fn of(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().copied()
    }
}

impl From<DamagedPage> for io::Error {
    fn from(damaged: DamagedPage) -> Self {
        Self::new(io::ErrorKind::InvalidData, damaged)
    }
}

/// A database file as redb sees it: every page that is read was verified. The store opens its file through it; by itself it
/// is for tools that look at redb's tables.
#[derive(Debug)]
pub struct Pages {
    backend: Box<dyn StorageBackend>,
    /// `None`: it has to be read, since a call failed or none was made.
    header: Mutex<Option<Header>>,
    sums: Mutex<Sums>,
}

/// Reads as much as there is. What lies beyond the end is left as it is. Gives how much there was.
pub(super) fn read_within(backend: &dyn StorageBackend, offset: u64, out: &mut [u8]) -> io::Result<usize> {
    let there = usize::try_from(backend.len()?.saturating_sub(offset)).unwrap_or(usize::MAX).min(out.len());
    if there > 0 {
        backend.read(offset, &mut out[..there])?;
    }
    Ok(there)
}

/// The page that holds a byte, and where in it.
fn page_of(offset: u64) -> (u64, usize) {
    (offset / PAGE_BYTES as u64, (offset % PAGE_BYTES as u64) as usize)
}

/// Cuts a stretch of bytes into whole pages that lie side by side in the file, and parts of pages. Gives the page, where in
/// it, and how many bytes.
fn runs(offset: u64, length: usize) -> impl Iterator<Item = (u64, usize, usize)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let left = length - done;
        let (page, within) = page_of(offset + done as u64);
        let run = if page == 0 || within > 0 || left < PAGE_BYTES {
            left.min(PAGE_BYTES - within)
        } else {
            let group = (GROUP_PAGES - page % GROUP_PAGES) as usize * PAGE_BYTES;
            (left - left % PAGE_BYTES).min(group)
        };
        done += run;
        (run > 0).then_some((page, within, run))
    })
}

impl Pages {
    /// Over a file, or whatever takes the place of one; an empty one becomes a database when it is written.
    #[must_use]
    pub fn new(backend: Box<dyn StorageBackend>) -> Self {
        Self { backend, header: Mutex::default(), sums: Mutex::default() }
    }

    /// Works with the header. A call that fails may have changed what is stored, so it is read again then.
    fn with_header<T>(&self, work: impl FnOnce(&mut Header, &dyn StorageBackend) -> io::Result<T>) -> io::Result<T> {
        let mut header = lock(&self.header);
        let loaded = match header.take() {
            Some(loaded) => loaded,
            None => Header::load(&*self.backend)?,
        };
        let loaded = header.insert(loaded);
        let done = work(loaded, &*self.backend);
        if done.is_err() {
            *header = None;
        }
        done
    }

    fn read_header(&self, within: usize, out: &mut [u8]) -> io::Result<()> {
        out.fill(0);
        let Some(there) = header::HEADER_BYTES.checked_sub(within) else { return Ok(()) };
        let there = there.min(out.len());
        self.with_header(|header, backend| {
            out[..there].copy_from_slice(&header.read(backend)?[within..within + there]);
            Ok(())
        })
    }

    /// Reads whole pages that lie side by side.
    fn read_pages(&self, first: u64, out: &mut [u8]) -> io::Result<()> {
        self.backend.read(place::offset(place::of_page(first)), out)?;
        for (page, bytes) in (first..).zip(out.chunks_exact(PAGE_BYTES)) {
            let expected = lock(&self.sums).get(&*self.backend, page)?;
            let is_right =
                if expected == UNWRITTEN { bytes.iter().all(|byte| *byte == 0) } else { sum(page, bytes) == expected };
            if !is_right && !planted!(SumIgnored) {
                return Err(DamagedPage { page: place::of_page(page) }.into());
            }
        }
        Ok(())
    }

    fn write_pages(&self, first: u64, data: &[u8]) -> io::Result<()> {
        self.backend.write(place::offset(place::of_page(first)), data)?;
        for (page, bytes) in (first..).zip(data.chunks_exact(PAGE_BYTES)) {
            let sum = sum(page, bytes);
            lock(&self.sums).set(&*self.backend, page, sum)?;
        }
        Ok(())
    }
}

impl StorageBackend for Pages {
    fn len(&self) -> io::Result<u64> {
        self.with_header(|header, backend| {
            let pages = place::pages_in(backend.len()? / PAGE_BYTES as u64);
            Ok(if header.is_blank() { 0 } else { place::offset(pages) })
        })
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut out = out;
        for (page, within, length) in runs(offset, out.len()) {
            let (now, later) = std::mem::take(&mut out).split_at_mut(length);
            if page == 0 {
                self.read_header(within, now)?;
            } else if length.is_multiple_of(PAGE_BYTES) {
                self.read_pages(page, now)?;
            } else {
                let mut whole = vec![0; PAGE_BYTES];
                self.read_pages(page, &mut whole)?;
                now.copy_from_slice(&whole[within..within + length]);
            }
            out = later;
        }
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let (pages, within) = page_of(length);
        if within > 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a length that is not one of whole pages"));
        }
        self.with_header(|header, backend| {
            if header.is_blank() {
                header.create(backend)?;
                lock(&self.sums).cut(backend, 0)?;
            }
            let before = place::pages_in(backend.len()? / PAGE_BYTES as u64);
            backend.set_len(place::offset(place::file_pages(pages)))?;
            if pages < before { lock(&self.sums).cut(backend, pages) } else { Ok(()) }
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.with_header(|header, backend| {
            lock(&self.sums).store(backend)?;
            backend.sync_data()?;
            header.synced(backend)
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut data = data;
        for (page, within, length) in runs(offset, data.len()) {
            let (now, later) = data.split_at(length);
            if page == 0 {
                self.with_header(|header, backend| header.write(backend, within, now))?;
            } else if length.is_multiple_of(PAGE_BYTES) {
                self.write_pages(page, now)?;
            } else {
                let mut whole = vec![0; PAGE_BYTES];
                self.read_pages(page, &mut whole)?;
                whole[within..within + length].copy_from_slice(now);
                self.write_pages(page, &whole)?;
            }
            data = later;
        }
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.backend.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.backend.try_lock_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.backend.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.backend.query_lock_range(start, end)
    }
}

#[cfg(test)]
mod tests;
