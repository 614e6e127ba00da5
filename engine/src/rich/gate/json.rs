//! What an operation of a json value may be: making an object or list, putting a scalar, deleting.

use std::collections::BTreeMap;

use super::earlier::{Earlier, Fact, FactKey, GlobalId, fact};
use super::past::{Past, Place};
use super::{Malformed, Stop};
use crate::rich::genesis::ROOT_KEY;
use crate::rich::operations::{Action, Id, Key, Op, Operations, Scalar};
use crate::value::Value;

/// Checks all operations. Returns how many there are.
pub(super) fn check(mut operations: Operations<'_>, past: &mut Past<'_>) -> Result<u64, Stop> {
    let earlier = Earlier::named_by(operations.clone(), past)?;
    let mut check = Check { past, here: Vec::new(), earlier, depths: BTreeMap::new() };
    let mut preds = Vec::new();
    while let Some(op) = operations.next(&mut preds)? {
        check.operation(&op, &preds)?;
    }
    Ok(check.here.len() as u64)
}

struct Check<'c, 'a> {
    past: &'c mut Past<'a>,
    /// The operations of the change so far.
    here: Vec<Fact>,
    earlier: Earlier,
    /// How deep the objects lie that were asked for.
    depths: BTreeMap<GlobalId, usize>,
}

impl Check<'_, '_> {
    fn operation(&mut self, op: &Op<'_>, preds: &[Id]) -> Result<(), Stop> {
        let at = self.here.len() as u64;
        let refuse = |why| Stop::from(Malformed::Reference { operation: at, why });
        check_value(op).map_err(refuse)?;
        let depth = match op.object {
            None => self.check_root(op).map_err(refuse)?,
            Some(object) => self.check_object(object, op)?,
        };
        let makes = matches!(op.action, Action::MakeMap | Action::MakeList);
        if makes && depth + 1 > Value::MAX_DEPTH {
            return Err(refuse("nests too deep"));
        }
        self.check_preds(op, preds)?;
        self.here.push(fact(op, |id| id));
        Ok(())
    }

    /// The root map has one key. Deletions are honest there too: when one of several concurrent values is put again,
    /// automerge deletes the others.
    fn check_root(&self, op: &Op<'_>) -> Result<usize, &'static str> {
        if op.key == Key::Map(ROOT_KEY) && !op.insert { Ok(0) } else { Err("is not in the field's value") }
    }

    /// Whether the operation fits the object it is in. Returns how deep that object lies.
    fn check_object(&mut self, object: Id, op: &Op<'_>) -> Result<usize, Stop> {
        let at = self.here.len() as u64;
        let refuse = |why| Stop::from(Malformed::Reference { operation: at, why });
        let made = self.fact(object, at)?.action;
        match (made, op.key, op.insert) {
            (Action::MakeMap, Key::Map(_), false) => {}
            (Action::MakeList, Key::Head, true) => {}
            (Action::MakeList, Key::Element(element), _) => {
                let fact = self.fact(element, at)?;
                if !fact.insert || fact.object != Some(object) {
                    return Err(refuse("names an element that is not in its list"));
                }
            }
            _ => return Err(refuse("does not fit the object it is in")),
        }
        self.depth(object, at)
    }

    /// Whether every predecessor is a value at the same place.
    fn check_preds(&mut self, op: &Op<'_>, preds: &[Id]) -> Result<(), Stop> {
        let at = self.here.len() as u64;
        let refuse = |why| Stop::from(Malformed::Reference { operation: at, why });
        if op.insert && !preds.is_empty() {
            return Err(refuse("inserts in place of something"));
        }
        let needs_one = op.action == Action::Delete || matches!(op.key, Key::Element(_));
        if !op.insert && needs_one && preds.is_empty() {
            return Err(refuse("replaces or deletes nothing"));
        }
        for &pred in preds {
            let fact = self.fact(pred, at)?;
            let same_key = match (op.key, &fact.key) {
                (Key::Map(key), FactKey::Map(other)) => *key == **other,
                // The first value of an element is the operation that inserted it.
                (Key::Element(element), _) if fact.insert => element == pred,
                (Key::Element(element), FactKey::Element(other)) => element == *other,
                _ => false,
            };
            if fact.object != op.object || !same_key || fact.action == Action::Delete {
                return Err(refuse("replaces a value that is not at its place"));
            }
        }
        Ok(())
    }

    /// How deep an object lies; the field's value lies at 1.
    fn depth(&mut self, object: GlobalId, at: u64) -> Result<usize, Stop> {
        let mut path = Vec::new();
        let mut next = Some(object);
        let mut depth = 0;
        while let Some(id) = next {
            if let Some(known) = self.depths.get(&id) {
                depth = *known;
                break;
            }
            path.push(id);
            // Every object on the way passed this gate, so the way is short and ends at the root.
            next = self.fact(id, at)?.object;
        }
        for id in path.into_iter().rev() {
            depth += 1;
            self.depths.insert(id, depth);
        }
        Ok(depth)
    }

    fn fact(&mut self, id: GlobalId, at: u64) -> Result<Fact, Stop> {
        let place = self.past.find(id, at)?;
        match place {
            Place::Genesis => {
                Ok(Fact { object: None, key: FactKey::Map(ROOT_KEY.into()), insert: false, action: Action::MakeMap })
            }
            Place::Here(index) => Ok(self.here[index as usize].clone()),
            Place::Earlier { generation, number, index, .. } => {
                let missing = Malformed::Reference { operation: at, why: "names an operation that is not there" };
                self.earlier.get(generation, number, index).cloned().ok_or_else(|| missing.into())
            }
        }
    }
}

/// Whether the operation carries a value that it may carry.
fn check_value(op: &Op<'_>) -> Result<(), &'static str> {
    match (op.action, op.value) {
        (Action::Put, Scalar::Bytes(bytes)) => match Value::from_bytes(bytes) {
            Ok(Value::Bytes(_) | Value::Reference(_) | Value::Vector(_) | Value::Blob(_)) => Ok(()),
            _ => Err("puts bytes that are no value"),
        },
        (Action::Put, _) | (_, Scalar::Null) => Ok(()),
        _ => Err("carries a value that it has no use for"),
    }
}
