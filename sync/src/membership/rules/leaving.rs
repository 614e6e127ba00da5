//! Leaving: an identity gives up its ranks by certificates alone, whatever its rank.

use tidewater_engine::id::{EpochId, Incarnation};
use tidewater_engine::space::Rank;

use super::{ADA, BEN, EVE, OWNER, peaceful, rank};
use crate::membership::Verdict;
use crate::membership::random_histories::World;
use crate::space::ControlOperation;

#[test]
fn who_leaves_has_no_rank_and_what_came_before_stands() {
    let mut world = peaceful();
    let (owner, ada) = (world.device(OWNER, 0), world.device(ADA, 0));
    world.say(ada, &world.grant(BEN, Rank::Reader));
    world.say(ada, &world.revoke(ada, EVE, 10));
    world.say(ada, &world.leave(ada, ADA));
    // Beyond its leave it says nothing that counts, in a new log neither.
    world.say(ada, &world.grant(EVE, Rank::Reader));
    world.reincarnate(ada);
    world.say(ada, &world.grant(EVE, Rank::Reader));
    world.hear(owner, ada);
    let membership = world.evaluate();
    assert_eq!((rank(&world, &membership, ADA), membership.rank(&ada)), (None, None));
    assert!(membership.identities[&world.people[ADA].id()].left);
    assert_eq!(rank(&world, &membership, EVE), None, "what it did as an admin stands");
    assert!(!membership.identities[&world.people[EVE].id()].left, "it was removed");
    let void = membership.verdicts.values().filter(|verdict| **verdict == Verdict::Void).count();
    assert_eq!(void, 2);
    let authority = &membership.devices[&ada];
    assert!(authority.closed);
    assert_eq!(authority.effective_length(Incarnation([0; 8])), 20, "its data counts up to what it lists");
    assert_eq!(authority.effective_length(Incarnation([0, 0, 0, 0, 0, 0, 0, 1])), 0);
}

/// Whoever leaves has the keys: no epoch that it was given is written with any more, though its leave starts none.
#[test]
fn attack_leave_without_rotation_leaves_no_epoch_to_write_with() {
    let mut world = peaceful();
    let (owner, eve) = (world.device(OWNER, 0), world.device(EVE, 0));
    world.say(owner, &ControlOperation::Rotate(world.start(2, 10, &[owner, eve])));
    world.hear(eve, owner);
    assert_eq!(world.evaluate().write_epoch(), Some(EpochId([10; 32])));
    world.say(eve, &world.leave(eve, EVE));
    // The epoch of the genesis, whose key it never had, is left; were there none, a writer would rotate.
    assert_eq!(world.evaluate().write_epoch(), Some(EpochId([0; 32])));
    world.say(eve, &ControlOperation::Rotate(world.start(3, 11, &[owner])));
    assert_eq!(world.evaluate().write_epoch(), Some(EpochId([0; 32])), "it starts no epoch any more");
}

/// An owner can't leave, nobody says for another identity that it does, and a device that was removed leaves nothing.
#[test]
fn attack_leave_for_somebody_else_or_by_a_removed_device_is_void() {
    let mut world = peaceful();
    let (owner, ada, eve, phone) =
        (world.device(OWNER, 0), world.device(ADA, 0), world.device(EVE, 0), world.device(EVE, 1));
    world.say(owner, &world.leave(owner, OWNER));
    world.say(ada, &world.leave(ada, EVE));
    world.say(eve, &world.add_device(EVE, world.people[EVE].devices[1].2));
    world.hear(phone, eve);
    world.say(eve, &world.remove(eve, EVE, phone, 10));
    // The thief has not heard of it, or says so.
    world.say(phone, &world.leave(phone, EVE));
    world.reincarnate(phone);
    world.say(phone, &world.leave(phone, EVE));
    let membership = world.evaluate();
    assert_eq!(rank(&world, &membership, OWNER), Some(Rank::Owner));
    assert_eq!(rank(&world, &membership, EVE), Some(Rank::Writer));
    assert_eq!(membership.verdicts.values().filter(|verdict| **verdict == Verdict::Void).count(), 4);
}

/// What an admin did is not undone by its leave: a leave can't list how much of a control log counts, the past does.
#[test]
fn attack_leave_takes_back_no_removal_that_its_author_made() {
    let mut world = peaceful();
    let (ada, phone) = (world.device(ADA, 0), world.device(ADA, 1));
    world.say(ada, &world.add_device(ADA, world.people[ADA].devices[1].2));
    world.hear(phone, ada);
    world.say(phone, &world.revoke(phone, EVE, 10));
    world.hear(ada, phone);
    let mut leave = world.leave(ada, ADA);
    if let ControlOperation::Leave(leave) = &mut leave {
        leave.cuts.clear();
    }
    world.say(ada, &leave);
    assert_eq!(rank(&world, &world.evaluate(), EVE), None);
}

