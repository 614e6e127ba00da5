//! Offers of spaces to one identity, and the orders in which that goes wrong.

use tidewater_engine::space::Rank;

use super::super::pair::{Pair, Replica, assert_equal, linked};
use super::super::{SessionError, SessionEvent, TicketRefusal};
use crate::contacts::{Decision, Policy, PolicyRule, Proposal, Relationship};
use crate::database::{OfferState, SpaceError};
use crate::ticket::{OfferId, Ticket};

const VALID_MS: i64 = 600_000;

fn offer(owner: &Replica, to: &Replica, rank: Rank) -> Ticket {
    owner.offer_space(&owner.home_space(), rank, &to.identity().unwrap(), vec![], VALID_MS).unwrap()
}

fn state(owner: &Replica, ticket: &Ticket) -> &'static str {
    let offers = owner.offers().unwrap();
    offers.iter().find(|offer| offer.id == ticket.offer).unwrap().state.name()
}

#[test]
fn an_offer_comes_by_itself_and_is_accepted_in_the_session_in_which_it_came() {
    let (ada, ben) = (Replica::person(1, "Ada"), Replica::person(2, "Ben"));
    let home = ada.home_space();
    ada.write(home, "note", "x");
    let ticket = offer(&ada, &ben, Rank::Writer);
    assert_eq!(state(&ada, &ticket), "open");
    let mut pair = Pair::new(&ben, &ada);
    pair.drive();
    assert!(pair.dialer.events.contains(&SessionEvent::Offered { space: home }));
    let offers = ben.space_offers().unwrap();
    assert_eq!((offers.len(), offers[0].space, offers[0].rank), (1, home, Some(Rank::Writer)));
    assert_eq!((offers[0].from, offers[0].accepted), (ada.identity().unwrap(), false));
    assert_eq!(ben.spaces().len(), 1, "nothing is followed without being asked");
    assert_eq!(ada.members(&home).unwrap().len(), 1, "nothing is given without being asked");
    ben.accept_space(&home).unwrap();
    assert!(matches!(ben.accept_space(&home), Err(SpaceError::Accepted { .. })));
    assert!(matches!(ben.decline_space(&home), Err(SpaceError::Accepted { .. })));
    assert!(ben.space_offers().unwrap()[0].accepted);
    pair.tick();
    assert_eq!(ben.read(home, "note").as_deref(), Some("x"));
    assert!(ben.space_offers().unwrap().is_empty());
    assert_eq!(state(&ada, &ticket), "used");
    let used = ada.offers().unwrap()[0].state;
    assert!(
        matches!(used, OfferState::Used { device, identity, .. } if device == ben.device() && identity == ben.identity())
    );
    assert!(matches!(
        ada.cancel_offer(&ticket.offer),
        Err(SpaceError::OfferOver { state: OfferState::Used { .. }, .. })
    ));
    assert_equal(home, &[&ada, &ben]);
    assert_eq!((&pair.dialer.closed, &pair.acceptor.closed), (&None, &None));
}

#[test]
fn an_offer_is_accepted_in_a_later_session() {
    let (ada, ben) = (Replica::person(1, "Ada"), Replica::person(2, "Ben"));
    let home = ada.home_space();
    offer(&ada, &ben, Rank::Reader);
    Pair::new(&ada, &ben).drive();
    ben.accept_space(&home).unwrap();
    let mut pair = Pair::new(&ada, &ben);
    pair.drive();
    assert_eq!(ben.spaces().len(), 2);
    assert!(
        pair.acceptor.events.iter().any(|event| matches!(event, SessionEvent::Joined { spaces } if spaces == &[home]))
    );
    assert_equal(home, &[&ada, &ben]);
}

#[test]
fn who_declines_is_heard_and_not_asked_again() {
    let (ada, ben) = (Replica::person(1, "Ada"), Replica::person(2, "Ben"));
    let home = ada.home_space();
    let ticket = offer(&ada, &ben, Rank::Reader);
    let mut pair = Pair::new(&ben, &ada);
    pair.drive();
    ben.decline_space(&home).unwrap();
    assert!(ben.space_offers().unwrap().is_empty());
    assert!(matches!(ben.decline_space(&home), Err(SpaceError::NoOffer { .. })));
    assert!(matches!(ben.accept_space(&home), Err(SpaceError::NoOffer { .. })));
    pair.tick();
    assert!(pair.acceptor.events.contains(&SessionEvent::OfferDeclined { offer: ticket.offer }));
    assert_eq!(state(&ada, &ticket), "declined");
    assert!(matches!(ada.cancel_offer(&ticket.offer), Err(SpaceError::OfferOver { .. })));
    Pair::new(&ben, &ada).drive();
    assert!(ben.space_offers().unwrap().is_empty());
    assert_eq!(ben.locals("invite/").unwrap(), [], "nothing is kept of it");
    // A new offer is another matter.
    offer(&ada, &ben, Rank::Reader);
    Pair::new(&ben, &ada).drive();
    assert_eq!(ben.space_offers().unwrap().len(), 1);
}

