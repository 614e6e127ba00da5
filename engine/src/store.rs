//! The store: one file (or memory) that holds logs, documents and indexes, and everything that reads and writes them.
//!
//! One writer at a time (`group`), any number of readers on snapshots. Memory holds the state of logs and spaces
//! (`state`); everything else is rows (`tables`).

mod append;
mod apply;
pub mod collection;
mod conflicts;
mod digest;
mod era;
pub mod error;
mod file;
mod group;
mod history;
mod indexing;
mod lease;
pub mod log_access;
mod log_reading;
mod mirror;
mod names;
pub mod options;
mod overlay;
pub mod pages;
mod receive;
mod records;
pub mod resolve;
mod rich_cells;
mod rich_changes;
mod rich_edits;
mod schemas;
pub mod seal;
pub mod snapshot;
mod source;
mod spaces;
mod state;
mod tables;
mod touches;
pub mod transaction;
mod verify;
pub mod voids;
pub mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

pub use collection::Collection;
pub use error::{OpenError, ReadError, ReceiveError, TransactionError, WriteError};
pub use log_access::{ControlCommit, ControlRecord, LogBatch, LoggedEntry, ReceiveOutcome, SignedHead};
pub use options::{Durability, Location, MirrorLocation, Options, SignerSource};
pub use pages::Pages;
pub use resolve::{Resolution, Resolved};
pub use seal::{Cost, KEY_BYTES, MAX_PASSPHRASE_BYTES, Seal, SealError, SealKind, Sealed, SecretError, UnsealError};
pub use snapshot::{Snapshot, SpaceReport, VerifyReport};
pub use transaction::{Edit, PathSegment, Transaction};
pub use voids::{VoidCommit, VoidReason};
pub use watch::{Watch, WatchStopper};

use self::era::Reading;
use self::group::{WriterSide, lock};
use self::lease::Storage;
use self::mirror::Mirror;
use self::state::State;
use self::tables::ReadTables;
use crate::host::{HeadSigner, Host};
use crate::id::{DatabaseId, EpochId, SpaceId, WriterId};
use crate::log::seal::{Opener, Sealer};
use crate::log::{Branch, Plane, Prefix, VersionVector};
use crate::space::EffectiveTable;

/// A database file, open. Cheap to clone; the file closes with the last clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

type Listener = Arc<dyn Fn(&Change) + Send + Sync>;

struct Inner {
    storage: Arc<Storage>,
    /// `None`: it is not sealed.
    sealed: Option<Sealed>,
    /// Where the file is, if it is one.
    path: Option<std::path::PathBuf>,
    /// redb's page cache, in bytes.
    cache_bytes: usize,
    host: Arc<dyn Host>,
    signer: Arc<dyn HeadSigner>,
    database: DatabaseId,
    writer: WriterId,
    mirror: Option<Mirror>,
    published: RwLock<Arc<Published>>,
    writer_side: Mutex<WriterSide>,
    /// The thread whose write is running.
    writing_thread: Mutex<Option<std::thread::ThreadId>>,
    /// How many callers wait for the writer's lock.
    waiting: AtomicUsize,
    /// The compression context of this device's own commits.
    sealer: Mutex<Sealer>,
    /// The decompression context of the commits that are applied.
    opener: Mutex<Opener>,
    /// Loaded text and json cells.
    cells: Arc<crate::rich::Cache>,
    listeners: Mutex<BTreeMap<u64, Listener>>,
    next_listener: AtomicU64,
}

/// What readers see.
struct Published {
    state: Arc<State>,
    /// The state at the last durable commit: what may leave this device.
    durable: Arc<State>,
    tables: Arc<ReadTables>,
    /// Of the redb database that the tables belong to.
    reading: Arc<Reading>,
}

impl Inner {
    /// What readers see. When the storage could not be read, it is opened again first.
    fn published(&self) -> Arc<Published> {
        let published = self.latest();
        if !published.reading.is_lost() {
            return published;
        }
        self.recover();
        self.latest()
    }

    fn latest(&self) -> Arc<Published> {
        self.published.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is durable may leave the device from here on.
    fn publish(&self, published: Published) {
        if let Some(mirror) = &self.mirror {
            mirror.note(mirror::written(&published.durable, &self.writer));
        }
        *self.published.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(published);
    }

    /// Calls every listener, outside of any lock.
    fn tell(&self, change: &Change) {
        if planted!(ControlUntold) && change.collections.is_empty() {
            return;
        }
        let listeners: Vec<Listener> = lock(&self.listeners).values().cloned().collect();
        listeners.iter().for_each(|listener| listener(change));
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.storage.leave();
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("database", &self.inner.database).field("writer", &self.inner.writer).finish()
    }
}

impl Store {
    /// Opens the database at `location`, or creates it when `options.create` says so.
    pub fn open(location: Location, options: Options) -> Result<Self, OpenError> {
        file::open(location, options)
    }

