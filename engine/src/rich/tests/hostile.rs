//! Bytes that are mutated at random, and changes that pass the gate though no honest writer makes them.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::num::NonZeroU64;

use automerge::legacy::{ElementId, Key, ObjectId, Op, OpId, OpType};
use automerge::{ActorId, Change, ChangeHash, ObjType, ScalarValue};

use super::forge::{bent, element, genesis_hash, make, op, put, root_object, with_checksum};
use super::memory::MemoryRows;
use super::world::{Commit, Replica, name, writer_id};
use crate::operation::FieldKind;
use crate::rich::document::{Generation, Step};
use crate::rich::gate::{self, Origin};
use crate::rich::rows::{self, Row, Rows, Visit};
use crate::rich::{MAX_JSON_OPERATIONS, actor_id};
use crate::store::error::ReadError;
use crate::value::Value;
use crate::value::sample::Sampler;

/// Mutations of each honest change.
const MUTATIONS: usize = 3_000;
/// Histories of dishonest changes, of each kind.
const HISTORIES: u64 = 16;

fn honest(kind: FieldKind) -> (Replica, Commit) {
    let (mut first, mut second, mut judge) = (Replica::new(kind, 0), Replica::new(kind, 1), Replica::new(kind, 2));
    let edit = |cell: &mut crate::rich::RichCell, round: i64| match kind {
        FieldKind::Text => {
            let length = cell.length().unwrap();
            cell.splice(length / 2, length.min(2), "some tëxt 🦀").unwrap();
        }
        _ => {
            let list = Value::List(vec![Value::Int(round), Value::Float(0.5), Value::Bytes(vec![1, 2])]);
            cell.put(&[Step::Key("list")], &list).unwrap();
            cell.put(&[Step::Key("text")], &Value::String("some text".into())).unwrap();
            cell.cut(&[Step::Key("list"), Step::Index(1)]).unwrap();
        }
    };
    for round in 0..3 {
        let commit = first.commit(|cell| edit(cell, round)).unwrap();
        second.receive(&commit).unwrap();
        judge.receive(&commit).unwrap();
    }
    let commit = second.commit(|cell| (3..5).for_each(|round| edit(cell, round))).unwrap();
    (judge, commit)
}

fn mutated(honest: &[u8], random: &mut Sampler) -> Vec<u8> {
    let mut bytes = honest.to_vec();
    for _ in 0..1 + random.below(3) {
        let at = random.below(bytes.len());
        match random.below(6) {
            0 => bytes[at] = random.next() as u8,
            1 => bytes[at] ^= 1 << random.below(8),
            2 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
            3 => bytes.insert(at, random.next() as u8),
            4 if bytes.len() > 1 => drop(bytes.remove(at)),
            _ => bytes.truncate(at.max(1)),
        }
    }
    if random.below(8) > 0 { with_checksum(bytes) } else { bytes }
}

/// What the gate lets through, automerge takes, re-encodes to the same bytes, saves and loads.
#[test]
fn mutated_changes_are_refused_or_harmless() {
    let mut accepted = 0;
    for (kind, seed) in [(FieldKind::Text, 1), (FieldKind::Json, 2)] {
        let (judge, commit) = honest(kind);
        let mut random = Sampler::new(seed);
        for round in 0..MUTATIONS {
            let bytes = mutated(&commit.bytes, &mut random);
            if judge.check(&Commit { bytes: bytes.clone(), ..commit.clone() }).is_err() {
                continue;
            }
            accepted += 1;
            let change = Change::from_bytes(bytes.clone()).unwrap();
            assert_eq!(Change::from(change.decode()).raw_bytes(), bytes, "seed {seed} round {round}");
            let mut judge = honest(kind).0;
            judge.receive(&Commit { bytes, ..commit.clone() }).unwrap();
            judge.save();
            match kind {
                FieldKind::Text => assert_eq!(judge.reloaded().text().unwrap(), judge.cell.text().unwrap()),
                _ => assert_eq!(judge.reloaded().json().unwrap(), judge.cell.json().unwrap()),
            }
        }
    }
    assert!(accepted > 10, "only {accepted} mutations were let through: nothing was tested");
}

