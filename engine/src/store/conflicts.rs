//! Conflicts: what they are, and the list of the documents that have any.

use std::ops::Bound;

use super::group::Work;
use super::names::Names;
use super::records::{Showing, document_key, id_of, load, schema_of, undecodable};
use super::state::SpaceState;
use super::tables::{Tables, after_prefix};
use super::{ReadError, Snapshot};
use crate::document::held::Held;
use crate::document::state::{Cell, Dot, Stamp};
use crate::document::view;
use crate::document::{Conflict, ConflictedDocument, Sibling};
use crate::id::{CommitId, ConflictVersion, DocumentId, SpaceId};
use crate::log::{Place, Plane};
use crate::value::Value;

const COMMIT_CONTEXT: &str = "tidewater 2026 id of a commit v1";
const VERSION_CONTEXT: &str = "tidewater 2026 version of a conflict v1";

impl CommitId {
    /// The commit whose first entry is at `place`.
    #[must_use]
    pub fn of(place: &Place) -> Self {
        Self(short(&blake3::derive_key(COMMIT_CONTEXT, &place.to_bytes())))
    }
}

impl ConflictVersion {
    /// The conflict between values from these commits.
    #[must_use]
    pub fn of(commits: impl IntoIterator<Item = CommitId>) -> Self {
        let mut commits: Vec<CommitId> = commits.into_iter().collect();
        commits.sort_unstable();
        let mut hasher = blake3::Hasher::new_derive_key(VERSION_CONTEXT);
        for commit in commits {
            hasher.update(commit.as_bytes());
        }
        Self(short(hasher.finalize().as_bytes()))
    }
}

fn short(hash: &[u8; 32]) -> [u8; 16] {
    hash[..16].try_into().expect("16 of 32 bytes")
}

/// The commit that a stamp names.
pub(crate) fn commit_id(names: &Names, space: SpaceId, dot: Dot) -> CommitId {
    let writer = *view::Writers::writer(names, dot.writer);
    CommitId::of(&Place { space, plane: Plane::Data, writer, sequence: dot.sequence })
}

/// The values of a register as people are told them.
pub(crate) fn siblings<'v>(
    names: &Names,
    space: SpaceId,
    ranked: impl IntoIterator<Item = &'v (Stamp, Value)>,
) -> Vec<Sibling> {
    let sibling = |(stamp, value): &(Stamp, Value)| Sibling {
        commit: commit_id(names, space, stamp.dot),
        value: value.clone(),
        writer: *view::Writers::writer(names, stamp.dot.writer),
        timestamp_ms: stamp.timestamp_ms,
    };
    ranked.into_iter().map(sibling).collect()
}

impl Snapshot {
    /// What people should look at in a document, closed generations included.
    ///
    /// # Errors
    /// As [`Snapshot::get`].
    pub fn conflicts(
        &self,
        space: Option<&SpaceId>,
        collection: &str,
        id: &DocumentId,
    ) -> Result<Vec<Conflict>, ReadError> {
        let view = self.view();
        let Some((space, slot, state)) = self.locate(space, collection, id.as_str())? else { return Ok(Vec::new()) };
        let space = view.space(&space)?;
        let cells = view.cells_of(space, slot, id.as_str());
        let names = &view.state.names;
        let showing = Showing { names, schema: schema_of(space, slot), rich: Some(&cells) };
        let chain = state.live_generation().map(|generation| state.chain(generation)).unwrap_or_default();
        let mut conflicts = Vec::new();
        for (field, cells) in &state.fields {
            field_conflicts(&showing, space.id, *field, cells, &chain, &mut conflicts)?;
        }
        for generation in state.edited_while_deleted(&chain) {
            for (field, cells) in &state.fields {
                let unseen = |cell: &&Cell| cell.tips().any(|tip| tip.generation == generation && !tip.covered);
                for cell in cells.iter().filter(unseen) {
                    if let Some(value) = showing.cell(*field, cell, &state.chain(generation))? {
                        let field = names.owned(*field);
                        conflicts.push(Conflict::EditedWhileDeleted { generation, field, value });
                    }
                }
            }
        }
        Ok(conflicts)
    }

    /// Documents with conflicts, at most `limit` of them, deleted ones with edits that the delete did not see included: by
    /// space, collection and id. The next ones come `after` the last of these. Without a space, of all spaces; without a
    /// collection, of all but the database's own (`$…`).
    ///
    /// They are found in a list of their own, so this takes no longer when there are more documents without conflicts.
    ///
    /// # Errors
    /// [`ReadError::UnknownSpace`], [`ReadError::Damaged`], [`ReadError::Storage`].
    pub fn conflicted_documents(
        &self,
        space: Option<&SpaceId>,
        collection: Option<&str>,
        after: Option<&ConflictedDocument>,
        limit: usize,
    ) -> Result<Vec<ConflictedDocument>, ReadError> {
        let view = self.view();
        let only = space.map(|space| view.space(space)).transpose()?;
        let all = view.state.spaces.values().map(|space| &**space).filter(|_| only.is_none());
        let table = view.tables.conflicts();
        let mut found = Vec::new();
        for space in only.into_iter().chain(all) {
            for (name, slot) in collections(&view.state.names, space, collection) {
                let prefix = document_key(slot, space.slot, "");
                let place = (space.id, name.as_str());
                let last = after.map(|after| ((after.space, after.collection.as_str()), after.id.as_str()));
                let from = match last {
                    Some((before, _)) if before > place => continue,
                    Some((before, id)) if before == place => Bound::Excluded(document_key(slot, space.slot, id)),
                    _ => Bound::Included(prefix.clone()),
                };
                let end = after_prefix(&prefix).map_or(Bound::Unbounded, Bound::Excluded);
                for row in table.range((from.as_ref().map(Vec::as_slice), end.as_ref().map(Vec::as_slice)))? {
                    if found.len() == limit {
                        return Ok(found);
                    }
                    let row = row?;
                    row.value()?;
                    let id = id_of(row.key()).ok_or_else(|| table.damaged(row.key()))?;
                    found.push(ConflictedDocument { space: space.id, collection: name.clone(), id });
                }
            }
        }
        Ok(found)
    }
}

