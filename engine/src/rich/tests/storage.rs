//! Rows: what is written for a commit, what a reload gives, and the union of generations.

use std::sync::Arc;

use super::memory::MemoryRows;
use super::world::{Replica, name, writer_id};
use crate::operation::FieldKind;
use crate::rich::document::{Generation, RichCell, Step};
use crate::rich::gate::{self, Malformed, Origin};
use crate::rich::rows::{self, Overlay, State, Version};
use crate::rich::{Cache, CellName, RichError, actor_id};
use crate::value::Value;
use crate::value::sample::Sampler;

/// The key of the snapshot row.
const SNAPSHOT: &[u8] = &[6];

#[test]
fn one_edit_commits_do_not_rewrite_the_text_each_time() {
    let mut replica = Replica::new(FieldKind::Text, 0);
    let mut random = Sampler::new(3);
    let (mut snapshots, mut changes_bytes) = (0, 0);
    let commits = 3_000;
    for _ in 0..commits {
        let before = replica.rows.rows.get(SNAPSHOT).cloned();
        let commit = replica.commit(|cell| {
            let at = random.below(cell.length().unwrap() + 1);
            cell.splice(at, 0, "x").unwrap();
        });
        changes_bytes += commit.unwrap().bytes.len();
        snapshots += usize::from(before != replica.rows.rows.get(SNAPSHOT).cloned());
    }
    assert!(snapshots >= 2, "none were written");
    assert!(snapshots <= 8, "{snapshots} snapshots for {commits} commits");
    let written = replica.rows.written_bytes;
    assert!(written < 3 * changes_bytes, "{written} bytes of rows for {changes_bytes} bytes of changes");
}

#[test]
fn a_reload_gives_the_same_with_without_and_with_a_damaged_snapshot() {
    let mut replica = Replica::new(FieldKind::Text, 0);
    for at in 0..40 {
        replica.commit(|cell| cell.splice(at / 2, 0, "ab").unwrap());
        if at == 20 {
            replica.save();
        }
    }
    let (text, version) = (replica.cell.text().unwrap(), replica.cell.version());
    let same = |replica: &Replica| {
        let mut cell = replica.reloaded();
        assert_eq!((cell.text().unwrap(), cell.version()), (text.clone(), version));
        assert_eq!(RichCell::version_of(&replica.chain()).unwrap(), version);
        // It can be written on.
        cell.begin(actor_id(&replica.name, &writer_id(0)));
        cell.splice(0, 1, "z").unwrap();
        assert_eq!(cell.finish().unwrap().unwrap().summary.seq, 41);
    };
    same(&replica);
    let snapshot = replica.rows.rows[SNAPSHOT].clone();
    let mut damaged = snapshot.clone();
    *damaged.last_mut().unwrap() ^= 0xff;
    replica.rows.rows.insert(SNAPSHOT.to_vec(), damaged);
    same(&replica);
    replica.rows.rows.remove(SNAPSHOT);
    same(&replica);
    // A snapshot that covers more than there is belongs to something else.
    let mut ahead = Replica::new(FieldKind::Text, 0);
    ahead.commit(|cell| cell.splice(0, 0, "other").unwrap());
    ahead.rows.rows.insert(SNAPSHOT.to_vec(), snapshot);
    assert_eq!(&*ahead.reloaded().text().unwrap(), "other");
}

#[test]
fn a_missing_change_makes_the_cell_unavailable_and_nothing_else() {
    let mut replica = Replica::new(FieldKind::Text, 0);
    (0..3).for_each(|_| drop(replica.commit(|cell| cell.splice(0, 0, "a").unwrap())));
    let first = [&[1][..], &[0; 8]].concat();
    replica.rows.rows.remove(&first).unwrap();
    let error = RichCell::load(FieldKind::Text, &replica.chain()).unwrap_err();
    assert!(matches!(error, RichError::Unavailable { .. }), "{error}");
    let garbage = [0x85, 0x6f, 0x4a, 0x83, 0, 0, 0, 0, 1, 0];
    replica.rows.rows.insert(first, garbage.to_vec());
    let mut cell = RichCell::load(FieldKind::Text, &replica.chain()).unwrap();
    assert!(matches!(cell.text(), Err(RichError::Unavailable { .. })));
    assert!(matches!(cell.splice(0, 0, "x"), Err(RichError::Unavailable { .. })));
}

