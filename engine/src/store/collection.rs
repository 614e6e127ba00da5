//! One collection at hand: the common operations without writing a transaction or a query.

use super::{Durability, Edit, ReadError, Store, Transaction, TransactionError, Watch, WriteError};
use crate::document::Document;
use crate::id::{DocumentId, SpaceId};
use crate::query::{Filter, Found, Query};
use crate::value::Fields;

/// A collection of a store, in all its spaces or in one. Every write is a transaction of its own; for several that belong
/// together, use [`Store::transaction`].
#[derive(Debug, Clone)]
pub struct Collection {
    store: Store,
    name: String,
    space: Option<SpaceId>,
}

impl Store {
    /// The collection of that name: reads see all spaces, writes go to the home space. It need not exist.
    #[must_use]
    pub fn collection(&self, name: impl Into<String>) -> Collection {
        Collection { store: self.clone(), name: name.into(), space: None }
    }
}

impl Collection {
    /// The same collection in one space only.
    #[must_use]
    pub fn in_space(self, space: SpaceId) -> Self {
        Self { space: Some(space), ..self }
    }

    /// The collection's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A query for all of its documents, by id: narrow it with [`Query::filter`], and run it with [`Collection::find`].
    #[must_use]
    pub fn query(&self) -> Query {
        Query { spaces: self.space.map(|space| vec![space]), ..Query::all(self.name.as_str()) }
    }

    /// Inserts a document under a new, time-ordered id.
    ///
    /// # Errors
    /// As [`Transaction::insert`].
    pub fn insert(&self, fields: Fields) -> Result<DocumentId, WriteError> {
        self.write(|transaction| transaction.insert(&self.name, None, fields))
    }

    /// Inserts a document under an id of one's own choice.
    ///
    /// # Errors
    /// As [`Transaction::insert`]: [`WriteError::Exists`] when there is one.
    pub fn insert_as(&self, id: &str, fields: Fields) -> Result<DocumentId, WriteError> {
        self.write(|transaction| transaction.insert(&self.name, Some(id), fields))
    }

    /// Changes fields of a document.
    ///
    /// # Errors
    /// As [`Transaction::update`]: [`WriteError::Missing`] when there is none.
    pub fn update(&self, id: &str, edits: impl IntoIterator<Item = (&'static str, Edit)>) -> Result<(), WriteError> {
        let edits = edits.into_iter().map(|(field, edit)| (field.to_owned(), edit)).collect();
        self.write(|transaction| transaction.update(&self.name, id, edits))
    }

    /// Inserts a document, or sets the given fields of the existing one. True: inserted.
    ///
    /// # Errors
    /// As [`Transaction::upsert`].
    pub fn upsert(&self, id: &str, fields: Fields) -> Result<bool, WriteError> {
        self.write(|transaction| transaction.upsert(&self.name, id, fields))
    }

    /// Deletes a document. False: there was none.
    ///
    /// # Errors
    /// As [`Transaction::delete`].
    pub fn delete(&self, id: &str) -> Result<bool, WriteError> {
        self.write(|transaction| transaction.delete(&self.name, id))
    }

    /// Reads a document.
    ///
    /// # Errors
    /// As [`super::Snapshot::get`].
    pub fn get(&self, id: &str) -> Result<Option<Document>, ReadError> {
        self.store.snapshot()?.get(self.space.as_ref(), &self.name, id)
    }

    /// Runs a query, which [`Collection::query`] began.
    ///
    /// # Errors
    /// As [`super::Snapshot::find`].
    pub fn find(&self, query: &Query) -> Result<Found, ReadError> {
        self.store.snapshot()?.find(query)
    }

    /// Follows the documents that match: what comes, changes and goes, here or from other devices.
    ///
    /// # Errors
    /// [`ReadError::Query`] for a filter that is not valid.
    pub fn watch(&self, filter: Filter) -> Result<Watch, ReadError> {
        self.store.watch(self.query().filter(filter))
    }

    fn write<T>(&self, body: impl FnOnce(&mut Transaction<'_>) -> Result<T, WriteError>) -> Result<T, WriteError> {
        let written = self.store.transaction(Durability::Local, |transaction| {
            self.space.map_or(Ok(()), |space| transaction.in_space(space))?;
            body(transaction)
        });
        written.map_err(|error| match error {
            TransactionError::Aborted(error) | TransactionError::Write(error) => error,
        })
    }
}