/// The collection of that name, or all that ever had documents in the space but the database's own; by name.
fn collections(names: &Names, space: &SpaceState, named: Option<&str>) -> Vec<(String, u32)> {
    if let Some(name) = named {
        return names.slot(name).map(|slot| (name.to_owned(), slot)).into_iter().collect();
    }
    let all = space.counts.keys().map(|slot| (names.owned(*slot), *slot));
    let mut collections: Vec<_> = all.filter(|(name, _)| !name.starts_with('$')).collect();
    collections.sort_unstable();
    collections
}

fn field_conflicts(
    showing: &Showing<'_>,
    space: SpaceId,
    slot: u32,
    cells: &[Cell],
    chain: &[u64],
    conflicts: &mut Vec<Conflict>,
) -> Result<(), ReadError> {
    let Some(shown) = view::shown_cell(cells, chain, showing.declared(slot), showing.names) else { return Ok(()) };
    let name = || showing.names.owned(slot);
    if let Cell::Register(values) = shown {
        let policy = showing.policy(slot);
        let ranked = view::ranked(values, chain, policy, showing.names);
        if ranked.len() > 1
            && let Some(shown) = policy.shown(ranked.iter().map(|(_, value)| value))
        {
            let values = siblings(showing.names, space, ranked);
            let version = ConflictVersion::of(values.iter().map(|sibling| sibling.commit));
            conflicts.push(Conflict::Siblings { field: name(), policy, shown, values, version });
        }
    }
    for hidden in view::hidden(cells, shown, chain) {
        if let Some(value) = showing.cell(slot, hidden, chain)? {
            let (shown, hidden) = (shown.kind(), hidden.kind());
            conflicts.push(Conflict::Kind { field: name(), shown, hidden, value });
        }
    }
    Ok(())
}

/// Whether a document belongs into the list.
pub(crate) fn is_conflicted(
    names: &Names,
    space: &SpaceState,
    collection: u32,
    id: &str,
    held: &Held,
) -> Result<bool, ReadError> {
    let showing = Showing { names, schema: schema_of(space, collection), rich: None };
    showing.is_conflicted(held).map_err(undecodable(id))
}

/// What becomes of the list in one commit, by document key.
#[derive(Default)]
pub(crate) struct ConflictChanges {
    gone: Vec<Vec<u8>>,
    come: Vec<Vec<u8>>,
}

impl ConflictChanges {
    /// A document has conflicts from now on, or none any more.
    pub fn note(&mut self, key: Vec<u8>, is_conflicted: bool) {
        if is_conflicted && !planted!(ConflictUnlisted) {
            self.come.push(key);
        } else if !is_conflicted {
            self.gone.push(key);
        }
    }

    pub fn store(self, work: &mut Work<'_>) -> Result<(), ReadError> {
        self.gone.iter().try_for_each(|key| work.tables.conflicts.remove(key))?;
        self.come.iter().try_for_each(|key| work.tables.conflicts.insert(key, &[]))
    }
}

/// Makes the list of a collection in a space again, after its declared kinds changed: they decide what is hidden.
pub(crate) fn rebuild(work: &mut Work<'_>, space: &SpaceId, collection: u32) -> Result<(), ReadError> {
    let space = work.space(space)?.clone();
    let prefix = document_key(collection, space.slot, "");
    let end = after_prefix(&prefix).map_or(Bound::Unbounded, Bound::Excluded);
    work.tables.conflicts.remove_prefixed(&prefix)?;
    let mut from = Bound::Included(prefix);
    // In steps, so that a large collection is not held in memory.
    const STEP: usize = 1_000;
    loop {
        let range = (from.as_ref().map(Vec::as_slice), end.as_ref().map(Vec::as_slice));
        let rows = work.tables.documents.range(range)?.take(STEP);
        let keys: Vec<Vec<u8>> = rows.map(|row| row.map(|row| row.key().to_vec())).collect::<Result<_, _>>()?;
        let mut changes = ConflictChanges::default();
        for key in &keys {
            let id = id_of(key).ok_or_else(|| work.tables.documents.damaged(key))?;
            let held = load(&work.tables, &work.state.names, key)?;
            if is_conflicted(&work.state.names, &space, collection, id.as_str(), &held)? {
                changes.note(key.clone(), true);
            }
        }
        changes.store(work)?;
        match keys.into_iter().nth(STEP - 1) {
            Some(last) => from = Bound::Excluded(last),
            None => return Ok(()),
        }
    }
}
