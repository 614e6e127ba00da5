//! Contacts of databases that talk to each other.

use std::collections::BTreeSet;

use tidewater_engine::host::Host;
use tidewater_engine::space::Rank;
use tidewater_engine::store::{Durability, Location, WriteError};
use tidewater_engine::value::Value;

use super::*;
use crate::contacts::{Decision, DeviceKind, Policy, PolicyRule, ProfileField, Proposal, Relationship};
use crate::database::{CreateOptions, OpenOptions, SpaceError};
use crate::session::pair::{Pair, Replica, assert_equal, link, linked};
use crate::session::{ContactNews, SessionEvent};
use crate::simulation::SimulatedHost;

fn id(of: &Replica) -> IdentityId {
    of.identity().unwrap()
}

/// Both talk until all is said.
fn meet(one: &Replica, other: &Replica) -> Pair {
    let mut pair = Pair::new(one, other);
    pair.drive();
    assert_eq!((&pair.dialer.closed, &pair.acceptor.closed), (&None, &None));
    pair
}

fn news(events: &[SessionEvent]) -> Vec<ContactNews> {
    let news = events.iter().filter_map(|event| match event {
        SessionEvent::Contact { news, .. } => Some(*news),
        _ => None,
    });
    news.collect()
}

fn states(of: &Replica) -> Vec<(bool, RequestState)> {
    of.contact_requests().unwrap().iter().map(|request| (request.sent, request.state)).collect()
}

fn profile(name: &str, email: &str) -> Profile {
    Profile { name: name.into(), email: email.into(), tags: ["math".to_owned()].into(), ..Profile::default() }
}

/// Two people who became contacts.
fn contacts(seed: u64) -> (Replica, Replica) {
    let (ada, ben) = (Replica::person(seed, "Ada"), Replica::person(seed + 1, "Ben"));
    ada.request_contact(&id(&ben), "hello").unwrap();
    meet(&ada, &ben);
    ben.accept_request(&id(&ada)).unwrap();
    meet(&ada, &ben);
    (ada, ben)
}

#[test]
fn two_people_become_contacts_and_see_what_is_for_contacts_only() {
    let (ada, ben) = (Replica::person(1, "Ada"), Replica::person(2, "Ben"));
    ada.set_profile(&profile("Ada", "ada@example.org"), &[ProfileField::Tags].into()).unwrap();
    ben.set_profile(&profile("Ben", "ben@example.org"), &BTreeSet::new()).unwrap();
    ada.request_contact(&id(&ben), "we met at the fair").unwrap();
    let pair = meet(&ada, &ben);
    assert_eq!(news(&pair.dialer.events), [ContactNews::Requested]);
    assert_eq!(news(&pair.acceptor.events), [ContactNews::Asked]);
    assert_eq!(
        (states(&ada), states(&ben)),
        (vec![(true, RequestState::Waiting)], vec![(false, RequestState::Waiting)])
    );
    let asked = &ben.contact_requests().unwrap()[0];
    assert_eq!((asked.note.as_str(), asked.identity, asked.member), ("we met at the fair", id(&ada), false));
    let shown = asked.profile.as_ref().unwrap();
    assert_eq!((shown.name.as_str(), shown.email.as_str(), shown.tags.len()), ("Ada", "", 1));
    drop(pair);

    ben.accept_request(&id(&ada)).unwrap();
    assert!(!ben.contact(&id(&ada)).unwrap().answered);
    let pair = meet(&ada, &ben);
    assert_eq!(news(&pair.dialer.events), [ContactNews::Requested, ContactNews::Accepted]);
    for (one, other, email) in [(&ada, &ben, "ben@example.org"), (&ben, &ada, "ada@example.org")] {
        let contact = one.contact(&id(other)).unwrap();
        assert!(contact.answered && contact.connected && !contact.verified);
        assert_eq!(contact.profile.unwrap().email, email);
        assert_eq!(contact.card, Some(other.card().unwrap()));
        assert_eq!(contact.seen_ms, Some(one.host.now_ms()));
        assert_eq!(states(one), [(contact.identity == id(&ben), RequestState::Accepted)]);
    }
    drop(pair);
    assert!(!ada.contact(&id(&ben)).unwrap().connected);
}

