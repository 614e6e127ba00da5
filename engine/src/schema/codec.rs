//! Schemas as documents and as JSON.
//!
//! The schema of a collection is a document whose fields are registers, one for each thing that is declared, so that
//! two people who declare different things at the same time both succeed:
//!
//! | field | value |
//! |---|---|
//! | `type_name` | a string |
//! | `field:NAME` | an object: `kind` (`counter`, `set`, `text`, `json`; a register without), `type`, `required`, `default`, `conflict` (`max`, `min`, `keepAll`; the latest without) |
//! | `index:NAME` | an object: `fields`, a list of paths |
//!
//! A type is `"bool"`, `"int"`, `"float"`, `"string"`, `"bytes"`, `"timestamp"`, `"list"`, `"object"`, `{"list": TYPE}`,
//! `{"reference": COLLECTION}` or `{"vector": DIMENSIONS}`. In JSON, `fields` and `indexes` are objects by name.

use super::{Field, Index, Schema, ValueType};
use crate::document::{ConflictPolicy, Document};
use crate::operation::{FieldKind, MAX_NAME_BYTES};
use crate::store::WriteError;
use crate::value::{Fields, JsonError, Value, ValueError, fields_from_json};

const TYPE_NAME: &str = "type_name";
const FIELD_PREFIX: &str = "field:";
const INDEX_PREFIX: &str = "index:";
const FIELDS: &str = "fields";
const INDEXES: &str = "indexes";

/// The longest name of a field or an index that can be declared, in bytes.
pub const MAX_DECLARED_NAME_BYTES: usize = MAX_NAME_BYTES - FIELD_PREFIX.len();
/// The most fields and indexes that one collection can declare.
pub const MAX_DECLARATIONS: usize = 2048;
/// The most fields of one index.
pub const MAX_INDEX_FIELDS: usize = 16;

/// Why a schema can't be declared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// The text is not JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// A part is not understood.
    #[error("{place}: expected {expected}")]
    Expected {
        /// Which part.
        place: String,
        /// What should be there.
        expected: &'static str,
    },
    /// A name is empty, too long or taken.
    #[error(
        "{name:?} can't be declared: a name has 1 to {MAX_DECLARED_NAME_BYTES} bytes, and `id` is the document's id"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// A part breaks a rule of its own.
    #[error("{place}: {why}")]
    Rule {
        /// Which part.
        place: String,
        /// Which rule.
        why: String,
    },
    /// Too many declarations.
    #[error("{found} fields and indexes are declared, at most {MAX_DECLARATIONS} are allowed")]
    TooMany {
        /// How many.
        found: usize,
    },
    /// A part can't be stored.
    #[error("{place}: {source}")]
    Value {
        /// Which part.
        place: String,
        /// Why not.
        source: ValueError,
    },
}

impl From<SchemaError> for WriteError {
    fn from(error: SchemaError) -> Self {
        Self::Invalid { why: format!("the schema can't be declared: {error}") }
    }
}

fn expected(place: impl Into<String>, expected: &'static str) -> SchemaError {
    SchemaError::Expected { place: place.into(), expected }
}

fn rule(place: impl Into<String>, why: impl Into<String>) -> SchemaError {
    SchemaError::Rule { place: place.into(), why: why.into() }
}

impl Schema {
    /// The schema document's fields.
    #[must_use]
    pub fn to_fields(&self) -> Fields {
        let fields = self.fields.iter().map(|(name, field)| (format!("{FIELD_PREFIX}{name}"), field.parts()));
        let indexes = self.indexes.iter().map(|(name, index)| (format!("{INDEX_PREFIX}{name}"), index.parts()));
        let parts = fields.chain(indexes).map(|(name, parts)| (name, Value::Object(parts)));
        let type_name = self.type_name.iter().map(|name| (TYPE_NAME.to_owned(), Value::from(&**name)));
        parts.chain(type_name).collect()
    }

