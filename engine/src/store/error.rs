//! What can go wrong, per operation.

use super::seal::SealKind;
use crate::id::{CommitId, ConflictVersion, DocumentId, SpaceId, WriterId};
use crate::log::Plane;

/// Why a database did not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is no file.
    #[error("{path}: no such database; create one with `tide init`")]
    NotFound {
        /// The path.
        path: String,
    },
    /// The file exists and the caller wanted a new one.
    #[error("{path}: already exists")]
    Exists {
        /// The path.
        path: String,
    },
    /// Another process has the file open.
    #[error("{path}: in use by {owner}; stop it, or work through its API")]
    Locked {
        /// The path.
        path: String,
        /// Who: `process 123 (tide serve)` as far as it can be told.
        owner: String,
    },
    /// The file is something else: a directory, a device, another format.
    #[error("{path}: not a Tidewater database ({why})")]
    Foreign {
        /// The path.
        path: String,
        /// What was found.
        why: String,
    },
    /// The file was written by newer software. It was not touched.
    #[error("{path}: format version {found} is newer than this software reads ({supported}); upgrade")]
    Newer {
        /// The path.
        path: String,
        /// The file's version.
        found: u32,
        /// The newest version this software reads.
        supported: u32,
    },
    /// The file was written before the first release, in a format that is no longer read. It was not touched.
    #[error(
        "{path}: format version {found} is no longer read, only {supported}; export it with the software that wrote it, and import that"
    )]
    Older {
        /// The path.
        path: String,
        /// The file's version.
        found: u32,
        /// The version this software reads.
        supported: u32,
    },
    /// The file is damaged beyond opening.
    #[error("{path}: damaged: {why}; restore a backup, or join again from another device")]
    Damaged {
        /// The path.
        path: String,
        /// What was found.
        why: String,
    },
    /// The file is sealed, and nothing was given that could open it. It was not touched.
    #[error("{path}: sealed under a {by}; open it with that {by}")]
    Sealed {
        /// The path.
        path: String,
        /// What opens it.
        by: SealKind,
    },
    /// The file is sealed under something else than was given. It was not touched.
    #[error("{path}: sealed under another {by} than was given; try again with the right {by}")]
    WrongSeal {
        /// The path.
        path: String,
        /// What opens it.
        by: SealKind,
    },
    /// Something was given to open a seal, and the file has none: whoever expects a sealed file should not write to this one.
    #[error(
        "{path}: not sealed, though a passphrase or key file was given; open it without, if it is the file you mean"
    )]
    NotSealed {
        /// The path.
        path: String,
    },
    /// The device key could not be had.
    #[error("the device key could not be loaded: {why}")]
    Key {
        /// What went wrong.
        why: String,
    },
    /// The operating system refused.
    #[error("{path}: {source}")]
    Io {
        /// The path.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
}

/// Why a read failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// A stored record does not match its check. Everything else stays readable.
    #[error("damaged record in {table} at {key}; run `tide verify`")]
    Damaged {
        /// Which table.
        table: &'static str,
        /// Which key, for people.
        key: String,
    },
    /// A page of the file is not what was written there. What does not lie on it stays readable and writable.
    #[error(
        "page {page} of the file is damaged; run `tide verify`, and restore a backup or join again from another device"
    )]
    DamagedPage {
        /// Which page, from 0: it starts at so many times 4096 bytes.
        page: u64,
    },
    /// The storage failed.
    #[error("the storage failed: {why}")]
    Storage {
        /// What it said.
        why: String,
    },
    /// No such space here.
    #[error("no space {space} in this database")]
    UnknownSpace {
        /// The space.
        space: SpaceId,
    },
    /// The same id exists in several spaces, none of them home.
    #[error("{collection}/{id} exists in {} spaces; name one", spaces.len())]
    Ambiguous {
        /// The collection.
        collection: String,
        /// The id.
        id: DocumentId,
        /// Where it exists.
        spaces: Vec<SpaceId>,
    },
    /// A text or json field can't be read here; its operations are kept.
    #[error("{collection}/{id}: field {field} is unavailable: {why}")]
    FieldUnavailable {
        /// The collection.
        collection: String,
        /// The document.
        id: DocumentId,
        /// The field.
        field: String,
        /// What happened.
        why: String,
    },
    /// The query is not well-formed.
    #[error("the query is not valid: {why}")]
    Query {
        /// What to change.
        why: String,
    },
}

