//! Writing documents.

use super::{ReadError, WriteError};
use crate::document::Document;
use crate::id::{DocumentId, SpaceId};
use crate::query::{Found, Query};
use crate::schema::Schema;
use crate::value::{Fields, Value};

/// One transaction being built. It reads its own writes.
#[derive(Debug)]
pub struct Transaction<'store> {
    _store: &'store (),
}

/// A change to one field.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Edit {
    /// Writes the field: a register's value; a counter, set, text or json field moves to this value by the smallest edit.
    Set(Value),
    /// Removes the field.
    Clear,
    /// Counter: adds (a register that holds nothing becomes a counter).
    Increment(i64),
    /// Set: adds elements.
    Add(Vec<Value>),
    /// Set: removes elements.
    Remove(Vec<Value>),
    /// Text: at Unicode scalar position `at` removes `delete` scalars and inserts `insert`.
    Splice {
        /// Where, in Unicode scalar values.
        at: usize,
        /// How many scalars go.
        delete: usize,
        /// What comes.
        insert: String,
    },
    /// Json: writes the value at a path, making objects on the way. The empty path replaces all.
    Put {
        /// Where.
        path: Vec<PathSegment>,
        /// What.
        value: Value,
    },
    /// Json: inserts into a list before the index that ends the path.
    Insert {
        /// Where; the last segment is an index.
        path: Vec<PathSegment>,
        /// What.
        value: Value,
    },
    /// Json: removes what is at a path.
    Cut {
        /// Where.
        path: Vec<PathSegment>,
    },
}

/// One step into a json field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathSegment {
    /// A key of an object.
    Key(String),
    /// A position in a list, from 0.
    Index(usize),
}

impl Transaction<'_> {
    /// Writes go to `space` from here on, instead of home. Refused once another space was written.
    pub fn in_space(&mut self, _space: SpaceId) -> Result<(), WriteError> {
        todo!()
    }

    /// The document in the transaction's space, own writes included.
    pub fn get(&mut self, _collection: &str, _id: &str) -> Result<Option<Document>, ReadError> {
        todo!()
    }

    /// Plans and runs a query over the transaction's space, own writes included.
    pub fn find(&mut self, _query: &Query) -> Result<Found, ReadError> {
        todo!()
    }

    /// Inserts a document; without an id it gets a time-ordered one. The schema's kinds decide what a field becomes; undeclared fields are registers.
    pub fn insert(&mut self, _collection: &str, _id: Option<&str>, _fields: Fields) -> Result<DocumentId, WriteError> {
        todo!()
    }

    /// Changes fields of an existing document.
    pub fn update(&mut self, _collection: &str, _id: &str, _edits: Vec<(String, Edit)>) -> Result<(), WriteError> {
        todo!()
    }

    /// Inserts the document, or sets the given fields of the existing one. True: inserted.
    pub fn upsert(&mut self, _collection: &str, _id: &str, _fields: Fields) -> Result<bool, WriteError> {
        todo!()
    }

    /// Deletes a document. False: there was none.
    pub fn delete(&mut self, _collection: &str, _id: &str) -> Result<bool, WriteError> {
        todo!()
    }

    /// Brings the last closed generation of a deleted document back, with edits that the delete did not see.
    pub fn restore(&mut self, _collection: &str, _id: &str) -> Result<(), WriteError> {
        todo!()
    }

    /// Declares a collection's schema in the transaction's space. Needs rank admin.
    pub fn set_schema(&mut self, _collection: &str, _schema: &Schema) -> Result<(), WriteError> {
        todo!()
    }
}
