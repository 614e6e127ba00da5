//! Forks: logs of which there are several histories.

use super::world::{Replica, SPACE, device, table};
use crate::id::WriterId;
use crate::log::{Branch, Fork, Plane, Prefix};
use crate::space::EffectiveTable;
use crate::store::{Edit, Location, ReceiveError, VoidReason};
use crate::value::Value;

/// A device and its twin, which share two commits; and one replica on each side that has heard the one, or the other.
struct Story {
    writer: WriterId,
    first: Replica,
    twin: Replica,
    left: Replica,
    right: Replica,
}

fn story() -> Story {
    let (first, twin) = (Replica::new(1), Replica::new(1));
    for one in [&first, &twin] {
        one.insert("n", &[("x", Value::Int(1))]);
        one.edit("n", "x", Edit::Set(Value::Int(2)));
    }
    first.edit("n", "x", Edit::Set(Value::Int(10)));
    for value in [20, 21] {
        twin.edit("n", "x", Edit::Set(Value::Int(value)));
    }
    let (left, right) = (Replica::new(2), Replica::new(3));
    left.pull(&first);
    right.pull(&twin);
    Story { writer: first.store.writer(), first, twin, left, right }
}

fn shared(story: &Story) -> Prefix {
    story.left.store.prefix_at(&SPACE, Plane::Data, &story.writer, 2).unwrap().unwrap()
}

fn branch(of: &Replica, story: &Story, shared: &Prefix) -> Option<Branch> {
    of.store.branch(&SPACE, Plane::Data, &story.writer, shared).unwrap()
}

fn with_fork(story: &Story, plane: Plane) -> EffectiveTable {
    EffectiveTable { forks: [((plane, story.writer), shared(story))].into(), ..table() }
}

#[test]
fn two_replicas_prove_a_fork_to_each_other_and_to_nobody_elses_disadvantage() {
    let story = story();
    let shared = shared(&story);
    let (one, two) = (branch(&story.left, &story, &shared).unwrap(), branch(&story.right, &story, &shared).unwrap());
    assert_eq!(one.head.length, 3, "the first head beyond is enough");
    assert!(Fork::new(Plane::Data, story.writer, shared, [one.clone(), two]).verify(&SPACE));
    let same = branch(&story.first, &story, &shared).unwrap();
    assert!(!Fork::new(Plane::Data, story.writer, shared, [one, same]).verify(&SPACE));
    for other in [Prefix { root: [0; 32], ..shared }, Prefix { length: 3, ..shared }, Prefix { length: 9, ..shared }] {
        assert_eq!(branch(&story.left, &story, &other), None, "{other:?}");
    }
}

/// Whichever history a replica heard first, and whatever was written in knowledge of it: once the fork is known all agree, and
/// what honest writers said stands.
#[test]
fn attack_equivocation_ends_in_one_state_whichever_branch_came_first() {
    let story = story();
    story.left.edit("n", "left", Edit::Set(Value::Int(1)));
    story.right.edit("n", "right", Edit::Set(Value::Int(1)));
    let newcomer = Replica::new(4);
    for replica in [&story.left, &story.right, &newcomer] {
        replica.store.set_effective(SPACE, with_fork(&story, Plane::Data)).unwrap();
    }
    let own = |of: &Replica, to: &Replica| {
        let writer = of.store.writer();
        let batch = of.store.read_log(&SPACE, Plane::Data, &writer, 0, 1 << 20).unwrap().unwrap();
        to.store.receive(&batch).unwrap()
    };
    own(&story.left, &story.right);
    own(&story.right, &story.left);
    assert_eq!(story.left.digest(), story.right.digest());
    assert_eq!(story.left.field("n", "x"), Some(Value::Int(2)), "what both histories have counts");
    for replica in [&story.left, &story.right] {
        assert_eq!(replica.field("n", "left"), Some(Value::Int(1)));
        assert_eq!(replica.field("n", "right"), Some(Value::Int(1)));
        assert_eq!(replica.problems(), Vec::<String>::new());
        let voids = replica.store.snapshot().unwrap().void_commits(&SPACE, None, 10).unwrap();
        assert!(voids.iter().all(|void| void.reason == VoidReason::Fork && void.place.writer == story.writer));
        assert!(!voids.is_empty());
    }
    // Who has nothing of the log takes the shared part, from whoever has it, and what was written in knowledge of either branch.
    assert_eq!(own(&story.left, &newcomer).parked, 1, "the shared part is waited for");
    newcomer.pull(&story.left);
    own(&story.right, &newcomer);
    assert_eq!(newcomer.digest(), story.left.digest());
    // A branch that goes on is not taken any more.
    story.twin.edit("n", "x", Edit::Set(Value::Int(22)));
    for replica in [&story.left, &story.right, &newcomer] {
        let more = story.twin.store.read_log(&SPACE, Plane::Data, &story.writer, 2, 1 << 20).unwrap().unwrap();
        assert!(matches!(replica.store.receive(&more), Err(ReceiveError::Fork { .. })));
    }
}

