//! The canonical encoding: every value has exactly one, and decoding refuses everything else.
//!
//! A value is a tag byte and what follows it. The commonest values are tags alone or carry their length in the tag:
//!
//! | tag | value | what follows |
//! |---|---|---|
//! | `00` `01` `02` | null, false, true | |
//! | `03` | int outside 0 to 127 | zigzag varint |
//! | `04` | float | 8 bytes, little-endian IEEE 754; no NaN, no -0 |
//! | `05` | string of 64 bytes or more | length, UTF-8 |
//! | `06` | bytes | length, bytes |
//! | `07` | timestamp | zigzag varint of milliseconds |
//! | `08` | list | count, values |
//! | `09` | object | count; key length, key and value each; keys strictly ascending by bytes |
//! | `0a` | reference | length, collection; length, id |
//! | `0b` | vector | count, 4 bytes each, little-endian; no NaN, no -0 |
//! | `0c` | blob | 32 bytes of hash, varint length |
//! | `0d` `0e` | reserved for decimal and date | |
//! | `40` to `7f` | string of 0 to 63 bytes | UTF-8 |
//! | `80` to `ff` | int 0 to 127 | |

use std::collections::BTreeMap;

use super::{Blob, Reference, Value};
use crate::codec::{DecodeError, Reader, put_bytes, put_signed, put_varint};
use crate::id::DocumentId;

const NULL: u8 = 0x00;
const FALSE: u8 = 0x01;
const TRUE: u8 = 0x02;
const INT: u8 = 0x03;
const FLOAT: u8 = 0x04;
const STRING: u8 = 0x05;
const BYTES: u8 = 0x06;
const TIMESTAMP: u8 = 0x07;
const LIST: u8 = 0x08;
const OBJECT: u8 = 0x09;
const REFERENCE: u8 = 0x0a;
const VECTOR: u8 = 0x0b;
const BLOB: u8 = 0x0c;
/// A string of up to [`SHORT_STRING_MAX`] bytes: the tag's low six bits are its length.
const SHORT_STRING: u8 = 0x40;
const SHORT_STRING_MAX: usize = 0x3f;
/// An int of 0 to [`SMALL_INT_MAX`]: the tag's low seven bits.
const SMALL_INT: u8 = 0x80;
const SMALL_INT_MAX: i64 = 0x7f;

/// The most elements that are allocated for before they were read.
const PREALLOCATED_ELEMENTS: usize = 256;

/// Why a value can't be stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// NaN, as a float or in a vector.
    #[error("NaN is not a value; leave the field out, or write null")]
    NotANumber,
    /// Lists and objects nest too deep.
    #[error("lists and objects nest at most {max} deep", max = Value::MAX_DEPTH)]
    TooDeep,
    /// The value is too large.
    #[error("the value takes {size} bytes, at most {max} are allowed", max = Value::MAX_BYTES)]
    TooLarge {
        /// Its size, encoded.
        size: usize,
    },
    /// A reference's collection name or id is too short or too long.
    #[error(
        "a reference names a collection of 1 to {} bytes and an id of 1 to {} bytes",
        Value::MAX_NAME_BYTES,
        DocumentId::MAX_BYTES
    )]
    Reference,
    /// A blob's length is too large for any language's integers.
    #[error("a blob has at most {max} bytes", max = Blob::MAX_LENGTH)]
    BlobLength,
}

impl Value {
    /// The largest value, in encoded bytes.
    pub const MAX_BYTES: usize = 4 << 20;
    /// How deep lists and objects may nest.
    pub const MAX_DEPTH: usize = 64;
    /// The longest name of a collection or a field, in bytes of UTF-8.
    pub const MAX_NAME_BYTES: usize = 256;

