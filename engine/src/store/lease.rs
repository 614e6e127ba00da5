//! Leases of the storage. redb gives a database up for good at the first call that fails, readers included; so it never
//! learns of a failed write. Its lease is *detached* instead: what it writes from then on stays in memory, and what it
//! reads is what it wrote over what is stored. So its readers go on, and nothing more of it reaches the storage, until
//! another redb database takes the next lease and starts from what is really there.
//!
//! A detached lease keeps its view: whatever the next lease overwrites is copied first, within a limit.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};

use redb::{BackendError, StorageBackend};

use super::group::lock;
use super::pages::{DamagedPage, PAGE_BYTES};

/// A detached lease that would keep more than this fails its readers instead, in bytes.
const KEPT_BYTES_MAX: usize = 64 << 20;

/// Where redb's header, which is written as one, says which of its two commits counts.
const CHOICE_OFFSET: usize = 9;

type Range = (Bound<u64>, Bound<u64>);

/// The storage of one store, for as long as it is open: its locks are held through all leases.
#[derive(Debug)]
pub(crate) struct Storage {
    backend: Box<dyn StorageBackend>,
    locked: Mutex<Vec<Range>>,
    leases: Mutex<Vec<Weak<Lessee>>>,
    /// The store is gone: the last lease closes the storage, whoever may still hold a snapshot.
    is_leaving: AtomicBool,
    is_closed: AtomicBool,
}

/// The right to use the storage, of one redb database.
#[derive(Debug, Clone)]
pub(crate) struct Lease {
    storage: Arc<Storage>,
    lessee: Arc<Lessee>,
}

/// What the clones of a lease share.
#[derive(Debug, Default)]
pub(crate) struct Lessee {
    /// `None`: attached.
    kept: RwLock<Option<Kept>>,
    /// It is detached by its first call: not before, since redb locks the storage first.
    only_looks: bool,
    failure: Mutex<Option<Failure>>,
    lost: AtomicBool,
    choice: Mutex<Choice>,
}

/// Which commit counts.
#[derive(Debug, Default)]
struct Choice {
    /// The byte of the header that says it, as last written.
    byte: Option<u8>,
    /// Whether it may say otherwise than when the running commit began.
    is_made: bool,
}

/// The view of a detached lease.
#[derive(Debug)]
struct Kept {
    blocks: BTreeMap<u64, Block>,
    length: u64,
    /// It would have had to keep too much.
    is_over: bool,
}

/// A page that is kept.
#[derive(Debug)]
enum Block {
    Bytes(Box<[u8]>),
    /// It was damaged before it was overwritten.
    Damaged(DamagedPage),
}

/// A failure of the storage, as callers are told of it.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub why: String,
    /// There is no room.
    pub full: bool,
    /// A page of the storage is damaged; it did what it was told otherwise.
    pub damaged: Option<DamagedPage>,
    /// For certain nothing of the running commit is stored.
    pub is_certain: bool,
}

impl Failure {
    fn new(error: &io::Error, is_certain: bool) -> Self {
        let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        Self { why: error.to_string(), full, damaged: DamagedPage::of(error), is_certain }
    }
}

impl Storage {
    pub fn new(backend: Box<dyn StorageBackend>) -> Arc<Self> {
        Arc::new(Self {
            backend,
            locked: Mutex::default(),
            leases: Mutex::default(),
            is_leaving: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
        })
    }

    /// The next lease. The one before must be detached.
    pub fn lease(self: &Arc<Self>) -> Lease {
        self.lease_to(Lessee::default())
    }

    /// A lease that never changes the storage.
    pub fn look(self: &Arc<Self>) -> Lease {
        self.lease_to(Lessee { only_looks: true, ..Lessee::default() })
    }

    fn lease_to(self: &Arc<Self>, lessee: Lessee) -> Lease {
        let lessee = Arc::new(lessee);
        let mut leases = lock(&self.leases);
        leases.retain(|lessee| lessee.strong_count() > 0);
        leases.push(Arc::downgrade(&lessee));
        drop(leases);
        Lease { storage: self.clone(), lessee }
    }

    /// There will be no further lease.
    pub fn leave(&self) {
        self.is_leaving.store(true, Ordering::Release);
    }

    fn close(&self) -> io::Result<()> {
        if self.is_closed.swap(true, Ordering::AcqRel) { Ok(()) } else { self.backend.close() }
    }

