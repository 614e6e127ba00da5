//! The rules one by one, as short stories; those about the devices of an identity in `devices`, about leaving in `leaving`.

mod devices;
mod leaving;

use std::collections::BTreeSet;

use tidewater_engine::id::{EpochId, Incarnation};
use tidewater_engine::space::{Rank, SecretKey};

use super::random_histories::{World, note};
use super::{Membership, Verdict, held_epochs};
use crate::codec::Codec;
use crate::device::DeviceKey;
use crate::identity::Certificate;
use crate::keys::{AgreementKey, Wrapped, epoch_context};
use crate::simulation::SimulatedHost;
use crate::space::{ControlOperation, EpochWrap, OlderEpoch};

const OWNER: usize = 0;
const ADA: usize = 1;
const BEN: usize = 2;
const EVE: usize = 3;

fn rank(world: &World, membership: &Membership, person: usize) -> Option<Rank> {
    membership.identities.get(&world.people[person].id()).and_then(|member| member.rank)
}

/// The owner, two admins and a writer who all know of each other.
fn peaceful() -> World {
    let mut world = World::new(1, 4);
    let owner = world.device(OWNER, 0);
    for (person, rank) in [(ADA, Rank::Admin), (BEN, Rank::Admin), (EVE, Rank::Writer)] {
        world.say(owner, &world.grant(person, rank));
    }
    for person in [ADA, BEN, EVE] {
        world.hear(world.device(person, 0), owner);
    }
    world
}

/// Nobody removes an equal: both stay, and a higher rank decides.
#[test]
fn attack_two_admins_who_remove_each_other_are_both_without_effect() {
    let mut world = peaceful();
    let (ada, ben) = (world.device(ADA, 0), world.device(BEN, 0));
    world.say(ada, &world.revoke(ada, BEN, 10));
    world.say(ben, &world.revoke(ben, ADA, 11));
    let membership = world.evaluate();
    assert_eq!(rank(&world, &membership, ADA), Some(Rank::Admin));
    assert_eq!(rank(&world, &membership, BEN), Some(Rank::Admin));
    assert_eq!(membership.verdicts.values().filter(|verdict| **verdict == Verdict::Void).count(), 2);
}

/// What an admin says beyond the cut of its removal grants nothing and removes nobody, though it had not heard of it.
#[test]
fn attack_revoked_admins_concurrent_grants_are_void() {
    let mut world = peaceful();
    let (owner, ada) = (world.device(OWNER, 0), world.device(ADA, 0));
    world.say(owner, &world.revoke(owner, ADA, 10));
    world.say(ada, &world.grant(EVE, Rank::Reader));
    world.say(ada, &world.revoke(ada, EVE, 11));
    world.gather();
    let membership = world.evaluate();
    assert_eq!(rank(&world, &membership, ADA), None);
    assert_eq!(rank(&world, &membership, EVE), Some(Rank::Writer), "the cut admin removed nobody");
    let void = membership.verdicts.values().filter(|verdict| **verdict == Verdict::Void).count();
    assert_eq!(void, 2);
}

/// A relay, which carries the whole control plane, grants, removes and starts nothing in it.
#[test]
fn attack_hub_adds_no_member_and_starts_no_epoch() {
    let mut world = World::new(1, 3);
    let (owner, hub, friend) = (world.device(OWNER, 0), world.device(ADA, 0), world.device(BEN, 0));
    world.say(owner, &world.grant(ADA, Rank::Relay));
    world.hear(hub, owner);
    for rank in [Rank::Relay, Rank::Reader, Rank::Writer, Rank::Admin, Rank::Owner] {
        world.say(hub, &world.grant(BEN, rank));
    }
    world.say(hub, &world.revoke(hub, OWNER, 9));
    world.say(hub, &ControlOperation::Rotate(world.start(2, 10, &[hub, friend])));
    let membership = world.evaluate();
    assert_eq!(rank(&world, &membership, OWNER), Some(Rank::Owner));
    assert_eq!((membership.rank(&hub), membership.rank(&friend)), (Some(Rank::Relay), None));
    assert_eq!(membership.write_epoch(), Some(EpochId([0; 32])));
    assert!(!membership.readers().contains_key(&friend));
    assert_eq!(membership.verdicts.values().filter(|verdict| **verdict == Verdict::Void).count(), 7);
}

