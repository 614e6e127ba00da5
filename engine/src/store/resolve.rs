//! Resolving conflicts: concurrent values of a register become one, by an ordinary write that has seen them all. And undoing that,
//! by another.

use super::conflicts::{commit_id, siblings};
use super::history::register_before;
use super::records::undecodable;
use super::transaction::document_id;
use super::{Edit, Transaction, WriteError};
use crate::document::state::{Cell, Stamp};
use crate::document::{ConflictPolicy, Sibling, view};
use crate::id::{CommitId, ConflictVersion, DocumentId};
use crate::value::Value;

/// How a conflict is settled.
///
/// A choice by hand names what was seen, `Conflict::Siblings::version`, so that no value is dropped that nobody looked at. A
/// policy needs no look: it takes the values that are there.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Resolution {
    /// One of the concurrent values.
    Pick {
        /// The commit that it is from.
        commit: CommitId,
        /// What was seen.
        seen: ConflictVersion,
    },
    /// A value of one's own, of several merged by hand for example.
    Merge {
        /// The value.
        value: Value,
        /// What was seen.
        seen: ConflictVersion,
    },
    /// What a policy shows of the values that are there.
    By(ConflictPolicy),
}

/// What a resolution wrote.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// The commit that writes it, once the transaction is committed.
    pub commit: CommitId,
    /// The value that the field has now.
    pub value: Value,
}

impl Transaction<'_> {
    /// Settles the conflict between the concurrent values of a register. It is a write like any other: a value that is written
    /// elsewhere at the same time, another resolution too, stays beside it as a conflict.
    ///
    /// # Errors
    /// [`WriteError::NoConflict`], [`WriteError::UnknownSibling`], [`WriteError::ConflictChanged`] when what was seen is not
    /// what is there; [`WriteError::Schema`] for a value that the schema does not allow, and as [`Transaction::update`].
    pub fn resolve(
        &mut self,
        collection: &str,
        id: &str,
        field: &str,
        resolution: &Resolution,
    ) -> Result<Resolved, WriteError> {
        let field_at = FieldAt { collection, id: &document_id(id)?, field };
        let policy = if let Resolution::By(policy) = resolution { *policy } else { ConflictPolicy::default() };
        let (counting, _) = self.counting(&field_at, policy)?;
        let space = self.space()?;
        let values = siblings(&self.work.state.names, space, &counting);
        if values.len() < 2 {
            return Err(field_at.no_conflict());
        }
        let value = match resolution {
            Resolution::Pick { commit, seen } => {
                field_at.expect(*seen, &values)?;
                let picked = values.iter().find(|sibling| sibling.commit == *commit);
                picked.map(|sibling| sibling.value.clone()).ok_or_else(|| field_at.unknown_sibling(*commit))?
            }
            Resolution::Merge { value, seen } => {
                field_at.expect(*seen, &values)?;
                value.clone()
            }
            Resolution::By(policy) => {
                policy.shown(values.iter().map(|sibling| &sibling.value)).ok_or_else(|| field_at.no_conflict())?
            }
        };
        self.settle(&field_at, value)
    }

    /// Undoes a resolution, `Resolved::commit`: writes what the field showed before it. The values that were in conflict then
    /// do not become concurrent again, since this write comes after all of them; the logs keep them.
    ///
    /// Finding what was shown takes a look at the headers of the logs in which the field was written.
    ///
    /// # Errors
    /// [`WriteError::ChangedSince`] when the field was written since, [`WriteError::NoResolution`] when the commit settled no conflict
    /// of it; and as [`Transaction::update`].
    pub fn undo_resolution(
        &mut self,
        collection: &str,
        id: &str,
        field: &str,
        resolution: CommitId,
    ) -> Result<Resolved, WriteError> {
        let field_at = FieldAt { collection, id: &document_id(id)?, field };
        let declared = self.schema(collection)?.and_then(|schema| schema.fields.get(field).map(|field| field.conflict));
        let policy = declared.unwrap_or_default();
        let (counting, chain) = self.counting(&field_at, policy)?;
        let (space, (own, _)) = (self.space()?, self.commit_stamp()?);
        let names = self.work.state.names.clone();
        let dot = match counting.as_slice() {
            [(stamp, _)] if stamp.dot != own && commit_id(&names, space, stamp.dot) == resolution => stamp.dot,
            _ => return Err(field_at.changed_since(resolution)),
        };
        let before = register_before(&self.work, &space, (collection, id, field), dot)?;
        let ranked = view::ranked(&before, &chain, policy, &*names);
        let shown = policy.shown(ranked.iter().map(|(_, value)| value)).filter(|_| ranked.len() > 1);
        self.settle(&field_at, shown.ok_or_else(|| field_at.no_resolution(resolution))?)
    }

    /// Writes what a field is to be, over all that is there.
    fn settle(&mut self, at: &FieldAt<'_>, value: Value) -> Result<Resolved, WriteError> {
        self.update(at.collection, at.id.as_str(), vec![(at.field.to_owned(), Edit::Set(value.clone()))])?;
        let (dot, _) = self.commit_stamp()?;
        let space = self.space()?;
        Ok(Resolved { commit: commit_id(&self.work.state.names, space, dot), value })
    }

    /// The values of a register that count, in the order of `policy`, and the generations in which they do; none when the field
    /// shows another kind.
    fn counting(&mut self, at: &FieldAt<'_>, policy: ConflictPolicy) -> Result<(Values, Vec<u64>), WriteError> {
        let (collection, id) = (at.collection, at.id.as_str());
        let live = self.live_generation(collection, id)?.ok_or_else(|| at.missing())?;
        let schema = self.schema(collection)?;
        let declared = schema.and_then(|schema| schema.fields.get(at.field).map(|field| field.kind));
        let names = self.work.state.names.clone();
        let held = &self.changing(collection, id)?.held;
        let chain = held.chain(live).map_err(undecodable(id))?.into_owned();
        let Some(slot) = names.slot(at.field) else { return Ok((Vec::new(), chain)) };
        let cells = held.cells(slot).map_err(undecodable(id))?;
        let values = match view::shown_cell(&cells, &chain, declared, &*names) {
            Some(Cell::Register(values)) => {
                view::ranked(values, &chain, policy, &*names).into_iter().cloned().collect()
            }
            _ => Vec::new(),
        };
        Ok((values, chain))
    }
}

