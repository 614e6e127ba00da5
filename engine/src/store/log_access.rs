//! Logs as the sync session sees them.

use super::voids::VoidCommit;
use crate::id::{SpaceId, WriterId};
use crate::log::{Plane, VersionVector};

/// One entry: header and sealed body, exactly as signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedEntry {
    /// The canonical header.
    pub header: Vec<u8>,
    /// The sealed body.
    pub body: Vec<u8>,
}

/// A writer's signature over a log's length and root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedHead {
    /// The length.
    pub length: u64,
    /// The root. A batch that is received needs none when the sender and this database hold the same prefix before it: the
    /// root follows from that and the entries.
    pub root: Option<[u8; 32]>,
    /// The Ed25519 signature of the writer's device.
    pub signature: [u8; 64],
}

/// Consecutive entries of one log, ending at a head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogBatch {
    /// The space.
    pub space: SpaceId,
    /// The plane.
    pub plane: Plane,
    /// The log's owner.
    pub writer: WriterId,
    /// The sequence number of the first entry.
    pub from: u64,
    /// The entries.
    pub entries: Vec<LoggedEntry>,
    /// The head, whose length is `from + entries.len()`.
    pub head: SignedHead,
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReceiveOutcome {
    /// Entries that were new.
    pub stored: u64,
    /// Commits applied, of any log: news can unpark others.
    pub applied: u64,
    /// Entries of the space and plane that wait for something, after this batch.
    pub parked: u64,
}

/// One applied commit of the control plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlCommit {
    /// Who wrote it.
    pub writer: WriterId,
    /// The sequence number of its first entry.
    pub sequence: u64,
    /// The writer's clock, milliseconds since 1970 UTC.
    pub timestamp_ms: i64,
    /// Its causal past in the control plane, the writer's own log included.
    pub past: VersionVector,
    /// The opened body.
    pub body: Vec<u8>,
}

/// One applied commit of the control plane, whatever it came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlRecord {
    /// The commit. Its body is empty when it does not open.
    pub commit: ControlCommit,
    /// Why it counts for nothing, if the log alone shows it. What its author may say is not judged here.
    pub void: Option<VoidCommit>,
}
