//! Logs of which there are several histories: found out, proved, and passed on.

use tidewater_engine::id::SpaceId;
use tidewater_engine::log::{EMPTY_ROOT, Fork, Plane, Prefix};
use tidewater_engine::space::Rank;

use crate::audit::AuditAction;
use crate::codec::Codec;
use crate::session::exchange::Exchange;
use crate::session::limits::MAX_BRANCHES_FRAMES;
use crate::session::message::{Branches, BranchesSay, Message};
use crate::session::numbers::LogName;
use crate::session::pair::{Pair, Replica, assert_equal, link, linked};
use crate::session::{Input, SessionError, SessionEvent};

fn is_forked(events: &[SessionEvent]) -> bool {
    events.iter().any(|event| matches!(event, SessionEvent::Forked { .. }))
}

/// A person's device and its clone, and the person's other devices, all of which hold the same.
fn cloned<const OTHERS: usize>(seed: u64) -> (Replica, Replica, [Replica; OTHERS]) {
    let world = || {
        let first = Replica::person(seed, "Ada");
        let others = std::array::from_fn(|number| Replica::blank(seed + 1 + number as u64));
        others.iter().for_each(|other| link(other, &first));
        others.iter().for_each(|other| Pair::new(&first, other).drive());
        (first, others)
    };
    // Two worlds of the same seeds are equal bit for bit.
    let ((first, others), (clone, _)) = (world(), world());
    assert_eq!(first.writer(), clone.writer());
    (first, clone, others)
}

fn sync(one: &Replica, other: &Replica) {
    let mut pair = Pair::new(one, other);
    pair.drive();
    assert_eq!((&pair.dialer.closed, &pair.acceptor.closed), (&None, &None));
}

fn forks_told(of: &Replica, space: &SpaceId) -> Vec<(Plane, u64)> {
    let trail = of.audit(space, None, usize::MAX).unwrap();
    let forks = trail.into_iter().filter_map(|entry| match entry.action {
        Some(AuditAction::Fork { plane, length, .. }) => Some((plane, length)),
        _ => None,
    });
    forks.collect()
}

#[test]
fn a_fork_shows_in_the_vectors_whichever_branch_is_longer() {
    for (more_of_original, more_of_clone) in [(3, 0), (0, 3)] {
        let world = || {
            let (first, second) = linked(130);
            Pair::new(&first, &second).drive();
            (first, second)
        };
        let ((first, second), (clone, _)) = (world(), world());
        let home = first.home_space();
        for (device, more, text) in [(&first, more_of_original, "original"), (&clone, more_of_clone, "clone")] {
            for number in 0..=more {
                device.write(home, &format!("{number}"), text);
            }
        }
        Pair::new(&first, &second).drive();
        let mut pair = Pair::new(&clone, &second);
        pair.drive();
        assert_eq!((&pair.dialer.closed, &pair.acceptor.closed), (&None, &None));
        let forked = |events: &[SessionEvent]| events.iter().any(|event| matches!(event, SessionEvent::Forked { .. }));
        assert!(forked(&pair.acceptor.events) || forked(&pair.dialer.events));
        assert_eq!(second.read(home, "0"), None, "neither of the two counts");
        assert_equal(home, &[&clone, &second]);
    }
}