/// A removed admin whose clock says that it spoke before its removal is not believed: the cut is on the log, not on the time.
#[test]
fn attack_revoked_admin_backdates_in_vain() {
    let mut world = peaceful();
    let (owner, ada) = (world.device(OWNER, 0), world.device(ADA, 0));
    world.say(ada, &ControlOperation::Label(note(&world.host, "before")));
    world.hear(owner, ada);
    world.say(owner, &world.revoke(owner, ADA, 10));
    world.host.advance(-1_000_000_000_000);
    world.say(ada, &world.revoke(ada, EVE, 11));
    // In a log that the removal can't have known of, too.
    world.reincarnate(ada);
    world.say(ada, &world.revoke(ada, EVE, 12));
    let membership = world.evaluate();
    assert_eq!(rank(&world, &membership, EVE), Some(Rank::Writer));
    assert_eq!(membership.write_epoch(), Some(EpochId([10; 32])));
    assert_eq!(membership.verdicts.values().filter(|verdict| **verdict == Verdict::Void).count(), 2);
}

#[test]
fn what_an_admin_did_before_the_cut_stands() {
    let mut world = peaceful();
    let (owner, ada) = (world.device(OWNER, 0), world.device(ADA, 0));
    world.say(ada, &world.revoke(ada, EVE, 10));
    world.hear(owner, ada);
    world.say(owner, &world.revoke(owner, ADA, 11));
    let membership = world.evaluate();
    assert_eq!(rank(&world, &membership, EVE), None);
    assert_eq!(rank(&world, &membership, ADA), None);
}

/// A grant beside a removal doesn't undo it; one in knowledge of it does, and the old log stays closed all the same.
#[test]
fn attack_regrant_beside_a_revocation_brings_nobody_back() {
    let mut world = peaceful();
    let (owner, ada, ben) = (world.device(OWNER, 0), world.device(ADA, 0), world.device(BEN, 0));
    world.say(ada, &ControlOperation::Label(note(&world.host, "label")));
    world.hear(owner, ada);
    world.say(owner, &world.revoke(owner, ADA, 10));
    world.say(owner, &world.grant(ADA, Rank::Admin));
    world.hear(ada, owner);
    world.say(ada, &world.revoke(ada, EVE, 11));
    assert_eq!(rank(&world, &world.evaluate(), EVE), Some(Rank::Writer), "the old log stays closed");
    world.reincarnate(ada);
    world.say(ada, &world.revoke(ada, EVE, 12));
    let membership = world.evaluate();
    assert_eq!(rank(&world, &membership, ADA), Some(Rank::Admin));
    assert_eq!(rank(&world, &membership, EVE), None);

    // Beside a revocation, a grant by an equal does not bring anyone back.
    let mut world = peaceful();
    world.say(ada, &world.revoke(ada, EVE, 10));
    world.say(ben, &world.grant(EVE, Rank::Writer));
    assert_eq!(rank(&world, &world.evaluate(), EVE), None);
}

#[test]
fn an_admins_revocation_beside_the_owners_promotion_is_void() {
    let mut world = peaceful();
    let (owner, ada) = (world.device(OWNER, 0), world.device(ADA, 0));
    world.say(ada, &world.revoke(ada, EVE, 10));
    world.say(owner, &world.grant(EVE, Rank::Admin));
    let membership = world.evaluate();
    assert_eq!(rank(&world, &membership, EVE), Some(Rank::Admin));
    assert!(!membership.devices[&world.device(EVE, 0)].closed);
}

