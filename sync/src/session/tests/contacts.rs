//! What others may say about being contacts.

use super::super::message::Message;
use super::super::pair::{Pair, Replica};
use super::super::{Input, SessionError};
use crate::codec::Codec;
use crate::contacts::{Audience, ContactMessage, Profile};

fn contact_of(person: &Replica) -> ContactMessage {
    let profile = Box::new(person.signed_profile(Audience::Contacts).unwrap());
    ContactMessage::Contact { profile, card: Box::new(person.card().unwrap()) }
}

fn request_of(person: &Replica, note: &str) -> ContactMessage {
    let profile = Box::new(person.signed_profile(Audience::Everyone).unwrap());
    ContactMessage::Request { note: note.into(), profile }
}

/// The acceptor hears it of the dialer.
fn hear(pair: &mut Pair, message: ContactMessage) {
    pair.acceptor.handle(Input::Frame(Message::Contact(message).to_bytes()));
    pair.drive();
}

fn open(dialer: &Replica, acceptor: &Replica) -> Pair {
    let mut pair = Pair::new(dialer, acceptor);
    pair.drive();
    pair
}

/// Who takes itself for a contact of somebody who neither asked nor agreed is none, and gets no answer.
#[test]
fn attack_contact_that_nobody_asked_for_makes_no_contact() {
    let (ada, eve) = (Replica::person(1, "Ada"), Replica::person(2, "Eve"));
    let mut pair = open(&eve, &ada);
    let sent = pair.acceptor.sent.len();
    let own = eve.signed_profile(Audience::Contacts).unwrap().hash();
    for message in [contact_of(&eve), ContactMessage::Known(None), ContactMessage::Known(Some(own)), contact_of(&eve)] {
        hear(&mut pair, message);
    }
    assert_eq!((pair.acceptor.sent.len(), &pair.acceptor.closed), (sent, &None));
    assert!(ada.contacts().unwrap().is_empty() && ada.contact_requests().unwrap().is_empty());
    assert_eq!(ada.spaces().len(), 1, "nothing was written down");
}

/// A genuine profile or card of somebody else, or a profile for others, ends the session with who shows it.
#[test]
fn attack_profile_or_card_of_somebody_else_ends_the_session() {
    let (ada, ben, eve) = (Replica::person(3, "Ada"), Replica::person(4, "Ben"), Replica::person(5, "Eve"));
    ada.request_contact(&eve.identity().unwrap(), "").unwrap();
    let everyone = Box::new(eve.signed_profile(Audience::Everyone).unwrap());
    let own = Box::new(eve.signed_profile(Audience::Contacts).unwrap());
    let for_others = ContactMessage::Contact { profile: everyone, card: Box::new(eve.card().unwrap()) };
    let others_card = ContactMessage::Contact { profile: own, card: Box::new(ben.card().unwrap()) };
    for message in [contact_of(&ben), request_of(&ben, ""), for_others, others_card] {
        let mut pair = open(&eve, &ada);
        hear(&mut pair, message);
        assert!(matches!(pair.acceptor.closed, Some(SessionError::Protocol { .. })), "{:?}", pair.acceptor.closed);
    }
    assert!(ada.contacts().unwrap().is_empty());
}

/// However often somebody asks in one session, it has one place, which is written once.
#[test]
fn attack_one_who_asks_again_and_again_has_one_place() {
    let (ada, eve) = (Replica::person(6, "Ada"), Replica::person(7, "Eve"));
    let mut pair = open(&eve, &ada);
    for number in 0..300 {
        hear(&mut pair, request_of(&eve, &format!("{number}")));
        if number % 2 == 0 {
            eve.host.advance(1);
        }
    }
    let asked = ada.contact_requests().unwrap();
    assert_eq!((asked.len(), asked[0].note.as_str(), &pair.acceptor.closed), (1, "0", &None));
    // Beyond the messages of one session, not even taking it back is heard.
    hear(&mut pair, ContactMessage::Withdraw);
    assert_eq!(ada.contact_requests().unwrap().len(), 1);
    drop(pair);
    ada.host.advance(60_000);
    let mut pair = open(&eve, &ada);
    hear(&mut pair, request_of(&eve, "later"));
    assert_eq!(ada.contact_requests().unwrap()[0].note, "later");
}

/// An older profile of a contact, replayed, changes nothing; and one that changes all the time is written once in ten minutes.
#[test]
fn attack_contact_that_replays_or_changes_its_profile_all_the_time_grows_no_log() {
    let (ada, ben) = (Replica::person(8, "Ada"), Replica::person(9, "Ben"));
    ada.request_contact(&ben.identity().unwrap(), "").unwrap();
    ben.request_contact(&ada.identity().unwrap(), "").unwrap();
    let mut pair = open(&ben, &ada);
    let older = contact_of(&ben);
    let private = ada.spaces_info().unwrap().into_iter().find(|info| info.private).unwrap().space;
    let entries = || ada.snapshot().unwrap().report(&private).unwrap().entries;
    let shown = || ada.contact(&ben.identity().unwrap()).unwrap().profile.unwrap().location;
    let moves = |to: &str| {
        let said = Profile { name: "Ben".into(), location: to.into(), ..Profile::default() };
        ben.set_profile(&said, &[].into()).unwrap();
        contact_of(&ben)
    };
    ada.host.advance(600_000);
    hear(&mut pair, moves("Paris"));
    assert_eq!(shown(), "Paris");
    let before = entries();
    for number in 0..20 {
        hear(&mut pair, moves(&format!("nowhere {number}")));
    }
    assert_eq!((entries(), shown().as_str()), (before, "Paris"));
    ada.host.advance(600_000);
    hear(&mut pair, older);
    assert_eq!((entries(), shown().as_str()), (before, "Paris"));
    hear(&mut pair, moves("Rome"));
    assert_eq!(shown(), "Rome");
}