/// Both sides are honest: each holds another branch of a third one's log, and they find out while one is on its way.
#[test]
fn a_branch_that_outgrows_the_peers_is_a_fork_and_not_the_peers_fault() {
    let world = || {
        let (first, second) = linked(140);
        let third = Replica::blank(142);
        link(&third, &first);
        Pair::new(&first, &second).drive();
        (first, second, third)
    };
    let ((first, second, third), (clone, _, _)) = (world(), world());
    assert_eq!(first.writer(), clone.writer());
    for (device, count, text) in [(&first, 3, "original"), (&clone, 5, "clone")] {
        (0..count).for_each(|number| device.write(device.home_space(), &format!("{number}"), text));
    }
    Pair::new(&first, &third).drive();
    let mut pair = Pair::new(&second, &third);
    let mut late = Vec::new();
    loop {
        let (from_dialer, from_acceptor) = (pair.dialer.poll(), pair.acceptor.poll());
        if from_dialer.is_empty() && from_acceptor.is_empty() {
            break;
        }
        from_dialer.into_iter().for_each(|frame| pair.acceptor.handle(Input::Frame(frame)));
        for frame in from_acceptor {
            // Batches are late, what is said of the third's vector is not.
            if frame[0] == 8 { late.push(frame) } else { pair.dialer.handle(Input::Frame(frame)) }
        }
    }
    assert!(!late.is_empty());
    Pair::new(&clone, &second).drive();
    assert_eq!(second.read(first.home_space(), "4").as_deref(), Some("clone"));
    pair.dialer.handle(Input::StoreChanged);
    let unasked = pair.dialer.poll();
    unasked.into_iter().for_each(|frame| pair.acceptor.handle(Input::Frame(frame)));
    late.into_iter().for_each(|frame| pair.dialer.handle(Input::Frame(frame)));
    pair.drive();
    assert_eq!((&pair.dialer.closed, &pair.acceptor.closed), (&None, &None));
    assert!(pair.dialer.events.iter().any(|event| matches!(event, SessionEvent::Forked { .. })));
    pair.tick();
    assert_equal(first.home_space(), &[&second, &third]);
    assert!(pair.dialer.in_sync().contains(&first.home_space()));
}

/// Two hold the same of a forked log, and pass on what a third wrote in knowledge of the other branch.
#[test]
fn what_was_written_in_knowledge_of_another_branch_is_passed_on_whole() {
    let world = || {
        let (first, second) = linked(150);
        let (third, fourth) = (Replica::blank(152), Replica::blank(153));
        link(&third, &first);
        link(&fourth, &first);
        for other in [&second, &third, &fourth] {
            Pair::new(&first, other).drive();
        }
        (first, second, third, fourth)
    };
    let ((first, second, third, fourth), (clone, ..)) = (world(), world());
    assert_eq!(first.writer(), clone.writer());
    let home = first.home_space();
    first.write(home, "x", "by the original");
    clone.write(home, "x", "by the clone");
    Pair::new(&first, &second).drive();
    Pair::new(&first, &fourth).drive();
    Pair::new(&clone, &third).drive();
    third.write(home, "y", "after the clone");
    let mut passing_on = Pair::new(&second, &fourth);
    passing_on.drive();
    Pair::new(&third, &second).drive();
    passing_on.drive();
    assert_eq!((&passing_on.dialer.closed, &passing_on.acceptor.closed), (&None, &None));
    let length = |of: &Replica| of.vector(&home, Plane::Data).unwrap().length(&third.writer());
    assert_eq!((length(&second), length(&fourth)), (1, 1));
}

/// Two machines with one device's state, randomness included, show as a fork of one log; all others go on.
#[test]
fn attack_clone_of_a_device_shows_as_a_fork_and_stops_that_log_only() {
    // Two worlds of the same seeds are equal bit for bit: the second one's first device is a clone.
    let world = || {
        let (first, second) = linked(120);
        let other = first.new_space("other").unwrap();
        Pair::new(&first, &second).drive();
        (first, second, other)
    };
    let ((first, second, other), (clone, _, _)) = (world(), world());
    assert_eq!(first.writer(), clone.writer());
    let home = first.home_space();
    first.write(home, "x", "by the original");
    clone.write(home, "x", "by the clone");
    Pair::new(&first, &second).drive();
    let mut pair = Pair::new(&clone, &second);
    second.write(other, "y", "still goes through");
    pair.drive();
    let forked = |events: &[SessionEvent]| events.iter().any(|event| matches!(event, SessionEvent::Forked { .. }));
    assert!(forked(&pair.acceptor.events) && forked(&pair.dialer.events), "{:?}", pair.acceptor.events);
    assert_eq!(second.read(home, "x"), None, "neither of the two counts");
    assert_eq!(clone.read(other, "y").as_deref(), Some("still goes through"));
    assert_eq!(second.status().peers[&clone.device()].spaces[&home].forked_logs, 0, "it is proved, and settled");
    assert!(pair.acceptor.in_sync().contains(&home));
    assert_equal(home, &[&clone, &second]);
    // Neither of the two writes to that log any more.
    let refused = clone.try_write(home, &[("z".to_owned(), "more".to_owned())]);
    assert!(format!("{refused:?}").contains("open the database again"), "{refused:?}");
    assert_eq!((pair.dialer.closed, pair.acceptor.closed), (None, None));
}

