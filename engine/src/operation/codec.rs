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
//! A field write is a varint `field << 3 | write`, where `field` is a position among the names, and its payload. No
//! field is called `id`, because that is what the document's own id is called beside its fields.
//!
//! | write | | what follows |
//! |---|---|---|
//! | 0 | register: set | value |
//! | 1 | register: clear | |
//! | 2 | counter: add | zigzag varint |
//! | 3 | set: include | count, values, strictly ascending; none only makes the set be there |
//! | 4 | set: exclude | count (not 0), values, strictly ascending |
//! | 5 | text: change | length, bytes |
//! | 6 | json: change | length, bytes |
//!
//! The numbers of actions, writes and value tags that are still free belong to later versions of this software: who
//! meets one must not guess, so they are [`StreamError::Unknown`], not malformed.

mod decode;
mod encode;

use std::cmp::Ordering;
use std::collections::BTreeSet;

pub use decode::decode_commit;
pub use encode::{CommitWriter, encode_commit};

use super::FieldKind;
use crate::codec::DecodeError;
use crate::document::Document;
use crate::id::DocumentId;
use crate::store::WriteError;
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
const WRITE_MASK: u64 = (1 << WRITE_BITS) - 1;

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
    /// A field is called as the document's id is.
    #[error("{id}: no field is called `id`: that is what the document's own id is called")]
    IdField {
        /// The document.
        id: DocumentId,
    },
    /// A generation is 0, or a restore continues one that is not before its own.
    #[error("{id}: generations count from 1, and a restore continues an earlier one")]
    Generation {
        /// The document.
        id: DocumentId,
    },
    /// An edit, exclude or change without content.
    #[error("{id}: an edit, exclude or change that does nothing")]
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
    /// The elements of an include or exclude don't ascend; [`FieldOp::include`](super::FieldOp::include) and [`FieldOp::exclude`](super::FieldOp::exclude) order them.
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
    #[error("{what} is {size}, at most {limit} are allowed; split the transaction")]
    TooLarge {
        /// What.
        what: &'static str,
        /// How large it is, as far as it was measured.
        size: usize,
        /// The limit.
        limit: usize,
    },
}