/// An offer that was taken back gives nothing, whether its addressee heard of that, had accepted, or comes with the ticket.
#[test]
fn attack_cancelled_offer_that_arrives_late_is_refused() {
    let (ada, ben) = (Replica::person(1, "Ada"), Replica::person(2, "Ben"));
    let home = ada.home_space();
    let first = offer(&ada, &ben, Rank::Reader);
    Pair::new(&ben, &ada).drive();
    ada.cancel_offer(&first.offer).unwrap();
    assert!(matches!(ada.cancel_offer(&first.offer), Err(SpaceError::OfferOver { .. })));
    assert!(matches!(ada.cancel_offer(&OfferId([9; 16])), Err(SpaceError::NoSuchOffer { .. })));
    // Accepted before the word came: that comes first in the next session, or the ticket is refused.
    ben.accept_space(&home).unwrap();
    let mut pair = Pair::new(&ben, &ada);
    pair.drive();
    assert!(pair.dialer.events.contains(&SessionEvent::OfferRefused { space: home }));
    assert!(ben.space_offers().unwrap().is_empty());
    let mut pair = Pair::joining(&ben, &ada, &first);
    pair.drive();
    assert_eq!(pair.dialer.closed, Some(SessionError::Ticket(TicketRefusal::Spent)));
    assert_eq!(ada.members(&home).unwrap().len(), 1);
    assert_eq!(state(&ada, &first), "cancelled");
}

/// An offer to one identity is worth nothing to any other, with its ticket neither.
#[test]
fn attack_offer_for_another_identity_gets_the_answer_of_a_spent_one() {
    let (ada, ben, eve) = (Replica::person(1, "Ada"), Replica::person(2, "Ben"), Replica::person(3, "Eve"));
    let home = ada.home_space();
    let ticket = offer(&ada, &ben, Rank::Writer);
    let mut pair = Pair::joining(&eve, &ada, &ticket);
    pair.drive();
    assert_eq!(pair.dialer.closed, Some(SessionError::Ticket(TicketRefusal::Spent)));
    assert_eq!(eve.space_offers().unwrap(), []);
    assert_eq!(state(&ada, &ticket), "open", "it is not used up");
    let mut pair = Pair::joining(&ben, &ada, &ticket);
    pair.drive();
    assert_eq!((&pair.dialer.closed, state(&ada, &ticket)), (&None, "used"));
    assert_eq!(ada.members(&home).unwrap().len(), 2);
}

/// A ticket gives its rank once: who was removed, or left, doesn't come back with the one that it used.
#[test]
fn attack_used_ticket_brings_no_removed_member_back() {
    let (ada, ben) = (Replica::person(1, "Ada"), Replica::person(2, "Ben"));
    let home = ada.home_space();
    for leaves in [false, true] {
        let ticket = ada.share_ticket(&home, Rank::Writer, vec![], VALID_MS).unwrap();
        Pair::joining(&ben, &ada, &ticket).drive();
        assert_eq!(ada.members(&home).unwrap().len(), 2, "{leaves}");
        if leaves {
            ben.leave(&home).unwrap();
            Pair::new(&ben, &ada).drive();
        } else {
            ada.revoke(&home, &ben.identity().unwrap()).unwrap();
        }
        let mut again = Pair::joining(&ben, &ada, &ticket);
        again.drive();
        assert_eq!(again.dialer.closed, Some(SessionError::Ticket(TicketRefusal::Spent)), "{leaves}");
        assert_eq!(ada.members(&home).unwrap().len(), 1, "{leaves}");
    }
}

#[test]
fn who_may_offer_what_to_whom() {
    let (ada, ben, cid) = (Replica::person(1, "Ada"), Replica::person(2, "Ben"), Replica::person(3, "Cid"));
    let home = ada.home_space();
    let ticket = offer(&ada, &ben, Rank::Writer);
    Pair::joining(&ben, &ada, &ticket).drive();
    let to = |person: &Replica| person.identity().unwrap();
    let offered = |by: &Replica, rank, whom: &Replica| by.offer_space(&home, rank, &to(whom), vec![], VALID_MS);
    assert!(matches!(offered(&ben, Rank::Reader, &cid), Err(SpaceError::Forbidden { .. })));
    assert!(matches!(offered(&ada, Rank::Owner, &cid), Err(SpaceError::NotBelow { .. })));
    assert!(matches!(offered(&ada, Rank::Reader, &ada), Err(SpaceError::Invalid { .. })));
    assert!(matches!(offered(&ada, Rank::Reader, &ben), Err(SpaceError::Invalid { .. })));
    assert!(matches!(offered(&cid, Rank::Reader, &ben), Err(SpaceError::Read(_) | SpaceError::UnknownSpace { .. })));
    // A higher rank is offered to a member, and is there at once when it is accepted.
    offered(&ada, Rank::Admin, &ben).unwrap();
    Pair::new(&ben, &ada).drive();
    ben.accept_space(&home).unwrap();
    Pair::new(&ben, &ada).drive();
    assert!(ben.spaces_info().unwrap().iter().any(|info| info.space == home && info.rank == Some(Rank::Admin)));
}