    /// Appends the canonical encoding. -0 is written as 0. After an error `out` is as before.
    ///
    /// # Errors
    /// NaN, also in a vector; nesting deeper than [`Value::MAX_DEPTH`]; more than [`Value::MAX_BYTES`]; a reference
    /// with an empty or overlong part.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), ValueError> {
        let start = out.len();
        let result = encode(self, out, 0).and_then(|()| match out.len() - start {
            size if size > Self::MAX_BYTES => Err(ValueError::TooLarge { size }),
            _ => Ok(()),
        });
        if result.is_err() {
            out.truncate(start);
        }
        result
    }

    /// The canonical encoding.
    ///
    /// # Errors
    /// As [`Value::encode`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, ValueError> {
        let mut out = Vec::new();
        self.encode(&mut out)?;
        Ok(out)
    }

    /// Reads one value. Only what [`Value::encode`] writes is accepted, so encoding the result gives the same bytes;
    /// memory is bounded by the length of the input.
    ///
    /// # Errors
    /// [`DecodeError`] for all other bytes. The reader then stays where it was.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        // Never looking further than the largest value bounds what a longer input can make us allocate.
        let mut window = reader.window(Self::MAX_BYTES);
        let cut = window.remaining() < reader.remaining();
        let value = decode(&mut window, 0).map_err(|error| match error {
            DecodeError::Truncated if cut => DecodeError::Limit { what: "the size of a value", limit: Self::MAX_BYTES },
            other => other,
        })?;
        reader.take(window.position())?;
        Ok(value)
    }

    /// Moves past one value without building it, and gives its bytes. They may still not decode.
    ///
    /// # Errors
    /// [`DecodeError`] where no value could end.
    pub(crate) fn skip<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], DecodeError> {
        let mut start = reader.clone();
        skip(reader, 0)?;
        start.take(reader.position() - start.position())
    }

    /// Reads one value that takes up all of `bytes`.
    ///
    /// # Errors
    /// As [`Value::decode`], and [`DecodeError::Trailing`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let value = Self::decode(&mut reader)?;
        reader.finish()?;
        Ok(value)
    }
}

fn encode(value: &Value, out: &mut Vec<u8>, depth: usize) -> Result<(), ValueError> {
    match value {
        Value::Null => out.push(NULL),
        Value::Bool(false) => out.push(FALSE),
        Value::Bool(true) => out.push(TRUE),
        Value::Int(int @ 0..=SMALL_INT_MAX) => out.push(SMALL_INT | *int as u8),
        Value::Int(int) => {
            out.push(INT);
            put_signed(out, *int);
        }
        Value::Float(float) => {
            if float.is_nan() {
                return Err(ValueError::NotANumber);
            }
            out.push(FLOAT);
            // Adding 0 turns -0 into 0 and nothing else into anything else.
            out.extend_from_slice(&(float + 0.0).to_le_bytes());
        }
        Value::String(text) => {
            if text.len() <= SHORT_STRING_MAX {
                out.push(SHORT_STRING | text.len() as u8);
                out.extend_from_slice(text.as_bytes());
            } else {
                out.push(STRING);
                put_bytes(out, text.as_bytes());
            }
        }
        Value::Bytes(bytes) => {
            out.push(BYTES);
            put_bytes(out, bytes);
        }
        Value::Timestamp(ms) => {
            out.push(TIMESTAMP);
            put_signed(out, *ms);
        }
        Value::List(values) => {
            deeper(depth)?;
            out.push(LIST);
            put_varint(out, values.len() as u64);
            values.iter().try_for_each(|value| encode(value, out, depth + 1))?;
        }
        Value::Object(fields) => {
            deeper(depth)?;
            out.push(OBJECT);
            put_varint(out, fields.len() as u64);
            for (key, value) in fields {
                put_bytes(out, key.as_bytes());
                encode(value, out, depth + 1)?;
            }
        }
        Value::Reference(reference) => {
            if !reference.is_valid() {
                return Err(ValueError::Reference);
            }
            out.push(REFERENCE);
            put_bytes(out, reference.collection.as_bytes());
            put_bytes(out, reference.id.as_bytes());
        }
        Value::Vector(numbers) => {
            if numbers.iter().any(|number| number.is_nan()) {
                return Err(ValueError::NotANumber);
            }
            out.push(VECTOR);
            put_varint(out, numbers.len() as u64);
            out.extend(numbers.iter().flat_map(|number| (number + 0.0).to_le_bytes()));
        }
        Value::Blob(blob) => {
            if blob.length > Blob::MAX_LENGTH {
                return Err(ValueError::BlobLength);
            }
            out.push(BLOB);
            out.extend_from_slice(&blob.hash);
            put_varint(out, blob.length);
        }
    }
    Ok(())
}

fn deeper(depth: usize) -> Result<(), ValueError> {
    if depth < Value::MAX_DEPTH { Ok(()) } else { Err(ValueError::TooDeep) }
}

