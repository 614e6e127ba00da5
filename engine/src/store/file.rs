//! Opening: what kind of file it is, who holds it, which incarnation of the device it is.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, RwLock};

use redb::{DatabaseError, ReadableDatabase, StorageBackend, TableError};

use super::era::{Era, open_redb};
use super::group::WriterSide;
use super::lease::{Failure, Lease, Storage};
use super::mirror::{Mirror, Nonce, written};
use super::options::{Location, MirrorLocation, Options};
use super::pages::{DamagedPage, FORMAT_VERSION, Kind, Pages, kind};
use super::seal::{self, Sealed, UnsealError};
use super::tables::{WriteTables, failed, name};
use super::{Inner, OpenError, ReadError, Seal, Store, state};
use crate::contain::contain;
use crate::host::Host;
use crate::id::{DatabaseId, DeviceId, Incarnation, WriterId};

const DATABASE_KEY: &[u8] = b"database";
const NONCE_KEY: &[u8] = b"nonce";
const INCARNATION_KEY: &[u8] = b"incarnation";
const DEVICE_RECORD: &[u8] = b"device";

pub(crate) fn open(location: Location, options: Options) -> Result<Store, OpenError> {
    let (location, seal) = match location {
        Location::Sealed(within, seal) => (*within, Some(seal)),
        plain => (plain, None),
    };
    let (backend, place): (Box<dyn StorageBackend>, _) = match location {
        Location::Memory => (Box::new(redb::backends::InMemoryBackend::new()), Place::of("memory")),
        Location::Backend(backend) => (backend, Place::of("the storage")),
        Location::Sealed(..) => return Err(Place::of("the storage").foreign("a seal within a seal")),
        Location::File(path) => {
            let shown = path.display().to_string();
            let file = open_file(&path, &shown, &options)?;
            let place = Place { shown, identity: file_identity(&file), path: Some(path) };
            let watched = file.try_clone().map_err(|error| place.io(error))?;
            let backend = redb::backends::FileBackend::new(file).map_err(|error| place.damaged(error))?;
            (Box::new(NamedFile { backend, file: watched }), place)
        }
    };
    let (backend, sealed) = unseal(backend, seal, &place, &options)?;
    let kind = kind(&*backend).map_err(|error| place.io(error))?;
    match kind {
        Kind::Database(FORMAT_VERSION) => {}
        Kind::Database(found) => return Err(place.unsupported(found)),
        // What a crash during creation leaves; without `create` it is somebody else's.
        Kind::Empty if options.create => {}
        Kind::Empty => return Err(place.foreign("an empty file")),
        Kind::Damaged => return Err(place.damaged(DamagedPage { page: 0 })),
        Kind::Redb | Kind::Other if sealed.is_some() => {
            return Err(place.damaged("its header opens, and what lies behind belongs to another one"));
        }
        Kind::Redb => return Err(earlier(backend, &place, &options)),
        Kind::Other => return Err(place.foreign("it starts like another kind of file")),
    }
    let storage = Storage::new(Box::new(Pages::new(backend)));
    if kind != Kind::Empty {
        // What redb can't open stays as it is: opening it would change it.
        let lease = storage.look();
        drop(Era::new(open_redb(&lease, options.cache_bytes).map_err(|error| place.refused(&lease, error))?, lease));
    }
    let lease = storage.lease();
    let redb = open_redb(&lease, options.cache_bytes).map_err(|error| place.refused(&lease, error))?;
    let era = Era::new(redb, lease.clone());
    contain(|| finish(storage, era, &place, sealed, options)).unwrap_or_else(|said| Err(place.unreadable(&lease, said)))
}

/// What is opened.
struct Place {
    /// For people.
    shown: String,
    identity: Option<String>,
    path: Option<PathBuf>,
}

impl Place {
    fn of(shown: &str) -> Self {
        Self { shown: shown.to_owned(), identity: None, path: None }
    }

    fn io(&self, source: std::io::Error) -> OpenError {
        OpenError::Io { path: self.shown.clone(), source }
    }

    fn foreign(&self, why: &str) -> OpenError {
        OpenError::Foreign { path: self.shown.clone(), why: why.to_owned() }
    }

    fn damaged(&self, why: impl std::fmt::Display) -> OpenError {
        OpenError::Damaged { path: self.shown.clone(), why: why.to_string() }
    }

    fn unsupported(&self, found: u32) -> OpenError {
        let (path, supported) = (self.shown.clone(), FORMAT_VERSION);
        if found > supported {
            OpenError::Newer { path, found, supported }
        } else {
            OpenError::Older { path, found, supported }
        }
    }