    /// Reads a schema document. What isn't understood is left out: other software may have declared it.
    #[must_use]
    pub fn from_fields(fields: &Fields) -> Self {
        let mut schema = Self::default();
        for (name, value) in fields {
            if let Some(name) = name.strip_prefix(FIELD_PREFIX) {
                let field = Field::from_value(value).map(|field| field.without_what_does_not_fit(name));
                schema.fields.extend(field.map(|field| (name.to_owned(), field)));
            } else if let Some(name) = name.strip_prefix(INDEX_PREFIX) {
                schema.indexes.extend(Index::from_value(value).map(|index| (name.to_owned(), index)));
            } else if let (TYPE_NAME, Value::String(name)) = (name.as_str(), value) {
                schema.type_name = Some(name.clone()).filter(|name| is_type_name(name));
            }
        }
        schema
    }

    /// Reads a schema that a person wrote: see the module's documentation for the form.
    ///
    /// # Errors
    /// [`SchemaError`] for whatever isn't understood, and as [`Schema::check`].
    pub fn from_json(text: &[u8]) -> Result<Self, SchemaError> {
        let mut schema = Self::default();
        for (key, value) in fields_from_json(text)? {
            match (key.as_str(), value) {
                (TYPE_NAME, Value::String(name)) => schema.type_name = Some(name),
                (TYPE_NAME, _) => return Err(expected(TYPE_NAME, "a string")),
                (FIELDS, Value::Object(fields)) => {
                    for (name, value) in fields {
                        let field = understood(&format!("field {name}"), &value, Field::from_value, Field::parts)?;
                        schema.fields.insert(name, field);
                    }
                }
                (INDEXES, Value::Object(indexes)) => {
                    for (name, value) in indexes {
                        let index = understood(&format!("index {name}"), &value, Index::from_value, Index::parts)?;
                        schema.indexes.insert(name, index);
                    }
                }
                (FIELDS | INDEXES, _) => return Err(expected(key, "an object, by name")),
                _ => return Err(expected(key, "only `type_name`, `fields` and `indexes`")),
            }
        }
        schema.check()?;
        Ok(schema)
    }

    /// The JSON that [`Schema::from_json`] reads, on one line.
    #[must_use]
    pub fn to_json(&self) -> String {
        let named = |name: &String, parts| (name.clone(), Value::Object(parts));
        let fields = self.fields.iter().map(|(name, field)| named(name, field.parts())).collect();
        let indexes = self.indexes.iter().map(|(name, index)| named(name, index.parts())).collect();
        let parts = [(FIELDS, Value::Object(fields)), (INDEXES, Value::Object(indexes))];
        let type_name = self.type_name.iter().map(|name| (TYPE_NAME.to_owned(), Value::from(&**name)));
        crate::value::fields_to_json(
            &parts.map(|(key, value)| (key.to_owned(), value)).into_iter().chain(type_name).collect(),
        )
    }

    /// Checks that the schema can be declared: names, types that fit their kinds, defaults that fit their fields, limits.
    ///
    /// # Errors
    /// [`SchemaError`] with the first rule that is broken.
    pub fn check(&self) -> Result<(), SchemaError> {
        let found = self.fields.len() + self.indexes.len();
        if found > MAX_DECLARATIONS {
            return Err(SchemaError::TooMany { found });
        }
        if self.type_name.as_ref().is_some_and(|name| !is_type_name(name)) {
            return Err(expected(TYPE_NAME, "letters, digits and underscores, not first a digit or two underscores"));
        }
        for name in self.fields.keys().chain(self.indexes.keys()) {
            if name.is_empty() || name.len() > MAX_DECLARED_NAME_BYTES {
                return Err(SchemaError::Name { name: name.chars().take(80).collect() });
            }
        }
        if self.fields.contains_key(Document::ID_NAME) {
            return Err(SchemaError::Name { name: Document::ID_NAME.to_owned() });
        }
        self.fields.iter().try_for_each(|(name, field)| field.check_declaration(name))?;
        for (name, index) in &self.indexes {
            let distinct = index.fields.iter().collect::<std::collections::BTreeSet<_>>().len() == index.fields.len();
            let named = index.fields.iter().all(|path| !path.is_empty());
            if !named || !distinct || !(1..=MAX_INDEX_FIELDS).contains(&index.fields.len()) {
                return Err(rule(format!("index {name}"), format!("1 to {MAX_INDEX_FIELDS} different paths")));
            }
        }
        for (place, value) in self.to_fields() {
            value.to_bytes().map_err(|source| SchemaError::Value { place, source })?;
        }
        Ok(())
    }
}

