//! A transaction's edits of text and json fields: collected per cell, and one change per cell and commit.

use super::WriteError;
use super::rich_cells::StoredCells;
use super::transaction::{Edit, PathSegment, Transaction};
use crate::document::state::Dot;
use crate::id::DocumentId;
use crate::operation::{Action, FieldKind, FieldOp};
use crate::rich::document::{Made, Step};
use crate::rich::{RichCell, RichError, actor_id};
use crate::value::Value;

/// A cell that a transaction edits.
#[derive(Clone)]
pub(crate) struct Pending {
    pub cell: RichCell,
    pub generation: u64,
    /// Which commit the change is in.
    pub dot: Dot,
    /// When that is written, in milliseconds since 1970 UTC.
    pub timestamp_ms: i64,
    /// The change, once the edits are finished.
    pub made: Option<Made>,
}

/// Applies one edit to the cell of a live document's field.
pub(super) fn edit(
    transaction: &mut Transaction<'_>,
    collection: &str,
    id: &DocumentId,
    field: &str,
    kind: FieldKind,
    edit: &Edit,
) -> Result<(), WriteError> {
    let slot = super::names::intern(&mut transaction.work.state.names, &mut transaction.work.tables, field)?;
    let at = |error| rich_error(collection, id, field, error);
    if !transaction.changing(collection, id.as_str())?.pending.contains_key(&(slot, kind)) {
        let pending = begin(transaction, collection, id, slot, kind).map_err(at)?;
        transaction.changing(collection, id.as_str())?.pending.insert((slot, kind), pending);
    }
    let changing = transaction.changing(collection, id.as_str())?;
    let pending = changing.pending.get_mut(&(slot, kind)).expect("inserted above");
    if pending.made.is_some() {
        let why = format!("{collection}/{id}: {field} was edited and deleted in this transaction; commit that first");
        return Err(WriteError::Invalid { why });
    }
    let cell = &mut pending.cell;
    let outcome = match (kind, edit) {
        (FieldKind::Text, Edit::Set(Value::String(text))) => cell.set_text(text),
        (FieldKind::Text, Edit::Clear) => cell.set_text(""),
        (FieldKind::Text, Edit::Splice { at, delete, insert }) => cell.splice(*at, *delete, insert),
        (FieldKind::Json, Edit::Set(value)) => cell.set_json(value),
        (FieldKind::Json, Edit::Clear) => cell.set_json(&Value::Null),
        (FieldKind::Json, Edit::Put { path, value }) => cell.put(&steps(path), value),
        (FieldKind::Json, Edit::Insert { path, value }) => cell.insert(&steps(path), value),
        (FieldKind::Json, Edit::Cut { path }) => cell.cut(&steps(path)),
        (FieldKind::Text, _) => {
            Err(RichError::Edit { why: "it is a text; set it to a string, or splice it".to_owned() })
        }
        _ => Err(RichError::Edit { why: "it is json; set, put, insert or cut".to_owned() }),
    };
    outcome.map_err(at)
}

fn steps(path: &[PathSegment]) -> Vec<Step<'_>> {
    let step = |segment| match segment {
        &PathSegment::Index(index) => Step::Index(index),
        PathSegment::Key(key) => Step::Key(key),
    };
    path.iter().map(step).collect()
}

fn begin(
    transaction: &mut Transaction<'_>,
    collection: &str,
    id: &DocumentId,
    field: u32,
    kind: FieldKind,
) -> Result<Pending, RichError> {
    let space = transaction.space()?;
    let missing = || WriteError::Missing { collection: collection.to_owned(), id: id.clone() };
    let live = transaction.of(collection, id.as_str(), |document| {
        let live = document.live_generation()?;
        live.map(|generation| Ok((generation, document.chain(generation)?))).transpose()
    })?;
    let (generation, chain) = live.ok_or_else(missing)?;
    let work = &transaction.work;
    let slot = work.state.names.slot(collection).ok_or_else(missing)?;
    let stored = StoredCells {
        tables: &work.tables,
        names: &work.state.names,
        cache: &work.inner.cells,
        space: work.space(&space)?,
        collection: slot,
        id: id.as_str(),
        committed: false,
    };
    let mut cell = stored.take(field, kind, &chain)?;
    cell.begin(actor_id(&stored.cell_name(field, kind, generation)?, &work.inner.writer));
    let (dot, timestamp_ms) = transaction.commit_stamp()?;
    Ok(Pending { cell, generation, dot, timestamp_ms, made: None })
}

/// Finishes the edits of one document: its changes become operations.
pub(super) fn finish(transaction: &mut Transaction<'_>, collection: &str, id: &DocumentId) -> Result<(), WriteError> {
    let mut finished = Vec::new();
    for ((field, kind), pending) in &mut transaction.changing(collection, id.as_str())?.pending {
        if pending.made.is_some() {
            continue;
        }
        let made = pending.cell.finish().map_err(|error| rich_error(collection, id, "a rich field", error))?;
        if let Some(made) = made {
            finished.push((*field, *kind, pending.generation, made.bytes.clone()));
            pending.made = Some(made);
        }
    }
    for (field, kind, generation, bytes) in finished {
        let name = transaction.work.state.names.owned(field);
        let operation = if kind == FieldKind::Text { FieldOp::Text(bytes) } else { FieldOp::Json(bytes) };
        transaction.apply(collection, id, generation, Action::Edit(vec![(name, operation)]))?;
    }
    Ok(())
}

/// Finishes the edits of every document.
pub(super) fn finish_all(transaction: &mut Transaction<'_>) -> Result<(), WriteError> {
    for (collection, id) in transaction.pending_documents() {
        finish(transaction, &collection, &id)?;
    }
    Ok(())
}

fn rich_error(collection: &str, id: &DocumentId, field: &str, error: RichError) -> WriteError {
    let place = format!("{collection}/{id}: {field}: ");
    match error {
        RichError::Read(error) => WriteError::Read(error),
        RichError::Write(error) => error,
        RichError::TooLarge { what, size, limit } => WriteError::TooLarge { what, size, limit },
        other => WriteError::Invalid { why: place + &other.to_string() },
    }
}