    /// Lets the detached leases keep what is about to be overwritten.
    fn keep(&self, writer: &Lessee, offset: u64, length: u64) {
        for lessee in lock(&self.leases).iter().filter_map(Weak::upgrade) {
            if std::ptr::eq(&*lessee, writer) {
                continue;
            }
            if let Some(kept) = lessee.write().as_mut()
                && kept.keep(&*self.backend, offset, length).is_err()
            {
                kept.give_up();
            }
        }
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        // Nobody is left to be told.
        let _ = self.close();
    }
}

impl Lessee {
    fn read(&self) -> RwLockReadGuard<'_, Option<Kept>> {
        self.kept.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Option<Kept>> {
        self.kept.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The redb database can't be used any more: it met a read that failed, or panicked.
    pub fn lose(&self) {
        self.lost.store(true, Ordering::Release);
    }

    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    /// The first call that failed.
    pub fn failure(&self) -> Option<Failure> {
        lock(&self.failure).clone()
    }

    /// Another commit begins.
    pub fn begin(&self) {
        lock(&self.choice).is_made = false;
    }

    /// Notes what a header that is about to be written chooses.
    fn choose(&self, byte: Option<u8>) {
        let mut choice = lock(&self.choice);
        choice.is_made |= choice.byte != byte;
        choice.byte = byte;
    }

    fn note(&self, error: &io::Error) {
        let is_certain = !lock(&self.choice).is_made;
        lock(&self.failure).get_or_insert_with(|| Failure::new(error, is_certain));
    }

    /// Whether the redb database reads and writes the storage.
    pub fn is_well(&self) -> bool {
        !self.is_lost() && self.read().is_none()
    }
}

impl Lease {
    pub fn lessee(&self) -> &Arc<Lessee> {
        &self.lessee
    }

    /// Nothing can be read any more.
    fn lose(&self, error: &io::Error) {
        self.lessee.note(error);
        self.lessee.lose();
    }

    /// From now on nothing of this lease reaches the storage.
    pub fn detach(&self) -> io::Result<()> {
        let mut kept = self.lessee.write();
        if kept.is_none() {
            *kept = Some(Kept { blocks: BTreeMap::new(), length: self.storage.backend.len()?, is_over: false });
        }
        Ok(())
    }

    fn begin(&self) -> io::Result<()> {
        if self.lessee.only_looks { self.detach() } else { Ok(()) }
    }

    /// Detaches, whatever that takes, since a call failed.
    fn fail(&self, error: &io::Error) -> RwLockWriteGuard<'_, Option<Kept>> {
        self.lessee.note(error);
        if self.detach().is_err() {
            // Not even the length can be told, so reads fail too.
            self.lessee.lose();
        }
        self.lessee.write()
    }

    /// Runs a call on the storage. `None`: the lease is detached.
    fn attached<T>(&self, call: impl FnOnce(&dyn StorageBackend) -> io::Result<T>) -> Option<io::Result<T>> {
        let kept = self.lessee.read();
        kept.is_none().then(|| call(&*self.storage.backend))
    }
}

impl Kept {
    fn give_up(&mut self) {
        self.is_over = true;
        self.blocks.clear();
    }

    /// Copies the blocks of a stretch that are not kept yet.
    fn keep(&mut self, backend: &dyn StorageBackend, offset: u64, length: u64) -> io::Result<()> {
        let end = offset.saturating_add(length).min(self.length);
        if self.is_over || offset >= end {
            return Ok(());
        }
        for block in offset / PAGE_BYTES as u64..end.div_ceil(PAGE_BYTES as u64) {
            if self.blocks.contains_key(&block) || !self.has_room() {
                continue;
            }
            let mut bytes = vec![0; PAGE_BYTES];
            let read = read_stored(backend, block * PAGE_BYTES as u64, &mut bytes);
            let kept = match read.as_ref().map_err(DamagedPage::of) {
                Ok(()) => Block::Bytes(bytes.into()),
                Err(Some(damaged)) => Block::Damaged(damaged),
                Err(None) => return read,
            };
            self.blocks.insert(block, kept);
        }
        Ok(())
    }

    /// Whether one more block may be kept. If not, it is over.
    fn has_room(&mut self) -> bool {
        if self.blocks.len() >= KEPT_BYTES_MAX / PAGE_BYTES {
            self.give_up();
        }
        !self.is_over
    }

    fn write(&mut self, backend: &dyn StorageBackend, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut at = 0;
        while at < data.len() {
            let (block, within) = place(offset + at as u64);
            let length = (PAGE_BYTES - within).min(data.len() - at);
            let mut bytes = vec![0; PAGE_BYTES];
            if length < PAGE_BYTES {
                self.read(backend, block * PAGE_BYTES as u64, &mut bytes)?;
            }
            bytes[within..within + length].copy_from_slice(&data[at..at + length]);
            if !self.blocks.contains_key(&block) && !self.has_room() {
                return Err(too_much());
            }
            self.blocks.insert(block, Block::Bytes(bytes.into()));
            at += length;
        }
        Ok(())
    }

