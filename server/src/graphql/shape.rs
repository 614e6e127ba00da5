//! Shapes: what kind of value a GraphQL field gives, declared by a schema or found in the data.

use tidewater_engine::operation::FieldKind;
use tidewater_engine::schema::{self, ValueType};
use tidewater_engine::value::Value;

/// What a field gives and takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shape {
    Bool,
    Int,
    Float,
    String,
    Bytes,
    Timestamp,
    List(Box<Shape>),
    /// A document of the named collection.
    Reference(String),
    /// Floats.
    Vector,
    /// Anything.
    Json,
}

impl Shape {
    /// What a schema declares.
    pub(crate) fn declared(field: &schema::Field) -> Self {
        let value = field.value_type.as_ref().map_or(Self::Json, Self::of_type);
        match field.kind {
            FieldKind::Register => value,
            FieldKind::Counter => Self::Int,
            FieldKind::Set => Self::list_of(value),
            FieldKind::Text => Self::String,
            FieldKind::Json => Self::Json,
        }
    }

    fn of_type(value_type: &ValueType) -> Self {
        match value_type {
            ValueType::Bool => Self::Bool,
            ValueType::Int => Self::Int,
            ValueType::Float => Self::Float,
            ValueType::String => Self::String,
            ValueType::Bytes => Self::Bytes,
            ValueType::Timestamp => Self::Timestamp,
            ValueType::List(element) => Self::list_of(element.as_deref().map_or(Self::Json, Self::of_type)),
            ValueType::Reference(collection) => Self::Reference(collection.clone()),
            ValueType::Vector(_) => Self::Vector,
            _ => Self::Json,
        }
    }

    /// Lists of lists have no filter or patch of their own: they are JSON throughout.
    fn list_of(element: Self) -> Self {
        match element {
            Self::List(_) | Self::Vector | Self::Json => Self::Json,
            element => Self::List(Box::new(element)),
        }
    }

    /// What one value shows; `None` for null and the empty list, which fit many shapes.
    pub(crate) fn of_value(value: &Value) -> Option<Self> {
        Some(match value {
            Value::Null => return None,
            Value::Bool(_) => Self::Bool,
            Value::Int(_) => Self::Int,
            Value::Float(_) => Self::Float,
            Value::String(_) => Self::String,
            Value::Bytes(_) => Self::Bytes,
            Value::Timestamp(_) => Self::Timestamp,
            Value::List(elements) => {
                if elements.contains(&Value::Null) {
                    return Some(Self::Json);
                }
                Self::list_of(elements.iter().filter_map(Self::of_value).reduce(Self::join)?)
            }
            Value::Reference(reference) => Self::Reference(reference.collection.clone()),
            Value::Vector(_) => Self::Vector,
            _ => Self::Json,
        })
    }

    /// The narrowest shape that both fit.
    pub(crate) fn join(self, other: Self) -> Self {
        match (self, other) {
            (a, b) if a == b => a,
            (Self::Int, Self::Float) | (Self::Float, Self::Int) => Self::Float,
            (Self::List(a), Self::List(b)) => Self::list_of(a.join(*b)),
            _ => Self::Json,
        }
    }

    /// The stem of the names of input types for this shape.
    pub(crate) fn stem(&self) -> String {
        match self {
            Self::Bool => "Boolean".to_owned(),
            Self::Int => "Int64".to_owned(),
            Self::Float => "Float".to_owned(),
            Self::String => "String".to_owned(),
            Self::Bytes => "Bytes".to_owned(),
            Self::Timestamp => "Timestamp".to_owned(),
            Self::List(element) => element.stem() + "List",
            Self::Reference(_) => "ID".to_owned(),
            Self::Vector => "Vector".to_owned(),
            Self::Json => "JSON".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_differ_join_to_what_both_fit() {
        let list = |values: Vec<Value>| Shape::of_value(&Value::List(values));
        assert_eq!(Shape::Int.join(Shape::Float), Shape::Float);
        assert_eq!(Shape::Int.join(Shape::String), Shape::Json);
        assert_eq!(list(vec![Value::Int(1), Value::Float(0.5)]), Some(Shape::List(Box::new(Shape::Float))));
        assert_eq!(list(vec![]), None);
        assert_eq!(list(vec![Value::Null]), Some(Shape::Json));
        assert_eq!(list(vec![Value::List(vec![Value::Int(1)])]), Some(Shape::Json));
    }
}
