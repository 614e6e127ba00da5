//! Spaces: who is given which keys, in how many words, and which offers are kept.

use std::collections::BTreeSet;

use tidewater_engine::id::{EpochId, SpaceId};
use tidewater_engine::log::Plane;
use tidewater_engine::space::{Rank, SecretKey};

use super::super::records::{MAX_GENESIS_BYTES, SpaceRecord};
use super::super::spaces::{MAX_SPACE_OFFERS, control_context};
use super::super::{Invite, SpaceError};
use crate::codec::Codec;
use crate::identity::IdentityId;
use crate::keys::Wrapped;
use crate::session::pair::{Pair, Replica, link};
use crate::simulation::Person;
use crate::space::{ControlOperation, SpaceGenesis};

fn said(replica: &Replica, space: &SpaceId) -> usize {
    replica.control_commits(space).unwrap().len()
}

fn given(replica: &Replica, space: &SpaceId, person: &Person) -> BTreeSet<EpochId> {
    replica.space_state(space).unwrap().membership.epochs_given(&person.devices[0].0.device())
}

fn epochs(replica: &Replica, space: &SpaceId) -> BTreeSet<EpochId> {
    replica.effective(space).unwrap().epochs.keys().copied().collect()
}

/// A space of `replica` whose genesis is changed before it is said.
fn changed(replica: &Replica, change: impl FnOnce(&mut SpaceGenesis)) -> SpaceRecord {
    let mut record = replica.draft_space("changed").unwrap();
    let Ok(ControlOperation::Genesis(mut genesis)) = ControlOperation::read(&record.genesis) else { unreachable!() };
    change(&mut genesis);
    record.genesis = ControlOperation::Genesis(genesis).to_bytes();
    record
}

/// An invitation to a space for `to`.
fn invite(record: &SpaceRecord, to: &Replica) -> Invite {
    let context = control_context(&SpaceGenesis::space_of(&record.genesis), &to.device());
    let control_key =
        Wrapped::seal(&*to.host, &to.agreement().public(), &context, &record.control_key).expect("a usable key");
    Invite { genesis: record.genesis.clone(), control_key, entries: 0 }
}

#[test]
fn names_and_labels_have_200_bytes() {
    let ada = Replica::blank(1);
    assert!(matches!(ada.create_identity(&"x".repeat(201)), Err(SpaceError::Invalid { .. })));
    assert!(matches!(ada.create_identity(&"x".repeat(202)), Err(SpaceError::Invalid { .. })));
    ada.create_identity(&"x".repeat(200)).unwrap();
    let space = ada.new_space(&"y".repeat(200)).unwrap();
    assert_eq!(ada.spaces_info().unwrap()[0].label, "y".repeat(200));
    assert!(matches!(ada.rename_space(&space, &"y".repeat(201)), Err(SpaceError::Invalid { .. })));
}

#[test]
fn spaces_are_listed_home_first_then_by_label() {
    let ada = Replica::person(1, "Ada");
    for label in ["zebra", "ant"] {
        ada.new_space(label).unwrap();
    }
    let labels: Vec<String> = ada.spaces_info().unwrap().into_iter().map(|info| info.label).collect();
    assert_eq!(labels, ["home", "ant", "zebra"]);
}

#[test]
fn whoever_comes_is_given_the_keys_with_the_same_word() {
    let (ada, ben, phone) = (Replica::person(1, "Ada"), Person::new(2, "Ben"), Replica::blank(3));
    let home = ada.home_space();
    ada.rotate(&home).unwrap();
    let before = said(&ada, &home);
    ada.grant(&home, &ben.card(), Rank::Reader).unwrap();
    assert_eq!(said(&ada, &home), before + 1, "a grant");
    assert_eq!(given(&ada, &home, &ben), epochs(&ada, &home));
    link(&phone, &ada);
    assert_eq!(said(&ada, &home), before + 2, "a device");
    assert_eq!(epochs(&phone, &home), epochs(&ada, &home));
}

#[test]
fn a_rotation_starts_an_epoch() {
    let ada = Replica::person(1, "Ada");
    let home = ada.home_space();
    let before = ada.effective(&home).unwrap().write_epoch;
    ada.rotate(&home).unwrap();
    assert_ne!(ada.effective(&home).unwrap().write_epoch, before);
    assert_eq!(epochs(&ada, &home).len(), 2);
}

#[test]
fn a_removal_gives_the_new_key_to_those_who_stay() {
    let (ada, ben, eve) = (Replica::person(1, "Ada"), Person::new(2, "Ben"), Person::new(3, "Eve"));
    let home = ada.home_space();
    for person in [&ben, &eve] {
        ada.grant(&home, &person.card(), Rank::Writer).unwrap();
    }
    let before = said(&ada, &home);
    ada.revoke(&home, &ben.id()).unwrap();
    assert_eq!(said(&ada, &home), before + 1, "nothing was left to repair");
    let epoch = ada.effective(&home).unwrap().write_epoch.unwrap();
    assert!(given(&ada, &home, &eve).contains(&epoch) && !given(&ada, &home, &ben).contains(&epoch));
}

