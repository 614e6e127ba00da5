//! Target: automerge changes before the gate. What the gate lets through, automerge takes, writes as it was, saves and loads.

use std::collections::BTreeMap;

use automerge::Change;
use sha2::{Digest, Sha256};
use tidewater_engine::id::{DeviceId, DocumentId, Incarnation, SpaceId, WriterId};
use tidewater_engine::operation::FieldKind;
use tidewater_engine::rich::document::Generation;
use tidewater_engine::rich::gate::{self, Origin};
use tidewater_engine::rich::rows::{self, Row, Visit};
use tidewater_engine::rich::{CellName, RichCell, Rows, RowsMut, Step, actor_id};
use tidewater_engine::store::{ReadError, WriteError};
use tidewater_engine::value::Value;

use super::{Memory, Target};

pub(super) const TARGET: Target = Target {
    name: "change",
    run,
    seeds,
    input_bytes_max: 4_096,
    memory: Memory { fixed: 2 << 20, per_byte: 4_096 },
    executions: 8_000,
};

/// Two writers; each made so many changes before the one that is judged.
const ROUNDS: i64 = 3;

#[derive(Debug, Clone, Default)]
struct MemoryRows(BTreeMap<Vec<u8>, Vec<u8>>);

impl Rows for MemoryRows {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        Ok(self.0.get(key).cloned())
    }

    fn range(&self, first: &[u8], last: &[u8], visit: &mut Visit<'_>) -> Result<(), ReadError> {
        let within = self.0.iter().filter(|(key, _)| first <= key.as_slice() && key.as_slice() <= last);
        within.into_iter().try_for_each(|(key, value)| visit(key, value))
    }

    fn last(&self, first: &[u8], last: &[u8]) -> Result<Option<Row>, ReadError> {
        let mut within = self.0.iter().filter(|(key, _)| first <= key.as_slice() && key.as_slice() <= last);
        Ok(within.next_back().map(|(key, value)| (key.clone(), value.clone())))
    }
}

impl RowsMut for MemoryRows {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), WriteError> {
        self.0.insert(key.to_vec(), value.to_vec());
        Ok(())
    }
}

fn writer(number: u8) -> WriterId {
    WriterId { device: DeviceId([number; 32]), incarnation: Incarnation([number; 8]) }
}

fn name(kind: FieldKind) -> CellName {
    CellName {
        space: SpaceId([7; 32]),
        collection: "notes".into(),
        id: DocumentId::new("n1").expect("an id"),
        generation: 1,
        field: "body".into(),
        kind,
    }
}

/// A cell with a history, and honest changes that may follow.
struct History {
    rows: MemoryRows,
    next: Vec<Vec<u8>>,
}

fn edit(cell: &mut RichCell, kind: FieldKind, round: i64) {
    let edited = match kind {
        FieldKind::Text => {
            let length = cell.length().expect("a length");
            cell.splice(length / 2, length.min(2), "some tëxt 🦀")
        }
        _ => {
            let list = Value::List(vec![Value::Int(round), Value::Float(0.5), Value::Bytes(vec![1, 2]), Value::Null]);
            cell.put(&[Step::Key("list")], &list)
                .and_then(|()| cell.put(&[Step::Key("text"), Step::Key("in")], &"some text".into()))
                .and_then(|()| cell.cut(&[Step::Key("list"), Step::Index(1)]))
        }
    };
    edited.expect("an honest edit");
}

fn history(kind: FieldKind) -> History {
    let mut rows = MemoryRows::default();
    let chain = |rows: &MemoryRows| RichCell::load(kind, &[Generation { number: 1, rows }]).expect("an honest cell");
    let mut next = Vec::new();
    for round in 0..=ROUNDS {
        let author = writer(1 + (round % 2) as u8);
        let mut cell = chain(&rows);
        cell.begin(actor_id(&name(kind), &author));
        edit(&mut cell, kind, round);
        let made = cell.finish().expect("an honest change").expect("an edit");
        if round == ROUNDS {
            next.push(made.bytes);
        } else {
            rows::record(&mut rows, &made.summary, &made.bytes, &author, round as u64).expect("rows are written");
        }
    }
    // The judged writer's first change of all, without having seen any other, can't follow; a second edit can.
    let author = writer(1 + (ROUNDS % 2) as u8);
    let mut cell = chain(&rows);
    cell.begin(actor_id(&name(kind), &author));
    (0..3).for_each(|round| edit(&mut cell, kind, round));
    next.extend(cell.finish().expect("an honest change").map(|made| made.bytes));
    History { rows, next }
}

fn histories() -> &'static [History; 2] {
    static HISTORIES: std::sync::OnceLock<[History; 2]> = std::sync::OnceLock::new();
    HISTORIES.get_or_init(|| KINDS.map(history))
}

const KINDS: [FieldKind; 2] = [FieldKind::Text, FieldKind::Json];

/// The first byte: the kind, and whether the checksum is set right.
fn run(input: &[u8]) -> bool {
    let Some((how, bytes)) = input.split_first() else { return false };
    let at = usize::from(how & 1);
    let (kind, history) = (KINDS[at], &histories()[at]);
    let bytes = if how & 2 == 0 { with_checksum(bytes) } else { bytes.to_vec() };
    let author = writer(1 + (ROUNDS % 2) as u8);
    let origin = Origin { writer: &author, past: &|_, _| true };
    let chain = [Generation { number: 1, rows: &history.rows }];
    let Ok(summary) = gate::check(&name(kind), &chain, origin, &bytes).expect("rows are read") else { return false };
    let change = Change::from_bytes(bytes.clone()).expect("automerge reads what the gate lets through");
    assert_eq!(Change::from(change.decode()).raw_bytes(), bytes, "a change has one encoding");
    let mut rows = history.rows.clone();
    let mut cell = RichCell::load(kind, &chain).expect("an honest cell");
    let state = rows::record(&mut rows, &summary, &bytes, &author, ROUNDS as u64).expect("rows are written");
    cell.apply(1, &bytes, &state).expect("automerge takes what the gate lets through");
    let shown = show(&cell, kind);
    let again = RichCell::load(kind, &[Generation { number: 1, rows: &rows }]).expect("a cell that loads");
    assert_eq!(show(&again, kind), shown, "loaded, it shows something else");
    cell.save(&mut rows, &state).expect("a cell that is saved");
    let saved = RichCell::load(kind, &[Generation { number: 1, rows: &rows }]).expect("a cell that loads");
    assert_eq!(show(&saved, kind), shown, "saved, it shows something else");
    true
}

fn show(cell: &RichCell, kind: FieldKind) -> Value {
    match kind {
        FieldKind::Text => Value::String(cell.text().expect("a text").to_string()),
        _ => cell.json().expect("a json value"),
    }
}

/// Sets the checksum right: the first bytes of the hash of all that follows it.
fn with_checksum(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if let Some((head, rest)) = bytes.split_at_mut_checked(8) {
        head[4..].copy_from_slice(&Sha256::digest(rest)[..4]);
    }
    bytes
}

fn seeds() -> Vec<Vec<u8>> {
    let of = |(at, history): (usize, &History)| {
        history.next.iter().map(|bytes| [&[at as u8][..], bytes].concat()).collect::<Vec<_>>()
    };
    histories().iter().enumerate().flat_map(of).collect()
}
