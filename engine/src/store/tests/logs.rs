//! Logs: batches, heads, parking, forks, authority.

use std::sync::{Arc, Mutex};

use super::world::{Replica, SPACE, converge, device, table};
use crate::id::SpaceId;
use crate::log::Plane;
use crate::store::{Edit, LogBatch, ReceiveError};
use crate::value::Value;

fn batch(of: &Replica, from: u64) -> LogBatch {
    of.store.read_log(&SPACE, Plane::Data, &of.store.writer(), from, 1 << 20).unwrap().unwrap()
}

#[test]
fn a_commit_waits_for_what_it_depends_on() {
    let (a, b, c) = (Replica::new(1), Replica::new(2), Replica::new(3));
    a.insert("n", &[("x", Value::Int(1))]);
    b.pull(&a);
    b.edit("n", "x", Edit::Set(Value::Int(2)));
    let outcome = c.store.receive(&batch(&b, 0)).unwrap();
    assert_eq!((outcome.stored, outcome.applied, outcome.parked), (1, 0, 1));
    assert!(!c.alive("n"));
    assert_eq!(c.problems(), Vec::<String>::new(), "what waits is counted as it is stored");
    let outcome = c.store.receive(&batch(&a, 0)).unwrap();
    assert_eq!((outcome.applied, outcome.parked), (2, 0));
    assert_eq!(c.field("n", "x"), Some(Value::Int(2)));
    converge(&b, &c);
}

#[test]
fn duplicates_change_nothing_and_gaps_are_refused() {
    let (a, b) = (Replica::new(1), Replica::new(2));
    a.insert("n", &[]);
    a.edit("n", "views", Edit::Increment(1));
    let first = batch(&a, 0);
    assert!(matches!(b.store.receive(&batch(&a, 1)), Err(ReceiveError::Gap { from: 1, held: 0, .. })));
    b.store.receive(&first).unwrap();
    assert_eq!(b.store.receive(&first).unwrap().stored, 0);
    assert_eq!(b.field("n", "views"), Some(Value::Int(1)));
    a.edit("n", "views", Edit::Increment(1));
    assert_eq!(b.store.receive(&batch(&a, 0)).unwrap().stored, 1, "an overlap is skipped");
    converge(&a, &b);
}

/// A batch of which any one bit was changed on its way, in headers, bodies, root or signature, is refused, and nothing
/// of it is stored.
#[test]
fn attack_every_changed_bit_of_a_batch_is_refused() {
    let (a, b) = (Replica::new(1), Replica::new(2));
    a.insert("n", &[("x", Value::Int(1))]);
    let good = batch(&a, 0);
    let entry = &good.entries[0];
    for bit in 0..(entry.header.len() + entry.body.len() + 64 + 32) * 8 {
        let mut bad = good.clone();
        let (mut byte, mask) = (bit / 8, 1 << (bit % 8));
        let changed = &mut bad.entries[0];
        let parts: [&mut [u8]; 4] =
            [&mut changed.header, &mut changed.body, &mut bad.head.signature, bad.head.root.as_mut().unwrap()];
        for part in parts {
            if byte < part.len() {
                part[byte] ^= mask;
                break;
            }
            byte -= part.len();
        }
        assert!(b.store.receive(&bad).is_err(), "bit {bit}");
    }
    assert!(b.store.vector(&SPACE, Plane::Data).unwrap().is_empty());
    b.store.receive(&good).unwrap();
    converge(&a, &b);
}

/// A log that is passed off as one of another space or plane is refused, even where the same devices have the same ranks and
/// keys.
#[test]
fn attack_log_replayed_into_another_space_or_plane_is_refused() {
    let (a, b) = (Replica::new(1), Replica::new(2));
    let other = SpaceId([8; 32]);
    b.store.set_effective(other, table()).unwrap();
    a.insert("n", &[("x", Value::Int(1))]);
    let good = batch(&a, 0);
    for (space, plane) in [(other, Plane::Data), (SPACE, Plane::Control), (other, Plane::Control)] {
        let refused = b.store.receive(&LogBatch { space, plane, ..good.clone() });
        assert!(matches!(refused, Err(ReceiveError::Invalid { .. })), "{refused:?}");
        assert!(b.store.vector(&space, plane).unwrap().is_empty());
    }
    b.store.receive(&good).unwrap();
    converge(&a, &b);
}

