//! Checking what an author writes against a schema. Replicas never do this: what is in a log counts.

use std::fmt;

use super::{Field, Schema, ValueType};
use crate::operation::FieldKind;
use crate::store::WriteError;
use crate::value::{Fields, Value, distinct};

/// A rule of a schema that a write breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// A required field is absent, null or cleared.
    #[error("field {field} is required")]
    Required {
        /// The field.
        field: String,
    },
    /// A value is not of the declared type.
    #[error("field {field}: expected {expected}, found {found}")]
    Type {
        /// The field.
        field: String,
        /// What was declared.
        expected: String,
        /// What was given.
        found: String,
    },
    /// The elements of a set are not different from each other.
    #[error("field {field} is a set, and an element comes twice")]
    Duplicate {
        /// The field.
        field: String,
    },
}

impl Violation {
    /// The field.
    #[must_use]
    pub fn field(&self) -> &str {
        match self {
            Self::Required { field } | Self::Type { field, .. } | Self::Duplicate { field } => field,
        }
    }

    /// The error of the write to a document.
    #[must_use]
    pub fn into_error(self, collection: &str, id: &str) -> WriteError {
        WriteError::Schema { collection: collection.to_owned(), id: id.to_owned(), why: self.to_string() }
    }
}

impl Schema {
    /// Checks the fields of an insert, and adds the defaults of fields that it does not give.
    ///
    /// # Errors
    /// [`WriteError::Schema`] with the first [`Violation`], by field.
    pub fn check_insert(&self, collection: &str, id: &str, mut fields: Fields) -> Result<Fields, WriteError> {
        for (name, field) in &self.fields {
            if let Some(value) = fields.get(name) {
                field.check(name, value).map_err(|violation| violation.into_error(collection, id))?;
            } else if let Some(default) = &field.default {
                fields.insert(name.clone(), default.clone());
            } else if field.required {
                return Err(Violation::Required { field: name.clone() }.into_error(collection, id));
            }
        }
        Ok(fields)
    }

    /// Checks a value that a field is set to, in the form in which reads show it. Undeclared fields take any.
    ///
    /// # Errors
    /// The [`Violation`].
    pub fn check_value(&self, field: &str, value: &Value) -> Result<(), Violation> {
        self.fields.get(field).map_or(Ok(()), |declared| declared.check(field, value))
    }

    /// Checks elements that are added to a set.
    ///
    /// # Errors
    /// [`Violation::Type`] for the first element of another type than declared.
    pub fn check_elements(&self, field: &str, elements: &[Value]) -> Result<(), Violation> {
        self.fields.get(field).map_or(Ok(()), |declared| declared.check_elements(field, elements))
    }

    /// Checks that a field may be removed.
    ///
    /// # Errors
    /// [`Violation::Required`] when it may not.
    pub fn check_clear(&self, field: &str) -> Result<(), Violation> {
        match self.fields.get(field) {
            Some(declared) if declared.required => Err(Violation::Required { field: field.to_owned() }),
            _ => Ok(()),
        }
    }
}

impl Field {
    /// Checks a value for this field, which is called `name`. Null goes where nothing is required.
    pub(super) fn check(&self, name: &str, value: &Value) -> Result<(), Violation> {
        if *value == Value::Null {
            return if self.required { Err(Violation::Required { field: name.to_owned() }) } else { Ok(()) };
        }
        let wrong = |expected: &str| Err(mismatch(name, expected, value));
        match (self.kind, value) {
            (FieldKind::Register, value) => match &self.value_type {
                Some(value_type) if !value_type.accepts(value) => wrong(&value_type.to_string()),
                _ => Ok(()),
            },
            (FieldKind::Counter, Value::Int(_)) | (FieldKind::Text, Value::String(_)) => Ok(()),
            (FieldKind::Json, Value::Object(_) | Value::List(_)) => Ok(()),
            (FieldKind::Set, Value::List(elements)) => {
                self.check_elements(name, elements)?;
                if distinct(elements) { Ok(()) } else { Err(Violation::Duplicate { field: name.to_owned() }) }
            }
            (FieldKind::Counter, _) => wrong("an int, for a counter"),
            (FieldKind::Text, _) => wrong("a string, for a text"),
            (FieldKind::Json, _) => wrong("an object or a list, for json"),
            (FieldKind::Set, _) => wrong("a list, for a set"),
        }
    }

    fn check_elements(&self, name: &str, elements: &[Value]) -> Result<(), Violation> {
        let Some(value_type) = &self.value_type else { return Ok(()) };
        match elements.iter().find(|element| !value_type.accepts(element)) {
            Some(element) => Err(mismatch(name, &format!("elements of type {value_type}"), element)),
            None => Ok(()),
        }
    }
}

fn mismatch(field: &str, expected: &str, found: &Value) -> Violation {
    Violation::Type { field: field.to_owned(), expected: expected.to_owned(), found: name_of(found).to_owned() }
}

