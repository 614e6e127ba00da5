//! What no operation of a json value may do.

use automerge::legacy::{ElementId, Key, ObjectId, Op, OpId, OpType};
use automerge::{ActorId, ObjType, ScalarValue};

use super::forge::{element, make, op, put, root_object, with_operations};
use super::world::{Commit, Replica, name, writer_id};
use crate::operation::FieldKind;
use crate::rich::actor_id;
use crate::rich::change::Summary;
use crate::rich::document::Step;
use crate::rich::gate::Malformed;
use crate::rich::operations::OperationError;
use crate::value::{Blob, Reference, Value};

/// `{"list": [1, 2], "map": {"k": 3}}` of the first writer, and a commit of the second on top of it. The operations of
/// the first writer, from counter 2: make list, insert 1, insert 2, make map, put k.
struct Scene {
    judge: Replica,
    honest: Commit,
    first: ActorId,
    own: ActorId,
}

const LIST: u64 = 2;
const ONE: u64 = 3;
const TWO: u64 = 4;
const MAP: u64 = 5;
const K: u64 = 6;
/// The first counter of the second writer's commit.
const OWN: u64 = 7;

fn scene() -> Scene {
    let (mut first, mut second) = (Replica::new(FieldKind::Json, 0), Replica::new(FieldKind::Json, 1));
    let mut judge = Replica::new(FieldKind::Json, 2);
    let list = Value::List(vec![Value::Int(1), Value::Int(2)]);
    let map = Value::Object([("k".to_string(), Value::Int(3))].into());
    let value = Value::Object([("list".to_string(), list), ("map".to_string(), map)].into());
    let commit = first.commit(|cell| cell.set_json(&value).unwrap()).unwrap();
    second.receive(&commit).unwrap();
    judge.receive(&commit).unwrap();
    let honest = second.commit(|cell| cell.put(&[Step::Key("x")], &Value::Int(4)).unwrap()).unwrap();
    let name = name(FieldKind::Json);
    Scene { judge, honest, first: actor_id(&name, &writer_id(0)), own: actor_id(&name, &writer_id(1)) }
}

impl Scene {
    fn check(&self, operations: Vec<Op>) -> Result<Summary, Malformed> {
        let bytes = with_operations(&self.honest.bytes, operations);
        self.judge.check(&Commit { bytes, ..self.honest.clone() })
    }

    #[track_caller]
    fn takes(&self, operations: Vec<Op>) {
        self.check(operations).unwrap();
    }

    #[track_caller]
    fn refuses(&self, operations: Vec<Op>) {
        let result = self.check(operations);
        assert!(matches!(result, Err(Malformed::Reference { .. })), "{result:?}");
    }

    fn id(&self, counter: u64) -> OpId {
        OpId(counter, if counter >= OWN { self.own.clone() } else { self.first.clone() })
    }

    fn object(&self, counter: u64) -> ObjectId {
        ObjectId::Id(self.id(counter))
    }

    fn at(&self, counter: u64) -> Key {
        let OpId(counter, actor) = self.id(counter);
        element(counter, &actor)
    }

    /// An operation in the list.
    fn list(&self, key: Key, insert: bool, action: OpType, preds: &[u64]) -> Op {
        op(self.object(LIST), key, insert, action, preds.iter().map(|pred| self.id(*pred)).collect())
    }

    /// An operation in the map.
    fn map(&self, key: &str, action: OpType, preds: &[u64]) -> Op {
        op(self.object(MAP), Key::Map(key.into()), false, action, preds.iter().map(|pred| self.id(*pred)).collect())
    }

    fn root(&self, action: OpType) -> Op {
        op(ObjectId::Root, Key::Map("value".into()), false, action, vec![OpId(1, ActorId::from([0; 16]))])
    }
}

#[test]
fn maps_lists_and_scalars_are_changed() {
    let scene = scene();
    scene.takes(vec![
        scene.list(Key::Seq(ElementId::Head), true, put(1i64), &[]),
        scene.list(scene.at(ONE), true, make(ObjType::Map), &[]),
        scene.list(scene.at(OWN + 1), false, put("over the new map"), &[OWN + 1]),
        scene.list(scene.at(TWO), false, OpType::Delete, &[TWO]),
        scene.map("k", OpType::Delete, &[K]),
        scene.map("new", make(ObjType::List), &[]),
        op(scene.object(OWN + 5), Key::Seq(ElementId::Head), true, put(true), vec![]),
        op(root_object(), Key::Map("list".into()), false, put(1.5), vec![scene.id(LIST)]),
    ]);
    for action in [put(1i64), make(ObjType::Map), make(ObjType::List), OpType::Delete] {
        scene.takes(vec![scene.root(action)]);
    }
}

#[test]
fn scalars_are_those_of_values() {
    let scene = scene();
    let with = |value: ScalarValue| scene.check(vec![scene.map("new", put(value), &[])]);
    let blob = Blob { hash: [1; 32], length: 1 };
    let reference = Reference { collection: "c".into(), id: "i".into() };
    let special = [Value::Bytes(vec![1]), Value::Reference(reference), Value::Vector(vec![1.0]), Value::Blob(blob)];
    for value in special {
        with(ScalarValue::Bytes(value.to_bytes().unwrap())).unwrap();
    }
    for value in [Value::Int(1), Value::Null, Value::String("x".into()), Value::List(vec![])] {
        assert!(with(ScalarValue::Bytes(value.to_bytes().unwrap())).is_err(), "{value:?} has a form of its own");
    }
    for bytes in [vec![], vec![0xff; 3], [Value::Bytes(vec![1]).to_bytes().unwrap(), vec![0]].concat()] {
        assert!(with(ScalarValue::Bytes(bytes)).is_err());
    }
    with(ScalarValue::Timestamp(-1)).unwrap();
    assert_eq!(with(ScalarValue::Uint(1)), Err(OperationError::ScalarType(3).into()));
    assert_eq!(with(ScalarValue::counter(1)), Err(OperationError::ScalarType(8).into()));
    let unknown = ScalarValue::Unknown { type_code: 15, bytes: vec![] };
    assert_eq!(with(unknown), Err(OperationError::ScalarType(15).into()));
    for float in [f64::NAN, -0.0] {
        assert_eq!(with(ScalarValue::F64(float)), Err(OperationError::Scalar.into()));
    }
    assert_eq!(scene.check(vec![scene.map("k", OpType::Increment(1), &[K])]), Err(OperationError::Action(5).into()));
    assert_eq!(scene.check(vec![scene.map("t", make(ObjType::Text), &[])]), Err(OperationError::Action(4).into()));
}

