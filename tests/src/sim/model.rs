//! Plain maps that predict what a device reads back, as long as nothing comes from others.

use std::collections::{BTreeMap, BTreeSet};

use tidewater_engine::id::SpaceId;
use tidewater_engine::store::{Edit, PathSegment};
use tidewater_engine::value::{Fields, Value};

use crate::edits::{Action, Write};

type Name = (SpaceId, &'static str, &'static str);

/// What a device must read.
#[derive(Debug, Clone, Default)]
pub struct Model {
    documents: BTreeMap<Name, Known>,
}

/// What is known of one document.
#[derive(Debug, Clone, Default)]
struct Known {
    live: Option<Fields>,
    /// What it held when it was deleted, and which of its fields were not clear then.
    deleted: Option<(Fields, BTreeSet<String>)>,
    /// Fields that can't be predicted.
    unclear: BTreeSet<String>,
}

impl Model {
    /// Others wrote to a space.
    pub fn forget(&mut self, space: &SpaceId) {
        self.documents.retain(|(of, _, _), _| of != space);
    }

    /// Compares with what was read, and learns it where nothing is known.
    ///
    /// # Errors
    /// What differs.
    pub fn check(
        &mut self,
        space: SpaceId,
        collection: &'static str,
        id: &'static str,
        read: Option<Fields>,
    ) -> Result<(), String> {
        let name = (space, collection, id);
        if let Some(known) = self.documents.get_mut(&name) {
            let hide = |fields: &Fields| -> Fields {
                let shown = fields.iter().filter(|(field, _)| !known.unclear.contains(*field));
                shown.map(|(field, value)| (field.clone(), in_order(value))).collect()
            };
            let (expected, found) = (known.live.as_ref().map(&hide), read.as_ref().map(&hide));
            if expected != found {
                return Err(format!("{collection}/{id} reads {found:?}, not {expected:?}"));
            }
        }
        let known = self.documents.entry(name).or_default();
        known.unclear.clear();
        known.live = read;
        Ok(())
    }

    /// Whether a write must be refused for whether its document is there; `None` where that is not known.
    #[must_use]
    pub fn must_refuse(&self, space: SpaceId, write: &Write) -> Option<bool> {
        let known = self.documents.get(&(space, write.collection, write.id))?;
        Some(match write.action {
            Action::Insert(_) => known.live.is_some(),
            Action::Update(_) => known.live.is_none(),
            Action::Restore => known.live.is_some() || known.deleted.is_none(),
            Action::Upsert(_) | Action::Delete => false,
        })
    }

    /// What is known of the documents after a write that was taken. Where a member is `hostile`, a life of a document may go on
    /// whose beginning is void: what was seen and replaced there is hidden in the life before it, where an increment or an add
    /// shows it again. That only the naive fold can tell.
    pub fn write(&mut self, space: SpaceId, write: &Write, hostile: bool) {
        let name = (space, write.collection, write.id);
        let Some(known) = self.documents.get_mut(&name) else { return };
        match (&write.action, &mut known.live) {
            (Action::Upsert(fields), Some(live)) => {
                for (field, value) in fields {
                    edit(live, &mut known.unclear, field, &Edit::Set(value.clone()), hostile);
                }
            }
            (Action::Upsert(fields) | Action::Insert(fields), live) => {
                *live = Some(fields.clone());
                known.unclear.clear();
            }
            (Action::Delete, live) => {
                if let Some(live) = live.take() {
                    known.deleted = Some((live, std::mem::take(&mut known.unclear)));
                }
            }
            (Action::Restore, live) => match known.deleted.take() {
                Some((deleted, unclear)) => {
                    *live = Some(deleted);
                    known.unclear = unclear;
                }
                None => drop(self.documents.remove(&name)),
            },
            (Action::Update(edits), Some(live)) => {
                for (field, change) in edits {
                    edit(live, &mut known.unclear, field, change, hostile);
                }
            }
            (Action::Update(_), None) => {}
        }
    }
}

/// Lists in order and without repetitions: whether a field is a set is not the model's concern.
fn in_order(value: &Value) -> Value {
    let Value::List(values) = value else { return value.clone() };
    let mut values = values.clone();
    values.sort_by(Value::total_cmp);
    values.dedup_by(|one, other| one.equals(other));
    Value::List(values)
}

fn edit(live: &mut Fields, unclear: &mut BTreeSet<String>, field: &str, edit: &Edit, hostile: bool) {
    let adds = matches!(edit, Edit::Increment(_) | Edit::Add(_) | Edit::Remove(_));
    let may_be_hidden = hostile && adds && !live.contains_key(field);
    // A field of changing kinds shows what the kind held before, and a sum may be beyond what is shown: only the database
    // remembers that.
    let may_be_beyond = matches!(live.get(field), Some(Value::Int(i64::MIN | i64::MAX)));
    let unknown = field == "mixed" || may_be_hidden || may_be_beyond;
    let predicted = if unknown { None } else { predict(live.get(field), edit) };
    match predicted {
        Some(Some(value)) => drop(live.insert(field.to_owned(), value)),
        Some(None) => drop(live.remove(field)),
        None => drop(unclear.insert(field.to_owned())),
    }
}

/// What a field holds after an edit. `None`: it can't be told.
fn predict(before: Option<&Value>, edit: &Edit) -> Option<Option<Value>> {
    let after = match (edit, before) {
        (Edit::Set(value), _) => value.clone(),
        (Edit::Clear, _) => return Some(None),
        (Edit::Increment(0), before) => return Some(before.cloned()),
        (Edit::Increment(by), None) => Value::Int(*by),
        (Edit::Increment(by), Some(Value::Int(held))) => Value::Int(held.saturating_add(*by)),
        (Edit::Add(values), None) => Value::List(values.clone()),
        (Edit::Add(values), Some(Value::List(held))) => Value::List([held.as_slice(), values].concat()),
        (Edit::Remove(values), Some(Value::List(held))) => {
            let stays = |value: &&Value| !values.iter().any(|gone| gone.equals(value));
            Value::List(held.iter().filter(stays).cloned().collect())
        }
        (Edit::Splice { at, delete, insert }, before) => {
            let held = match before {
                Some(Value::String(held)) => held.chars().collect(),
                None => Vec::new(),
                Some(_) => return None,
            };
            let tail = held.get(at.checked_add(*delete)?..)?;
            Value::String(held[..*at].iter().copied().chain(insert.chars()).chain(tail.iter().copied()).collect())
        }
        (Edit::Put { path, value }, Some(root)) => at(root, path, &|_| Some(Some(value.clone())))?,
        (Edit::Cut { path }, Some(root)) => at(root, path, &|_| Some(None))?,
        _ => return None,
    };
    Some(Some(after))
}

/// The value with what stands at the end of a path of keys replaced. `None`: the path leads through something else.
fn at(root: &Value, path: &[PathSegment], change: &dyn Fn(Option<&Value>) -> Option<Option<Value>>) -> Option<Value> {
    let (PathSegment::Key(key), rest) = path.split_first()? else { return None };
    let Value::Object(members) = root else { return None };
    let mut members = members.clone();
    let after = match (rest.is_empty(), members.get(key)) {
        (true, held) => change(held)?,
        (false, Some(held)) => Some(at(held, rest, change)?),
        (false, None) => Some(at(&Value::Object([].into()), rest, change)?),
    };
    match after {
        Some(value) => drop(members.insert(key.clone(), value)),
        None => drop(members.remove(key)),
    }
    Some(Value::Object(members))
}