#[test]
fn two_devices_that_leave_at_once_agree_and_what_neither_knew_of_counts_no_more() {
    let mut world = peaceful();
    let (owner, ada, phone) = (world.device(OWNER, 0), world.device(ADA, 0), world.device(ADA, 1));
    world.say(ada, &world.add_device(ADA, world.people[ADA].devices[1].2));
    world.hear(phone, ada);
    world.say(phone, &world.grant(EVE, Rank::Reader));
    world.say(ada, &world.leave(ada, ADA));
    world.say(phone, &world.leave(phone, ADA));
    world.gather();
    let membership = world.evaluate();
    assert_eq!(rank(&world, &membership, ADA), None);
    assert_eq!(membership.verdicts.values().filter(|verdict| **verdict == Verdict::Void).count(), 1);
    // Let in again in knowledge of both, it begins a new log.
    world.say(owner, &world.grant(ADA, Rank::Admin));
    world.hear(ada, owner);
    world.say(ada, &world.revoke(ada, EVE, 10));
    assert_eq!(rank(&world, &world.evaluate(), EVE), Some(Rank::Writer), "the old log stays closed");
    world.reincarnate(ada);
    world.say(ada, &world.revoke(ada, EVE, 11));
    let membership = world.evaluate();
    assert_eq!(rank(&world, &membership, ADA), Some(Rank::Admin));
    assert!(!membership.identities[&world.people[ADA].id()].left);
    assert_eq!(rank(&world, &membership, EVE), None);
}

#[test]
fn a_grant_beside_a_leave_brings_nobody_back_and_a_leave_makes_room_for_an_equals_removal() {
    let mut world = peaceful();
    let (owner, ada, ben) = (world.device(OWNER, 0), world.device(ADA, 0), world.device(BEN, 0));
    world.say(ada, &world.leave(ada, ADA));
    world.say(owner, &world.grant(ADA, Rank::Admin));
    world.say(ben, &world.revoke(ben, ADA, 10));
    let membership = world.evaluate();
    assert_eq!(rank(&world, &membership, ADA), None);
    assert!(membership.verdicts.values().all(|verdict| *verdict == Verdict::Effective));
}

/// A device of two identities leaves with one of them, and goes on with the other's rank.
#[test]
fn a_device_of_two_identities_keeps_what_the_other_one_may() {
    let mut world = peaceful();
    let (ben, eve) = (world.device(BEN, 0), world.device(EVE, 0));
    let (key, agreement, certificate) = &world.people[EVE].devices[0];
    let second = world.people[BEN].certify(key, agreement.public(), certificate.issued_ms);
    world.say(ben, &world.add_device(BEN, second));
    world.hear(eve, ben);
    world.say(eve, &world.leave(eve, EVE));
    world.say(eve, &world.grant(EVE, Rank::Reader));
    let membership = world.evaluate();
    assert_eq!(membership.rank(&eve), Some(Rank::Admin));
    assert_eq!(rank(&world, &membership, EVE), Some(Rank::Reader), "granted in knowledge of the leave, by an admin");
    assert!(membership.devices[&eve].cuts.is_empty() && !membership.devices[&eve].closed);
}

/// Two owners are what the genesis made them: neither leaves, and neither removes the other.
#[test]
fn of_two_owners_neither_leaves_nor_removes_the_other() {
    let mut world = World::new(1, 2);
    let (first, second) = (world.device(OWNER, 0), world.device(ADA, 0));
    let mut other = world.genesis.owners[0].clone();
    (other.genesis, other.certificates) = (world.people[ADA].genesis, vec![world.people[ADA].devices[0].2]);
    world.genesis.owners.push(other);
    world.say(first, &world.revoke(first, ADA, 10));
    world.say(second, &world.revoke(second, OWNER, 11));
    world.say(second, &world.leave(second, ADA));
    let membership = world.evaluate();
    assert_eq!(
        (rank(&world, &membership, OWNER), rank(&world, &membership, ADA)),
        (Some(Rank::Owner), Some(Rank::Owner))
    );
    assert!(membership.verdicts.values().all(|verdict| *verdict == Verdict::Void));
}