    /// The file's random id.
    pub fn database_id(&self) -> DatabaseId {
        self.inner.database
    }

    /// The writer that this file's commits carry: the device, and the incarnation of this file.
    pub fn writer(&self) -> WriterId {
        self.inner.writer
    }

    /// The spaces that this database holds.
    pub fn spaces(&self) -> Vec<SpaceId> {
        self.inner.published().state.spaces.keys().copied().collect()
    }

    /// The space that a write goes to when none is named.
    pub fn home(&self) -> Option<SpaceId> {
        self.inner.published().state.home
    }

    /// Names the home space.
    pub fn set_home(&self, space: SpaceId) -> Result<(), WriteError> {
        spaces::set_home(&self.inner, space)
    }

    /// Adds a space, or replaces what its control plane means. Documents whose validity changes are refolded in the same storage transaction.
    pub fn set_effective(&self, space: SpaceId, table: EffectiveTable) -> Result<(), WriteError> {
        spaces::set_effective(&self.inner, space, table)
    }

    /// Removes a space with its logs and documents from this file, and writes or removes local records with it, all or nothing.
    /// Names of collections stay; so may old bytes in pages of the file that are not used again yet. The next opening begins a new
    /// writer. Forgetting the home space leaves the database without one.
    ///
    /// # Errors
    /// [`ReadError::UnknownSpace`] in [`WriteError::Read`], and as every write.
    pub fn forget_space(&self, space: SpaceId, records: &[(&str, Option<&[u8]>)]) -> Result<(), WriteError> {
        spaces::forget(&self.inner, space, records)
    }

    /// What the space's control plane means.
    pub fn effective(&self, space: &SpaceId) -> Option<Arc<EffectiveTable>> {
        self.inner.published().state.spaces.get(space).map(|space| space.table.clone())
    }

    /// A local record, never replicated: keys, contacts, peers. The owner of the name is the crate above.
    pub fn local(&self, name: &str) -> Result<Option<Vec<u8>>, ReadError> {
        spaces::local(&self.inner, name)
    }

    /// Writes or removes local records, all or nothing, durably.
    pub fn set_local(&self, records: &[(&str, Option<&[u8]>)]) -> Result<(), WriteError> {
        self.set_local_as(Durability::Local, records)
    }

    /// [`Store::set_local`], as durable as `durability` says.
    pub fn set_local_as(&self, durability: Durability, records: &[(&str, Option<&[u8]>)]) -> Result<(), WriteError> {
        spaces::set_local(&self.inner, durability, records)
    }

