//! What no operation of a text may do.

use automerge::legacy::{ElementId, Key, ObjectId, Op, OpId, OpType};
use automerge::{ActorId, Change, ObjType, ScalarValue};

use super::forge::{element, make, op, put, root_object, with_operations};
use super::world::{Commit, Replica, name, writer_id};
use crate::operation::FieldKind;
use crate::rich::actor_id;
use crate::rich::change::Summary;
use crate::rich::gate::Malformed;
use crate::rich::operations::OperationError;

/// A text "abc" of the first writer, operations 2 to 4, and a commit of the second on top of it.
struct Scene {
    judge: Replica,
    honest: Commit,
    first: ActorId,
    own: ActorId,
    start_op: u64,
}

fn scene() -> Scene {
    let (mut first, mut second) = (Replica::new(FieldKind::Text, 0), Replica::new(FieldKind::Text, 1));
    let mut judge = Replica::new(FieldKind::Text, 2);
    let abc = first.commit(|cell| cell.splice(0, 0, "abc").unwrap()).unwrap();
    second.receive(&abc).unwrap();
    judge.receive(&abc).unwrap();
    let honest = second.commit(|cell| cell.splice(3, 0, "d").unwrap()).unwrap();
    // A deletion, and a commit that the second writer has not seen.
    let unseen = first.commit(|cell| cell.splice(0, 1, "z").unwrap()).unwrap();
    judge.receive(&unseen).unwrap();
    let name = name(FieldKind::Text);
    let start_op = Change::from_bytes(honest.bytes.clone()).unwrap().start_op().get();
    assert_eq!(start_op, 5);
    Scene { judge, honest, first: actor_id(&name, &writer_id(0)), own: actor_id(&name, &writer_id(1)), start_op }
}

impl Scene {
    fn check(&self, operations: Vec<Op>) -> Result<Summary, Malformed> {
        let bytes = with_operations(&self.honest.bytes, operations);
        self.judge.check(&Commit { bytes, ..self.honest.clone() })
    }

    #[track_caller]
    fn refuses(&self, operations: Vec<Op>) {
        let result = self.check(operations);
        assert!(matches!(result, Err(Malformed::Reference { .. })), "{result:?}");
    }

    fn insert_after(&self, key: Key) -> Op {
        op(root_object(), key, true, put("x"), vec![])
    }

    fn delete(&self, counter: u64) -> Op {
        let key = element(counter, &self.first);
        op(root_object(), key, false, OpType::Delete, vec![OpId(counter, self.first.clone())])
    }
}

#[test]
fn single_characters_are_inserted_and_deleted() {
    let scene = scene();
    let operations = vec![
        scene.insert_after(element(4, &scene.first)),
        scene.insert_after(element(scene.start_op, &scene.own)),
        scene.insert_after(Key::Seq(ElementId::Head)),
        scene.delete(2),
        scene.delete(4),
    ];
    let summary = scene.check(operations).unwrap();
    assert_eq!((summary.start_op, summary.max_op), (5, 9));
}

#[test]
fn insertions_are_one_character_each() {
    let scene = scene();
    let with = |action, pred| op(root_object(), element(2, &scene.first), true, action, pred);
    for action in [put("xy"), put(""), put(1i64), put(ScalarValue::Null), make(ObjType::Map), make(ObjType::List)] {
        scene.refuses(vec![with(action, vec![])]);
    }
    scene.refuses(vec![with(put("x"), vec![OpId(2, scene.first.clone())])]);
    scene.refuses(vec![op(root_object(), Key::Map("x".into()), true, put("x"), vec![])]);
    scene.refuses(vec![with(OpType::Delete, vec![])]);
}

#[test]
fn counters_marks_and_nested_texts_are_not_taken() {
    let scene = scene();
    let with = |action| vec![op(root_object(), element(2, &scene.first), true, action, vec![])];
    let counter = scene.check(with(put(ScalarValue::counter(i64::MAX))));
    assert_eq!(counter, Err(OperationError::ScalarType(8).into()));
    let unknown = scene.check(with(put(ScalarValue::Unknown { type_code: 12, bytes: vec![1] })));
    assert_eq!(unknown, Err(OperationError::ScalarType(12).into()));
    assert_eq!(scene.check(with(OpType::Increment(1))), Err(OperationError::Action(5).into()));
    assert_eq!(scene.check(with(make(ObjType::Text))), Err(OperationError::Action(4).into()));
    assert_eq!(scene.check(with(make(ObjType::Table))), Err(OperationError::Action(6).into()));
    assert_eq!(scene.check(with(OpType::MarkEnd(false))), Err(OperationError::Action(7).into()));
    assert_eq!(scene.check(with(OpType::MarkEnd(true))), Err(OperationError::Columns.into()));
}

#[test]
fn operations_are_in_the_fields_text() {
    let scene = scene();
    let other = |obj| op(obj, Key::Seq(ElementId::Head), true, put("x"), vec![]);
    scene.refuses(vec![other(ObjectId::Root)]);
    scene.refuses(vec![other(ObjectId::Id(OpId(2, scene.first.clone())))]);
    scene.refuses(vec![other(ObjectId::Id(OpId(2, ActorId::from([0; 16]))))]);
    scene.refuses(vec![op(ObjectId::Root, Key::Map("other".into()), false, put("x"), vec![])]);
    scene.refuses(vec![op(
        ObjectId::Root,
        Key::Map("value".into()),
        false,
        OpType::Delete,
        vec![OpId(1, ActorId::from([0; 16]))],
    )]);
}

#[test]
fn elements_are_characters_that_the_commit_has_seen() {
    let mut scene = scene();
    let own = scene.own.clone();
    for key in [
        element(1, &ActorId::from([0; 16])),     // the text itself
        element(9, &scene.first),                // not there at all
        element(2, &ActorId::from([5; 32])),     // by nobody
        element(scene.start_op, &own),           // itself
        element(scene.start_op + 1, &own),       // a later one
        element(3, &own),                        // its own, but there is none
        element(2, &ActorId::from(&[0, 0][..])), // not an actor
    ] {
        scene.refuses(vec![scene.insert_after(key)]);
    }
    // An element of a commit that is here, but not in this commit's past.
    let after = |scene: &Scene, counter| {
        vec![scene.delete(2), scene.delete(3), scene.insert_after(element(counter, &scene.first))]
    };
    scene.refuses(after(&scene, 5));
    scene.honest.past = scene.judge.held.clone();
    assert!(scene.check(after(&scene, 5)).is_ok());
    // A deletion is no character, and what comes before an operation has a smaller counter.
    scene.refuses(after(&scene, 6));
    scene.refuses(vec![scene.insert_after(element(5, &scene.first))]);
    scene.refuses(vec![scene.delete(2), scene.insert_after(element(scene.start_op, &own))]);
}

#[test]
fn deletions_delete_one_character_once() {
    let scene = scene();
    let key = element(2, &scene.first);
    let with = |action, pred| vec![op(root_object(), key.clone(), false, action, pred)];
    scene.refuses(with(OpType::Delete, vec![]));
    scene.refuses(with(OpType::Delete, vec![OpId(3, scene.first.clone())]));
    scene.refuses(with(OpType::Delete, vec![OpId(2, scene.first.clone()), OpId(3, scene.first.clone())]));
    scene.refuses(with(put("x"), vec![OpId(2, scene.first.clone())]));
    scene.refuses(vec![scene.delete(2), scene.delete(3), scene.delete(2)]);
    scene.refuses(vec![op(root_object(), Key::Seq(ElementId::Head), false, OpType::Delete, vec![])]);
}
