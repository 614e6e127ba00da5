//! How a store is opened.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::seal::Seal;
use crate::host::{HeadSigner, Host};

/// Where a database lives.
#[derive(Debug)]
#[non_exhaustive]
pub enum Location {
    /// A file. It is created with mode 0600.
    File(PathBuf),
    /// Memory: gone when the store is dropped.
    Memory,
    /// Any redb storage: faults, a browser's file system.
    Backend(Box<dyn redb::StorageBackend>),
    /// Any of these, sealed: what is stored there is encrypted under a key that the seal opens.
    Sealed(Box<Self>, Seal),
}

impl Location {
    /// The same place, sealed.
    #[must_use]
    pub fn sealed(self, seal: Seal) -> Self {
        Self::Sealed(Box::new(self), seal)
    }
}

impl From<PathBuf> for Location {
    fn from(path: PathBuf) -> Self {
        Self::File(path)
    }
}

impl From<&PathBuf> for Location {
    fn from(path: &PathBuf) -> Self {
        Self::File(path.clone())
    }
}

impl From<&Path> for Location {
    fn from(path: &Path) -> Self {
        Self::File(path.to_owned())
    }
}

impl From<&str> for Location {
    fn from(path: &str) -> Self {
        Self::File(path.into())
    }
}

impl From<String> for Location {
    fn from(path: String) -> Self {
        Self::File(path.into())
    }
}

/// Where the mirror of a database is kept: outside of its file, what tells the file from copies and earlier states of it.
#[derive(Debug)]
#[non_exhaustive]
pub enum MirrorLocation {
    /// A folder for the mirrors of many files. It is made when it is missing. Only a [`Location::File`] has one there.
    Folder(PathBuf),
    /// Any redb storage, for the mirror of this database alone.
    Backend(Box<dyn redb::StorageBackend>),
}

/// How to open a database.
pub struct Options {
    /// The clock and the randomness.
    pub host: Arc<dyn Host>,
    /// Gives the signer of this device, from the local records (see `Store::local`) of the file just opened or created, and the local records to add.
    pub signer: SignerSource,
    /// Create the file when it is missing; otherwise a missing file is an error.
    pub create: bool,
    /// Fail when the file exists.
    pub exclusive: bool,
    /// Where the database's mirror is kept. `None`: every open starts a new incarnation.
    pub mirror: Option<MirrorLocation>,
    /// redb's page cache, in bytes.
    pub cache_bytes: usize,
}

/// Finds or makes this device's key: receives the bytes of the local record `device`, if any; returns the signer and the record to store.
pub type SignerSource = Box<dyn FnOnce(Option<&[u8]>) -> Result<(Arc<dyn HeadSigner>, Vec<u8>), String>>;

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("create", &self.create).field("mirror", &self.mirror).finish_non_exhaustive()
    }
}

/// When a transaction's call returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Durability {
    /// The commit is on this device's disk: it survives kill -9 and power loss.
    #[default]
    Local,
    /// The commit is visible, and becomes durable with the next durable commit or [`super::Store::flush`]. A crash before
    /// loses it; so does storage that fails, and then the next write says so in its error.
    Buffered,
}
