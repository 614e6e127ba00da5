//! Every rule of the gate that holds for both kinds, each broken by an otherwise honest change.

use std::collections::BTreeSet;
use std::num::NonZeroU64;

use automerge::legacy::{ElementId, Key};
use automerge::{ActorId, Change, ChangeHash};

use super::forge::{Forge, bent, genesis_hash, op, put, root_object};
use super::world::{Commit, Replica, name, writer_id};
use crate::codec::{DecodeError, Reader};
use crate::id::WriterId;
use crate::operation::FieldKind;
use crate::rich::change::{FrameError, Summary, signed_leb128};
use crate::rich::columns::ColumnError;
use crate::rich::gate::{self, Malformed, Origin};
use crate::rich::operations::OperationError;
use crate::rich::{MAX_CHANGE_BYTES, MAX_COUNTER, actor_id, rows};

/// Two writers that have seen each other's "abc" and "def", and the second's next honest commit.
struct Scene {
    judge: Replica,
    first: Commit,
    honest: Commit,
}

fn scene() -> Scene {
    let (mut first, mut second) = (Replica::new(FieldKind::Text, 0), Replica::new(FieldKind::Text, 1));
    let mut judge = Replica::new(FieldKind::Text, 2);
    let abc = first.commit(|cell| cell.splice(0, 0, "abc").unwrap()).unwrap();
    second.receive(&abc).unwrap();
    let def = second.commit(|cell| cell.splice(3, 0, "def").unwrap()).unwrap();
    judge.receive(&abc).unwrap();
    judge.receive(&def).unwrap();
    let honest = second.commit(|cell| cell.splice(1, 1, "xy").unwrap()).unwrap();
    judge.check(&honest).unwrap();
    Scene { judge, first: abc, honest }
}

impl Scene {
    fn check(&self, bytes: Vec<u8>) -> Result<Summary, Malformed> {
        self.judge.check(&Commit { bytes, ..self.honest.clone() })
    }

    fn bent(&self, bend: impl FnOnce(&mut Forge)) -> Result<Summary, Malformed> {
        self.check(Forge::of(&self.honest.bytes).with(bend).bytes())
    }

    fn column(&self, spec: u32, data: &[u8]) -> Result<Summary, Malformed> {
        self.check(Forge::of(&self.honest.bytes).column(spec, data).bytes())
    }
}

#[track_caller]
fn frame(result: Result<Summary, Malformed>, expected: FrameError) {
    assert_eq!(result, Err(Malformed::Frame(expected)));
}

#[track_caller]
fn operation(result: Result<Summary, Malformed>, expected: OperationError) {
    assert_eq!(result, Err(Malformed::Operation(expected)));
}

#[track_caller]
fn not_canonical(result: Result<Summary, Malformed>) {
    let column =
        matches!(result, Err(Malformed::Operation(OperationError::Column { error: ColumnError::NotCanonical(_), .. })));
    assert!(column, "{result:?}");
}

#[test]
fn an_unbent_forge_is_the_honest_change() {
    let scene = scene();
    assert_eq!(Forge::of(&scene.honest.bytes).bytes(), scene.honest.bytes);
}

#[test]
fn only_uncompressed_change_chunks_are_taken() {
    let mut writer = Replica::new(FieldKind::Text, 0);
    let text: String = (0..2_000).map(|at| char::from(b'a' + (at % 23) as u8)).collect();
    let long = writer.commit(|cell| cell.splice(0, 0, &text).unwrap()).unwrap();
    let compressed = Change::from_bytes(long.bytes.clone()).unwrap().bytes().into_owned();
    assert!(compressed.len() < long.bytes.len());
    let judge = Replica::new(FieldKind::Text, 2);
    frame(judge.check(&Commit { bytes: compressed, ..long }), FrameError::ChunkType { found: 2 });
    let scene = scene();
    for chunk_type in [0, 3, 4, 255] {
        frame(scene.bent(|forge| forge.chunk_type = chunk_type), FrameError::ChunkType { found: chunk_type });
    }
}

#[test]
fn the_frame_has_one_spelling() {
    let scene = scene();
    let honest = &scene.honest.bytes;
    frame(scene.check(vec![0; MAX_CHANGE_BYTES + 1]), FrameError::TooLong);
    frame(scene.check(Vec::new()), FrameError::Decode(DecodeError::Truncated));
    let bend = |at: usize| {
        let mut bytes = honest.clone();
        bytes[at] ^= 1;
        scene.check(bytes)
    };
    frame(bend(0), FrameError::Magic);
    frame(bend(5), FrameError::Checksum);
    frame(bend(honest.len() - 1), FrameError::Checksum);
    frame(scene.check([&honest[..], &[0]].concat()), FrameError::Decode(DecodeError::Trailing { count: 1 }));
    frame(scene.check(honest[..honest.len() - 1].to_vec()), FrameError::Decode(DecodeError::Truncated));
    frame(scene.bent(|forge| forge.time = vec![0x80, 0]), FrameError::Decode(DecodeError::Varint));
    frame(scene.bent(|forge| forge.actor = vec![1; 33]), FrameError::ActorLength);
}

