//! Runs: a commit cut into entries, checked by its headers, and joined again. See `docs/spec/log.md`, *Runs*.

use super::Plane;
use super::header::{Header, MOVED_LOGS_MAX, Moved};
use super::seal::CHUNK_BYTES_MAX;
use super::vector::{Prefix, VersionVector};
use crate::id::{EpochId, WriterId};

/// The largest commit of the data plane, in bytes of operations.
pub const COMMIT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The largest commit of the control plane, in bytes.
pub const CONTROL_COMMIT_BYTES_MAX: usize = 64 * 1024;
/// The most entries of one run.
pub const RUN_ENTRIES_MAX: usize = 1024;
/// The most bytes that the bodies of a run of the data plane have together.
pub const RUN_BODIES_BYTES_MAX: u64 = 20 * 1024 * 1024;
/// The most bytes that the bodies of a run of the control plane have together.
pub const CONTROL_RUN_BODIES_BYTES_MAX: u64 = 128 * 1024;

/// Why entries are not a run, or a commit does not become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The commit has too many bytes.
    #[error("a commit of {length} bytes, at most {limit} are allowed; split the transaction")]
    CommitTooLarge {
        /// Its bytes, as far as they were counted.
        length: usize,
        /// The limit of the plane.
        limit: usize,
    },
    /// The run has more than [`RUN_ENTRIES_MAX`] entries: too many logs moved since the writer's previous entry.
    #[error("a commit of more than {RUN_ENTRIES_MAX} entries; commit the moved logs in parts before")]
    TooManyEntries,
    /// The bodies of the run are larger than any commit within the limits needs.
    #[error("the bodies of one commit exceed {limit} bytes")]
    BodiesTooLarge {
        /// The limit of the plane.
        limit: u64,
    },
    /// A commit begins inside another, or goes on without having begun.
    #[error("the first and last flags do not make a run")]
    Flags,
    /// The entries of one commit differ in timestamp or epoch.
    #[error("the entries of one commit differ in timestamp or epoch")]
    Mixed,
}

/// How many bytes a commit of the plane may have.
#[must_use]
pub fn commit_bytes_max(plane: Plane) -> usize {
    match plane {
        Plane::Control => CONTROL_COMMIT_BYTES_MAX,
        Plane::Data => COMMIT_BYTES_MAX,
    }
}

fn bodies_bytes_max(plane: Plane) -> u64 {
    match plane {
        Plane::Control => CONTROL_RUN_BODIES_BYTES_MAX,
        Plane::Data => RUN_BODIES_BYTES_MAX,
    }
}

/// What one entry of a commit carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part<'a> {
    /// Whether the commit begins here.
    pub first: bool,
    /// Whether the commit ends here.
    pub last: bool,
    /// The entry's share of the dependencies.
    pub dependencies: Moved,
    /// The entry's share of the control delta.
    pub control: Moved,
    /// The entry's share of the commit's bytes.
    pub chunk: &'a [u8],
}

/// Cuts a commit into entries: full chunks and a rest, and the lists spread from the first entry on.
///
/// `dependencies` and `control` are what moved since the writer's previous entry. A commit without bytes is one entry with
/// an empty chunk, or as many as the lists need.
///
/// # Errors
/// [`RunError::CommitTooLarge`], and [`RunError::TooManyEntries`] when more than 262,144 logs moved: write commits without
/// bytes, each with a part of them, before this one.
pub fn cut<'a>(
    plane: Plane,
    commit: &'a [u8],
    dependencies: &VersionVector,
    control: &VersionVector,
) -> Result<Vec<Part<'a>>, RunError> {
    let limit = commit_bytes_max(plane);
    if commit.len() > limit {
        return Err(RunError::CommitTooLarge { length: commit.len(), limit });
    }
    let entries_for = |moved: &VersionVector| moved.writers().div_ceil(MOVED_LOGS_MAX);
    let chunks = commit.len().div_ceil(CHUNK_BYTES_MAX);
    let entries = chunks.max(entries_for(dependencies)).max(entries_for(control)).max(1);
    if entries > RUN_ENTRIES_MAX {
        return Err(RunError::TooManyEntries);
    }
    let mut chunks = commit.chunks(CHUNK_BYTES_MAX);
    let mut dependencies = dependencies.iter().map(|(writer, prefix)| (*writer, *prefix));
    let mut control = control.iter().map(|(writer, prefix)| (*writer, *prefix));
    let share = |list: &mut dyn Iterator<Item = (WriterId, Prefix)>| list.take(MOVED_LOGS_MAX).collect();
    let part = |number: usize| Part {
        first: number == 0,
        last: number + 1 == entries,
        dependencies: share(&mut dependencies),
        control: share(&mut control),
        chunk: chunks.next().unwrap_or_default(),
    };
    Ok((0..entries).map(part).collect())
}