/// A device tells each of three partitions another story. When they meet, in whatever order, all come to hold the same: what all
/// stories begin with, and what honest devices wrote, also in knowledge of one of them.
#[test]
fn attack_equivocation_over_three_partitions_ends_in_one_state() {
    for order in [[(0, 1), (1, 2), (0, 2), (0, 1)], [(2, 1), (0, 2), (1, 0), (1, 2)]] {
        let (first, clone, partitions) = cloned::<3>(200);
        let (third, _, _) = cloned::<3>(200);
        let home = first.home_space();
        for liar in [&first, &clone, &third] {
            liar.write(home, "a", "everybody hears this");
        }
        for (number, (liar, honest)) in [&first, &clone, &third].into_iter().zip(&partitions).enumerate() {
            (0..=number).for_each(|_| liar.write(home, "b", &format!("story {number}")));
            sync(liar, honest);
            assert_eq!(honest.read(home, "b"), Some(format!("story {number}")));
            honest.write(home, &format!("honest {number}"), "in knowledge of it");
        }
        for (one, other) in order {
            sync(&partitions[one], &partitions[other]);
        }
        sync(&partitions[0], &partitions[2]);
        assert_equal(home, &[&partitions[0], &partitions[1], &partitions[2]]);
        for honest in &partitions {
            assert_eq!(honest.read(home, "a").as_deref(), Some("everybody hears this"));
            assert_eq!(honest.read(home, "b"), None);
            for number in 0..3 {
                assert!(honest.read(home, &format!("honest {number}")).is_some());
            }
        }
    }
}

