//! Random writes of every kind, on few documents, so that they meet.

use tidewater_engine::store::{Edit, PathSegment, Transaction, WriteError};
use tidewater_engine::value::{Fields, Value};

use crate::random::Random;

/// One write of one document.
#[derive(Debug, Clone)]
pub struct Write {
    /// The collection: `declared`, of which [`SCHEMA`] declares the kinds, or `free`.
    pub collection: &'static str,
    /// The document.
    pub id: &'static str,
    /// What is done to it.
    pub action: Action,
}

/// What is done to a document.
#[derive(Debug, Clone)]
pub enum Action {
    /// Inserts it or sets fields.
    Upsert(Fields),
    /// Inserts it.
    Insert(Fields),
    /// Deletes it.
    Delete,
    /// Restores it.
    Restore,
    /// Changes fields.
    Update(Vec<(String, Edit)>),
}

/// The schema of `declared`.
pub const SCHEMA: &str = r#"{"fields": {"counter": {"kind": "counter"}, "set": {"kind": "set"}, "text": {"kind": "text"},
    "json": {"kind": "json"}}, "indexes": {"by_register": {"fields": ["register"]}}}"#;

/// The ids that are written.
pub const IDS: [&str; 3] = ["one", "two", "three"];

impl Write {
    /// Any.
    #[must_use]
    pub fn random(random: &mut Random) -> Self {
        let collection = *random.pick(&["declared", "free"]);
        let id = *random.pick(&IDS);
        let action = match random.below(20) {
            0 | 1 => Action::Upsert(fields(random, collection)),
            2 | 3 => Action::Insert(fields(random, collection)),
            4 => Action::Delete,
            5 | 6 => Action::Restore,
            _ => Action::Update((0..=random.below(3)).map(|_| edit(random, collection)).collect()),
        };
        Self { collection, id, action }
    }

    /// Does it, unless the database refuses: the document is there, or is not, or the edit does not fit.
    ///
    /// # Errors
    /// As the methods of [`Transaction`].
    pub fn run(&self, transaction: &mut Transaction<'_>) -> Result<(), WriteError> {
        let Self { collection, id, action } = self;
        match action.clone() {
            Action::Upsert(fields) => transaction.upsert(collection, id, fields).map(drop),
            Action::Insert(fields) => transaction.insert(collection, Some(id), fields).map(drop),
            Action::Delete => transaction.delete(collection, id).map(drop),
            Action::Restore => transaction.restore(collection, id),
            Action::Update(edits) => transaction.update(collection, id, edits),
        }
    }
}

/// Whether a write was refused for what it says, as it may be.
#[must_use]
pub fn is_refusal(error: &WriteError) -> bool {
    use WriteError::{Exists, Invalid, Missing, Schema};
    matches!(error, Exists { .. } | Missing { .. } | Schema { .. } | Invalid { .. })
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