    /// The error for what can't be read: damaged, unless a call on the storage failed.
    fn unreadable(&self, lease: &Lease, why: impl std::fmt::Display) -> OpenError {
        match lease.lessee().failure() {
            None => self.damaged(why),
            Some(Failure { damaged: Some(page), .. }) => self.damaged(page),
            Some(failure) => {
                let kind = if failure.full { ErrorKind::StorageFull } else { ErrorKind::Other };
                self.io(std::io::Error::new(kind, failure.why))
            }
        }
    }

    fn locked(&self) -> OpenError {
        OpenError::Locked {
            owner: self.path.as_deref().and_then(lock_owner).unwrap_or("another process".to_owned()),
            path: self.shown.clone(),
        }
    }

    fn refused(&self, lease: &Lease, error: DatabaseError) -> OpenError {
        match error {
            error if lease.lessee().failure().is_some() => self.unreadable(lease, error),
            DatabaseError::DatabaseAlreadyOpen => self.locked(),
            DatabaseError::UpgradeRequired(version) => self.foreign(&format!("a redb file of version {version}")),
            other => self.damaged(other),
        }
    }
}

/// Looks through the seal, if there is one. What it takes to open it is spent only where the file is nobody else's.
fn unseal(
    backend: Box<dyn StorageBackend>,
    seal: Option<Seal>,
    place: &Place,
    options: &Options,
) -> Result<(Box<dyn StorageBackend>, Option<Sealed>), OpenError> {
    let whole = (Bound::Unbounded, Bound::Unbounded);
    let refused = |error| match error {
        UnsealError::Newer { found } => {
            OpenError::Newer { path: place.shown.clone(), found, supported: seal::SEAL_VERSION }
        }
        UnsealError::Wrong { by } => OpenError::WrongSeal { path: place.shown.clone(), by },
        UnsealError::Io(source) => place.io(source),
        error => place.damaged(error),
    };
    if let Some(by) = seal::sealed_by(&*backend).map_err(refused)? {
        if matches!(backend.query_lock_range(whole.0, whole.1), Ok(true)) {
            return Err(place.locked());
        }
        let seal = seal.ok_or_else(|| OpenError::Sealed { path: place.shown.clone(), by })?;
        let sealed = Sealed::open(backend, &seal).map_err(refused)?;
        return Ok((Box::new(sealed.clone()), Some(sealed)));
    }
    let Some(seal) = seal else { return Ok((backend, None)) };
    let is_blank = |backend: &dyn StorageBackend| seal::is_blank(backend).map_err(|error| place.io(error));
    if !is_blank(&*backend)? {
        // What is no database at all is told as that.
        let is_database = matches!(kind(&*backend), Ok(Kind::Database(_) | Kind::Damaged));
        return if is_database { Err(OpenError::NotSealed { path: place.shown.clone() }) } else { Ok((backend, None)) };
    }
    if !options.create {
        return Err(place.foreign("an empty file"));
    }
    // Somebody else may be about to do the same. Storage without locks has one user.
    let is_locked = match backend.try_lock_range(whole.0, whole.1) {
        Ok(false) => return Err(place.locked()),
        locked => locked.is_ok(),
    };
    if !is_blank(&*backend)? {
        return Err(place.locked());
    }
    let sealed = Sealed::create(backend, &seal, &*options.host).map_err(|error| place.io(error))?;
    if is_locked {
        sealed.unlock_range(whole.0, whole.1).map_err(|error| place.io(std::io::Error::other(error)))?;
    }
    Ok((Box::new(sealed.clone()), Some(sealed)))
}

/// The error for a plain redb file: format version 2 and before were that. It is looked at without a change to it.
fn earlier(backend: Box<dyn StorageBackend>, place: &Place, options: &Options) -> OpenError {
    let lease = Storage::new(backend).look();
    let redb = match open_redb(&lease, options.cache_bytes) {
        Ok(redb) => redb,
        Err(error) => return place.refused(&lease, error),
    };
    let era = Era::new(redb, lease.clone());
    match contain(|| earlier_version(&era)) {
        Ok(Ok(Some(found))) => place.unsupported(found),
        Ok(Ok(None)) => place.foreign("a redb file of another program"),
        Ok(Err(error)) => place.unreadable(&lease, error),
        Err(said) => place.unreadable(&lease, said),
    }
}

