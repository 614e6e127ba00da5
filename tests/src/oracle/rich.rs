//! Text and json by automerge alone.

use automerge::transaction::{CommitOptions, Transactable};
use automerge::{ActorId, AutoCommit, Change, ObjId, ObjType, ROOT, ReadDoc, ScalarValue, TextEncoding, Value as Held};
use tidewater_engine::operation::FieldKind;
use tidewater_engine::value::Value;

/// The key under which a cell's content lives.
const ROOT_KEY: &str = "value";

/// What a cell shows that all these changes were made to.
pub(super) fn merged(kind: FieldKind, changes: impl Iterator<Item = Vec<u8>>) -> Value {
    let encoding = TextEncoding::UnicodeCodePoint;
    let mut document = AutoCommit::new_with_encoding(encoding).with_actor(ActorId::from([0; 16]));
    let object = if kind == FieldKind::Text { ObjType::Text } else { ObjType::Map };
    let root = document.put_object(ROOT, ROOT_KEY, object).expect("the first object");
    document.commit_with(CommitOptions::default().with_time(0));
    let changes: Vec<Change> = changes.map(|bytes| Change::from_bytes(bytes).expect("a change")).collect();
    document.apply_changes(changes).expect("changes apply");
    if kind == FieldKind::Text {
        Value::String(document.text(&root).expect("a text"))
    } else {
        match document.get(ROOT, ROOT_KEY).expect("the root") {
            Some((held, id)) => json(&document, &held, &id),
            None => Value::Null,
        }
    }
}

fn json(document: &AutoCommit, held: &Held<'_>, id: &ObjId) -> Value {
    match held {
        Held::Object(ObjType::Map | ObjType::Table) => {
            let keys: Vec<String> = document.keys(id).collect();
            let member = |key: String| {
                let (held, id) = document.get(id, key.as_str()).expect("a member").expect("a listed key");
                (key, json(document, &held, &id))
            };
            Value::Object(keys.into_iter().map(member).collect())
        }
        Held::Object(ObjType::List) => {
            let element = |at| {
                let (held, id) = document.get(id, at).expect("an element").expect("within the length");
                json(document, &held, &id)
            };
            Value::List((0..document.length(id)).map(element).collect())
        }
        Held::Object(ObjType::Text) => Value::String(document.text(id).expect("a text")),
        Held::Scalar(scalar) => match scalar.as_ref() {
            ScalarValue::Int(number) => Value::Int(*number),
            ScalarValue::Uint(number) => Value::Int(i64::try_from(*number).expect("the tests write small numbers")),
            ScalarValue::Str(text) => Value::String(text.to_string()),
            ScalarValue::Boolean(value) => Value::Bool(*value),
            ScalarValue::Null => Value::Null,
            other => panic!("the tests don't write {other:?}"),
        },
    }
}
