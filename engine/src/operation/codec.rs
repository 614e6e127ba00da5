//! The commit stream: a commit's operations as canonical bytes, and back.
//!
//! | part | layout |
//! |---|---|
//! | version | one byte, [`VERSION`] |
//! | names | count; length and UTF-8 each: the names of collections and fields, in the order of their first use |
//! | operations | one after the other, to the end |
//!
//! An operation is a varint `collection << 4 | later << 3 | action`, where `collection` is a position among the names;
//! the generation as a varint if `later` is set, which it is when the generation isn't 1; the document id behind its
//! length; and what the action needs:
//!
//! | action | | what follows |
//! |---|---|---|
//! | 0 | insert | count, field writes |
//! | 1 | edit | count (not 0), field writes |
//! | 2 | delete | |
//! | 3 | restore | the generation it continues |
//!
//! A field write is a varint `field << 3 | write`, where `field` is a position among the names, and its payload:
//!
//! | write | | what follows |
//! |---|---|---|
//! | 0 | register: set | value |
//! | 1 | register: clear | |
//! | 2 | counter: add | zigzag varint |
//! | 3 | set: include | count (not 0), values, strictly ascending |
//! | 4 | set: exclude | count (not 0), values, strictly ascending |
//! | 5 | text: change | length, bytes |
//! | 6 | json: change | length, bytes |
//!
//! The numbers of actions, writes and value tags that are still free belong to later versions of this software: who
//! meets one must not guess, so they are [`StreamError::Unknown`], not malformed.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};

use super::{Action, FieldKind, FieldOp, Operation};
use crate::codec::{DecodeError, Reader, put_bytes, put_signed, put_varint};
use crate::id::DocumentId;
use crate::value::{Value, ValueError};

/// The version of the layout.
pub const VERSION: u8 = 1;
/// The largest commit, in bytes of its stream.
pub const MAX_COMMIT_BYTES: usize = 16 << 20;
/// The most operations in one commit.
pub const MAX_OPERATIONS: usize = 1 << 18;
/// The most field writes in one operation.
pub const MAX_FIELDS: usize = 4096;
/// The most field writes in one commit.
pub const MAX_FIELD_WRITES: usize = 1 << 20;
/// The longest name of a collection or a field, in bytes of UTF-8.
pub const MAX_NAME_BYTES: usize = Value::MAX_NAME_BYTES;
/// The largest change of a text or json field, in bytes.
pub const MAX_CHANGE_BYTES: usize = Value::MAX_BYTES;

const INSERT: u64 = 0;
const EDIT: u64 = 1;
const DELETE: u64 = 2;
const RESTORE: u64 = 3;
const ACTION_BITS: u32 = 3;
const LATER: u64 = 1 << ACTION_BITS;

const SET: u64 = 0;
const CLEAR: u64 = 1;
const ADD: u64 = 2;
const INCLUDE: u64 = 3;
const EXCLUDE: u64 = 4;
const TEXT: u64 = 5;
const JSON: u64 = 6;
const WRITE_BITS: u32 = 3;

/// Why operations can't be written as a commit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OperationError {
    /// A commit does something.
    #[error("a commit without an operation")]
    Empty,
    /// A name of a collection or a field is empty or too long.
    #[error("a name has 1 to {MAX_NAME_BYTES} bytes, this one has {length}: {start:?}")]
    Name {
        /// Its length in bytes.
        length: usize,
        /// Its first 40 characters.
        start: String,
    },
    /// A generation is 0, or a restore continues one that is not before its own.
    #[error("{id}: generations count from 1, and a restore continues an earlier one")]
    Generation {
        /// The document.
        id: DocumentId,
    },
    /// An edit, include or exclude without content.
    #[error("{id}: an edit, include or exclude that does nothing")]
    NoEffect {
        /// The document.
        id: DocumentId,
    },
    /// One operation writes the same cell twice.
    #[error("{id}: one operation writes field {field} twice")]
    Duplicate {
        /// The document.
        id: DocumentId,
        /// The field.
        field: String,
    },
    /// The elements of an include or exclude don't ascend; [`FieldOp::include`] and [`FieldOp::exclude`] order them.
    #[error("{id}: field {field}: the elements of a set ascend and are different")]
    Elements {
        /// The document.
        id: DocumentId,
        /// The field.
        field: String,
    },
    /// A value can't be stored.
    #[error("{id}: field {field}: {source}")]
    Value {
        /// The document.
        id: DocumentId,
        /// The field.
        field: String,
        /// Why not.
        source: ValueError,
    },
    /// A limit is exceeded.
    #[error("{what} exceeds the limit of {limit}; split the transaction")]
    TooLarge {
        /// What.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
}