fn name_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a bool",
        Value::Int(_) => "an int",
        Value::Float(_) => "a float",
        Value::String(_) => "a string",
        Value::Bytes(_) => "bytes",
        Value::Timestamp(_) => "a timestamp",
        Value::List(_) => "a list",
        Value::Object(_) => "an object",
        Value::Reference(_) => "a reference",
        Value::Vector(_) => "a vector",
        Value::Blob(_) => "a blob",
    }
}

impl ValueType {
    /// Whether a value is of this type. A float may be given as an int.
    #[must_use]
    pub fn accepts(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Bool, Value::Bool(_))
            | (Self::Int | Self::Float, Value::Int(_))
            | (Self::Float, Value::Float(_))
            | (Self::String, Value::String(_))
            | (Self::Bytes, Value::Bytes(_))
            | (Self::Timestamp, Value::Timestamp(_))
            | (Self::List(None), Value::List(_))
            | (Self::Object, Value::Object(_)) => true,
            (Self::List(Some(element)), Value::List(values)) => values.iter().all(|value| element.accepts(value)),
            (Self::Reference(collection), Value::Reference(reference)) => reference.collection == *collection,
            (Self::Vector(dimensions), Value::Vector(numbers)) => numbers.len() == *dimensions as usize,
            _ => false,
        }
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => f.write_str("bool"),
            Self::Int => f.write_str("int"),
            Self::Float => f.write_str("float"),
            Self::String => f.write_str("string"),
            Self::Bytes => f.write_str("bytes"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::List(None) => f.write_str("list"),
            Self::List(Some(element)) => write!(f, "list of {element}"),
            Self::Object => f.write_str("object"),
            Self::Reference(collection) => write!(f, "reference to {collection}"),
            Self::Vector(dimensions) => write!(f, "vector of {dimensions}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> Schema {
        let text = br#"{"fields": {
            "title": {"type": "string", "required": true},
            "stars": {"type": "float", "default": 0},
            "tags": {"kind": "set", "type": "string"},
            "visits": {"kind": "counter"},
            "body": {"kind": "text"},
            "tree": {"kind": "json"},
            "author": {"type": {"reference": "people"}},
            "scores": {"type": {"list": "int"}},
            "embedding": {"type": {"vector": 2}}
        }}"#;
        Schema::from_json(text).unwrap()
    }

    fn fields(json: &str) -> Fields {
        crate::value::fields_from_json(json.as_bytes()).unwrap()
    }

    #[test]
    fn defaults_are_filled_and_undeclared_fields_pass() {
        let checked = schema().check_insert("notes", "a", fields(r#"{"title": "x", "other": [1]}"#)).unwrap();
        assert_eq!(checked, fields(r#"{"title": "x", "stars": 0, "other": [1]}"#));
    }

    #[test]
    fn an_insert_that_breaks_a_rule_names_the_field_and_the_rule() {
        let cases = [
            (r#"{}"#, "field title is required"),
            (r#"{"title": null}"#, "field title is required"),
            (r#"{"title": 1}"#, "field title: expected string, found an int"),
            (r#"{"title": "", "tags": "a"}"#, "field tags: expected a list, for a set, found a string"),
            (r#"{"title": "", "tags": ["a", 1]}"#, "field tags: expected elements of type string, found an int"),
            (r#"{"title": "", "tags": ["a", "a"]}"#, "field tags is a set, and an element comes twice"),
            (r#"{"title": "", "visits": 1.5}"#, "field visits: expected an int, for a counter, found a float"),
            (r#"{"title": "", "scores": [1, 2.0]}"#, "field scores: expected list of int, found a list"),
        ];
        for (json, why) in cases {
            let error = schema().check_insert("notes", "a", fields(json)).unwrap_err();
            assert_eq!(error.to_string(), format!("notes/a: {why}"));
        }
    }

    #[test]
    fn values_of_every_kind_and_type_are_told_apart() {
        let good = r#"{"stars": 1, "tags": ["b", "a"], "visits": -3, "body": "x", "tree": {"a": []}, "scores": [1, 2],
            "author": {"$ref": {"collection": "people", "id": "ada"}}, "embedding": {"$vector": [1, 2]}, "any": null}"#;
        for (field, value) in fields(good) {
            assert_eq!(schema().check_value(&field, &value), Ok(()), "{field}");
            assert_eq!(schema().check_value(&field, &Value::Null), Ok(()), "{field} is not required");
        }
        let bad = r#"{"stars": "1", "tags": {}, "visits": "3", "body": 1, "tree": 1, "scores": 1,
            "author": {"$ref": {"collection": "cats", "id": "ada"}}, "embedding": {"$vector": [1]}}"#;
        for (field, value) in fields(bad) {
            assert!(schema().check_value(&field, &value).is_err(), "{field}");
        }
        assert!(schema().check_clear("title").is_err());
        assert_eq!(schema().check_clear("stars"), Ok(()));
        assert!(schema().check_elements("tags", &[Value::Int(1)]).is_err());
    }
}
