//! Leaving a space and forgetting it, and the orders in which that goes wrong.

use tidewater_engine::log::Plane;
use tidewater_engine::space::Rank;
use tidewater_engine::store::{TransactionError, WriteError};

use super::super::SessionEvent;
use super::super::pair::{Pair, Replica, assert_equal, link};
use crate::database::SpaceError;

/// `member` gets a rank in the home space of `owner`.
fn join(owner: &Replica, member: &Replica, rank: Rank) {
    let ticket = owner.share_ticket(&owner.home_space(), rank, vec![], 60_000).unwrap();
    let mut pair = Pair::joining(member, owner, &ticket);
    pair.drive();
    assert_eq!((pair.dialer.closed, pair.acceptor.closed), (None, None));
}

/// Who leaves has the key of every epoch that it was given, and its leave starts none: before anything else is written, a
/// writer starts one that it is not given.
#[test]
fn attack_leave_without_rotation_gets_nothing_that_is_written_later() {
    let (ada, ben, cid) = (Replica::person(1, "Ada"), Replica::person(2, "Ben"), Replica::person(3, "Cid"));
    let home = ada.home_space();
    join(&ada, &ben, Rank::Admin);
    join(&ada, &cid, Rank::Writer);
    let mut live = Pair::new(&ben, &ada);
    live.drive();
    ben.write(home, "early", "counts");
    live.drive();
    let before = ada.effective(&home).unwrap().write_epoch.unwrap();
    assert!(ben.effective(&home).unwrap().epochs.contains_key(&before));
    ben.leave(&home).unwrap();
    assert_eq!(ben.effective(&home).unwrap().write_epoch, None, "it writes with no key any more");
    live.drive();
    assert!(live.dialer.events.contains(&SessionEvent::LeaveHeard { space: home }));
    assert!(live.acceptor.events.contains(&SessionEvent::SpaceClosed { space: home }));
    ada.write(home, "later", "not for Ben");
    live.drive();
    let epoch = ada.effective(&home).unwrap().write_epoch.unwrap();
    assert_ne!(epoch, before, "whoever writes first starts new keys");
    // Cid was away, and comes to agree.
    Pair::new(&cid, &ada).drive();
    assert_eq!(cid.read(home, "later").as_deref(), Some("not for Ben"));
    assert_equal(home, &[&ada, &cid]);
    // Ben keeps what was read; whatever it gets hold of, it has no key to the rest.
    Pair::new(&ben, &ada).drive();
    Pair::new(&ben, &cid).drive();
    assert_eq!(ben.read(home, "early").as_deref(), Some("counts"));
    assert_eq!(ben.read(home, "later"), None);
    assert!(!ben.effective(&home).unwrap().epochs.contains_key(&epoch));
    assert_eq!(ada.read(home, "early").as_deref(), Some("counts"));
    assert_eq!(ada.members(&home).unwrap().len(), 2);
}

#[test]
fn who_left_is_told_so_whatever_it_tries() {
    let (ada, ben, cid) = (Replica::person(1, "Ada"), Replica::person(2, "Ben"), Replica::person(3, "Cid"));
    let home = ada.home_space();
    join(&ada, &ben, Rank::Admin);
    assert!(matches!(ada.leave(&home), Err(SpaceError::OwnerStays { .. })));
    assert!(matches!(ben.forget_space(&home, false), Err(SpaceError::StillMember { .. })));
    ben.leave(&home).unwrap();
    let info = ben.spaces_info().unwrap().into_iter().find(|info| info.space == home).unwrap();
    assert_eq!((info.rank, info.left), (None, true));
    assert!(matches!(ben.leave(&home), Err(SpaceError::Left { .. })));
    let left = |outcome| matches!(outcome, Err(SpaceError::Left { .. }));
    assert!(left(ben.grant(&home, &cid.card().unwrap(), Rank::Reader)));
    assert!(left(ben.rename_space(&home, "mine")));
    assert!(left(ben.rotate(&home)));
    assert!(left(ben.share_ticket(&home, Rank::Reader, vec![], 1).map(drop)));
    let written = ben.try_write(home, &[("x".into(), "y".into())]);
    let (TransactionError::Aborted(error) | TransactionError::Write(error)) = written.unwrap_err();
    assert!(matches!(error, WriteError::Forbidden { .. }), "{error}");
    assert!(matches!(ben.forget_space(&home, false), Err(SpaceError::Untold { .. })));
    // The others are told that it is no member, whatever they want of it.
    Pair::new(&ben, &ada).drive();
    let ben_id = ben.identity().unwrap();
    assert!(matches!(ada.change_rank(&home, &ben_id, Rank::Reader), Err(SpaceError::NoMember { .. })));
    assert!(matches!(ada.revoke(&home, &ben_id), Err(SpaceError::NoMember { .. })));
    assert!(matches!(cid.leave(&home), Err(SpaceError::UnknownSpace { .. })));
}