/// Why bytes are not a commit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// No version of this software writes these bytes.
    #[error("a malformed commit: {why}")]
    Malformed {
        /// Which rule is broken.
        why: String,
    },
    /// Newer software wrote this. It must not be skipped.
    #[error("a commit of newer software ({what}); upgrade")]
    Unknown {
        /// What isn't known.
        what: String,
    },
}

impl From<DecodeError> for StreamError {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Tag { tag } => Self::Unknown { what: format!("value tag {tag:#04x}") },
            error => Self::Malformed { why: error.to_string() },
        }
    }
}

fn malformed(why: impl Into<String>) -> StreamError {
    StreamError::Malformed { why: why.into() }
}

/// Encodes the operations of one commit.
///
/// # Errors
/// [`OperationError`] for whatever [`decode_commit`] would refuse.
pub fn encode_commit(operations: &[Operation]) -> Result<Vec<u8>, OperationError> {
    if operations.is_empty() {
        return Err(OperationError::Empty);
    }
    at_most(operations.len(), "the number of operations in a commit", MAX_OPERATIONS)?;
    let mut encoder = Encoder::default();
    for operation in operations {
        encoder.operation(operation)?;
        at_most(encoder.body.len(), "the size of a commit in bytes", MAX_COMMIT_BYTES)?;
    }
    at_most(encoder.writes, "the number of field writes in a commit", MAX_FIELD_WRITES)?;
    let mut out =
        Vec::with_capacity(encoder.body.len() + encoder.names.iter().map(|name| name.len() + 2).sum::<usize>());
    out.push(VERSION);
    put_varint(&mut out, encoder.names.len() as u64);
    encoder.names.iter().for_each(|name| put_bytes(&mut out, name.as_bytes()));
    out.extend_from_slice(&encoder.body);
    at_most(out.len(), "the size of a commit in bytes", MAX_COMMIT_BYTES)?;
    Ok(out)
}

fn at_most(size: usize, what: &'static str, limit: usize) -> Result<(), OperationError> {
    if size <= limit { Ok(()) } else { Err(OperationError::TooLarge { what, limit }) }
}

#[derive(Default)]
struct Encoder<'a> {
    names: Vec<&'a str>,
    positions: HashMap<&'a str, u64>,
    body: Vec<u8>,
    writes: usize,
}

impl<'a> Encoder<'a> {
    fn position(&mut self, name: &'a str) -> Result<u64, OperationError> {
        if let Some(position) = self.positions.get(name) {
            return Ok(*position);
        }
        if name.is_empty() || name.len() > MAX_NAME_BYTES {
            return Err(OperationError::Name { length: name.len(), start: name.chars().take(40).collect() });
        }
        let position = self.names.len() as u64;
        self.names.push(name);
        self.positions.insert(name, position);
        Ok(position)
    }

