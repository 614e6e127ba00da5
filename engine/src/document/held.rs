//! A document while commits are folded into it: as its record for as long as that will do, else as its state.

use std::borrow::Cow;

use super::fold::{CellEdit, Origin};
use super::record::lazy::LazyState;
use super::record::{Slots, plain};
use super::state::{Cell, DocumentState, Dot, supersede};
use super::view::{self, Writers};
use crate::codec::DecodeError;
use crate::operation::{Action, FieldKind, FieldOp, Operation};
use crate::value::{Value, ValueError};

/// One document.
#[derive(Debug, Clone, Default)]
pub(crate) enum Held {
    /// Nothing has named it.
    #[default]
    Nothing,
    /// As it is stored.
    Record(Vec<u8>),
    State(Box<DocumentState>),
}

impl Held {
    /// A document as it was read from the table.
    ///
    /// # Errors
    /// Bytes that no encoding gives, as far as that shows without decoding the fields, and slots that were not given out.
    pub fn stored(record: &[u8], slots: Slots) -> Result<Self, DecodeError> {
        let lazy = LazyState::new(record, slots)?;
        lazy.touches()?;
        let mut fields = lazy.fields();
        while fields.next()?.is_some() {}
        Ok(Self::Record(record.to_vec()))
    }

    /// The generation that readers see, if the document is alive.
    pub fn live_generation(&self) -> Result<Option<u64>, DecodeError> {
        Ok(match self {
            Self::Nothing => None,
            Self::Record(record) => LazyState::new(record, Slots::CHECKED)?.live_generation(),
            Self::State(state) => state.live_generation(),
        })
    }

    /// What a restore brings back (`DocumentState::restorable`).
    pub fn restorable(&self) -> Result<Vec<u64>, DecodeError> {
        Ok(match self {
            Self::Nothing => Vec::new(),
            Self::Record(record) => LazyState::new(record, Slots::CHECKED)?.restorable(),
            Self::State(state) => state.restorable(),
        })
    }

    /// The highest generation that any operation named.
    pub fn last_generation(&self) -> Result<u64, DecodeError> {
        Ok(match self {
            Self::Nothing => 0,
            Self::Record(record) => LazyState::new(record, Slots::CHECKED)?.last_generation(),
            Self::State(state) => state.last_generation(),
        })
    }

