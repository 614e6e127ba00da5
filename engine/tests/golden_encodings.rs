//! The canonical bytes of values and commits are frozen: signed logs must decode for ever.
//!
//! The files hold one `name: hexadecimal bytes` a line. A test that fails prints what the file would have to hold: take
//! it over before the first release, together with a higher version; after it, add a new file beside the old one.

use std::fmt::Write;
use std::path::Path;

use tidewater_engine::id::DocumentId;
use tidewater_engine::operation::{Action, FieldOp, Operation, decode_commit, encode_commit};
use tidewater_engine::value::{Blob, Reference, Value, order_key};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// Compares with the golden file, and gives its bytes back by line.
fn compare(file: &str, lines: &[(&str, Vec<u8>)]) -> Vec<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file);
    let now: String = lines.iter().map(|(name, bytes)| format!("{name}: {}\n", hex(bytes))).collect();
    let golden = std::fs::read_to_string(&path).unwrap();
    assert!(golden == now, "{file} differs; the bytes are now:\n{now}");
    golden.lines().map(|line| unhex(line.split_once(": ").unwrap().1)).collect()
}

fn values() -> Vec<(&'static str, Value)> {
    vec![
        ("null", Value::Null),
        ("false", Value::Bool(false)),
        ("true", Value::Bool(true)),
        ("int 0", Value::Int(0)),
        ("int 127", Value::Int(127)),
        ("int 128", Value::Int(128)),
        ("int -1", Value::Int(-1)),
        ("int least", Value::Int(i64::MIN)),
        ("int greatest", Value::Int(i64::MAX)),
        ("float 0", Value::Float(0.0)),
        ("float 1.5", Value::Float(1.5)),
        ("float -infinity", Value::Float(f64::NEG_INFINITY)),
        ("string empty", Value::from("")),
        ("string short", Value::from("tide \0 水")),
        ("string of 63", Value::from("x".repeat(63))),
        ("string of 64", Value::from("x".repeat(64))),
        ("bytes", Value::Bytes(vec![0, 255, 7])),
        ("timestamp", Value::Timestamp(1_700_000_000_123)),
        ("timestamp before 1970", Value::Timestamp(-1)),
        ("list", Value::List(vec![Value::Null, Value::Int(-5), Value::List(vec![])])),
        ("object", Value::Object([("b".into(), Value::Int(1)), ("a".into(), Value::from("x"))].into())),
        ("reference", Value::Reference(Reference { collection: "people".into(), id: "ada".into() })),
        ("vector", Value::Vector(vec![0.0, 1.0, -2.5, f32::MAX])),
        ("blob", Value::Blob(Blob { hash: [0xab; 32], length: 300 })),
    ]
}

#[test]
fn values_have_their_golden_bytes() {
    let lines: Vec<_> = values().iter().map(|(name, value)| (*name, value.to_bytes().unwrap())).collect();
    for (golden, (name, value)) in compare("values.v1.hex", &lines).iter().zip(values()) {
        assert_eq!(Value::from_bytes(golden), Ok(value), "{name}");
    }
}

#[test]
fn order_keys_have_their_golden_bytes() {
    let key = |value| {
        let mut out = Vec::new();
        order_key(value, &mut out);
        out
    };
    compare("order_keys.v1.hex", &values().iter().map(|(name, value)| (*name, key(value))).collect::<Vec<_>>());
}

fn commits() -> Vec<(&'static str, Vec<Operation>)> {
    let operation = |collection: &str, id: &str, generation, action| Operation {
        collection: collection.to_owned(),
        id: DocumentId::new(id).unwrap(),
        generation,
        action,
    };
    let every_write = vec![
        ("title".to_owned(), FieldOp::Set(Value::from("Low tide"))),
        ("notes".to_owned(), FieldOp::Clear),
        ("visits".to_owned(), FieldOp::Add(-300)),
        ("tags".to_owned(), FieldOp::include(vec![Value::from("b"), Value::from("a")])),
        ("gone".to_owned(), FieldOp::exclude(vec![Value::Int(1)])),
        ("body".to_owned(), FieldOp::Text(vec![1, 2, 3])),
        ("tree".to_owned(), FieldOp::Json(vec![4, 5, 6])),
    ];
    vec![
        ("one edit", vec![operation("notes", "a", 1, Action::Edit(vec![("n".into(), FieldOp::Set(Value::Int(1)))]))]),
        (
            "empty set",
            vec![operation("notes", "a", 1, Action::Insert(vec![("tags".into(), FieldOp::include(vec![]))]))],
        ),
        ("every write", vec![operation("notes", "a", 1, Action::Insert(every_write))]),
        (
            "every action",
            vec![
                operation("notes", "a", 1, Action::Insert(vec![])),
                operation("notes", "b", 2, Action::Edit(vec![("notes".into(), FieldOp::Clear)])),
                operation("people", "ada", 1, Action::Delete),
                operation("people", "ada", 200, Action::Restore { continues: 199 }),
            ],
        ),
    ]
}

#[test]
fn commits_have_their_golden_bytes() {
    let lines: Vec<_> = commits().iter().map(|(name, commit)| (*name, encode_commit(commit).unwrap())).collect();
    for (golden, (name, commit)) in compare("commits.v1.hex", &lines).iter().zip(commits()) {
        assert_eq!(decode_commit(golden), Ok(commit), "{name}");
    }
}