#[test]
fn a_change_carries_nothing_but_operations() {
    let scene = scene();
    assert_eq!(scene.bent(|forge| forge.time = vec![1]), Err(Malformed::Extras));
    assert_eq!(scene.bent(|forge| forge.message = b"hi".to_vec()), Err(Malformed::Extras));
    assert_eq!(scene.bent(|forge| forge.extra = vec![1, 2, 3]), Err(Malformed::Extras));
}

/// A change of text or json in the name of another writer's actor is refused, an honest one that was copied too.
#[test]
fn attack_foreign_actor_id_is_refused() {
    let scene = scene();
    let other = actor_id(&name(FieldKind::Text), &writer_id(0));
    assert_eq!(scene.bent(|forge| forge.actor = other.to_bytes().to_vec()), Err(Malformed::ForeignActor));
    // An honest change in another writer's commit is no better.
    let stolen = Commit { writer: 0, ..scene.honest.clone() };
    assert_eq!(scene.judge.check(&stolen), Err(Malformed::ForeignActor));
}

#[test]
fn changes_of_an_actor_come_one_after_the_other() {
    let scene = scene();
    for found in [0, 1, 3, u64::MAX] {
        assert_eq!(scene.bent(|forge| forge.seq = found), Err(Malformed::Seq { expected: 2, found }));
    }
    let previous = Forge::of(&scene.honest.bytes).deps[0];
    let first = Change::from_bytes(scene.first.bytes.clone()).unwrap().hash();
    assert_ne!(previous, first);
    assert_eq!(scene.bent(|forge| forge.deps = vec![first]), Err(Malformed::DepsWithoutPrevious));
}

#[test]
fn dependencies_are_known_and_lie_in_the_commits_past() {
    let scene = scene();
    let stranger = ChangeHash([0xff; 32]);
    assert_eq!(scene.bent(|forge| forge.deps.clear()), Err(Malformed::DepsOrder));
    assert_eq!(scene.bent(|forge| forge.deps.push(forge.deps[0])), Err(Malformed::DepsOrder));
    assert_eq!(scene.bent(|forge| forge.deps.insert(0, stranger)), Err(Malformed::DepsOrder));
    assert_eq!(scene.bent(|forge| forge.deps.push(stranger)), Err(Malformed::UnknownDep(stranger)));
    // The other kind's genesis is no change of this cell.
    let foreign = genesis_hash(FieldKind::Json);
    let bend = |forge: &mut Forge| {
        forge.deps.push(foreign);
        forge.deps.sort();
    };
    assert_eq!(scene.bent(bend), Err(Malformed::UnknownDep(foreign)));

    let first = Change::from_bytes(scene.first.bytes.clone()).unwrap().hash();
    let bend = |forge: &mut Forge| {
        forge.deps.push(first);
        forge.deps.sort();
    };
    let bytes = Forge::of(&scene.honest.bytes).with(bend).bytes();
    assert!(scene.check(bytes.clone()).is_ok());
    let blind = Commit { bytes, past: BTreeSet::new(), ..scene.honest.clone() };
    assert_eq!(scene.judge.check(&blind), Err(Malformed::UnseenDep(first)));
}

/// A change can't jump ahead with its counter: it starts right after its dependencies, and nobody uses up a field's
/// numbers.
#[test]
fn attack_poisoned_automerge_counter_is_refused() {
    let scene = scene();
    let expected = Forge::of(&scene.honest.bytes).start_op;
    for found in [0, 1, expected - 1, expected + 1, u64::MAX] {
        assert_eq!(scene.bent(|forge| forge.start_op = found), Err(Malformed::StartOp { expected, found }));
    }
    // A history that is one operation short of the end.
    let mut scene = scene;
    let hash = ChangeHash([9; 32]);
    let summary = Summary {
        hash,
        actor: ActorId::from([9; 32]),
        seq: 1,
        start_op: MAX_COUNTER - 1,
        max_op: MAX_COUNTER - 1,
        deps: Vec::new(),
        reaches: Vec::new(),
        inserts: Vec::new(),
    };
    let writer = writer_id(9);
    rows::record(&mut scene.judge.rows, &summary, &[], &writer, 0).unwrap();
    let insert = || op(root_object(), Key::Seq(ElementId::Head), true, put("x"), vec![]);
    let bytes = |count: usize| {
        bent(&scene.honest.bytes, |change| {
            change.deps.push(hash);
            change.start_op = NonZeroU64::new(MAX_COUNTER).unwrap();
            change.operations = (0..count).map(|_| insert()).collect();
        })
    };
    let all = |_: &WriterId, _: u64| true;
    let second = writer_id(1);
    let origin = Origin { writer: &second, past: &all };
    let check = |bytes: Vec<u8>| gate::check(&scene.judge.name, &scene.judge.chain(), origin, &bytes).unwrap();
    assert_eq!(check(bytes(1)).unwrap().max_op, MAX_COUNTER);
    assert_eq!(check(bytes(2)), Err(Malformed::Counter));
}