#[test]
fn what_was_said_and_decided_is_there_after_the_database_was_closed() {
    let folder = tempfile::tempdir().unwrap();
    let host = SimulatedHost::new(140);
    let location = || Location::File(folder.path().join("ada.db"));
    let open = || OpenOptions { host: host.clone(), mirror: None, cache_bytes: 1 << 20 };
    let options = CreateOptions { open: open(), identity: Some("Ada".into()), home: true };
    let ada = Replica { database: Database::create(location(), options).unwrap(), host: host.clone() };
    let ben = Replica::person(141, "Ben");
    ben.request_contact(&id(&ada), "").unwrap();
    meet(&ben, &ada);
    ada.set_profile(&profile("Ada", "a@example.org"), &BTreeSet::new()).unwrap();
    drop(ada);
    let reopened = || Replica { database: Database::open(location(), open()).unwrap(), host: host.clone() };
    reopened().accept_request(&id(&ben)).unwrap();
    reopened().set_profile(&profile("Ada", "b@example.org"), &BTreeSet::new()).unwrap();
    let ada = reopened();
    meet(&ben, &ada);
    drop(ada);
    assert!(reopened().contact(&id(&ben)).unwrap().answered);
    reopened()
        .verify_contact(&id(&ben), &ben.verification_number(&ben.contacts().unwrap()[0].identity).unwrap().code())
        .unwrap();
    assert!(reopened().contact(&id(&ben)).unwrap().verified);
    assert_eq!(ben.contacts().unwrap()[0].profile.as_ref().unwrap().email, "b@example.org");
}

#[test]
fn what_is_decided_while_a_session_is_open_is_told_at_once() {
    let (ada, ben) = (Replica::person(3, "Ada"), Replica::person(4, "Ben"));
    let mut pair = meet(&ada, &ben);
    ada.request_contact(&id(&ben), "").unwrap();
    pair.drive();
    assert_eq!(states(&ben), [(false, RequestState::Waiting)]);
    ben.accept_request(&id(&ada)).unwrap();
    pair.drive();
    assert!(ada.contact(&id(&ben)).unwrap().answered && ben.contact(&id(&ada)).unwrap().answered);
    // Anything else that both sides write is no reason to say it again.
    let sent = (pair.dialer.sent.len(), pair.acceptor.sent.len());
    ada.write(ada.home_space(), "note", "x");
    pair.drive();
    assert_eq!((pair.dialer.sent.len(), pair.acceptor.sent.len()), sent);
}

#[test]
fn crossed_requests_make_contacts_on_both_sides() {
    let (ada, ben) = (Replica::person(5, "Ada"), Replica::person(6, "Ben"));
    ada.request_contact(&id(&ben), "a").unwrap();
    ben.request_contact(&id(&ada), "b").unwrap();
    meet(&ada, &ben);
    assert!(ada.contact(&id(&ben)).unwrap().answered && ben.contact(&id(&ada)).unwrap().answered);
    // Asking back where a request waits is accepting it.
    let cleo = Replica::person(7, "Cleo");
    cleo.request_contact(&id(&ben), "").unwrap();
    meet(&cleo, &ben);
    ben.request_contact(&id(&cleo), "").unwrap();
    meet(&ben, &cleo);
    assert!(cleo.contact(&id(&ben)).unwrap().answered && ben.contact(&id(&cleo)).unwrap().answered);
}

#[test]
fn a_rejection_reaches_the_other_side_and_holds_for_a_month() {
    let (ada, ben) = (Replica::person(8, "Ada"), Replica::person(9, "Ben"));
    ada.request_contact(&id(&ben), "").unwrap();
    meet(&ada, &ben);
    ben.reject_request(&id(&ada)).unwrap();
    ben.reject_request(&id(&ada)).unwrap();
    meet(&ada, &ben);
    assert_eq!(states(&ada), [(true, RequestState::Rejected)]);
    ada.request_contact(&id(&ben), "please").unwrap();
    meet(&ada, &ben);
    assert_eq!((states(&ada)[0].1, states(&ben)), (RequestState::Rejected, vec![(false, RequestState::Rejected)]));
    ben.host.advance(relations::REQUEST_MS);
    ada.request_contact(&id(&ben), "again").unwrap();
    meet(&ada, &ben);
    assert_eq!(ben.contact_requests().unwrap()[0].note, "again");
    assert!(matches!(ben.contact(&id(&ada)), Err(ContactError::NoContact { .. })));
}

