//! Consistent reads.

use super::ReadError;
use crate::document::{Conflict, Document};
use crate::id::{DocumentId, SpaceId};
use crate::query::{Found, Query};
use crate::schema::Schema;

/// All documents as of one moment. Readers never block and are never blocked.
#[derive(Debug)]
pub struct Snapshot {}

impl Snapshot {
    /// The document, from `space`, or without one from home first and then from whichever space has it.
    pub fn get(&self, _space: Option<&SpaceId>, _collection: &str, _id: &str) -> Result<Option<Document>, ReadError> {
        todo!()
    }

    /// Plans and runs a query.
    pub fn find(&self, _query: &Query) -> Result<Found, ReadError> {
        todo!()
    }

    /// What people should look at in a document, closed generations included.
    pub fn conflicts(
        &self,
        _space: Option<&SpaceId>,
        _collection: &str,
        _id: &DocumentId,
    ) -> Result<Vec<Conflict>, ReadError> {
        todo!()
    }

    /// The collections with documents or a schema, by name; the database's own (`$…`) not included.
    pub fn collections(&self) -> Result<Vec<String>, ReadError> {
        todo!()
    }

    /// The schema of a collection in a space.
    pub fn schema(&self, _space: &SpaceId, _collection: &str) -> Result<Option<Schema>, ReadError> {
        todo!()
    }

    /// How many live documents, commits and bytes a space has.
    pub fn report(&self, _space: &SpaceId) -> Result<SpaceReport, ReadError> {
        todo!()
    }
}

/// Counts of a space.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SpaceReport {
    /// Live documents by collection.
    pub documents: Vec<(String, u64)>,
    /// Entries in all logs.
    pub entries: u64,
    /// Entries that wait for a dependency or a key.
    pub parked: u64,
    /// Entries that lack authority or are malformed.
    pub void: u64,
}

/// What `verify` found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VerifyReport {
    /// Entries checked.
    pub entries: u64,
    /// Documents checked.
    pub documents: u64,
    /// Index entries checked.
    pub index_entries: u64,
    /// What is wrong, for people; empty when all is well.
    pub problems: Vec<String>,
}
