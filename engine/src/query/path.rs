//! Paths: field names joined by dots. The first names a field of the document, the others keys of nested objects.

use crate::value::{Fields, Value};

/// The path of a document's id.
pub(crate) const ID: &str = "id";

/// The field's name, and the path inside it.
pub(crate) fn split(path: &str) -> (&str, Option<&str>) {
    match path.split_once('.') {
        Some((field, inner)) => (field, Some(inner)),
        None => (path, None),
    }
}

/// The value at a path inside `value`; `None` when some step is not there, or is not an object.
pub(crate) fn inside<'v>(value: &'v Value, inner: Option<&str>) -> Option<&'v Value> {
    inner.into_iter().flat_map(|inner| inner.split('.')).try_fold(value, |value, key| match value {
        Value::Object(fields) => fields.get(key),
        _ => None,
    })
}

/// The value at a path of a document.
pub(crate) fn value_at<'f>(fields: &'f Fields, path: &str) -> Option<&'f Value> {
    let (field, inner) = split(path);
    inside(fields.get(field)?, inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_walks_through_objects_only() {
        let city = Value::Object([("city".to_owned(), Value::Int(1))].into());
        let fields: Fields =
            [("a".to_owned(), Value::Object([("b".to_owned(), city)].into())), ("l".to_owned(), Value::List(vec![]))]
                .into();
        assert_eq!(value_at(&fields, "a.b.city"), Some(&Value::Int(1)));
        assert!(matches!(value_at(&fields, "a.b"), Some(Value::Object(_))));
        for absent in ["b", "a.c", "a.b.city.more", "l.0", ""] {
            assert_eq!(value_at(&fields, absent), None, "{absent}");
        }
    }
}
