//! The total order of values, and keys whose byte order is that order.
//!
//! Classes come in a fixed order. Numbers compare by value whatever their type: 1 equals 1.0, and 2^53 + 1 is greater
//! than 2^53. Strings compare by their UTF-8 bytes, lists element by element, objects by key and value in key order,
//! vectors by dimension first.

use std::cmp::Ordering;

use super::{Fields, Value};

/// A class of values that compare with each other. Classes are ordered as they are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum Class {
    /// Null.
    Null = 0x10,
    /// False, then true.
    Bool = 0x18,
    /// Ints and floats, by value.
    Number = 0x20,
    /// Points in time.
    Timestamp = 0x30,
    /// Text.
    String = 0x38,
    /// Bytes.
    Bytes = 0x40,
    /// Lists.
    List = 0x48,
    /// Objects.
    Object = 0x50,
    /// References.
    Reference = 0x58,
    /// Vectors.
    Vector = 0x60,
    /// Blobs.
    Blob = 0x68,
}

/// Ends a list, an object: less than every class, so that a prefix comes first.
const END: u8 = 0x00;
/// Announces a key of an object.
const KEY: u8 = 0x01;
/// Ends text and bytes; a zero inside them is followed by [`ZERO`] instead.
const TERMINATOR: [u8; 2] = [0x00, 0x00];
const ZERO: u8 = 0xff;

impl Value {
    /// The class that decides what the value compares with.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Null => Class::Null,
            Self::Bool(_) => Class::Bool,
            Self::Int(_) | Self::Float(_) => Class::Number,
            Self::Timestamp(_) => Class::Timestamp,
            Self::String(_) => Class::String,
            Self::Bytes(_) => Class::Bytes,
            Self::List(_) => Class::List,
            Self::Object(_) => Class::Object,
            Self::Reference(_) => Class::Reference,
            Self::Vector(_) => Class::Vector,
            Self::Blob(_) => Class::Blob,
        }
    }

    /// Compares by the total order. Unlike `==`, it holds an int and a float of the same value for equal.
    #[must_use]
    pub fn total_cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Null, Self::Null) => Ordering::Equal,
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Int(a), Self::Int(b)) => a.cmp(b),
            (Self::Int(a), Self::Float(b)) => int_rank(*a).cmp(&(float_rank(*b), 0)),
            (Self::Float(a), Self::Int(b)) => (float_rank(*a), 0).cmp(&int_rank(*b)),
            (Self::Float(a), Self::Float(b)) => float_rank(*a).cmp(&float_rank(*b)),
            (Self::Timestamp(a), Self::Timestamp(b)) => a.cmp(b),
            (Self::String(a), Self::String(b)) => a.cmp(b),
            (Self::Bytes(a), Self::Bytes(b)) => a.cmp(b),
            (Self::List(a), Self::List(b)) => lists(a, b),
            (Self::Object(a), Self::Object(b)) => objects(a, b),
            (Self::Reference(a), Self::Reference(b)) => a.cmp(b),
            (Self::Vector(a), Self::Vector(b)) => vectors(a, b),
            (Self::Blob(a), Self::Blob(b)) => a.cmp(b),
            _ => self.class().cmp(&other.class()),
        }
    }

    /// Whether both are the same value: `1` equals `1.0`.
    #[must_use]
    pub fn equals(&self, other: &Self) -> bool {
        self.total_cmp(other) == Ordering::Equal
    }
}

/// Whether no two values are equal.
pub(crate) fn distinct(values: &[Value]) -> bool {
    let ascend = |values: &mut dyn Iterator<Item = &Value>| values.is_sorted_by(|a, b| a.total_cmp(b).is_lt());
    // What comes from a set is in order already.
    ascend(&mut values.iter()) || {
        let mut sorted: Vec<_> = values.iter().collect();
        sorted.sort_by(|a, b| a.total_cmp(b));
        ascend(&mut sorted.into_iter())
    }
}

