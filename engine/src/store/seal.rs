//! Sealed files: everything that a database writes is encrypted before it reaches the disk, under a key that only a passphrase or
//! a key file opens.
//!
//! The seal lies below the pages and their sums: documents, logs, keys, indexes and words are all covered, because the file is.
//! `docs/spec/file.md`, *The seal*, says what lies where and why a power cut leaves what it leaves of a plain file.

mod header;
mod secret;
mod xts;

use std::fmt;
use std::io;
use std::ops::{Bound, Range};
use std::sync::{Arc, Mutex};

use redb::{BackendError, StorageBackend};
use zeroize::Zeroizing;

use self::header::Header;
pub use self::header::SEAL_VERSION;
pub(crate) use self::header::is_blank;
pub use self::secret::{Cost, KEY_BYTES, MAX_PASSPHRASE_BYTES, Seal, SealKind, SecretError};
use self::xts::{BLOCK_BYTES, SECTOR_BYTES, Xts};
use super::group::lock;
use crate::host::Host;

/// How long the header is: what is sealed lies behind it.
const HEADER_BYTES: u64 = SECTOR_BYTES as u64;

/// Why a sealed file was not opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnsealError {
    /// It has no seal.
    #[error("it is not sealed")]
    NotSealed,
    /// Neither record of its header is right.
    #[error("the header of its seal is damaged: {why}")]
    Damaged {
        /// What was found.
        why: String,
    },
    /// Its seal is of a newer version.
    #[error("its seal has version {found}, newer than this software reads ({SEAL_VERSION})")]
    Newer {
        /// The version.
        found: u32,
    },
    /// Another passphrase or key file seals it.
    #[error("it is sealed under another {by}")]
    Wrong {
        /// What seals it.
        by: SealKind,
    },
    /// The storage failed.
    #[error("the storage failed: {0}")]
    Io(#[from] io::Error),
}

/// Why a seal was not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The database is not sealed.
    #[error("the database is not sealed; export it, and import that into a sealed one")]
    NotSealed,
    /// The storage failed. The old or the new secret opens the file.
    #[error("the storage failed: {0}; the old or the new secret opens the file")]
    Io(#[from] io::Error),
}

/// A sealed file, or whatever takes the place of one, as if it were plain. Clones are the same file. The store opens its file
/// through it; by itself it is for tools.
#[derive(Clone)]
pub struct Sealed {
    inner: Arc<Inner>,
}

struct Inner {
    backend: Box<dyn StorageBackend>,
    sectors: Sectors,
    /// What the header wraps.
    key: Zeroizing<[u8; KEY_BYTES]>,
    header: Mutex<Header>,
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealed").field("backend", &self.inner.backend).finish_non_exhaustive()
    }
}

/// Who seals the file that starts like this. `None`: it is not sealed.
///
/// # Errors
/// When its header is damaged or of a newer version, or can't be read.
pub(crate) fn sealed_by(backend: &dyn StorageBackend) -> Result<Option<SealKind>, UnsealError> {
    match Header::load(backend) {
        Ok(header) => Ok(Some(header.kind())),
        Err(UnsealError::NotSealed) => Ok(None),
        Err(error) => Err(error),
    }
}

impl Sealed {
    /// Opens a sealed file. Nothing is written to it.
    ///
    /// # Errors
    /// As [`UnsealError`] says. What a header asks for is checked before it costs anything.
    pub fn open(backend: Box<dyn StorageBackend>, seal: &Seal) -> Result<Self, UnsealError> {
        let header = Header::load(&*backend)?;
        let key = header.unwrap(seal)?;
        Ok(Self::new(backend, key, header))
    }

    /// Makes an empty file a sealed one, under a key of its own. Returns when its header is on the disk.
    pub(crate) fn create(backend: Box<dyn StorageBackend>, seal: &Seal, host: &dyn Host) -> io::Result<Self> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        host.fill_random(&mut *key);
        let header = Header::create(&*backend, seal, &key, host)?;
        Ok(Self::new(backend, key, header))
    }

    fn new(backend: Box<dyn StorageBackend>, key: Zeroizing<[u8; KEY_BYTES]>, header: Header) -> Self {
        let sectors = Sectors { xts: Xts::new(&key), start: HEADER_BYTES, partial: Mutex::default() };
        Self { inner: Arc::new(Inner { backend, sectors, key, header: Mutex::new(header) }) }
    }

    pub(crate) fn kind(&self) -> SealKind {
        lock(&self.inner.header).kind()
    }

    /// From now on another secret opens the file, and the old one no longer does. Only the header is written.
    pub(crate) fn change(&self, seal: &Seal, host: &dyn Host) -> io::Result<()> {
        lock(&self.inner.header).change(&*self.inner.backend, seal, &self.inner.key, host)
    }

    /// Before anything else is written: what a power cut or rot left of the header is made whole.
    fn heal(&self) -> io::Result<()> {
        lock(&self.inner.header).heal(&*self.inner.backend)
    }
}

