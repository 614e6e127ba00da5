//! What readers see of a document's state: the shown cell of each field, the winner among siblings, the conflicts.

use super::policy::ConflictPolicy;
use super::state::{Cell, DocumentState, Stamp};
use crate::id::WriterId;
use crate::operation::FieldKind;
use crate::value::Value;

/// What the shown cell of a field holds, as far as the record alone can tell.
#[derive(Debug, PartialEq)]
pub(crate) enum Shown {
    Value(Value),
    /// Text or json: the content stands in rows of its own.
    Rich(FieldKind),
}

/// Chooses the order between concurrent writes: later timestamp, then greater writer id.
pub(crate) trait Writers {
    fn writer(&self, slot: u32) -> &WriterId;
}

/// The order in which the latest operation wins.
fn precedence<'a>(stamp: &Stamp, writers: &'a impl Writers) -> (i64, &'a WriterId, u64) {
    let timestamp_ms = if planted!(WrongWinner) { 0 } else { stamp.timestamp_ms };
    (timestamp_ms, writers.writer(stamp.dot.writer), stamp.dot.sequence)
}

fn in_chain(chain: &[u64], stamp: &Stamp) -> bool {
    chain.binary_search(&stamp.generation).is_ok()
}

/// Whether a cell has anything to show in the generations of `chain`.
fn present(cell: &Cell, chain: &[u64]) -> bool {
    cell.tips().any(|tip| in_chain(chain, tip))
}

/// The cell of a field that readers see: the declared kind's, else the one with the latest operation that no
/// operation of another kind has seen.
pub(crate) fn shown_cell<'a>(
    cells: &'a [Cell],
    chain: &[u64],
    declared: Option<FieldKind>,
    writers: &impl Writers,
) -> Option<&'a Cell> {
    if let [only] = cells
        && declared.is_none_or(|kind| kind == only.kind())
    {
        return present(only, chain).then_some(only);
    }
    let here = cells.iter().filter(|cell| present(cell, chain));
    if let Some(kind) = declared {
        return here.into_iter().find(|cell| cell.kind() == kind);
    }
    let latest = |cell: &Cell| {
        cell.tips().filter(|tip| in_chain(chain, tip)).map(|tip| (!tip.stale, precedence(tip, writers))).max()
    };
    here.max_by(|a, b| latest(a).cmp(&latest(b)))
}

/// The siblings of a register in `chain`, winner first.
pub(crate) fn ranked<'a>(
    siblings: &'a [(Stamp, Value)],
    chain: &[u64],
    policy: ConflictPolicy,
    writers: &impl Writers,
) -> Vec<&'a (Stamp, Value)> {
    let mut ranked: Vec<_> = siblings.iter().filter(|(stamp, _)| in_chain(chain, stamp)).collect();
    ranked.sort_by(|(a, one), (b, other)| {
        policy.order(one, other).then_with(|| precedence(b, writers).cmp(&precedence(a, writers)))
    });
    ranked
}

/// What a cell shows in the generations of `chain`; of concurrent values, what `policy` makes of them.
pub(crate) fn show(cell: &Cell, chain: &[u64], policy: ConflictPolicy, writers: &impl Writers) -> Option<Shown> {
    Some(Shown::Value(match cell {
        Cell::Register(siblings) => match siblings.as_slice() {
            [(stamp, value)] => in_chain(chain, stamp).then(|| value.clone())?,
            _ => policy.shown(ranked(siblings, chain, policy, writers).iter().map(|(_, value)| value))?,
        },
        Cell::Counter { sums, .. } => {
            let sum: i128 = chain.iter().filter_map(|generation| sums.get(generation)).sum();
            Value::Int(i64::try_from(sum).unwrap_or(if sum < 0 { i64::MIN } else { i64::MAX }))
        }
        Cell::Set { elements, .. } => Value::List(
            elements
                .iter()
                .filter(|(_, adds)| adds.iter().any(|add| in_chain(chain, add)))
                .map(|(value, _)| value.clone())
                .collect(),
        ),
        Cell::Rich { kind, .. } => return Some(Shown::Rich(*kind)),
    }))
}

/// Whether a field that shows the cell `shown` has something that people should look at: siblings, or another kind.
pub(crate) fn conflicted(cells: &[Cell], shown: &Cell, chain: &[u64]) -> bool {
    let siblings = match shown {
        Cell::Register(siblings) => siblings.iter().filter(|(stamp, _)| in_chain(chain, stamp)).count(),
        _ => 1,
    };
    siblings > 1 || hidden(cells, shown, chain).next().is_some()
}

/// The cells of other kinds that no operation on the shown one has seen.
pub(crate) fn hidden<'a>(cells: &'a [Cell], shown: &Cell, chain: &[u64]) -> impl Iterator<Item = &'a Cell> {
    let kind = shown.kind();
    cells.iter().filter(move |cell| cell.kind() != kind && cell.tips().any(|tip| in_chain(chain, tip) && !tip.stale))
}

impl DocumentState {
    /// Closed generations, outside `live_chain`, with operations that no delete has seen.
    pub fn edited_while_deleted(&self, live_chain: &[u64]) -> Vec<u64> {
        let mut numbers: Vec<u64> = self
            .fields
            .values()
            .flatten()
            .flat_map(Cell::tips)
            .filter(|tip| !tip.covered && live_chain.binary_search(&tip.generation).is_err())
            .map(|tip| tip.generation)
            .filter(|number| self.generations.get(number).is_some_and(|generation| generation.closed))
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }
}