/// Who carries a log can't leave out, swap or close up over an entry in the middle: the head is over all that is before it.
#[test]
fn attack_hub_that_drops_the_middle_of_a_log_is_refused() {
    let (a, b) = (Replica::new(1), Replica::new(2));
    a.insert("n", &[("x", Value::Int(1))]);
    for value in [2, 3] {
        a.edit("n", "x", Edit::Set(Value::Int(value)));
    }
    let whole = batch(&a, 0);
    let mut holed = whole.clone();
    holed.entries.remove(1);
    let mut closed_up = holed.clone();
    closed_up.head.length = 2;
    // A session hands in batches without a root: it follows from the entries, and the signature tells.
    let mut rootless = closed_up.clone();
    rootless.head.root = None;
    let mut swapped = whole.clone();
    swapped.entries.swap(1, 2);
    let named = b.store.receive(&swapped);
    assert!(matches!(named, Err(ReceiveError::Inconsistent { held: 0, .. })), "{named:?}");
    swapped.head.root = None;
    for bad in [holed, closed_up, rootless, swapped] {
        let refused = b.store.receive(&bad);
        assert!(matches!(refused, Err(ReceiveError::Invalid { .. })), "{refused:?}");
    }
    assert!(matches!(b.store.receive(&batch(&a, 2)), Err(ReceiveError::Gap { from: 2, held: 0, .. })));
    assert!(b.store.vector(&SPACE, Plane::Data).unwrap().is_empty());
    b.store.receive(&whole).unwrap();
    converge(&a, &b);
}

/// Who carries logs can withhold the end of one: what is shown is old, and the next commit by anybody who saw the rest waits
/// and says so.
#[test]
fn attack_hub_that_withholds_the_tail_shows_at_the_next_commit() {
    let (a, c, d) = (Replica::new(1), Replica::new(3), Replica::new(4));
    a.insert("n", &[("x", Value::Int(1))]);
    d.store.receive(&batch(&a, 0)).unwrap();
    a.edit("n", "x", Edit::Set(Value::Int(2)));
    c.pull(&a);
    c.edit("n", "x", Edit::Set(Value::Int(3)));
    let outcome = d.store.receive(&batch(&c, 0)).unwrap();
    assert_eq!((outcome.applied, outcome.parked), (0, 1));
    assert_eq!(d.store.snapshot().unwrap().report(&SPACE).unwrap().parked, 1);
    assert_eq!(d.field("n", "x"), Some(Value::Int(1)), "an old state, and not a mixture");
    d.pull(&a);
    assert_eq!(d.field("n", "x"), Some(Value::Int(3)));
    converge(&c, &d);
}

/// A second history of one log is told as a fork: it never takes the place of what is held.
#[test]
fn attack_another_history_of_one_length_is_a_fork() {
    let (a, twin, b) = (Replica::new(1), Replica::new(1), Replica::new(2));
    assert_eq!(a.store.writer(), twin.store.writer(), "one seed draws one incarnation");
    a.insert("n", &[("x", Value::Int(1))]);
    twin.insert("n", &[("x", Value::Int(2))]);
    b.pull(&a);
    assert!(matches!(b.store.receive(&batch(&twin, 0)), Err(ReceiveError::Fork { length: 1, .. })));
    assert_eq!(b.field("n", "x"), Some(Value::Int(1)));
}

/// A device that tells each of three partitions another story is found out when they meet: each keeps what it has, is told of
/// the fork, and goes on with other logs.
#[test]
fn attack_equivocation_over_three_partitions_is_told_in_each() {
    let partitions = [2, 3, 4].map(|seed| (Replica::new(1), Replica::new(seed)));
    for ((liar, honest), value) in partitions.iter().zip(1..) {
        liar.insert("n", &[("x", Value::Int(value))]);
        honest.pull(liar);
    }
    for (_, honest) in &partitions {
        for (liar, other) in &partitions {
            if std::ptr::eq(honest, other) {
                continue;
            }
            let refused = honest.store.receive(&batch(liar, 0));
            assert!(matches!(refused, Err(ReceiveError::Fork { length: 1, .. })), "{refused:?}");
        }
    }
    let newcomer = Replica::new(5);
    newcomer.insert("m", &[("x", Value::Int(9))]);
    for ((_, honest), value) in partitions.iter().zip(1..) {
        honest.pull(&newcomer);
        assert_eq!(honest.field("n", "x"), Some(Value::Int(value)), "the branch that it has stays");
        assert_eq!(honest.field("m", "x"), Some(Value::Int(9)));
        assert_eq!(honest.problems(), Vec::<String>::new());
    }
}

