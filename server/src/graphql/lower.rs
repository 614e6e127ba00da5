//! From GraphQL arguments to the engine's queries and edits: pure functions that know no request, no store and no HTTP.

pub(crate) mod edit;
pub(crate) mod filter;
pub(crate) mod page;
pub(crate) mod value;

use async_graphql::Value as Argument;
use async_graphql::indexmap::IndexMap;
use async_graphql::{Name, Number};

/// A field's arguments, or an input object's fields.
pub(crate) type Arguments = IndexMap<Name, Argument>;

/// What is wrong with an argument.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LowerError {
    /// Another kind of value is needed.
    #[error("{at}: expected {expected}, found {found}")]
    Expected { at: String, expected: String, found: String },
    /// There is no such name.
    #[error("{at}: unknown {what} {name:?}")]
    Unknown { at: String, what: &'static str, name: String },
    /// A bound is exceeded.
    #[error("{at}: {what} is {given}, at most {limit} is allowed")]
    Limit { at: String, what: &'static str, given: u64, limit: u64 },
    /// JSON that says no value.
    #[error("{at}: {why}")]
    Json { at: String, why: String },
}

impl LowerError {
    pub(crate) fn expected(at: &str, expected: impl Into<String>, found: &Argument) -> Self {
        Self::Expected { at: at.to_owned(), expected: expected.into(), found: describe(found) }
    }
}

/// How an argument is shown in an error: short, and without the whole of its content.
fn describe(argument: &Argument) -> String {
    const MAX_SHOWN: usize = 40;
    match argument {
        Argument::Null => "null".to_owned(),
        Argument::Number(number) => Number::to_string(number).chars().take(MAX_SHOWN).collect(),
        Argument::String(text) if text.chars().count() <= MAX_SHOWN => format!("{text:?}"),
        Argument::String(text) => format!("a string of {} bytes", text.len()),
        Argument::Boolean(value) => value.to_string(),
        Argument::Binary(_) => "bytes".to_owned(),
        Argument::Enum(name) => name.to_string(),
        Argument::List(_) => "a list".to_owned(),
        Argument::Object(_) => "an object".to_owned(),
    }
}

/// The argument `name`, unless it is absent or null.
pub(crate) fn given<'a>(arguments: &'a Arguments, name: &str) -> Option<&'a Argument> {
    arguments.get(name).filter(|argument| **argument != Argument::Null)
}

/// The fields of an input object.
pub(crate) fn object<'a>(at: &str, argument: &'a Argument) -> Result<&'a Arguments, LowerError> {
    match argument {
        Argument::Object(fields) => Ok(fields),
        other => Err(LowerError::expected(at, "an object", other)),
    }
}

/// The elements of a list; a single value is a list of one, as GraphQL has it.
pub(crate) fn elements(argument: &Argument) -> &[Argument] {
    match argument {
        Argument::List(elements) => elements,
        single => std::slice::from_ref(single),
    }
}

/// A string.
pub(crate) fn text<'a>(at: &str, argument: &'a Argument) -> Result<&'a str, LowerError> {
    match argument {
        Argument::String(text) => Ok(text),
        other => Err(LowerError::expected(at, "a string", other)),
    }
}

/// An id: a string, or a whole number as its digits.
pub(crate) fn id(at: &str, argument: &Argument) -> Result<String, LowerError> {
    match argument {
        Argument::String(text) => Ok(text.clone()),
        Argument::Number(number) if number.is_i64() || number.is_u64() => Ok(number.to_string()),
        other => Err(LowerError::expected(at, "an id", other)),
    }
}

/// A whole number from 0 on.
pub(crate) fn count(at: &str, argument: &Argument) -> Result<usize, LowerError> {
    match argument {
        Argument::Number(number) => number.as_u64().and_then(|number| usize::try_from(number).ok()),
        _ => None,
    }
    .ok_or_else(|| LowerError::expected(at, "a whole number from 0 on", argument))
}

/// The name of an enum's item, written as a name or, in variables, as a string.
pub(crate) fn item<'a>(at: &str, argument: &'a Argument) -> Result<&'a str, LowerError> {
    match argument {
        Argument::Enum(name) => Ok(name),
        Argument::String(name) => Ok(name),
        other => Err(LowerError::expected(at, "one of the enum's names", other)),
    }
}
