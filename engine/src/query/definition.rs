//! What a query gives, by its definition: test every document, sort them all. Whatever runs queries is held to it.

use std::cmp::Ordering;

use super::{Comparison, Filter, Nulls, Order, Query};
use crate::document::Document;
use crate::value::Value;

/// The documents of `all` that a query gives, whatever its page and selection.
#[must_use]
pub fn answer(all: &[Document], query: &Query) -> Vec<Document> {
    let order = deciding(query);
    let in_spaces = |document: &Document| query.spaces.as_ref().is_none_or(|spaces| spaces.contains(&document.space));
    let found = all.iter().filter(|document| in_spaces(document) && satisfies(document, &query.filter));
    let mut found: Vec<Document> = found.cloned().collect();
    found.sort_by(|one, other| compare_by(one, other, &order));
    found
}

/// The order of two documents in the answer to a query.
#[must_use]
pub fn compare(one: &Document, other: &Document, query: &Query) -> Ordering {
    compare_by(one, other, &deciding(query))
}

/// The keys that decide the order.
fn deciding(query: &Query) -> Vec<&Order> {
    // What follows the id never decides; what repeats a path neither, but it would change the direction of ties.
    let mut order: Vec<&Order> = Vec::new();
    for key in &query.order {
        if order.iter().all(|earlier| earlier.path != key.path) {
            order.push(key);
        }
        if key.path == "id" {
            break;
        }
    }
    order
}

fn compare_by(one: &Document, other: &Document, order: &[&Order]) -> Ordering {
    let mut last_descending = false;
    for key in order {
        last_descending = key.descending;
        let [one, other] = [one, other].map(|document| at(document, &key.path).unwrap_or(Value::Null));
        let natural = if key.descending { other.total_cmp(&one) } else { one.total_cmp(&other) };
        let [one, other] = [one, other].map(|value| value == Value::Null);
        let ordering = match key.nulls {
            Nulls::Least => natural,
            Nulls::First => other.cmp(&one).then(natural),
            Nulls::Last => one.cmp(&other).then(natural),
        };
        if ordering.is_ne() {
            return ordering;
        }
    }
    let tie = one.id.cmp(&other.id).then(one.space.cmp(&other.space));
    if last_descending { tie.reverse() } else { tie }
}

/// The value at a path.
fn at(document: &Document, path: &str) -> Option<Value> {
    if path == "id" {
        return Some(Value::String(document.id.to_string()));
    }
    let mut keys = path.split('.');
    let first = document.fields.get(keys.next()?)?;
    keys.try_fold(first.clone(), |value, key| match value {
        Value::Object(members) => members.get(key).cloned(),
        _ => None,
    })
}

fn satisfies(document: &Document, filter: &Filter) -> bool {
    match filter {
        Filter::All => true,
        Filter::And(parts) => parts.iter().all(|part| satisfies(document, part)),
        Filter::Or(parts) => parts.iter().any(|part| satisfies(document, part)),
        Filter::Not(part) => !satisfies(document, part),
        Filter::Compare { path, comparison } => compares(at(document, path), comparison),
    }
}

fn has(value: &Value, part: &Value) -> bool {
    match (value, part) {
        (Value::List(elements), _) => elements.iter().any(|element| element.equals(part)),
        (Value::String(text), Value::String(part)) => text.contains(part.as_str()),
        _ => false,
    }
}

fn like(pattern: &[char], text: &[char]) -> bool {
    match (pattern, text) {
        ([], text) => text.is_empty(),
        (['%', pattern @ ..], text) => (0..=text.len()).any(|from| like(pattern, &text[from..])),
        (['_', pattern @ ..], [_, text @ ..]) => like(pattern, text),
        ([literal, pattern @ ..], [char, text @ ..]) => literal == char && like(pattern, text),
        _ => false,
    }
}

fn compares(field: Option<Value>, comparison: &Comparison) -> bool {
    let there = field.is_some();
    let value = field.unwrap_or(Value::Null);
    let order = |bound: &Value| (value.class() == bound.class()).then(|| value.total_cmp(bound));
    let text = if let Value::String(text) = &value { Some(text.as_str()) } else { None };
    match comparison {
        Comparison::Eq(other) => value.equals(other),
        Comparison::Ne(other) => !value.equals(other),
        Comparison::Gt(bound) => order(bound) == Some(Ordering::Greater),
        Comparison::Gte(bound) => order(bound).is_some_and(Ordering::is_ge),
        Comparison::Lt(bound) => order(bound) == Some(Ordering::Less),
        Comparison::Lte(bound) => order(bound).is_some_and(Ordering::is_le),
        Comparison::In(values) => values.iter().any(|other| value.equals(other)),
        Comparison::Nin(values) => !values.iter().any(|other| value.equals(other)),
        Comparison::Like(pattern) => {
            text.is_some_and(|text| like(&pattern.chars().collect::<Vec<_>>(), &text.chars().collect::<Vec<_>>()))
        }
        Comparison::StartsWith(start) => text.is_some_and(|text| text.starts_with(start)),
        Comparison::Contains(part) => has(&value, part),
        Comparison::Any(parts) => parts.iter().any(|part| has(&value, part)),
        Comparison::Every(parts) => {
            matches!(value, Value::List(_) | Value::String(_)) && parts.iter().all(|part| has(&value, part))
        }
        Comparison::Exists(expected) => there == *expected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_in_a_list_or_a_text_and_nowhere_else() {
        let parts = |parts: &[&str]| Comparison::Every(parts.iter().map(|part| Value::from(*part)).collect());
        let list = || Some(Value::List(vec!["a".into(), "b".into()]));
        assert!(compares(list(), &parts(&["b", "a"])) && compares(list(), &parts(&[])));
        assert!(!compares(list(), &parts(&["a", "c"])));
        assert!(compares(Some("cab".into()), &parts(&["a", "b"])) && !compares(Some("ca".into()), &parts(&["a", "b"])));
        assert!(!compares(Some(Value::Int(1)), &parts(&[])) && !compares(None, &parts(&[])));
    }
}
