//! Consistent reads.

use std::sync::Arc;

use super::records::{document_key, load_state, schema_of};
use super::source::View;
use super::tables::ReadTables;
use super::{Inner, Published, ReadError};
use crate::document::Document;
use crate::document::state::DocumentState;
use crate::id::{DocumentId, SpaceId};
use crate::log::Plane;
use crate::query::{Delta, Found, LiveError, LiveQuery, Plan, Query};
use crate::schema::Schema;

/// All documents as of one moment. Readers never block and are never blocked.
#[derive(Clone)]
pub struct Snapshot {
    published: Arc<Published>,
    cells: Arc<crate::rich::Cache>,
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Snapshot")
    }
}

impl Snapshot {
    pub(super) fn new(inner: &Inner) -> Self {
        Self { published: inner.published(), cells: inner.cells.clone() }
    }

    pub(super) fn view(&self) -> View<'_, ReadTables> {
        View {
            tables: &self.published.tables,
            state: &self.published.state,
            cells: &self.cells,
            overlay: None,
            committed: true,
        }
    }

    /// The document, from `space`, or without one from home first and then from whichever space has it.
    ///
    /// # Errors
    /// [`ReadError::Ambiguous`] when no space is named and several have it, home not among them;
    /// [`ReadError::UnknownSpace`], [`ReadError::FieldUnavailable`], [`ReadError::Damaged`], [`ReadError::Storage`].
    pub fn get(&self, space: Option<&SpaceId>, collection: &str, id: &str) -> Result<Option<Document>, ReadError> {
        let view = self.view();
        if let Some(space) = space {
            return view.stored(space, collection, id);
        }
        let home = view.state.home;
        if let Some(home) = home
            && let Some(document) = view.stored(&home, collection, id)?
        {
            return Ok(Some(document));
        }
        let mut alive = Vec::new();
        for space in view.state.spaces.keys().filter(|space| Some(**space) != home) {
            alive.extend(view.stored(space, collection, id)?);
        }
        if alive.len() > 1 {
            return Err(ambiguous(collection, id, alive.iter().map(|document| document.space)));
        }
        Ok(alive.pop())
    }

    /// Where a document is, and its state. A deleted document is found when no space has it alive.
    pub(super) fn locate(
        &self,
        space: Option<&SpaceId>,
        collection: &str,
        id: &str,
    ) -> Result<Option<(SpaceId, u32, DocumentState)>, ReadError> {
        let view = self.view();
        let Some(slot) = view.state.names.slot(collection) else {
            return space.map_or(Ok(None), |space| view.space(space).map(|_| None));
        };
        let state_in = |space: &SpaceId| -> Result<Option<DocumentState>, ReadError> {
            load_state(view.tables, &view.state.names, &document_key(slot, view.space(space)?.slot, id))
        };
        if let Some(space) = space {
            return Ok(state_in(space)?.map(|state| (*space, slot, state)));
        }
        let mut closed = None;
        let mut alive = Vec::new();
        let home = view.state.home;
        let others = view.state.spaces.keys().copied().filter(|space| Some(*space) != home);
        for space in home.into_iter().chain(others) {
            match state_in(&space)? {
                Some(state) if state.live_generation().is_some() => {
                    if Some(space) == home {
                        return Ok(Some((space, slot, state)));
                    }
                    alive.push((space, slot, state));
                }
                Some(state) => closed = closed.or(Some((space, slot, state))),
                None => {}
            }
        }
        if alive.len() > 1 {
            return Err(ambiguous(collection, id, alive.into_iter().map(|(space, _, _)| space)));
        }
        Ok(alive.pop().or(closed))
    }

    /// Plans and runs a query.
    ///
    /// # Errors
    /// [`ReadError::Query`] for a query that is not well-formed, and as [`Snapshot::get`].
    pub fn find(&self, query: &Query) -> Result<Found, ReadError> {
        crate::query::find(&self.view(), query)
    }

    /// How a query would be run, without running it.
    ///
    /// # Errors
    /// As [`Snapshot::find`].
    pub fn explain(&self, query: &Query) -> Result<Plan, ReadError> {
        crate::query::explain(&self.view(), query)
    }

    /// Brings a live query up to this moment, and says how its result differs from the one before: see [`LiveQuery::refresh`].
    ///
    /// # Errors
    /// [`LiveError`]; the last result stays.
    pub fn refresh(&self, live: &mut LiveQuery) -> Result<Vec<Delta>, LiveError> {
        live.refresh(&self.view())
    }

    /// The collections with documents or a schema, by name; the database's own (`$…`) not included.
    ///
    /// # Errors
    /// [`ReadError::Damaged`], [`ReadError::Storage`].
    pub fn collections(&self) -> Result<Vec<String>, ReadError> {
        Ok(self.view().collections())
    }

    /// The schema of a collection in a space.
    ///
    /// # Errors
    /// [`ReadError::UnknownSpace`].
    pub fn schema(&self, space: &SpaceId, collection: &str) -> Result<Option<Schema>, ReadError> {
        let view = self.view();
        let space = view.space(space)?;
        let slot = view.state.names.slot(collection);
        Ok(slot.and_then(|slot| schema_of(space, slot)).map(|declared| Schema::clone(&declared.schema)))
    }

    /// How many live documents, commits and bytes a space has.
    ///
    /// # Errors
    /// [`ReadError::UnknownSpace`].
    pub fn report(&self, space: &SpaceId) -> Result<SpaceReport, ReadError> {
        let view = self.view();
        let space = view.space(space)?;
        let entries = |plane| space.logs(plane).values().map(super::state::LogState::length).sum::<u64>();
        Ok(SpaceReport {
            documents: space
                .counts
                .iter()
                .map(|(slot, count)| (view.state.names.owned(*slot), *count))
                .filter(|(name, _)| !name.starts_with('$'))
                .collect(),
            entries: entries(Plane::Control) + entries(Plane::Data),
            parked: space.parked(Plane::Control).0 + space.parked(Plane::Data).0,
            void: space.voids,
        })
    }
}

fn ambiguous(collection: &str, id: &str, spaces: impl Iterator<Item = SpaceId>) -> ReadError {
    match DocumentId::new(id) {
        Ok(id) => ReadError::Ambiguous { collection: collection.to_owned(), id, spaces: spaces.collect() },
        Err(error) => ReadError::Query { why: error.to_string() },
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
    /// Commits that lack authority or are malformed.
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