/// Appends a key whose byte order is the total order of values. No key is the beginning of another's, so keys of
/// several values can follow one another. Values that are equal have equal keys.
///
/// All strings that start with `text` have keys that start with the key of `text` less its last two bytes
/// ([`string_prefix_key`]).
pub fn order_key(value: &Value, out: &mut Vec<u8>) {
    out.push(value.class() as u8);
    match value {
        Value::Null => {}
        Value::Bool(bool) => out.push(u8::from(*bool)),
        Value::Int(int) => put_number(out, int_rank(*int)),
        Value::Float(float) => put_number(out, (float_rank(*float), 0)),
        Value::Timestamp(ms) => out.extend_from_slice(&(ms ^ i64::MIN).to_be_bytes()),
        Value::String(text) => put_escaped(out, text.as_bytes()),
        Value::Bytes(bytes) => put_escaped(out, bytes),
        Value::List(values) => {
            values.iter().for_each(|value| order_key(value, out));
            out.push(END);
        }
        Value::Object(fields) => {
            for (key, value) in fields {
                out.push(KEY);
                put_escaped(out, key.as_bytes());
                order_key(value, out);
            }
            out.push(END);
        }
        Value::Reference(reference) => {
            put_escaped(out, reference.collection.as_bytes());
            put_escaped(out, reference.id.as_bytes());
        }
        Value::Vector(numbers) => {
            out.extend_from_slice(&(numbers.len() as u64).to_be_bytes());
            out.extend(numbers.iter().flat_map(|number| component_rank(*number).to_be_bytes()));
        }
        Value::Blob(blob) => {
            out.extend_from_slice(&blob.hash);
            out.extend_from_slice(&blob.length.to_be_bytes());
        }
    }
}

/// Appends what the keys of all strings that start with `prefix`, and of no other values, start with.
pub fn string_prefix_key(prefix: &str, out: &mut Vec<u8>) {
    out.push(Class::String as u8);
    put_escaped(out, prefix.as_bytes());
    out.truncate(out.len() - TERMINATOR.len());
}

/// Where an int stands among numbers: the rank of the greatest float that is not above it, and how far it is above that.
/// Floats have 53 bits, so the distance is below 2^10.
fn int_rank(int: i64) -> (u64, u16) {
    let nearest = int as f64;
    let above = i128::from(int) - nearest as i128;
    if above >= 0 {
        return (float_rank(nearest), above as u16);
    }
    let below = nearest.next_down();
    (float_rank(below), (i128::from(int) - below as i128) as u16)
}

/// Maps floats to integers in the same order; 0 and -0 are the same. NaN, which no stored value holds, goes to the ends.
fn float_rank(float: f64) -> u64 {
    let bits = (float + 0.0).to_bits();
    if bits >> 63 == 0 { bits | 1 << 63 } else { !bits }
}

fn component_rank(number: f32) -> u32 {
    let bits = (number + 0.0).to_bits();
    if bits >> 31 == 0 { bits | 1 << 31 } else { !bits }
}

fn put_number(out: &mut Vec<u8>, (float, above): (u64, u16)) {
    out.extend_from_slice(&float.to_be_bytes());
    out.extend_from_slice(&above.to_be_bytes());
}

fn put_escaped(out: &mut Vec<u8>, bytes: &[u8]) {
    let mut parts = bytes.split(|byte| *byte == 0);
    out.extend_from_slice(parts.next().unwrap_or_default());
    for part in parts {
        out.extend_from_slice(&[0, ZERO]);
        out.extend_from_slice(part);
    }
    out.extend_from_slice(&TERMINATOR);
}

fn lists(a: &[Value], b: &[Value]) -> Ordering {
    let differing = a.iter().zip(b).map(|(a, b)| a.total_cmp(b)).find(|order| order.is_ne());
    differing.unwrap_or_else(|| a.len().cmp(&b.len()))
}

fn objects(a: &Fields, b: &Fields) -> Ordering {
    let pairs = a.iter().zip(b);
    let differing = pairs.map(|((k, a), (l, b))| k.cmp(l).then_with(|| a.total_cmp(b))).find(|order| order.is_ne());
    differing.unwrap_or_else(|| a.len().cmp(&b.len()))
}