#[test]
fn a_withdrawn_request_leaves_the_inbox_and_undoes_an_acceptance_on_its_way() {
    let (ada, ben) = (Replica::person(10, "Ada"), Replica::person(11, "Ben"));
    ada.request_contact(&id(&ben), "").unwrap();
    meet(&ada, &ben);
    ada.withdraw_request(&id(&ben)).unwrap();
    let pair = meet(&ada, &ben);
    assert_eq!(news(&pair.acceptor.events), [ContactNews::Withdrawn]);
    drop(pair);
    assert_eq!((states(&ada), states(&ben)), (vec![(true, RequestState::Withdrawn)], vec![]));
    assert!(matches!(ben.accept_request(&id(&ada)), Err(ContactError::NoRequest { .. })));

    ada.request_contact(&id(&ben), "").unwrap();
    meet(&ada, &ben);
    ben.accept_request(&id(&ada)).unwrap();
    ada.withdraw_request(&id(&ben)).unwrap();
    meet(&ada, &ben);
    assert!(ada.contacts().unwrap().is_empty() && ben.contacts().unwrap().is_empty());
}

#[test]
fn a_request_expires_on_both_sides_by_each_sides_clock() {
    let (ada, ben) = (Replica::person(12, "Ada"), Replica::person(13, "Ben"));
    ada.request_contact(&id(&ben), "").unwrap();
    meet(&ada, &ben);
    ada.host.advance(relations::REQUEST_MS - 1);
    assert_eq!(states(&ada), [(true, RequestState::Waiting)]);
    ada.host.advance(1);
    ben.host.advance(relations::REQUEST_MS);
    assert_eq!(
        (states(&ada), states(&ben)),
        (vec![(true, RequestState::Expired)], vec![(false, RequestState::Expired)])
    );
    assert!(matches!(ben.accept_request(&id(&ada)), Err(ContactError::NoRequest { .. })));
    assert!(matches!(ada.withdraw_request(&id(&ben)), Err(ContactError::NoRequest { .. })));
    let pair = meet(&ada, &ben);
    assert_eq!(news(&pair.acceptor.events), []);
}

#[test]
fn a_blocked_identity_is_heard_of_no_more_until_it_is_unblocked() {
    let (ada, eve) = contacts(14);
    ada.block_identity(&id(&eve)).unwrap();
    assert_eq!((ada.blocked_identities().unwrap(), ada.contacts().unwrap()), (vec![id(&eve)], vec![]));
    eve.remove_contact(&id(&ada)).unwrap();
    eve.request_contact(&id(&ada), "let me in").unwrap();
    let space = eve.new_space("bait").unwrap();
    eve.grant(&space, &ada.card().unwrap(), Rank::Reader).unwrap();
    let pair = meet(&eve, &ada);
    assert_eq!((states(&ada), ada.space_offers().unwrap()), (vec![], vec![]));
    assert_eq!(news(&pair.acceptor.events), []);
    drop(pair);
    assert!(matches!(ada.request_contact(&id(&eve), ""), Err(ContactError::IsBlocked { .. })));
    assert!(matches!(ada.accept_request(&id(&eve)), Err(ContactError::IsBlocked { .. })));
    ada.unblock_identity(&id(&eve)).unwrap();
    assert!(matches!(ada.unblock_identity(&id(&eve)), Err(ContactError::NotBlocked { .. })));
    meet(&eve, &ada);
    assert_eq!((states(&ada), ada.space_offers().unwrap().len()), (vec![(false, RequestState::Waiting)], 1));
}

