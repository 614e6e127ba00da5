//! Documents as a reader sees them.

pub(crate) mod fold;
pub(crate) mod held;
mod json;
pub mod policy;
pub(crate) mod record;
pub(crate) mod state;
pub(crate) mod view;

pub use policy::ConflictPolicy;

use crate::id::{CommitId, ConflictVersion, DocumentId, SpaceId, WriterId};
use crate::operation::FieldKind;
use crate::value::{Fields, Value};

/// A live document.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// The space it lives in.
    pub space: SpaceId,
    /// Its collection's name.
    pub collection: String,
    /// Its id, unique in space and collection.
    pub id: DocumentId,
    /// Which life it is in, from 1: deleting and inserting again opens the next.
    pub generation: u64,
    /// The fields. A counter shows as an int, a set as a list in order, text as a string, json as object or list.
    pub fields: Fields,
    /// Whether any field has siblings, another kind, or edits that a delete did not see. See `Snapshot::conflicts`.
    pub conflicted: bool,
}

/// One thing about a document that people should look at.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Conflict {
    /// Concurrent writes left several values. `Transaction::resolve` settles it.
    Siblings {
        /// The field.
        field: String,
        /// Which value reads show.
        policy: ConflictPolicy,
        /// What reads show: the first of the values, or with [`ConflictPolicy::KeepAll`] a list of them all.
        shown: Value,
        /// The values, winner first.
        values: Vec<Sibling>,
        /// These values: who resolves the conflict names it, so that nobody drops a value unseen.
        version: ConflictVersion,
    },
    /// The field was written as another kind; that cell is kept but not shown. Any write of the field that has seen it settles it.
    Kind {
        /// The field.
        field: String,
        /// The kind that reads show.
        shown: FieldKind,
        /// The kind that is hidden.
        hidden: FieldKind,
        /// What the hidden cell holds.
        value: Value,
    },
    /// An edit that a concurrent delete did not see, kept in the closed generation. `Transaction::restore` brings it back.
    EditedWhileDeleted {
        /// The closed generation.
        generation: u64,
        /// The field.
        field: String,
        /// What the field holds there.
        value: Value,
    },
}

/// One of several concurrent values of a register.
#[derive(Debug, Clone, PartialEq)]
pub struct Sibling {
    /// The commit that it is from.
    pub commit: CommitId,
    /// The value.
    pub value: Value,
    /// Who wrote it.
    pub writer: WriterId,
    /// When, by the writer's own clock: milliseconds since 1970 UTC. For display only.
    pub timestamp_ms: i64,
}

/// A document with conflicts, alive or not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConflictedDocument {
    /// Its space.
    pub space: SpaceId,
    /// Its collection.
    pub collection: String,
    /// Its id.
    pub id: DocumentId,
}