/// Reads a part that `read` understands completely: what it does not would be lost.
fn understood<T>(
    place: &str,
    value: &Value,
    read: impl Fn(&Value) -> Option<T>,
    write: impl Fn(&T) -> Fields,
) -> Result<T, SchemaError> {
    let (Value::Object(given), Some(part)) = (value, read(value)) else {
        return Err(expected(place, "a declaration"));
    };
    let kept = write(&part);
    let implied = |key: &str, value: &Value| {
        matches!((key, value), ("required", Value::Bool(false)) | ("default", Value::Null))
            || key == "kind" && *value == Value::from("register")
            || key == "conflict" && *value == Value::from(ConflictPolicy::Latest.name())
    };
    match given.iter().find(|(key, value)| kept.get(*key) != Some(value) && !implied(key, value)) {
        Some((key, _)) => Err(expected(format!("{place}: {key}"), "a key and a value that a declaration has")),
        None => Ok(part),
    }
}

fn is_type_name(name: &str) -> bool {
    let letter = |byte: u8| byte == b'_' || byte.is_ascii_alphabetic();
    let rest = |byte: u8| letter(byte) || byte.is_ascii_digit();
    name.len() <= MAX_NAME_BYTES
        && !name.starts_with("__")
        && name.bytes().next().is_some_and(letter)
        && name.bytes().all(rest)
}

impl Field {
    fn parts(&self) -> Fields {
        let kind = Some(self.kind).filter(|kind| *kind != FieldKind::Register).map(|kind| Value::from(kind.name()));
        let conflict = Some(self.conflict).filter(|policy| *policy != ConflictPolicy::Latest);
        let conflict = conflict.map(|policy| Value::from(policy.name()));
        let parts = [
            ("kind", kind),
            ("type", self.value_type.as_ref().map(ValueType::to_value)),
            ("required", self.required.then_some(Value::Bool(true))),
            ("default", self.default.clone()),
            ("conflict", conflict),
        ];
        object(parts.into_iter().filter_map(|(key, value)| Some((key, value?))))
    }

    fn from_value(value: &Value) -> Option<Self> {
        let Value::Object(parts) = value else { return None };
        let kind = match parts.get("kind") {
            None => FieldKind::Register,
            Some(Value::String(name)) => FieldKind::from_name(name)?,
            Some(_) => return None,
        };
        Some(Self {
            kind,
            value_type: parts.get("type").and_then(ValueType::from_value),
            required: parts.get("required") == Some(&Value::Bool(true)),
            default: parts.get("default").filter(|default| **default != Value::Null).cloned(),
            conflict: parts.get("conflict").and_then(ConflictPolicy::from_value).unwrap_or_default(),
        })
    }

    /// What is inserted and what is shown has to fit: a default that does not is none, and a policy that does not is the latest.
    fn without_what_does_not_fit(self, name: &str) -> Self {
        let default = self.default.clone().filter(|default| self.check(name, default).is_ok());
        let conflict = if self.check_policy().is_ok() { self.conflict } else { ConflictPolicy::Latest };
        Self { default, conflict, ..self }
    }

    /// Why its policy does not fit, if so.
    fn check_policy(&self) -> Result<(), String> {
        if self.conflict != ConflictPolicy::Latest && self.kind != FieldKind::Register {
            return Err(format!("a {} merges by itself, without a policy", self.kind.name()));
        }
        if self.conflict == ConflictPolicy::KeepAll && !matches!(self.value_type, None | Some(ValueType::List(_))) {
            return Err("keepAll shows a list, so the type is a list or not declared".to_owned());
        }
        Ok(())
    }

    fn check_declaration(&self, name: &str) -> Result<(), SchemaError> {
        let place = || format!("field {name}");
        if self.value_type.is_some() && !matches!(self.kind, FieldKind::Register | FieldKind::Set) {
            return Err(rule(place(), format!("a {} has no type of its own", self.kind.name())));
        }
        self.check_policy().map_err(|why| rule(place(), why))?;
        if let Some(ValueType::Vector(0)) = self.value_type {
            return Err(rule(place(), "a vector has at least one dimension"));
        }
        let default = self.default.as_ref().map_or(Ok(()), |default| self.check(name, default));
        default.map_err(|violation| rule(place(), format!("the default does not fit: {violation}")))
    }
}

