//! The devices of an identity: removed, recovered, and certified by one root key after another.

use tidewater_engine::id::{EpochId, Incarnation};
use tidewater_engine::space::Rank;

use super::{ADA, BEN, EVE, OWNER, peaceful, rank};
use crate::codec::Codec;
use crate::identity::{Certificate, IdentityGenesis, possession_of};
use crate::membership::Verdict;
use crate::membership::random_histories::World;
use crate::space::{ControlOperation, Removal};

/// A thief has an owner's device: what it says from the cut on counts for nothing, and new keys go past it.
#[test]
fn attack_stolen_owner_device_is_removed_by_its_identity() {
    let mut world = peaceful();
    let (laptop, phone) = (world.device(OWNER, 0), world.device(OWNER, 1));
    world.say(laptop, &world.add_device(OWNER, world.people[OWNER].devices[1].2));
    world.hear(phone, laptop);
    world.say(phone, &world.grant(EVE, Rank::Reader));
    world.hear(laptop, phone);
    world.say(laptop, &world.remove(laptop, OWNER, phone, 10));
    // The thief writes on, and brings friends.
    world.say(phone, &world.grant(EVE, Rank::Admin));
    world.say(phone, &world.revoke(phone, ADA, 11));
    world.reincarnate(phone);
    world.say(phone, &world.grant(EVE, Rank::Admin));
    let membership = world.evaluate();
    assert_eq!((membership.rank(&laptop), membership.rank(&phone)), (Some(Rank::Owner), None));
    assert_eq!(rank(&world, &membership, EVE), Some(Rank::Writer), "what came before the cut stands, nothing else");
    assert_eq!(rank(&world, &membership, ADA), Some(Rank::Admin));
    let authority = &membership.devices[&phone];
    assert!(authority.closed);
    assert_eq!(authority.effective_length(Incarnation([0; 8])), 10, "its data counts up to the cut");
    assert_eq!(membership.write_epoch(), Some(EpochId([10; 32])));
    assert!(!membership.readers().contains_key(&phone));
}

/// A certificate for a device that its identity removed brings it back nowhere, even a newer one.
#[test]
fn attack_removed_device_never_comes_back() {
    let mut world = peaceful();
    let (laptop, phone) = (world.device(OWNER, 0), world.device(OWNER, 1));
    let again = {
        let (key, agreement, certificate) = &world.people[OWNER].devices[1];
        world.people[OWNER].certify(key, agreement.public(), certificate.issued_ms + 1)
    };
    world.say(laptop, &world.remove(laptop, OWNER, phone, 10));
    world.say(laptop, &world.add_device(OWNER, again));
    let membership = world.evaluate();
    assert_eq!(membership.rank(&phone), None);
    assert!(!membership.identities[&world.people[OWNER].id()].devices.contains_key(&phone));
}

/// Another identity, and a signature for another space, remove no device; the recovery key can't be removed at all.
#[test]
fn attack_nobody_else_removes_a_device_and_nobody_the_recovery_key() {
    let mut world = peaceful();
    let (laptop, ada, eve) = (world.device(OWNER, 0), world.device(ADA, 0), world.device(EVE, 0));
    world.say(ada, &world.remove(ada, ADA, laptop, 10));
    world.say(eve, &world.remove(eve, ADA, eve, 11));
    // What is signed for one space is no word in another.
    let elsewhere = tidewater_engine::id::SpaceId([7; 32]);
    world.say(ada, &world.people[EVE].remove(&elsewhere, eve, vec![], world.start(2, 12, &[ada])));
    let recovery = world.people[EVE].genesis.recovery_device();
    world.say(eve, &world.remove(eve, EVE, recovery, 13));
    world.gather();
    let membership = world.evaluate();
    assert_eq!(membership.rank(&laptop), Some(Rank::Owner));
    assert_eq!(membership.rank(&eve), Some(Rank::Writer));
    assert_eq!(membership.rank(&recovery), Some(Rank::Writer));
    let void = membership.verdicts.values().filter(|verdict| **verdict == Verdict::Void).count();
    assert_eq!(void, 2, "of two the identity had the right to say, and they name nobody of its own");
}

#[test]
fn a_device_that_another_identity_still_vouches_for_keeps_what_that_one_allows() {
    let mut world = peaceful();
    let (eve, ben) = (world.device(EVE, 0), world.device(BEN, 0));
    let (key, agreement, certificate) = &world.people[EVE].devices[0];
    let second = world.people[BEN].certify(key, agreement.public(), certificate.issued_ms);
    world.say(ben, &world.add_device(BEN, second));
    world.say(eve, &ControlOperation::Rotate(world.start(2, 5, &[eve])));
    world.gather();
    world.say(ben, &world.remove(ben, EVE, eve, 10));
    let membership = world.evaluate();
    assert_eq!(membership.rank(&eve), Some(Rank::Admin), "by the other identity");
    assert!(membership.devices[&eve].cuts.is_empty());
}