    fn operation(&mut self, operation: &'a Operation) -> Result<(), OperationError> {
        let Operation { collection, id, generation, action } = operation;
        let (code, writes) = match action {
            Action::Insert(writes) => (INSERT, Some(writes)),
            Action::Edit(writes) if writes.is_empty() => return Err(OperationError::NoEffect { id: id.clone() }),
            Action::Edit(writes) => (EDIT, Some(writes)),
            Action::Delete => (DELETE, None),
            Action::Restore { .. } => (RESTORE, None),
        };
        let later = if *generation == 1 { 0 } else { LATER };
        let position = self.position(collection)?;
        put_varint(&mut self.body, position << (ACTION_BITS + 1) | later | code);
        if later != 0 {
            put_varint(&mut self.body, *generation);
        }
        put_bytes(&mut self.body, id.as_str().as_bytes());
        if let Action::Restore { continues } = action {
            put_varint(&mut self.body, *continues);
        }
        let generations_fit = match action {
            Action::Restore { continues } => (1..*generation).contains(continues),
            _ => *generation >= 1,
        };
        if !generations_fit {
            return Err(OperationError::Generation { id: id.clone() });
        }
        writes.map_or(Ok(()), |writes| self.writes(id, writes))
    }

    fn writes(&mut self, id: &DocumentId, writes: &'a [(String, FieldOp)]) -> Result<(), OperationError> {
        at_most(writes.len(), "the number of field writes in an operation", MAX_FIELDS)?;
        self.writes += writes.len();
        let mut cells = Cells::new(writes.len());
        put_varint(&mut self.body, writes.len() as u64);
        for (field, write) in writes {
            let position = self.position(field)?;
            if !cells.first_write(position, write.kind()) {
                return Err(OperationError::Duplicate { id: id.clone(), field: field.clone() });
            }
            self.write(position, write).map_err(|refusal| refusal.at(id, field))?;
        }
        Ok(())
    }

    fn write(&mut self, position: u64, write: &FieldOp) -> Result<(), Refusal> {
        let head = position << WRITE_BITS;
        match write {
            FieldOp::Set(value) => {
                put_varint(&mut self.body, head | SET);
                value.encode(&mut self.body)?;
            }
            FieldOp::Clear => put_varint(&mut self.body, head | CLEAR),
            FieldOp::Add(amount) => {
                put_varint(&mut self.body, head | ADD);
                put_signed(&mut self.body, *amount);
            }
            FieldOp::Include(values) => self.elements(head | INCLUDE, values)?,
            FieldOp::Exclude(values) => self.elements(head | EXCLUDE, values)?,
            FieldOp::Text(change) => self.change(head | TEXT, change)?,
            FieldOp::Json(change) => self.change(head | JSON, change)?,
        }
        Ok(())
    }

    fn elements(&mut self, head: u64, values: &[Value]) -> Result<(), Refusal> {
        if values.is_empty() {
            return Err(Refusal::NoEffect);
        }
        if !ascend(values) {
            return Err(Refusal::Elements);
        }
        put_varint(&mut self.body, head);
        put_varint(&mut self.body, values.len() as u64);
        Ok(values.iter().try_for_each(|value| value.encode(&mut self.body))?)
    }

    fn change(&mut self, head: u64, change: &[u8]) -> Result<(), Refusal> {
        if change.is_empty() {
            return Err(Refusal::NoEffect);
        }
        if change.len() > MAX_CHANGE_BYTES {
            return Err(Refusal::ChangeSize);
        }
        put_varint(&mut self.body, head);
        put_bytes(&mut self.body, change);
        Ok(())
    }
}

/// An [`OperationError`] that does not know its place yet.
enum Refusal {
    NoEffect,
    Elements,
    ChangeSize,
    Value(ValueError),
}

impl From<ValueError> for Refusal {
    fn from(source: ValueError) -> Self {
        Self::Value(source)
    }
}

impl Refusal {
    fn at(self, id: &DocumentId, field: &str) -> OperationError {
        let (id, field) = (id.clone(), field.to_owned());
        match self {
            Self::NoEffect => OperationError::NoEffect { id },
            Self::Elements => OperationError::Elements { id, field },
            Self::ChangeSize => {
                OperationError::TooLarge { what: "the size of a text or json change in bytes", limit: MAX_CHANGE_BYTES }
            }
            Self::Value(source) => OperationError::Value { id, field, source },
        }
    }
}

fn ascend(values: &[Value]) -> bool {
    values.is_sorted_by(|a, b| a.total_cmp(b) == Ordering::Less)
}

/// The cells that one operation writes: a few are compared one by one, many are looked up.
enum Cells {
    Few(Vec<(u64, FieldKind)>),
    Many(BTreeSet<(u64, FieldKind)>),
}