#[test]
fn contacts_are_on_every_device_and_any_device_of_either_side_brings_the_answer() {
    let (ada, laptop) = linked(20);
    let (ben, phone) = linked(30);
    ada.request_contact(&id(&ben), "").unwrap();
    meet(&ada, &laptop);
    meet(&laptop, &phone);
    assert_eq!((states(&ben), states(&phone)), (vec![], vec![(false, RequestState::Waiting)]));
    phone.accept_request(&id(&ada)).unwrap();
    meet(&phone, &ben);
    // Neither of these two has ever talked to the other side before.
    meet(&ada, &ben);
    assert!(ada.contact(&id(&ben)).unwrap().answered && ben.contact(&id(&ada)).unwrap().answered);
    meet(&ada, &laptop);
    meet(&ben, &phone);
    assert!(laptop.contact(&id(&ben)).unwrap().answered && phone.contact(&id(&ada)).unwrap().answered);
    assert_eq!(laptop.contact(&id(&ben)).unwrap().card.unwrap().certificates.len(), 2);
    assert_eq!(laptop.contact_requests().unwrap().len(), 1);
}

#[test]
fn a_newer_profile_reaches_contacts_but_not_every_minute() {
    let (ada, ben) = contacts(40);
    let email = |of: &Replica| of.contact(&id(&ada)).unwrap().profile.unwrap().email;
    let mut pair = meet(&ada, &ben);
    ada.set_profile(&profile("Ada", "one@example.org"), &BTreeSet::new()).unwrap();
    pair.drive();
    assert_eq!(email(&ben), "", "too soon after the first");
    ben.host.advance(11 * 60_000);
    pair.tick();
    assert_eq!(email(&ben), "one@example.org");
    drop(pair);
    ada.set_profile(&profile("Ada", "two@example.org"), &BTreeSet::new()).unwrap();
    ben.host.advance(11 * 60_000);
    let pair = meet(&ben, &ada);
    assert_eq!((email(&ben).as_str(), news(&pair.dialer.events)), ("two@example.org", vec![ContactNews::Refreshed]));
}

#[test]
fn two_devices_that_each_made_a_private_space_show_the_contacts_of_both() {
    let (ada, laptop) = linked(50);
    let (ben, cleo) = (Replica::person(52, "Ben"), Replica::person(53, "Cleo"));
    ada.request_contact(&id(&ben), "on one").unwrap();
    laptop.request_contact(&id(&cleo), "on the other").unwrap();
    laptop.request_contact(&id(&ben), "on the other too").unwrap();
    for _ in 0..2 {
        meet(&ada, &laptop);
    }
    let private: Vec<_> = ada.spaces_info().unwrap().into_iter().filter(|info| info.private).collect();
    assert_eq!(private.len(), 2);
    assert_eq!(ada.contact_requests().unwrap(), laptop.contact_requests().unwrap());
    assert_eq!(ada.contact_requests().unwrap().len(), 2);
    ada.withdraw_request(&id(&cleo)).unwrap();
    laptop.block_identity(&id(&ben)).unwrap();
    laptop.unblock_identity(&id(&ben)).unwrap();
    meet(&ada, &laptop);
    assert_eq!(states(&laptop), [(true, RequestState::Withdrawn)]);
    assert_eq!(states(&ada), states(&laptop));
    private.iter().for_each(|info| assert_equal(info.space, &[&ada, &laptop]));
}

#[test]
fn contacts_come_back_from_the_words_and_a_hub_that_relays_them() {
    let (ada, ben) = contacts(150);
    let hub = Replica::person(152, "Hub");
    ada.set_profile(&profile("Ada", "ada@example.org"), &BTreeSet::new()).unwrap();
    ada.verify_contact(&id(&ben), &ada.verification_number(&id(&ben)).unwrap().code()).unwrap();
    for info in ada.spaces_info().unwrap() {
        ada.grant(&info.space, &hub.card().unwrap(), Rank::Relay).unwrap();
    }
    meet(&ada, &hub);
    hub.space_offers().unwrap().iter().for_each(|offer| hub.accept_space(&offer.space).unwrap());
    meet(&ada, &hub);
    let (identity, words) = (id(&ada), ada.recovery_words().unwrap().expose());
    drop(ada);
    let recovering = Replica::recovering(153, &words.parse().unwrap());
    let mut pair = Pair::new(&recovering, &hub);
    for _ in 0..2 {
        pair.drive();
        assert_eq!(recovering.recover_identity().unwrap(), Some(identity));
    }
    recovering.renew_root().unwrap();
    let laptop = Replica::blank(154);
    link(&laptop, &recovering);
    pair.drive();
    drop(pair);
    for _ in 0..2 {
        meet(&laptop, &hub);
    }
    let contact = laptop.contact(&id(&ben)).unwrap();
    assert!(contact.answered && contact.verified && contact.name() == "Ben");
    assert_eq!(laptop.profile().unwrap().profile.email, "ada@example.org");
    // Ben hears of the new root key by the profile that comes with it.
    laptop.set_profile(&profile("Ada again", ""), &BTreeSet::new()).unwrap();
    ben.host.advance(11 * 60_000);
    meet(&laptop, &ben);
    assert_eq!(ben.contact(&identity).unwrap().name(), "Ada again");
}

