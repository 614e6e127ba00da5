//! Opening: what kind of file it is, who holds it, which incarnation of the device it is.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, RwLock};

use redb::{DatabaseError, ReadableDatabase};

use super::group::WriterSide;
use super::options::{Location, Options};
use super::spaces::HOME_KEY;
use super::tables::{CHECK_BYTES, ReadTables, Tables, WriteTables, name};
use super::{Inner, OpenError, Published, ReadError, Store, schemas, state};
use crate::id::{DatabaseId, Incarnation, SpaceId, WriterId};

/// The version of the file format that this software writes, and the only one that it reads.
pub const FORMAT_VERSION: u32 = 2;

/// The first bytes of every redb file.
const REDB_MAGIC: &[u8] = b"redb\x1A\x0A\xA9\x0D\x0A";

const FORMAT_KEY: &[u8] = b"format";
const DATABASE_KEY: &[u8] = b"database";
const NONCE_KEY: &[u8] = b"nonce";
const INCARNATION_KEY: &[u8] = b"incarnation";
const DEVICE_RECORD: &[u8] = b"device";

/// A nonce written at every open, to the file and to its mirror: a file whose nonce is not the mirror's is a copy.
const NONCE_BYTES: usize = 16;

pub(crate) fn open(location: Location, options: Options) -> Result<Store, OpenError> {
    let mut builder = redb::Database::builder();
    builder.set_cache_size(options.cache_bytes);
    match location {
        Location::Memory => {
            let created = builder.create_with_backend(redb::backends::InMemoryBackend::new());
            finish(created.map_err(|error| refused(error, "memory", None))?, "memory", None, options)
        }
        Location::Backend(backend) => {
            let path = "the storage";
            let created = builder.create_with_backend(BoxedBackend(backend));
            finish(created.map_err(|error| refused(error, path, None))?, path, None, options)
        }
        Location::File(path) => {
            let shown = path.display().to_string();
            let file = open_file(&path, &shown, &options)?;
            let identity = file_identity(&file);
            refuse_by_a_look(&path, &shown)?;
            let opened = contained(|| builder.create_file(file));
            let opened = opened.map_err(|error| refused(error, &shown, Some(&path)))?;
            finish(opened, &shown, identity, options)
        }
    }
}

/// redb can panic on a damaged file; that is the file's fault, not a reason to end the process.
fn contained<T>(work: impl FnOnce() -> Result<T, DatabaseError>) -> Result<T, DatabaseError> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(DatabaseError::Storage(redb::StorageError::Corrupted("the storage could not be read".to_owned())))
    })
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
    let mut file = open.open(path).map_err(io)?;
    let length = file.metadata().map_err(io)?.len();
    if length == 0 {
        // An empty file is what a crash during creation leaves; without `create` it is somebody else's.
        return if options.create {
            Ok(file)
        } else {
            Err(OpenError::Foreign { path: shown.to_owned(), why: "an empty file".to_owned() })
        };
    }
    let mut magic = vec![0; REDB_MAGIC.len().min(usize::try_from(length).unwrap_or(usize::MAX))];
    file.read_exact(&mut magic).map_err(io)?;
    if magic != REDB_MAGIC {
        return Err(OpenError::Foreign {
            path: shown.to_owned(),
            why: "it starts like another kind of file".to_owned(),
        });
    }
    Ok(file)
}

/// Refuses, without touching it, a redb file of another program, and one of another format version. When that can't be told
/// without a repair, the open that follows finds out.
fn refuse_by_a_look(path: &Path, shown: &str) -> Result<(), OpenError> {
    let Ok(opened) = contained(|| redb::ReadOnlyDatabase::open(path)) else { return Ok(()) };
    is_ours(&opened).map_err(|why| OpenError::Foreign { path: shown.to_owned(), why })?;
    match other_version(&opened) {
        Some(found) => Err(unsupported(shown, found)),
        None => Ok(()),
    }
}

