//! Devices of one identity: linked, removed, and recovered from words.

use tidewater_engine::space::Rank;

use super::super::{SpaceError, records};
use crate::identity::RecoveryWords;
use crate::session::SessionEvent;
use crate::session::pair::{Pair, Replica, link, linked};
use crate::simulation::Person;

/// A removed device gets no key of what is new in any space, and what it writes counts nowhere.
#[test]
fn attack_removed_device_reads_and_writes_nothing_new() {
    let (laptop, phone) = linked(1);
    let home = laptop.home_space();
    let shared = laptop.new_space("shared").unwrap();
    Pair::new(&phone, &laptop).drive();
    phone.write(home, "note", "before");
    let mut pair = Pair::new(&phone, &laptop);
    pair.drive();
    laptop.remove_device(&phone.device()).unwrap();
    laptop.write(home, "secret", "for those who stay");
    phone.write(home, "note", "written by the thief");
    pair.drive();
    Pair::new(&phone, &laptop).drive();
    assert_eq!(laptop.read(home, "note").as_deref(), Some("before"));
    assert_eq!(phone.read(home, "secret"), None);
    for space in [home, shared] {
        assert_eq!(laptop.members(&space).unwrap()[0].devices.len(), 1);
        let epoch = laptop.effective(&space).unwrap().write_epoch.unwrap();
        assert!(!phone.effective(&space).unwrap().epochs.contains_key(&epoch), "it has no key of what is new");
    }
    assert_eq!(laptop.card().unwrap().certificates.len(), 1);
    assert_eq!(laptop.locals(records::REMOVING).unwrap(), []);
}

#[test]
fn a_third_device_learns_of_a_removal_and_does_not_bring_it_back() {
    let (laptop, phone) = linked(1);
    let tablet = Replica::blank(9);
    link(&tablet, &laptop);
    Pair::new(&phone, &laptop).drive();
    laptop.remove_device(&phone.device()).unwrap();
    Pair::new(&tablet, &laptop).drive();
    assert_eq!(tablet.card().unwrap().certificates.len(), 2);
    // A space that the tablet makes later knows nothing of the phone, and neither does one that it makes with the phone's card.
    let space = tablet.new_space("later").unwrap();
    Pair::new(&tablet, &laptop).drive();
    let members = laptop.members(&space).unwrap();
    assert_eq!(members.len(), 1);
    assert!(members[0].devices.iter().all(|device| device.device != phone.device()));
}

/// A removed device keeps its certificate, and is a stranger all the same.
#[test]
fn attack_removed_device_brings_nothing_in_the_name_of_its_identity() {
    let (laptop, phone) = linked(1);
    let own = phone.new_space("made by the owner").unwrap();
    Pair::new(&phone, &laptop).drive();
    assert!(laptop.spaces().contains(&own));
    laptop.remove_device(&phone.device()).unwrap();
    let foreign = phone.new_space("made by the thief").unwrap();
    let mut pair = Pair::new(&phone, &laptop);
    pair.drive();
    assert!(!laptop.spaces().contains(&foreign) && laptop.space_offers().unwrap().is_empty());
    assert!(pair.acceptor.events.contains(&SessionEvent::Ready { identity: None }), "it is a stranger");
}

#[test]
fn an_interrupted_removal_goes_on_when_the_database_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ada.tide");
    let database = super::create(&path);
    let home = database.home().unwrap();
    let phone = Person::new(2, "phone");
    let identity = database.identity_record().unwrap();
    let (key, agreement, _) = &phone.devices[0];
    let possession = crate::identity::possession_of(key, &identity.genesis.id(), &agreement.public());
    let signer = &identity.secrets.as_ref().unwrap().root;
    let certificate = crate::identity::Certificate::issue(
        signer,
        identity.genesis.id(),
        key.device(),
        agreement.public(),
        possession,
        0,
    );
    database.add_certificates(&[certificate], &[]).unwrap();
    database.refresh(&database.control(), &home).unwrap();
    assert_eq!(database.members(&home).unwrap()[0].devices.len(), 2);
    // What `remove_device` writes first.
    let removed = [key.device()].into();
    let writes = [(records::REMOVING, Some(&key.device().0[..]))];
    database.change_identity(&writes, |record| record.remove_devices(&removed)).unwrap();
    drop(database);
    let database = super::open(&path).unwrap();
    assert_eq!(database.members(&home).unwrap()[0].devices.len(), 1);
    assert_eq!(database.locals(records::REMOVING).unwrap(), []);
}