/// A device that its identity has removed brings nothing about contacts, neither of its own nor of its identity, and the session with it goes on.
#[test]
fn attack_removed_device_speaks_for_no_contact() {
    let (ada, phone) = linked(160);
    let ben = Replica::person(162, "Ben");
    let space = ada.new_space("common").unwrap();
    ada.grant(&space, &ben.card().unwrap(), Rank::Reader).unwrap();
    meet(&ada, &ben);
    ben.accept_space(&space).unwrap();
    meet(&ada, &ben);
    ada.request_contact(&id(&ben), "").unwrap();
    meet(&ada, &phone);
    phone.set_profile(&profile("Stolen", ""), &BTreeSet::new()).unwrap();
    ada.remove_device(&phone.device()).unwrap();
    meet(&ada, &ben);
    ben.accept_request(&id(&ada)).unwrap();
    let before = ben.contact(&id(&ada)).unwrap();
    meet(&phone, &ben);
    assert_eq!(ben.contact(&id(&ada)).unwrap(), before);
    assert!(phone.contacts().unwrap().is_empty(), "it gets no answer that is not its own");
    // Shown by another device, what the removed one signed is passed over, and nothing else of the session.
    let stolen = phone.signed_profile(Audience::Contacts).unwrap();
    let shown =
        crate::contacts::ContactMessage::Contact { profile: Box::new(stolen), card: Box::new(ada.card().unwrap()) };
    let heard = ben.hear_contact(&id(&ada), &ada.device(), &shown).unwrap();
    assert!(heard.news.is_none());
    assert_eq!(ben.contact(&id(&ada)).unwrap(), before);
    meet(&ada, &ben);
    assert_eq!(ben.contact(&id(&ada)).unwrap().name(), "Ada");
}

#[test]
fn so_many_relations_there_are_and_expired_ones_make_room() {
    let (ada, ben, cleo) = (Replica::person(170, "Ada"), Replica::person(171, "Ben"), Replica::person(172, "Cleo"));
    ada.request_contact(&id(&ben), "").unwrap();
    let private = ada.private_spaces().unwrap()[0];
    let put = |numbers: std::ops::Range<usize>, status: &str, expires: Value| {
        let written = ada.transaction(Durability::Local, |transaction| {
            transaction.in_space(private)?;
            for number in numbers {
                let fields = [("status".to_owned(), status.into()), ("expires".to_owned(), expires.clone())];
                transaction.upsert(relations::COLLECTION, &format!("{number:064x}"), fields.into())?;
            }
            Ok::<_, WriteError>(())
        });
        written.unwrap();
    };
    put(0..MAX_RELATIONS - 1, "blocked", Value::Null);
    let full = ada.request_contact(&id(&cleo), "");
    assert!(matches!(full, Err(ContactError::Invalid { .. })), "{full:?}");
    ada.request_contact(&id(&ben), "another note").unwrap();
    put(7..9, "requested", Value::Timestamp(1));
    ada.request_contact(&id(&cleo), "").unwrap();
    assert_eq!(ada.blocked_identities().unwrap().len(), MAX_RELATIONS - 3);
}

