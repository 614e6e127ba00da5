//! The objects with a single key that stand for values JSON has no form for.

use data_encoding::{BASE64, HEXLOWER};

use super::JsonFault;
use crate::value::{Blob, Fields, Reference, Value};

pub(super) const BYTES: &str = "$bytes";
pub(super) const TIMESTAMP: &str = "$timestamp";
pub(super) const REFERENCE: &str = "$ref";
pub(super) const VECTOR: &str = "$vector";
pub(super) const BLOB: &str = "$blob";
pub(super) const FLOAT: &str = "$float";
pub(super) const OBJECT: &str = "$object";
/// For types to come.
const RESERVED: [&str; 2] = ["$date", "$decimal"];

pub(super) const INFINITY: &str = "inf";
pub(super) const NEGATIVE_INFINITY: &str = "-inf";

/// Whether an object would be read as something else, so that it must be written inside an `$object`.
pub(super) fn needs_escape(fields: &Fields) -> bool {
    let single = || fields.keys().next().filter(|_| fields.len() == 1);
    fields.contains_key(OBJECT) || single().is_some_and(|key| expected(key).is_some())
}

/// What the key of a typed value holds; `None` for any other key.
fn expected(key: &str) -> Option<&'static str> {
    Some(match key {
        BYTES => "base 64 with padding",
        TIMESTAMP => "whole milliseconds since 1970",
        REFERENCE => "a collection and an id, both strings of allowed length",
        VECTOR => "a list of numbers that 32-bit floats can hold",
        BLOB => "a hash of 64 hexadecimal digits and a length",
        FLOAT => "\"inf\" or \"-inf\"",
        _ if RESERVED.contains(&key) => "nothing: the key is reserved",
        _ => return None,
    })
}

/// The fault of an `$object` beside other keys.
pub(super) fn alone(start: usize) -> (usize, JsonFault) {
    (start, JsonFault::Typed { key: OBJECT.to_owned(), expected: "it to be the only key" })
}

/// The value that an object stands for: a typed value, or itself.
pub(super) fn from_object(fields: Fields) -> Result<Value, JsonFault> {
    let only = fields.keys().next().filter(|_| fields.len() == 1);
    let Some(expected) = only.and_then(|key| expected(key)) else { return Ok(Value::Object(fields)) };
    let (key, content) = fields.into_iter().next().expect("it has one key");
    typed(&key, content).ok_or(JsonFault::Typed { key, expected })
}

fn typed(key: &str, content: Value) -> Option<Value> {
    match (key, content) {
        (BYTES, Value::String(text)) => BASE64.decode(text.as_bytes()).ok().map(Value::Bytes),
        (TIMESTAMP, Value::Int(ms)) => Some(Value::Timestamp(ms)),
        (REFERENCE, Value::Object(fields)) => reference(fields),
        (VECTOR, Value::List(numbers)) => numbers.iter().map(component).collect::<Option<Vec<_>>>().map(Value::Vector),
        (BLOB, Value::Object(fields)) => blob(&fields),
        (FLOAT, Value::String(text)) if text == INFINITY => Some(Value::Float(f64::INFINITY)),
        (FLOAT, Value::String(text)) if text == NEGATIVE_INFINITY => Some(Value::Float(f64::NEG_INFINITY)),
        _ => None,
    }
}

fn reference(mut fields: Fields) -> Option<Value> {
    let both = (fields.remove("collection")?, fields.remove("id")?);
    let (Value::String(collection), Value::String(id)) = both else { return None };
    let reference = Reference { collection, id };
    (fields.is_empty() && reference.is_valid()).then_some(Value::Reference(reference))
}

/// A finite number that becomes infinite as a 32-bit float is refused; a small one may become 0, as it may lose digits.
fn component(value: &Value) -> Option<f32> {
    let number = match value {
        Value::Int(int) => *int as f32,
        Value::Float(float) if float.is_infinite() => return Some(*float as f32),
        Value::Float(float) => *float as f32,
        _ => return None,
    };
    number.is_finite().then_some(number + 0.0)
}

fn blob(fields: &Fields) -> Option<Value> {
    let (Value::String(hash), Value::Int(length)) = (fields.get("hash")?, fields.get("length")?) else { return None };
    let hash = HEXLOWER.decode(hash.as_bytes()).ok()?.try_into().ok()?;
    (fields.len() == 2).then_some(Value::Blob(Blob { hash, length: u64::try_from(*length).ok()? }))
}