/// A longer second history of one log is told as a fork too: a proof shows that it did not grow from what is held.
#[test]
fn attack_longer_fork_is_proved_by_the_prefix_it_grew_from() {
    let (a, twin, b) = (Replica::new(1), Replica::new(1), Replica::new(2));
    a.insert("n", &[("x", Value::Int(1))]);
    twin.insert("n", &[("x", Value::Int(2))]);
    twin.edit("n", "x", Edit::Set(Value::Int(3)));
    b.pull(&a);
    let writer = a.store.writer();
    let Err(ReceiveError::Inconsistent { held: 1, .. }) = b.store.receive(&batch(&twin, 1)) else { panic!() };
    let head = twin.store.prefix_at(&SPACE, Plane::Data, &writer, 2).unwrap().unwrap();
    let proof = twin.store.prefix_proof(&SPACE, Plane::Data, &writer, 1, 2).unwrap().unwrap();
    let theirs = twin.store.prefix_at(&SPACE, Plane::Data, &writer, 1).unwrap().unwrap();
    let ours = b.store.prefix_at(&SPACE, Plane::Data, &writer, 1).unwrap().unwrap();
    assert!(crate::log::tree::verify_consistency(&theirs, &head, &proof));
    assert!(!crate::log::tree::verify_consistency(&ours, &head, &proof));
}

#[test]
fn a_root_that_is_left_out_follows_from_what_is_held() {
    let (a, b) = (Replica::new(1), Replica::new(2));
    a.insert("n", &[("x", Value::Int(1))]);
    b.pull(&a);
    a.edit("n", "x", Edit::Set(Value::Int(2)));
    a.edit("n", "x", Edit::Set(Value::Int(3)));
    let without_root = |from| {
        let mut batch = batch(&a, from);
        batch.head.root = None;
        batch
    };
    let mut wrong = without_root(1);
    wrong.head.signature[0] ^= 1;
    assert!(matches!(b.store.receive(&wrong), Err(ReceiveError::Invalid { .. })));
    let mut shifted = without_root(2);
    (shifted.from, shifted.head.length) = (1, 2);
    assert!(matches!(b.store.receive(&shifted), Err(ReceiveError::Invalid { .. })), "another place, another root");
    assert!(matches!(b.store.receive(&without_root(2)), Err(ReceiveError::Gap { held: 1, .. })));
    assert_eq!(b.store.receive(&without_root(0)).unwrap().stored, 2, "an overlap is skipped");
    assert_eq!(b.store.receive(&without_root(1)).unwrap().stored, 0);
    converge(&a, &b);
}

/// Nobody makes another's log look forked: only what its writer signed counts as a fork.
#[test]
fn attack_fork_without_a_root_is_told_from_a_lie_by_the_signature() {
    let (a, twin, b) = (Replica::new(1), Replica::new(1), Replica::new(2));
    a.insert("n", &[("x", Value::Int(1))]);
    twin.insert("n", &[("x", Value::Int(2))]);
    b.pull(&a);
    let mut other = batch(&twin, 0);
    other.head.root = None;
    assert!(matches!(b.store.receive(&other), Err(ReceiveError::Fork { length: 1, .. })));
    other.head.signature[0] ^= 1;
    assert!(matches!(b.store.receive(&other), Err(ReceiveError::Invalid { .. })));
    twin.edit("n", "x", Edit::Set(Value::Int(3)));
    let mut longer = batch(&twin, 0);
    longer.head.root = None;
    assert!(matches!(b.store.receive(&longer), Err(ReceiveError::Inconsistent { held: 1, .. })));
}