#[test]
fn the_root_has_one_key() {
    let scene = scene();
    scene.refuses(vec![op(ObjectId::Root, Key::Map("other".into()), false, put(1i64), vec![])]);
    scene.refuses(vec![op(ObjectId::Root, Key::Map("value".into()), true, put(1i64), vec![])]);
    scene.refuses(vec![op(ObjectId::Root, Key::Seq(ElementId::Head), true, put(1i64), vec![])]);
}

#[test]
fn operations_fit_the_object_they_are_in() {
    let scene = scene();
    let one = || put(1i64);
    // A key in a list, an element in a map, an insertion in a map, an overwritten head.
    scene.refuses(vec![op(scene.object(LIST), Key::Map("k".into()), false, one(), vec![])]);
    scene.refuses(vec![op(scene.object(MAP), Key::Seq(ElementId::Head), true, one(), vec![])]);
    scene.refuses(vec![op(scene.object(MAP), scene.at(ONE), false, one(), vec![scene.id(ONE)])]);
    scene.refuses(vec![op(scene.object(MAP), Key::Map("k".into()), true, one(), vec![])]);
    scene.refuses(vec![scene.list(Key::Seq(ElementId::Head), false, one(), &[])]);
    // Objects that are none, that are not there, and that come later.
    for object in [ONE, K, OWN, OWN + 1, 99] {
        scene.refuses(vec![op(scene.object(object), Key::Map("k".into()), false, one(), vec![])]);
    }
    // Elements of another list, of no list, of nothing.
    let other = op(root_object(), Key::Map("other".into()), false, make(ObjType::List), vec![]);
    let inside = op(scene.object(OWN), Key::Seq(ElementId::Head), true, one(), vec![]);
    scene.takes(vec![other.clone(), inside.clone(), op(scene.object(OWN), scene.at(OWN + 1), true, one(), vec![])]);
    scene.refuses(vec![other, inside, scene.list(scene.at(OWN + 1), true, one(), &[])]);
    for element in [LIST, MAP, K, OWN, 99] {
        scene.refuses(vec![scene.list(scene.at(element), true, one(), &[])]);
    }
    // A value put over an element is not an element.
    scene.refuses(vec![scene.list(scene.at(ONE), false, one(), &[ONE]), scene.list(scene.at(OWN), true, one(), &[])]);
}

#[test]
fn predecessors_are_values_at_the_same_place() {
    let scene = scene();
    let one = || put(1i64);
    scene.refuses(vec![scene.map("k", one(), &[ONE])]);
    scene.refuses(vec![scene.map("k", one(), &[K, 99])]);
    scene.refuses(vec![scene.map("other", one(), &[K])]);
    scene.refuses(vec![scene.map("k", OpType::Delete, &[])]);
    scene.refuses(vec![scene.map("k", OpType::Delete, &[OWN])]);
    scene.refuses(vec![scene.map("k", OpType::Delete, &[K]), scene.map("k", one(), &[OWN])]);
    scene.refuses(vec![scene.list(scene.at(ONE), false, one(), &[])]);
    scene.refuses(vec![scene.list(scene.at(ONE), false, OpType::Delete, &[])]);
    scene.refuses(vec![scene.list(scene.at(ONE), false, one(), &[TWO])]);
    scene.refuses(vec![scene.list(scene.at(ONE), true, one(), &[ONE])]);
    scene.refuses(vec![op(root_object(), Key::Map("k".into()), false, one(), vec![scene.id(K)])]);
    // A map put over an element takes its place.
    scene.takes(vec![
        scene.list(scene.at(ONE), false, make(ObjType::Map), &[ONE]),
        scene.list(scene.at(ONE), false, one(), &[ONE, OWN]),
    ]);
}

#[test]
fn objects_nest_up_to_the_limit_of_values() {
    let scene = scene();
    let nested = |deep: u64| {
        let mut operations = vec![scene.map("deep", make(ObjType::Map), &[])];
        operations.extend(
            (1..deep)
                .map(|at| op(scene.object(OWN + at - 1), Key::Map("deep".into()), false, make(ObjType::Map), vec![])),
        );
        operations
    };
    // The value is at 1, its map at 2.
    let deepest = Value::MAX_DEPTH as u64 - 2;
    scene.takes(nested(deepest));
    scene.refuses(nested(deepest + 1));
}

#[test]
fn making_and_deleting_carry_no_value() {
    let scene = scene();
    let honest = with_operations(&scene.honest.bytes, vec![scene.map("k", OpType::Delete, &[K])]);
    let bytes = super::forge::Forge::of(&honest).column(86, &[0x7f, 1]).bytes();
    let result = scene.judge.check(&Commit { bytes, ..scene.honest.clone() });
    assert!(matches!(result, Err(Malformed::Reference { .. })), "{result:?}");
}