/// The format version of a file, when it is not this software's.
fn other_version(redb: &impl ReadableDatabase) -> Option<u32> {
    let transaction = redb.begin_read().ok()?;
    let meta = transaction.open_table(name::meta.definition).ok()?;
    let row = meta.get(FORMAT_KEY).ok()??;
    let version = row.value().get(..4)?.try_into().ok().map(u32::from_be_bytes)?;
    (row.value().len() == 4 + CHECK_BYTES && version != FORMAT_VERSION).then_some(version)
}

fn unsupported(path: &str, found: u32) -> OpenError {
    let (path, supported) = (path.to_owned(), FORMAT_VERSION);
    if found > supported {
        OpenError::Newer { path, found, supported }
    } else {
        OpenError::Older { path, found, supported }
    }
}

fn refused(error: DatabaseError, path: &str, file: Option<&PathBuf>) -> OpenError {
    let path = path.to_owned();
    match error {
        DatabaseError::DatabaseAlreadyOpen => OpenError::Locked {
            owner: file.and_then(|file| lock_owner(file)).unwrap_or("another process".to_owned()),
            path,
        },
        DatabaseError::UpgradeRequired(version) => {
            OpenError::Foreign { path, why: format!("a redb file of version {version}") }
        }
        DatabaseError::Storage(redb::StorageError::Io(source)) if source.kind() != ErrorKind::InvalidData => {
            OpenError::Io { path, source }
        }
        other => OpenError::Damaged { path, why: other.to_string() },
    }
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
fn finish(redb: redb::Database, path: &str, identity: Option<String>, options: Options) -> Result<Store, OpenError> {
    let damaged = |error: ReadError| OpenError::Damaged { path: path.to_owned(), why: error.to_string() };
    let foreign = |why: &str| OpenError::Foreign { path: path.to_owned(), why: why.to_owned() };
    let storage = |why: String| OpenError::Damaged { path: path.to_owned(), why };
    is_ours(&redb).map_err(|why| foreign(&why))?;
    let mut transaction = redb.begin_write().map_err(|error| storage(error.to_string()))?;
    transaction.set_two_phase_commit(true);
    transaction.set_quick_repair(true);
    let (signer, database, nonce, mirror);
    let incarnation: [u8; Incarnation::BYTES];
    {
        let mut tables = WriteTables::open(&transaction).map_err(damaged)?;
        let stored = |tables: &WriteTables<'_>, key: &[u8]| -> Result<Option<Vec<u8>>, OpenError> {
            Ok(tables.meta.get(key).map_err(damaged)?.map(|row| row.to_vec()))
        };
        let random = |count: usize| {
            let mut bytes = vec![0; count];
            options.host.fill_random(&mut bytes);
            bytes
        };
        match stored(&tables, FORMAT_KEY)? {
            None if !options.create => return Err(foreign("it has no format version")),
            None => {
                tables.meta.insert(FORMAT_KEY, &FORMAT_VERSION.to_be_bytes()).map_err(damaged)?;
                tables.meta.insert(DATABASE_KEY, &random(DatabaseId::BYTES)).map_err(damaged)?;
            }
            Some(version) => {
                let found = version.try_into().map(u32::from_be_bytes).map_err(|_| foreign("no format version"))?;
                if found != FORMAT_VERSION {
                    return Err(unsupported(path, found));
                }
            }
        }
        let id = stored(&tables, DATABASE_KEY)?.and_then(|id| id.try_into().ok());
        database = DatabaseId(id.ok_or_else(|| foreign("it has no database id"))?);
        let device = tables.local.get(DEVICE_RECORD).map_err(damaged)?.map(|row| row.to_vec());
        let (found, record) = (options.signer)(device.as_deref()).map_err(|why| OpenError::Key { why })?;
        signer = found;
        if device.as_ref() != Some(&record) {
            tables.local.insert(DEVICE_RECORD, &record).map_err(damaged)?;
        }
        mirror = identity.and_then(|identity| Some(Mirror::new(options.mirror.as_ref()?, &database, &identity)));
        let old_nonce = stored(&tables, NONCE_KEY)?;
        let known = old_nonce.is_some() && mirror.as_ref().and_then(Mirror::read) == old_nonce;
        let old = stored(&tables, INCARNATION_KEY)?.filter(|_| known).and_then(|bytes| bytes.try_into().ok());
        incarnation = old.unwrap_or_else(|| random(Incarnation::BYTES).try_into().unwrap_or_default());
        nonce = random(NONCE_BYTES);
        tables.meta.insert(INCARNATION_KEY, &incarnation).map_err(damaged)?;
        tables.meta.insert(NONCE_KEY, &nonce).map_err(damaged)?;
    }
    transaction.commit().map_err(|error| storage(error.to_string()))?;
    // Only after the file: a crash in between leaves two different nonces, and so a new incarnation, which is safe.
    if let Some(mirror) = mirror {
        mirror.write(&nonce);
    }
    let read = redb.begin_read().map_err(|error| storage(error.to_string()))?;
    let tables = Arc::new(ReadTables::open(&read).map_err(damaged)?);
    let mut loaded = state::load(&*tables).map_err(damaged)?;
    schemas::load(&*tables, &mut loaded).map_err(damaged)?;
    if let Some(home) = tables.meta().get(HOME_KEY).map_err(damaged)? {
        loaded.home = home[..].try_into().ok().map(SpaceId);
    }
    let loaded = Arc::new(loaded);
    let writer = WriterId { device: signer.device(), incarnation: Incarnation(incarnation) };
    let published = Published { state: loaded.clone(), durable: loaded, tables };
    Ok(Store {
        inner: Arc::new(Inner {
            redb,
            host: options.host,
            signer,
            database,
            writer,
            published: RwLock::new(Arc::new(published)),
            sealer: Mutex::default(),
            opener: Mutex::default(),
            writer_side: Mutex::new(WriterSide::default()),
            writing_thread: Mutex::default(),
            waiting: AtomicUsize::new(0),
            cells: Arc::default(),
            listeners: Mutex::default(),
            next_listener: AtomicU64::new(0),
        }),
    })
}