#[test]
fn a_removed_writers_data_counts_up_to_the_cut() {
    let mut world = peaceful();
    let (owner, eve) = (world.device(OWNER, 0), world.device(EVE, 0));
    world.say(eve, &ControlOperation::Rotate(world.start(2, 5, &[eve])));
    world.hear(owner, eve);
    world.say(owner, &world.revoke(owner, EVE, 10));
    let membership = world.evaluate();
    let authority = &membership.devices[&eve];
    assert!(authority.closed);
    assert_eq!(authority.rank, Rank::Writer);
    assert_eq!(authority.effective_length(Incarnation([0; 8])), 10);
    assert_eq!(authority.effective_length(Incarnation([9; 8])), 0);
    assert_eq!(membership.rank(&eve), None);
}

#[test]
fn a_demoted_writer_keeps_what_was_written_and_writes_no_more() {
    let mut world = peaceful();
    let (owner, eve) = (world.device(OWNER, 0), world.device(EVE, 0));
    world.say(eve, &ControlOperation::Rotate(world.start(2, 5, &[eve])));
    world.hear(owner, eve);
    world.say(owner, &world.revoke(owner, EVE, 10));
    world.say(owner, &world.grant(EVE, Rank::Reader));
    let membership = world.evaluate();
    assert_eq!(membership.rank(&eve), Some(Rank::Reader));
    let authority = &membership.devices[&eve];
    assert_eq!((authority.rank, authority.closed), (Rank::Writer, true));
    assert_eq!(authority.effective_length(Incarnation([0; 8])), 10);
}

/// What a writer kept back until after its removal counts for nobody: a log that the removal doesn't list is cut at 0.
#[test]
fn attack_hidden_log_of_a_demoted_writer_counts_for_nothing() {
    let mut world = peaceful();
    let (owner, eve) = (world.device(OWNER, 0), world.device(EVE, 0));
    world.say(owner, &world.revoke(owner, EVE, 10));
    world.say(owner, &world.grant(EVE, Rank::Relay));
    let membership = world.evaluate();
    assert_eq!(membership.rank(&eve), Some(Rank::Relay));
    let authority = &membership.devices[&eve];
    assert_eq!((authority.rank, authority.closed), (Rank::Writer, true));
    assert_eq!(authority.effective_length(Incarnation([0; 8])), 0, "what it wrote unheard counts for nobody");
}

/// Nobody takes an owner's rank, raises themselves, or grants what they have themselves.
#[test]
fn attack_owners_are_never_removed_and_nobody_grants_a_rank_not_below_their_own() {
    let mut world = peaceful();
    let (owner, ada, eve) = (world.device(OWNER, 0), world.device(ADA, 0), world.device(EVE, 0));
    world.say(ada, &world.revoke(ada, OWNER, 10));
    world.say(owner, &world.revoke(owner, OWNER, 11));
    world.say(ada, &world.grant(EVE, Rank::Admin));
    world.say(eve, &world.grant(EVE, Rank::Reader));
    world.say(owner, &world.grant(BEN, Rank::Owner));
    let membership = world.evaluate();
    assert_eq!(rank(&world, &membership, OWNER), Some(Rank::Owner));
    assert_eq!(rank(&world, &membership, EVE), Some(Rank::Writer));
    assert_eq!(rank(&world, &membership, BEN), Some(Rank::Admin));
    assert_eq!(membership.verdicts.values().filter(|verdict| **verdict == Verdict::Void).count(), 5);
}

#[test]
fn a_device_of_two_identities_keeps_what_the_other_one_allows() {
    for (revoked_by, other) in [(ADA, OWNER), (OWNER, BEN)] {
        let mut world = peaceful();
        let (eve, ada) = (world.device(EVE, 0), world.device(ADA, 0));
        let (key, agreement, certificate) = &world.people[EVE].devices[0];
        let second = world.people[other].certify(key, agreement.public(), certificate.issued_ms);
        let other_device = world.device(other, 0);
        world.say(other_device, &world.add_device(other, second));
        world.say(eve, &ControlOperation::Rotate(world.start(2, 5, &[eve])));
        world.gather();
        world.say(world.device(revoked_by, 0), &world.revoke(world.device(revoked_by, 0), EVE, 10));
        world.hear(ada, world.device(revoked_by, 0));
        let membership = world.evaluate();
        assert_eq!(rank(&world, &membership, EVE), None, "{other}");
        let allowed = if other == OWNER { Rank::Owner } else { Rank::Admin };
        assert_eq!(membership.rank(&eve), Some(allowed), "{other}");
        // An owner's device is out of an admin's reach; an admin's is not out of an owner's.
        assert_eq!(membership.devices[&eve].cuts.is_empty(), other == OWNER, "{other}");
    }
}