fn decode(reader: &mut Reader<'_>, depth: usize) -> Result<Value, DecodeError> {
    let tag = reader.byte()?;
    Ok(match tag {
        SMALL_INT.. => Value::Int(i64::from(tag & !SMALL_INT)),
        SHORT_STRING.. => Value::String(text(reader.take(usize::from(tag & !SHORT_STRING))?)?),
        NULL => Value::Null,
        FALSE => Value::Bool(false),
        TRUE => Value::Bool(true),
        INT => match reader.signed()? {
            0..=SMALL_INT_MAX => return Err(DecodeError::NotCanonical { why: "an int of 0 to 127 is its tag" }),
            int => Value::Int(int),
        },
        FLOAT => {
            let float = f64::from_le_bytes(reader.array()?);
            if float.is_nan() || float == 0.0 && float.is_sign_negative() {
                return Err(DecodeError::NotCanonical { why: "a float is neither NaN nor -0" });
            }
            Value::Float(float)
        }
        STRING => {
            let bytes = reader.bytes()?;
            if bytes.len() <= SHORT_STRING_MAX {
                return Err(DecodeError::NotCanonical { why: "a string of 0 to 63 bytes has its length in its tag" });
            }
            Value::String(text(bytes)?)
        }
        BYTES => Value::Bytes(reader.bytes()?.to_vec()),
        TIMESTAMP => Value::Timestamp(reader.signed()?),
        LIST => decode_list(reader, depth)?,
        OBJECT => decode_object(reader, depth)?,
        REFERENCE => {
            let reference = Reference { collection: reader.text()?.to_owned(), id: reader.text()?.to_owned() };
            if !reference.is_valid() {
                return Err(DecodeError::NotCanonical { why: "a reference has an empty or overlong part" });
            }
            Value::Reference(reference)
        }
        VECTOR => {
            let count = reader.count(size_of::<f32>())?;
            let numbers = reader.take(count * size_of::<f32>())?.as_chunks().0;
            let numbers: Vec<f32> = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
            if numbers.iter().any(|number| number.is_nan() || *number == 0.0 && number.is_sign_negative()) {
                return Err(DecodeError::NotCanonical { why: "a vector holds neither NaN nor -0" });
            }
            Value::Vector(numbers)
        }
        BLOB => {
            let blob = Blob { hash: reader.array()?, length: reader.varint()? };
            if blob.length > Blob::MAX_LENGTH {
                return Err(DecodeError::NotCanonical { why: "a blob's length has at most 63 bits" });
            }
            Value::Blob(blob)
        }
        _ => return Err(DecodeError::Tag { tag }),
    })
}

fn skip(reader: &mut Reader<'_>, depth: usize) -> Result<(), DecodeError> {
    let tag = reader.byte()?;
    match tag {
        SMALL_INT.. | NULL | FALSE | TRUE => {}
        SHORT_STRING.. => drop(reader.take(usize::from(tag & !SHORT_STRING))?),
        INT | TIMESTAMP => drop(reader.varint()?),
        FLOAT => drop(reader.array::<8>()?),
        STRING | BYTES => drop(reader.bytes()?),
        LIST => {
            decode_deeper(depth)?;
            for _ in 0..reader.count(1)? {
                skip(reader, depth + 1)?;
            }
        }
        OBJECT => {
            decode_deeper(depth)?;
            for _ in 0..reader.count(2)? {
                reader.bytes()?;
                skip(reader, depth + 1)?;
            }
        }
        REFERENCE => drop((reader.bytes()?, reader.bytes()?)),
        VECTOR => {
            let count = reader.count(size_of::<f32>())?;
            reader.take(count * size_of::<f32>())?;
        }
        BLOB => drop((reader.array::<32>()?, reader.varint()?)),
        _ => return Err(DecodeError::Tag { tag }),
    }
    Ok(())
}

fn decode_list(reader: &mut Reader<'_>, depth: usize) -> Result<Value, DecodeError> {
    decode_deeper(depth)?;
    let count = reader.count(1)?;
    let mut values = Vec::with_capacity(count.min(PREALLOCATED_ELEMENTS));
    for _ in 0..count {
        values.push(decode(reader, depth + 1)?);
    }
    Ok(Value::List(values))
}

fn decode_object(reader: &mut Reader<'_>, depth: usize) -> Result<Value, DecodeError> {
    decode_deeper(depth)?;
    let count = reader.count(2)?;
    let mut fields = Vec::with_capacity(count.min(PREALLOCATED_ELEMENTS));
    let mut previous: Option<&str> = None;
    for _ in 0..count {
        let key = reader.text()?;
        if previous.is_some_and(|previous| previous >= key) {
            return Err(DecodeError::NotCanonical { why: "an object's keys ascend" });
        }
        previous = Some(key);
        fields.push((key.to_owned(), decode(reader, depth + 1)?));
    }
    Ok(Value::Object(BTreeMap::from_iter(fields)))
}