/// A private space is given to nobody else, whatever way of sharing is tried; a hub may relay it.
#[test]
fn attack_private_space_is_given_to_nobody_else() {
    let (ada, ben) = contacts(60);
    let space = ada.spaces_info().unwrap().into_iter().find(|info| info.private).unwrap();
    assert_eq!((space.label.as_str(), space.home, space.members), ("Private", false, 1));
    let (card, space) = (ben.card().unwrap(), space.space);
    for rank in [Rank::Reader, Rank::Writer, Rank::Admin] {
        assert!(matches!(ada.grant(&space, &card, rank), Err(SpaceError::Private { .. })));
        assert!(matches!(ada.share_ticket(&space, rank, vec![], 1_000), Err(SpaceError::Private { .. })));
    }
    ada.grant(&space, &card, Rank::Relay).unwrap();
    assert!(matches!(ada.change_rank(&space, &id(&ben), Rank::Reader), Err(SpaceError::Private { .. })));
    assert!(!ada.is_private(&ada.home_space()).unwrap());
    meet(&ada, &ben);
    ben.accept_space(&space).unwrap();
    meet(&ada, &ben);
    assert!(!ben.is_private(&space).unwrap(), "it is not his");
    assert_eq!(ben.contacts().unwrap().len(), 1, "what he relays are not his contacts");
}

#[test]
fn a_number_verifies_a_contact_and_no_other_number_does() {
    let (ada, ben) = contacts(70);
    let number = ben.verification_number(&id(&ada)).unwrap();
    assert_eq!(number, ada.verification_number(&id(&ben)).unwrap());
    let eve = Replica::person(72, "Ben");
    let others = eve.verification_number(&id(&ada)).unwrap().to_string();
    assert!(matches!(ada.verify_contact(&id(&ben), &others), Err(ContactError::WrongNumber { .. })));
    assert!(!ada.contact(&id(&ben)).unwrap().verified);
    ada.verify_contact(&id(&ben), &number.to_string()).unwrap();
    ben.verify_contact(&id(&ada), &number.code()).unwrap();
    assert!(ada.contact(&id(&ben)).unwrap().verified && ben.contact(&id(&ada)).unwrap().verified);
    assert!(matches!(ada.verify_contact(&id(&eve), &others), Err(ContactError::NoContact { .. })));
    // Who comes back is verified anew.
    ada.remove_contact(&id(&ben)).unwrap();
    ada.request_contact(&id(&ben), "").unwrap();
    meet(&ada, &ben);
    assert!(ada.contact(&id(&ben)).unwrap().answered && !ada.contact(&id(&ben)).unwrap().verified);
}

#[test]
fn what_is_accepted_without_asking_the_policy_says() {
    let (ada, ben) = contacts(80);
    let offer = || {
        let space = ben.new_space("offered").unwrap();
        ben.grant(&space, &ada.card().unwrap(), Rank::Writer).unwrap();
        meet(&ben, &ada);
        meet(&ben, &ada);
        let waits = ada.space_offers().unwrap().iter().any(|offer| offer.space == space);
        (waits, ada.spaces().contains(&space))
    };
    assert_eq!(offer(), (true, false), "by default a contact's offer waits");
    let rule =
        |from, decision| PolicyRule { proposal: Proposal::Space, from, device: None, max_entries: None, decision };
    let verified = rule(Relationship::VerifiedContact, Decision::Accept);
    ada.set_policy(&Policy { rules: vec![verified] }).unwrap();
    assert_eq!(offer(), (true, false), "he is not verified");
    ada.verify_contact(&id(&ben), &ada.verification_number(&id(&ben)).unwrap().to_string()).unwrap();
    assert_eq!(offer(), (false, true));
    ada.set_policy(&Policy { rules: vec![PolicyRule { max_entries: Some(0), ..verified }] }).unwrap();
    assert_eq!(offer(), (true, false), "larger than what is accepted without asking");
    ada.set_policy(&Policy { rules: vec![rule(Relationship::VerifiedContact, Decision::Refuse)] }).unwrap();
    assert_eq!(offer(), (false, false));
    let phones = PolicyRule { device: Some(DeviceKind::Phone), ..verified };
    ada.set_policy(&Policy { rules: vec![phones] }).unwrap();
    assert_eq!(offer(), (true, false), "he doesn't say that it is a phone");
    let said = Profile { devices: [(ben.device(), DeviceKind::Phone)].into(), ..profile("Ben", "") };
    ben.set_profile(&said, &BTreeSet::new()).unwrap();
    ada.host.advance(11 * 60_000);
    meet(&ben, &ada);
    assert_eq!(offer(), (false, true));

    let cleo = Replica::person(82, "Cleo");
    let asks = |decision| {
        let rule = PolicyRule { proposal: Proposal::Request, ..rule(Relationship::Stranger, decision) };
        ada.set_policy(&Policy { rules: vec![rule] }).unwrap();
        cleo.request_contact(&id(&ada), "").unwrap();
        meet(&cleo, &ada);
    };
    asks(Decision::Refuse);
    assert!(ada.contact_requests().unwrap().iter().all(|request| request.identity != id(&cleo)));
    asks(Decision::Accept);
    assert!(ada.contact(&id(&cleo)).unwrap().answered && cleo.contact(&id(&ada)).unwrap().answered);
    let many = Policy { rules: vec![verified; crate::contacts::MAX_POLICY_RULES + 1] };
    assert!(matches!(ada.set_policy(&many), Err(ContactError::Invalid { .. })));
}