#[test]
fn a_space_that_was_left_is_offered_again_and_does_not_come_back_by_itself() {
    let (ada, ben) = (Replica::person(1, "Ada"), Replica::person(2, "Ben"));
    let home = ada.home_space();
    join(&ada, &ben, Rank::Writer);
    ben.leave(&home).unwrap();
    Pair::new(&ben, &ada).drive();
    ada.grant(&home, &ben.card().unwrap(), Rank::Reader).unwrap();
    ada.write(home, "note", "for who comes back");
    Pair::new(&ben, &ada).drive();
    assert_eq!(ben.read(home, "note"), None);
    assert_eq!(ben.space_offers().unwrap().len(), 1);
    ben.decline_space(&home).unwrap();
    Pair::new(&ben, &ada).drive();
    assert_eq!((ben.read(home, "note"), ben.space_offers().unwrap().len()), (None, 1), "it is offered again");
    ben.accept_space(&home).unwrap();
    assert!(matches!(ben.accept_space(&home), Err(SpaceError::NoOffer { .. })), "once");
    Pair::new(&ben, &ada).drive();
    assert_eq!(ben.read(home, "note").as_deref(), Some("for who comes back"));
    assert_equal(home, &[&ada, &ben]);
}

#[test]
fn a_left_space_is_forgotten_and_comes_back_with_another_writer_only() {
    let (ada, ben) = (Replica::person(1, "Ada"), Replica::person(2, "Ben"));
    let (home, own) = (ada.home_space(), ben.home_space());
    ben.write(own, "mine", "stays");
    join(&ada, &ben, Rank::Writer);
    ada.write(home, "note", "read");
    let mut live = Pair::new(&ben, &ada);
    live.drive();
    ben.write(home, "theirs", "stays with Ada");
    live.drive();
    ben.leave(&home).unwrap();
    live.drive();
    ben.forget_space(&home, false).unwrap();
    live.drive();
    assert_eq!((&live.dialer.closed, &live.acceptor.closed), (&None, &None));
    assert_eq!(ben.spaces(), [own]);
    assert!(matches!(ben.members(&home), Err(SpaceError::UnknownSpace { .. })));
    assert_eq!(ben.read(own, "mine").as_deref(), Some("stays"));
    assert_eq!(ben.verify(&mut |_, _| {}).unwrap().problems, Vec::<String>::new());
    assert_eq!(ada.read(home, "theirs").as_deref(), Some("stays with Ada"));
    // Another space takes its place in the file.
    let further = ben.new_space("further").unwrap();
    ben.write(further, "note", "another");
    assert_eq!(ben.read(further, "note").as_deref(), Some("another"));
    ada.grant(&home, &ben.card().unwrap(), Rank::Writer).unwrap();
    Pair::new(&ben, &ada).drive();
    assert_eq!(ben.space_offers().unwrap().len(), 1);
    assert!(matches!(ben.accept_space(&home), Err(SpaceError::Reopen { .. })));
    assert_eq!(ben.verify(&mut |_, _| {}).unwrap().problems, Vec::<String>::new());
}

/// One device leaves for all; the others keep what they read, and ask before the space comes back.
#[test]
fn another_device_of_who_left_learns_of_it_and_brings_nothing_back_by_itself() {
    let (ada, laptop, phone) = (Replica::person(1, "Ada"), Replica::person(2, "Ben"), Replica::blank(3));
    let home = ada.home_space();
    link(&phone, &laptop);
    join(&ada, &laptop, Rank::Writer);
    Pair::new(&phone, &laptop).drive();
    phone.write(home, "note", "by the phone");
    Pair::new(&phone, &laptop).drive();
    laptop.leave(&home).unwrap();
    Pair::new(&phone, &laptop).drive();
    assert!(phone.spaces_info().unwrap().iter().any(|info| info.space == home && info.left));
    assert!(matches!(phone.leave(&home), Err(SpaceError::Left { .. })));
    phone.forget_space(&home, false).unwrap();
    // What the laptop brings is offered, though it is a device of the same identity.
    Pair::new(&laptop, &ada).drive();
    ada.grant(&home, &laptop.card().unwrap(), Rank::Reader).unwrap();
    Pair::new(&laptop, &ada).drive();
    laptop.accept_space(&home).unwrap();
    Pair::new(&laptop, &ada).drive();
    Pair::new(&phone, &laptop).drive();
    assert!(!phone.spaces().contains(&home));
    assert_eq!(phone.space_offers().unwrap()[0].from, laptop.identity().unwrap());
    assert_eq!(laptop.read(home, "note").as_deref(), Some("by the phone"));
}

/// A thief's device that was removed first has no say in whether its identity stays.
#[test]
fn attack_removed_device_leaves_nothing_in_the_name_of_its_identity() {
    let (ada, laptop, phone) = (Replica::person(1, "Ada"), Replica::person(2, "Ben"), Replica::blank(3));
    let home = ada.home_space();
    link(&phone, &laptop);
    join(&ada, &laptop, Rank::Writer);
    Pair::new(&phone, &laptop).drive();
    laptop.remove_device(&phone.device()).unwrap();
    phone.leave(&home).unwrap();
    Pair::new(&laptop, &ada).drive();
    Pair::new(&phone, &ada).drive();
    assert_eq!(ada.members(&home).unwrap().len(), 2, "Ben is a member still");
    assert!(laptop.space_state(&home).unwrap().membership.rank(&laptop.device()).is_some());
    laptop.write(home, "note", "goes on");
    Pair::new(&laptop, &ada).drive();
    assert_eq!(ada.read(home, "note").as_deref(), Some("goes on"));
    assert!(ada.vector(&home, Plane::Control).unwrap().total() > 0);
}