/// A grant that brings the certificate of another identity's device makes nobody a member by it.
#[test]
fn attack_certificate_of_somebody_else_certifies_nothing() {
    let mut world = World::new(1, 4);
    let (owner, ben) = (world.device(OWNER, 0), world.device(BEN, 0));
    let ControlOperation::Grant(mut grant) = world.grant(EVE, Rank::Writer) else { panic!("a grant") };
    grant.certificates = vec![world.people[BEN].devices[0].2];
    world.say(owner, &ControlOperation::Grant(grant));
    let membership = world.evaluate();
    assert_eq!(rank(&world, &membership, EVE), Some(Rank::Writer));
    assert!(membership.identities[&world.people[EVE].id()].devices.is_empty());
    assert_eq!(membership.rank(&ben), None);
}

/// A removed member can't make others leave an epoch by saying that it was given the key.
#[test]
fn attack_key_that_a_removed_member_gives_itself_leaves_the_epoch_in_use() {
    let mut world = peaceful();
    let (owner, eve) = (world.device(OWNER, 0), world.device(EVE, 0));
    world.say(owner, &world.revoke(owner, EVE, 10));
    world.hear(eve, owner);
    let wrapped = world.start(2, 10, &[eve]).wraps[0].1;
    let given = |device| ControlOperation::Wraps(vec![EpochWrap { epoch: EpochId([10; 32]), device, wrapped }]);
    world.say(eve, &given(eve));
    assert_eq!(world.evaluate().write_epoch(), Some(EpochId([10; 32])));
    // By a member it would count: who was removed could read what is written with it.
    world.say(owner, &given(eve));
    assert_eq!(world.evaluate().write_epoch(), Some(EpochId([0; 32])));
}

/// What is wrapped as an epoch's key and is another one is not taken for it: the epoch's id commits to its key.
#[test]
fn attack_garbage_wrap_is_not_held() {
    let host = SimulatedHost::new(1);
    let (device, agreement) = (DeviceKey::generate(&*host).device(), AgreementKey::generate(&*host));
    let (right, wrong) = (SecretKey::new([1; 32]), SecretKey::new([2; 32]));
    let epoch = right.epoch_id();
    let wrap = |key| Wrapped::seal(&*host, &agreement.public(), &epoch_context(&epoch, &device), key).unwrap();
    let held = |key| {
        let membership = Membership { wraps: vec![(epoch, device, wrap(key))], ..Membership::default() };
        held_epochs(&membership, &device, &agreement, &Default::default())
    };
    assert_eq!(held(&right), [(epoch, right.clone())].into());
    assert_eq!(held(&wrong), [].into());
}

#[test]
fn a_second_device_acts_once_its_certificate_is_known() {
    let mut world = peaceful();
    let (ada, second) = (world.device(ADA, 0), world.device(ADA, 1));
    world.hear(second, ada);
    world.say(second, &world.revoke(second, EVE, 10));
    assert_eq!(rank(&world, &world.evaluate(), EVE), Some(Rank::Writer), "the certificate stands nowhere yet");
    world.say(ada, &world.add_device(ADA, world.people[ADA].devices[1].2));
    world.hear(second, ada);
    world.say(second, &world.revoke(second, EVE, 11));
    assert_eq!(rank(&world, &world.evaluate(), EVE), None);
}