#[test]
fn a_cell_that_is_too_large_is_kept_but_not_loaded() {
    let mut rows = MemoryRows::default();
    rows::put_state(&mut rows, &State { operations: u64::MAX / 2, changes: 1, ..State::default() }).unwrap();
    let error = RichCell::load(FieldKind::Text, &[Generation { number: 1, rows: &rows }]).unwrap_err();
    assert!(matches!(error, RichError::Unavailable { .. }), "{error}");
}

#[test]
fn edits_out_of_place_are_refused_and_change_nothing() {
    let mut replica = Replica::new(FieldKind::Text, 0);
    replica.commit(|cell| {
        cell.splice(0, 0, "añ🦀").unwrap();
        for (at, delete) in [(4, 0), (0, 4), (3, 1), (usize::MAX, 1), (1, usize::MAX)] {
            assert!(matches!(cell.splice(at, delete, "x"), Err(RichError::Edit { .. })), "{at} {delete}");
        }
        assert!(matches!(cell.json(), Err(RichError::Edit { .. })));
        assert!(matches!(cell.put(&[], &Value::Null), Err(RichError::Edit { .. })));
        assert_eq!(&*cell.text().unwrap(), "añ🦀");
    });
    let mut replica = Replica::new(FieldKind::Json, 0);
    let list = Value::List(vec![Value::Int(1)]);
    let start = Value::Object([("list".to_string(), list)].into());
    let key = Step::Key("list");
    replica.commit(|cell| {
        cell.set_json(&start).unwrap();
        let value = Value::Int(2);
        let beyond: [&[Step<'_>]; 4] =
            [&[key, Step::Index(1)], &[key, Step::Key("k")], &[Step::Index(0)], &[key, Step::Index(0), Step::Key("x")]];
        for path in beyond {
            assert!(matches!(cell.put(path, &value), Err(RichError::Edit { .. })), "{path:?}");
            assert!(matches!(cell.cut(path), Err(RichError::Edit { .. })), "{path:?}");
        }
        assert!(matches!(cell.insert(&[key, Step::Index(2)], &value), Err(RichError::Edit { .. })));
        assert!(matches!(cell.insert(&[key], &value), Err(RichError::Edit { .. })));
        assert!(matches!(cell.cut(&[]), Err(RichError::Edit { .. })));
        assert!(matches!(cell.text(), Err(RichError::Edit { .. })));
        let bad = Value::List(vec![Value::Int(5), Value::Float(f64::NAN)]);
        assert!(matches!(cell.put(&[Step::Key("new")], &bad), Err(RichError::Edit { .. })));
        let mut deep = Value::Null;
        (0..Value::MAX_DEPTH).for_each(|_| deep = Value::List(vec![std::mem::replace(&mut deep, Value::Null)]));
        assert!(matches!(cell.put(&[Step::Key("new")], &deep), Err(RichError::Edit { .. })));
        assert_eq!(cell.json().unwrap(), start);
        cell.put(&[], &deep).unwrap();
    });
}

#[test]
fn a_cell_that_failed_once_stays_unavailable_until_it_is_loaded_again() {
    // With one change the text is shown without automerge, with two it is in use.
    for (commits, text) in [(1, "c"), (2, "cc")] {
        let (mut first, mut second) = (Replica::new(FieldKind::Text, 0), Replica::new(FieldKind::Text, 1));
        first.commit(|cell| cell.splice(0, 0, "a").unwrap()).unwrap();
        let orphan = first.commit(|cell| cell.splice(1, 0, "b").unwrap()).unwrap();
        for _ in 0..commits {
            second.commit(|cell| cell.splice(0, 0, "c").unwrap()).unwrap();
        }
        let state = State { changes: commits + 1, ..rows::state(&second.rows).unwrap() };
        second.cell.apply(1, &orphan.bytes, &state).unwrap();
        for _ in 0..2 {
            assert!(matches!(second.cell.text(), Err(RichError::Unavailable { .. })));
            assert!(matches!(second.cell.splice(0, 0, "x"), Err(RichError::Unavailable { .. })));
            second.cell.rollback();
        }
        assert!(!matches!(second.cell.finish(), Ok(Some(_))));
        assert_eq!(&*second.reloaded().text().unwrap(), text);
    }
}

#[test]
fn more_than_a_change_may_hold_is_refused_before_anything_is_changed() {
    let mut replica = Replica::new(FieldKind::Json, 0);
    let many = Value::List(vec![Value::Null; crate::rich::MAX_JSON_OPERATIONS as usize]);
    let made = replica.commit(|cell| {
        assert!(matches!(cell.set_json(&many), Err(RichError::TooLarge { .. })));
        assert!(matches!(cell.put(&[Step::Key("k")], &many), Err(RichError::TooLarge { .. })));
    });
    assert!(made.is_none());
    let mut replica = Replica::new(FieldKind::Text, 0);
    let long = "x".repeat(crate::rich::MAX_TEXT_OPERATIONS as usize + 1);
    let made = replica.commit(|cell| assert!(matches!(cell.splice(0, 0, &long), Err(RichError::TooLarge { .. }))));
    assert!(made.is_none());
}

#[test]
fn a_transaction_without_effect_makes_no_change_and_a_rollback_undoes() {
    let mut replica = Replica::new(FieldKind::Text, 0);
    assert!(replica.commit(|_| ()).is_none());
    assert!(replica.commit(|cell| cell.set_text("").unwrap()).is_none());
    replica.commit(|cell| cell.set_text("kept").unwrap()).unwrap();
    let version = replica.cell.version();
    replica.cell.splice(0, 4, "gone").unwrap();
    assert_eq!(&*replica.cell.text().unwrap(), "gone");
    replica.cell.rollback();
    assert_eq!((&*replica.cell.text().unwrap(), replica.cell.version()), ("kept", version));
    assert!(replica.commit(|cell| cell.set_text("kept").unwrap()).is_none());
}

/// A document is restored: generation 3 continues generation 1.
#[test]
fn a_chain_of_generations_shows_their_union() {
    let (mut first, mut second) = (Replica::new(FieldKind::Text, 0), Replica::new(FieldKind::Text, 1));
    let one = first.commit(|cell| cell.splice(0, 0, "first").unwrap()).unwrap();
    second.receive(&one).unwrap();
    // Concurrent with the delete and the restore, an edit of the closed generation.
    let late = second.commit(|cell| cell.splice(5, 0, " late").unwrap()).unwrap();

    let third = CellName { generation: 3, ..name(FieldKind::Text) };
    let writer = writer_id(0);
    let mut rows = MemoryRows::default();
    let empty = MemoryRows::default();
    let union = |old: &MemoryRows, new: &MemoryRows| {
        let chain = [Generation { number: 1, rows: old }, Generation { number: 3, rows: new }];
        RichCell::load(FieldKind::Text, &chain).unwrap()
    };
    let mut cell = union(&first.rows, &empty);
    assert_eq!(&*cell.text().unwrap(), "first");
    cell.begin(actor_id(&third, &writer));
    cell.splice(0, 1, "F").unwrap();
    let made = cell.finish().unwrap().unwrap();
    assert_eq!(made.summary.seq, 1, "a generation has its own actors");

    // The change passes where what it builds on is known, and says which generation that is.
    let past = |_: &crate::id::WriterId, _: u64| true;
    let origin = Origin { writer: &writer, past: &past };
    let old = Generation { number: 1, rows: &first.rows };
    let new = Generation { number: 3, rows: &empty };
    assert_eq!(made.summary.reaches, [1]);
    assert_eq!(gate::check(&third, &[old, new], origin, &made.bytes).unwrap(), Ok(made.summary.clone()));
    let alone = gate::check(&third, &[new], origin, &made.bytes).unwrap();
    assert!(matches!(alone, Err(Malformed::UnknownDep(_))), "{alone:?}");
    let none = |_: &crate::id::WriterId, _: u64| false;
    let stranger = writer_id(5);
    let foreign = gate::check(&third, &[old, new], Origin { writer: &stranger, past: &none }, &made.bytes).unwrap();
    assert_eq!(foreign, Err(Malformed::ForeignActor));

    let state = rows::record(&mut rows, &made.summary, &made.bytes, &writer, 9).unwrap();
    assert_eq!((rows::reaches(&rows).unwrap(), rows::reaches(&first.rows).unwrap()), (vec![1], vec![]));
    assert_eq!(cell.version(), union(&first.rows, &rows).version());
    first.receive(&late).unwrap();
    let mut cell = union(&first.rows, &rows);
    assert_eq!(&*cell.text().unwrap(), "First late");
    // A snapshot of the union serves the chain, also after the older generation grew.
    cell.save(&mut rows, &state).unwrap();
    assert_eq!(&*union(&first.rows, &rows).text().unwrap(), "First late");
    first.commit(|cell| cell.splice(10, 0, "r").unwrap()).unwrap();
    assert_eq!(&*union(&first.rows, &rows).text().unwrap(), "First later");
    // The closed generation by itself is as it was.
    assert_eq!(&*first.reloaded().text().unwrap(), "first later");
}

#[test]
fn a_commit_is_checked_and_recorded_on_an_overlay() {
    let (mut first, judge) = (Replica::new(FieldKind::Text, 0), Replica::new(FieldKind::Text, 1));
    let commits: Vec<_> = (0..3).map(|_| first.commit(|cell| cell.splice(0, 0, "a").unwrap()).unwrap()).collect();
    let mut overlay = Overlay::new(&judge.rows);
    let writer = writer_id(0);
    for commit in &commits {
        let past = |_: &crate::id::WriterId, _: u64| false;
        let chain = [Generation { number: 1, rows: &overlay }];
        let origin = Origin { writer: &writer, past: &past };
        let summary = gate::check(&judge.name, &chain, origin, &commit.bytes).unwrap().unwrap();
        rows::record(&mut overlay, &summary, &commit.bytes, &writer, commit.sequence).unwrap();
    }
    let written = overlay.into_rows();
    assert!(judge.rows.rows.is_empty());
    assert_eq!(written, first.rows.rows);
}

#[test]
fn the_cache_keeps_versions_apart_and_its_budget() {
    let mut replica = Replica::new(FieldKind::Text, 0);
    replica.commit(|cell| cell.set_text("one").unwrap()).unwrap();
    let (name, one) = (replica.name.clone(), replica.cell.version());
    let cache = Cache::new(100_000);
    cache.put(name.clone(), Arc::new(replica.cell.clone()));
    let reader = cache.get(&name, one).unwrap();
    // A writer takes the cell while a reader holds it, and goes on.
    let mut cell = cache.take(&name, one).unwrap();
    assert!(cache.get(&name, one).is_none());
    cell.begin(actor_id(&name, &writer_id(0)));
    cell.set_text("two").unwrap();
    cell.finish().unwrap().unwrap();
    let two = cell.version();
    cache.put(name.clone(), Arc::new(cell));
    assert_eq!(&*reader.text().unwrap(), "one");
    assert!(cache.get(&name, one).is_none() && one != two);
    assert_eq!(&*cache.get(&name, two).unwrap().text().unwrap(), "two");

    // The least recently used go first, and the budget holds at every step.
    for at in 0..100 {
        let field = format!("field {at}");
        let cell = RichCell::new(FieldKind::Text, 1);
        cache.put(CellName { field, ..name.clone() }, Arc::new(cell));
        assert!(cache.weight_bytes() <= 100_000);
        assert!(cache.get(&name, two).is_some(), "it is used all the time");
    }
    let newest = CellName { field: "field 99".into(), ..name.clone() };
    let oldest = CellName { field: "field 0".into(), ..name.clone() };
    assert!(cache.get(&newest, Version::default()).is_some());
    assert!(cache.get(&oldest, Version::default()).is_none());
    let nothing = Cache::new(0);
    nothing.put(name.clone(), Arc::new(replica.cell));
    assert!(nothing.get(&name, one).is_none());
}