/// A removed reader who gets hold of everything that a hub has, control planes too, reads nothing that was written after its
/// removal.
#[test]
fn attack_removed_reader_with_a_full_copy_of_the_hub_reads_nothing_new() {
    let (ada, ben, hub) = (Replica::person(1, "Ada"), Replica::person(2, "Ben"), Replica::person(3, "Hub"));
    let home = ada.home_space();
    for (member, rank) in [(&ben, Rank::Reader), (&hub, Rank::Relay)] {
        ada.grant(&home, &member.card().unwrap(), rank).unwrap();
        Pair::new(member, &ada).drive();
        member.accept_space(&home).unwrap();
    }
    ada.write(home, "note", "old");
    Pair::new(&ben, &ada).drive();
    assert_eq!(ben.read(home, "note").as_deref(), Some("old"));
    ada.revoke(&home, &ben.identity().unwrap()).unwrap();
    ada.write(home, "note", "new");
    ada.write(home, "secret", "new");
    Pair::new(&ada, &hub).drive();
    for plane in [Plane::Control, Plane::Data] {
        for (writer, prefix) in hub.vector(&home, plane).unwrap().iter() {
            let mut held = ben.vector(&home, plane).unwrap().length(writer);
            while held < prefix.length {
                let batch = hub.read_log(&home, plane, writer, held, usize::MAX).unwrap().unwrap();
                ben.receive(&batch).unwrap();
                held = batch.head.length;
            }
        }
        ben.refresh(&ben.control(), &home).unwrap();
        assert_eq!(ben.vector(&home, plane).unwrap(), ada.vector(&home, plane).unwrap(), "a full copy");
    }
    let epoch = ada.effective(&home).unwrap().write_epoch.unwrap();
    assert!(!ben.effective(&home).unwrap().epochs.contains_key(&epoch));
    assert_eq!(ben.read(home, "secret"), None);
    assert_eq!(ben.read(home, "note").as_deref(), Some("old"), "what it had read it keeps");
}

#[test]
fn an_admin_repairs_an_epoch_whose_key_a_reader_was_not_given() {
    let (ada, ben) = (Replica::person(1, "Ada"), Person::new(2, "Ben"));
    let home = ada.home_space();
    ada.grant(&home, &ben.card(), Rank::Reader).unwrap();
    let (_, start) = ada.new_epoch(2, vec![(ada.device(), ada.agreement().public())], vec![]);
    ada.append(&ada.control(), &home, &ControlOperation::Rotate(start.clone())).unwrap();
    assert_eq!(ada.effective(&home).unwrap().write_epoch, Some(start.id));
    assert!(given(&ada, &home, &ben).contains(&start.id));
}

#[test]
fn a_newcomer_to_a_closed_history_is_given_the_newest_key_alone() {
    let (ada, ben) = (Replica::person(1, "Ada"), Person::new(2, "Ben"));
    let closed = changed(&ada, |genesis| genesis.history_open = false);
    let space = ada.add_space(&ada.control(), &closed, &[]).unwrap();
    ada.rotate(&space).unwrap();
    ada.grant(&space, &ben.card(), Rank::Reader).unwrap();
    let newest = ada.effective(&space).unwrap().write_epoch;
    assert_eq!(given(&ada, &space, &ben).into_iter().collect::<Vec<_>>(), Vec::from_iter(newest));
    assert_eq!(epochs(&ada, &space).len(), 2);
}

#[test]
fn every_device_learns_of_all_devices_of_its_identity() {
    let (first, second, third) = (Replica::person(1, "Ada"), Replica::blank(2), Replica::blank(3));
    link(&second, &first);
    link(&third, &first);
    assert_eq!(second.card().unwrap().certificates.len(), 2);
    Pair::new(&second, &first).drive();
    assert_eq!(second.card().unwrap().certificates.len(), 3);
}

#[test]
fn only_an_invitation_that_can_be_followed_is_kept() {
    let (ada, ben) = (Replica::person(1, "Ada"), Replica::person(2, "Ben"));
    let from = ada.identity().unwrap();
    let foreign = Person::new(3, "Eve").devices[0].2;
    let forged = changed(&ada, |genesis| genesis.owners[0].certificates = vec![foreign]);
    let newer = changed(&ada, |genesis| genesis.feature_level = SpaceGenesis::FEATURE_LEVEL + 1);
    for record in [forged, newer] {
        assert!(!ben.keep_invite(from, &invite(&record, &ben)).unwrap());
        assert_eq!(ben.accept_invite(&invite(&record, &ben)).unwrap(), None);
    }
    // The control key of one space is none of another.
    let [one, other] = [ada.draft_space("one").unwrap(), ada.draft_space("other").unwrap()];
    let crossed = Invite { genesis: one.genesis.clone(), ..invite(&other, &ben) };
    assert!(!ben.keep_invite(from, &crossed).unwrap());
    assert!(ben.keep_invite(from, &invite(&one, &ben)).unwrap());
}