/// A file with tables but without ours belongs to somebody else.
fn is_ours(redb: &impl ReadableDatabase) -> Result<(), String> {
    use redb::TableHandle;
    let transaction = redb.begin_read().map_err(|error| error.to_string())?;
    let mut names = transaction.list_tables().map_err(|error| error.to_string())?.peekable();
    if names.peek().is_none() || names.any(|table| table.name() == name::meta.name) {
        return Ok(());
    }
    Err("a redb file of another program".to_owned())
}

/// The nonce outside the file, keyed by database id and file identity.
struct Mirror(PathBuf);

impl Mirror {
    fn new(folder: &Path, database: &DatabaseId, identity: &str) -> Self {
        Self(folder.join(format!("{database}-{identity}")))
    }

    fn read(&self) -> Option<Vec<u8>> {
        std::fs::read(&self.0).ok()
    }

    /// A mirror that can't be written costs a new incarnation at the next open, nothing else.
    fn write(&self, nonce: &[u8]) {
        let write = || -> std::io::Result<()> {
            if let Some(folder) = self.0.parent() {
                std::fs::create_dir_all(folder)?;
            }
            let fresh = self.0.with_extension("new");
            let mut file = File::create(&fresh)?;
            file.write_all(nonce)?;
            file.sync_all()?;
            std::fs::rename(&fresh, &self.0)
        };
        if let Err(error) = write() {
            tracing::warn!(path = %self.0.display(), %error, "the mirror could not be written");
        }
    }
}

#[derive(Debug)]
struct BoxedBackend(Box<dyn redb::StorageBackend>);

impl redb::StorageBackend for BoxedBackend {
    fn len(&self) -> std::io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> std::io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> std::io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        self.0.write(offset, data)
    }

    fn close(&self) -> std::io::Result<()> {
        self.0.close()
    }
}
