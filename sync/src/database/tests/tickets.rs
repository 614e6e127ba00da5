//! Tickets: how many, how long, and what whoever uses one has to show.

use tidewater_engine::id::{DeviceId, SpaceId};
use tidewater_engine::space::Rank;

use super::super::tickets::{MAX_WELCOME_BYTES, MAX_WELCOME_SPACES};
use super::super::{Enrolment, MAX_PENDING_TICKETS, RedeemError, SpaceError, Welcome, records};
use crate::identity::{Certificate, IdentityCard, possession_of};
use crate::keys::Wrapped;
use crate::session::TicketRefusal;
use crate::session::pair::Replica;
use crate::simulation::Person;
use crate::ticket::Ticket;

/// What a device without an identity says of itself.
fn device(blank: &Replica, inviter: &Replica) -> Enrolment {
    let agreement = blank.agreement().public();
    let possession = possession_of(blank.device_key(), &inviter.identity().unwrap(), &agreement);
    Enrolment::Device { agreement, possession }
}

fn redeem(
    inviter: &Replica,
    remote: DeviceId,
    ticket: &Ticket,
    enrolment: &Enrolment,
) -> Result<Welcome, Option<TicketRefusal>> {
    inviter.redeem(&remote, &ticket.offer, enrolment, |_| true).map_err(|error| match error {
        RedeemError::Refused(refusal) => Some(refusal),
        RedeemError::Failed(_) => None,
    })
}

#[test]
fn the_addresses_of_a_ticket_have_limits() {
    let ada = Replica::person(1, "Ada");
    let address = |bytes: usize| "x".repeat(bytes);
    let (most, longest) = (Ticket::MAX_ADDRESSES, Ticket::MAX_ADDRESS_BYTES);
    assert!(ada.link_ticket(vec![address(longest); most], 1000).is_ok());
    for wrong in [vec![address(1); most + 1], vec![address(1); most + 2], vec![address(longest + 1)]] {
        assert!(matches!(ada.link_ticket(wrong, 1000), Err(SpaceError::Invalid { .. })));
    }
}

#[test]
fn so_many_tickets_wait_until_they_expire() {
    let ada = Replica::person(1, "Ada");
    (0..MAX_PENDING_TICKETS).for_each(|_| drop(ada.link_ticket(vec![], 1000).unwrap()));
    assert!(matches!(ada.link_ticket(vec![], 1000), Err(SpaceError::Invalid { .. })));
    ada.host.advance(999);
    assert!(matches!(ada.link_ticket(vec![], 1000), Err(SpaceError::Invalid { .. })));
    ada.host.advance(1);
    ada.link_ticket(vec![], 1000).unwrap();
    assert_eq!(ada.locals(records::OFFER_PREFIX).unwrap().len(), 1, "nothing is kept of what expired");
}

#[test]
fn only_a_genuine_card_that_names_the_device_is_granted_a_rank() {
    let (ada, ben, eve) = (Replica::person(1, "Ada"), Person::new(2, "Ben"), Person::new(3, "Eve"));
    let home = ada.home_space();
    let ticket = ada.share_ticket(&home, Rank::Reader, vec![], 1000).unwrap();
    let eves = eve.devices[0].0.device();
    let forged = IdentityCard { certificates: eve.card().certificates, ..ben.card() };
    for card in [ben.card(), forged] {
        let refused = redeem(&ada, eves, &ticket, &Enrolment::Member(card));
        assert_eq!(refused.err(), Some(Some(TicketRefusal::Spent)));
    }
    assert_eq!(ada.members(&home).unwrap().len(), 1);
    redeem(&ada, eves, &ticket, &Enrolment::Member(eve.card())).unwrap();
    assert_eq!(ada.members(&home).unwrap().len(), 2, "what was refused did not use it up");
}

#[test]
fn a_device_that_asks_again_gets_the_certificate_that_it_has() {
    let (ada, blank) = (Replica::person(1, "Ada"), Replica::blank(2));
    let ticket = ada.link_ticket(vec![], 1000).unwrap();
    let first = redeem(&ada, blank.device(), &ticket, &device(&blank, &ada)).unwrap();
    ada.host.advance(10);
    let again = redeem(&ada, blank.device(), &ticket, &device(&blank, &ada)).unwrap();
    assert_eq!(again.identity, first.identity);
    assert_eq!(ada.card().unwrap().certificates.len(), 2);
}

#[test]
fn a_welcome_begins_with_home_and_has_so_many_spaces() {
    let (ada, blank) = (Replica::person(1, "Ada"), Replica::blank(2));
    for _ in 0..MAX_WELCOME_SPACES + 5 {
        ada.new_space("another").unwrap();
    }
    let ticket = ada.link_ticket(vec![], 1000).unwrap();
    let welcome = redeem(&ada, blank.device(), &ticket, &device(&blank, &ada)).unwrap();
    assert_eq!(welcome.invites.len(), MAX_WELCOME_SPACES);
    assert_eq!((welcome.invites[0].space(), welcome.home), (ada.home_space(), ada.home()));
    let others: Vec<SpaceId> = welcome.invites[1..].iter().map(super::super::Invite::space).collect();
    assert!(others.is_sorted());
}

#[test]
fn a_welcome_has_so_many_bytes() {
    let (ada, blank) = (Replica::person(1, "Ada"), Replica::blank(2));
    let record = ada.identity_record().unwrap();
    let root = &record.secrets.as_ref().unwrap().root;
    let others: Vec<Certificate> = (0..30)
        .map(|seed| {
            let (key, agreement, _) = &Person::new(100 + seed, "device").devices[0];
            let possession = possession_of(key, &record.genesis.id(), &agreement.public());
            Certificate::issue(root, record.genesis.id(), key.device(), agreement.public(), possession, 0)
        })
        .collect();
    ada.add_certificates(&others, &[]).unwrap();
    for _ in 0..40 {
        ada.new_space("large").unwrap();
    }
    let ticket = ada.link_ticket(vec![], 1000).unwrap();
    let welcome = redeem(&ada, blank.device(), &ticket, &device(&blank, &ada)).unwrap();
    let sizes: Vec<usize> = welcome.invites.iter().map(|invite| invite.genesis.len() + Wrapped::BYTES).collect();
    let (bytes, largest) = (sizes.iter().sum::<usize>(), sizes.iter().max().unwrap());
    assert!(*largest > 10_000, "{largest} bytes");
    assert!(bytes <= MAX_WELCOME_BYTES && bytes + largest > MAX_WELCOME_BYTES, "{bytes} bytes");
}

/// Whoever answers a joining device can't give it another identity, or a certificate of another device.
#[test]
fn attack_welcome_that_is_not_for_this_device_is_not_believed() {
    let (ben, eve, blank) = (Person::new(2, "Ben"), Person::new(3, "Eve"), Replica::blank(1));
    let certified = ben.certify(blank.device_key(), blank.agreement().public(), 0);
    let welcome = |card: IdentityCard| Welcome { identity: Some(card), home: None, invites: vec![] };
    let forged = IdentityCard { certificates: vec![certified], ..eve.card() };
    for card in [ben.card(), forged] {
        assert!(matches!(blank.accept_welcome(&welcome(card)), Err(None)));
        assert_eq!(blank.identity(), None);
    }
    blank.accept_welcome(&welcome(IdentityCard { certificates: vec![certified], ..ben.card() })).unwrap();
    assert_eq!(blank.identity(), Some(ben.id()));
}
