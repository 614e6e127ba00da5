//! The fold: how one operation changes a document. `docs/spec/fold.md` states the rules; they hold for any order of
//! application that respects causality, which is what the store guarantees.

use super::state::{Cell, DocumentState, Dot, Stamp};
use crate::operation::{FieldKind, FieldOp};
use crate::value::Value;

/// The commit that an operation belongs to.
pub(crate) struct Origin<'a> {
    pub dot: Dot,
    pub timestamp_ms: i64,
    /// Whether a commit is in this commit's causal past (or is this commit).
    pub saw: &'a dyn Fn(Dot) -> bool,
}

/// What an operation does to one cell, with the field's name resolved to its slot.
pub(crate) enum CellEdit<'a> {
    Set(&'a Value),
    Clear,
    Add(i64),
    Include(&'a [Value]),
    Exclude(&'a [Value]),
    /// A change of a text or json cell; the content is applied by `rich`.
    Rich(FieldKind),
}

impl<'a> CellEdit<'a> {
    pub fn of(write: &'a FieldOp) -> Self {
        match write {
            FieldOp::Set(value) => Self::Set(value),
            FieldOp::Clear => Self::Clear,
            FieldOp::Add(amount) => Self::Add(*amount),
            FieldOp::Include(values) => Self::Include(values),
            FieldOp::Exclude(values) => Self::Exclude(values),
            FieldOp::Text(_) | FieldOp::Json(_) => Self::Rich(write.kind()),
        }
    }

    fn kind(&self) -> FieldKind {
        match self {
            Self::Set(_) | Self::Clear => FieldKind::Register,
            Self::Add(_) => FieldKind::Counter,
            Self::Include(_) | Self::Exclude(_) => FieldKind::Set,
            Self::Rich(kind) => *kind,
        }
    }
}

impl DocumentState {
    /// An insert or a restore opens `generation`.
    pub fn open(&mut self, generation: u64, continues: Option<u64>) {
        let opened = self.generations.entry(generation).or_default();
        opened.opened = true;
        if let Some(earlier) = continues
            && let Err(at) = opened.continues.binary_search(&earlier)
        {
            opened.continues.insert(at, earlier);
        }
    }

    /// A delete closes `generation` for ever. What it saw of it is gone with it; what it did not see is a conflict.
    pub fn close(&mut self, generation: u64, origin: &Origin<'_>) {
        self.generations.entry(generation).or_default().closed = true;
        for cell in self.fields.values_mut().flatten() {
            for tip in cell.tips_mut().filter(|tip| tip.generation <= generation && (origin.saw)(tip.dot)) {
                tip.covered = true;
            }
        }
    }

    /// An insert or edit changes one cell in `generation`.
    pub fn edit(&mut self, generation: u64, field: u32, edit: &CellEdit<'_>, origin: &Origin<'_>) {
        self.generations.entry(generation).or_default();
        let kind = edit.kind();
        for other in self.fields.get_mut(&field).into_iter().flatten().filter(|cell| cell.kind() != kind) {
            other.tips_mut().filter(|tip| (origin.saw)(tip.dot)).for_each(|tip| tip.stale = true);
        }
        let stamp =
            Stamp { dot: origin.dot, timestamp_ms: origin.timestamp_ms, generation, covered: false, stale: false };
        match (self.cell_mut(field, kind), edit) {
            (Cell::Register(siblings), CellEdit::Set(value)) => {
                siblings.retain(|(sibling, _)| !planted!(LastAppliedWins) && !(origin.saw)(sibling.dot));
                let at = siblings.partition_point(|(sibling, _)| sibling.dot < stamp.dot);
                siblings.insert(at, (stamp, (*value).clone()));
            }
            (Cell::Register(siblings), CellEdit::Clear) => siblings.retain(|(sibling, _)| !(origin.saw)(sibling.dot)),
            (Cell::Counter { sums, tips }, CellEdit::Add(amount)) => {
                let times = if planted!(CounterTwice) && generation > 1 { 2 } else { 1 };
                *sums.entry(generation).or_default() += i128::from(*amount) * times;
                advance(tips, stamp, origin);
            }
            (Cell::Set { elements, tips }, CellEdit::Include(values)) => {
                values.iter().for_each(|value| include(elements, value, stamp, origin));
                advance(tips, stamp, origin);
            }
            (Cell::Set { elements, tips }, CellEdit::Exclude(values)) => {
                values.iter().for_each(|value| exclude(elements, value, origin));
                advance(tips, stamp, origin);
            }
            (Cell::Rich { tips, .. }, CellEdit::Rich(_)) => advance(tips, stamp, origin),
            (cell, _) => unreachable!("a {:?} cell was found for a {kind:?} edit", cell.kind()),
        }
    }
}

fn advance(tips: &mut Vec<Stamp>, stamp: Stamp, origin: &Origin<'_>) {
    tips.retain(|tip| !(origin.saw)(tip.dot));
    let at = tips.partition_point(|tip| tip.dot < stamp.dot);
    tips.insert(at, stamp);
}

fn position(elements: &[(Value, Vec<Stamp>)], value: &Value) -> Result<usize, usize> {
    elements.binary_search_by(|(element, _)| element.total_cmp(value))
}

/// An add replaces the adds it saw.
fn include(elements: &mut Vec<(Value, Vec<Stamp>)>, value: &Value, stamp: Stamp, origin: &Origin<'_>) {
    let at = match position(elements, value) {
        Ok(at) => at,
        Err(at) => {
            elements.insert(at, (element_form(value), Vec::new()));
            at
        }
    };
    let (_, adds) = &mut elements[at];
    advance(adds, stamp, origin);
}

fn exclude(elements: &mut Vec<(Value, Vec<Stamp>)>, value: &Value, origin: &Origin<'_>) {
    if let Ok(at) = position(elements, value) {
        elements[at].1.retain(|add| !planted!(ConcurrentAddForgotten) && !(origin.saw)(add.dot));
        if elements[at].1.is_empty() {
            elements.remove(at);
        }
    }
}

/// Equal numbers of different types are one element, so they need one spelling that does not depend on who came first:
/// a whole number within the range of an int is an int.
fn element_form(value: &Value) -> Value {
    const RANGE: std::ops::Range<f64> = -9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0;
    match value {
        #[expect(clippy::cast_possible_truncation, reason = "whole and in range")]
        Value::Float(number) if number.fract() == 0.0 && RANGE.contains(number) => Value::Int(*number as i64),
        Value::List(items) => Value::List(items.iter().map(element_form).collect()),
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(name, item)| (name.clone(), element_form(item))).collect())
        }
        other => other.clone(),
    }
}