#[test]
fn what_can_not_be_removed_is_named() {
    let (laptop, phone) = linked(1);
    let stranger = Person::new(5, "Eve").devices[0].0.device();
    assert!(matches!(laptop.remove_device(&laptop.device()), Err(SpaceError::OwnDevice)));
    assert!(matches!(laptop.remove_device(&stranger), Err(SpaceError::NoDevice { .. })));
    assert!(matches!(phone.remove_device(&laptop.device()), Err(SpaceError::NoRootKey)));
    assert!(matches!(Replica::blank(7).remove_device(&stranger), Err(SpaceError::NoIdentity)));
    laptop.remove_device(&phone.device()).unwrap();
    assert!(matches!(laptop.remove_device(&phone.device()), Err(SpaceError::NoDevice { .. })));
}

#[test]
fn recovery_words_are_kept_until_they_are_written_down() {
    let (laptop, phone) = linked(1);
    let words = laptop.recovery_words().unwrap();
    assert!(matches!(phone.recovery_words(), Err(SpaceError::NoWords)), "a linked device never has them");
    let others: RecoveryWords = Replica::person(3, "Eve").recovery_words().unwrap();
    assert!(matches!(laptop.forget_recovery_words(&others), Err(SpaceError::OtherWords)));
    assert_eq!(laptop.recovery_words().unwrap(), words);
    laptop.forget_recovery_words(&words.expose().parse().unwrap()).unwrap();
    assert!(matches!(laptop.recovery_words(), Err(SpaceError::NoWords)));
    assert!(matches!(laptop.forget_recovery_words(&words), Err(SpaceError::NoWords)));
    assert!(laptop.link_ticket(vec![], 1000).is_ok(), "the root key stays");
    assert!(matches!(Replica::blank(5).recovery_words(), Err(SpaceError::NoIdentity)));
}

/// With the words alone, and a relay that can read nothing, an identity has its spaces again, without the lost device.
#[test]
fn attack_all_devices_lost_24_words_and_a_relay_bring_everything_back() {
    let (ada, hub, ben) = (Replica::person(1, "Ada"), Replica::person(2, "Hub"), Replica::person(3, "Ben"));
    let (home, bens) = (ada.home_space(), ben.home_space());
    ada.rotate(&home).unwrap();
    ada.write(home, "note", "mine");
    ada.grant(&home, &hub.card().unwrap(), Rank::Relay).unwrap();
    ben.write(bens, "note", "Ben's");
    ben.grant(&bens, &ada.card().unwrap(), Rank::Writer).unwrap();
    ben.grant(&bens, &hub.card().unwrap(), Rank::Relay).unwrap();
    Pair::new(&ada, &ben).drive();
    ada.accept_space(&bens).unwrap();
    Pair::new(&ada, &ben).drive();
    ada.write(bens, "answer", "Ada's");
    for replica in [&ada, &ben] {
        Pair::new(replica, &hub).drive();
        hub.space_offers().unwrap().iter().for_each(|offer| hub.accept_space(&offer.space).unwrap());
        Pair::new(replica, &hub).drive();
    }
    let words = ada.recovery_words().unwrap().expose();
    let (identity, lost) = (ada.identity(), ada.device());
    drop(ada);

    let recovering = Replica::recovering(20, &words.parse().unwrap());
    let mut pair = Pair::new(&recovering, &hub);
    pair.drive();
    assert_eq!(recovering.recover_identity().unwrap(), identity);
    pair.drive();
    assert_eq!(recovering.recover_identity().unwrap(), identity, "now with what was sealed");
    assert!(matches!(recovering.link_ticket(vec![], 1000), Err(SpaceError::NoRootKey)));
    recovering.renew_root().unwrap();
    let laptop = Replica::blank(21);
    link(&laptop, &recovering);
    recovering.remove_device(&lost).unwrap();
    recovering.hand_over(&laptop).unwrap();
    pair.drive();
    drop((pair, recovering));

    let mut pair = Pair::new(&laptop, &hub);
    pair.drive();
    assert_eq!((pair.dialer.closed.as_ref(), pair.acceptor.closed.as_ref()), (None, None));
    assert_eq!((laptop.identity(), laptop.home()), (identity, Some(home)));
    assert_eq!(laptop.card().unwrap().name, "Ada");
    assert_eq!(laptop.read(home, "note").as_deref(), Some("mine"));
    assert_eq!(laptop.read(bens, "answer").as_deref(), Some("Ada's"));
    laptop.write(bens, "more", "from the new device");
    pair.drive();
    Pair::new(&ben, &hub).drive();
    assert_eq!(ben.read(bens, "more").as_deref(), Some("from the new device"));
    let devices = |replica: &Replica| {
        let members = replica.members(&bens).unwrap();
        let ada = members.into_iter().find(|member| Some(member.identity) == identity).unwrap();
        ada.devices.into_iter().map(|device| device.device).collect::<Vec<_>>()
    };
    assert_eq!(devices(&ben), [laptop.device()], "the lost device is gone");
    assert!(matches!(laptop.recovery_words(), Err(SpaceError::NoWords)));
    // The new root key certifies further devices.
    let tablet = Replica::blank(22);
    link(&tablet, &laptop);
    assert_eq!(tablet.read(home, "note").as_deref(), Some("mine"));
    assert_eq!(tablet.card().unwrap().certificates.len(), 2);
}