#[test]
fn an_own_device_is_asked_about_only_where_the_policy_says_so() {
    let (ada, laptop) = linked(90);
    let rule = PolicyRule {
        proposal: Proposal::Space,
        from: Relationship::OwnDevice,
        device: Some(DeviceKind::Other),
        max_entries: None,
        decision: Decision::Ask,
    };
    laptop.set_policy(&Policy { rules: vec![rule] }).unwrap();
    let space = ada.new_space("large").unwrap();
    meet(&ada, &laptop);
    assert!(!laptop.spaces().contains(&space));
    assert_eq!(laptop.space_offers().unwrap().len(), 1);
    laptop.accept_space(&space).unwrap();
    meet(&ada, &laptop);
    meet(&ada, &laptop);
    assert_equal(space, &[&ada, &laptop]);
}

#[test]
fn profiles_that_are_held_are_found_in_order() {
    let (ada, ben) = contacts(100);
    for (seed, name) in [(102, "Benno"), (103, "Anna Ben")] {
        let other = Replica::person(seed, name);
        other.request_contact(&id(&ada), "").unwrap();
        meet(&other, &ada);
    }
    let found = |field, text: &str| -> Vec<String> {
        ada.search_profiles(field, text).unwrap().into_iter().map(|(_, profile)| profile.name).collect()
    };
    assert_eq!(found(SearchField::Any, "BEN"), ["Ben", "Benno", "Anna Ben"]);
    assert_eq!(found(SearchField::Name, "enno"), ["Benno"]);
    assert_eq!(found(SearchField::Any, "").len(), 3);
    assert_eq!(found(SearchField::Email, "ben"), [""; 0]);
    assert_eq!(ada.search_profiles(SearchField::Name, "ben").unwrap()[0].0, id(&ben));
}

#[test]
fn who_is_asked_has_to_be_somebody_else_and_notes_have_a_limit() {
    let (ada, ben) = (Replica::person(110, "Ada"), Replica::person(111, "Ben"));
    assert!(matches!(ada.request_contact(&id(&ada), ""), Err(ContactError::Oneself)));
    assert!(matches!(ada.verification_number(&id(&ada)), Err(ContactError::Oneself)));
    let long = "n".repeat(MAX_NOTE_BYTES + 1);
    assert!(matches!(ada.request_contact(&id(&ben), &long), Err(ContactError::Invalid { .. })));
    ada.request_contact(&id(&ben), &long[1..]).unwrap();
    meet(&ada, &ben);
    assert_eq!(ben.contact_requests().unwrap()[0].note.len(), MAX_NOTE_BYTES);
    assert!(matches!(ada.remove_contact(&id(&ben)), Err(ContactError::NoContact { .. })));
    let nobody = Replica::blank(112);
    let refused = nobody.request_contact(&id(&ben), "");
    assert!(matches!(refused, Err(ContactError::Space(SpaceError::NoIdentity))), "{refused:?}");
    meet(&nobody, &ada);
}