    /// `generation` and everything it continues, ascending.
    pub fn chain(&self, generation: u64) -> Result<Cow<'static, [u64]>, DecodeError> {
        Ok(match self {
            Self::Nothing => Cow::Owned(vec![generation]),
            Self::Record(record) => LazyState::new(record, Slots::CHECKED)?.chain(generation),
            Self::State(state) => Cow::Owned(state.chain(generation)),
        })
    }

    /// The cells of one field; empty when the document does not have it.
    pub fn cells(&self, field: u32) -> Result<Cow<'_, [Cell]>, DecodeError> {
        Ok(match self {
            Self::Nothing => Cow::Borrowed(&[]),
            Self::Record(record) => {
                let lazy = LazyState::new(record, Slots::CHECKED)?;
                let found = lazy.field(field)?;
                Cow::Owned(found.map(|found| lazy.cells(&found)).transpose()?.unwrap_or_default())
            }
            Self::State(state) => Cow::Borrowed(state.fields.get(&field).map(Vec::as_slice).unwrap_or_default()),
        })
    }

    /// The kind of cell that a field shows where no schema declares one; `None`: it shows nothing.
    pub fn shown_kind(&self, field: u32, writers: &impl Writers) -> Result<Option<FieldKind>, DecodeError> {
        let Some(live) = self.live_generation()? else { return Ok(None) };
        let chain = self.chain(live)?;
        if let Self::Record(record) = self {
            let lazy = LazyState::new(record, Slots::CHECKED)?;
            let Some(found) = lazy.field(field)? else { return Ok(None) };
            if lazy.plain_value(&found, &chain).is_some() {
                return Ok(Some(FieldKind::Register));
            }
        }
        Ok(view::shown_cell(&self.cells(field)?, &chain, None, writers).map(Cell::kind))
    }

    /// All of its state.
    pub fn state(&self) -> Result<Cow<'_, DocumentState>, DecodeError> {
        Ok(match self {
            Self::Nothing => Cow::Owned(DocumentState::default()),
            Self::Record(record) => Cow::Owned(DocumentState::decode(record, Slots::CHECKED)?),
            Self::State(state) => Cow::Borrowed(state),
        })
    }

    /// Takes the oldest commits without a stamp out of a list that is too long, with the number of the row that they
    /// belong to.
    pub fn take_older(&mut self) -> Result<Option<(u32, Vec<Dot>)>, DecodeError> {
        let count = match self {
            Self::Nothing => 0,
            Self::Record(record) => LazyState::new(record, Slots::CHECKED)?.older()?,
            Self::State(state) => state.older.len(),
        };
        if count <= DocumentState::OLDER_INLINE {
            return Ok(None);
        }
        let state = self.state_mut()?;
        let row = state.older_rows;
        state.older_rows += 1;
        Ok(Some((row, state.older.drain(..DocumentState::OLDER_INLINE).collect())))
    }

    /// Its record.
    ///
    /// # Errors
    /// A value that the canonical encoding refuses.
    pub fn record(&self) -> Result<Cow<'_, [u8]>, ValueError> {
        match self {
            Self::Nothing => Ok(Cow::Borrowed(&[])),
            Self::Record(record) => Ok(Cow::Borrowed(record)),
            Self::State(state) => {
                let mut record = Vec::new();
                state.encode(&mut record)?;
                Ok(Cow::Owned(record))
            }
        }
    }

    /// Folds one operation. `writes` are its field writes with the slots of their names.
    pub fn fold(
        &mut self,
        operation: &Operation,
        writes: &[(u32, &FieldOp)],
        origin: &Origin<'_>,
    ) -> Result<(), DecodeError> {
        if let Some(record) = self.written_plainly(operation, writes, origin)? {
            *self = Self::Record(record);
            return Ok(());
        }
        let generation = operation.generation;
        let state = self.state_mut()?;
        let before = state.commits();
        match &operation.action {
            Action::Insert(_) => state.open(generation, None),
            Action::Edit(_) => {}
            Action::Restore { continues } => state.open(generation, Some(*continues)),
            Action::Delete => state.close(generation, origin),
        }
        for (field, write) in writes {
            state.edit(generation, *field, &CellEdit::of(write), origin);
        }
        let named = state.commits();
        let is_named = |dot| named.iter().any(|(other, _)| *other == dot);
        supersede(&mut state.older, before.into_iter().map(|(dot, _)| dot), is_named, origin.dot);
        Ok(())
    }

    fn state_mut(&mut self) -> Result<&mut DocumentState, DecodeError> {
        if !matches!(self, Self::State(_)) {
            *self = Self::State(Box::new(self.state()?.into_owned()));
        }
        let Self::State(state) = self else { unreachable!("made above") };
        Ok(state)
    }

    fn written_plainly(
        &self,
        operation: &Operation,
        writes: &[(u32, &FieldOp)],
        origin: &Origin<'_>,
    ) -> Result<Option<Vec<u8>>, DecodeError> {
        let generation = operation.generation;
        match (self, &operation.action) {
            (Self::Nothing, Action::Insert(_)) => {
                Ok(sets_of(writes).and_then(|sets| plain::inserted(generation, &sets, origin)))
            }
            (Self::Record(record), Action::Edit(_)) => {
                sets_of(writes).map_or(Ok(None), |sets| plain::edited(record, generation, &sets, origin))
            }
            _ => Ok(None),
        }
    }
}

/// The writes by slot, when all of them set registers.
fn sets_of<'w>(writes: &[(u32, &'w FieldOp)]) -> Option<Vec<(u32, &'w Value)>> {
    let mut sets = Vec::with_capacity(writes.len());
    for (field, write) in writes {
        let FieldOp::Set(value) = *write else { return None };
        sets.push((*field, value));
    }
    sets.sort_unstable_by_key(|(field, _)| *field);
    Some(sets)
}