/// Nobody writes with a key that was given, beside a removal, to the one who was removed.
#[test]
fn attack_epoch_given_to_a_removed_member_is_not_written_with() {
    let mut world = peaceful();
    let (owner, ada, eve) = (world.device(OWNER, 0), world.device(ADA, 0), world.device(EVE, 0));
    assert_eq!(world.evaluate().write_epoch(), Some(EpochId([0; 32])));
    // Beside the removal, with its epoch 10, Ada starts one that the removed device gets, of a greater id.
    world.say(ada, &ControlOperation::Rotate(world.start(2, 20, &[ada, eve])));
    assert_eq!(world.evaluate().write_epoch(), Some(EpochId([20; 32])));
    world.say(owner, &world.revoke(owner, EVE, 10));
    assert_eq!(world.evaluate().write_epoch(), Some(EpochId([10; 32])));
    // Nobody below writer starts an epoch.
    world.say(eve, &ControlOperation::Rotate(world.start(9, 30, &[owner])));
    assert_eq!(world.evaluate().write_epoch(), Some(EpochId([10; 32])));
}

/// A control operation that nobody knows is malformed; it does not make others ask for an upgrade.
#[test]
fn attack_unknown_operation_stops_nobody() {
    let mut world = peaceful();
    for (who, at) in [(OWNER, 0), (EVE, 0), (ADA, 1)] {
        world.say(world.device(who, 0), &ControlOperation::Label(note(&world.host, "label")));
        world.commits.last_mut().unwrap().body[at] = 99;
    }
    let membership = world.evaluate();
    assert!(!membership.needs_upgrade());
    assert_eq!(membership.verdicts.values().filter(|verdict| **verdict == Verdict::Malformed).count(), 3);
}

#[test]
fn a_genesis_and_a_certificate_vouch_for_themselves_whoever_says_them() {
    let mut world = peaceful();
    let eve = world.device(EVE, 0);
    let mut another = world.genesis.clone();
    another.nonce[0] ^= 1;
    let genuine = world.people[BEN].devices[1].2;
    let mut forged = genuine;
    forged.issued_ms += 1;
    let said = [
        (ControlOperation::Genesis(world.genesis.clone()), Verdict::Effective),
        (ControlOperation::Genesis(another), Verdict::Void),
        (world.add_device(BEN, genuine), Verdict::Effective),
        (world.add_device(BEN, forged), Verdict::Void),
    ];
    world.say(world.device(OWNER, 0), &world.revoke(world.device(OWNER, 0), EVE, 12));
    let verdicts = said.map(|(operation, expected)| {
        world.say(eve, &operation);
        let commit = world.commits.last().unwrap();
        ((commit.writer, commit.sequence), expected)
    });
    let membership = world.evaluate();
    for (dot, expected) in verdicts {
        assert_eq!(membership.verdicts[&dot], expected, "{dot:?}");
    }
}

#[test]
fn what_follows_a_level_that_is_not_known_is_not_judged() {
    let mut world = peaceful();
    let (owner, ada, eve) = (world.device(OWNER, 0), world.device(ADA, 0), world.device(EVE, 0));
    world.say(owner, &ControlOperation::Level(1));
    world.say(ada, &ControlOperation::Level(2));
    world.say(eve, &ControlOperation::Level(2));
    assert!(!world.evaluate().needs_upgrade(), "only owners raise the level");
    world.say(owner, &ControlOperation::Level(2));
    world.hear(ada, owner);
    for device in [ada, eve] {
        world.say(device, &ControlOperation::Label(note(&world.host, "label")));
        world.commits.last_mut().unwrap().body[1] = 99;
    }
    let membership = world.evaluate();
    assert!(membership.needs_upgrade());
    let [of_ada, of_eve] = [&world.commits[world.commits.len() - 2], &world.commits[world.commits.len() - 1]]
        .map(|commit| membership.verdicts[&(commit.writer, commit.sequence)]);
    assert_eq!((of_ada, of_eve), (Verdict::Unknown, Verdict::Malformed), "Eve had not heard of the level");
}

