//! What a register held before a commit. Documents keep what is, the logs keep what was: the commits that touched the document are
//! opened again, as far as the one in question saw them.

use std::collections::{BTreeMap, BTreeSet};

use super::append::split_entry;
use super::apply::{Run, open_run, run_at};
use super::group::{Work, lock};
use super::names::Names;
use super::records::document_key;
use super::state::{SpaceState, entry_key, log_key};
use super::tables::{Tables, damaged};
use super::{ReadError, touches};
use crate::document::state::{Dot, Stamp};
use crate::id::SpaceId;
use crate::log::{Header, Place, Plane};
use crate::operation::{Action, FieldOp, Operation, decode_commit};
use crate::value::Value;

/// The last write of one writer to the register, among those that are looked at. It has seen the earlier ones.
struct Last {
    dot: Dot,
    past: Past,
    timestamp_ms: i64,
    generation: u64,
    /// `None`: it was cleared.
    value: Option<Value>,
}

/// Writer → length, for every other writer.
type Past = BTreeMap<u32, u64>;

/// Whether the commit `dot` with that past saw another.
fn saw(dot: Dot, past: &Past, other: Dot) -> bool {
    if other.writer == dot.writer {
        return other.sequence < dot.sequence;
    }
    past.get(&other.writer).is_some_and(|length| *length > other.sequence)
}

/// The values that the register `field` of a document had when the commit `dot` was written, by what its author had seen. `at` is
/// collection, id and field.
pub(crate) fn register_before(
    work: &Work<'_>,
    space: &SpaceId,
    at: (&str, &str, &str),
    dot: Dot,
) -> Result<Vec<(Stamp, Value)>, ReadError> {
    let (names, space) = (&work.state.names, work.space(space)?);
    let (collection, id, _) = at;
    let Some(slot) = names.slot(collection) else { return Ok(Vec::new()) };
    let key = document_key(slot, space.slot, id);
    let Some(record) = work.tables.documents.get(&key)? else { return Ok(Vec::new()) };
    let touched = touches::of_document(&work.tables, names.slots(), &key, &record)?;
    let past = past_of(&work.tables, names, space, dot)?;
    let seen: BTreeSet<Dot> = touched.into_iter().filter(|other| saw(dot, &past, *other)).collect();
    let mut lasts = Vec::new();
    let writers: BTreeSet<u32> = seen.iter().map(|seen| seen.writer).collect();
    for writer in writers {
        let from = |sequence| Dot { writer, sequence };
        for one in seen.range(from(0)..=from(u64::MAX)).rev() {
            if let Some(last) = last_write(work, space, at, *one)? {
                lasts.push(last);
                break;
            }
        }
    }
    let superseded = |last: &Last| lasts.iter().any(|other| saw(other.dot, &other.past, last.dot));
    let values = lasts.iter().filter(|last| !superseded(last)).filter_map(|last| {
        let Last { dot, timestamp_ms, generation, .. } = *last;
        Some((Stamp { dot, timestamp_ms, generation, covered: false, stale: false }, last.value.clone()?))
    });
    Ok(values.collect())
}

/// The commit that starts at `dot`.
fn run_of(tables: &impl Tables, space: &SpaceState, dot: Dot) -> Result<Run, ReadError> {
    let rows = log_key(space.slot, Plane::Data, dot.writer);
    run_at(tables, rows, dot.sequence, u64::MAX)?.ok_or_else(|| damaged("entries", &entry_key(rows, dot.sequence)))
}

/// What a commit saw of other logs: the largest lengths that its headers and all earlier ones of its log name.
fn past_of(tables: &impl Tables, names: &Names, space: &SpaceState, dot: Dot) -> Result<Past, ReadError> {
    let rows = log_key(space.slot, Plane::Data, dot.writer);
    let end = run_of(tables, space, dot)?.end();
    let mut past = Past::new();
    for row in tables.entries().range(&entry_key(rows, 0)[..]..&entry_key(rows, end)[..])? {
        let row = row?;
        let (header, _) = split_entry(row.key(), row.value()?)?;
        let header = Header::decode(header).map_err(|_| damaged("entries", row.key()))?;
        for (writer, prefix) in &header.dependencies {
            if let Some(slot) = names.writer_slot(writer) {
                let length = past.entry(slot).or_insert(0);
                *length = prefix.length.max(*length);
            }
        }
    }
    Ok(past)
}

/// The last write of the commit `dot` to the register; `None`: it has none.
fn last_write(
    work: &Work<'_>,
    space: &SpaceState,
    (collection, id, field): (&str, &str, &str),
    dot: Dot,
) -> Result<Option<Last>, ReadError> {
    let run = run_of(&work.tables, space, dot)?;
    let of_document = |operation: &&Operation| operation.collection == collection && operation.id.as_str() == id;
    let operations = operations(work, space, dot, &run)?;
    let written = operations.iter().rev().filter(of_document).find_map(|operation| {
        let (Action::Insert(writes) | Action::Edit(writes)) = &operation.action else { return None };
        let mut of_field = writes.iter().rev().filter(|(name, _)| name == field);
        of_field.find_map(|(_, write)| match write {
            FieldOp::Set(value) => Some((operation.generation, Some(value.clone()))),
            FieldOp::Clear => Some((operation.generation, None)),
            _ => None,
        })
    });
    let Some((generation, value)) = written else { return Ok(None) };
    let past = past_of(&work.tables, &work.state.names, space, dot)?;
    Ok(Some(Last { dot, past, timestamp_ms: run.headers[0].timestamp_ms, generation, value }))
}

fn operations(work: &Work<'_>, space: &SpaceState, dot: Dot, run: &Run) -> Result<Vec<Operation>, ReadError> {
    let rows = log_key(space.slot, Plane::Data, dot.writer);
    let unreadable = || damaged("entries", &entry_key(rows, dot.sequence));
    let writer = *work.state.names.writer_at(dot.writer).ok_or_else(unreadable)?;
    let first = Place { space: space.id, plane: Plane::Data, writer, sequence: dot.sequence };
    let key = space.table.epochs.get(&run.headers[0].epoch);
    let opened = open_run(&mut lock(&work.inner.opener), &work.tables, first, rows, run, key)?;
    // It was opened and decoded when it was applied.
    decode_commit(&opened.map_err(|_| unreadable())?).map_err(|_| unreadable())
}