#[test]
fn what_expired_is_listed_as_that_and_offered_no_more() {
    let (ada, ben) = (Replica::person(1, "Ada"), Replica::person(2, "Ben"));
    let home = ada.home_space();
    let ticket = offer(&ada, &ben, Rank::Reader);
    Pair::new(&ben, &ada).drive();
    for replica in [&ada, &ben] {
        replica.host.advance(VALID_MS);
    }
    assert_eq!(state(&ada, &ticket), "expired");
    assert!(ben.space_offers().unwrap().is_empty());
    assert!(matches!(ben.accept_space(&home), Err(SpaceError::NoOffer { .. })));
    assert!(matches!(ada.cancel_offer(&ticket.offer), Err(SpaceError::OfferOver { state: OfferState::Expired, .. })));
    Pair::new(&ben, &ada).drive();
    assert!(ben.space_offers().unwrap().is_empty());
}

/// An offer is for an identity: each of its devices is told of it, and the first that comes uses it.
#[test]
fn an_offer_reaches_every_device_of_the_identity_and_is_used_by_one() {
    let (ada, (laptop, phone)) = (Replica::person(1, "Ada"), linked(10));
    let home = ada.home_space();
    offer(&ada, &laptop, Rank::Reader);
    for device in [&laptop, &phone] {
        Pair::new(device, &ada).drive();
        assert_eq!(device.space_offers().unwrap().len(), 1);
        device.accept_space(&home).unwrap();
    }
    Pair::new(&laptop, &ada).drive();
    Pair::new(&phone, &laptop).drive();
    Pair::new(&phone, &ada).drive();
    Pair::new(&phone, &ada).drive();
    assert_equal(home, &[&ada, &laptop, &phone]);
    assert!(phone.space_offers().unwrap().is_empty());
    assert_eq!(ada.members(&home).unwrap().len(), 2);
}

fn policy(from: Relationship, max_entries: Option<u64>, decision: Decision) -> Policy {
    Policy { rules: vec![PolicyRule { proposal: Proposal::Space, from, device: None, max_entries, decision }] }
}

/// A hub takes what it is offered, if its policy says so; a rule with a limit doesn't fit, since an offer does not say how large the
/// space is. Whoever offers is a peer from then on.
#[test]
fn a_policy_accepts_an_offer_without_asking() {
    for (max_entries, takes) in [(Some(1_000), false), (None, true)] {
        let (ada, hub) = (Replica::person(1, "Ada"), Replica::person(2, "Hub"));
        let home = ada.home_space();
        ada.write(home, "note", "x");
        hub.set_policy(&policy(Relationship::Stranger, max_entries, Decision::Accept)).unwrap();
        let ticket =
            ada.offer_space(&home, Rank::Relay, &hub.identity().unwrap(), vec!["memory:ada".into()], VALID_MS).unwrap();
        let mut pair = Pair::new(&hub, &ada);
        pair.drive();
        assert_eq!(hub.spaces().contains(&home), takes);
        assert_eq!(state(&ada, &ticket), if takes { "used" } else { "open" });
        assert_eq!(pair.dialer.events.contains(&SessionEvent::Offered { space: home }), !takes);
        let at_address = "memory:ada".to_owned();
        let knows = hub.peers().unwrap().into_iter().find(|peer| peer.device == ada.device());
        assert_eq!(knows.is_some_and(|peer| peer.addresses.contains(&at_address)), takes);
    }
}

/// What somebody offers whose offers are refused, as those of blocked identities are, is passed over without a word.
#[test]
fn attack_refused_offers_leave_no_trace() {
    let (ada, ben) = (Replica::person(1, "Ada"), Replica::person(2, "Ben"));
    ben.set_policy(&policy(Relationship::Stranger, None, Decision::Refuse)).unwrap();
    let ticket = offer(&ada, &ben, Rank::Writer);
    let mut pair = Pair::new(&ben, &ada);
    pair.drive();
    assert!(!pair.dialer.events.contains(&SessionEvent::Offered { space: ada.home_space() }));
    assert!(ben.space_offers().unwrap().is_empty());
    assert_eq!(state(&ada, &ticket), "open");
}
