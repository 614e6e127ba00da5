//! The bytes of text and json cells are frozen: actors, genesis changes, changes in signed logs, and rows in files.
//!
//! The file holds one `name: hexadecimal bytes` a line. A test that fails prints what the file would have to hold: take
//! it over before the first release, together with a higher version; after it, add a new file beside the old one.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use tidewater_engine::id::{DeviceId, DocumentId, Incarnation, SpaceId, WriterId};
use tidewater_engine::operation::FieldKind;
use tidewater_engine::rich::gate::{self, Origin};
use tidewater_engine::rich::rows::{self, Row, Rows, RowsMut, Visit};
use tidewater_engine::rich::{CellName, Generation, RichCell, Step, actor_id, genesis};
use tidewater_engine::store::error::{ReadError, WriteError};
use tidewater_engine::value::{Fields, Reference, Value};

#[derive(Default)]
struct Memory(BTreeMap<Vec<u8>, Vec<u8>>);

impl Rows for Memory {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        Ok(self.0.get(key).cloned())
    }

    fn range(&self, first: &[u8], last: &[u8], visit: &mut Visit<'_>) -> Result<(), ReadError> {
        self.0.range(first.to_vec()..=last.to_vec()).try_for_each(|(key, value)| visit(key, value))
    }

    fn last(&self, first: &[u8], last: &[u8]) -> Result<Option<Row>, ReadError> {
        let row = self.0.range(first.to_vec()..=last.to_vec()).next_back();
        Ok(row.map(|(key, value)| (key.clone(), value.clone())))
    }
}

impl RowsMut for Memory {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), WriteError> {
        self.0.insert(key.to_vec(), value.to_vec());
        Ok(())
    }
}

fn name(kind: FieldKind) -> CellName {
    CellName {
        space: SpaceId([0x11; 32]),
        collection: "notes".to_owned(),
        id: DocumentId::new("first").unwrap(),
        generation: 2,
        field: "body".to_owned(),
        kind,
    }
}

fn writer() -> WriterId {
    WriterId { device: DeviceId([0x22; 32]), incarnation: Incarnation([0x33; 8]) }
}

/// The changes of some transactions, and the rows they leave.
fn history(kind: FieldKind, edits: &[&dyn Fn(&mut RichCell)]) -> (Vec<Vec<u8>>, Memory) {
    let mut cell = RichCell::new(kind, 2);
    let mut rows = Memory::default();
    let mut changes = Vec::new();
    for (sequence, edit) in edits.iter().enumerate() {
        cell.begin(actor_id(&name(kind), &writer()));
        edit(&mut cell);
        let made = cell.finish().unwrap().unwrap();
        rows::record(&mut rows, &made.summary, &made.bytes, &writer(), 5 * sequence as u64).unwrap();
        changes.push(made.bytes);
    }
    (changes, rows)
}

fn object() -> Value {
    let reference = Value::Reference(Reference { collection: "people".to_owned(), id: "ada".to_owned() });
    let list = Value::List(vec![Value::Int(-1), Value::Float(0.5), Value::Bytes(vec![0, 255]), reference]);
    let fields = [("list", list), ("null", Value::Null), ("time", Value::Timestamp(1_700_000_000_123))];
    Value::Object(fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<Fields>())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn cells_have_their_golden_bytes() {
    let text: [&dyn Fn(&mut RichCell); 2] =
        [&|cell| cell.splice(0, 0, "tide 水").unwrap(), &|cell| cell.splice(1, 2, "oa").unwrap()];
    let json: [&dyn Fn(&mut RichCell); 2] =
        [&|cell| cell.set_json(&object()).unwrap(), &|cell| cell.cut(&[Step::Key("list"), Step::Index(1)]).unwrap()];
    let (texts, rows) = history(FieldKind::Text, &text);
    let (jsons, _) = history(FieldKind::Json, &json);
    let mut lines = vec![
        ("actor of the text".to_owned(), actor_id(&name(FieldKind::Text), &writer()).to_bytes().to_vec()),
        ("actor of the json".to_owned(), actor_id(&name(FieldKind::Json), &writer()).to_bytes().to_vec()),
        ("genesis of a text".to_owned(), genesis::bytes(FieldKind::Text).to_vec()),
        ("genesis of a json".to_owned(), genesis::bytes(FieldKind::Json).to_vec()),
    ];
    lines.extend(texts.iter().enumerate().map(|(at, bytes)| (format!("text change {at}"), bytes.clone())));
    lines.extend(jsons.iter().enumerate().map(|(at, bytes)| (format!("json change {at}"), bytes.clone())));
    lines.extend(rows.0.iter().map(|(key, value)| (format!("row {}", hex(key)), value.clone())));

    let now: String = lines.iter().map(|(name, bytes)| format!("{name}: {}\n", hex(bytes))).collect();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/rich.v1.hex");
    let golden = std::fs::read_to_string(&path).unwrap();
    assert!(golden == now, "rich.v1.hex differs; the bytes are now:\n{now}");
}

#[test]
fn golden_changes_pass_the_gate_and_mean_what_they_meant() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/rich.v1.hex");
    let golden = std::fs::read_to_string(&path).unwrap();
    let changes = |prefix: &str| -> Vec<Vec<u8>> {
        golden
            .lines()
            .filter(|line| line.starts_with(prefix))
            .map(|line| unhex(line.split_once(": ").unwrap().1))
            .collect()
    };
    let load = |kind, prefix| {
        let mut rows = Memory::default();
        for (sequence, bytes) in changes(prefix).iter().enumerate() {
            let generations = [Generation { number: 2, rows: &rows }];
            let origin = Origin { writer: &writer(), past: &|_, _| false };
            let summary = gate::check(&name(kind), &generations, origin, bytes).unwrap().unwrap();
            rows::record(&mut rows, &summary, bytes, &writer(), 5 * sequence as u64).unwrap();
        }
        let cell = RichCell::load(kind, &[Generation { number: 2, rows: &rows }]).unwrap();
        (cell, rows)
    };
    let (text, rows) = load(FieldKind::Text, "text change");
    assert_eq!(&*text.text().unwrap(), "toae 水");
    // What the gate says and what the author recorded give the same rows.
    for (key, value) in &rows.0 {
        let line = format!("row {}: {}", hex(key), hex(value));
        assert!(golden.lines().any(|golden| golden == line), "{line}");
    }
    let (json, _) = load(FieldKind::Json, "json change");
    let Value::Object(mut fields) = object() else { panic!("an object") };
    if let Some(Value::List(list)) = fields.get_mut("list") {
        list.remove(1);
    }
    assert_eq!(json.json().unwrap(), Value::Object(fields));
}