    /// Local records whose name starts with `prefix`, by name.
    pub fn locals(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, ReadError> {
        spaces::locals(&self.inner, prefix)
    }

    /// Appends one commit to this writer's control log: `body` is sealed under the control key. Returns when durable.
    pub fn append_control(&self, space: &SpaceId, body: &[u8]) -> Result<(), WriteError> {
        append::control(&self.inner, space, body)
    }

    /// Every applied control commit of the space, in an order that respects causality, opened with the control key.
    pub fn control_commits(&self, space: &SpaceId) -> Result<Vec<ControlCommit>, ReadError> {
        log_reading::control_commits(&self.inner, space)
    }

    /// [`Store::control_commits`], and those that count for nothing by the log alone, with the reason.
    ///
    /// # Errors
    /// [`ReadError::UnknownSpace`], [`ReadError::Damaged`], [`ReadError::Storage`].
    pub fn control_history(&self, space: &SpaceId) -> Result<Vec<ControlRecord>, ReadError> {
        log_reading::control_history(&self.inner, space)
    }

    /// What this database holds of the space's logs of one plane: verified prefixes, applied or parked.
    pub fn vector(&self, space: &SpaceId, plane: Plane) -> Result<VersionVector, ReadError> {
        log_reading::vector(&self.inner, space, plane)
    }

    /// How far the logs are applied: at most [`Store::vector`].
    pub fn applied(&self, space: &SpaceId, plane: Plane) -> Result<VersionVector, ReadError> {
        log_reading::applied(&self.inner, space, plane)
    }

    /// Entries of one log from `from` on: as many as fit `max_bytes` (at least up to the first head), ending at a head. `None`: there are none.
    pub fn read_log(
        &self,
        space: &SpaceId,
        plane: Plane,
        writer: &WriterId,
        from: u64,
        max_bytes: usize,
    ) -> Result<Option<LogBatch>, ReadError> {
        log_reading::read_log(&self.inner.published(), space, plane, writer, from, max_bytes)
    }

    /// The prefix of a log at `length`, at most what is held. `None`: fewer entries are held.
    pub fn prefix_at(
        &self,
        space: &SpaceId,
        plane: Plane,
        writer: &WriterId,
        length: u64,
    ) -> Result<Option<Prefix>, ReadError> {
        log_reading::prefix_at(&self.inner, space, plane, writer, length)
    }

    /// The proof that leads from the prefix at `old` to the one at `new` (see `log::tree::verify_consistency`).
    /// `None`: fewer entries are held.
    pub fn prefix_proof(
        &self,
        space: &SpaceId,
        plane: Plane,
        writer: &WriterId,
        old: u64,
        new: u64,
    ) -> Result<Option<Vec<[u8; 32]>>, ReadError> {
        log_reading::prefix_proof(&self.inner, space, plane, writer, old, new)
    }

    /// What this database holds of a log beyond `shared`, as one of its histories: half of the proof of a fork. `None`: it holds no
    /// signed head beyond, or the log begins otherwise here.
    ///
    /// # Errors
    /// [`ReadError::UnknownSpace`], [`ReadError::Damaged`], [`ReadError::Storage`].
    pub fn branch(
        &self,
        space: &SpaceId,
        plane: Plane,
        writer: &WriterId,
        shared: &Prefix,
    ) -> Result<Option<Branch>, ReadError> {
        log_reading::branch(&self.inner, space, plane, writer, shared)
    }

    /// The bodies of control commits of one entry that wait for others: what a proof says counts at once. `looked` says how much of
    /// each log was looked at before, and is moved on.
    ///
    /// # Errors
    /// [`ReadError::UnknownSpace`], [`ReadError::Damaged`], [`ReadError::Storage`].
    pub fn waiting_control(
        &self,
        space: &SpaceId,
        looked: &mut BTreeMap<WriterId, u64>,
    ) -> Result<Vec<Vec<u8>>, ReadError> {
        log_reading::waiting_control(&self.inner, space, looked)
    }

    /// Which of these epochs this device's own data is sealed under. Reads all of its logs.
    ///
    /// # Errors
    /// [`ReadError::UnknownSpace`], [`ReadError::Damaged`], [`ReadError::Storage`].
    pub fn written_under(&self, space: &SpaceId, epochs: &BTreeSet<EpochId>) -> Result<BTreeSet<EpochId>, ReadError> {
        log_reading::written_under(&self.inner, space, epochs)
    }

    /// The order in which this database applied the logs of a plane, from application number `from` on: (number, writer, sequence of the last entry of the commit).
    /// Sending in this order is sending in causal order.
    pub fn applied_order(
        &self,
        space: &SpaceId,
        plane: Plane,
        from: u64,
        limit: usize,
    ) -> Result<Vec<(u64, WriterId, u64)>, ReadError> {
        let order = log_reading::applied_order(&self.inner.published(), space, plane, from, limit)?;
        Ok(order.into_iter().map(|commit| (commit.number, commit.writer, commit.last)).collect())
    }

    /// Verifies a batch against its head, stores it, and applies what can be applied, in one storage transaction.
    /// Entries already held are skipped; whatever has to wait is parked.
    ///
    /// # Errors
    /// [`ReceiveError`]; nothing of the batch is stored then.
    pub fn receive(&self, batch: &LogBatch) -> Result<ReceiveOutcome, ReceiveError> {
        self.receive_all(std::slice::from_ref(batch))?.pop().unwrap_or_else(|| Ok(ReceiveOutcome::default()))
    }

    /// [`Store::receive`] for batches in order, all in one durable storage transaction. Each has its own outcome: one that
    /// is refused keeps none of the others back.
    ///
    /// # Errors
    /// [`WriteError`] when the storage fails; nothing of any batch is stored then.
    pub fn receive_all(&self, batches: &[LogBatch]) -> Result<Vec<Result<ReceiveOutcome, ReceiveError>>, WriteError> {
        receive::receive(&self.inner, batches)
    }

    /// A consistent view of all documents as of now.
    pub fn snapshot(&self) -> Result<Snapshot, ReadError> {
        Ok(Snapshot::new(&self.inner))
    }

    /// Runs `body` as one transaction: all of it becomes one commit, or nothing does. Serialised with every other writer.
    /// Returns when the commit is as durable as `durability` says. Concurrent callers share one storage transaction.
    pub fn transaction<T, E>(
        &self,
        durability: Durability,
        body: impl FnOnce(&mut Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, TransactionError<E>> {
        transaction::run(&self.inner, durability, body)
    }

    /// Runs `body` as one transaction after the other until it breaks. Each becomes a commit of its own; here all of them
    /// are stored, or none is. Other writers wait for the end; on other devices the commits arrive one by one.
    ///
    /// # Errors
    /// As [`Store::transaction`]; then nothing at all is stored.
    pub fn transactions<T, E>(
        &self,
        durability: Durability,
        body: impl FnMut(&mut Transaction<'_>) -> Result<ControlFlow<T>, E>,
    ) -> Result<T, TransactionError<E>> {
        transaction::run_many(&self.inner, durability, body)
    }

    /// Makes every commit that is visible durable: the end of a run of [`Durability::Buffered`] transactions.
    ///
    /// # Errors
    /// [`WriteError::Full`] or [`WriteError::Storage`].
    pub fn flush(&self) -> Result<(), WriteError> {
        self.inner.flush()
    }

    /// Calls `listener` after every durable change of any space, from the committing thread: keep it short (set a flag, wake a task).
    /// Listeners are called in the order they were registered. This one stays until the returned guard is dropped.
    pub fn on_change(&self, listener: Arc<dyn Fn(&Change) + Send + Sync>) -> ChangeGuard {
        let number = self.inner.next_listener.fetch_add(1, Ordering::Relaxed);
        lock(&self.inner.listeners).insert(number, listener);
        ChangeGuard { number, inner: Arc::downgrade(&self.inner) }
    }

    /// What kind of secret seals the file. `None`: it is not sealed.
    pub fn sealed_by(&self) -> Option<SealKind> {
        self.inner.sealed.as_ref().map(Sealed::kind)
    }

    /// Seals the file under another passphrase or key file; the old one no longer opens it. Only the file's header is written, and it is on the
    /// disk when this returns: a power cut before that leaves a file that one of the two opens.
    ///
    /// A copy of the file from before stays open to the old secret, and what is encrypted is encrypted under the same key as before: who had the old secret
    /// and the file can read later states of it too. To be rid of them, export everything into a new database.
    ///
    /// # Errors
    /// [`SealError::NotSealed`]; [`SealError::Io`] when the header can't be written.
    pub fn change_seal(&self, seal: &Seal) -> Result<(), SealError> {
        let sealed = self.inner.sealed.as_ref().ok_or(SealError::NotSealed)?;
        Ok(sealed.change(seal, &*self.inner.host)?)
    }

    /// One hash over the canonical effective state of a space: documents with siblings and generations, and schemas. Equal operations give equal digests.
    pub fn digest(&self, space: &SpaceId) -> Result<[u8; 32], ReadError> {
        digest::digest(&self.inner.published(), &self.inner.cells, space)
    }

    /// Checks everything: every page that is in use, every record's check, every root and head, and documents and indexes against a rebuild from the logs.
    ///
    /// The rebuild takes 16 MiB of memory; beyond that a database in a file needs as much room on the disk beside it as it takes itself.
    pub fn verify(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<VerifyReport, ReadError> {
        verify::verify(&self.inner, progress)
    }
}

/// What a storage transaction changed.
#[derive(Debug, Clone)]
pub struct Change {
    /// Counts storage transactions since the file was opened.
    pub number: u64,
    /// The spaces and planes whose logs grew or whose effective table changed: once that is durable. A buffered commit tells of
    /// its collections at once, and of its space with the next durable one.
    pub spaces: Vec<(SpaceId, Plane)>,
    /// Collections with changed documents.
    pub collections: Vec<String>,
}

/// Keeps a listener registered.
#[must_use = "the listener goes with the guard"]
pub struct ChangeGuard {
    number: u64,
    inner: std::sync::Weak<Inner>,
}

impl std::fmt::Debug for ChangeGuard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChangeGuard").field("number", &self.number).finish_non_exhaustive()
    }
}

impl Drop for ChangeGuard {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.upgrade() {
            lock(&inner.listeners).remove(&self.number);
        }
    }
}

#[cfg(test)]
mod tests;