impl StorageBackend for Sealed {
    fn len(&self) -> io::Result<u64> {
        self.inner.sectors.len(&*self.inner.backend)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.inner.sectors.read(&*self.inner.backend, offset, out)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.heal()?;
        self.inner.sectors.set_len(&*self.inner.backend, length)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.inner.backend.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.heal()?;
        self.inner.sectors.write(&*self.inner.backend, offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.inner.backend.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.backend.try_lock_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.backend.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.backend.query_lock_range(start, end)
    }
}

/// Storage that nobody opens again: under a key that is kept nowhere.
pub(crate) struct Scrambled {
    backend: Box<dyn StorageBackend>,
    sectors: Sectors,
}

impl fmt::Debug for Scrambled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scrambled").field("backend", &self.backend).finish_non_exhaustive()
    }
}

impl Scrambled {
    /// Over storage that is empty.
    pub fn new(backend: Box<dyn StorageBackend>, host: &dyn Host) -> Self {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        host.fill_random(&mut *key);
        let sectors = Sectors { xts: Xts::new(&key), start: 0, partial: Mutex::default() };
        Self { backend, sectors }
    }
}

impl StorageBackend for Scrambled {
    fn len(&self) -> io::Result<u64> {
        self.sectors.len(&*self.backend)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.sectors.read(&*self.backend, offset, out)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.sectors.set_len(&*self.backend, length)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.backend.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.sectors.write(&*self.backend, offset, data)
    }
}

/// Sealed sectors from some place of a file on. Each call becomes one call of the same bytes, further back: so whatever a
/// power cut leaves of the calls opens to what it would have left of plain ones.
struct Sectors {
    xts: Xts,
    start: u64,
    /// Held by whoever writes parts of blocks, which are read first.
    partial: Mutex<()>,
}

/// The whole blocks that a stretch of bytes touches.
fn blocks_around(offset: u64, length: usize) -> Range<u64> {
    let block = BLOCK_BYTES as u64;
    offset / block * block..(offset + length as u64).div_ceil(block) * block
}

impl Sectors {
    fn len(&self, backend: &dyn StorageBackend) -> io::Result<u64> {
        let behind = backend.len()?.saturating_sub(self.start);
        // What was cut within a block can't be read.
        Ok(behind - behind % BLOCK_BYTES as u64)
    }

    fn read(&self, backend: &dyn StorageBackend, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let whole = blocks_around(offset, out.len());
        if whole == (offset..offset + out.len() as u64) {
            return self.read_blocks(backend, offset, out);
        }
        let mut bytes = Zeroizing::new(vec![0; (whole.end - whole.start) as usize]);
        self.read_blocks(backend, whole.start, &mut bytes)?;
        out.copy_from_slice(&bytes[(offset - whole.start) as usize..][..out.len()]);
        Ok(())
    }

    fn read_blocks(&self, backend: &dyn StorageBackend, offset: u64, out: &mut [u8]) -> io::Result<()> {
        backend.read(self.start + offset, out)?;
        self.xts.open(offset, out);
        Ok(())
    }

    fn set_len(&self, backend: &dyn StorageBackend, length: u64) -> io::Result<()> {
        if !length.is_multiple_of(BLOCK_BYTES as u64) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a length that is not one of whole blocks"));
        }
        backend.set_len(self.start + length)
    }

    fn write(&self, backend: &dyn StorageBackend, offset: u64, data: &[u8]) -> io::Result<()> {
        let whole = blocks_around(offset, data.len());
        let is_whole = whole == (offset..offset + data.len() as u64);
        let _alone = (!is_whole).then(|| lock(&self.partial));
        let mut bytes = if is_whole {
            data.to_vec()
        } else {
            let mut bytes = vec![0; (whole.end - whole.start) as usize];
            self.read_blocks(backend, whole.start, &mut bytes)?;
            bytes[(offset - whole.start) as usize..][..data.len()].copy_from_slice(data);
            bytes
        };
        self.xts.seal(whole.start, &mut bytes);
        backend.write(self.start + whole.start, &bytes)
    }
}

#[cfg(test)]
mod tests;
