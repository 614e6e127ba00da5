//! The gate: which changes of others are well-formed, decided alike on every replica.
//!
//! What a change may be is decided from its bytes, from the well-formed changes of its cell, and from the causal past of
//! the commit that it came in. Neither arrival order nor automerge has a say.

mod earlier;
mod json;
mod past;
mod text;

use automerge::{ActorId, ChangeHash};

use super::cell::{CellName, actor_id};
use super::change::{Frame, FrameError, Summary};
use super::document::Generation;
use super::operations::{INSERT, OperationError, Operations};
use super::rows::{self, Entry};
use super::{MAX_COUNTER, MAX_JSON_OPERATIONS, MAX_TEXT_OPERATIONS};
use crate::id::WriterId;
use crate::operation::FieldKind;
use crate::store::error::ReadError;
use past::Past;

/// The commit that a change came in.
#[derive(Clone, Copy)]
pub struct Origin<'a> {
    /// Who committed.
    pub writer: &'a WriterId,
    /// Whether the commit `(writer, sequence of its first entry)` lies in this commit's causal past. It is not asked
    /// about the writer's own commits: the earlier ones always do.
    pub past: &'a dyn Fn(&WriterId, u64) -> bool,
}

/// Why a change is malformed, and the commit it came in with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// Not the frame of one uncompressed change.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A time, a message or bytes after the columns.
    #[error("a change carries no time, no message and no further bytes")]
    Extras,
    /// The actor is not the one derived from the writer and the cell.
    #[error("the actor is not the writer's")]
    ForeignActor,
    /// Not the actor's next change.
    #[error("the actor's change {found}, where {expected} is next")]
    Seq {
        /// The next.
        expected: u64,
        /// The change's.
        found: u64,
    },
    /// The dependencies are none, or not in ascending order.
    #[error("the dependencies are none, or not in ascending order")]
    DepsOrder,
    /// The actor's previous change is not a dependency.
    #[error("the actor's previous change is not a dependency")]
    DepsWithoutPrevious,
    /// A dependency that is no well-formed change of the cell.
    #[error("depends on {0}, which is no change of this field")]
    UnknownDep(ChangeHash),
    /// A dependency that the commit had not seen.
    #[error("depends on {0}, which the commit had not seen")]
    UnseenDep(ChangeHash),
    /// The first counter is not one more than the largest of the dependencies.
    #[error("starts at operation {found} instead of {expected}")]
    StartOp {
        /// The only right one.
        expected: u64,
        /// The change's.
        found: u64,
    },
    /// The counters end beyond [`MAX_COUNTER`].
    #[error("the operation counters end beyond {MAX_COUNTER}")]
    Counter,
    /// The operations do not decode to what these cells have.
    #[error(transparent)]
    Operation(#[from] OperationError),
    /// An operation names an object, element or predecessor that is not in its past, or not of the right sort.
    #[error("operation {operation}: {why}")]
    Reference {
        /// Which, from 0.
        operation: u64,
        /// What is wrong.
        why: &'static str,
    },
}

/// How a check ends early.
#[derive(Debug)]
enum Stop {
    Malformed(Malformed),
    Read(ReadError),
}

impl<E: Into<Malformed>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Malformed(error.into())
    }
}

/// Decides about `bytes`, a change of the cell `name` that came in `origin`.
///
/// `generations` are the rows of the same field and kind in every generation of the document up to the cell's own,
/// oldest first, the cell's own last. Every commit in the causal past must be in the rows.
///
/// # Errors
/// As the storage. Whether the change is well-formed is the inner result.
pub fn check(
    name: &CellName,
    generations: &[Generation<'_>],
    origin: Origin<'_>,
    bytes: &[u8],
) -> Result<Result<Summary, Malformed>, ReadError> {
    match decide(name, generations, origin, bytes) {
        Ok(summary) => Ok(Ok(summary)),
        Err(Stop::Malformed(malformed)) => Ok(Err(malformed)),
        Err(Stop::Read(error)) => Err(error),
    }
}

fn decide(name: &CellName, generations: &[Generation<'_>], origin: Origin<'_>, bytes: &[u8]) -> Result<Summary, Stop> {
    let frame = Frame::parse(bytes)?;
    if frame.time != 0 || !frame.message.is_empty() || !frame.extra.is_empty() {
        return Err(Malformed::Extras.into());
    }
    if frame.actor != actor_id(name, origin.writer) {
        return Err(Malformed::ForeignActor.into());
    }
    if frame.deps.is_empty() || !frame.deps.is_sorted_by(|a, b| a < b) {
        return Err(Malformed::DepsOrder.into());
    }
    let previous = previous(generations, &frame.actor).map_err(Stop::Read)?;
    let expected = previous.as_ref().map_or(1, |entry| entry.seq + 1);
    if frame.seq != expected {
        return Err(Malformed::Seq { expected, found: frame.seq }.into());
    }
    if previous.is_some_and(|previous| !frame.deps.contains(&previous.hash)) {
        return Err(Malformed::DepsWithoutPrevious.into());
    }
    let mut past = Past::new(name.kind, generations, origin, &frame);
    let mut top = 0;
    for dep in &frame.deps {
        top = top.max(past.max_op(dep)?);
    }
    if frame.start_op != top + 1 {
        return Err(Malformed::StartOp { expected: top + 1, found: frame.start_op }.into());
    }
    let (operations, inserts) = match name.kind {
        FieldKind::Text => {
            let operations = Operations::new(&frame, MAX_TEXT_OPERATIONS)?;
            (text::check(operations, &mut past)?, frame.column(INSERT).unwrap_or_default().to_vec())
        }
        _ => (json::check(Operations::new(&frame, MAX_JSON_OPERATIONS)?, &mut past)?, Vec::new()),
    };
    let max_op = top + operations;
    if max_op > MAX_COUNTER {
        return Err(Malformed::Counter.into());
    }
    let reaches = past.reaches();
    Ok(Summary {
        hash: frame.hash,
        actor: frame.actor,
        seq: frame.seq,
        start_op: frame.start_op,
        max_op,
        deps: frame.deps,
        reaches,
        inserts,
    })
}

/// The actor's last change. It is in the cell's own generation, since actors bind the generation.
fn previous(generations: &[Generation<'_>], actor: &ActorId) -> Result<Option<Entry>, ReadError> {
    generations.last().map_or(Ok(None), |own| {
        let slot = rows::slot(own.rows, actor)?;
        slot.map_or(Ok(None), |slot| rows::last_of(own.rows, slot, u64::MAX))
    })
}