/// An operation that a writer may name: its id, and where it is.
#[derive(Clone)]
struct Known {
    dot: (usize, u64),
    id: OpId,
    op: Op,
}

/// Random operations over everything that the past holds, honest or not; most of them pass the gate.
fn dishonest(kind: FieldKind, known: &[Known], own: &ActorId, start_op: u64, random: &mut Sampler) -> Vec<Op> {
    let mut all: Vec<(OpId, Op)> = known.iter().map(|known| (known.id.clone(), known.op.clone())).collect();
    let genesis = OpId(1, ActorId::from([0; 16]));
    let mut made = Vec::new();
    for at in 0..1 + random.below(4) {
        let id = OpId(start_op + at as u64, own.clone());
        let lower: Vec<&(OpId, Op)> = all.iter().filter(|(other, _)| other.0 < id.0).collect();
        let new = if kind == FieldKind::Text {
            dishonest_text(&lower, random)
        } else {
            dishonest_json(&lower, &genesis, random)
        };
        all.push((id, new.clone()));
        made.push(new);
    }
    made
}

fn dishonest_text(lower: &[&(OpId, Op)], random: &mut Sampler) -> Op {
    let characters: Vec<&OpId> = lower.iter().filter(|(_, op)| op.insert).map(|(id, _)| id).collect();
    match random.below(4) {
        // A character that may be deleted already, or not yet visible.
        0 if !characters.is_empty() => {
            let id = characters[random.below(characters.len())].clone();
            op(root_object(), Key::Seq(ElementId::Id(id.clone())), false, OpType::Delete, vec![id])
        }
        1 | 2 if !characters.is_empty() => {
            let id = characters[random.below(characters.len())].clone();
            op(root_object(), Key::Seq(ElementId::Id(id)), true, put("x"), vec![])
        }
        _ => op(root_object(), Key::Seq(ElementId::Head), true, put("h"), vec![]),
    }
}

fn dishonest_json(lower: &[&(OpId, Op)], genesis: &OpId, random: &mut Sampler) -> Op {
    let mut objects: Vec<(ObjectId, bool)> = vec![(ObjectId::Id(genesis.clone()), false), (ObjectId::Root, false)];
    for (id, op) in lower {
        match op.action {
            OpType::Make(ObjType::Map) => objects.push((ObjectId::Id(id.clone()), false)),
            OpType::Make(ObjType::List) => objects.push((ObjectId::Id(id.clone()), true)),
            _ => {}
        }
    }
    let (object, is_list) = objects[random.below(objects.len())].clone();
    let action = match random.below(6) {
        0 => OpType::Make(ObjType::Map),
        1 | 2 => OpType::Make(ObjType::List),
        3 => OpType::Delete,
        _ => put(random.below(100) as i64),
    };
    let elements: Vec<&OpId> = lower.iter().filter(|(_, op)| op.insert && op.obj == object).map(|(id, _)| id).collect();
    let inserts = is_list && (elements.is_empty() || random.below(2) == 0);
    let key = match (&object, is_list) {
        (ObjectId::Root, _) => Key::Map("value".into()),
        (_, false) => Key::Map(["a", "b"][random.below(2)].into()),
        _ if inserts && random.below(3) == 0 || elements.is_empty() => Key::Seq(ElementId::Head),
        _ => Key::Seq(ElementId::Id(elements[random.below(elements.len())].clone())),
    };
    // Some of the values at the same place, overwritten ones and invisible ones too.
    let mut preds: Vec<OpId> = Vec::new();
    if !inserts {
        for (id, op) in lower {
            let same = op.key == key && !op.insert || key == Key::Seq(ElementId::Id(id.clone()));
            if op.obj == object && same && op.action != OpType::Delete && random.below(3) > 0 {
                preds.push(id.clone());
            }
        }
        if object == ObjectId::Root && random.below(2) == 0 {
            preds.push(genesis.clone());
        }
    }
    op(object, key, inserts, if inserts && action == OpType::Delete { put(0i64) } else { action }, preds)
}