impl Cells {
    const FEW: usize = 16;

    fn new(writes: usize) -> Self {
        if writes <= Self::FEW { Self::Few(Vec::with_capacity(writes)) } else { Self::Many(BTreeSet::new()) }
    }

    fn first_write(&mut self, position: u64, kind: FieldKind) -> bool {
        let cell = (position, kind);
        match self {
            Self::Few(cells) if cells.contains(&cell) => false,
            Self::Few(cells) => {
                cells.push(cell);
                true
            }
            Self::Many(cells) => cells.insert(cell),
        }
    }
}

/// Decodes one commit. Only what [`encode_commit`] writes is accepted, so encoding the result gives the same bytes.
///
/// # Errors
/// [`StreamError::Unknown`] where newer software used a number that is still free here, [`StreamError::Malformed`]
/// for everything else.
pub fn decode_commit(bytes: &[u8]) -> Result<Vec<Operation>, StreamError> {
    if bytes.len() > MAX_COMMIT_BYTES {
        return Err(malformed("more than 16 MiB"));
    }
    let mut reader = Reader::new(bytes);
    match reader.byte()? {
        VERSION => {}
        0 => return Err(malformed("version 0")),
        version => return Err(StreamError::Unknown { what: format!("version {version}") }),
    }
    let mut decoder = Decoder { names: read_names(&mut reader)?, reader, used: 0, writes: 0 };
    let mut operations = Vec::new();
    while !decoder.reader.is_empty() {
        if operations.len() == MAX_OPERATIONS {
            return Err(malformed("too many operations"));
        }
        operations.push(decoder.operation()?);
    }
    if operations.is_empty() {
        return Err(malformed("no operation"));
    }
    if decoder.used < decoder.names.len() {
        return Err(malformed("a name that is not used"));
    }
    Ok(operations)
}

fn read_names<'a>(reader: &mut Reader<'a>) -> Result<Vec<&'a str>, StreamError> {
    let count = reader.count(2)?;
    let mut names = Vec::with_capacity(count);
    for _ in 0..count {
        let name = reader.text()?;
        if name.is_empty() || name.len() > MAX_NAME_BYTES {
            return Err(malformed("an empty or overlong name"));
        }
        names.push(name);
    }
    if names.iter().collect::<BTreeSet<_>>().len() < names.len() {
        return Err(malformed("a name that is listed twice"));
    }
    Ok(names)
}

struct Decoder<'a> {
    names: Vec<&'a str>,
    reader: Reader<'a>,
    /// How many names were used so far: they are listed in the order of their first use.
    used: usize,
    /// How many field writes there were so far.
    writes: usize,
}

