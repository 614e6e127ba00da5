//! Json cells: values in automerge's maps, lists and scalars.
//!
//! Null, booleans, ints, floats, strings and timestamps are automerge scalars of the same name; objects and lists are
//! automerge maps and lists. Bytes, references, vectors and blobs are automerge bytes that hold their canonical
//! encoding, so every value reads back exactly as it was written.

use std::collections::BTreeSet;

use automerge::transaction::Transactable;
use automerge::{
    AutoCommit, ObjId, ObjType, Prop, ROOT, ReadDoc, ScalarValue, ScalarValueRef, Value as Stored, ValueRef,
};

use super::contain::unavailable;
use super::document::Step;
use super::genesis::ROOT_KEY;
use super::{MAX_JSON_OPERATIONS, RichError};
use crate::value::{Fields, Value};

/// The largest product of two lists' lengths for which the longest common part is looked for; others are compared
/// place by place.
const MAX_LIST_WORK: usize = 1 << 22;

/// The whole value.
pub(super) fn read(document: &AutoCommit) -> Result<Value, RichError> {
    match document.get(ROOT, ROOT_KEY).map_err(unavailable)? {
        Some((Stored::Object(object), id)) => read_object(document, object, &id, 0),
        Some((Stored::Scalar(scalar), _)) => from_scalar(scalar.into_owned().into()),
        None => Ok(Value::Null),
    }
}

fn read_object(document: &AutoCommit, object: ObjType, id: &ObjId, depth: usize) -> Result<Value, RichError> {
    if depth >= Value::MAX_DEPTH {
        return Err(unavailable("the value nests too deep"));
    }
    let read = |value: ValueRef<'_>, id: &dyn Fn() -> ObjId| match value {
        ValueRef::Object(object) => read_object(document, object, &id(), depth + 1),
        ValueRef::Scalar(scalar) => from_scalar(scalar),
    };
    match object {
        ObjType::List => {
            let items = document.list_range(id, ..);
            items.map(|item| read(item.value.clone(), &|| item.id())).collect::<Result<_, _>>().map(Value::List)
        }
        ObjType::Map => {
            let items = document.map_range(id, ..);
            let fields = items.map(|item| Ok((item.key.to_string(), read(item.value.clone(), &|| item.id())?)));
            fields.collect::<Result<_, RichError>>().map(Value::Object)
        }
        ObjType::Text | ObjType::Table => Err(unavailable("json holds no automerge texts and tables")),
    }
}

fn from_scalar(scalar: ScalarValueRef<'_>) -> Result<Value, RichError> {
    Ok(match scalar {
        ScalarValueRef::Null => Value::Null,
        ScalarValueRef::Boolean(value) => Value::Bool(value),
        ScalarValueRef::Int(value) => Value::Int(value),
        ScalarValueRef::F64(value) => Value::Float(value),
        ScalarValueRef::Str(value) => Value::String(value.into_owned()),
        ScalarValueRef::Timestamp(value) => Value::Timestamp(value),
        ScalarValueRef::Bytes(bytes) => Value::from_bytes(&bytes).map_err(unavailable)?,
        other => return Err(unavailable(format!("json holds no {other:?}"))),
    })
}

/// The scalar of a value that is neither list nor object.
fn to_scalar(value: &Value) -> Result<ScalarValue, RichError> {
    Ok(match value {
        Value::Null => ScalarValue::Null,
        Value::Bool(value) => ScalarValue::Boolean(*value),
        Value::Int(value) => ScalarValue::Int(*value),
        Value::Float(value) if value.is_nan() => return Err(refuse("NaN is not a value")),
        // Adding zero turns -0 into 0.
        Value::Float(value) => ScalarValue::F64(*value + 0.0),
        Value::String(value) => ScalarValue::Str(value.as_str().into()),
        Value::Timestamp(value) => ScalarValue::Timestamp(*value),
        special => ScalarValue::Bytes(special.to_bytes().map_err(refuse)?),
    })
}

