//! Void commits: those that were taken and count for nothing, with the reason.

use super::ReadError;
use super::snapshot::Snapshot;
use super::source::View;
use super::state::{entry_key, log_key};
use super::tables::{ReadTables, Tables};
use crate::id::SpaceId;
use crate::log::{Place, Plane};

/// Why a commit counts for nothing, on every replica alike. The numbers are those of the stored rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum VoidReason {
    /// What it says that its writer had seen is not what is there: another history of a log, a part of a commit, less than before.
    Past = 1,
    /// Its device has no rank of writer or above.
    Rank = 2,
    /// It lies beyond the cut of a removal: whoever removed its writer had not seen it.
    Cut = 3,
    /// Its body does not open under the key that it names, or its operations do not decode.
    Unreadable = 4,
    /// An operation needs a higher rank, or contradicts itself.
    Operation = 5,
    /// A change of text or json that is not well-formed, or does not follow from what its writer had seen.
    Change = 6,
    /// Its writer signed another history of the log, and this commit is not in both.
    Fork = 7,
}

impl VoidReason {
    /// The reason in one word, as programs are told it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Past => "past",
            Self::Rank => "rank",
            Self::Cut => "cut",
            Self::Unreadable => "unreadable",
            Self::Operation => "operation",
            Self::Change => "change",
            Self::Fork => "fork",
        }
    }

    const ALL: [Self; 7] =
        [Self::Past, Self::Rank, Self::Cut, Self::Unreadable, Self::Operation, Self::Change, Self::Fork];
}

/// What is wrong with a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Void {
    pub reason: VoidReason,
    /// For people.
    pub why: String,
}

impl Void {
    pub fn new(reason: VoidReason, why: impl Into<String>) -> Self {
        Self { reason, why: why.into() }
    }

    /// The row: one byte of reason, then text.
    pub fn encode(&self) -> Vec<u8> {
        [&[self.reason as u8], self.why.as_bytes()].concat()
    }

    /// `None`: the row is damaged.
    pub fn decode(row: &[u8]) -> Option<Self> {
        let (number, why) = row.split_first()?;
        let reason = VoidReason::ALL.into_iter().find(|reason| *reason as u8 == *number)?;
        Some(Self { reason, why: std::str::from_utf8(why).ok()?.to_owned() })
    }
}

/// A commit that counts for nothing. It stays in its log, and is no obstacle to others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoidCommit {
    /// Where its first entry stands.
    pub place: Place,
    /// What is wrong.
    pub reason: VoidReason,
    /// What is wrong, for people.
    pub why: String,
}

impl Snapshot {
    /// The void commits of a space, at most `limit` of them, in an order of this database's own. The next ones come
    /// `after` the place of the last of these.
    ///
    /// # Errors
    /// [`ReadError::UnknownSpace`], [`ReadError::Damaged`], [`ReadError::Storage`].
    pub fn void_commits(
        &self,
        space: &SpaceId,
        after: Option<&Place>,
        limit: usize,
    ) -> Result<Vec<VoidCommit>, ReadError> {
        list(&self.view(), space, after, limit)
    }
}

fn list(
    view: &View<'_, ReadTables>,
    id: &SpaceId,
    after: Option<&Place>,
    limit: usize,
) -> Result<Vec<VoidCommit>, ReadError> {
    let space = view.space(id)?;
    let mut found = Vec::new();
    for plane in [Plane::Control, Plane::Data] {
        for (writer, log) in space.logs(plane) {
            let rows = log_key(space.slot, plane, log.slot);
            let from = match after {
                Some(after) if (after.plane, after.writer) > (plane, *writer) => continue,
                Some(after) if (after.plane, after.writer) == (plane, *writer) => after.sequence.saturating_add(1),
                _ => 0,
            };
            let voids = view.tables.voids();
            for row in voids.range(&entry_key(rows, from)[..]..=&entry_key(rows, u64::MAX)[..])? {
                if found.len() == limit {
                    return Ok(found);
                }
                let row = row?;
                let damaged = || voids.damaged(row.key());
                let sequence = row.key()[rows.len()..].try_into().map(u64::from_be_bytes).map_err(|_| damaged())?;
                let Void { reason, why } = Void::decode(row.value()?).ok_or_else(damaged)?;
                found.push(VoidCommit { place: Place { space: *id, plane, writer: *writer, sequence }, reason, why });
            }
        }
    }
    Ok(found)
}
