//! The stored form of a document's state. Local: slots stand for names and writers. `docs/spec/file.md` has the layout.
//!
//! Nearly every field is one register with one value that nothing has marked. Such a field is written plainly, so that it can be
//! shown, and written again, without building its cells.

pub(crate) mod lazy;
pub(crate) mod plain;

use std::collections::BTreeMap;

use super::state::{Cell, DocumentState, Dot, Generation, Stamp};
use crate::codec::{self, DecodeError, Reader};
use crate::operation::FieldKind;
use crate::value::{Value, ValueError};

const VERSION: u8 = 2;
const OPENED: u8 = 1;
const CLOSED: u8 = 2;
const CONTINUES: u8 = 4;
/// In the first word: commits without a stamp follow the generations.
const OLDER: u64 = 1;
const COVERED: u64 = 1;
const STALE: u64 = 2;
/// In a field's word: its cells follow, behind their length.
const CELLS: u64 = 1;
/// In a plain field's word: the position of its commit follows. Without it, it is 0.
const LATER: u64 = 2;

/// How many slots were given out: a record with another one is damaged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slots {
    pub names: usize,
    pub writers: usize,
}

impl Slots {
    /// For a record whose slots were checked when it was read.
    pub const CHECKED: Self = Self { names: usize::MAX, writers: usize::MAX };
}

/// The commits that a record's stamps refer to by position.
pub(crate) type Commits = Vec<(Dot, i64)>;

