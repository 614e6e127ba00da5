//! Replicas that edit one cell and hand each other their commits.

use std::collections::BTreeSet;

use super::memory::MemoryRows;
use crate::id::{DeviceId, DocumentId, Incarnation, SpaceId, WriterId};
use crate::operation::FieldKind;
use crate::rich::document::{Generation, RichCell};
use crate::rich::gate::{self, Malformed, Origin};
use crate::rich::{CellName, actor_id, rows};

/// A commit: its place in its writer's log, what it had seen, and one change.
#[derive(Debug, Clone)]
pub(super) struct Commit {
    pub writer: usize,
    pub sequence: u64,
    pub past: BTreeSet<(usize, u64)>,
    pub bytes: Vec<u8>,
}

impl Commit {
    pub fn dot(&self) -> (usize, u64) {
        (self.writer, self.sequence)
    }
}

pub(super) struct Replica {
    pub name: CellName,
    pub writer: usize,
    pub cell: RichCell,
    pub rows: MemoryRows,
    pub held: BTreeSet<(usize, u64)>,
    sequence: u64,
}

pub(super) fn writer_id(writer: usize) -> WriterId {
    WriterId { device: DeviceId([writer as u8 + 1; 32]), incarnation: Incarnation([7; 8]) }
}

pub(super) fn name(kind: FieldKind) -> CellName {
    CellName {
        space: SpaceId([1; 32]),
        collection: "notes".into(),
        id: DocumentId::new("a").unwrap(),
        generation: 1,
        field: "body".into(),
        kind,
    }
}

impl Replica {
    pub fn new(kind: FieldKind, writer: usize) -> Self {
        let cell = RichCell::new(kind, 1);
        let name = name(kind);
        Self { name, writer, cell, rows: MemoryRows::default(), held: BTreeSet::new(), sequence: 0 }
    }

    pub fn chain(&self) -> [Generation<'_>; 1] {
        [Generation { number: 1, rows: &self.rows }]
    }

    /// One transaction of `edit`; `None` when it changed nothing.
    pub fn commit(&mut self, edit: impl FnOnce(&mut RichCell)) -> Option<Commit> {
        self.cell.begin(actor_id(&self.name, &writer_id(self.writer)));
        edit(&mut self.cell);
        let made = self.cell.finish().unwrap()?;
        let commit =
            Commit { writer: self.writer, sequence: self.sequence, past: self.held.clone(), bytes: made.bytes.clone() };
        // What was made here passes the gate everywhere, and means the same there.
        assert_eq!(self.check(&commit), Ok(made.summary.clone()));
        // An entry more or less in a commit: sequences have gaps.
        self.sequence += 1 + self.sequence % 3;
        self.held.insert(commit.dot());
        let state =
            rows::record(&mut self.rows, &made.summary, &made.bytes, &writer_id(self.writer), commit.sequence).unwrap();
        self.keep(state);
        Some(commit)
    }

    pub fn check(&self, commit: &Commit) -> Result<crate::rich::change::Summary, Malformed> {
        let past = |writer: &WriterId, sequence| {
            commit.past.iter().any(|&(other, at)| writer_id(other) == *writer && at == sequence)
        };
        let origin = Origin { writer: &writer_id(commit.writer), past: &past };
        gate::check(&self.name, &self.chain(), origin, &commit.bytes).unwrap()
    }

    /// Takes a commit whose past is here.
    pub fn receive(&mut self, commit: &Commit) -> Result<(), Malformed> {
        assert!(commit.past.is_subset(&self.held) && self.held.insert(commit.dot()));
        let summary = self.check(commit)?;
        let writer = writer_id(commit.writer);
        let state = rows::record(&mut self.rows, &summary, &commit.bytes, &writer, commit.sequence).unwrap();
        self.cell.apply(1, &commit.bytes, &state).unwrap();
        self.keep(state);
        Ok(())
    }

    pub fn save(&mut self) {
        let state = rows::state(&self.rows).unwrap();
        self.cell.save(&mut self.rows, &state).unwrap();
    }

    fn keep(&mut self, state: rows::State) {
        if state.snapshot_due() {
            self.cell.save(&mut self.rows, &state).unwrap();
        }
    }

    /// Loaded anew, and every change put into automerge: a small text is otherwise shown without it.
    pub fn reloaded_into_automerge(&self) -> RichCell {
        let mut cell = self.reloaded();
        cell.save(&mut self.rows.clone(), &rows::state(&self.rows).unwrap()).unwrap();
        cell
    }

    pub fn reloaded(&self) -> RichCell {
        RichCell::load(self.name.kind, &self.chain()).unwrap()
    }
}