/// Equal sets of changes give equal content in every causal order, whatever their writers were up to.
#[test]
fn dishonest_changes_that_pass_the_gate_converge() {
    let (mut passed, mut refused) = (0, 0);
    for (kind, seed) in (0..HISTORIES).flat_map(|seed| [(FieldKind::Text, seed), (FieldKind::Json, seed)]) {
        let mut random = Sampler::new(seed);
        let mut log: Vec<Commit> = Vec::new();
        let mut known: Vec<Known> = Vec::new();
        let mut last_of_writer: [Option<ChangeHash>; 3] = [None; 3];
        let mut max_ops: BTreeMap<ChangeHash, u64> = BTreeMap::new();
        let mut writers: Vec<Replica> = (0..3).map(|writer| Replica::new(kind, writer)).collect();
        for round in 0..24 {
            let at = random.below(3);
            let own = actor_id(&name(kind), &writer_id(at));
            let writer = &mut writers[at];
            // An honest change gives the frame; it is never sent.
            let mut template = Replica::new(kind, at);
            template.cell = writer.reloaded();
            template.rows = writer.rows.clone();
            template.held = writer.held.clone();
            let frame = template.commit(|cell| match kind {
                FieldKind::Text => cell.splice(0, 0, "t").unwrap(),
                _ => cell.put(&[], &Value::Timestamp(round)).unwrap(),
            });
            let frame = frame.unwrap();
            let honest = Change::from_bytes(frame.bytes.clone()).unwrap();
            // Sometimes it does not say all that it depends on, and its counters start lower.
            let previous = last_of_writer[at];
            let deps: Vec<ChangeHash> = honest.deps().to_vec();
            let kept = |dep: &ChangeHash, random: &mut Sampler| previous == Some(*dep) || random.below(2) == 0;
            let mut deps: Vec<ChangeHash> = match random.below(3) {
                0 => deps.into_iter().filter(|dep| kept(dep, &mut random)).collect(),
                _ => deps,
            };
            if deps.is_empty() {
                deps.push(genesis_hash(kind));
            }
            let start_op = 1 + deps.iter().map(|dep| max_ops.get(dep).copied().unwrap_or(1)).max().unwrap();
            let seen: Vec<Known> = known.iter().filter(|known| writer.held.contains(&known.dot)).cloned().collect();
            let operations = dishonest(kind, &seen, &own, start_op, &mut random);
            let bytes = bent(&frame.bytes, |change| {
                (change.operations, change.deps) = (operations.clone(), deps);
                change.start_op = NonZeroU64::new(start_op).unwrap();
            });
            let commit = Commit { bytes, sequence: 100 + round as u64, past: writer.held.clone(), ..frame };
            let Ok(summary) = writer.check(&commit) else {
                refused += 1;
                continue;
            };
            passed += 1;
            last_of_writer[at] = Some(summary.hash);
            max_ops.insert(summary.hash, summary.max_op);
            writer.receive(&commit).unwrap();
            known.extend(operations.into_iter().enumerate().map(|(index, op)| Known {
                dot: commit.dot(),
                id: OpId(start_op + index as u64, own.clone()),
                op,
            }));
            log.push(commit);
            let to = random.below(3);
            deliver(&mut writers[to], &log, &mut random, 1 + round as usize);
        }
        for writer in &mut writers {
            deliver(writer, &log, &mut random, usize::MAX);
        }
        let content = |cell: &crate::rich::RichCell| match kind {
            FieldKind::Text => Value::String(cell.text().unwrap().to_string()),
            _ => cell.json().unwrap(),
        };
        let expected = content(&writers[0].cell);
        for writer in &mut writers {
            assert_eq!(content(&writer.cell), expected, "{kind:?} seed {seed}");
            assert_eq!(content(&writer.reloaded()), expected, "{kind:?} seed {seed}");
            assert_eq!(content(&writer.reloaded_into_automerge()), expected, "{kind:?} seed {seed}");
            writer.save();
            assert_eq!(content(&writer.reloaded()), expected, "{kind:?} seed {seed}");
        }
    }
    assert!(passed > refused && passed > 200, "{passed} passed, {refused} were refused");
}