fn vectors(a: &[f32], b: &[f32]) -> Ordering {
    let ranks = |numbers| <[f32]>::iter(numbers).map(|number| component_rank(*number));
    a.len().cmp(&b.len()).then_with(|| ranks(a).cmp(ranks(b)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::sample::Sampler;

    fn key(value: &Value) -> Vec<u8> {
        let mut out = Vec::new();
        order_key(value, &mut out);
        out
    }

    const TWO_63: f64 = 9_223_372_036_854_775_808.0;

    #[test]
    fn numbers_are_ordered_exactly_whatever_their_type() {
        use Value::{Float, Int};
        let two_53 = 1i64 << 53;
        let ascending = [
            vec![Float(f64::NEG_INFINITY)],
            vec![Float(f64::MIN)],
            vec![Float((-TWO_63).next_down())],
            vec![Int(i64::MIN), Float(-TWO_63)],
            vec![Int(i64::MIN + 1)],
            vec![Int(-two_53 - 1)],
            vec![Int(-two_53), Float(-(two_53 as f64))],
            vec![Int(-1), Float(-1.0)],
            vec![Float(-0.5)],
            vec![Float(-f64::from_bits(1))],
            vec![Int(0), Float(0.0), Float(-0.0)],
            vec![Float(f64::from_bits(1))],
            vec![Float(0.5)],
            vec![Int(1), Float(1.0)],
            vec![Int(two_53), Float(two_53 as f64)],
            vec![Int(two_53 + 1)],
            vec![Int(two_53 + 2), Float((two_53 + 2) as f64)],
            vec![Float(TWO_63.next_down()), Int(i64::MAX - 1023)],
            vec![Int(i64::MAX - 1)],
            vec![Int(i64::MAX)],
            vec![Float(TWO_63)],
            vec![Float(f64::MAX)],
            vec![Float(f64::INFINITY)],
        ];
        for (i, equals) in ascending.iter().enumerate() {
            for (j, others) in ascending.iter().enumerate() {
                for (a, b) in equals.iter().flat_map(|a| others.iter().map(move |b| (a, b))) {
                    assert_eq!(a.total_cmp(b), i.cmp(&j), "{a:?} {b:?}");
                    assert_eq!(key(a).cmp(&key(b)), i.cmp(&j), "{a:?} {b:?}");
                }
            }
        }
    }

    #[test]
    fn classes_come_in_their_order() {
        let ascending = [
            Value::Null,
            Value::Bool(false),
            Value::Bool(true),
            Value::Float(f64::INFINITY),
            Value::Timestamp(i64::MIN),
            Value::Timestamp(-1),
            Value::Timestamp(0),
            Value::String(String::new()),
            Value::String("\0".into()),
            Value::String("\u{10ffff}".into()),
            Value::Bytes(vec![]),
            Value::List(vec![]),
            Value::List(vec![Value::Null]),
            Value::List(vec![Value::Null, Value::Null]),
            Value::List(vec![Value::Bool(true)]),
            Value::Object(Fields::new()),
            Value::Vector(vec![9.0]),
            Value::Vector(vec![-1.0, 0.0]),
        ];
        for (a, b) in ascending.iter().zip(&ascending[1..]) {
            assert_eq!(a.total_cmp(b), Ordering::Less, "{a:?} {b:?}");
            assert!(key(a) < key(b), "{a:?} {b:?}");
        }
    }

    #[test]
    fn keys_are_ordered_as_values_and_none_begins_another() {
        for seed in 0..40_000 {
            let mut sampler = Sampler::new(seed);
            let a = sampler.value(3);
            let b = if sampler.below(2) == 0 { sampler.value(3) } else { sampler.neighbour(&a) };
            let (left, right) = (key(&a), key(&b));
            let order = a.total_cmp(&b);
            assert_eq!(left.cmp(&right), order, "seed {seed}: {a:?} {b:?}");
            assert_eq!(b.total_cmp(&a), order.reverse(), "seed {seed}");
            assert_eq!(a.equals(&b), left == right, "seed {seed}");
            assert!(order.is_eq() || !left.starts_with(&right) && !right.starts_with(&left), "seed {seed}");
        }
    }

    #[test]
    fn a_string_prefix_key_begins_the_keys_of_exactly_the_strings_with_that_prefix() {
        for seed in 0..4_000 {
            let mut sampler = Sampler::new(seed);
            let (prefix, text) = (sampler.text(), sampler.text());
            let mut start = Vec::new();
            string_prefix_key(&prefix, &mut start);
            for text in [text.clone(), format!("{prefix}{text}")] {
                let holds = key(&Value::String(text.clone())).starts_with(&start);
                assert_eq!(holds, text.starts_with(&prefix), "seed {seed}");
            }
        }
    }
}