/// A fork that comes to light late takes what was applied already.
#[test]
fn attack_fork_that_comes_to_light_late_takes_what_counted() {
    let story = story();
    assert_eq!(story.left.field("n", "x"), Some(Value::Int(10)));
    story.left.edit("n", "y", Edit::Set(Value::Int(5)));
    story.left.store.set_effective(SPACE, with_fork(&story, Plane::Data)).unwrap();
    assert_eq!(story.left.field("n", "x"), Some(Value::Int(2)));
    assert_eq!(story.left.field("n", "y"), Some(Value::Int(5)));
    assert_eq!(story.left.problems(), Vec::<String>::new());
}

/// The same in the control plane: what was said in knowledge of either history stands, and is waited for nowhere.
#[test]
fn attack_forked_control_log_counts_up_to_the_fork_and_holds_nobody_up() {
    let (first, twin) = (Replica::new(1), Replica::new(1));
    let say = |replica: &Replica, body: &[u8]| replica.store.append_control(&SPACE, body).unwrap();
    for one in [&first, &twin] {
        say(one, b"shared");
    }
    for body in [b"a1", b"a2", b"a3"] {
        say(&first, body);
    }
    say(&twin, b"b1");
    let (left, right) = (Replica::new(2), Replica::new(3));
    left.pull(&first);
    right.pull(&twin);
    say(&left, b"left");
    let writer = first.store.writer();
    let shared = left.store.prefix_at(&SPACE, Plane::Control, &writer, 1).unwrap().unwrap();
    let forks = EffectiveTable { forks: [((Plane::Control, writer), shared)].into(), ..table() };
    let own = left.store.read_log(&SPACE, Plane::Control, &left.store.writer(), 0, 1 << 20).unwrap().unwrap();
    assert_eq!(right.store.receive(&own).unwrap().parked, 1, "it waits for a branch that is not here");
    let mut looked = std::collections::BTreeMap::new();
    assert_eq!(right.store.waiting_control(&SPACE, &mut looked).unwrap(), [b"left".to_vec()], "and can be looked into");
    assert_eq!(right.store.waiting_control(&SPACE, &mut looked).unwrap(), Vec::<Vec<u8>>::new(), "once");
    for replica in [&left, &right] {
        replica.store.set_effective(SPACE, forks.clone()).unwrap();
        let commits = replica.store.control_commits(&SPACE).unwrap();
        let bodies: Vec<&[u8]> = commits.iter().map(|commit| &commit.body[..]).collect();
        assert_eq!(bodies, [&b"shared"[..], b"left"]);
        assert_eq!(commits[1].past.get(&writer), Some(&shared), "nobody counts what lies beyond");
        assert_eq!(replica.problems(), Vec::<String>::new());
    }
    assert_eq!(left.digest(), right.digest());
}

/// The device whose log it is writes no more to it: not where it says so, and not after opening again, which begins another.
#[test]
fn attack_forked_device_goes_on_with_a_new_log() {
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        let path = folder.path().join("a.tide");
        Replica::at(1, Location::File(path), Some(folder.path())).unwrap()
    };
    let first = open();
    first.insert("n", &[("x", Value::Int(1))]);
    let writer = first.store.writer();
    let shared = first.store.prefix_at(&SPACE, Plane::Data, &writer, 0).unwrap().unwrap();
    let forks = EffectiveTable { forks: [((Plane::Data, writer), shared)].into(), ..table() };
    first.store.set_effective(SPACE, forks.clone()).unwrap();
    assert!(!first.alive("n"));
    let refused = first.write(|tx| tx.insert("notes", Some("m"), Default::default()).map(|_| ()));
    let why = format!("{:?}", refused.unwrap_err());
    assert!(why.contains("open the database again"), "{why}");
    drop(first);
    let again = open();
    assert_ne!(again.store.writer(), writer);
    again.store.set_effective(SPACE, forks.clone()).unwrap();
    again.insert("m", &[]);
    assert!(again.alive("m"));
    let other = Replica::new(2);
    other.store.set_effective(SPACE, forks).unwrap();
    let new = again.store.read_log(&SPACE, Plane::Data, &again.store.writer(), 0, 1 << 20).unwrap().unwrap();
    other.store.receive(&new).unwrap();
    assert!(other.alive("m"));
    assert_eq!(other.digest(), again.digest());
    assert_eq!(again.store.writer().device, device(1));
}