#[test]
fn batches_that_come_together_share_one_storage_transaction_but_not_their_faults() {
    let (a, b, c) = (Replica::new(1), Replica::new(2), Replica::new(3));
    a.insert("n", &[("x", Value::Int(1))]);
    let first = batch(&a, 0);
    a.edit("n", "x", Edit::Set(Value::Int(2)));
    let second = batch(&a, 1);
    b.insert("m", &[]);
    let mut bad = batch(&b, 0);
    bad.entries[0].body[0] ^= 1;
    let commits = Arc::new(Mutex::new(Vec::new()));
    let heard = commits.clone();
    let _guard = c.store.on_change(Arc::new(move |change| heard.lock().unwrap().push(change.number)));
    let outcomes = c.store.receive_all(&[first.clone(), bad, second, first]).unwrap();
    let stored: Vec<_> = outcomes.iter().map(|outcome| outcome.as_ref().ok().map(|outcome| outcome.stored)).collect();
    assert_eq!(stored, [Some(1), None, Some(1), Some(0)]);
    assert!(matches!(outcomes[1], Err(ReceiveError::Invalid { .. })));
    assert_eq!(commits.lock().unwrap().len(), 1);
    assert_eq!(c.field("n", "x"), Some(Value::Int(2)));
    assert!(!c.alive("m"));
    c.pull(&b);
    a.pull(&b);
    converge(&a, &c);
}

/// What a device without authority writes is void, wherever it comes from; it counts once its authority is known.
#[test]
fn attack_commits_without_authority_are_void_until_it_arrives() {
    let (a, stranger) = (Replica::new(1), Replica::new(2));
    let mut without = table();
    without.devices.remove(&device(2));
    a.store.set_effective(SPACE, without).unwrap();
    stranger.insert("n", &[("x", Value::Int(1))]);
    a.pull(&stranger);
    assert!(!a.alive("n"));
    assert_eq!(a.store.snapshot().unwrap().report(&SPACE).unwrap().void, 1);
    a.store.set_effective(SPACE, table()).unwrap();
    assert_eq!(a.field("n", "x"), Some(Value::Int(1)));
    converge(&a, &stranger);
}

#[test]
fn a_cut_takes_back_what_lies_beyond_it() {
    let (a, b) = (Replica::new(1), Replica::new(2));
    b.insert("n", &[("x", Value::Int(1))]);
    b.edit("n", "x", Edit::Set(Value::Int(2)));
    a.pull(&b);
    assert_eq!(a.field("n", "x"), Some(Value::Int(2)));
    let mut cut = table();
    let authority = cut.devices.get_mut(&device(2)).unwrap();
    let root = a.store.prefix_at(&SPACE, Plane::Data, &b.store.writer(), 1).unwrap().unwrap().root;
    authority.cuts.insert(b.store.writer().incarnation, crate::space::Cut { length: 1, root });
    authority.closed = true;
    a.store.set_effective(SPACE, cut).unwrap();
    assert_eq!(a.field("n", "x"), Some(Value::Int(1)));
    assert_eq!(a.problems(), Vec::<String>::new());
}

#[test]
fn a_commit_does_not_wait_for_what_lies_beyond_a_cut() {
    let (a, b, c) = (Replica::new(1), Replica::new(2), Replica::new(3));
    b.insert("n", &[("x", Value::Int(1))]);
    a.pull(&b);
    a.insert("m", &[("x", Value::Int(2))]);
    // Device 2 is removed by someone who held nothing of it, so its log counts for nothing and goes to nobody.
    let mut cut = table();
    cut.devices.get_mut(&device(2)).unwrap().closed = true;
    [&a, &c].iter().for_each(|replica| replica.store.set_effective(SPACE, cut.clone()).unwrap());
    let outcome = c.store.receive(&batch(&a, 0)).unwrap();
    assert_eq!((outcome.applied, outcome.parked), (1, 0));
    assert_eq!(c.field("m", "x"), Some(Value::Int(2)));
    assert_eq!(c.digest(), a.digest());

    // When the removal turns out to be void, what was written before counts before.
    c.store.set_effective(SPACE, table()).unwrap();
    assert!(!c.alive("m"), "it waits again");
    a.store.set_effective(SPACE, table()).unwrap();
    converge(&a, &c);
    assert_eq!(c.field("n", "x"), Some(Value::Int(1)));
}