/// A field as it stands in a record.
enum Field<'a> {
    /// One register with one value, written in the record's last generation and not marked: the position of its commit, and the value.
    Plain { commit: usize, value: &'a [u8] },
    /// Cells, encoded.
    Cells(Reader<'a>),
}

impl DocumentState {
    /// Appends the stored form to `out`. A state without generations, which is that of a document that nothing named, has none.
    ///
    /// # Errors
    /// A value that the canonical encoding refuses.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), ValueError> {
        let commits = self.commits();
        let position = |dot| commits.iter().position(|(other, _)| *other == dot).unwrap_or(0);
        let last = self.last_generation();
        out.push(VERSION);
        put_outline(out, Some(&self.generations), &self.older, self.older_rows);
        put_commits(out, commits.iter());
        let mut body = Vec::new();
        for (slot, cells) in &self.fields {
            if let Some((stamp, value)) = plain_of(cells, last) {
                put_plain(out, *slot, position(stamp.dot));
                value.encode(out)?;
                continue;
            }
            codec::put_varint(out, u64::from(*slot) << 2 | CELLS);
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
        let Start { generations, older, older_rows, mut commits, mut fields } = start(bytes)?;
        let generations = generations.unwrap_or_else(|| [(1, Generation::first())].into());
        let mut state = Self { generations, fields: BTreeMap::new(), older: read_dots(older, slots)?, older_rows };
        let (last, commits) = (state.last_generation(), read_commits(&mut commits, slots)?);
        while let Some((slot, field)) = next_field(&mut fields, slots)? {
            state.fields.insert(slot, cells_of(&field, &commits, last)?);
        }
        Ok(state)
    }

    /// The commits of all stamps, in the order in which the fields first name them.
    pub fn commits(&self) -> Commits {
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

/// The stamp and the value of a field that is written plainly.
fn plain_of(cells: &[Cell], last_generation: u64) -> Option<&(Stamp, Value)> {
    let [Cell::Register(siblings)] = cells else { return None };
    let [only] = siblings.as_slice() else { return None };
    let (stamp, _) = only;
    (stamp.generation == last_generation && !stamp.covered && !stamp.stale).then_some(only)
}

/// The parts of a record.
struct Start<'a> {
    /// `None`: the first generation, opened, is the only one.
    generations: Option<BTreeMap<u64, Generation>>,
    older: Reader<'a>,
    older_rows: u32,
    commits: Reader<'a>,
    fields: Reader<'a>,
}

fn start(bytes: &[u8]) -> Result<Start<'_>, DecodeError> {
    let mut reader = Reader::new(bytes);
    if reader.byte()? != VERSION {
        return Err(DecodeError::NotCanonical { why: "the version of a document record" });
    }
    let word = reader.varint()?;
    let generations = read_generations(&mut reader, word >> 1)?;
    let (mut older, mut older_rows) = (Reader::new(&[]), 0);
    if word & OLDER != 0 {
        older_rows = u32::try_from(reader.varint()?).map_err(|_| DecodeError::NotCanonical { why: "rows" })?;
        older = Reader::new(reader.bytes()?);
    }
    let commits = Reader::new(reader.bytes()?);
    Ok(Start { generations, older, older_rows, commits, fields: reader })
}

/// Generations and the commits without a stamp. `None` and a count of 0 stand for what nearly every record has: the first
/// generation, opened, and no other.
fn put_outline(out: &mut Vec<u8>, generations: Option<&BTreeMap<u64, Generation>>, older: &[Dot], older_rows: u32) {
    let is_first_life = |all: &&BTreeMap<u64, Generation>| all.len() != 1 || all.get(&1) != Some(&Generation::first());
    let generations = generations.filter(is_first_life);
    let has_older = !older.is_empty() || older_rows > 0;
    let count = generations.map_or(0, BTreeMap::len) as u64;
    codec::put_varint(out, count << 1 | if has_older { OLDER } else { 0 });
    for (number, generation) in generations.into_iter().flatten() {
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
    if has_older {
        codec::put_varint(out, u64::from(older_rows));
        codec::put_bytes(out, &dots_row(older));
    }
}

fn read_generations(reader: &mut Reader<'_>, count: u64) -> Result<Option<BTreeMap<u64, Generation>>, DecodeError> {
    let mut generations = BTreeMap::new();
    for _ in 0..count {
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
    Ok((count > 0).then_some(generations))
}

fn slot_of(number: u64, given_out: usize, why: &'static str) -> Result<u32, DecodeError> {
    let slot = u32::try_from(number).ok().filter(|slot| (*slot as usize) < given_out);
    slot.ok_or(DecodeError::NotCanonical { why })
}

fn put_dot(out: &mut Vec<u8>, dot: Dot) {
    codec::put_varint(out, u64::from(dot.writer));
    codec::put_varint(out, dot.sequence);
}

fn read_dot(reader: &mut Reader<'_>, slots: Slots) -> Result<Dot, DecodeError> {
    let writer = slot_of(reader.varint()?, slots.writers, "a writer's slot")?;
    Ok(Dot { writer, sequence: reader.varint()? })
}

/// Dots after one another, as a row of older commits and as they stand in a record.
pub(crate) fn read_dots(mut reader: Reader<'_>, slots: Slots) -> Result<Vec<Dot>, DecodeError> {
    let mut dots = Vec::new();
    while !reader.is_empty() {
        dots.push(read_dot(&mut reader, slots)?);
    }
    Ok(dots)
}

/// The inverse of [`read_dots`].
pub(crate) fn dots_row(dots: &[Dot]) -> Vec<u8> {
    let mut row = Vec::new();
    dots.iter().for_each(|dot| put_dot(&mut row, *dot));
    row
}

/// Behind their length in bytes. Every timestamp but the first as its distance from the one before.
fn put_commits<'c>(out: &mut Vec<u8>, commits: impl Iterator<Item = &'c (Dot, i64)>) {
    // One byte for the length, as nearly always; a longer one moves what was written.
    let start = out.len();
    out.push(0);
    let mut before = 0;
    for (dot, timestamp_ms) in commits {
        put_dot(out, *dot);
        codec::put_signed(out, timestamp_ms.wrapping_sub(before));
        before = *timestamp_ms;
    }
    let written = out.len() - start - 1;
    if written < 0x80 {
        out[start] = written as u8;
    } else {
        let commits = out.split_off(start + 1);
        out.truncate(start);
        codec::put_bytes(out, &commits);
    }
}

fn read_commits(reader: &mut Reader<'_>, slots: Slots) -> Result<Commits, DecodeError> {
    let mut commits = Commits::new();
    let mut before = 0i64;
    while !reader.is_empty() {
        let dot = read_dot(reader, slots)?;
        before = before.wrapping_add(reader.signed()?);
        commits.push((dot, before));
    }
    Ok(commits)
}

/// What stands before the value of a plain field.
fn put_plain(out: &mut Vec<u8>, slot: u32, commit: usize) {
    let word = u64::from(slot) << 2;
    if commit == 0 {
        return codec::put_varint(out, word);
    }
    codec::put_varint(out, word | LATER);
    codec::put_varint(out, commit as u64);
}

/// The next field, by slot; `None` at the end.
fn next_field<'a>(reader: &mut Reader<'a>, slots: Slots) -> Result<Option<(u32, Field<'a>)>, DecodeError> {
    if reader.is_empty() {
        return Ok(None);
    }
    let word = reader.varint()?;
    let slot = slot_of(word >> 2, slots.names, "a field's slot")?;
    if word & CELLS != 0 {
        return Ok(Some((slot, Field::Cells(Reader::new(reader.bytes()?)))));
    }
    let commit = if word & LATER == 0 { 0 } else { usize::try_from(reader.varint()?).unwrap_or(usize::MAX) };
    Ok(Some((slot, Field::Plain { commit, value: Value::skip(reader)? })))
}

fn commit_at(commits: &Commits, at: usize) -> Result<(Dot, i64), DecodeError> {
    commits.get(at).copied().ok_or(DecodeError::NotCanonical { why: "a stamp's commit" })
}

/// The cells of a field of a record whose last generation is `last`.
fn cells_of(field: &Field<'_>, commits: &Commits, last: u64) -> Result<Vec<Cell>, DecodeError> {
    match field {
        Field::Cells(cells) => decode_cells(&mut cells.clone(), commits),
        Field::Plain { commit, value } => {
            let (dot, timestamp_ms) = commit_at(commits, *commit)?;
            let stamp = Stamp { dot, timestamp_ms, generation: last, covered: false, stale: false };
            Ok(vec![Cell::Register(vec![(stamp, Value::from_bytes(value)?)])])
        }
    }
}

fn put_stamp(out: &mut Vec<u8>, stamp: &Stamp, commits: &Commits) {
    let at = commits.iter().position(|(dot, _)| *dot == stamp.dot).unwrap_or(0) as u64;
    let flags = if stamp.covered { COVERED } else { 0 } | if stamp.stale { STALE } else { 0 };
    codec::put_varint(out, at << 2 | flags);
    codec::put_varint(out, stamp.generation);
}

fn read_stamp(reader: &mut Reader<'_>, commits: &Commits) -> Result<Stamp, DecodeError> {
    let word = reader.varint()?;
    let (dot, timestamp_ms) = commit_at(commits, usize::try_from(word >> 2).unwrap_or(usize::MAX))?;
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

fn encode_cell(out: &mut Vec<u8>, cell: &Cell, commits: &Commits) -> Result<(), ValueError> {
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
mod tests;