type Values = Vec<(Stamp, Value)>;

/// One field of one document.
struct FieldAt<'a> {
    collection: &'a str,
    id: &'a DocumentId,
    field: &'a str,
}

impl FieldAt<'_> {
    fn parts(&self) -> (String, DocumentId, String) {
        (self.collection.to_owned(), self.id.clone(), self.field.to_owned())
    }

    /// Whether the conflict that was seen is the one that is there.
    fn expect(&self, seen: ConflictVersion, values: &[Sibling]) -> Result<(), WriteError> {
        let now = ConflictVersion::of(values.iter().map(|sibling| sibling.commit));
        let (collection, id, field) = self.parts();
        if seen == now { Ok(()) } else { Err(WriteError::ConflictChanged { collection, id, field, seen, now }) }
    }

    fn missing(&self) -> WriteError {
        let (collection, id, _) = self.parts();
        WriteError::Missing { collection, id }
    }

    fn no_conflict(&self) -> WriteError {
        let (collection, id, field) = self.parts();
        WriteError::NoConflict { collection, id, field }
    }

    fn changed_since(&self, commit: CommitId) -> WriteError {
        let (collection, id, field) = self.parts();
        WriteError::ChangedSince { collection, id, field, commit }
    }

    fn no_resolution(&self, commit: CommitId) -> WriteError {
        let (collection, id, field) = self.parts();
        WriteError::NoResolution { collection, id, field, commit }
    }

    fn unknown_sibling(&self, commit: CommitId) -> WriteError {
        let (collection, id, field) = self.parts();
        WriteError::UnknownSibling { collection, id, field, commit }
    }
}
