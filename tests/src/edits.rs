//! Random writes of every kind, on few documents, so that they meet.

use tidewater_engine::store::{Edit, PathSegment, Transaction, WriteError};
use tidewater_engine::value::{Fields, Value};
use tidewater_tests::random::Random;

/// The database refused a write, as it may: the document is there, or is not, or the edit does not fit.
pub(super) struct Refused;

impl From<WriteError> for Refused {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Exists { .. }
            | WriteError::Missing { .. }
            | WriteError::Schema { .. }
            | WriteError::Invalid { .. } => Self,
            other => panic!("an honest write failed: {other}"),
        }
    }
}

/// One random write.
pub(super) fn one(transaction: &mut Transaction<'_>, random: &mut Random) -> Result<(), Refused> {
    let collection = *random.pick(&["declared", "free"]);
    let id = *random.pick(&["one", "two", "three"]);
    match random.below(20) {
        0 | 1 => {
            let fields = fields(random, collection);
            transaction.upsert(collection, id, fields)?;
        }
        2 | 3 => {
            let fields = fields(random, collection);
            transaction.insert(collection, Some(id), fields)?;
        }
        4 => {
            transaction.delete(collection, id)?;
        }
        5 | 6 => transaction.restore(collection, id)?,
        _ => {
            let edits = (0..=random.below(3)).map(|_| edit(random, collection)).collect();
            transaction.update(collection, id, edits)?;
        }
    }
    Ok(())
}

fn word(random: &mut Random) -> Value {
    Value::String((*random.pick(&["ebb", "flood", "neap", "spring", "slack"])).into())
}

fn small(random: &mut Random) -> Value {
    Value::Int(random.below(5) as i64)
}

fn fields(random: &mut Random, collection: &str) -> Fields {
    let mut fields = Fields::from([("register".to_owned(), word(random))]);
    if collection == "declared" {
        fields.insert("counter".into(), small(random));
        fields.insert("set".into(), Value::List(vec![word(random), small(random)]));
        if random.one_in(2) {
            fields.insert("text".into(), word(random));
            fields.insert("json".into(), Value::Object([("a".to_owned(), small(random))].into()));
        }
    }
    fields
}

fn edit(random: &mut Random, collection: &str) -> (String, Edit) {
    let field = if collection == "declared" {
        *random.pick(&["register", "counter", "set", "text", "json"])
    } else {
        *random.pick(&["register", "mixed", "mixed"])
    };
    let edit = match field {
        "counter" => counter(random),
        "set" => set(random),
        "text" => text(random),
        "json" => json(random),
        "mixed" => match random.below(5) {
            0 => counter(random),
            1 => set(random),
            2 => text(random),
            3 => json(random),
            _ => register(random),
        },
        _ => register(random),
    };
    (field.to_owned(), edit)
}

fn register(random: &mut Random) -> Edit {
    match random.below(6) {
        0 => Edit::Clear,
        1 => Edit::Set(small(random)),
        _ => Edit::Set(word(random)),
    }
}

fn counter(random: &mut Random) -> Edit {
    Edit::Increment(random.below(9) as i64 - 4)
}

fn set(random: &mut Random) -> Edit {
    match random.below(5) {
        0..3 => Edit::Add(vec![word(random)]),
        3 => Edit::Remove(vec![word(random), word(random)]),
        _ => Edit::Set(Value::List(vec![word(random), small(random)])),
    }
}

fn text(random: &mut Random) -> Edit {
    let Value::String(insert) = word(random) else { unreachable!("a word is a string") };
    match random.below(5) {
        0 => Edit::Set(Value::String(insert)),
        _ => Edit::Splice { at: random.below(8), delete: random.below(3), insert },
    }
}

fn json(random: &mut Random) -> Edit {
    let key = |random: &mut Random| PathSegment::Key((*random.pick(&["a", "b"])).into());
    match random.below(5) {
        0 => Edit::Put { path: vec![key(random), key(random)], value: word(random) },
        1 => Edit::Put { path: vec![PathSegment::Key("list".into())], value: Value::List(vec![small(random)]) },
        2 => Edit::Insert { path: vec![PathSegment::Key("list".into()), PathSegment::Index(0)], value: word(random) },
        3 => Edit::Cut { path: vec![key(random)] },
        _ => Edit::Put { path: vec![key(random)], value: small(random) },
    }
}