/// The same in the control plane: what was said there in either story counts for nothing, what others said in knowledge of it
/// does; and it comes to who holds the other story by somebody who holds neither.
#[test]
fn attack_forked_control_log_ends_in_one_membership_through_a_third() {
    let (first, clone, [left, right, middle]) = cloned::<3>(210);
    let home = first.home_space();
    let (ben, eve) = (Replica::person(290, "Ben"), Replica::person(291, "Eve"));
    let card = |of: &Replica| of.card().unwrap();
    first.grant(&home, &card(&ben), Rank::Writer).unwrap();
    // The longer branch is in the past of what the left one says: it waits at the others for what never comes.
    (0..3).for_each(|number| first.rename_space(&home, &format!("{number}")).unwrap());
    clone.grant(&home, &card(&eve), Rank::Admin).unwrap();
    sync(&first, &left);
    sync(&clone, &right);
    left.rename_space(&home, "ours").unwrap();
    right.rotate(&home).unwrap();
    // One of the two meets the other clone, and who has neither story brings the proof to the other.
    sync(&left, &clone);
    sync(&left, &middle);
    sync(&middle, &right);
    sync(&middle, &left);
    assert_equal(home, &[&left, &right, &middle]);
    for replica in [&left, &right, &middle] {
        let members = replica.members(&home).unwrap();
        assert_eq!(members.iter().map(|member| member.name.as_str()).collect::<Vec<_>>(), ["Ada"]);
        assert_eq!(replica.spaces_info().unwrap()[0].label, "ours");
        assert_eq!(forks_told(replica, &home).first().map(|(plane, _)| *plane), Some(Plane::Control));
        assert_eq!(replica.space_state(&home).unwrap().table.forks.len(), 1);
    }
    let counting = |of: &Replica| {
        let trail = of.audit(&home, None, usize::MAX).unwrap().into_iter();
        trail.filter(|entry| entry.why.is_none()).map(|entry| entry.place).collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(counting(&left), counting(&right), "the trails tell the same of what counts");
}

/// A branch that was kept hidden for months, behind thousands of entries, is found out, and where it parts to the entry.
#[test]
fn attack_late_fork_is_found_to_the_entry() {
    let (first, clone, [second, third]) = cloned::<2>(220);
    let home = first.home_space();
    for number in 0..700 {
        first.write(home, "n", &format!("{number}"));
        if number < 299 {
            clone.write(home, "n", &format!("{number}"));
        }
    }
    sync(&first, &second);
    second.host.advance(200 * 86_400_000);
    clone.write(home, "n", "hidden");
    sync(&clone, &third);
    let mut pair = Pair::new(&second, &third);
    pair.drive();
    assert!(is_forked(&pair.dialer.events) && pair.dialer.in_sync().contains(&home));
    assert_equal(home, &[&second, &third]);
    assert_eq!(second.read(home, "n").as_deref(), Some("298"));
    assert_eq!(forks_told(&second, &home), vec![(Plane::Data, 299); forks_told(&third, &home).len()]);
    let frames = pair.dialer.sent.iter().filter(|frame| frame[0] == 20).count();
    assert!(frames <= 4, "{frames} frames to find it");
}

/// What is said of branches is believed with the writer's signature only, and answered so often at most.
#[test]
fn attack_lies_about_branches_prove_nothing_and_end() {
    let (first, second) = linked(230);
    let home = first.home_space();
    for number in 0..40 {
        first.write(home, "n", &format!("{number}"));
    }
    Pair::new(&first, &second).drive();
    let log = LogName { space: home, plane: Plane::Data, writer: first.writer() };
    let lie = |length| Prefix { length, root: [7; 32] };
    let say = |pair: &mut Pair, say| {
        pair.dialer.handle(Input::Frame(Message::Branches(Branches { log, say }).to_bytes()));
        pair.dialer.poll().into_iter().filter(|frame| frame[0] == 20).count()
    };
    let mut pair = Pair::new(&first, &second);
    pair.drive();
    let answers: usize = (0..100).map(|_| say(&mut pair, BranchesSay::Roots(vec![lie(1), lie(30)]))).sum();
    assert!((1..=MAX_BRANCHES_FRAMES as usize).contains(&answers), "{answers}");
    assert!(pair.dialer.closed.is_none());
    assert_eq!(say(&mut pair, BranchesSay::Roots(vec![lie(1_000)])), 0, "of what is not here nothing can be said");
    assert!(first.space_state(&home).unwrap().table.forks.is_empty());
    let shared = Prefix { length: 0, root: EMPTY_ROOT };
    let mut branch = first.branch(&home, Plane::Data, &first.writer(), &shared).unwrap().unwrap();
    say(&mut pair, BranchesSay::Branch { shared, branch: Box::new(branch.clone()) });
    assert!(pair.dialer.closed.is_none(), "one's own branch is none");
    branch.leaf[0] ^= 1;
    say(&mut pair, BranchesSay::Branch { shared, branch: Box::new(branch) });
    assert!(matches!(pair.dialer.closed, Some(SessionError::Protocol { .. })), "{:?}", pair.dialer.closed);
    assert!(first.space_state(&home).unwrap().table.forks.is_empty());
    let mut pair = Pair::new(&first, &second);
    pair.drive();
    say(&mut pair, BranchesSay::Roots(vec![lie(3), lie(2)]));
    assert!(matches!(pair.dialer.closed, Some(SessionError::Protocol { .. })), "{:?}", pair.dialer.closed);
    assert_equal(home, &[&first, &second]);
}

/// Who is no member hears nothing about a log, and nothing it says of one is looked at.
#[test]
fn attack_stranger_learns_nothing_from_branches() {
    let ((first, _), eve) = (linked(240), Replica::person(249, "Eve"));
    first.write(first.home_space(), "n", "1");
    let mut pair = Pair::new(&eve, &first);
    pair.drive();
    let log = LogName { space: first.home_space(), plane: Plane::Data, writer: first.writer() };
    let say = BranchesSay::Roots(vec![Prefix { length: 1, root: [7; 32] }]);
    pair.acceptor.handle(Input::Frame(Message::Branches(Branches { log, say }).to_bytes()));
    assert!(pair.acceptor.poll().is_empty() && pair.acceptor.closed.is_none());
}

/// A proof that stands beyond another fork, where others don't get it, is said again by who has it.
#[test]
fn a_proof_that_only_some_can_read_is_said_again() {
    let (first, clone, [left, right]) = cloned::<2>(250);
    let (home, writer) = (first.home_space(), first.writer());
    first.write(home, "x", "1");
    clone.write(home, "x", "2");
    first.rename_space(&home, "of the first").unwrap();
    // The clone hears of the fork in its data, and says so in a control log that is forked too, and before.
    let shared = Prefix { length: 0, root: EMPTY_ROOT };
    let branch = |of: &Replica| of.branch(&home, Plane::Data, &writer, &shared).unwrap().unwrap();
    let fork = Fork::new(Plane::Data, writer, shared, [branch(&first), branch(&clone)]);
    clone.say_fork(&home, fork.clone()).unwrap();
    clone.say_fork(&home, fork).unwrap();
    assert_eq!(forks_told(&clone, &home), [(Plane::Data, 0)], "once");
    sync(&first, &left);
    sync(&clone, &right);
    let forks = |of: &Replica| of.space_state(&home).unwrap().table.forks.keys().map(|log| log.0).collect::<Vec<_>>();
    assert_eq!((forks(&left), forks(&right)), (vec![], vec![Plane::Data]));
    sync(&left, &right);
    for replica in [&left, &right] {
        assert_eq!(forks(replica), [Plane::Control, Plane::Data]);
        assert!(replica.space_state(&home).unwrap().forks.unsaid().is_none());
    }
    assert_equal(home, &[&left, &right]);
}

/// What was said about branches before both sides listed the space was not heard, so it is said again.
#[test]
fn a_fork_that_shows_before_a_space_is_open_is_compared_once_it_is() {
    let writer = Replica::person(270, "Ada").writer();
    let mut exchange = Exchange::default();
    assert!(exchange.mark_forked(Plane::Control, writer));
    assert!(!exchange.mark_forked(Plane::Control, writer) && exchange.status.forked_logs == 1);
    exchange.open();
    assert_eq!(exchange.status.forked_logs, 0);
    assert!(exchange.mark_forked(Plane::Control, writer), "it is news again");
}

/// What was written under a key that a forked log had given is read by those who never get that log: its author passes the key on.
#[test]
fn what_was_sealed_under_a_key_of_a_forked_log_stays_readable() {
    let (first, clone, [left, right, _]) = cloned::<3>(260);
    let home = first.home_space();
    first.rotate(&home).unwrap();
    clone.rename_space(&home, "mine").unwrap();
    sync(&first, &left);
    left.write(home, "n", "under the new key");
    let epoch = left.space_state(&home).unwrap().table.write_epoch;
    sync(&clone, &right);
    sync(&left, &right);
    assert_eq!(right.read(home, "n").as_deref(), Some("under the new key"));
    assert_equal(home, &[&left, &right]);
    assert_ne!(left.space_state(&home).unwrap().table.write_epoch, epoch, "and nobody writes with it any more");
}