impl ConflictPolicy {
    fn from_value(value: &Value) -> Option<Self> {
        let Value::String(name) = value else { return None };
        Self::from_name(name)
    }
}

impl Index {
    fn parts(&self) -> Fields {
        object([(FIELDS, Value::List(self.fields.iter().map(|path| Value::from(&**path)).collect()))])
    }

    fn from_value(value: &Value) -> Option<Self> {
        let Value::Object(parts) = value else { return None };
        let Some(Value::List(paths)) = parts.get(FIELDS) else { return None };
        let paths = paths.iter().map(|path| match path {
            Value::String(path) => Some(path.clone()),
            _ => None,
        });
        paths.collect::<Option<Vec<_>>>().filter(|paths| !paths.is_empty()).map(|fields| Self { fields })
    }
}

impl ValueType {
    fn to_value(&self) -> Value {
        match self {
            Self::List(Some(element)) => Value::Object(object([("list", element.to_value())])),
            Self::Reference(collection) => Value::Object(object([("reference", Value::from(&**collection))])),
            Self::Vector(dimensions) => Value::Object(object([("vector", Value::from(*dimensions))])),
            plain => Value::from(plain.to_string()),
        }
    }

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::String(name) => Some(match name.as_str() {
                "bool" => Self::Bool,
                "int" => Self::Int,
                "float" => Self::Float,
                "string" => Self::String,
                "bytes" => Self::Bytes,
                "timestamp" => Self::Timestamp,
                "list" => Self::List(None),
                "object" => Self::Object,
                _ => return None,
            }),
            Value::Object(parts) if parts.len() == 1 => match parts.first_key_value()? {
                (key, element) if key == "list" => Some(Self::List(Some(Box::new(Self::from_value(element)?)))),
                (key, Value::String(collection)) if key == "reference" => Some(Self::Reference(collection.clone())),
                (key, Value::Int(dimensions)) if key == "vector" => u32::try_from(*dimensions).ok().map(Self::Vector),
                _ => None,
            },
            _ => None,
        }
    }
}