/// However many spaces somebody offers, so many wait for a decision, each once; the others are passed over.
#[test]
fn attack_flood_of_offers_waits_within_a_bound() {
    let (ada, ben) = (Replica::person(1, "Ada"), Replica::person(2, "Ben"));
    let from: IdentityId = ada.identity().unwrap();
    let records: Vec<SpaceRecord> = (0..=MAX_SPACE_OFFERS).map(|_| ada.draft_space("offered").unwrap()).collect();
    let spaces: Vec<SpaceId> = records.iter().map(|record| SpaceGenesis::space_of(&record.genesis)).collect();
    assert!(!ben.has_offer(&spaces[0]).unwrap());
    assert!(ben.keep_invite(from, &invite(&records[0], &ben)).unwrap());
    assert!(!ben.keep_invite(from, &invite(&records[0], &ben)).unwrap(), "offered twice");
    assert!(ben.has_offer(&spaces[0]).unwrap() && !ben.has_offer(&spaces[1]).unwrap());
    let kept = records.iter().filter(|record| ben.keep_invite(from, &invite(record, &ben)).unwrap()).count();
    assert_eq!((kept, ben.space_offers().unwrap().len()), (MAX_SPACE_OFFERS - 1, MAX_SPACE_OFFERS));
    ben.decline_space(&spaces[0]).unwrap();
    assert!(ben.keep_invite(from, &invite(&records[MAX_SPACE_OFFERS], &ben)).unwrap());
}

#[test]
fn the_genesis_of_a_space_may_have_64_kib() {
    let record =
        |bytes: usize| SpaceRecord { control_key: SecretKey::new([1; 32]), genesis: vec![0; bytes], founded: true };
    assert!(SpaceRecord::from_bytes(&record(MAX_GENESIS_BYTES).to_bytes()).is_ok());
    assert_eq!(MAX_GENESIS_BYTES, 65_536);
    assert!(SpaceRecord::from_bytes(&record(MAX_GENESIS_BYTES + 1).to_bytes()).is_err());
}

#[test]
fn a_rank_is_raised_and_lowered_and_what_was_written_stays() {
    let (ada, ben) = (Replica::person(1, "Ada"), Replica::person(2, "Ben"));
    let (home, bens) = (ada.home_space(), ben.identity().unwrap());
    let rank = |replica: &Replica| {
        let members = replica.members(&home).unwrap();
        members.iter().find(|member| member.identity == bens).map(|member| (member.rank, member.name.clone()))
    };
    ada.grant(&home, &ben.card().unwrap(), Rank::Writer).unwrap();
    let mut pair = Pair::new(&ada, &ben);
    pair.drive();
    ben.accept_space(&home).unwrap();
    pair.drive();
    ben.write(home, "note", "as a writer");
    pair.drive();
    ada.change_rank(&home, &bens, Rank::Admin).unwrap();
    pair.drive();
    assert_eq!(rank(&ben), Some((Rank::Admin, "Ben".to_owned())));
    let before = said(&ada, &home);
    ada.change_rank(&home, &bens, Rank::Admin).unwrap();
    assert_eq!(said(&ada, &home), before, "it has the rank");
    ada.change_rank(&home, &bens, Rank::Reader).unwrap();
    assert_eq!(said(&ada, &home), before + 2, "a revocation and a grant");
    Pair::new(&ada, &ben).drive();
    assert_eq!(rank(&ben), Some((Rank::Reader, "Ben".to_owned())));
    ada.write(home, "secret", "for readers");
    Pair::new(&ada, &ben).drive();
    assert_eq!(
        (ben.read(home, "note").as_deref(), ben.read(home, "secret").as_deref()),
        (Some("as a writer"), Some("for readers"))
    );
    assert!(ben.try_write(home, &[("x".into(), "y".into())]).is_err());
    ada.change_rank(&home, &bens, Rank::Relay).unwrap();
    let newest = ada.effective(&home).unwrap().write_epoch.unwrap();
    Pair::new(&ada, &ben).drive();
    assert!(!ben.effective(&home).unwrap().epochs.contains_key(&newest), "a relay gets no key");
}

#[test]
fn a_rank_that_is_out_of_reach_is_not_changed() {
    let (ada, ben) = (Replica::person(1, "Ada"), Person::new(2, "Ben"));
    let home = ada.home_space();
    assert!(matches!(ada.change_rank(&home, &ben.id(), Rank::Reader), Err(SpaceError::NoMember { .. })));
    ada.grant(&home, &ben.card(), Rank::Writer).unwrap();
    assert!(matches!(ada.change_rank(&home, &ben.id(), Rank::Owner), Err(SpaceError::NotBelow { .. })));
    let own = ada.identity().unwrap();
    assert!(matches!(ada.change_rank(&home, &own, Rank::Reader), Err(SpaceError::NotBelow { .. })));
}