/// The format version that a plain redb file says it has.
fn earlier_version(era: &Era) -> Result<Option<u32>, ReadError> {
    let transaction = era.redb().begin_read().map_err(failed)?;
    let rows = match transaction.open_table(name::meta.definition) {
        Ok(rows) => rows,
        Err(TableError::Storage(error)) => return Err(failed(error)),
        Err(_) => return Ok(None),
    };
    let version = rows.get(&b"format"[..]).map_err(failed)?;
    Ok(version.and_then(|version| version.value().first_chunk().map(|bytes| u32::from_be_bytes(*bytes))))
}

fn open_file(path: &Path, shown: &str, options: &Options) -> Result<File, OpenError> {
    let io = |source| OpenError::Io { path: shown.to_owned(), source };
    match std::fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => {
            let why = if metadata.is_dir() { "a directory" } else { "not a regular file" };
            return Err(OpenError::Foreign { path: shown.to_owned(), why: why.to_owned() });
        }
        Ok(_) if options.exclusive => return Err(OpenError::Exists { path: shown.to_owned() }),
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound && !options.create => {
            return Err(OpenError::NotFound { path: shown.to_owned() });
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(io(error)),
    }
    let mut open = OpenOptions::new();
    open.read(true).write(true).create(options.create).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut open, 0o600);
    open.open(path).map_err(io)
}

/// Who else has the file open, as far as the system tells.
#[cfg(target_os = "linux")]
fn lock_owner(path: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let file = std::fs::metadata(path).ok()?;
    let has_it = |process: u32| {
        let open = std::fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten();
        open.filter_map(|descriptor| std::fs::metadata(descriptor.path()).ok())
            .any(|found| (found.dev(), found.ino()) == (file.dev(), file.ino()))
    };
    let processes = std::fs::read_dir("/proc").ok()?.flatten();
    let process = processes
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|process| *process != std::process::id())
        .find(|process| has_it(*process));
    let Some(process) = process else { return Some("this process".to_owned()) };
    let command = std::fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
    let command: Vec<String> = command
        .split(|byte| *byte == 0)
        .filter(|part| !part.is_empty())
        .take(2)
        .map(|part| String::from_utf8_lossy(part).rsplit('/').next().unwrap_or_default().to_owned())
        .collect();
    Some(if command.is_empty() {
        format!("process {process}")
    } else {
        format!("process {process} ({})", command.join(" "))
    })
}

#[cfg(not(target_os = "linux"))]
fn lock_owner(_path: &Path) -> Option<String> {
    None
}

/// What tells this file from a copy of it: device and inode.
#[cfg(unix)]
fn file_identity(file: &File) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    file.metadata().ok().map(|metadata| format!("{:x}-{:x}", metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn file_identity(_file: &File) -> Option<String> {
    None
}

/// The second half of opening: what is inside.
fn finish(
    storage: Arc<Storage>,
    era: Era,
    place: &Place,
    sealed: Option<Sealed>,
    options: Options,
) -> Result<Store, OpenError> {
    let lease = era.lease().clone();
    let damaged = |error: ReadError| place.unreadable(&lease, error);
    let mut transaction = era.redb().begin_write().map_err(|error| place.unreadable(&lease, error))?;
    transaction.set_two_phase_commit(true);
    transaction.set_quick_repair(true);
    let (signer, database, writer, mirror);
    {
        let mut tables = WriteTables::new(&transaction, era.lessee());
        tables.create().map_err(damaged)?;
        let stored = |tables: &WriteTables<'_>, key: &[u8]| -> Result<Option<Vec<u8>>, OpenError> {
            Ok(tables.meta.get(key).map_err(damaged)?.map(|row| row.to_vec()))
        };
        if stored(&tables, DATABASE_KEY)?.is_none() {
            if !options.create {
                return Err(place.foreign("its creation was not finished"));
            }
            tables.meta.insert(DATABASE_KEY, &random::<{ DatabaseId::BYTES }>(&*options.host)).map_err(damaged)?;
        }
        let id = stored(&tables, DATABASE_KEY)?.and_then(|id| id.try_into().ok());
        database = DatabaseId(id.ok_or_else(|| place.foreign("it has no database id"))?);
        let device = tables.local.get(DEVICE_RECORD).map_err(damaged)?.map(|row| row.to_vec());
        let (found, record) = (options.signer)(device.as_deref()).map_err(|why| OpenError::Key { why })?;
        signer = found;
        if device.as_ref() != Some(&record) {
            tables.local.insert(DEVICE_RECORD, &record).map_err(damaged)?;
        }
        let of_file = (&database, place.identity.as_deref());
        (writer, mirror) =
            who_writes(&mut tables, options.mirror, of_file, signer.device(), &*options.host).map_err(damaged)?;
    }
    transaction.commit().map_err(|error| place.unreadable(&lease, error))?;
    if era.lessee().failure().is_some() {
        return Err(place.unreadable(&lease, "it can't be written"));
    }
    let published = era.load().map_err(damaged)?;
    Ok(Store {
        inner: Arc::new(Inner {
            storage,
            sealed,
            path: place.path.clone(),
            cache_bytes: options.cache_bytes,
            host: options.host,
            signer,
            database,
            writer,
            mirror,
            published: RwLock::new(Arc::new(published)),
            sealer: Mutex::default(),
            opener: Mutex::default(),
            writer_side: Mutex::new(WriterSide::new(era)),
            writing_thread: Mutex::default(),
            waiting: AtomicUsize::new(0),
            cells: Arc::default(),
            listeners: Mutex::default(),
            next_listener: AtomicU64::new(0),
        }),
    })
}

fn random<const BYTES: usize>(host: &dyn Host) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    host.fill_random(&mut bytes);
    bytes
}

