//! The stored form of a document's state. Local: slots stand for names and writers.
//!
//! Fields are length-prefixed, so a reader that wants one skips the rest.

use std::collections::BTreeMap;

use super::state::{Cell, DocumentState, Dot, Generation, Stamp};
use crate::codec::{self, DecodeError, Reader};
use crate::operation::FieldKind;
use crate::value::Value;

const VERSION: u8 = 1;
const OPENED: u8 = 1;
const CLOSED: u8 = 2;
const CONTINUES: u8 = 4;
const COVERED: u64 = 1;
const STALE: u64 = 2;

/// How many slots were given out: a record with another one is damaged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slots {
    pub names: usize,
    pub writers: usize,
}

/// The commits that a record's stamps refer to by position.
type Commits = Vec<(Dot, i64)>;

impl DocumentState {
    /// Appends the stored form to `out`.
    ///
    /// # Errors
    /// A value that the canonical encoding refuses.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), crate::value::ValueError> {
        let commits = self.commits();
        out.push(VERSION);
        codec::put_varint(out, commits.len() as u64);
        for (dot, timestamp_ms) in &commits {
            put_dot(out, *dot);
            codec::put_signed(out, *timestamp_ms);
        }
        codec::put_varint(out, u64::from(self.spilled_touches));
        codec::put_varint(out, self.touches.len() as u64);
        self.touches.iter().for_each(|dot| put_dot(out, *dot));
        codec::put_varint(out, self.generations.len() as u64);
        for (number, generation) in &self.generations {
            codec::put_varint(out, *number);
            let flags = if generation.opened { OPENED } else { 0 }
                | if generation.closed { CLOSED } else { 0 }
                | if generation.continues.is_empty() { 0 } else { CONTINUES };
            out.push(flags);
            if flags & CONTINUES != 0 {
                codec::put_varint(out, generation.continues.len() as u64);
                generation.continues.iter().for_each(|earlier| codec::put_varint(out, *earlier));
            }
        }
        codec::put_varint(out, self.fields.len() as u64);
        let mut body = Vec::new();
        for (field, cells) in &self.fields {
            codec::put_varint(out, u64::from(*field));
            body.clear();
            body.push(u8::try_from(cells.len()).unwrap_or(u8::MAX));
            for cell in cells {
                encode_cell(&mut body, cell, &commits)?;
            }
            codec::put_bytes(out, &body);
        }
        Ok(())
    }

    /// The inverse of [`DocumentState::encode`].
    ///
    /// # Errors
    /// Bytes that no encoding gives, and slots that were not given out.
    pub fn decode(bytes: &[u8], slots: Slots) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let (commits, mut state) = decode_start(&mut reader, slots)?;
        for _ in 0..reader.varint()? {
            let (field, mut body) = next_field(&mut reader, slots)?;
            state.fields.insert(field, decode_cells(&mut body, &commits)?);
        }
        reader.finish()?;
        Ok(state)
    }

    fn commits(&self) -> Commits {
        let mut commits: Commits = Vec::new();
        let stamps = self.fields.values().flatten().flat_map(|cell| {
            let adds = if let Cell::Set { elements, .. } = cell { elements.as_slice() } else { &[] };
            cell.tips().chain(adds.iter().flat_map(|(_, adds)| adds))
        });
        for stamp in stamps {
            if commits.last().is_some_and(|(dot, _)| *dot == stamp.dot) {
                continue;
            }
            if !commits.iter().any(|(dot, _)| *dot == stamp.dot) {
                commits.push((stamp.dot, stamp.timestamp_ms));
            }
        }
        commits
    }
}

/// A stored document of which single fields are decoded on demand.
pub(crate) struct LazyState<'a> {
    commits: Commits,
    /// Everything but the fields.
    pub outline: DocumentState,
    fields: Vec<(u32, Reader<'a>)>,
}

impl<'a> LazyState<'a> {
    pub fn new(bytes: &'a [u8], slots: Slots) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let (commits, outline) = decode_start(&mut reader, slots)?;
        let count = reader.varint()?;
        let mut fields = Vec::with_capacity(usize::try_from(count).unwrap_or(0).min(reader.remaining()));
        for _ in 0..count {
            fields.push(next_field(&mut reader, slots)?);
        }
        Ok(Self { commits, outline, fields })
    }

