//! The store: one file (or memory) that holds logs, documents and indexes, and everything that reads and writes them.

pub mod error;
pub mod log_access;
pub mod options;
pub mod snapshot;
pub mod transaction;

use std::sync::Arc;

pub use error::{OpenError, ReadError, ReceiveError, TransactionError, WriteError};
pub use log_access::{ControlCommit, LogBatch, LoggedEntry, ReceiveOutcome, SignedHead};
pub use options::{Durability, Location, Options};
pub use snapshot::{Snapshot, SpaceReport, VerifyReport};
pub use transaction::{Edit, PathSegment, Transaction};

use crate::id::{DatabaseId, SpaceId, WriterId};
use crate::log::{Plane, VersionVector};
use crate::space::EffectiveTable;

/// A database file, open. Cheap to clone; the file closes with the last clone.
#[derive(Debug, Clone)]
pub struct Store {}

impl Store {
    /// Opens the database at `location`, or creates it when `options.create` says so.
    pub fn open(location: Location, options: Options) -> Result<Self, OpenError> {
        todo!("{location:?} {options:?}")
    }

    /// The file's random id.
    pub fn database_id(&self) -> DatabaseId {
        todo!()
    }

    /// The writer that this file's commits carry: the device, and the incarnation of this file.
    pub fn writer(&self) -> WriterId {
        todo!()
    }

    /// The spaces that this database holds.
    pub fn spaces(&self) -> Vec<SpaceId> {
        todo!()
    }

    /// The space that a write goes to when none is named.
    pub fn home(&self) -> Option<SpaceId> {
        todo!()
    }

    /// Names the home space.
    pub fn set_home(&self, _space: SpaceId) -> Result<(), WriteError> {
        todo!()
    }

    /// Adds a space, or replaces what its control plane means. Documents whose validity changes are refolded in the same storage transaction.
    pub fn set_effective(&self, _space: SpaceId, _table: EffectiveTable) -> Result<(), WriteError> {
        todo!()
    }

    /// What the space's control plane means.
    pub fn effective(&self, _space: &SpaceId) -> Option<Arc<EffectiveTable>> {
        todo!()
    }

    /// A local record, never replicated: keys, contacts, peers. The owner of the name is the crate above.
    pub fn local(&self, _name: &str) -> Result<Option<Vec<u8>>, ReadError> {
        todo!()
    }

    /// Writes or removes local records, all or nothing, durably.
    pub fn set_local(&self, _records: &[(&str, Option<&[u8]>)]) -> Result<(), WriteError> {
        todo!()
    }

    /// Local records whose name starts with `prefix`, by name.
    pub fn locals(&self, _prefix: &str) -> Result<Vec<(String, Vec<u8>)>, ReadError> {
        todo!()
    }

    /// Appends one commit to this writer's control log: `body` is sealed under the control key. Returns when durable.
    pub fn append_control(&self, _space: &SpaceId, _body: &[u8]) -> Result<(), WriteError> {
        todo!()
    }

    /// Every applied control commit of the space, in an order that respects causality, opened with the control key.
    pub fn control_commits(&self, _space: &SpaceId) -> Result<Vec<ControlCommit>, ReadError> {
        todo!()
    }

    /// What this database holds of the space's logs of one plane: verified prefixes, applied or parked.
    pub fn vector(&self, _space: &SpaceId, _plane: Plane) -> Result<VersionVector, ReadError> {
        todo!()
    }

    /// How far the logs are applied: at most [`Store::vector`].
    pub fn applied(&self, _space: &SpaceId, _plane: Plane) -> Result<VersionVector, ReadError> {
        todo!()
    }

    /// Entries of one log from `from` on: as many as fit `max_bytes` (at least up to the first head), ending at a head. `None`: there are none.
    pub fn read_log(
        &self,
        _space: &SpaceId,
        _plane: Plane,
        _writer: &WriterId,
        _from: u64,
        _max_bytes: usize,
    ) -> Result<Option<LogBatch>, ReadError> {
        todo!()
    }

    /// The order in which this database applied the logs of a plane, from application number `from` on: (number, writer, sequence of the commit's last entry).
    /// Sending in this order is sending in causal order.
    pub fn applied_order(
        &self,
        _space: &SpaceId,
        _plane: Plane,
        _from: u64,
        _limit: usize,
    ) -> Result<Vec<(u64, WriterId, u64)>, ReadError> {
        todo!()
    }

    /// Verifies a batch against its head, stores it, and applies what can be applied, in one storage transaction.
    /// Entries already held are skipped; whatever has to wait is parked.
    pub fn receive(&self, _batch: &LogBatch) -> Result<ReceiveOutcome, ReceiveError> {
        todo!()
    }

    /// A consistent view of all documents as of now.
    pub fn snapshot(&self) -> Result<Snapshot, ReadError> {
        todo!()
    }

    /// Runs `body` as one transaction: all of it becomes one commit, or nothing does. Serialised with every other writer.
    /// Returns when the commit is as durable as `durability` says. Concurrent callers share one storage transaction.
    pub fn transaction<T, E>(
        &self,
        _durability: Durability,
        _body: impl FnOnce(&mut Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, TransactionError<E>> {
        todo!()
    }

    /// Calls `listener` after every durable change of any space, from the committing thread: keep it short (set a flag, wake a task).
    /// The listener stays until the returned guard is dropped.
    pub fn on_change(&self, _listener: Arc<dyn Fn(&Change) + Send + Sync>) -> ChangeGuard {
        todo!()
    }

    /// One hash over the canonical effective state of a space: documents with siblings and generations, and schemas. Equal operations give equal digests.
    pub fn digest(&self, _space: &SpaceId) -> Result<[u8; 32], ReadError> {
        todo!()
    }

    /// Checks everything: every record's check, every root and head, and documents and indexes against a rebuild from the logs.
    pub fn verify(&self, _progress: &mut dyn FnMut(u64, u64)) -> Result<VerifyReport, ReadError> {
        todo!()
    }
}

/// What a durable storage transaction changed.
#[derive(Debug, Clone)]
pub struct Change {
    /// Counts storage transactions since the file was opened.
    pub number: u64,
    /// The spaces and planes whose logs grew or whose effective table changed.
    pub spaces: Vec<(SpaceId, Plane)>,
    /// Collections with changed documents.
    pub collections: Vec<String>,
}

/// Keeps a listener registered.
#[derive(Debug)]
pub struct ChangeGuard {}