/// Commits of two removed writers that build on each other, and on nothing else, count for nothing; an honest commit that saw
/// them counts, and waits for none of them.
#[test]
fn attack_void_entries_of_two_colluders_that_build_on_each_other_count_for_nothing() {
    let (a, b, c, late) = (Replica::new(1), Replica::new(2), Replica::new(3), Replica::new(4));
    b.insert("plot", &[("x", Value::Int(1))]);
    c.pull(&b);
    c.edit("plot", "x", Edit::Set(Value::Int(2)));
    b.pull(&c);
    b.edit("plot", "x", Edit::Set(Value::Int(3)));
    a.pull(&b);
    assert_eq!(a.field("plot", "x"), Some(Value::Int(3)));
    a.insert("honest", &[("x", Value::Int(4))]);
    let mut cut = table();
    [2, 3].iter().for_each(|seed| cut.devices.get_mut(&device(*seed)).unwrap().closed = true);
    [&a, &late].iter().for_each(|replica| replica.store.set_effective(SPACE, cut.clone()).unwrap());
    let outcome = late.store.receive(&batch(&a, 0)).unwrap();
    assert_eq!((outcome.applied, outcome.parked), (1, 0));
    for replica in [&a, &late] {
        assert!(!replica.alive("plot"));
        assert_eq!(replica.field("honest", "x"), Some(Value::Int(4)));
        assert_eq!(replica.problems(), Vec::<String>::new());
    }
    assert_eq!(a.digest(), late.digest());
}

/// A clock at the end of time, or before its beginning, wins nothing for good: whoever saw the value writes over it, and all
/// agree.
#[test]
fn attack_clock_of_year_9999_loses_to_whoever_saw_its_writes() {
    const END_OF_9999_MS: i64 = 253_402_300_799_999;
    let (a, b) = (Replica::new(1), Replica::new(2));
    for (number, now_ms) in [END_OF_9999_MS, i64::MAX, i64::MIN].into_iter().enumerate() {
        let id = format!("n{number}");
        b.host.now_ms.store(now_ms, std::sync::atomic::Ordering::Relaxed);
        b.insert(&id, &[("x", Value::Int(1))]);
        a.pull(&b);
        a.edit(&id, "x", Edit::Set(Value::Int(2)));
        converge(&a, &b);
        for replica in [&a, &b] {
            assert_eq!(replica.field(&id, "x"), Some(Value::Int(2)), "{now_ms}");
        }
    }
}

#[test]
fn without_the_key_commits_are_held_but_not_opened() {
    let (a, relay) = (Replica::new(1), Replica::new(2));
    let mut keyless = table();
    keyless.epochs.clear();
    keyless.write_epoch = None;
    relay.store.set_effective(SPACE, keyless).unwrap();
    a.insert("n", &[("x", Value::Int(1))]);
    relay.pull(&a);
    assert!(!relay.alive("n"));
    assert_eq!(relay.store.vector(&SPACE, Plane::Data).unwrap(), a.store.vector(&SPACE, Plane::Data).unwrap());
    let third = Replica::new(3);
    third.pull(&relay);
    assert_eq!(third.field("n", "x"), Some(Value::Int(1)));
    relay.store.set_effective(SPACE, table()).unwrap();
    converge(&a, &relay);
}

#[test]
fn a_large_transaction_is_one_commit_over_many_entries() {
    let (a, b) = (Replica::new(1), Replica::new(2));
    let noise = |seed: u64| {
        let mut out = vec![0; 100_000];
        blake3::Hasher::new().update(&seed.to_be_bytes()).finalize_xof().fill(&mut out);
        Value::Bytes(out)
    };
    a.write(|tx| {
        for number in 0..30 {
            let fields = [("data".to_owned(), noise(number))].into();
            tx.insert("notes", Some(&format!("n{number}")), fields)?;
        }
        Ok(())
    })
    .unwrap();
    let first = batch(&a, 0);
    assert!(first.entries.len() < a.store.vector(&SPACE, Plane::Data).unwrap().length(&a.store.writer()) as usize);
    b.store.receive(&first).unwrap();
    assert!(!b.alive("n0"), "half of a commit shows nothing");
    b.pull(&a);
    assert_eq!(b.field("n29", "data"), Some(noise(29)));
    converge(&a, &b);
}