    /// The cells of one field; empty when the document does not have it.
    pub fn cells(&self, field: u32) -> Result<Vec<Cell>, DecodeError> {
        match self.fields.binary_search_by_key(&field, |(slot, _)| *slot) {
            Ok(at) => decode_cells(&mut self.fields[at].1.clone(), &self.commits),
            Err(_) => Ok(Vec::new()),
        }
    }

    /// The slots of all fields, ascending.
    pub fn slots(&self) -> impl Iterator<Item = u32> {
        self.fields.iter().map(|(slot, _)| *slot)
    }

    /// The value of a field that holds one register with one value, ready to be decoded: what nearly every field is.
    /// `None` for every other field, and for a value outside `chain`.
    pub fn sole_register(&self, field: u32, chain: &[u64]) -> Result<Option<Reader<'a>>, DecodeError> {
        let Ok(at) = self.fields.binary_search_by_key(&field, |(slot, _)| *slot) else { return Ok(None) };
        let mut reader = self.fields[at].1.clone();
        if reader.byte()? != 1 || reader.byte()? != FieldKind::Register as u8 || reader.varint()? != 1 {
            return Ok(None);
        }
        let stamp = read_stamp(&mut reader, &self.commits)?;
        Ok(chain.contains(&stamp.generation).then_some(reader))
    }
}

fn decode_start(reader: &mut Reader<'_>, slots: Slots) -> Result<(Commits, DocumentState), DecodeError> {
    if reader.byte()? != VERSION {
        return Err(DecodeError::NotCanonical { why: "the version of a document record" });
    }
    let mut commits = Commits::new();
    for _ in 0..reader.varint()? {
        commits.push((read_dot(reader, slots)?, reader.signed()?));
    }
    let spilled_touches =
        u32::try_from(reader.varint()?).map_err(|_| DecodeError::NotCanonical { why: "spilled touches" })?;
    let mut touches = Vec::new();
    for _ in 0..reader.varint()? {
        touches.push(read_dot(reader, slots)?);
    }
    let mut generations = BTreeMap::new();
    for _ in 0..reader.varint()? {
        let number = reader.varint()?;
        if number == 0 || number == u64::MAX {
            return Err(DecodeError::NotCanonical { why: "a generation's number" });
        }
        let flags = reader.byte()?;
        let mut continues = Vec::new();
        if flags & CONTINUES != 0 {
            for _ in 0..reader.varint()? {
                continues.push(reader.varint()?);
            }
        }
        generations.insert(number, Generation { opened: flags & OPENED != 0, closed: flags & CLOSED != 0, continues });
    }
    Ok((commits, DocumentState { generations, fields: BTreeMap::new(), touches, spilled_touches }))
}

fn next_field<'a>(reader: &mut Reader<'a>, slots: Slots) -> Result<(u32, Reader<'a>), DecodeError> {
    let field = read_slot(reader, slots.names, "a field's slot")?;
    Ok((field, Reader::new(reader.bytes()?)))
}

fn read_slot(reader: &mut Reader<'_>, given_out: usize, why: &'static str) -> Result<u32, DecodeError> {
    let slot = u32::try_from(reader.varint()?).ok().filter(|slot| (*slot as usize) < given_out);
    slot.ok_or(DecodeError::NotCanonical { why })
}

fn put_dot(out: &mut Vec<u8>, dot: Dot) {
    codec::put_varint(out, u64::from(dot.writer));
    codec::put_varint(out, dot.sequence);
}

fn read_dot(reader: &mut Reader<'_>, slots: Slots) -> Result<Dot, DecodeError> {
    let writer = read_slot(reader, slots.writers, "a writer's slot")?;
    Ok(Dot { writer, sequence: reader.varint()? })
}

fn put_stamp(out: &mut Vec<u8>, stamp: &Stamp, commits: &Commits) {
    let at = commits.iter().position(|(dot, _)| *dot == stamp.dot).unwrap_or(0) as u64;
    let flags = if stamp.covered { COVERED } else { 0 } | if stamp.stale { STALE } else { 0 };
    codec::put_varint(out, at << 2 | flags);
    codec::put_varint(out, stamp.generation);
}

fn read_stamp(reader: &mut Reader<'_>, commits: &Commits) -> Result<Stamp, DecodeError> {
    let word = reader.varint()?;
    let at = usize::try_from(word >> 2).unwrap_or(usize::MAX);
    let (dot, timestamp_ms) = *commits.get(at).ok_or(DecodeError::NotCanonical { why: "a stamp's commit" })?;
    let generation = reader.varint()?;
    Ok(Stamp { dot, timestamp_ms, generation, covered: word & COVERED != 0, stale: word & STALE != 0 })
}

