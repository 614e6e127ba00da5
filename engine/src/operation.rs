//! Operations: what a commit does to documents. `docs/spec/fold.md` says how they fold into state.

mod codec;

pub use codec::{
    CommitWriter, MAX_CHANGE_BYTES, MAX_COMMIT_BYTES, MAX_FIELD_WRITES, MAX_FIELDS, MAX_NAME_BYTES, MAX_OPERATIONS,
    OperationError, StreamError, VERSION, decode_commit, encode_commit,
};

use crate::id::DocumentId;
use crate::space::Rank;
use crate::value::Value;

/// Collections whose name starts so are the database's own.
pub const RESERVED_PREFIX: char = '$';

/// How a cell merges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum FieldKind {
    /// A write supersedes what it saw; concurrent values stay as siblings.
    Register = 0,
    /// Increments and decrements add up.
    Counter = 1,
    /// Add wins over a concurrent remove.
    Set = 2,
    /// Character-level merge.
    Text = 3,
    /// Nested maps and lists merge.
    Json = 4,
}

impl FieldKind {
    /// All kinds with their names.
    const NAMES: [(Self, &'static str); 5] = [
        (Self::Register, "register"),
        (Self::Counter, "counter"),
        (Self::Set, "set"),
        (Self::Text, "text"),
        (Self::Json, "json"),
    ];

    /// The kind's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize].1
    }

    /// The kind with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, known)| *known == name).map(|(kind, _)| *kind)
    }
}

impl FieldKind {
    /// The kind that encodes as `tag`.
    #[must_use]
    pub fn from_tag(tag: u8) -> Option<Self> {
        [Self::Register, Self::Counter, Self::Set, Self::Text, Self::Json].into_iter().find(|kind| *kind as u8 == tag)
    }
}

/// One step of a commit: something done to one document.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// The collection's name.
    pub collection: String,
    /// The document.
    pub id: DocumentId,
    /// The generation it acts on, from 1.
    pub generation: u64,
    /// What it does.
    pub action: Action,
}

impl Operation {
    /// The least rank that its author needs in the space.
    #[must_use]
    pub fn least_rank(&self) -> Rank {
        if self.collection.starts_with(RESERVED_PREFIX) { Rank::Admin } else { Rank::Writer }
    }
}

/// What an operation does to its document. Its writes go to different cells: no field twice with the same kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Opens the generation and writes fields.
    Insert(Vec<(String, FieldOp)>),
    /// Writes fields.
    Edit(Vec<(String, FieldOp)>),
    /// Closes the generation for ever.
    Delete,
    /// Opens the generation as the continuation of a closed one.
    Restore {
        /// The generation whose content goes on.
        continues: u64,
    },
}

/// What is done to one cell.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldOp {
    /// Register: replaces every value seen.
    Set(Value),
    /// Register: removes every value seen.
    Clear,
    /// Counter: adds.
    Add(i64),
    /// Set: adds these values. They ascend by the total order and differ: see [`FieldOp::include`]. None: the set is
    /// there, and shows as empty.
    Include(Vec<Value>),
    /// Set: removes these values as far as they were seen. They ascend and differ: see [`FieldOp::exclude`].
    Exclude(Vec<Value>),
    /// Text: one automerge change, uncompressed.
    Text(Vec<u8>),
    /// Json: one automerge change, uncompressed.
    Json(Vec<u8>),
}

impl FieldOp {
    /// Adds values to a set, in any order; of equal ones the first is taken.
    #[must_use]
    pub fn include(values: Vec<Value>) -> Self {
        Self::Include(distinct(values))
    }

    /// Removes values from a set, in any order.
    #[must_use]
    pub fn exclude(values: Vec<Value>) -> Self {
        Self::Exclude(distinct(values))
    }

    /// The kind of cell it acts on.
    #[must_use]
    pub fn kind(&self) -> FieldKind {
        match self {
            Self::Set(_) | Self::Clear => FieldKind::Register,
            Self::Add(_) => FieldKind::Counter,
            Self::Include(_) | Self::Exclude(_) => FieldKind::Set,
            Self::Text(_) => FieldKind::Text,
            Self::Json(_) => FieldKind::Json,
        }
    }
}

fn distinct(mut values: Vec<Value>) -> Vec<Value> {
    values.sort_by(Value::total_cmp);
    values.dedup_by(|later, earlier| later.equals(earlier));
    values
}