#[test]
fn devices_that_are_not_lost_go_on_after_a_recovery() {
    let ((laptop, phone), words) = {
        let pair = linked(1);
        let words = pair.0.recovery_words().unwrap();
        (pair, words)
    };
    let home = laptop.home_space();
    let recovering = Replica::recovering(20, &words);
    let mut pair = Pair::new(&recovering, &phone);
    pair.drive();
    assert!(recovering.recover_identity().unwrap().is_some());
    pair.drive();
    recovering.recover_identity().unwrap();
    recovering.renew_root().unwrap();
    let new = Replica::blank(21);
    link(&new, &recovering);
    recovering.hand_over(&new).unwrap();
    pair.drive();
    drop((pair, recovering));
    Pair::new(&phone, &new).drive();
    phone.write(home, "note", "from the phone");
    Pair::new(&phone, &new).drive();
    Pair::new(&laptop, &new).drive();
    assert_eq!(laptop.read(home, "note").as_deref(), Some("from the phone"));
    assert_eq!(laptop.members(&home).unwrap()[0].devices.len(), 3);
    for replica in [&laptop, &phone, &new] {
        assert_eq!(replica.card().unwrap().certificates, new.card().unwrap().certificates, "all by the new root key");
    }
    // The old root key signs nothing that counts any more.
    let late = Replica::blank(30);
    link(&late, &laptop);
    Pair::new(&new, &laptop).drive();
    assert_eq!(new.members(&home).unwrap()[0].devices.len(), 3);
}

#[test]
fn a_database_that_recovers_finds_nobody_where_nobody_knows_the_identity() {
    let (eve, words) = (Replica::person(2, "Eve"), Replica::person(1, "Ada").recovery_words().unwrap());
    let recovering = Replica::recovering(20, &words);
    Pair::new(&recovering, &eve).drive();
    assert_eq!(recovering.recover_identity().unwrap(), None);
    assert_eq!(recovering.identity(), None);
    assert!(matches!(recovering.renew_root(), Err(SpaceError::NoIdentity)));
    assert!(matches!(eve.recover_identity(), Err(SpaceError::HasIdentity { .. })));
    assert!(matches!(eve.renew_root(), Err(SpaceError::HasIdentity { .. })));
    let own = Replica::person(3, "Ben");
    assert!(matches!(eve.hand_over(&own), Err(SpaceError::HasIdentity { .. })));
}

/// Who has a stolen device and its root key offers nobody a space in the name of the owner.
#[test]
fn attack_root_thief_speaks_for_nobody_where_the_new_root_key_is_known() {
    let (ada, ben) = (Replica::person(1, "Ada"), Replica::person(2, "Ben"));
    let home = ben.home_space();
    ben.grant(&home, &ada.card().unwrap(), Rank::Writer).unwrap();
    let identity = |pair: &Pair| {
        pair.acceptor.events.iter().find_map(|event| match event {
            SessionEvent::Ready { identity } => Some(*identity),
            _ => None,
        })
    };
    let mut pair = Pair::new(&ada, &ben);
    pair.drive();
    assert_eq!(identity(&pair), Some(ada.identity()));
    let recovering = Replica::recovering(20, &ada.recovery_words().unwrap());
    let mut pair = Pair::new(&recovering, &ben);
    pair.drive();
    assert_eq!(recovering.recover_identity().unwrap(), None, "whose space it is comes with the control plane");
    pair.drive();
    assert_eq!(recovering.recover_identity().unwrap(), ada.identity());
    recovering.renew_root().unwrap();
    recovering.remove_device(&ada.device()).unwrap();
    pair.drive();
    // Who has the stolen device and its root key offers a space in the name of its owner.
    let offered = ada.new_space("offered by the thief").unwrap();
    ada.grant(&offered, &ben.card().unwrap(), Rank::Reader).unwrap();
    let mut pair = Pair::new(&ada, &ben);
    pair.drive();
    assert_eq!(identity(&pair), Some(None));
    assert!(ben.space_offers().unwrap().is_empty());
}