#[test]
fn columns_are_known_and_have_one_spelling() {
    let scene = scene();
    // The honest change inserts two characters and deletes one.
    let forge = Forge::of(&scene.honest.bytes);
    let data = |spec: u32| forge.columns.iter().find(|(found, _)| *found == spec).unwrap().1.clone();
    assert_eq!(data(52), [0, 2, 1]);
    assert_eq!(data(66), [2, 1, 0x7f, 3]);

    for spec in [3, 148, 165, 200] {
        operation(scene.column(spec, &[2, 0, 0x7f, 0]), OperationError::Columns);
    }
    for spec in [52, 66, 86, 112] {
        operation(scene.column(spec, &[]), OperationError::Columns);
        let compressed = Forge::of(&scene.honest.bytes).column(spec, &[]).column(spec | 8, &data(spec)).bytes();
        operation(scene.check(compressed), OperationError::Columns);
    }
    operation(scene.bent(|forge| forge.columns.reverse()), OperationError::Columns);
    operation(scene.bent(|forge| forge.columns.insert(0, (1, Vec::new()))), OperationError::Columns);

    not_canonical(scene.column(66, &[0x7d, 1, 1, 3]));
    not_canonical(scene.column(66, &[1, 1, 1, 1, 0x7f, 3]));
    not_canonical(scene.column(52, &[0, 1, 0, 1, 1]));
    not_canonical(scene.column(21, &[0, 3]));
    let error = ColumnError::Decode(DecodeError::Varint);
    operation(scene.column(66, &[0x82, 0, 1, 0x7f, 3]), OperationError::Column { column: 66, error });
    let error = ColumnError::Long;
    operation(scene.column(52, &[0, 2, 2]), OperationError::Column { column: 52, error });
    let error = ColumnError::Short;
    operation(scene.column(52, &[0, 2]), OperationError::Column { column: 52, error });
    // Four billion deletions in five bytes.
    let error = ColumnError::Rows { limit: crate::rich::MAX_TEXT_OPERATIONS };
    let bomb = [0xff, 0xff, 0xff, 0xff, 0x0f, 3];
    operation(scene.column(66, &bomb), OperationError::Column { column: 66, error });
    // Predecessors without end.
    let error = ColumnError::Short;
    let many = [2, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0x0f];
    operation(scene.column(112, &many), OperationError::Column { column: 113, error });
    // Three objects whose counter is 0, or beyond the last; a predecessor without an actor.
    for counter in [&[0][..], &[0x81, 0x80, 0x80, 0x80, 8]] {
        operation(scene.column(2, &[&[3], counter].concat()), OperationError::Incomplete);
    }
    operation(scene.column(113, &[0, 1]), OperationError::Incomplete);
}

#[test]
fn signed_numbers_have_one_spelling_and_at_most_64_bits() {
    let read = |bytes: &[u8]| signed_leb128(&mut Reader::new(bytes));
    let long = |last: &[u8]| [&[0x80; 9], last].concat();
    assert_eq!(read(&[0x3f]), Ok(63));
    assert_eq!(read(&[0x40]), Ok(-64));
    assert_eq!(read(&long(&[0x7f])), Ok(i64::MIN));
    assert_eq!(read(&[&[0xff; 9][..], &[0]].concat()), Ok(i64::MAX));
    for wrong in [&[0xbf, 0][..], &[0xc0, 0x7f], &long(&[1]), &long(&[0x40]), &long(&[0x80, 0])] {
        assert_eq!(read(wrong), Err(DecodeError::Varint), "{wrong:x?}");
    }
    assert_eq!(read(&[0x80]), Err(DecodeError::Truncated));
}

#[test]
fn a_change_has_operations() {
    let scene = scene();
    operation(scene.bent(|forge| forge.columns.clear()), OperationError::Columns);
}

#[test]
fn the_list_of_actors_is_the_least_that_the_operations_need() {
    let scene = scene();
    let forge = Forge::of(&scene.honest.bytes);
    assert_eq!(forge.others.len(), 2, "the genesis actor and the first writer");
    operation(scene.bent(|forge| forge.others.reverse()), OperationError::Actors);
    operation(scene.bent(|forge| forge.others.push(vec![0xff; 32])), OperationError::Actors);
    operation(scene.bent(|forge| forge.others.insert(1, forge.others[0].clone())), OperationError::Actors);
    operation(scene.bent(|forge| forge.others.truncate(1)), OperationError::UnknownActor);
    let own = forge.actor.clone();
    operation(
        scene.bent(|forge| {
            forge.others.push(own);
            forge.others.sort();
        }),
        OperationError::Actors,
    );
}
