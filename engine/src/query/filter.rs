//! Filters, compiled against the fields that a source is asked for, and evaluated on candidates.

use super::path::{self, ID};
use super::source::Candidate;
use super::test::Test;
use super::{Comparison, Filter};
use crate::store::ReadError;
use crate::value::Value;

/// The top-level fields that a query looks at, each once.
#[derive(Debug, Default)]
pub(crate) struct FieldNames(Vec<String>);

impl FieldNames {
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }

    /// Resolves a path, and remembers its field.
    pub fn subject<'q>(&mut self, path: &'q str) -> Subject<'q> {
        if path == ID {
            return Subject::Id;
        }
        let (field, inner) = path::split(path);
        let position = self.0.iter().position(|name| name == field).unwrap_or_else(|| {
            self.0.push(field.to_owned());
            self.0.len() - 1
        });
        Subject::Field { position, inner }
    }
}

/// Which value of a candidate is meant.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Subject<'q> {
    Id,
    Field { position: usize, inner: Option<&'q str> },
}

impl Subject<'_> {
    /// Calls `with` with the value, or without one when it is absent.
    pub fn read<T>(self, candidate: &dyn Candidate, with: impl FnOnce(Option<&Value>) -> T) -> Result<T, ReadError> {
        match self {
            Self::Id => Ok(with(Some(&Value::String(candidate.id().to_owned())))),
            Self::Field { position, inner } => {
                let value = candidate.field(position)?;
                Ok(with(value.as_deref().and_then(|value| path::inside(value, inner))))
            }
        }
    }
}

/// A filter, ready to be evaluated.
#[derive(Debug)]
pub(crate) enum Predicate<'q> {
    And(Vec<Predicate<'q>>),
    Or(Vec<Predicate<'q>>),
    Not(Box<Predicate<'q>>),
    Test { subject: Subject<'q>, test: Test<'q>, expected: bool },
}

impl<'q> Predicate<'q> {
    /// Compiles a filter.
    pub fn new(filter: &'q Filter, fields: &mut FieldNames) -> Self {
        match filter {
            Filter::All => Self::And(Vec::new()),
            Filter::And(_) => Self::all(conjuncts(filter), fields),
            Filter::Or(parts) => Self::Or(parts.iter().map(|part| Self::new(part, fields)).collect()),
            Filter::Not(part) => Self::Not(Box::new(Self::new(part, fields))),
            Filter::Compare { path, comparison } => {
                let (test, expected) = Test::new(comparison);
                Self::Test { subject: fields.subject(path), test, expected }
            }
        }
    }

    /// Compiles filters that must all hold.
    pub fn all(filters: impl IntoIterator<Item = &'q Filter>, fields: &mut FieldNames) -> Self {
        Self::And(filters.into_iter().map(|filter| Self::new(filter, fields)).collect())
    }

    /// Whether it holds for everything.
    pub fn is_trivial(&self) -> bool {
        matches!(self, Self::And(parts) if parts.is_empty())
    }

    /// Whether it holds for `candidate`. Decodes no more than it must.
    pub fn matches(&self, candidate: &dyn Candidate) -> Result<bool, ReadError> {
        match self {
            Self::And(parts) => first(parts, candidate, false).map(|failed| !failed),
            Self::Or(parts) => first(parts, candidate, true),
            Self::Not(part) => part.matches(candidate).map(|holds| !holds),
            Self::Test { subject, test, expected } => subject.read(candidate, |value| test.holds(value) == *expected),
        }
    }
}

/// Whether some part comes out as `wanted`.
fn first(parts: &[Predicate<'_>], candidate: &dyn Candidate, wanted: bool) -> Result<bool, ReadError> {
    for part in parts {
        if part.matches(candidate)? == wanted {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What must all hold for `filter` to hold: nested `And`s are flat, and whatever always holds is gone.
pub(crate) fn conjuncts(filter: &Filter) -> Vec<&Filter> {
    match filter {
        Filter::All => Vec::new(),
        Filter::And(parts) => parts.iter().flat_map(conjuncts).collect(),
        Filter::Not(part) => match &**part {
            Filter::Not(part) => conjuncts(part),
            _ => vec![filter],
        },
        Filter::Or(parts) if parts.len() == 1 => conjuncts(&parts[0]),
        _ => vec![filter],
    }
}

impl Filter {
    /// A comparison of the value at `path`.
    #[must_use]
    pub fn compare(path: impl Into<String>, comparison: Comparison) -> Self {
        Self::Compare { path: path.into(), comparison }
    }

    /// Documents whose value at `path` equals `value`.
    #[must_use]
    pub fn eq(path: impl Into<String>, value: Value) -> Self {
        Self::compare(path, Comparison::Eq(value))
    }
}
