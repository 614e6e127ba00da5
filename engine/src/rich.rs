//! Text and json cells: automerge behind a gate of pure checks.
//!
//! A cell is one automerge document per (document, generation, field, kind). Operations carry one uncompressed
//! automerge change each. What is not an honest writer's change never reaches automerge: [`gate`] decides that alike on
//! every replica, from the bytes and the cell's history alone. A panic inside automerge is contained and makes the cell
//! unavailable *here*; it never decides what is valid. `docs/spec/rich.md` is the specification.

pub mod cache;
pub mod cell;
pub mod change;
pub mod columns;
mod contain;
mod content;
pub mod document;
mod first;
pub mod gate;
pub mod genesis;
mod json;
pub mod operations;
mod render;
pub mod rows;
mod run;
#[cfg(test)]
mod tests;
mod text;

pub use cache::Cache;
pub use cell::{CellName, actor_id};
pub use document::{Generation, Made, RichCell, Step};
pub use rows::{Rows, RowsMut, State, Version};

use crate::store::error::{ReadError, WriteError};

/// The longest change, in bytes.
pub const MAX_CHANGE_BYTES: usize = 4 << 20;
/// The most operations in one change of a text: one is an inserted or deleted scalar value.
pub const MAX_TEXT_OPERATIONS: u64 = 4 << 20;
/// The most operations in one change of a json value.
pub const MAX_JSON_OPERATIONS: u64 = 1 << 18;
/// The largest operation counter of a cell, so the most operations on its longest causal chain.
pub const MAX_COUNTER: u64 = 1 << 31;
/// The most operations that a cell may hold to be loaded here. A larger one is kept, sent and unavailable.
pub const MAX_LOADED_OPERATIONS: u64 = 1 << 26;

/// Why a text or json cell could not be read or edited.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RichError {
    /// A stored row could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A row could not be stored.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The cell can't be loaded or changed by this software. Its operations are kept; an upgrade may help.
    #[error("unavailable: {why}")]
    Unavailable {
        /// What happened.
        why: String,
    },
    /// The edit does not fit what the cell holds. The cell is unchanged by it.
    #[error("{why}")]
    Edit {
        /// What does not fit.
        why: String,
    },
    /// The transaction's edits of this cell are too many for one change; commit in smaller steps.
    #[error("{what} is {size}, at most {limit} is allowed; split the transaction")]
    TooLarge {
        /// What.
        what: &'static str,
        /// How large it is.
        size: u64,
        /// The limit.
        limit: u64,
    },
}