fn decode_deeper(depth: usize) -> Result<(), DecodeError> {
    if depth < Value::MAX_DEPTH {
        Ok(())
    } else {
        Err(DecodeError::Limit { what: "the nesting of lists and objects", limit: Value::MAX_DEPTH })
    }
}

fn text(bytes: &[u8]) -> Result<String, DecodeError> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| DecodeError::Utf8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::sample::Sampler;

    fn nested(depth: usize) -> Value {
        (0..depth).fold(Value::Null, |inner, _| Value::List(vec![inner]))
    }

    #[test]
    fn skipping_a_value_ends_where_decoding_it_does() {
        let mut sampler = Sampler::new(3);
        for _ in 0..5_000 {
            let bytes = sampler.value(4).to_bytes().unwrap();
            let followed = [&bytes[..], &[0x7f]].concat();
            let mut reader = Reader::new(&followed);
            assert_eq!(Value::skip(&mut reader).unwrap(), &bytes[..]);
            assert_eq!(reader.remaining(), 1);
            for length in 0..bytes.len() {
                assert!(Value::skip(&mut Reader::new(&bytes[..length])).is_err(), "{length} of {bytes:02x?}");
            }
        }
        let deep = [LIST, 1].repeat(Value::MAX_DEPTH + 1);
        assert!(matches!(Value::skip(&mut Reader::new(&deep)), Err(DecodeError::Limit { .. })));
    }

    #[test]
    fn what_is_nested_too_deeply_is_refused_before_it_is_followed() {
        let list = [LIST, 1].repeat(Value::MAX_DEPTH + 1);
        let object = [OBJECT, 1, 1, b'a'].repeat(Value::MAX_DEPTH + 1);
        for deep in [list, object] {
            assert!(matches!(Value::decode(&mut Reader::new(&deep)), Err(DecodeError::Limit { .. })));
        }
        let mixed = [OBJECT, 1, 1, b'a', LIST, 1].repeat(Value::MAX_DEPTH / 2 + 1);
        assert!(matches!(Value::decode(&mut Reader::new(&mixed)), Err(DecodeError::Limit { .. })));
    }

    #[test]
    fn any_value_round_trips() {
        for seed in 0..4_000 {
            let value = Sampler::new(seed).value(4);
            let bytes = value.to_bytes().unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            assert_eq!(Value::from_bytes(&bytes).as_ref(), Ok(&value), "seed {seed}");
        }
    }

    #[test]
    fn whatever_decodes_encodes_to_the_same_bytes() {
        let mut accepted = 0;
        for seed in 0..40_000 {
            let mut sampler = Sampler::new(seed);
            let mut bytes = sampler.value(3).to_bytes().unwrap();
            for _ in 0..=sampler.below(3) {
                let at = sampler.below(bytes.len());
                match sampler.below(4) {
                    0 => bytes[at] ^= 1 << sampler.below(8),
                    1 => bytes[at] = sampler.next() as u8,
                    2 => bytes.insert(at, sampler.next() as u8),
                    _ => bytes.truncate(at + 1),
                }
            }
            let mut reader = Reader::new(&bytes);
            if let Ok(value) = Value::decode(&mut reader) {
                accepted += 1;
                assert_eq!(value.to_bytes().as_deref(), Ok(&bytes[..reader.position()]), "seed {seed}: {bytes:x?}");
            }
        }
        assert!(accepted > 1_000, "only {accepted} mutations decoded: the test shows little");
    }

    #[test]
    fn small_ints_and_short_strings_are_compact() {
        assert_eq!(Value::Int(127).to_bytes(), Ok(vec![0xff]));
        assert_eq!(Value::Int(-1).to_bytes(), Ok(vec![INT, 1]));
        assert_eq!(Value::String("ab".into()).to_bytes(), Ok(b"\x42ab".to_vec()));
        assert_eq!(Value::String("x".repeat(64)).to_bytes().unwrap()[..2], [STRING, 64]);
    }

    #[test]
    fn nan_is_refused_and_minus_zero_becomes_zero() {
        for value in [Value::Float(f64::NAN), Value::Vector(vec![1.0, f32::NAN])] {
            assert_eq!(value.to_bytes(), Err(ValueError::NotANumber));
        }
        assert_eq!(Value::Float(-0.0).to_bytes(), Value::Float(0.0).to_bytes());
        assert_eq!(Value::Vector(vec![-0.0]).to_bytes(), Value::Vector(vec![0.0]).to_bytes());
        assert!(Value::Float(f64::NEG_INFINITY).to_bytes().is_ok());
    }

    #[test]
    fn a_reference_names_a_document_and_a_blob_has_at_most_its_limit() {
        let reference = |collection: &str, id: &str| {
            Value::Reference(Reference { collection: collection.to_owned(), id: id.to_owned() }).to_bytes()
        };
        assert!(reference("people", "ada").is_ok());
        for (collection, id) in [("", "ada"), ("people", "")] {
            assert_eq!(reference(collection, id), Err(ValueError::Reference), "{collection:?} {id:?}");
        }
        let blob = |length| Value::Blob(Blob { hash: [7; 32], length }).to_bytes();
        let largest = blob(Blob::MAX_LENGTH).unwrap();
        assert!(Value::from_bytes(&largest).is_ok());
        assert_eq!(blob(Blob::MAX_LENGTH + 1), Err(ValueError::BlobLength));
        let mut larger = [&[BLOB][..], &[7; 32]].concat();
        put_varint(&mut larger, Blob::MAX_LENGTH + 1);
        assert!(Value::from_bytes(&larger).is_err());
    }

    #[test]
    fn nesting_stops_at_64() {
        let bytes = nested(Value::MAX_DEPTH).to_bytes().unwrap();
        assert!(Value::from_bytes(&bytes).is_ok());
        assert_eq!(nested(Value::MAX_DEPTH + 1).to_bytes(), Err(ValueError::TooDeep));
        let hostile = [&[LIST, 1].repeat(1_000_000)[..], &[NULL]].concat();
        assert!(matches!(Value::from_bytes(&hostile), Err(DecodeError::Limit { limit: Value::MAX_DEPTH, .. })));
    }

    #[test]
    fn a_value_has_at_most_4_mib() {
        // The tag and the four bytes of the length count too.
        let largest = Value::Bytes(vec![7; Value::MAX_BYTES - 5]);
        let bytes = largest.to_bytes().unwrap();
        assert_eq!(bytes.len(), Value::MAX_BYTES);
        assert_eq!(Value::from_bytes(&bytes), Ok(largest));
        let mut out = b"before".to_vec();
        let larger = Value::Bytes(vec![7; Value::MAX_BYTES - 4]);
        assert_eq!(larger.encode(&mut out), Err(ValueError::TooLarge { size: Value::MAX_BYTES + 1 }));
        assert_eq!(out, b"before");
        let mut bytes = vec![BYTES];
        put_bytes(&mut bytes, &vec![7; Value::MAX_BYTES - 4]);
        assert!(matches!(Value::from_bytes(&bytes), Err(DecodeError::Limit { .. })));
    }

    #[test]
    fn every_other_spelling_is_refused() {
        let minus_zero = [&[FLOAT][..], &(-0.0f64).to_le_bytes()].concat();
        let nan = [&[FLOAT][..], &f64::NAN.to_le_bytes()].concat();
        let vector_nan = [&[VECTOR, 1][..], &f32::NAN.to_le_bytes()].concat();
        let cases: [(&str, &[u8]); 16] = [
            ("nothing", &[]),
            ("the reserved tag of decimal", &[0x0d, 1]),
            ("the reserved tag of date", &[0x0e, 1]),
            ("an unknown tag", &[0x20]),
            ("a small int spelled out", &[INT, 2]),
            ("a short string spelled out", &[STRING, 1, b'a']),
            ("a varint of two bytes for one", &[BYTES, 0x81, 0, 7]),
            ("NaN", &nan),
            ("-0", &minus_zero),
            ("NaN in a vector", &vector_nan),
            ("equal keys", &[OBJECT, 2, 1, b'a', NULL, 1, b'a', NULL]),
            ("descending keys", &[OBJECT, 2, 1, b'b', NULL, 1, b'a', NULL]),
            ("text that is not UTF-8", &[SHORT_STRING | 1, 0xff]),
            ("an empty reference", &[REFERENCE, 0, 1, b'a']),
            ("a count beyond the end", &[LIST, 0xff, 0xff, 0xff, 0x7f, NULL]),
            ("bytes after the end", &[NULL, NULL]),
        ];
        for (what, bytes) in cases {
            assert!(Value::from_bytes(bytes).is_err(), "{what}");
        }
    }
}
