//! Tells queries apart: what a cursor may be used with.

use xxhash_rust::xxh3::xxh3_64;

use super::order::total_order;
use super::{Comparison, Filter, Query};
use crate::value::{Value, order_key};

/// A hash of what decides a query's order and membership: collection, filter and order. Page, selection and spaces do not count.
pub(crate) fn fingerprint(query: &Query) -> u64 {
    let mut out = Vec::new();
    put_text(&query.collection, &mut out);
    for key in total_order(query) {
        put_text(key.path, &mut out);
        out.extend_from_slice(&[u8::from(key.descending), key.nulls as u8]);
    }
    put_filter(&query.filter, &mut out);
    xxh3_64(&out)
}

fn put_filter(filter: &Filter, out: &mut Vec<u8>) {
    let (tag, parts): (u8, &[Filter]) = match filter {
        Filter::All => (0, &[]),
        Filter::And(parts) => (1, parts),
        Filter::Or(parts) => (2, parts),
        Filter::Not(part) => (3, std::slice::from_ref(part)),
        Filter::Compare { path, comparison } => {
            out.push(4);
            put_text(path, out);
            return put_comparison(comparison, out);
        }
    };
    out.push(tag);
    out.extend_from_slice(&(parts.len() as u64).to_le_bytes());
    parts.iter().for_each(|part| put_filter(part, out));
}

fn put_comparison(comparison: &Comparison, out: &mut Vec<u8>) {
    let one = std::slice::from_ref::<Value>;
    let (tag, values): (u8, &[Value]) = match comparison {
        Comparison::Eq(value) => (0, one(value)),
        Comparison::Ne(value) => (1, one(value)),
        Comparison::Gt(value) => (2, one(value)),
        Comparison::Gte(value) => (3, one(value)),
        Comparison::Lt(value) => (4, one(value)),
        Comparison::Lte(value) => (5, one(value)),
        Comparison::In(values) => (6, values),
        Comparison::Nin(values) => (7, values),
        Comparison::Like(text) => return put_tagged(8, text, out),
        Comparison::StartsWith(text) => return put_tagged(9, text, out),
        Comparison::Contains(value) => (10, one(value)),
        Comparison::Any(values) => (11, values),
        Comparison::Every(values) => (12, values),
        Comparison::Exists(there) => return out.extend_from_slice(&[13, u8::from(*there)]),
    };
    out.push(tag);
    out.extend_from_slice(&(values.len() as u64).to_le_bytes());
    values.iter().for_each(|value| order_key(value, out));
}

fn put_tagged(tag: u8, text: &str, out: &mut Vec<u8>) {
    out.push(tag);
    put_text(text, out);
}

fn put_text(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(&(text.len() as u64).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::{Order, Page};

    #[test]
    fn only_collection_filter_and_order_tell_queries_apart() {
        let query = Query { filter: Filter::eq("a", Value::Int(1)), ..Query::all("c") };
        let print = fingerprint(&query);
        let paged = Query { page: Page { limit: Some(1), ..Page::default() }, ..query.clone() };
        assert_eq!(fingerprint(&paged), print);
        assert_eq!(fingerprint(&Query { order: vec![Order::ascending("id")], ..query.clone() }), print);
        for other in [
            Query { collection: "d".to_owned(), ..query.clone() },
            Query { filter: Filter::eq("a", Value::Int(2)), ..query.clone() },
            Query { filter: Filter::compare("a", Comparison::Ne(Value::Int(1))), ..query.clone() },
            Query { filter: Filter::Not(Box::new(query.filter.clone())), ..query.clone() },
            Query { order: vec![Order::descending("id")], ..query.clone() },
        ] {
            assert_ne!(fingerprint(&other), print, "{other:?}");
        }
    }
}
