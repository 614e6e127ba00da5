//! Values: what a field holds, with one canonical encoding and one total order.

mod encode;
mod from;
mod json;
mod order;
#[cfg(test)]
pub(crate) mod sample;

use std::collections::BTreeMap;

pub use encode::ValueError;
pub use json::{JsonError, JsonFault, fields_from_json, fields_to_json};
pub(crate) use json::{write_members, write_text};
pub(crate) use order::distinct;
pub use order::{Class, order_key, string_prefix_key};

use crate::id::DocumentId;

/// A document's fields by name.
pub type Fields = BTreeMap<String, Value>;

/// What a field holds.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// Nothing, said explicitly.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A finite or infinite number. NaN is refused; -0 is stored as 0.
    Float(f64),
    /// UTF-8 text.
    String(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Milliseconds since 1970-01-01 UTC.
    Timestamp(i64),
    /// An atomic list.
    List(Vec<Value>),
    /// An atomic object.
    Object(Fields),
    /// A document of the same space.
    Reference(Reference),
    /// A vector of fixed length.
    Vector(Vec<f32>),
    /// A large value that is stored beside the documents.
    Blob(Blob),
}

/// Names a document by collection and id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// The collection's name.
    pub collection: String,
    /// The document's id.
    pub id: String,
}

impl Reference {
    fn is_valid(&self) -> bool {
        (1..=Value::MAX_NAME_BYTES).contains(&self.collection.len())
            && (1..=DocumentId::MAX_BYTES).contains(&self.id.len())
    }
}

/// Names a blob by content.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Blob {
    /// The BLAKE3 hash of the content.
    pub hash: [u8; 32],
    /// The content's length in bytes.
    pub length: u64,
}

impl Blob {
    /// The greatest length, in bytes.
    pub const MAX_LENGTH: u64 = i64::MAX as u64;
}
