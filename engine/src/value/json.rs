//! JSON text and values, with an exact round trip for every value.
//!
//! Null, booleans, strings, lists and objects are themselves. A number without point and exponent is an int, any other
//! a float, and floats are written with one of them: `1` and `1.0` stay apart. What JSON has no form for is an object
//! with a single key:
//!
//! | value | JSON |
//! |---|---|
//! | bytes | `{"$bytes": "3q2+7w=="}` (base 64, padded) |
//! | timestamp | `{"$timestamp": 1700000000000}` (milliseconds since 1970 UTC) |
//! | reference | `{"$ref": {"collection": "people", "id": "ada"}}` |
//! | vector | `{"$vector": [0.5, -1.0]}` |
//! | blob | `{"$blob": {"hash": "…64 hexadecimal digits…", "length": 300}}` |
//! | infinite float | `{"$float": "inf"}`, `{"$float": "-inf"}` |
//! | an object that looks like one of these | `{"$object": {"$bytes": 1}}`: the object inside is taken as it is |
//!
//! `$date` and `$decimal` are reserved. Other keys with a dollar are ordinary keys. A key `$object` beside others is
//! refused: write it inside an `$object`.
//!
//! Reading is strict: no duplicate keys, no lone surrogates, no NaN, nothing after the end, no integer that an `i64`
//! can't hold and no number that only rounds to infinity or to zero.

mod parse;
mod typed;
mod write;

pub(crate) use write::write_text;

use super::{Fields, Value};
use parse::Parser;

/// Why text is not the JSON of a value, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {fault}")]
pub struct JsonError {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong there.
    pub fault: JsonFault,
}

/// What is wrong with JSON text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonFault {
    /// The text ends inside a value.
    #[error("the text ends inside a value")]
    End,
    /// Something else should stand here.
    #[error("expected {expected}")]
    Expected {
        /// What should stand here.
        expected: &'static str,
    },
    /// Bytes that are not UTF-8.
    #[error("not UTF-8")]
    Utf8,
    /// A control character inside a string.
    #[error("a control character in a string; write it as \\u00..")]
    ControlCharacter,
    /// An escape that JSON does not have, or half of a surrogate pair.
    #[error("not an escape of JSON, or half of a surrogate pair")]
    Escape,
    /// An integer beyond 64 bits.
    #[error("the integer exceeds 64 bits; write it as a string, or with an exponent as a float")]
    IntegerRange,
    /// A float that would become infinite or zero.
    #[error("the number is beyond the range of a 64-bit float; write it as a string")]
    FloatRange,
    /// A key that comes twice in one object.
    #[error("the key {key:?} comes twice")]
    DuplicateKey {
        /// The key, cut to 80 characters.
        key: String,
    },
    /// Lists and objects nest too deep.
    #[error("lists and objects nest at most {max} deep", max = Value::MAX_DEPTH)]
    TooDeep,
    /// An object that looks like a typed value and is none.
    #[error("{key}: expected {expected}; an object that is meant as such goes inside {{\"$object\": …}}")]
    Typed {
        /// The key.
        key: String,
        /// What it should hold.
        expected: &'static str,
    },
}

impl Value {
    /// Reads the JSON of one value.
    ///
    /// # Errors
    /// [`JsonError`] for whatever isn't that: see [`JsonFault`].
    pub fn from_json(text: &[u8]) -> Result<Self, JsonError> {
        Parser::all_of(text, Parser::value)
    }

    /// The JSON of the value, on one line and without blanks.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        write::write_value(self, &mut out);
        out
    }
}

/// Reads an object as fields: its own keys are names, whatever they look like.
///
/// # Errors
/// [`JsonError`] for anything but the JSON of an object.
///
/// ```
/// use tidewater_engine::value::{Value, fields_from_json};
///
/// let fields = fields_from_json(br#"{"n": 1, "at": {"$timestamp": 0}}"#)?;
/// assert_eq!(fields["at"], Value::Timestamp(0));
/// let error = fields_from_json(br#"{"n": 1, "n": 2}"#).unwrap_err();
/// assert_eq!(error.to_string(), "line 1, column 10: the key \"n\" comes twice");
/// # Ok::<(), tidewater_engine::value::JsonError>(())
/// ```
pub fn fields_from_json(text: &[u8]) -> Result<Fields, JsonError> {
    Parser::all_of(text, Parser::fields)
}

/// The JSON of fields: an object on one line and without blanks.
#[must_use]
pub fn fields_to_json(fields: &Fields) -> String {
    let mut out = String::new();
    write::write_fields(fields, &mut out);
    out
}

/// Appends `"name":value` pairs with commas between them.
pub(crate) fn write_members(fields: &Fields, out: &mut String) {
    write::write_members(fields, out);
}