/// Who writes this file from here on, and its mirror: the same writer as before, if the mirror says that this is the file as
/// that one left it.
fn who_writes(
    tables: &mut WriteTables<'_>,
    mirror: Option<MirrorLocation>,
    of_file: (&DatabaseId, Option<&str>),
    device: DeviceId,
    host: &dyn Host,
) -> Result<(WriterId, Option<Mirror>), ReadError> {
    let is = |incarnation| WriterId { device, incarnation: Incarnation(incarnation) };
    let (other, nonce): (_, Nonce) = (is(random(host)), random(host));
    let stored = |key: &[u8]| Ok::<_, ReadError>(tables.meta.get(key)?.map(|row| row.to_vec()));
    let old_nonce: Option<Nonce> = stored(NONCE_KEY)?.and_then(|nonce| nonce.try_into().ok());
    let old = stored(INCARNATION_KEY)?.and_then(|bytes| bytes.try_into().ok()).map(is);
    let old_written = match &old {
        Some(old) if mirror.is_some() => written(&state::load(tables)?, old),
        _ => 0,
    };
    // Before the file: from here on no other state of it passes for the last one. A crash in between leaves two different
    // nonces, and so a new incarnation, which is safe.
    let taken = Mirror::take(mirror, of_file, (old_nonce, old_written), nonce);
    let is_last = taken.as_ref().is_some_and(|(_, is_last)| *is_last || planted!(IncarnationKept));
    let writer = old.filter(|_| is_last).unwrap_or(other);
    tables.meta.insert(INCARNATION_KEY, writer.incarnation.as_bytes())?;
    match taken {
        Some(_) => tables.meta.insert(NONCE_KEY, &nonce)?,
        // No mirror will know of what is written from here on.
        None => retire(tables)?,
    }
    Ok((writer, taken.map(|(mirror, _)| mirror)))
}

/// Makes the next open start a new incarnation.
pub(super) fn retire(tables: &mut WriteTables<'_>) -> Result<(), ReadError> {
    tables.meta.remove(NONCE_KEY)
}

/// A file that must keep its name: what is written to one that was deleted or replaced is lost.
#[derive(Debug)]
struct NamedFile {
    backend: redb::backends::FileBackend,
    file: File,
}

impl NamedFile {
    #[cfg(unix)]
    fn check(&self) -> std::io::Result<()> {
        use std::os::unix::fs::MetadataExt;
        let why = "the database file was deleted or replaced while it was open";
        if self.file.metadata()?.nlink() > 0 { Ok(()) } else { Err(std::io::Error::new(ErrorKind::NotFound, why)) }
    }

    #[cfg(not(unix))]
    fn check(&self) -> std::io::Result<()> {
        self.file.metadata().map(drop)
    }
}

impl StorageBackend for NamedFile {
    fn len(&self) -> std::io::Result<u64> {
        self.backend.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        self.backend.read(offset, out)
    }

    fn set_len(&self, len: u64) -> std::io::Result<()> {
        self.backend.set_len(len)
    }

    fn sync_data(&self) -> std::io::Result<()> {
        self.check()?;
        self.backend.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        self.backend.write(offset, data)
    }

    fn close(&self) -> std::io::Result<()> {
        self.backend.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, redb::BackendError> {
        self.backend.try_lock_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), redb::BackendError> {
        self.backend.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, redb::BackendError> {
        self.backend.query_lock_range(start, end)
    }
}
