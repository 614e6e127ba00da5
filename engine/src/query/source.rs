//! What queries run over: a snapshot, a transaction with uncommitted changes, or memory in tests.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

use crate::document::Document;
use crate::id::SpaceId;
use crate::schema::Index;
use crate::store::ReadError;
use crate::value::Value;

/// Documents and index rows, as of one moment.
///
/// [`Source::scan`], [`Source::lookup`] and [`Source::index_scan`] read what is stored; whatever the running transaction
/// changed is given by [`Source::overlay`] alone, and the executor lays it over what they visit.
///
/// An index row is the index key (see [`super::key::index_entries`] and [`super::key::unknown_entry`]) followed by the bytes of the document's id. Index keys are
/// self-delimiting, so the byte order of rows is the order of keys, then ids. To tell where the key ends, a source
/// stores the key's length with the row.
pub trait Source {
    /// The spaces to read, each once: `named` if given, else every space that may hold documents of the collection.
    ///
    /// # Errors
    /// [`ReadError::UnknownSpace`] when a named space is not there.
    fn spaces(&self, collection: &str, named: Option<&[SpaceId]>) -> Result<Vec<SpaceId>, ReadError>;

    /// The indexes of a collection by name. A collection without a schema has none.
    ///
    /// # Errors
    /// As the storage fails.
    fn indexes(&self, place: Place<'_>) -> Result<BTreeMap<String, Index>, ReadError>;

    /// Visits the stored documents of a range of ids in the byte order of their ids, or backwards, until the visitor breaks.
    ///
    /// # Errors
    /// The visitor's, or as the storage fails.
    fn scan(
        &self,
        place: Place<'_>,
        ids: (Bound<&str>, Bound<&str>),
        descending: bool,
        reading: &Reading<'_>,
        visit: &mut Visit<'_>,
    ) -> Result<(), ReadError>;

    /// Visits one stored document, if it is there and alive.
    ///
    /// # Errors
    /// The visitor's, or as the storage fails.
    fn lookup(&self, place: Place<'_>, id: &str, reading: &Reading<'_>, visit: &mut Visit<'_>)
    -> Result<(), ReadError>;

    /// Visits the stored rows of an index in byte order, or backwards, until the visitor breaks. The bounds are over rows.
    ///
    /// # Errors
    /// The visitor's, or as the storage fails.
    fn index_scan(
        &self,
        place: Place<'_>,
        index: &str,
        rows: (Bound<&[u8]>, Bound<&[u8]>),
        descending: bool,
        visit: &mut VisitRow<'_>,
    ) -> Result<(), ReadError>;

    /// What the running transaction changed in a collection of a space; `None` when there is no transaction, or it changed nothing there.
    ///
    /// # Errors
    /// As the storage fails.
    fn overlay(&self, _place: Place<'_>) -> Result<Option<Cow<'_, Overlay>>, ReadError> {
        Ok(None)
    }
}

/// A collection in a space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// The collection's name.
    pub collection: &'a str,
    /// The space.
    pub space: &'a SpaceId,
}

/// What will be read of each document, said once so that a source can look names up once.
#[derive(Debug, Clone, Copy)]
pub struct Reading<'a> {
    /// The top-level fields that [`Candidate::field`] is asked for, by their position here.
    pub fields: &'a [String],
    /// The top-level fields that [`Candidate::document`] gives; `None`: all.
    pub select: Option<&'a [String]>,
}

/// A document that may match, decoded only as far as it is asked.
pub trait Candidate {
    /// The document's id.
    fn id(&self) -> &str;

    /// The shown value of the field at `position` in [`Reading::fields`]; `None` when the document has no such field.
    ///
    /// # Errors
    /// [`ReadError::FieldUnavailable`], or [`ReadError::Damaged`].
    fn field(&self, position: usize) -> Result<Option<Cow<'_, Value>>, ReadError>;

    /// The document with the fields that [`Reading::select`] names.
    ///
    /// # Errors
    /// [`ReadError::FieldUnavailable`], or [`ReadError::Damaged`].
    fn document(&self) -> Result<Document, ReadError>;
}

/// Whether to go on.
pub type Flow = Result<ControlFlow<()>, ReadError>;

/// Receives candidates.
pub type Visit<'v> = dyn FnMut(&dyn Candidate) -> Flow + 'v;

/// Receives index rows: the index key, and the document's id.
pub type VisitRow<'v> = dyn FnMut(&[u8], &str) -> Flow + 'v;

/// Documents that the running transaction changed, with all their fields, by id; `None`: deleted.
pub type Overlay = BTreeMap<String, Option<Document>>;
