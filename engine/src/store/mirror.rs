//! The mirror of a database: a few bytes outside of its file, by which the file that was open last is told from a copy of it
//! and from an earlier state of it that was put back. `docs/spec/file.md`, *Who this file is*, says why they are enough.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use redb::StorageBackend;
use xxhash_rust::xxh3::xxh3_64;

use super::options::MirrorLocation;
use super::state::State;
use crate::id::{DatabaseId, WriterId};

/// A number written at every open, to the mirror and to the file.
pub(super) const NONCE_BYTES: usize = 16;
/// The nonce, and how many entries this writer's own logs have.
const SAID_BYTES: usize = NONCE_BYTES + 8;
/// What it says, and the hash of that.
const MIRROR_BYTES: usize = SAID_BYTES + 8;

pub(super) type Nonce = [u8; NONCE_BYTES];

/// What a mirror says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Said {
    nonce: Nonce,
    written: u64,
}

impl Said {
    fn encode(self) -> [u8; MIRROR_BYTES] {
        let mut bytes = [0; MIRROR_BYTES];
        bytes[..NONCE_BYTES].copy_from_slice(&self.nonce);
        bytes[NONCE_BYTES..SAID_BYTES].copy_from_slice(&self.written.to_le_bytes());
        let hash = xxh3_64(&bytes[..SAID_BYTES]);
        bytes[SAID_BYTES..].copy_from_slice(&hash.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8; MIRROR_BYTES]) -> Option<Self> {
        let (nonce, rest) = bytes.split_first_chunk()?;
        let (written, hash) = rest.split_first_chunk()?;
        (hash == xxh3_64(&bytes[..SAID_BYTES]).to_le_bytes())
            .then(|| Self { nonce: *nonce, written: u64::from_le_bytes(*written) })
    }
}

/// The mirror of a database that is open.
#[derive(Debug)]
pub(crate) struct Mirror {
    backend: Box<dyn StorageBackend>,
    /// Of this opening.
    nonce: Nonce,
    /// How many own entries it knows of.
    written: AtomicU64,
    /// Somebody was told that it can't be written.
    is_told: AtomicBool,
}

impl Mirror {
    /// The mirror of the file with that identity, and whether it says that this is the file as it was left: with this nonce,
    /// and so many own entries. From now on it is of a file with the nonce `next`, and of no other. `None`: there is none, or it
    /// can't be written.
    pub fn take(
        location: Option<MirrorLocation>,
        (database, identity): (&DatabaseId, Option<&str>),
        (nonce, written): (Option<Nonce>, u64),
        next: Nonce,
    ) -> Option<(Self, bool)> {
        let backend = match location? {
            MirrorLocation::Backend(backend) => Ok(backend),
            MirrorLocation::Folder(folder) => open_in(&folder, &format!("{database}-{}", identity?)),
        };
        let take = || -> io::Result<_> {
            let backend = backend?;
            let said = read(&*backend)?;
            // Less than it knows of: an earlier state, of the time since it was last opened.
            let is_last = said.is_some_and(|said| Some(said.nonce) == nonce && said.written <= written);
            store(&*backend, Said { nonce: next, written: 0 })?;
            Ok((backend, is_last))
        };
        let (backend, is_last) = take()
            .inspect_err(
                |error| tracing::warn!(%error, "the mirror can't be written: this is another writer from now on"),
            )
            .ok()?;
        Some((Self { backend, nonce: next, written: AtomicU64::new(0), is_told: AtomicBool::new(false) }, is_last))
    }

    /// Notes how many entries this writer's own logs have on the disk, before anybody hears of them. It need not be synced:
    /// it survives the process, and what a power cut leaves of it is true of what it leaves of the file.
    pub fn note(&self, written: u64) {
        if written <= self.written.load(Ordering::Acquire) {
            return;
        }
        let known = if planted!(MirrorLate) { self.written.load(Ordering::Acquire) } else { written };
        match self.backend.write(0, &Said { nonce: self.nonce, written: known }.encode()) {
            Ok(()) => self.written.store(written, Ordering::Release),
            Err(error) if !self.is_told.swap(true, Ordering::AcqRel) => {
                tracing::warn!(%error, "the mirror can't be written: it is tried again with each commit");
            }
            Err(_) => {}
        }
    }
}

fn open_in(folder: &Path, name: &str) -> io::Result<Box<dyn StorageBackend>> {
    std::fs::create_dir_all(folder)?;
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(folder.join(name))?;
    Ok(Box::new(redb::backends::FileBackend::new(file).map_err(io::Error::other)?))
}

/// `None`: it was never written whole.
fn read(backend: &dyn StorageBackend) -> io::Result<Option<Said>> {
    let mut bytes = [0; MIRROR_BYTES];
    if backend.len()? < MIRROR_BYTES as u64 {
        return Ok(None);
    }
    backend.read(0, &mut bytes)?;
    Ok(Said::decode(&bytes))
}

/// Returns when it is on the disk.
fn store(backend: &dyn StorageBackend, said: Said) -> io::Result<()> {
    if backend.len()? < MIRROR_BYTES as u64 {
        backend.set_len(MIRROR_BYTES as u64)?;
    }
    backend.write(0, &said.encode())?;
    if planted!(MirrorUnsynced) { Ok(()) } else { backend.sync_data() }
}

/// How many entries the logs of a writer have, of both planes of all spaces.
pub(super) fn written(state: &State, writer: &WriterId) -> u64 {
    state
        .spaces
        .values()
        .flat_map(|space| &space.logs)
        .filter_map(|logs| logs.get(writer))
        .map(|log| log.length())
        .sum()
}
