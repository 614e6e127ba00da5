//! What an operation of a text may be: the insertion of one scalar value, or the deletion of one.

use super::past::{Past, Place};
use super::{Malformed, Stop};
use crate::rich::operations::{Action, Id, Key, Op, Operations, Scalar};

/// Checks all operations. Returns how many there are.
pub(super) fn check(mut operations: Operations<'_>, past: &mut Past<'_>) -> Result<u64, Stop> {
    let mut inserted: Vec<bool> = Vec::new();
    let mut deleted: Vec<Id> = Vec::new();
    let mut preds = Vec::new();
    let mut count = 0;
    while let Some(op) = operations.next(&mut preds)? {
        let refuse = |why| Stop::from(Malformed::Reference { operation: count, why });
        if !op.object.is_some_and(|object| past.is_genesis(object)) {
            return Err(refuse("is not in the field's text"));
        }
        if op.insert {
            check_insert(&op, &preds).map_err(refuse)?;
        } else {
            deleted.push(check_delete(&op, &preds).map_err(refuse)?);
        }
        if let Key::Element(element) = op.key {
            let is_character = match past.find(element, count)? {
                Place::Genesis => false,
                Place::Here(index) => inserted.get(index as usize).copied().unwrap_or(false),
                Place::Earlier { inserts, .. } => inserts,
            };
            if !is_character {
                return Err(refuse("names an element that is no character"));
            }
        }
        inserted.push(op.insert);
        count += 1;
    }
    // A character can be deleted but once, so a change is never much more work than what it changes.
    deleted.sort_unstable();
    if deleted.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(Malformed::Reference { operation: count, why: "a character is deleted twice" }.into());
    }
    Ok(count)
}

fn check_insert(op: &Op<'_>, preds: &[Id]) -> Result<(), &'static str> {
    let one = |text: &str| text.chars().nth(1).is_none() && !text.is_empty();
    match (op.action, op.value, op.key) {
        (Action::Put, Scalar::Text(text), Key::Head | Key::Element(_)) if one(text) && preds.is_empty() => Ok(()),
        _ => Err("inserts something other than one character"),
    }
}

fn check_delete(op: &Op<'_>, preds: &[Id]) -> Result<Id, &'static str> {
    match (op.action, op.value, op.key) {
        (Action::Delete, Scalar::Null, Key::Element(element)) if preds == [element] => Ok(element),
        _ => Err("neither inserts nor deletes one character"),
    }
}