fn put_stamps(out: &mut Vec<u8>, stamps: &[Stamp], commits: &Commits) {
    codec::put_varint(out, stamps.len() as u64);
    stamps.iter().for_each(|stamp| put_stamp(out, stamp, commits));
}

fn read_stamps(reader: &mut Reader<'_>, commits: &Commits) -> Result<Vec<Stamp>, DecodeError> {
    let mut stamps = Vec::new();
    for _ in 0..reader.varint()? {
        stamps.push(read_stamp(reader, commits)?);
    }
    Ok(stamps)
}

fn encode_cell(out: &mut Vec<u8>, cell: &Cell, commits: &Commits) -> Result<(), crate::value::ValueError> {
    out.push(cell.kind() as u8);
    match cell {
        Cell::Register(siblings) => {
            codec::put_varint(out, siblings.len() as u64);
            for (stamp, value) in siblings {
                put_stamp(out, stamp, commits);
                value.encode(out)?;
            }
        }
        Cell::Counter { sums, tips } => {
            codec::put_varint(out, sums.len() as u64);
            for (generation, sum) in sums {
                codec::put_varint(out, *generation);
                out.extend_from_slice(&sum.to_be_bytes());
            }
            put_stamps(out, tips, commits);
        }
        Cell::Set { elements, tips } => {
            codec::put_varint(out, elements.len() as u64);
            for (value, adds) in elements {
                value.encode(out)?;
                put_stamps(out, adds, commits);
            }
            put_stamps(out, tips, commits);
        }
        Cell::Rich { tips, .. } => put_stamps(out, tips, commits),
    }
    Ok(())
}

fn decode_cells(reader: &mut Reader<'_>, commits: &Commits) -> Result<Vec<Cell>, DecodeError> {
    let count = reader.byte()?;
    let mut cells = Vec::with_capacity(usize::from(count));
    for _ in 0..count {
        let kind = FieldKind::from_tag(reader.byte()?).ok_or(DecodeError::NotCanonical { why: "a cell's kind" })?;
        cells.push(decode_cell(reader, kind, commits)?);
    }
    reader.finish()?;
    Ok(cells)
}

fn decode_cell(reader: &mut Reader<'_>, kind: FieldKind, commits: &Commits) -> Result<Cell, DecodeError> {
    Ok(match kind {
        FieldKind::Register => {
            let mut siblings = Vec::new();
            for _ in 0..reader.varint()? {
                siblings.push((read_stamp(reader, commits)?, Value::decode(reader)?));
            }
            Cell::Register(siblings)
        }
        FieldKind::Counter => {
            let mut sums = BTreeMap::new();
            for _ in 0..reader.varint()? {
                sums.insert(reader.varint()?, i128::from_be_bytes(reader.array()?));
            }
            Cell::Counter { sums, tips: read_stamps(reader, commits)? }
        }
        FieldKind::Set => {
            let mut elements = Vec::new();
            for _ in 0..reader.varint()? {
                elements.push((Value::decode(reader)?, read_stamps(reader, commits)?));
            }
            Cell::Set { elements, tips: read_stamps(reader, commits)? }
        }
        FieldKind::Text | FieldKind::Json => Cell::Rich { kind, tips: read_stamps(reader, commits)? },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_with_a_slot_that_was_not_given_out_is_damaged() {
        let mut state = DocumentState::default();
        let dot = Dot { writer: 2, sequence: 7 };
        let stamp = Stamp { dot, timestamp_ms: 1, generation: 1, covered: false, stale: false };
        state.open(1, None);
        *state.cell_mut(3, FieldKind::Register) = Cell::Register(vec![(stamp, Value::Int(1))]);
        let mut bytes = Vec::new();
        state.encode(&mut bytes).unwrap();
        assert!(DocumentState::decode(&bytes, Slots { names: 4, writers: 3 }).is_ok_and(|read| read == state));
        for slots in [Slots { names: 3, writers: 3 }, Slots { names: 4, writers: 2 }] {
            assert!(DocumentState::decode(&bytes, slots).is_err(), "{slots:?}");
            assert!(LazyState::new(&bytes, slots).is_err(), "{slots:?}");
        }
    }
}
