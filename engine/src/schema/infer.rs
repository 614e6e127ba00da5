//! Inferring a schema from records, for imports.
//!
//! Every field that has values of one type in all records of the sample is declared with it. Lists of strings that
//! ascend without duplicates in every record become sets, which show their elements in just that order; all other lists
//! stay registers, because their order may mean something. Nothing is inferred to be required.

use std::collections::BTreeMap;

use super::{Field, Schema, ValueType, Violation};
use crate::document::ConflictPolicy;
use crate::operation::FieldKind;
use crate::value::{Fields, Value};

/// How many records an import looks at before it decides.
pub const SAMPLE_RECORDS: usize = 1_000;

/// What the records seen so far have in common.
#[derive(Debug, Clone, Default)]
pub struct Inference {
    fields: BTreeMap<String, Guess>,
}

/// What the values of one field have in common.
#[derive(Debug, Clone, PartialEq)]
enum Guess {
    /// All are of this type.
    Type(ValueType),
    /// All are lists of strings, ascending and without duplicates. `telling`: at least one has two elements.
    Set { telling: bool },
    /// They differ.
    Any,
}

impl Inference {
    /// Takes a record into account.
    pub fn observe(&mut self, fields: &Fields) {
        for (name, value) in fields {
            let Some(seen) = Guess::from_value(value) else { continue };
            match self.fields.get_mut(name) {
                Some(guess) => guess.join(seen),
                None => {
                    self.fields.insert(name.clone(), seen);
                }
            }
        }
    }

    /// The schema that fits every record seen.
    #[must_use]
    pub fn finish(self) -> Schema {
        let declared = |(name, guess)| {
            let (kind, value_type) = match guess {
                Guess::Type(value_type) => (FieldKind::Register, value_type),
                Guess::Set { telling: true } => (FieldKind::Set, ValueType::String),
                Guess::Set { telling: false } | Guess::Any => return None,
            };
            Some((
                name,
                Field {
                    kind,
                    value_type: Some(value_type),
                    required: false,
                    default: None,
                    conflict: ConflictPolicy::Latest,
                },
            ))
        };
        let fields = self.fields.into_iter().filter_map(declared).take(super::MAX_DECLARATIONS);
        let declarable = |name: &str| !name.is_empty() && name.len() <= super::MAX_DECLARED_NAME_BYTES;
        Schema { fields: fields.filter(|(name, _)| declarable(name)).collect(), ..Schema::default() }
    }
}

impl Guess {
    fn from_value(value: &Value) -> Option<Self> {
        Some(match value {
            Value::Null => return None,
            Value::Bool(_) => Self::Type(ValueType::Bool),
            Value::Int(_) => Self::Type(ValueType::Int),
            Value::Float(_) => Self::Type(ValueType::Float),
            Value::String(_) => Self::Type(ValueType::String),
            Value::Bytes(_) => Self::Type(ValueType::Bytes),
            Value::Timestamp(_) => Self::Type(ValueType::Timestamp),
            Value::Reference(reference) => Self::Type(ValueType::Reference(reference.collection.clone())),
            Value::Vector(numbers) if !numbers.is_empty() => {
                u32::try_from(numbers.len()).map_or(Self::Any, |dimensions| Self::Type(ValueType::Vector(dimensions)))
            }
            Value::List(values) if is_ascending_text(values) => Self::Set { telling: values.len() > 1 },
            Value::List(_) | Value::Object(_) | Value::Vector(_) | Value::Blob(_) => Self::Any,
        })
    }

    fn join(&mut self, other: Self) {
        use ValueType::{Float, Int};
        match (&mut *self, other) {
            (Self::Set { telling }, Self::Set { telling: more }) => *telling |= more,
            (Self::Type(Float), Self::Type(Int)) => {}
            (guess @ Self::Type(Int), Self::Type(Float)) => *guess = Self::Type(Float),
            (guess, other) if *guess != other => *guess = Self::Any,
            _ => {}
        }
    }
}

fn is_ascending_text(values: &[Value]) -> bool {
    values.iter().all(|value| matches!(value, Value::String(_))) && values.is_sorted_by(|a, b| a.total_cmp(b).is_lt())
}

impl Schema {
    /// Widens the type of a register that was inferred too narrowly: ints become floats when a float comes, anything
    /// else becomes a register of any type. False: the field is no register, or the value fits.
    pub(crate) fn widen(&mut self, violation: &Violation, value: &Value) -> bool {
        match self.fields.get_mut(violation.field()) {
            Some(field) if field.kind == FieldKind::Register && !field.required && field.value_type.is_some() => {
                let to_float = field.value_type == Some(ValueType::Int) && matches!(value, Value::Float(_));
                field.value_type = to_float.then_some(ValueType::Float);
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn infer(records: &[&str]) -> Schema {
        let mut inference = Inference::default();
        for record in records {
            inference.observe(&crate::value::fields_from_json(record.as_bytes()).unwrap());
        }
        inference.finish()
    }

    #[test]
    fn fields_of_one_type_are_declared() {
        let schema = infer(&[
            r#"{"s": "x", "n": 1, "f": 1, "b": true, "mixed": 1, "l": [2, 1], "o": {}, "null": null}"#,
            r#"{"s": "y", "n": null, "f": 1.5, "mixed": "x", "l": ["a"], "t": {"$timestamp": 1}}"#,
            r#"{"f": 2}"#,
        ]);
        assert_eq!(
            schema.to_json(),
            concat!(
                r#"{"fields":{"b":{"type":"bool"},"f":{"type":"float"},"n":{"type":"int"},"#,
                r#""s":{"type":"string"},"t":{"type":"timestamp"}},"indexes":{}}"#
            )
        );
        assert_eq!(schema.check(), Ok(()));
    }

    #[test]
    fn only_lists_that_a_set_shows_alike_become_sets() {
        let kind = |lists: &[&str]| {
            let records: Vec<_> = lists.iter().map(|list| format!(r#"{{"l": {list}}}"#)).collect();
            let schema = infer(&records.iter().map(String::as_str).collect::<Vec<_>>());
            schema.fields.get("l").map(|field| field.kind)
        };
        assert_eq!(kind(&[r#"["a", "b"]"#, "[]", r#"["c"]"#]), Some(FieldKind::Set));
        assert_eq!(kind(&[r#"["b", "a"]"#]), None, "a set would change the order");
        assert_eq!(kind(&[r#"["a", "b"]"#, r#"["a", "a"]"#]), None, "a set would lose an element");
        assert_eq!(kind(&[r#"["a", "b"]"#, "[1]"]), None);
        assert_eq!(kind(&["[]", r#"["a"]"#]), None, "one element tells nothing about order");
        assert_eq!(kind(&[r#"["a", "b"]"#, r#""a""#]), None);
    }

    #[test]
    fn a_type_that_was_inferred_too_narrowly_is_widened() {
        let mut schema = infer(&[r#"{"n": 1, "s": ["a", "b"]}"#]);
        let widen = |schema: &mut Schema, field: &str, value: Value| {
            let violation = schema.check_value(field, &value).unwrap_err();
            schema.widen(&violation, &value)
        };
        assert!(widen(&mut schema, "n", Value::Float(0.5)));
        assert_eq!(schema.fields["n"].value_type, Some(ValueType::Float));
        assert!(widen(&mut schema, "n", Value::from("x")));
        assert_eq!(schema.fields["n"].value_type, None);
        assert!(!widen(&mut schema, "s", Value::from("x")), "another kind would be another cell");
    }
}