/// Why a write was refused. Nothing of its transaction is stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// A read inside the write failed.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// No space was named and the database has no home.
    #[error("this database has no home space; name a space")]
    NoHome,
    /// A transaction touched two spaces.
    #[error("one transaction writes to one space; this one wrote to {first} and then {second}")]
    TwoSpaces {
        /// The first.
        first: SpaceId,
        /// The second.
        second: SpaceId,
    },
    /// The device has no rank that allows it.
    #[error("this device may not write to space {space}: {why}")]
    Forbidden {
        /// The space.
        space: SpaceId,
        /// What is missing.
        why: String,
    },
    /// An insert of a document that exists.
    #[error("{collection}/{id} exists")]
    Exists {
        /// The collection.
        collection: String,
        /// The id.
        id: DocumentId,
    },
    /// A change to a document that does not exist.
    #[error("{collection}/{id} does not exist")]
    Missing {
        /// The collection.
        collection: String,
        /// The id.
        id: DocumentId,
    },
    /// A conflict was to be resolved where there is none.
    #[error("{collection}/{id}: field {field} has no concurrent values to choose from")]
    NoConflict {
        /// The collection.
        collection: String,
        /// The id.
        id: DocumentId,
        /// The field.
        field: String,
    },
    /// A value was picked that is not among those in conflict.
    #[error(
        "{collection}/{id}: no concurrent value of field {field} is from commit {commit}; look at the conflict again"
    )]
    UnknownSibling {
        /// The collection.
        collection: String,
        /// The id.
        id: DocumentId,
        /// The field.
        field: String,
        /// The commit that was named.
        commit: CommitId,
    },
    /// A conflict is not the one that was looked at: a value came or went meanwhile.
    #[error(
        "{collection}/{id}: the conflict in field {field} changed: version {seen} was seen, now it is {now}; look at it again"
    )]
    ConflictChanged {
        /// The collection.
        collection: String,
        /// The id.
        id: DocumentId,
        /// The field.
        field: String,
        /// What was seen.
        seen: ConflictVersion,
        /// What is there.
        now: ConflictVersion,
    },
    /// A resolution was to be undone, and the field was written since, or is not there any more.
    #[error("{collection}/{id}: field {field} is not what commit {commit} made it; nothing was undone, look at it")]
    ChangedSince {
        /// The collection.
        collection: String,
        /// The id.
        id: DocumentId,
        /// The field.
        field: String,
        /// The commit that was to be undone.
        commit: CommitId,
    },
    /// A commit was to be undone that did not settle a conflict of the field.
    #[error("{collection}/{id}: commit {commit} settled no conflict of field {field}, so there is nothing to undo")]
    NoResolution {
        /// The collection.
        collection: String,
        /// The id.
        id: DocumentId,
        /// The field.
        field: String,
        /// The commit that was to be undone.
        commit: CommitId,
    },
    /// The schema does not allow it.
    #[error("{collection}/{id}: {why}")]
    Schema {
        /// The collection.
        collection: String,
        /// The id.
        id: String,
        /// Which rule, and what was given.
        why: String,
    },
    /// A value, name or edit that can't be stored.
    #[error("{why}")]
    Invalid {
        /// What is wrong.
        why: String,
    },
    /// A limit was exceeded.
    #[error("{what} is {size}, at most {limit} is allowed")]
    TooLarge {
        /// What.
        what: &'static str,
        /// How large it is.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// The disk is full. Reads go on; writing resumes when there is space again.
    #[error("the disk is full: {why}")]
    Full {
        /// What the system said.
        why: String,
    },
    /// The storage failed. Whether the transaction is stored is unknown; a read tells once the storage is well again.
    #[error("the storage failed, the outcome is unknown: {why}")]
    Storage {
        /// What it said.
        why: String,
    },
}

/// Why a transaction did not commit.
#[derive(Debug, thiserror::Error)]
pub enum TransactionError<E> {
    /// The closure returned this; nothing was stored.
    #[error("{0}")]
    Aborted(E),
    /// The commit failed.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Why a batch was not taken. Nothing of it is stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiveError {
    /// This database does not hold the space.
    #[error("no space {space} in this database")]
    UnknownSpace {
        /// The space.
        space: SpaceId,
    },
    /// The batch starts after what is held.
    #[error("a batch of {writer} starts at {from}, but only {held} entries are held")]
    Gap {
        /// Whose log.
        writer: WriterId,
        /// Where the batch starts.
        from: u64,
        /// How many entries are held.
        held: u64,
    },
    /// The batch is provably wrong: its sender is at fault.
    #[error("an invalid batch of {writer}: {why}")]
    Invalid {
        /// Whose log.
        writer: WriterId,
        /// What is wrong.
        why: String,
    },
    /// The batch contradicts what is held, or extends this device's own log: the writer's log is forked.
    #[error("the {plane:?} log of {writer} is forked at or before entry {length}")]
    Fork {
        /// Whose log.
        writer: WriterId,
        /// Which plane.
        plane: Plane,
        /// A length at which the roots differ.
        length: u64,
    },
    /// The head does not follow from what is held and what came: the sender changed entries, or the log is forked.
    /// Ask for the proof that leads to the head from the prefix at `held` (`Store::prefix_proof`): when it verifies
    /// from another root than `Store::prefix_at` gives here, the log is forked.
    #[error("a head of {writer} does not follow from the {held} entries that are held")]
    Inconsistent {
        /// Whose log.
        writer: WriterId,
        /// Which plane.
        plane: Plane,
        /// How many entries are held.
        held: u64,
    },
    /// An entry was written by newer software. Nobody is at fault: the log goes on here after an upgrade.
    #[error("{writer} writes entry format {version}, which this software does not read; upgrade")]
    Newer {
        /// Whose log.
        writer: WriterId,
        /// The version, or the suite where the version is known.
        version: u8,
    },
    /// Too much is waiting for missing dependencies.
    #[error("{waiting} bytes are parked in this space, at most {limit} are allowed")]
    ParkingFull {
        /// What waits, in bytes.
        waiting: u64,
        /// The limit.
        limit: u64,
    },
    /// The storage failed.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl From<ReadError> for ReceiveError {
    fn from(error: ReadError) -> Self {
        Self::Write(WriteError::Read(error))
    }
}
