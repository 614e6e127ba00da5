//! The state of one document: generations, and cells with the dots that their values came from.
//!
//! A dot names a commit by its writer and the sequence number of its first entry. Writers and names stand here as the
//! database's own slots (see `store::names`), which are local: whatever leaves the database uses full ids.

use std::collections::BTreeMap;

use crate::operation::FieldKind;
use crate::value::Value;

/// A commit, by the local slot of its writer and the sequence number of its first entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Dot {
    pub writer: u32,
    pub sequence: u64,
}

/// Where a value came from, and what has happened to it since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub dot: Dot,
    pub timestamp_ms: i64,
    /// The generation that the operation named.
    pub generation: u64,
    /// A delete of that generation has seen it.
    pub covered: bool,
    /// An operation on another kind of the same field has seen it.
    pub stale: bool,
}

/// One life of a document.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Generation {
    /// An insert or a restore opened it.
    pub opened: bool,
    /// A delete closed it, for ever.
    pub closed: bool,
    /// The generations whose content goes on in this one, ascending.
    pub continues: Vec<u64>,
}

impl Generation {
    /// Opened, and nothing else yet.
    pub fn first() -> Self {
        Self { opened: true, ..Self::default() }
    }
}

/// One cell of a field; a field has at most one of each kind.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    /// The values that no other write has superseded. May be empty after a clear.
    Register(Vec<(Stamp, Value)>),
    /// Sums by generation, and the latest operations.
    Counter { sums: BTreeMap<u64, i128>, tips: Vec<Stamp> },
    /// Elements, by the total order, each with the adds that keep it in; and the latest operations.
    Set { elements: Vec<(Value, Vec<Stamp>)>, tips: Vec<Stamp> },
    /// Text or json. The content lives in rows of its own; here are the latest operations.
    Rich { kind: FieldKind, tips: Vec<Stamp> },
}

impl Cell {
    pub fn kind(&self) -> FieldKind {
        match self {
            Self::Register(_) => FieldKind::Register,
            Self::Counter { .. } => FieldKind::Counter,
            Self::Set { .. } => FieldKind::Set,
            Self::Rich { kind, .. } => *kind,
        }
    }

    pub fn empty(kind: FieldKind) -> Self {
        match kind {
            FieldKind::Register => Self::Register(Vec::new()),
            FieldKind::Counter => Self::Counter { sums: BTreeMap::new(), tips: Vec::new() },
            FieldKind::Set => Self::Set { elements: Vec::new(), tips: Vec::new() },
            FieldKind::Text | FieldKind::Json => Self::Rich { kind, tips: Vec::new() },
        }
    }

    /// The latest operations on this cell: those that no other operation on it has seen.
    pub fn tips(&self) -> impl Iterator<Item = &Stamp> {
        let (siblings, tips) = match self {
            Self::Register(siblings) => (siblings.as_slice(), [].as_slice()),
            Self::Counter { tips, .. } | Self::Set { tips, .. } | Self::Rich { tips, .. } => {
                ([].as_slice(), tips.as_slice())
            }
        };
        siblings.iter().map(|(stamp, _)| stamp).chain(tips)
    }

    pub fn tips_mut(&mut self) -> impl Iterator<Item = &mut Stamp> {
        let (siblings, tips) = match self {
            Self::Register(siblings) => (siblings.as_mut_slice(), [].as_mut_slice()),
            Self::Counter { tips, .. } | Self::Set { tips, .. } | Self::Rich { tips, .. } => {
                ([].as_mut_slice(), tips.as_mut_slice())
            }
        };
        siblings.iter_mut().map(|(stamp, _)| stamp).chain(tips)
    }
}

/// The state of one document: a pure function of the operations that name it.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct DocumentState {
    pub generations: BTreeMap<u64, Generation>,
    /// Cells by the local slot of the field's name, ordered by kind.
    pub fields: BTreeMap<u32, Vec<Cell>>,
    /// Commits that touched the document and of which no stamp is left, in the order in which the last one went. The oldest of
    /// them stand in rows of their own.
    pub older: Vec<Dot>,
    /// How many such rows there are.
    pub older_rows: u32,
}

/// Brings the list of commits without a stamp up to date, after an operation of the commit `own`: `before` had stamps until
/// then, and `named` tells which have one now.
pub(crate) fn supersede(
    older: &mut Vec<Dot>,
    before: impl Iterator<Item = Dot>,
    named: impl Fn(Dot) -> bool,
    own: Dot,
) {
    older.extend(before.filter(|dot| *dot != own && !named(*dot)));
    // Only its own commit's operations come after one another; so, if it is there, it is near the end.
    match (named(own), older.iter().rposition(|dot| *dot == own)) {
        (true, Some(at)) => drop(older.remove(at)),
        (false, None) => older.push(own),
        _ => {}
    }
}

impl DocumentState {
    /// How many commits without a stamp a record lists before the oldest move to a row of their own.
    pub const OLDER_INLINE: usize = 16;
    /// How many generations that nothing opened a restore brings back, at most.
    const UNOPENED_RESTORED: usize = 15;

    /// The generation that readers see, if the document is alive.
    pub fn live_generation(&self) -> Option<u64> {
        let (number, generation) = self.generations.iter().rev().find(|(_, generation)| generation.opened)?;
        (!generation.closed).then_some(*number)
    }

    /// What a restore brings back: the highest generation that was opened and closed, and the later ones that operations
    /// name and nothing opened, since what opened them turned out void.
    pub fn restorable(&self) -> Vec<u64> {
        let is_closed = |generation: &Generation| generation.opened && generation.closed;
        let Some((closed, _)) = self.generations.iter().rev().find(|(_, generation)| is_closed(generation)) else {
            return Vec::new();
        };
        let later = self.generations.range(closed + 1..).filter(|(_, generation)| !generation.opened);
        std::iter::once(*closed).chain(later.rev().take(Self::UNOPENED_RESTORED).map(|(number, _)| *number)).collect()
    }

    /// The highest generation that any operation named.
    pub fn last_generation(&self) -> u64 {
        self.generations.last_key_value().map_or(0, |(number, _)| *number)
    }

    /// `generation` and everything it continues, directly or not, ascending.
    pub fn chain(&self, generation: u64) -> Vec<u64> {
        let mut chain = vec![generation];
        let mut next = 0;
        while let Some(number) = chain.get(next).copied() {
            next += 1;
            let continued = self.generations.get(&number).map_or([].as_slice(), |found| found.continues.as_slice());
            for earlier in continued {
                if !chain.contains(earlier) {
                    chain.push(*earlier);
                }
            }
        }
        chain.sort_unstable();
        chain
    }

    /// The cell of `field` of that kind, made when it is missing.
    pub fn cell_mut(&mut self, field: u32, kind: FieldKind) -> &mut Cell {
        let cells = self.fields.entry(field).or_default();
        let at = match cells.binary_search_by_key(&kind, Cell::kind) {
            Ok(at) => at,
            Err(at) => {
                cells.insert(at, Cell::empty(kind));
                at
            }
        };
        &mut cells[at]
    }
}