#[test]
fn the_recovery_key_is_a_device_wherever_its_identity_is() {
    let mut world = peaceful();
    let owner = world.device(OWNER, 0);
    let eve = world.people[EVE].genesis;
    let readers = world.evaluate().readers();
    assert_eq!(readers.get(&eve.recovery_device()), Some(&eve.recovery_agreement));
    // It puts a new root key in the place of the one that is lost with all devices, and that one certifies another.
    world.people[EVE].renew_root();
    let new = world.device(EVE, 1);
    let certificate = {
        let (key, agreement, certificate) = &world.people[EVE].devices[1];
        world.people[EVE].certify(key, agreement.public(), certificate.issued_ms)
    };
    world.hear(eve.recovery_device(), owner);
    world.say(eve.recovery_device(), &world.add_device(EVE, certificate));
    assert_eq!(world.evaluate().rank(&new), Some(Rank::Writer));
    world.say(owner, &world.revoke(owner, EVE, 10));
    let membership = world.evaluate();
    assert_eq!((membership.rank(&new), membership.rank(&eve.recovery_device())), (None, None));
}

/// An identity that names somebody else's device as its recovery key has no say over that device.
#[test]
fn attack_recovery_key_that_did_not_agree_is_no_device() {
    let mut world = World::new(1, 4);
    let (owner, ben) = (world.device(OWNER, 0), world.device(BEN, 0));
    world.say(owner, &world.grant(BEN, Rank::Writer));
    // The genesis of an identity that names the device of somebody else as its recovery key.
    let mut bytes = world.people[EVE].genesis.to_bytes();
    bytes[33..65].copy_from_slice(&ben.0);
    let claimed = IdentityGenesis::from_bytes(&bytes).unwrap();
    let ControlOperation::Grant(mut grant) = world.grant(EVE, Rank::Writer) else { panic!("a grant") };
    (grant.genesis, grant.certificates) = (claimed, vec![]);
    world.say(owner, &ControlOperation::Grant(grant));
    let known = world.evaluate();
    assert_eq!(known.identities[&claimed.id()].genesis, None);
    let mut revoke = world.revoke(owner, EVE, 10);
    if let ControlOperation::Revoke(revoke) = &mut revoke {
        revoke.identity = claimed.id();
    }
    world.say(owner, &revoke);
    let membership = world.evaluate();
    assert_eq!(membership.rank(&ben), Some(Rank::Writer), "the claim cuts nobody's log");
    assert!(membership.devices[&ben].cuts.is_empty() && !membership.devices[&ben].closed);
}

/// Once a new root key was shown, what the stolen one signs counts only where it was known by then.
#[test]
fn attack_root_thief_adds_and_removes_no_device_once_there_is_a_new_root() {
    let mut world = peaceful();
    let (owner, thief, laptop) = (world.device(OWNER, 0), world.device(EVE, 0), world.device(EVE, 1));
    let eve = world.people[EVE].genesis;
    // The thief has the device and the root key that is on it; the words bring a new root key and a new device.
    let stolen = world.people[EVE].renew_root();
    let (laptops, thiefs) = {
        let ((key, agreement, certificate), thief) = (&world.people[EVE].devices[1], &world.people[BEN].devices[1]);
        let possession = possession_of(&thief.0, &eve.id(), &thief.1.public());
        let issued_ms = certificate.issued_ms + 9;
        let thiefs = Certificate::issue(&stolen, eve.id(), thief.0.device(), thief.1.public(), possession, issued_ms);
        (world.people[EVE].certify(key, agreement.public(), certificate.issued_ms), thiefs)
    };
    let brought = thiefs.device;
    world.hear(eve.recovery_device(), owner);
    world.say(eve.recovery_device(), &world.add_device(EVE, laptops));
    world.hear(laptop, eve.recovery_device());
    world.say(laptop, &world.remove(laptop, EVE, thief, 10));
    // Beside it, and in full knowledge of it, the thief certifies a device of its own and removes the new one.
    let removal = |world: &World| {
        let space = world.genesis.space();
        let removal = Removal::sign(&stolen, eve, &space, laptop, vec![], world.start(2, 11, &[thief]));
        ControlOperation::RemoveDevice(removal)
    };
    for knows in [false, true] {
        if knows {
            world.hear(thief, laptop);
        }
        world.say(thief, &world.add_device(EVE, thiefs));
        world.say(thief, &removal(&world));
        let membership = world.evaluate();
        assert_eq!(membership.rank(&laptop), Some(Rank::Writer), "{knows}");
        assert_eq!((membership.rank(&thief), membership.rank(&brought)), (None, None), "{knows}");
        assert_eq!(membership.write_epoch(), Some(EpochId([10; 32])), "{knows}");
    }
    // What the old root key said that was known by then stands.
    assert_eq!(world.evaluate().identities[&eve.id()].devices.keys().collect::<Vec<_>>(), [&laptop]);
}

#[test]
fn what_an_old_root_key_said_before_a_new_one_was_shown_stands() {
    let mut world = peaceful();
    let (owner, phone, laptop) = (world.device(OWNER, 0), world.device(EVE, 0), world.device(EVE, 1));
    let laptops = world.people[EVE].devices[1].2;
    world.say(phone, &world.add_device(EVE, laptops));
    world.hear(owner, phone);
    world.people[EVE].renew_root();
    let phones = {
        let (key, agreement, certificate) = &world.people[EVE].devices[0];
        world.people[EVE].certify(key, agreement.public(), certificate.issued_ms)
    };
    world.say(phone, &world.add_device(EVE, phones));
    let membership = world.evaluate();
    assert_eq!(membership.rank(&laptop), Some(Rank::Writer), "the new root key was shown in knowledge of it");
    assert_eq!(membership.rank(&phone), Some(Rank::Writer));
    assert_eq!(membership.identities[&world.people[EVE].id()].devices[&phone], phones);
}
