//! The machine as a database needs it: its clock, its randomness, and where it keeps state outside of files; and opening
//! databases on it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use tidewater_engine::host::Host;
use tidewater_engine::store::{Location, MirrorLocation};
use tidewater_sync::{CreateOptions, Database, DatabaseError, OpenOptions};

/// The clock and the randomness of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemHost;

impl Host for SystemHost {
    fn now_ms(&self) -> i64 {
        let since = |after: std::time::Duration| i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => since(after),
            Err(before) => -since(before.duration()),
        }
    }

    /// # Panics
    /// When the system gives no randomness: nothing can be sealed or signed without it.
    fn fill_random(&self, out: &mut [u8]) {
        getrandom::fill(out).expect("the system gives randomness");
    }
}

/// The folder for what must not travel with a copied database file: `$XDG_STATE_HOME/tidewater`, else
/// `~/.local/state/tidewater`. `None` where the system says neither.
#[must_use]
pub fn state_folder() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")))?;
    Some(state.join("tidewater"))
}

/// The storage's page cache of databases opened here, in bytes.
const CACHE_BYTES: usize = 64 << 20;

/// How databases are opened on this machine: its clock and randomness, and [`state_folder`] for the mirrors.
#[must_use]
pub fn open_options() -> OpenOptions {
    let mirror = state_folder().map(MirrorLocation::Folder);
    OpenOptions { host: Arc::new(SystemHost), mirror, cache_bytes: CACHE_BYTES }
}

/// Creates a database with an identity of that name and a home space. A path alone makes a plain file, which is protected by its permissions (0600)
/// alone; [`Location::sealed`] makes one that only a passphrase or a key file opens.
///
/// # Errors
/// As [`Database::create`]: there may be a file already.
pub fn create(location: impl Into<Location>, identity: impl Into<String>) -> Result<Database, DatabaseError> {
    let options = CreateOptions { open: open_options(), identity: Some(identity.into()), home: true };
    Database::create(location.into(), options)
}

/// Creates a database without an identity: it waits for a ticket that links it to another device's.
///
/// # Errors
/// As [`Database::create`]: there may be a file already.
pub fn create_unlinked(location: impl Into<Location>) -> Result<Database, DatabaseError> {
    let options = CreateOptions { open: open_options(), identity: None, home: false };
    Database::create(location.into(), options)
}

/// Creates a database in memory, with an identity of that name and a home space. It is gone with its last clone.
///
/// # Errors
/// As [`Database::create`].
pub fn in_memory(identity: impl Into<String>) -> Result<Database, DatabaseError> {
    let open = OpenOptions { mirror: None, ..open_options() };
    Database::create(Location::Memory, CreateOptions { open, identity: Some(identity.into()), home: true })
}

/// Opens a database: a plain file by its path, a sealed one by its [`Location::sealed`].
///
/// # Errors
/// As [`Database::open`].
pub fn open(location: impl Into<Location>) -> Result<Database, DatabaseError> {
    Database::open(location.into(), open_options())
}
