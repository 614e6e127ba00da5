//! Schemas: what a collection declares about its documents, per space.
//!
//! A schema is a replicated document of the reserved collection [`SCHEMAS`], whose id is the collection's name.
//! Authors are checked against it; replicas never reject on it.

mod check;
mod codec;
mod infer;

use std::collections::BTreeMap;

pub use check::Violation;
pub use codec::{MAX_DECLARATIONS, MAX_DECLARED_NAME_BYTES, MAX_INDEX_FIELDS, SchemaError};
pub use infer::{Inference, SAMPLE_RECORDS};

use crate::document::ConflictPolicy;
use crate::operation::FieldKind;
use crate::value::Value;

/// The reserved collection that holds schemas. Collections whose name starts with `$` are the database's own.
pub const SCHEMAS: &str = "$schemas";

/// What a collection declares.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Schema {
    /// The GraphQL type name; by default the singular of the collection in PascalCase.
    pub type_name: Option<String>,
    /// Declared fields by name. Undeclared fields are registers of any type.
    pub fields: BTreeMap<String, Field>,
    /// Secondary indexes by name.
    pub indexes: BTreeMap<String, Index>,
}

/// One declared field.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// How it merges.
    pub kind: FieldKind,
    /// What a register holds, or the elements of a set. `None`: anything.
    pub value_type: Option<ValueType>,
    /// Whether an insert must give it.
    pub required: bool,
    /// What an insert writes when the field is not given.
    pub default: Option<Value>,
    /// Which of concurrent values a register shows.
    pub conflict: ConflictPolicy,
}

/// The declared type of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ValueType {
    /// True or false.
    Bool,
    /// A whole number.
    Int,
    /// A number; ints are accepted.
    Float,
    /// Text.
    String,
    /// Bytes.
    Bytes,
    /// A point in time.
    Timestamp,
    /// A list of elements of one type, or of any.
    List(Option<Box<ValueType>>),
    /// An object.
    Object,
    /// A document of the named collection.
    Reference(String),
    /// A vector of that many dimensions.
    Vector(u32),
}

/// A secondary index over one or more fields, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// Field paths (`address.city`), most significant first.
    pub fields: Vec<String>,
}