/// Puts `value` at `path`, and makes the objects that are missing on the way.
pub(super) fn put(document: &mut AutoCommit, path: &[Step<'_>], value: &Value) -> Result<(), RichError> {
    check(value, path.len())?;
    for done in 1..path.len() {
        let (place, prop) = find(document, &path[..done])?;
        let missing = document.get(&place, prop.clone()).map_err(unavailable)?.is_none();
        if missing && matches!((&prop, path[done]), (Prop::Map(_), Step::Key(_))) {
            document.put_object(&place, prop, ObjType::Map).map_err(unavailable)?;
        }
    }
    let (place, prop) = find(document, path)?;
    match (&prop, document.length(&place)) {
        (Prop::Seq(index), length) if *index >= length => {
            return Err(refuse(format!("the list has {length} elements, there is none at {index}")));
        }
        _ => {}
    }
    write(document, &place, prop, value, false)
}

/// Inserts `value` before the index that ends `path`.
pub(super) fn insert(document: &mut AutoCommit, path: &[Step<'_>], value: &Value) -> Result<(), RichError> {
    check(value, path.len())?;
    let (place, prop) = find(document, path)?;
    match (&prop, document.length(&place)) {
        (Prop::Seq(index), length) if *index <= length => write(document, &place, prop, value, true),
        (Prop::Seq(index), length) => Err(refuse(format!("the list has {length} elements, no insert at {index}"))),
        (Prop::Map(key), _) => Err(refuse(format!("{key:?} is a key; an insert ends at a list's index"))),
    }
}

/// Removes what is at `path`.
pub(super) fn cut(document: &mut AutoCommit, path: &[Step<'_>]) -> Result<(), RichError> {
    if path.is_empty() {
        return Err(refuse("the whole value can't be cut; put null instead"));
    }
    let (place, prop) = find(document, path)?;
    if document.get(&place, prop.clone()).map_err(unavailable)?.is_none() {
        return Err(refuse(format!("there is nothing at {}", shown(path))));
    }
    document.delete(&place, prop).map_err(unavailable)
}

/// Makes the whole value `new` by few edits.
pub(super) fn set(document: &mut AutoCommit, new: &Value) -> Result<(), RichError> {
    check(new, 0)?;
    update(document, &ROOT, ROOT_KEY.into(), new)
}

/// Where a path's last step lands: the object, and the key or index in it.
fn find(document: &AutoCommit, path: &[Step<'_>]) -> Result<(ObjId, Prop), RichError> {
    let (mut place, mut prop) = (ROOT, Prop::from(ROOT_KEY));
    for (done, step) in path.iter().enumerate() {
        let nowhere = || refuse(format!("there is no object or list at {}", shown(&path[..done])));
        let found = document.get(&place, prop).map_err(unavailable)?;
        let Some((Stored::Object(object), id)) = found else { return Err(nowhere()) };
        (place, prop) = match (object, step) {
            (ObjType::Map, Step::Key(key)) => (id, Prop::from(*key)),
            (ObjType::List, Step::Index(index)) => (id, Prop::from(*index)),
            _ => return Err(nowhere()),
        };
    }
    Ok((place, prop))
}

fn write(document: &mut AutoCommit, place: &ObjId, prop: Prop, value: &Value, inserts: bool) -> Result<(), RichError> {
    let object = match value {
        Value::List(_) => ObjType::List,
        Value::Object(_) => ObjType::Map,
        scalar => {
            let scalar = to_scalar(scalar)?;
            return match prop {
                Prop::Seq(index) if inserts => document.insert(place, index, scalar),
                prop => document.put(place, prop, scalar),
            }
            .map_err(unavailable);
        }
    };
    let made = match prop {
        Prop::Seq(index) if inserts => document.insert_object(place, index, object),
        prop => document.put_object(place, prop, object),
    };
    fill(document, &made.map_err(unavailable)?, value)
}

/// Fills a new object or list.
fn fill(document: &mut AutoCommit, id: &ObjId, value: &Value) -> Result<(), RichError> {
    match value {
        Value::List(values) => {
            values.iter().enumerate().try_for_each(|(at, value)| write(document, id, at.into(), value, true))
        }
        Value::Object(fields) => {
            fields.iter().try_for_each(|(key, value)| write(document, id, key.as_str().into(), value, false))
        }
        _ => Ok(()),
    }
}

/// Turns what is at `prop` into `new`, keeping objects and lists that stay objects and lists.
fn update(document: &mut AutoCommit, place: &ObjId, prop: Prop, new: &Value) -> Result<(), RichError> {
    let old = document.get(place, prop.clone()).map_err(unavailable)?;
    match (old, new) {
        (Some((Stored::Object(ObjType::Map), id)), Value::Object(fields)) => update_object(document, &id, fields),
        (Some((Stored::Object(ObjType::List), id)), Value::List(values)) => update_list(document, &id, values),
        (Some((Stored::Scalar(old), _)), new) if !matches!(new, Value::Object(_) | Value::List(_)) => {
            if same_scalar(&old, &to_scalar(new)?) { Ok(()) } else { write(document, place, prop, new, false) }
        }
        _ => write(document, place, prop, new, false),
    }
}

/// Whether two scalars are the same value. Floats are compared by bits: none is NaN or -0.
fn same_scalar(old: &ScalarValue, new: &ScalarValue) -> bool {
    match (old, new) {
        (ScalarValue::F64(old), ScalarValue::F64(new)) => old.to_bits() == new.to_bits(),
        (old, new) => old == new,
    }
}

fn update_object(document: &mut AutoCommit, id: &ObjId, new: &Fields) -> Result<(), RichError> {
    let old: BTreeSet<String> = document.keys(id).collect();
    for key in old.iter().filter(|key| !new.contains_key(*key)) {
        document.delete(id, key.as_str()).map_err(unavailable)?;
    }
    for (key, value) in new {
        if old.contains(key) {
            update(document, id, key.as_str().into(), value)?;
        } else {
            write(document, id, key.as_str().into(), value, false)?;
        }
    }
    Ok(())
}

fn update_list(document: &mut AutoCommit, id: &ObjId, new: &[Value]) -> Result<(), RichError> {
    let Value::List(old) = read_object(document, ObjType::List, id, 0)? else { return Ok(()) };
    let mut at = 0;
    let (mut from_old, mut from_new) = (0, 0);
    for (to_old, to_new) in kept(&old, new).into_iter().chain([(old.len(), new.len())]) {
        // Between two kept elements: what stands at both sides is updated in place, the rest inserted or deleted.
        let both = (to_old - from_old).min(to_new - from_new);
        for (offset, value) in new[from_new..from_new + both].iter().enumerate() {
            update(document, id, (at + offset).into(), value)?;
        }
        at += both;
        for value in &new[from_new + both..to_new] {
            write(document, id, at.into(), value, true)?;
            at += 1;
        }
        for _ in from_old + both..to_old {
            document.delete(id, at).map_err(unavailable)?;
        }
        at += 1;
        (from_old, from_new) = (to_old + 1, to_new + 1);
    }
    Ok(())
}

/// Positions of equal elements that stay, ascending on both sides: a longest such sequence between the common ends.
fn kept(old: &[Value], new: &[Value]) -> Vec<(usize, usize)> {
    let front = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let rest = old.len().min(new.len()) - front;
    let back = old.iter().rev().zip(new.iter().rev()).take(rest).take_while(|(a, b)| a == b).count();
    let mut pairs: Vec<_> = (0..front).map(|at| (at, at)).collect();
    let (n, m) = (old.len() - front - back, new.len() - front - back);
    if n.saturating_mul(m) <= MAX_LIST_WORK {
        let (old, new) = (&old[front..front + n], &new[front..front + m]);
        // longest[i][j]: the length of the longest common sequence of old[i..] and new[j..].
        let mut longest = vec![0u32; (n + 1) * (m + 1)];
        for i in (0..n).rev() {
            for j in (0..m).rev() {
                longest[i * (m + 1) + j] = if old[i] == new[j] {
                    longest[(i + 1) * (m + 1) + j + 1] + 1
                } else {
                    longest[(i + 1) * (m + 1) + j].max(longest[i * (m + 1) + j + 1])
                };
            }
        }
        let (mut i, mut j) = (0, 0);
        while i < n && j < m {
            if old[i] == new[j] {
                pairs.push((front + i, front + j));
                (i, j) = (i + 1, j + 1);
            } else if longest[(i + 1) * (m + 1) + j] >= longest[i * (m + 1) + j + 1] {
                i += 1;
            } else {
                j += 1;
            }
        }
    }
    pairs.extend((0..back).map(|at| (old.len() - back + at, new.len() - back + at)));
    pairs
}

/// Whether `value` can be stored below `above` objects and lists; asked before anything is changed.
fn check(value: &Value, above: usize) -> Result<(), RichError> {
    check_depth(value, above)?;
    check_count(value)
}

/// Refuses a value that takes more operations than a change may have.
fn check_count(value: &Value) -> Result<(), RichError> {
    fn count(value: &Value) -> u64 {
        1 + match value {
            Value::List(values) => values.iter().map(count).sum(),
            Value::Object(fields) => fields.values().map(count).sum(),
            _ => 0,
        }
    }
    let (size, limit) = (count(value), MAX_JSON_OPERATIONS);
    if size <= limit { Ok(()) } else { Err(RichError::TooLarge { what: "the number of values in json", size, limit }) }
}

fn check_depth(value: &Value, above: usize) -> Result<(), RichError> {
    let mut nested: Box<dyn Iterator<Item = &Value>> = match value {
        Value::List(values) => Box::new(values.iter()),
        Value::Object(fields) => Box::new(fields.values()),
        scalar => return to_scalar(scalar).map(drop),
    };
    if above >= Value::MAX_DEPTH {
        return Err(refuse(format!("lists and objects nest at most {} deep", Value::MAX_DEPTH)));
    }
    nested.try_for_each(|value| check_depth(value, above + 1))
}

fn refuse(why: impl std::fmt::Display) -> RichError {
    RichError::Edit { why: why.to_string() }
}

fn shown(path: &[Step<'_>]) -> String {
    if path.is_empty() {
        return "the top".into();
    }
    path.iter()
        .map(|step| match step {
            Step::Key(key) => format!("/{key}"),
            Step::Index(index) => format!("/{index}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::sample::Sampler;

    fn list(text: &str) -> Vec<Value> {
        text.chars().map(|one| Value::String(one.to_string())).collect()
    }

    #[test]
    fn elements_that_stay_are_kept_in_place() {
        assert_eq!(kept(&list("abcd"), &list("abcd")), [(0, 0), (1, 1), (2, 2), (3, 3)]);
        assert_eq!(kept(&list("abcd"), &list("ad")), [(0, 0), (3, 1)]);
        assert_eq!(kept(&list("xabcy"), &list("xbzcay")), [(0, 0), (2, 1), (3, 3), (4, 5)]);
        assert_eq!(kept(&list(""), &list("ab")), []);
        assert_eq!(kept(&list("aa"), &list("a")), [(0, 0)]);
    }

    #[test]
    fn no_common_sequence_is_longer_than_what_is_kept() {
        let mut sampler = Sampler::new(7);
        for round in 0..500 {
            let mut draw =
                |length: usize| -> String { (0..length).map(|_| ['a', 'b', 'c'][sampler.below(3)]).collect() };
            let (old, new) = (list(&draw(round % 9)), list(&draw((round * 7) % 8)));
            let pairs = kept(&old, &new);
            assert!(pairs.iter().all(|(from, to)| old[*from] == new[*to]), "{old:?} {new:?} {pairs:?}");
            assert!(pairs.windows(2).all(|two| two[0].0 < two[1].0 && two[0].1 < two[1].1), "{pairs:?}");
            assert_eq!(pairs.len(), longest_common(&old, &new), "{old:?} {new:?}");
        }
    }

    fn longest_common(old: &[Value], new: &[Value]) -> usize {
        match (old, new) {
            ([one, old @ ..], [other, new @ ..]) if one == other => 1 + longest_common(old, new),
            ([_, rest @ ..], [_, others @ ..]) => longest_common(rest, new).max(longest_common(old, others)),
            _ => 0,
        }
    }
}