    fn read(&self, backend: &dyn StorageBackend, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if self.is_over {
            return Err(too_much());
        }
        if offset.saturating_add(out.len() as u64) > self.length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut at = 0;
        while at < out.len() {
            let (block, within) = place(offset + at as u64);
            let length = (PAGE_BYTES - within).min(out.len() - at);
            let now = &mut out[at..at + length];
            match self.blocks.get(&block) {
                Some(Block::Bytes(bytes)) => now.copy_from_slice(&bytes[within..within + length]),
                Some(Block::Damaged(damaged)) => return Err((*damaged).into()),
                None => read_stored(backend, offset + at as u64, now)?,
            }
            at += length;
        }
        Ok(())
    }
}

fn place(offset: u64) -> (u64, usize) {
    (offset / PAGE_BYTES as u64, (offset % PAGE_BYTES as u64) as usize)
}

/// What is stored; zeros beyond its end.
fn read_stored(backend: &dyn StorageBackend, offset: u64, out: &mut [u8]) -> io::Result<()> {
    let stored = usize::try_from(backend.len()?.saturating_sub(offset)).unwrap_or(usize::MAX).min(out.len());
    let (stored, beyond) = out.split_at_mut(stored);
    beyond.fill(0);
    if stored.is_empty() { Ok(()) } else { backend.read(offset, stored) }
}

fn too_much() -> io::Error {
    io::Error::other("the storage failed and has changed too much since; take a new snapshot")
}

impl StorageBackend for Lease {
    fn len(&self) -> io::Result<u64> {
        let length = self.begin().and_then(|()| match &*self.lessee.read() {
            None => self.storage.backend.len(),
            Some(kept) => Ok(kept.length),
        });
        length.inspect_err(|error| self.lose(error))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if self.lessee.is_lost() {
            return Err(io::Error::other("the storage failed; take a new snapshot"));
        }
        let read = self.begin().and_then(|()| match &*self.lessee.read() {
            None => self.storage.backend.read(offset, out),
            Some(kept) => kept.read(&*self.storage.backend, offset, out),
        });
        read.inspect_err(|error| self.lose(error))
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.begin()?;
        let done = self.attached(|backend| {
            let now = backend.len()?;
            self.storage.keep(&self.lessee, length, now.saturating_sub(length));
            backend.set_len(length)
        });
        let mut kept = match done {
            Some(Ok(())) => return Ok(()),
            Some(Err(error)) => self.fail(&error),
            None => self.lessee.write(),
        };
        if let Some(kept) = kept.as_mut() {
            // What lies beyond the end is gone, should it grow again.
            let (last, within) = place(length);
            kept.blocks.retain(|block, _| *block < last + u64::from(within > 0));
            kept.length = length;
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.begin()?;
        if planted!(SyncSkipped) && lock(&self.lessee.choice).is_made {
            return Ok(());
        }
        if let Some(Err(error)) = self.attached(|backend| backend.sync_data()) {
            drop(self.fail(&error));
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.begin()?;
        if offset == 0 {
            self.lessee.choose(data.get(CHOICE_OFFSET).copied());
        }
        let done = self.attached(|backend| {
            self.storage.keep(&self.lessee, offset, data.len() as u64);
            backend.write(offset, data)
        });
        let mut kept = match done {
            Some(Ok(())) => return Ok(()),
            Some(Err(error)) => self.fail(&error),
            None => self.lessee.write(),
        };
        match kept.as_mut() {
            Some(kept) => kept.write(&*self.storage.backend, offset, data),
            None => Ok(()),
        }
        .inspect_err(|error| self.lose(error))
    }

    /// The storage stays open for the next lease, if there can be one.
    fn close(&self) -> io::Result<()> {
        let mut leases = lock(&self.storage.leases);
        leases.retain(|lessee| !std::ptr::eq(lessee.as_ptr(), &*self.lessee));
        if leases.is_empty() && self.storage.is_leaving.load(Ordering::Acquire) {
            return self.storage.close();
        }
        Ok(())
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        let mut locked = lock(&self.storage.locked);
        if locked.contains(&(start, end)) {
            return Ok(true);
        }
        let taken = self.storage.backend.try_lock_range(start, end)?;
        if taken {
            locked.push((start, end));
        }
        Ok(taken)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        lock(&self.storage.locked).retain(|range| *range != (start, end));
        self.storage.backend.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.storage.backend.query_lock_range(start, end)
    }
}
