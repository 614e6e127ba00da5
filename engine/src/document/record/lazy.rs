//! A record of which single fields are decoded on demand.

use std::borrow::Cow;

use super::{Field, Slots, Start, cells_of, next_field, read_commits, read_dots, start};
use crate::codec::{DecodeError, Reader};
use crate::document::state::{Cell, DocumentState, Dot};

/// A stored document. Fields are found by going through them: a record is short.
pub(crate) struct LazyState<'a> {
    /// Its generations, without fields; `None`: the first, opened, is the only one.
    outline: Option<DocumentState>,
    older: Reader<'a>,
    older_rows: u32,
    commits: Reader<'a>,
    fields: Reader<'a>,
    slots: Slots,
}

/// A field that was found.
pub(crate) struct Found<'a>(Field<'a>);

/// Goes through the fields of a record.
pub(crate) struct StoredFields<'a>(Reader<'a>, Slots);

impl<'a> StoredFields<'a> {
    /// The next field, with its slot; `None` at the end.
    pub fn next(&mut self) -> Result<Option<(u32, Found<'a>)>, DecodeError> {
        Ok(next_field(&mut self.0, self.1)?.map(|(slot, field)| (slot, Found(field))))
    }
}

impl<'a> LazyState<'a> {
    pub fn new(bytes: &'a [u8], slots: Slots) -> Result<Self, DecodeError> {
        let Start { generations, older, older_rows, commits, fields } = start(bytes)?;
        let outline = generations.map(|generations| DocumentState { generations, ..DocumentState::default() });
        Ok(Self { outline, older, older_rows, commits, fields, slots })
    }

    /// The generation that readers see, if the document is alive.
    pub fn live_generation(&self) -> Option<u64> {
        self.outline.as_ref().map_or(Some(1), DocumentState::live_generation)
    }

    /// The highest generation that any operation named.
    pub fn last_generation(&self) -> u64 {
        self.outline.as_ref().map_or(1, DocumentState::last_generation)
    }

    /// What a restore brings back (`DocumentState::restorable`).
    pub fn restorable(&self) -> Vec<u64> {
        self.outline.as_ref().map_or_else(Vec::new, DocumentState::restorable)
    }

    /// `generation` and everything it continues, ascending.
    pub fn chain(&self, generation: u64) -> Cow<'static, [u64]> {
        match &self.outline {
            None if generation == 1 => Cow::Borrowed(&[1]),
            None => Cow::Owned(vec![generation]),
            Some(outline) => Cow::Owned(outline.chain(generation)),
        }
    }

    /// Whether there was never another generation than the first, and that is open.
    pub fn is_in_first_life(&self) -> bool {
        self.outline.is_none()
    }

    /// The commits that touched the document, as far as the record lists them, and how many rows list older ones.
    pub fn touches(&self) -> Result<(Vec<Dot>, u32), DecodeError> {
        let mut touches = read_dots(self.older.clone(), self.slots)?;
        touches.extend(read_commits(&mut self.commits.clone(), self.slots)?.into_iter().map(|(dot, _)| dot));
        Ok((touches, self.older_rows))
    }

    /// How many commits without a stamp the record lists.
    pub fn older(&self) -> Result<usize, DecodeError> {
        if self.older.is_empty() { Ok(0) } else { Ok(read_dots(self.older.clone(), self.slots)?.len()) }
    }

    /// All fields by slot, ascending.
    pub fn fields(&self) -> StoredFields<'a> {
        StoredFields(self.fields.clone(), self.slots)
    }

    /// The field with that slot.
    pub fn field(&self, wanted: u32) -> Result<Option<Found<'a>>, DecodeError> {
        let mut fields = self.fields();
        while let Some((slot, field)) = fields.next()? {
            if slot >= wanted {
                return Ok((slot == wanted).then_some(field));
            }
        }
        Ok(None)
    }

    /// The cells of a field of this record.
    pub fn cells(&self, field: &Found<'a>) -> Result<Vec<Cell>, DecodeError> {
        cells_of(&field.0, &read_commits(&mut self.commits.clone(), self.slots)?, self.last_generation())
    }

    /// The encoded value of a field that holds one register with one value, in a generation of `chain`: what nearly every
    /// field is. `None` for every other field.
    pub fn plain_value(&self, field: &Found<'a>, chain: &[u64]) -> Option<Reader<'a>> {
        match &field.0 {
            Field::Plain { value, .. } if chain.last() == Some(&self.last_generation()) => Some(Reader::new(value)),
            _ => None,
        }
    }
}