impl From<OperationError> for WriteError {
    fn from(error: OperationError) -> Self {
        match error {
            OperationError::TooLarge { what, size, limit } => {
                Self::TooLarge { what, size: size as u64, limit: limit as u64 }
            }
            error => Self::Invalid { why: error.to_string() },
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::{Action, FieldOp, Operation};
    use crate::value::sample::Sampler;

    fn operation(action: Action) -> Operation {
        Operation { collection: "notes".into(), id: DocumentId::new("a").unwrap(), generation: 1, action }
    }

    fn set(field: &str, value: impl Into<Value>) -> (String, FieldOp) {
        (field.to_owned(), FieldOp::Set(value.into()))
    }

    fn sample_write(sampler: &mut Sampler) -> FieldOp {
        let values = |sampler: &mut Sampler| (0..1 + sampler.below(3)).map(|_| sampler.value(2)).collect::<Vec<_>>();
        match sampler.below(7) {
            0 => FieldOp::Set(sampler.value(3)),
            1 => FieldOp::Clear,
            2 => FieldOp::Add(sampler.int()),
            3 if sampler.below(4) == 0 => FieldOp::include(vec![]),
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
        let cases: [(&str, &[u8]); 17] = [
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
            ("a field called id", b"\x01\x02\x01n\x02id\x00\x01a\x01\x09"),
            ("an exclude of nothing", b"\x01\x02\x01n\x01f\x00\x01a\x01\x0c\x00"),
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
            edit(vec![("f".into(), FieldOp::Exclude(vec![]))]),
            Err(OperationError::NoEffect { id: id.clone() })
        );
        assert_eq!(edit(vec![("f".into(), FieldOp::Text(vec![]))]), Err(OperationError::NoEffect { id: id.clone() }));
        assert_eq!(edit(vec![set("id", 1)]), Err(OperationError::IdField { id: id.clone() }));
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
    fn the_limit_of_a_name_holds_on_both_sides() {
        let named = |length: usize| {
            let name = vec![b'x'; length];
            let mut bytes = vec![VERSION, 1];
            crate::codec::put_bytes(&mut bytes, &name);
            [&bytes[..], b"\x02\x01a"].concat()
        };
        assert!(decode_commit(&named(MAX_NAME_BYTES)).is_ok());
        assert!(matches!(decode_commit(&named(MAX_NAME_BYTES + 1)), Err(StreamError::Malformed { .. })));
    }

    #[test]
    fn the_limit_of_a_change_holds_on_both_sides() {
        let text = |length| operation(Action::Edit(vec![("f".into(), FieldOp::Text(vec![7; length]))]));
        let largest = encode_commit(&[text(MAX_CHANGE_BYTES)]).unwrap();
        assert!(decode_commit(&largest).is_ok());
        let larger = MAX_CHANGE_BYTES + 1;
        let error = encode_commit(&[text(larger)]);
        assert!(matches!(error, Err(OperationError::TooLarge { size, limit: MAX_CHANGE_BYTES, .. }) if size == larger));
        let mut bytes = b"\x01\x02\x01n\x01f\x01\x01a\x01\x0d".to_vec();
        crate::codec::put_bytes(&mut bytes, &vec![7; larger]);
        assert_eq!(
            decode_commit(&bytes),
            Err(StreamError::Malformed { why: "an empty or overlong change".to_owned() })
        );
    }

    #[test]
    fn the_limits_of_field_writes_hold_on_both_sides() {
        let clears =
            |count: usize| operation(Action::Insert((0..count).map(|n| (n.to_string(), FieldOp::Clear)).collect()));
        let full = clears(MAX_FIELDS);
        let one = encode_commit(std::slice::from_ref(&full)).unwrap();
        let next = encode_commit(&[full.clone(), full.clone()]).unwrap().split_off(one.len());
        let many = |count: usize| [&one[..], &next.repeat(count - 1)].concat();
        let most = MAX_FIELD_WRITES / MAX_FIELDS;
        assert!(decode_commit(&many(most)).is_ok());
        assert!(matches!(decode_commit(&many(most + 1)), Err(StreamError::Malformed { .. })));
        let mut writer = CommitWriter::default();
        (0..most).for_each(|_| writer.push(&full).unwrap());
        let error = writer.push(&clears(1));
        assert!(matches!(error, Err(OperationError::TooLarge { limit: MAX_FIELD_WRITES, .. })), "{error:?}");
        assert!(writer.push(&clears(0)).is_ok(), "what is refused leaves nothing");

        // One more field in an operation than it may have: the count and a further name.
        let fields = |count: usize| {
            let mut bytes = vec![VERSION];
            let names: Vec<String> =
                std::iter::once("notes".to_owned()).chain((0..count).map(|n| n.to_string())).collect();
            crate::codec::put_varint(&mut bytes, names.len() as u64);
            names.iter().for_each(|name| crate::codec::put_bytes(&mut bytes, name.as_bytes()));
            bytes.extend_from_slice(b"\x00\x01a");
            crate::codec::put_varint(&mut bytes, count as u64);
            (1..=count as u64).for_each(|at| crate::codec::put_varint(&mut bytes, at << WRITE_BITS | CLEAR));
            bytes
        };
        assert_eq!(decode_commit(&fields(MAX_FIELDS)), Ok(vec![full]));
        assert!(matches!(decode_commit(&fields(MAX_FIELDS + 1)), Err(StreamError::Malformed { .. })));
    }

    #[test]
    fn the_databases_own_collections_need_an_admin() {
        use crate::space::Rank;
        assert_eq!(operation(Action::Delete).least_rank(), Rank::Writer);
        let reserved = Operation { collection: "$schemas".into(), ..operation(Action::Delete) };
        assert_eq!(reserved.least_rank(), Rank::Admin);
    }
}