#[test]
fn a_profile_is_edited_on_any_device_and_an_older_one_gives_way() {
    let (ada, laptop) = linked(120);
    assert_eq!(laptop.profile().unwrap().profile.name, "Ada");
    ada.set_profile(&profile("Ada", "a@example.org"), &[ProfileField::Email].into()).unwrap();
    meet(&ada, &laptop);
    let held = laptop.profile().unwrap();
    assert_eq!((held.revision, held.public), (1, [ProfileField::Email].into()));
    laptop.set_profile(&profile("Ada L.", "l@example.org"), &BTreeSet::new()).unwrap();
    meet(&ada, &laptop);
    let held = ada.profile().unwrap();
    assert_eq!((held.revision, held.profile.name.as_str(), held.public.len()), (2, "Ada L.", 0));
    assert_eq!(ada.signed_profile(Audience::Everyone).unwrap().profile.email, "");
    let long = Profile { email: "e".repeat(300), ..Profile::default() };
    assert!(matches!(ada.set_profile(&long, &BTreeSet::new()), Err(ContactError::Profile(_))));
    // The laptop is lost: what it signed is said by another device, and believed.
    ada.remove_device(&laptop.device()).unwrap();
    let signed = ada.signed_profile(Audience::Contacts).unwrap();
    assert_eq!((signed.revision, signed.profile.name.as_str()), (3, "Ada L."));
    let ben = Replica::person(122, "Ben");
    ada.request_contact(&id(&ben), "").unwrap();
    meet(&ada, &ben);
    assert_eq!(ben.contact_requests().unwrap()[0].profile.as_ref().unwrap().name, "Ada L.");
}

/// A flood of strangers' requests takes the places of strangers, writes nothing once they are taken, and keeps out neither a member's request
/// nor a crossed one, nor what came first.
#[test]
fn attack_connection_request_flood_keeps_no_one_known_out() {
    let ada = Replica::person(130, "Ada");
    let (ben, first) = (Replica::person(131, "Ben"), Replica::person(132, "First"));
    first.request_contact(&id(&ada), "I came first").unwrap();
    meet(&first, &ada);
    let space = ada.new_space("common").unwrap();
    ada.grant(&space, &ben.card().unwrap(), Rank::Reader).unwrap();
    for stranger in 0..MAX_WAITING_REQUESTS as u64 + 8 {
        let stranger = Replica::person(1_000 + stranger, "Stranger");
        stranger.request_contact(&id(&ada), &"x".repeat(MAX_NOTE_BYTES)).unwrap();
        meet(&stranger, &ada);
        meet(&stranger, &ada);
    }
    let held = || ada.locals("request/").unwrap();
    assert_eq!(held().len(), MAX_WAITING_REQUESTS);
    assert!(held().iter().map(|(name, record)| name.len() + record.len()).sum::<usize>() < 320 << 10);
    assert!(ada.contact_requests().unwrap().iter().any(|request| request.note == "I came first"));
    ben.request_contact(&id(&ada), "I am a member").unwrap();
    meet(&ben, &ada);
    let member = ada.contact_requests().unwrap().into_iter().find(|request| request.identity == id(&ben)).unwrap();
    assert!(member.member && member.state == RequestState::Waiting);
    let cleo = Replica::person(133, "Cleo");
    ada.request_contact(&id(&cleo), "").unwrap();
    cleo.request_contact(&id(&ada), "").unwrap();
    meet(&cleo, &ada);
    assert!(ada.contact(&id(&cleo)).unwrap().answered);
    // A place that is free again is taken by who asks next.
    ada.reject_request(&id(&first)).unwrap();
    let late = Replica::person(134, "Late");
    late.request_contact(&id(&ada), "late").unwrap();
    meet(&late, &ada);
    assert!(ada.contact_requests().unwrap().iter().any(|request| request.note == "late"));
    // The inbox of strangers empties by itself.
    ada.host.advance(relations::REQUEST_MS);
    let later = Replica::person(135, "Later");
    later.request_contact(&id(&ada), "").unwrap();
    meet(&later, &ada);
    assert_eq!(held().len(), 1);
}
