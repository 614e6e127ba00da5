//! Where a rebuild lies: in memory while it is small, then in a file without a name, encrypted under a key that is kept nowhere.

use std::fs::OpenOptions;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use redb::StorageBackend;
use redb::backends::{FileBackend, InMemoryBackend};

use crate::host::Host;
use crate::store::seal::Scrambled;

/// How long a rebuild may become in memory, in bytes.
const MEMORY_BYTES_MAX: u64 = 16 << 20;
/// What is moved to the file at once, in bytes.
const MOVED_BYTES: usize = 1 << 20;

/// Storage that nobody needs after a crash: nothing is synced.
pub(super) struct Scratch {
    place: RwLock<Box<dyn StorageBackend>>,
    /// `None`: it has become a file, or never becomes one.
    file: RwLock<Option<PathBuf>>,
    host: Arc<dyn Host>,
}

impl std::fmt::Debug for Scratch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scratch").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Scratch {
    /// `file` is a name that is free. Without it all stays in memory.
    pub fn new(file: Option<PathBuf>, host: Arc<dyn Host>) -> Self {
        Self { place: RwLock::new(Box::new(InMemoryBackend::new())), file: RwLock::new(file), host }
    }

    fn place(&self) -> RwLockReadGuard<'_, Box<dyn StorageBackend>> {
        self.place.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes on in the file.
    fn move_to(&self, path: PathBuf) -> io::Result<()> {
        let mut open = OpenOptions::new();
        open.read(true).write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut open, 0o600);
        let file = open.open(&path)?;
        // From here on it is gone with this process, whatever happens.
        std::fs::remove_file(&path)?;
        let backend = FileBackend::new(file).map_err(io::Error::other)?;
        let backend = Scrambled::new(Box::new(backend), &*self.host);
        let mut place = self.place.write().unwrap_or_else(PoisonError::into_inner);
        let length = place.len()?;
        backend.set_len(length)?;
        let mut bytes = vec![0; MOVED_BYTES];
        for offset in (0..length).step_by(MOVED_BYTES) {
            let there = usize::try_from(length - offset).unwrap_or(MOVED_BYTES).min(MOVED_BYTES);
            place.read(offset, &mut bytes[..there])?;
            backend.write(offset, &bytes[..there])?;
        }
        *place = Box::new(backend);
        Ok(())
    }
}

impl StorageBackend for Scratch {
    fn len(&self) -> io::Result<u64> {
        self.place().len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.place().read(offset, out)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        if length > MEMORY_BYTES_MAX {
            let file = self.file.write().unwrap_or_else(PoisonError::into_inner).take();
            file.map_or(Ok(()), |path| self.move_to(path))?;
        }
        self.place().set_len(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.place().write(offset, data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sevens;

    impl Host for Sevens {
        fn now_ms(&self) -> i64 {
            0
        }

        fn fill_random(&self, out: &mut [u8]) {
            out.fill(7);
        }
    }

    #[test]
    fn a_rebuild_that_grows_goes_on_in_a_file_without_a_name() {
        let folder = tempfile::tempdir().unwrap();
        let scratch = Scratch::new(Some(folder.path().join("rebuild")), Arc::new(Sevens));
        let written: Vec<u8> = (0..3 * MOVED_BYTES / 2).map(|at| at as u8 ^ (at >> 8) as u8).collect();
        scratch.set_len(written.len() as u64).unwrap();
        scratch.write(0, &written).unwrap();
        scratch.set_len(MEMORY_BYTES_MAX + 4096).unwrap();
        assert!(scratch.file.read().unwrap().is_none(), "it has moved");
        let mut found = vec![1; written.len() + 10];
        scratch.read(0, &mut found).unwrap();
        assert!(found.starts_with(&written) && found.ends_with(&[0; 10]));
        assert_eq!(scratch.len().unwrap(), MEMORY_BYTES_MAX + 4096);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "no name is left");
    }
}
