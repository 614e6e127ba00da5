//! Index keys: what an index keeps of a document, so that the byte order of keys is the order of values.
//!
//! A document has one key with the whole value of every field (`WHOLE`, then the fields' order keys; absent is null).
//! When the first field holds a list (or a set, which shows as one), it has another for every distinct element
//! (`ELEMENT`, then the element, then the other fields), so that `contains` is a range too. A document with an indexed field that
//! is not read when documents are stored has one key instead (`UNKNOWN`), and every query that reads the index tests it.

use super::path;
use crate::schema::Index;
use crate::value::{Fields, Value, order_key};

/// Starts the key of whole values.
pub(crate) const WHOLE: u8 = 0x00;
/// Starts the key of one element of the first field's list.
pub(crate) const ELEMENT: u8 = 0x01;
/// The key of a document that the index does not know.
pub(crate) const UNKNOWN: u8 = 0x02;

/// The keys of a document whose shown fields are `fields`. No key is the beginning of another's; none comes twice.
///
/// Whoever stores documents keeps one row for each (see [`super::Source`]): on a change, those of the old fields go and those of the new
/// come.
#[must_use]
pub fn index_entries(index: &Index, fields: &Fields) -> Vec<Vec<u8>> {
    let Some((first, rest)) = index.fields.split_first() else { return Vec::new() };
    let first = path::value_at(fields, first).unwrap_or(&Value::Null);
    let rest = rest.iter().fold(Vec::new(), |mut keys, path| {
        order_key(path::value_at(fields, path).unwrap_or(&Value::Null), &mut keys);
        keys
    });
    let key = |kind: u8, value: &Value| {
        let mut key = vec![kind];
        order_key(value, &mut key);
        key.extend_from_slice(&rest);
        key
    };
    let mut keys = vec![key(WHOLE, first)];
    if let Value::List(elements) = first {
        keys.extend(elements.iter().map(|element| key(ELEMENT, element)));
        keys[1..].sort_unstable();
        keys.dedup();
    }
    keys
}

/// The one key, instead of those of [`index_entries`], of a document in which an indexed field is text or json: their values are
/// not read when documents are stored, and may be unavailable.
#[must_use]
pub fn unknown_entry() -> Vec<u8> {
    vec![UNKNOWN]
}

/// The least byte string that is greater than everything that starts with `prefix`; `None` when there is none.
pub(crate) fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let end = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut after = prefix[..=end].to_vec();
    after[end] += 1;
    Some(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(fields: &[&str]) -> Index {
        Index { fields: fields.iter().map(|field| (*field).to_owned()).collect() }
    }

    fn fields(pairs: &[(&str, Value)]) -> Fields {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }

    #[test]
    fn every_document_has_one_whole_key_and_absent_is_null() {
        let by = index(&["a", "b.c"]);
        let absent = index_entries(&by, &Fields::new());
        assert_eq!(absent.len(), 1);
        assert_eq!(absent, index_entries(&by, &fields(&[("a", Value::Null), ("b", Value::Int(1))])));
        let one = index_entries(&by, &fields(&[("a", Value::Int(1))]));
        assert_eq!(one, index_entries(&by, &fields(&[("a", Value::Float(1.0))])), "equal numbers have equal keys");
        assert!(absent[0] < one[0]);
    }

    #[test]
    fn a_list_has_a_key_for_every_distinct_element_of_the_first_field() {
        let list = Value::List(vec![Value::Int(2), Value::Int(1), Value::Float(2.0)]);
        assert_eq!(index_entries(&index(&["a", "b"]), &fields(&[("a", list.clone())])).len(), 3);
        assert_eq!(index_entries(&index(&["b", "a"]), &fields(&[("a", list)])).len(), 1);
        assert_eq!(index_entries(&index(&["a"]), &fields(&[("a", Value::List(vec![]))])).len(), 1);
    }

    #[test]
    fn the_end_of_a_prefix_is_just_above_it() {
        assert_eq!(after_prefix(&[1, 2]), Some(vec![1, 3]));
        assert_eq!(after_prefix(&[1, 255]), Some(vec![2]));
        assert_eq!(after_prefix(&[255]), None);
    }
}
