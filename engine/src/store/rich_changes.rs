//! Changes of text and json cells on their way into the rows: those of others through the gate, own ones directly.

use std::sync::Arc;

use super::apply::Run;
use super::group::Work;
use super::rich_cells::{CellRowsMut, StoredCells};
use super::state::SpaceState;
use super::{ReadError, WriteError};
use crate::id::WriterId;
use crate::log::Plane;
use crate::operation::{Action, FieldKind, FieldOp, Operation};
use crate::rich::change::Summary;
use crate::rich::gate::{self, Origin};
use crate::rich::rows;
use crate::rich::{RichCell, RichError};

/// A change of one cell that may be recorded.
pub(crate) struct Change {
    pub collection: u32,
    pub id: Arc<str>,
    pub field: u32,
    pub kind: FieldKind,
    pub generation: u64,
    pub summary: Summary,
    pub bytes: Vec<u8>,
}

/// What the gate says of the changes in a commit: all of them, or why the commit is malformed.
pub(crate) type Verdict = Result<Vec<Change>, String>;

/// Puts every change of text and json in a commit through the gate.
pub(crate) fn check(
    work: &mut Work<'_>,
    space: &SpaceState,
    writer: &WriterId,
    run: &Run,
    operations: &[Operation],
) -> Result<Verdict, ReadError> {
    let mut changes: Vec<Change> = Vec::new();
    for operation in operations {
        let (Action::Insert(edits) | Action::Edit(edits)) = &operation.action else { continue };
        for (name, edit) in edits {
            let (FieldOp::Text(bytes) | FieldOp::Json(bytes)) = edit else { continue };
            let names = &mut work.state.names;
            let collection = super::names::intern(names, &mut work.tables, &operation.collection)?;
            let field = super::names::intern(names, &mut work.tables, name)?;
            let kind = edit.kind();
            let at = || format!("{}/{}: {name}", operation.collection, operation.id);
            let same = |change: &&Change| {
                (change.collection, change.field, change.kind, change.generation)
                    == (collection, field, kind, operation.generation)
                    && *change.id == *operation.id.as_str()
            };
            if changes.iter().find(same).is_some() {
                return Ok(Err(format!("{}: two changes of one field in one commit", at())));
            }
            let past = |other: &WriterId, sequence: u64| saw(space, writer, run, other) > sequence;
            let stored = stored_cells(work, space, collection, operation.id.as_str());
            let cell = stored.cell_name(field, kind, operation.generation)?;
            let origin = Origin { writer, past: &past };
            let checked = stored.with_earlier(field, kind, operation.generation, |generations| {
                gate::check(&cell, generations, origin, bytes)
            })??;
            match checked {
                Ok(summary) => changes.push(Change {
                    collection,
                    id: operation.id.as_str().into(),
                    field,
                    kind,
                    generation: operation.generation,
                    summary,
                    bytes: bytes.clone(),
                }),
                Err(malformed) => return Ok(Err(format!("{}: {malformed}", at()))),
            }
        }
    }
    Ok(Ok(changes))
}

/// How much of `other`'s data log a commit has seen.
fn saw(space: &SpaceState, writer: &WriterId, run: &Run, other: &WriterId) -> u64 {
    let named = run.headers.iter().flat_map(|header| &header.dependencies).find(|(name, _)| name == other);
    let before = || {
        let slot = space.log(Plane::Data, other)?.slot;
        space.log(Plane::Data, writer)?.past.get(&slot).copied()
    };
    named.map(|(_, prefix)| prefix.length).or_else(before).unwrap_or(0)
}

fn stored_cells<'w, 'g>(
    work: &'w Work<'g>,
    space: &'w SpaceState,
    collection: u32,
    id: &'w str,
) -> StoredCells<'w, super::tables::WriteTables<'g>> {
    StoredCells {
        tables: &work.tables,
        names: &work.state.names,
        cache: &work.inner.cells,
        space,
        collection,
        id,
        committed: false,
    }
}

/// Records a change in its cell's rows, keeps the loaded cell up to date, and writes a snapshot when one is due.
/// `cell` is the cell in memory with the change already in it, for changes that were made here.
pub(crate) fn record(
    work: &mut Work<'_>,
    space: &SpaceState,
    chain: &[u64],
    change: &Change,
    writer: &WriterId,
    sequence: u64,
    cell: Option<RichCell>,
) -> Result<(), WriteError> {
    let (field, kind) = (change.field, change.kind);
    let made_here = cell.is_some();
    let mut loaded = match cell {
        Some(cell) => Some(cell),
        None => cached(work, space, chain, change)?,
    };
    let mut rows =
        CellRowsMut::new(&mut work.tables, space.slot, change.collection, &change.id, field, kind, change.generation);
    let state = rows::record(&mut rows, &change.summary, &change.bytes, writer, sequence)?;
    if !made_here
        && let Some(cell) = &mut loaded
        && cell.apply(change.generation, &change.bytes, &state).is_err()
    {
        // The cell is unavailable here; reading it says so.
        loaded = None;
    }
    if state.snapshot_due() && chain.last() == Some(&change.generation) {
        if loaded.is_none() {
            let stored = stored_cells(work, space, change.collection, &change.id);
            loaded = stored.with_chain(field, kind, chain, |generations| RichCell::load(kind, generations))?.ok();
        }
        let mut rows = CellRowsMut::new(
            &mut work.tables,
            space.slot,
            change.collection,
            &change.id,
            field,
            kind,
            change.generation,
        );
        if let Some(cell) = &mut loaded {
            match cell.save(&mut rows, &state) {
                Ok(()) => {}
                Err(RichError::Read(error)) => return Err(error.into()),
                Err(RichError::Write(error)) => return Err(error),
                Err(_) => loaded = None,
            }
        }
    }
    if let Some(cell) = loaded {
        let stored = stored_cells(work, space, change.collection, &change.id);
        let name = stored.cell_name(field, kind, chain.last().copied().unwrap_or(change.generation))?;
        work.inner.cells.put(name, Arc::new(cell));
    }
    Ok(())
}

/// The cell before the change, if it is loaded.
fn cached(work: &Work<'_>, space: &SpaceState, chain: &[u64], change: &Change) -> Result<Option<RichCell>, ReadError> {
    let stored = stored_cells(work, space, change.collection, &change.id);
    let newest = chain.last().copied().unwrap_or(change.generation);
    let name = stored.cell_name(change.field, change.kind, newest)?;
    let version = stored.with_chain(change.field, change.kind, chain, RichCell::version_of)??;
    Ok(work.inner.cells.take(&name, version))
}
