//! Conversions from Rust's own types.

use super::{Fields, Value};

macro_rules! from {
    ($($source:ty => $variant:ident),+ $(,)?) => {$(
        impl From<$source> for Value {
            fn from(source: $source) -> Self {
                Self::$variant(source.into())
            }
        }
    )+};
}

from!(
    bool => Bool,
    i32 => Int,
    u32 => Int,
    i64 => Int,
    f64 => Float,
    &str => String,
    String => String,
    Vec<Value> => List,
    Fields => Object,
);

/// Fields of a document: `fields! { "title" => "Milk", "done" => false }`. Whatever is `Into<Value>` is a value.
#[macro_export]
macro_rules! fields {
    ($($name:expr => $value:expr),* $(,)?) => {
        $crate::value::Fields::from([$((::std::string::String::from($name), $crate::value::Value::from($value))),*])
    };
}