/// Checks, by headers alone, that the entries of one log make runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunCheck {
    plane: Plane,
    open: Option<OpenRun>,
}

/// A run that has begun and not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenRun {
    /// The timestamp of all its entries.
    pub timestamp_ms: i64,
    /// The epoch of all its entries.
    pub epoch: EpochId,
    /// How many entries it has so far.
    pub entries: u32,
    /// How many bytes their bodies have together.
    pub bodies_bytes: u64,
}

impl RunCheck {
    /// Starts between two runs, as every log does.
    #[must_use]
    pub fn new(plane: Plane) -> Self {
        Self { plane, open: None }
    }

    /// Starts inside a run.
    #[must_use]
    pub fn resume(plane: Plane, open: OpenRun) -> Self {
        Self { plane, open: Some(open) }
    }

    /// The run that has begun and not ended, if any.
    #[must_use]
    pub fn open(&self) -> Option<&OpenRun> {
        self.open.as_ref()
    }

    /// Takes the next header of the log. True when it ends its run.
    ///
    /// # Errors
    /// [`RunError`], when the entry may not stand here; the check is then as before.
    pub fn accept(&mut self, header: &Header) -> Result<bool, RunError> {
        let run = match self.open {
            None if header.first => {
                OpenRun { timestamp_ms: header.timestamp_ms, epoch: header.epoch, entries: 0, bodies_bytes: 0 }
            }
            Some(run) if !header.first => run,
            _ => return Err(RunError::Flags),
        };
        if (run.timestamp_ms, run.epoch) != (header.timestamp_ms, header.epoch) {
            return Err(RunError::Mixed);
        }
        let entries = run.entries.saturating_add(1);
        if entries as usize > RUN_ENTRIES_MAX {
            return Err(RunError::TooManyEntries);
        }
        let bodies_bytes = run.bodies_bytes.saturating_add(u64::from(header.body_length));
        let limit = bodies_bytes_max(self.plane);
        if bodies_bytes > limit {
            return Err(RunError::BodiesTooLarge { limit });
        }
        self.open = (!header.last).then_some(OpenRun { entries, bodies_bytes, ..run });
        Ok(header.last)
    }
}

/// Joins the chunks of a run, opened, into the commit's bytes.
///
/// # Errors
/// [`RunError::CommitTooLarge`]: the author is at fault, and the commit has no effect anywhere.
pub fn join<I>(plane: Plane, chunks: I) -> Result<Vec<u8>, RunError>
where
    I: IntoIterator<Item = Vec<u8>>,
{
    let limit = commit_bytes_max(plane);
    let mut commit = Vec::new();
    for chunk in chunks {
        let length = commit.len() + chunk.len();
        if length > limit {
            return Err(RunError::CommitTooLarge { length, limit });
        }
        if commit.is_empty() {
            commit = chunk;
        } else {
            commit.extend_from_slice(&chunk);
        }
    }
    Ok(commit)
}

#[cfg(test)]
mod tests;
