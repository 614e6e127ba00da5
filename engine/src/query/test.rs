//! Comparisons, compiled: what is sorted or parsed once is not sorted or parsed for every document.

use std::cmp::Ordering;

use super::Comparison;
use super::like::Pattern;
use crate::value::Value;

/// A test of one value.
#[derive(Debug)]
pub(crate) enum Test<'q> {
    Equal(&'q Value),
    /// Of the same class, and in one of these orders to the bound.
    Ordered {
        bound: &'q Value,
        accept: fn(Ordering) -> bool,
    },
    /// Equal to one of these.
    In(Distinct<'q>),
    Like(Pattern),
    StartsWith(&'q str),
    Contains(&'q Value),
    Any(Distinct<'q>),
    Every(Distinct<'q>),
    Exists,
    /// A pattern that validation refuses.
    Never,
}

impl<'q> Test<'q> {
    /// The test, and the outcome that satisfies the comparison.
    pub fn new(comparison: &'q Comparison) -> (Self, bool) {
        let ordered = |bound, accept| Self::Ordered { bound, accept };
        match comparison {
            Comparison::Eq(value) => (Self::Equal(value), true),
            Comparison::Ne(value) => (Self::Equal(value), false),
            Comparison::Gt(bound) => (ordered(bound, Ordering::is_gt), true),
            Comparison::Gte(bound) => (ordered(bound, Ordering::is_ge), true),
            Comparison::Lt(bound) => (ordered(bound, Ordering::is_lt), true),
            Comparison::Lte(bound) => (ordered(bound, Ordering::is_le), true),
            Comparison::In(values) => (Self::In(Distinct::new(values)), true),
            Comparison::Nin(values) => (Self::In(Distinct::new(values)), false),
            Comparison::Like(pattern) => (Pattern::new(pattern).map_or(Self::Never, Self::Like), true),
            Comparison::StartsWith(prefix) => (Self::StartsWith(prefix), true),
            Comparison::Contains(value) => (Self::Contains(value), true),
            Comparison::Any(values) => (Self::Any(Distinct::new(values)), true),
            Comparison::Every(values) => (Self::Every(Distinct::new(values)), true),
            Comparison::Exists(there) => (Self::Exists, *there),
        }
    }

    /// Tests the value of a field, or its absence.
    pub fn holds(&self, field: Option<&Value>) -> bool {
        let value = field.unwrap_or(&Value::Null);
        match self {
            Self::Equal(other) => value.equals(other),
            Self::Ordered { bound, accept } => value.class() == bound.class() && accept(value.total_cmp(bound)),
            Self::In(values) => values.position(value).is_some(),
            Self::Like(pattern) => matches!(value, Value::String(text) if pattern.matches(text)),
            Self::StartsWith(prefix) => matches!(value, Value::String(text) if text.starts_with(prefix)),
            Self::Contains(part) => contains(value, part),
            Self::Any(parts) => any(value, parts),
            Self::Every(parts) => every(value, parts),
            Self::Exists => field.is_some(),
            Self::Never => false,
        }
    }
}

/// Values in order, equal ones once.
#[derive(Debug)]
pub(crate) struct Distinct<'q>(Vec<&'q Value>);

impl<'q> Distinct<'q> {
    pub fn new(values: &'q [Value]) -> Self {
        let mut values: Vec<_> = values.iter().collect();
        values.sort_unstable_by(|a, b| a.total_cmp(b));
        values.dedup_by(|a, b| a.equals(b));
        Self(values)
    }

    pub fn iter(&self) -> impl Iterator<Item = &'q Value> {
        self.0.iter().copied()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    fn position(&self, value: &Value) -> Option<usize> {
        self.0.binary_search_by(|probe| probe.total_cmp(value)).ok()
    }
}

/// Whether `value` is a list with the element `part`, or text with the part `part`.
fn contains(value: &Value, part: &Value) -> bool {
    match (value, part) {
        (Value::List(elements), part) => elements.iter().any(|element| element.equals(part)),
        (Value::String(text), Value::String(part)) => text.contains(part.as_str()),
        _ => false,
    }
}

fn any(value: &Value, parts: &Distinct<'_>) -> bool {
    match value {
        Value::List(elements) => elements.iter().any(|element| parts.position(element).is_some()),
        text => parts.iter().any(|part| contains(text, part)),
    }
}

fn every(value: &Value, parts: &Distinct<'_>) -> bool {
    match value {
        Value::List(elements) => {
            let mut missing = vec![true; parts.len()];
            let found = elements.iter().filter_map(|element| parts.position(element));
            let found = found.filter(|position| std::mem::take(&mut missing[*position])).count();
            found == parts.len()
        }
        Value::String(_) => parts.iter().all(|part| contains(value, part)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(comparison: &Comparison, field: Option<Value>) -> bool {
        let (test, expected) = Test::new(comparison);
        test.holds(field.as_ref()) == expected
    }

    fn string(text: &str) -> Value {
        Value::String(text.to_owned())
    }

    #[test]
    fn an_absent_field_is_tested_as_null_except_by_exists() {
        assert!(holds(&Comparison::Eq(Value::Null), None));
        assert!(holds(&Comparison::In(vec![Value::Int(1), Value::Null]), None));
        assert!(holds(&Comparison::Ne(Value::Int(1)), None));
        assert!(holds(&Comparison::Nin(vec![Value::Int(1)]), None));
        assert!(!holds(&Comparison::Exists(true), None));
        assert!(holds(&Comparison::Exists(false), None));
        assert!(holds(&Comparison::Exists(true), Some(Value::Null)));
        for never in [Comparison::Lt(Value::Int(1)), Comparison::Like("%".into()), Comparison::Every(vec![])] {
            assert!(!holds(&never, None), "{never:?}");
        }
    }

    #[test]
    fn ordering_compares_within_a_class_only() {
        assert!(holds(&Comparison::Gt(Value::Int(1)), Some(Value::Float(1.5))));
        assert!(holds(&Comparison::Lte(Value::Float(2.0)), Some(Value::Int(2))));
        assert!(!holds(&Comparison::Gt(Value::Int(1)), Some(string("z"))));
        assert!(!holds(&Comparison::Lt(Value::Int(1)), Some(Value::Null)));
        assert!(!holds(&Comparison::Gt(Value::Int(1)), Some(Value::Timestamp(9))));
        assert!(holds(&Comparison::Gte(Value::Null), None));
    }

    #[test]
    fn contains_any_and_every_look_into_lists_and_text() {
        let list = || Some(Value::List(vec![Value::Int(1), string("home"), Value::Int(1)]));
        let text = || Some(string("homework"));
        assert!(holds(&Comparison::Contains(Value::Float(1.0)), list()));
        assert!(!holds(&Comparison::Contains(string("ho")), list()));
        assert!(holds(&Comparison::Contains(string("ho")), text()));
        assert!(!holds(&Comparison::Contains(Value::Null), text()));
        assert!(holds(&Comparison::Any(vec![string("x"), string("work")]), text()));
        assert!(!holds(&Comparison::Any(vec![]), list()));
        assert!(holds(&Comparison::Every(vec![Value::Int(1), Value::Float(1.0), string("home")]), list()));
        assert!(!holds(&Comparison::Every(vec![Value::Int(1), Value::Int(2)]), list()));
        assert!(holds(&Comparison::Every(vec![]), list()) && holds(&Comparison::Every(vec![]), text()));
        assert!(!holds(&Comparison::Every(vec![Value::Int(1)]), Some(Value::Int(1))));
    }
}