fn object<'k>(parts: impl IntoIterator<Item = (&'k str, Value)>) -> Fields {
    parts.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str = concat!(
        r#"{"fields":{"author":{"type":{"reference":"people"}},"body":{"kind":"text"},"#,
        r#""embedding":{"type":{"vector":384}},"scores":{"type":{"list":{"list":"int"}}},"#,
        r#""stars":{"default":0,"required":true,"type":"float"},"tags":{"kind":"set","type":"string"}},"#,
        r#""indexes":{"by_author":{"fields":["author","stars"]}},"type_name":"Note"}"#
    );

    #[test]
    fn a_schema_round_trips_through_json_and_through_its_document() {
        let schema = Schema::from_json(FULL.as_bytes()).unwrap();
        assert_eq!(schema.to_json(), FULL);
        let fields = schema.to_fields();
        assert_eq!(Schema::from_fields(&fields), schema);
        let names: Vec<_> = fields.keys().map(String::as_str).collect();
        let declared = ["author", "body", "embedding", "scores", "stars", "tags"].map(|name| format!("field:{name}"));
        assert_eq!(names[..6], declared);
        assert_eq!(names[6..], ["index:by_author", "type_name"]);
        let stars = fields["field:stars"].to_json();
        assert_eq!(stars, r#"{"default":0,"required":true,"type":"float"}"#);
    }

    #[test]
    fn every_plain_type_has_a_name() {
        for name in ["bool", "int", "float", "string", "bytes", "timestamp", "list", "object"] {
            for declared in [format!("\"{name}\""), format!(r#"{{"list":"{name}"}}"#)] {
                let schema = format!(r#"{{"fields":{{"a":{{"type":{declared}}}}},"indexes":{{}}}}"#);
                assert_eq!(Schema::from_json(schema.as_bytes()).unwrap().to_json(), schema);
            }
        }
    }

    #[test]
    fn a_replicated_default_that_does_not_fit_its_field_is_none() {
        let declared = r#"{"field:n": {"type": "int", "default": "three"}, "field:m": {"type": "int", "default": 3}}"#;
        let schema = Schema::from_fields(&fields_from_json(declared.as_bytes()).unwrap());
        let inserted = schema.check_insert("notes", "n1", Fields::new()).unwrap();
        assert_eq!(inserted, [("m".to_owned(), Value::Int(3))].into());
        assert!(Schema::from_json(br#"{"fields": {"n": {"type": "int", "default": "three"}}}"#).is_err());
    }

    #[test]
    fn a_replicated_policy_counts_where_it_fits_its_field() {
        let declared = r#"{"field:a": {"type": "int", "conflict": "max"}, "field:b": {"type": "int", "conflict": "keepAll"},
            "field:c": {"type": {"list": "int"}, "conflict": "keepAll"}, "field:d": {"kind": "counter", "conflict": "min"},
            "field:e": {"conflict": "newest"}, "field:f": {"conflict": 1}}"#;
        let schema = Schema::from_fields(&fields_from_json(declared.as_bytes()).unwrap());
        let policies: Vec<&str> = schema.fields.values().map(|field| field.conflict.name()).collect();
        assert_eq!(policies, ["max", "latest", "keepAll", "latest", "latest", "latest"]);
        assert_eq!(schema.check(), Ok(()));
        assert_eq!(Schema::from_json(schema.to_json().as_bytes()).unwrap(), schema);
    }

    #[test]
    fn what_a_person_wrote_is_understood_completely_or_refused() {
        let cases = [
            (r#"{"field": {}}"#, "field: expected only `type_name`, `fields` and `indexes`"),
            (r#"{"fields": []}"#, "fields: expected an object, by name"),
            (r#"{"fields": {"a": 1}}"#, "field a: expected a declaration"),
            (r#"{"fields": {"a": {"kind": 1}}}"#, "field a: expected a declaration"),
            (r#"{"fields": {"a": {"kind": "list"}}}"#, "field a: expected"),
            (r#"{"fields": {"a": {"type": {"list": "int", "of": "int"}}}}"#, "field a: type: expected"),
            (r#"{"fields": {"a": {"type": {"reference": 1}}}}"#, "field a: type: expected"),
            (r#"{"fields": {"a": {"type": {"vector": "3"}}}}"#, "field a: type: expected"),
            (r#"{"fields": {"a": {"type": {"map": "int"}}}}"#, "field a: type: expected"),
            (r#"{"fields": {"a": {"type": 1}}}"#, "field a: type: expected"),
            (r#"{"fields": {"a": {"type": "integer"}}}"#, "field a: type: expected"),
            (r#"{"fields": {"a": {"type": "int", "uniqe": true}}}"#, "field a: uniqe: expected"),
            (r#"{"fields": {"a": {"type": "int", "default": "x"}}}"#, "the default does not fit"),
            (r#"{"fields": {"a": {"kind": "text", "type": "string"}}}"#, "a text has no type"),
            (r#"{"fields": {"a": {"kind": "set", "conflict": "max"}}}"#, "a set merges by itself"),
            (r#"{"fields": {"a": {"type": "string", "conflict": "keepAll"}}}"#, "keepAll shows a list"),
            (r#"{"fields": {"a": {"conflict": "newest"}}}"#, "field a: conflict: expected"),
            (r#"{"fields": {"a": {"conflict": 1}}}"#, "field a: conflict: expected"),
            (r#"{"fields": {"a": {"type": {"vector": 0}}}}"#, "at least one dimension"),
            (r#"{"fields": {"id": {"type": "string"}}}"#, "\"id\" can't be declared"),
            (r#"{"fields": {"": {"type": "string"}}}"#, "\"\" can't be declared"),
            (r#"{"indexes": {"i": {"fields": []}}}"#, "index i: expected"),
            (r#"{"indexes": {"i": {"fields": ["a", "a"]}}}"#, "index i: 1 to 16 different paths"),
            (r#"{"indexes": {"i": {"fields": [""]}}}"#, "index i: 1 to 16 different paths"),
            (r#"{"indexes": {"i": {"fields": [1]}}}"#, "index i: expected"),
            (r#"{"indexes": {"i": ["a"]}}"#, "index i: expected"),
            (r#"{"indexes": []}"#, "indexes: expected an object, by name"),
            (r#"{"type_name": 1}"#, "type_name: expected a string"),
            (r#"{"type_name": ""}"#, "type_name: expected"),
            (r#"{"type_name": "1x"}"#, "type_name: expected"),
            (r#"{"type_name": "__x"}"#, "type_name: expected"),
            (r#"{"type_name": "x-y"}"#, "type_name: expected"),
            (r#"{"fields": {"a": {}, "a": {}}}"#, "the key \"a\" comes twice"),
        ];
        for (text, why) in cases {
            let error = Schema::from_json(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
        let implied =
            br#"{"fields": {"a": {"kind": "register", "required": false, "default": null, "conflict": "latest"}}}"#;
        assert!(Schema::from_json(implied).is_ok());
        assert!(Schema::from_json(br#"{"type_name": "_Note9"}"#).is_ok());
    }

    #[test]
    fn declarations_have_limits() {
        let plain = Field {
            kind: FieldKind::Register,
            value_type: None,
            required: false,
            default: None,
            conflict: ConflictPolicy::Latest,
        };
        let named =
            |length: usize| Schema { fields: [("x".repeat(length), plain.clone())].into(), ..Schema::default() };
        assert_eq!(named(MAX_DECLARED_NAME_BYTES).check(), Ok(()));
        let name = "x".repeat(80);
        assert_eq!(named(MAX_DECLARED_NAME_BYTES + 1).check(), Err(SchemaError::Name { name }));

        let typed = |length: usize| Schema { type_name: Some("x".repeat(length)), ..Schema::default() };
        assert_eq!(typed(MAX_NAME_BYTES).check(), Ok(()));
        assert!(matches!(typed(MAX_NAME_BYTES + 1).check(), Err(SchemaError::Expected { .. })));

        let declared = |count: usize| {
            let fields = (1..count).map(|number| (number.to_string(), plain.clone())).collect();
            let indexes = [("i".to_owned(), Index { fields: vec!["1".to_owned()] })].into();
            Schema { fields, indexes, ..Schema::default() }
        };
        assert_eq!(declared(MAX_DECLARATIONS).check(), Ok(()));
        let found = MAX_DECLARATIONS + 1;
        assert_eq!(declared(found).check(), Err(SchemaError::TooMany { found }));

        let indexed = |count: usize| {
            let fields = (0..count).map(|number| number.to_string()).collect();
            Schema { indexes: [("i".to_owned(), Index { fields })].into(), ..Schema::default() }
        };
        assert_eq!(indexed(MAX_INDEX_FIELDS).check(), Ok(()));
        for count in [0, MAX_INDEX_FIELDS + 1] {
            assert!(matches!(indexed(count).check(), Err(SchemaError::Rule { .. })), "{count}");
        }

        let default = Field { default: Some(Value::Float(f64::NAN)), ..plain };
        let unstorable = Schema { fields: [("n".to_owned(), default)].into(), ..Schema::default() };
        assert_eq!(
            unstorable.check(),
            Err(SchemaError::Value { place: "field:n".to_owned(), source: ValueError::NotANumber })
        );
    }

    #[test]
    fn what_other_software_declared_is_left_out() {
        let schema = Schema::from_json(FULL.as_bytes()).unwrap();
        let mut fields = schema.to_fields();
        fields.insert("field:new".into(), Value::Object(object([("kind", Value::from("tree"))])));
        fields.insert("field:odd".into(), Value::Int(1));
        fields.insert("index:odd".into(), Value::Object(object([])));
        fields.insert("index:more".into(), Value::from("title"));
        fields.insert("more".into(), Value::Null);
        assert_eq!(Schema::from_fields(&fields), schema);
        let newer =
            object([("kind", Value::from("set")), ("type", Value::from("decimal")), ("unique", Value::Bool(true))]);
        let field = Schema::from_fields(&[("field:n".to_owned(), Value::Object(newer))].into()).fields["n"].clone();
        assert_eq!((field.kind, field.value_type), (FieldKind::Set, None), "the kind counts even so");
    }
}