/// Delivers up to `most` commits of `log`, in a random causal order.
fn deliver(replica: &mut Replica, log: &[Commit], random: &mut Sampler, most: usize) {
    for _ in 0..most {
        let ready: Vec<&Commit> = log
            .iter()
            .filter(|commit| !replica.held.contains(&commit.dot()) && commit.past.is_subset(&replica.held))
            .collect();
        let Some(last) = ready.len().checked_sub(1) else { return };
        replica.receive(ready[random.below(last + 1)]).unwrap();
    }
}

/// Rows that count how often a change is read.
struct Counted<'a> {
    rows: &'a MemoryRows,
    changes: Cell<usize>,
}

impl Rows for Counted<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        // No other key has nine bytes.
        self.changes.set(self.changes.get() + usize::from(key.len() == 9));
        self.rows.get(key)
    }

    fn range(&self, first: &[u8], last: &[u8], visit: &mut Visit<'_>) -> Result<(), ReadError> {
        self.rows.range(first, last, visit)
    }

    fn last(&self, first: &[u8], last: &[u8]) -> Result<Option<Row>, ReadError> {
        self.rows.last(first, last)
    }
}

/// Lists that are a few bytes on the wire and long to decode, and a change that names elements of each in turn.
#[test]
fn a_change_that_jumps_between_long_ones_decodes_each_once_and_not_at_every_jump() {
    const LISTS: u64 = 5;
    const JUMPS: u64 = 40;
    let honest = Replica::new(FieldKind::Json, 0).commit(|cell| cell.put(&[Step::Key("x")], &Value::Null).unwrap());
    let honest = honest.unwrap();
    let (name, own) = (name(FieldKind::Json), actor_id(&name(FieldKind::Json), &writer_id(0)));
    let id = |counter| OpId(counter, own.clone());
    let mut rows = MemoryRows::default();
    let (mut deps, mut start_op, mut made) = (vec![genesis_hash(FieldKind::Json)], 2, Vec::new());
    let change = |seq: u64, deps: &[ChangeHash], start_op: u64, operations: Vec<Op>| {
        bent(&honest.bytes, |change| {
            change.seq = seq;
            change.deps = deps.to_vec();
            change.start_op = NonZeroU64::new(start_op).unwrap();
            change.operations = operations;
        })
    };
    let judge = |rows: &dyn Rows, bytes: &[u8]| {
        let origin = Origin { writer: &writer_id(0), past: &|_, _| true };
        gate::check(&name, &[Generation { number: 1, rows }], origin, bytes).unwrap().unwrap()
    };
    for list in 0..LISTS {
        let key = Key::Map(format!("list {list}").into());
        let mut operations = vec![op(root_object(), key, false, make(ObjType::List), vec![])];
        let elements = start_op + 1..start_op + MAX_JSON_OPERATIONS;
        operations.extend(elements.map(|counter| {
            let after = if counter == start_op + 1 { Key::Seq(ElementId::Head) } else { element(counter - 1, &own) };
            op(ObjectId::Id(id(start_op)), after, true, put(ScalarValue::Null), vec![])
        }));
        let bytes = change(list + 1, &deps, start_op, operations);
        assert!(bytes.len() < 1_000, "{} bytes", bytes.len());
        let summary = judge(&rows, &bytes);
        rows::record(&mut rows, &summary, &bytes, &writer_id(0), list).unwrap();
        made.push(start_op);
        (deps, start_op) = (vec![summary.hash], summary.max_op + 1);
    }
    let jumps = (0..JUMPS).map(|jump| {
        let list = made[(jump % LISTS) as usize];
        let counter = list + 1 + jump / LISTS;
        op(ObjectId::Id(id(list)), element(counter, &own), false, OpType::Delete, vec![id(counter)])
    });
    let jumping = change(LISTS + 1, &deps, start_op, jumps.collect());
    let counted = Counted { rows: &rows, changes: Cell::new(0) };
    judge(&counted, &jumping);
    assert_eq!(counted.changes.get() as u64, LISTS, "so many changes were read for {JUMPS} jumps");
}