impl Decoder<'_> {
    fn name(&mut self, position: u64) -> Result<String, StreamError> {
        let index = usize::try_from(position).ok().filter(|index| *index <= self.used);
        let name = index.and_then(|index| self.names.get(index)).ok_or_else(|| malformed("a name out of order"))?;
        if index == Some(self.used) {
            self.used += 1;
        }
        Ok((*name).to_owned())
    }

    fn operation(&mut self) -> Result<Operation, StreamError> {
        let head = self.reader.varint()?;
        let action = head & (LATER - 1);
        if action > RESTORE {
            return Err(StreamError::Unknown { what: format!("action {action}") });
        }
        let collection = self.name(head >> (ACTION_BITS + 1))?;
        let generation = if head & LATER == 0 { 1 } else { self.reader.varint()? };
        if head & LATER != 0 && generation < 2 {
            return Err(malformed("a generation below 2 that is spelled out"));
        }
        let id = DocumentId::new(self.reader.text()?).map_err(|error| malformed(error.to_string()))?;
        let action = match action {
            INSERT => Action::Insert(self.writes()?),
            EDIT => match self.writes()? {
                writes if writes.is_empty() => return Err(malformed("an edit of nothing")),
                writes => Action::Edit(writes),
            },
            DELETE => Action::Delete,
            _ => match self.reader.varint()? {
                continues if (1..generation).contains(&continues) => Action::Restore { continues },
                _ => return Err(malformed("a restore that does not continue an earlier generation")),
            },
        };
        Ok(Operation { collection, id, generation, action })
    }

    fn writes(&mut self) -> Result<Vec<(String, FieldOp)>, StreamError> {
        let count = self.reader.count(1)?;
        self.writes += count;
        if count > MAX_FIELDS || self.writes > MAX_FIELD_WRITES {
            return Err(malformed("too many field writes"));
        }
        let mut cells = Cells::new(count);
        let mut writes = Vec::with_capacity(count);
        for _ in 0..count {
            let head = self.reader.varint()?;
            let position = head >> WRITE_BITS;
            let field = self.name(position)?;
            let write = self.write(head & ((1 << WRITE_BITS) - 1))?;
            if !cells.first_write(position, write.kind()) {
                return Err(malformed("two writes to one cell in one operation"));
            }
            writes.push((field, write));
        }
        Ok(writes)
    }

    fn write(&mut self, code: u64) -> Result<FieldOp, StreamError> {
        Ok(match code {
            SET => FieldOp::Set(Value::decode(&mut self.reader)?),
            CLEAR => FieldOp::Clear,
            ADD => FieldOp::Add(self.reader.signed()?),
            INCLUDE => FieldOp::Include(self.elements()?),
            EXCLUDE => FieldOp::Exclude(self.elements()?),
            TEXT => FieldOp::Text(self.change()?),
            JSON => FieldOp::Json(self.change()?),
            _ => return Err(StreamError::Unknown { what: format!("field write {code}") }),
        })
    }

    fn elements(&mut self) -> Result<Vec<Value>, StreamError> {
        let count = self.reader.count(1)?;
        let mut values = Vec::new();
        for _ in 0..count {
            values.push(Value::decode(&mut self.reader)?);
        }
        if values.is_empty() || !ascend(&values) {
            return Err(malformed("the elements of a set ascend, and there is at least one"));
        }
        Ok(values)
    }

    fn change(&mut self) -> Result<Vec<u8>, StreamError> {
        let change = self.reader.bytes()?;
        if change.is_empty() || change.len() > MAX_CHANGE_BYTES {
            return Err(malformed("an empty or overlong change"));
        }
        Ok(change.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::sample::Sampler;

    fn operation(action: Action) -> Operation {
        Operation { collection: "notes".into(), id: DocumentId::new("a").unwrap(), generation: 1, action }
    }

    fn set(field: &str, value: impl Into<Value>) -> (String, FieldOp) {
        (field.to_owned(), FieldOp::Set(value.into()))
    }

    fn sample_write(sampler: &mut Sampler) -> FieldOp {
        let values = |sampler: &mut Sampler| (0..=sampler.below(3)).map(|_| sampler.value(2)).collect();
        match sampler.below(7) {
            0 => FieldOp::Set(sampler.value(3)),
            1 => FieldOp::Clear,
            2 => FieldOp::Add(sampler.int()),
            3 => FieldOp::include(values(sampler)),
            4 => FieldOp::exclude(values(sampler)),
            5 => FieldOp::Text(vec![sampler.next() as u8; 1 + sampler.below(9)]),
            _ => FieldOp::Json(vec![sampler.next() as u8; 1 + sampler.below(9)]),
        }
    }

    fn sample_operation(sampler: &mut Sampler) -> Operation {
        let mut writes = Vec::<(String, FieldOp)>::new();
        for _ in 0..sampler.below(5) {
            let (field, write) = (sampler.name(), sample_write(sampler));
            if !writes.iter().any(|(name, other)| *name == field && other.kind() == write.kind()) {
                writes.push((field, write));
            }
        }
        let generation = [1, 1, 1, 2, 300][sampler.below(5)];
        let action = match sampler.below(4) {
            0 if !writes.is_empty() => Action::Edit(writes),
            1 => Action::Delete,
            2 if generation > 1 => Action::Restore { continues: 1 + sampler.below(generation as usize - 1) as u64 },
            _ => Action::Insert(writes),
        };
        Operation { collection: sampler.name(), id: DocumentId::new(sampler.name()).unwrap(), generation, action }
    }

    fn sample_commit(seed: u64) -> (Sampler, Vec<Operation>) {
        let mut sampler = Sampler::new(seed);
        let operations = (0..=sampler.below(4)).map(|_| sample_operation(&mut sampler)).collect();
        (sampler, operations)
    }

    #[test]
    fn any_commit_round_trips() {
        for seed in 0..4_000 {
            let (_, operations) = sample_commit(seed);
            let bytes = encode_commit(&operations).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            assert_eq!(decode_commit(&bytes), Ok(operations), "seed {seed}");
        }
    }

    #[test]
    fn whatever_decodes_encodes_to_the_same_bytes() {
        let mut accepted = 0;
        for seed in 0..40_000 {
            let (mut sampler, operations) = sample_commit(seed);
            let mut bytes = encode_commit(&operations).unwrap();
            let at = 1 + sampler.below(bytes.len() - 1);
            match sampler.below(4) {
                0 => bytes[at] ^= 1 << sampler.below(8),
                1 => bytes[at] = sampler.next() as u8,
                2 => bytes.insert(at, sampler.next() as u8),
                _ => bytes.truncate(at),
            }
            if let Ok(operations) = decode_commit(&bytes) {
                accepted += 1;
                assert_eq!(encode_commit(&operations).as_ref(), Ok(&bytes), "seed {seed}");
            }
        }
        assert!(accepted > 1_000, "only {accepted} mutations decoded: the test shows little");
    }

    #[test]
    fn a_small_register_write_costs_a_few_bytes_beside_its_names_and_id() {
        let edit = |id: &str| Operation {
            id: DocumentId::new(id).unwrap(),
            ..operation(Action::Edit(vec![set("done", true)]))
        };
        let one = encode_commit(&[edit("a")]).unwrap();
        let two = encode_commit(&[edit("a"), edit("b")]).unwrap();
        assert_eq!(one, b"\x01\x02\x05notes\x04done\x01\x01a\x01\x08\x02");
        assert_eq!(two.len() - one.len(), 6, "head, id with its length, count, field, value");
    }

    #[test]
    fn what_newer_software_may_write_is_unknown_and_not_malformed() {
        let cases: [(&str, &[u8]); 4] = [
            ("version 2", b"\x02"),
            ("action 4", b"\x01\x01\x01n\x04\x01a"),
            ("field write 7", b"\x01\x02\x01n\x01f\x00\x01a\x01\x0f"),
            ("value tag 0x0d", b"\x01\x02\x01n\x01f\x00\x01a\x01\x08\x0d"),
        ];
        for (what, bytes) in cases {
            assert_eq!(decode_commit(bytes), Err(StreamError::Unknown { what: what.to_owned() }));
        }
    }

    #[test]
    fn every_other_spelling_is_malformed() {
        let cases: [(&str, &[u8]); 15] = [
            ("nothing", b""),
            ("version 0", b"\x00"),
            ("no operation", b"\x01\x00"),
            ("an unused name", b"\x01\x02\x01n\x01f\x02\x01a"),
            ("a name listed twice", b"\x01\x02\x01n\x01n\x00\x01a\x01\x09"),
            ("names not in the order of first use", b"\x01\x02\x01f\x01n\x12\x01a\x02\x01b"),
            ("a name beyond the list", b"\x01\x01\x01n\x12\x01a"),
            ("an empty name", b"\x01\x01\x00\x02\x01a"),
            ("generation 1 spelled out", b"\x01\x01\x01n\x0a\x01\x01a"),
            ("generation 0", b"\x01\x01\x01n\x0a\x00\x01a"),
            ("an empty id", b"\x01\x01\x01n\x02\x00"),
            ("an empty edit", b"\x01\x01\x01n\x01\x01a\x00"),
            ("a cell written twice", b"\x01\x02\x01n\x01f\x00\x01a\x02\x09\x08\x00"),
            ("a restore of itself", b"\x01\x01\x01n\x0b\x02\x01a\x02"),
            ("equal elements", b"\x01\x02\x01n\x01f\x00\x01a\x01\x0b\x02\x81\x04\0\0\0\0\0\0\xf0\x3f"),
        ];
        for (what, bytes) in cases {
            assert!(matches!(decode_commit(bytes), Err(StreamError::Malformed { .. })), "{what}");
        }
    }

    #[test]
    fn what_would_not_decode_is_not_encoded() {
        let id = DocumentId::new("a").unwrap();
        let edit = |writes: Vec<(String, FieldOp)>| encode_commit(&[operation(Action::Edit(writes))]);
        assert_eq!(encode_commit(&[]), Err(OperationError::Empty));
        assert_eq!(edit(vec![]), Err(OperationError::NoEffect { id: id.clone() }));
        assert_eq!(
            edit(vec![("f".into(), FieldOp::Include(vec![]))]),
            Err(OperationError::NoEffect { id: id.clone() })
        );
        assert!(matches!(edit(vec![set("", 1)]), Err(OperationError::Name { length: 0, .. })));
        assert!(matches!(edit(vec![set(&"x".repeat(257), 1)]), Err(OperationError::Name { length: 257, .. })));
        assert!(edit(vec![set(&"x".repeat(256), 1)]).is_ok());
        let twice = vec![set("f", 1), ("f".to_owned(), FieldOp::Clear)];
        assert_eq!(edit(twice), Err(OperationError::Duplicate { id: id.clone(), field: "f".into() }));
        assert!(edit(vec![set("f", 1), ("f".to_owned(), FieldOp::Add(1))]).is_ok(), "another kind is another cell");
        let unordered = FieldOp::Include(vec![Value::Int(2), Value::Int(1)]);
        let error = OperationError::Elements { id: id.clone(), field: "f".into() };
        assert_eq!(edit(vec![("f".into(), unordered)]), Err(error));
        assert!(matches!(edit(vec![set("f", f64::NAN)]), Err(OperationError::Value { .. })));
        for (generation, action) in [(0, Action::Delete), (2, Action::Restore { continues: 2 })] {
            let commit = [Operation { generation, ..operation(action) }];
            assert_eq!(encode_commit(&commit), Err(OperationError::Generation { id: id.clone() }));
        }
    }

    #[test]
    fn limits_hold_on_both_sides() {
        let fields = |count: usize| (0..count).map(|n| (format!("f{n}"), FieldOp::Clear)).collect();
        let largest = encode_commit(&[operation(Action::Insert(fields(MAX_FIELDS)))]).unwrap();
        assert!(decode_commit(&largest).is_ok());
        let error = encode_commit(&[operation(Action::Insert(fields(MAX_FIELDS + 1)))]);
        assert!(matches!(error, Err(OperationError::TooLarge { limit: MAX_FIELDS, .. })));
        let large = operation(Action::Insert(vec![set("f", Value::Bytes(vec![0; Value::MAX_BYTES - 5]))]));
        let error = encode_commit(&[large.clone(), large.clone(), large.clone(), large]);
        assert!(matches!(error, Err(OperationError::TooLarge { limit: MAX_COMMIT_BYTES, .. })));
        assert!(matches!(decode_commit(&vec![VERSION; MAX_COMMIT_BYTES + 1]), Err(StreamError::Malformed { .. })));
        let deletes = [b"\x01\x01\x01n".to_vec(), b"\x02\x01a".repeat(MAX_OPERATIONS + 1)].concat();
        assert!(matches!(decode_commit(&deletes), Err(StreamError::Malformed { .. })));
        assert!(decode_commit(&deletes[..deletes.len() - 3]).is_ok());
    }

    #[test]
    fn the_databases_own_collections_need_an_admin() {
        use crate::space::Rank;
        assert_eq!(operation(Action::Delete).least_rank(), Rank::Writer);
        let reserved = Operation { collection: "$schemas".into(), ..operation(Action::Delete) };
        assert_eq!(reserved.least_rank(), Rank::Admin);
    }
}