#[test]
fn of_several_labels_the_one_that_knew_the_others_stands() {
    let mut world = peaceful();
    let (owner, ada) = (world.device(OWNER, 0), world.device(ADA, 0));
    let (first, second) = (note(&world.host, "first"), note(&world.host, "second"));
    world.host.advance(1000);
    world.say(owner, &ControlOperation::Label(first));
    world.hear(ada, owner);
    world.host.advance(-5000);
    world.say(ada, &ControlOperation::Label(second.clone()));
    assert_eq!(world.evaluate().label.map(|label| label.to_bytes()), Some(second.to_bytes()));
}

/// A writer can't start an epoch so high that none could follow it.
#[test]
fn attack_nobody_takes_the_last_number_of_an_epoch() {
    let mut world = peaceful();
    let (owner, eve) = (world.device(OWNER, 0), world.device(EVE, 0));
    world.say(eve, &ControlOperation::Rotate(world.start(u64::MAX, 30, &[])));
    assert_eq!(world.evaluate().write_epoch(), Some(EpochId([0; 32])));
    // The owner had said three things before Eve heard them: 1 + 3 + her own one before, and one more.
    world.say(eve, &ControlOperation::Rotate(world.start(6, 31, &[eve])));
    assert_eq!(world.evaluate().write_epoch(), Some(EpochId([31; 32])));
    world.say(owner, &ControlOperation::Rotate(world.start(5, 32, &[owner])));
    assert_eq!(world.evaluate().write_epoch(), Some(EpochId([31; 32])));
}

/// A device that calls itself another identity's, without that one's signature, has no rank of it.
#[test]
fn attack_certificate_that_its_identity_did_not_sign_makes_nobody_a_member() {
    let mut world = peaceful();
    let ada = world.device(ADA, 0);
    let genuine = world.people[EVE].devices[1].2;
    // Eve's second device, which calls itself one of Ada's: by her own certificate, and by one that names Ada.
    let mut bytes = genuine.to_bytes();
    bytes[1..33].copy_from_slice(&world.people[ADA].id().0);
    for false_one in [genuine, Certificate::from_bytes(&bytes).unwrap()] {
        world.say(ada, &world.add_device(ADA, false_one));
        let membership = world.evaluate();
        assert!(!membership.certified.contains(&genuine.device));
        assert_eq!(membership.rank(&genuine.device), None);
    }
    world.say(ada, &world.add_device(EVE, genuine));
    assert_eq!(world.evaluate().rank(&genuine.device), Some(Rank::Writer));
}

#[test]
fn of_several_certificates_of_a_device_the_latest_counts_whichever_comes_first() {
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [1, 0, 2]] {
        let mut world = peaceful();
        let ada = world.device(ADA, 0);
        let issued_ms = world.people[ADA].devices[0].2.issued_ms;
        let certify = |agreement, later_ms| {
            world.people[ADA].certify(&world.people[ADA].devices[0].0, [agreement; 32], issued_ms + later_ms)
        };
        // Of two with one time the greater key counts.
        let certificates = [certify(200, 1), certify(9, 2), certify(8, 2)];
        for number in order {
            world.say(ada, &world.add_device(ADA, certificates[number]));
        }
        assert_eq!(world.evaluate().readers()[&ada], [9; 32], "{order:?}");
    }
}

#[test]
fn an_epoch_leads_to_those_sealed_under_it_and_to_no_others() {
    let mut world = peaceful();
    let (owner, ada) = (world.device(OWNER, 0), world.device(ADA, 0));
    for (epoch, older, recipient) in [(20, 0, ada), (30, 10, owner)] {
        let mut sealed = note(&world.host, "a key");
        sealed.epoch = EpochId([epoch; 32]);
        let mut start = world.start(2, epoch, &[recipient]);
        start.older = vec![OlderEpoch { id: EpochId([older; 32]), sealed }];
        world.say(owner, &ControlOperation::Rotate(start));
    }
    let given = |epochs: [u8; 2]| BTreeSet::from(epochs.map(|epoch| EpochId([epoch; 32])));
    assert_eq!(world.evaluate().epochs_given(&ada), given([0, 20]));
}
