//! Tickets.

use tidewater_engine::space::{Rank, SecretKey};

use super::super::pair::{Pair, Replica, assert_equal, linked};
use super::super::{SessionError, SessionEvent, TicketRefusal};
use crate::database::SpaceError;
use crate::ticket::{OfferId, Ticket};

fn refused(pair: &Pair) -> Option<&SessionError> {
    pair.dialer.closed.as_ref()
}

fn share(owner: &Replica, rank: Rank) -> Ticket {
    owner.share_ticket(&owner.home_space(), rank, vec!["memory:owner".into()], 60_000).unwrap()
}

#[test]
fn a_share_ticket_gives_another_person_a_rank() {
    let (ada, ben) = (Replica::person(1, "Ada"), Replica::person(2, "Ben"));
    let home = ada.home_space();
    ada.write(home, "note", "for Ben");
    let ticket: Ticket = share(&ada, Rank::Writer).to_string().parse().unwrap();
    let mut pair = Pair::joining(&ben, &ada, &ticket);
    pair.drive();
    assert!(pair.dialer.events.contains(&SessionEvent::Joined { spaces: vec![home] }));
    assert!(pair.acceptor.events.contains(&SessionEvent::Admitted { identity: ben.identity().unwrap() }));
    assert_eq!(ben.read(home, "note").as_deref(), Some("for Ben"));
    ben.write(home, "answer", "from Ben");
    pair.drive();
    assert_eq!(ada.read(home, "answer").as_deref(), Some("from Ben"));
    assert_equal(home, &[&ada, &ben]);
    let members: Vec<_> = ben.members(&home).unwrap().into_iter().map(|m| (m.name, m.rank)).collect();
    assert_eq!(members, [("Ada".to_owned(), Rank::Owner), ("Ben".to_owned(), Rank::Writer)]);
    assert_ne!(ben.home(), Some(home), "a shared space doesn't become home");
    let peers = ben.peers().unwrap();
    assert_eq!(peers[0].device, ada.device());
    assert!(peers[0].addresses.contains(&"memory:owner".to_owned()));
}

#[test]
fn a_ticket_is_honoured_once_but_a_lost_answer_may_be_asked_for_again() {
    let (ada, ben, eve) = (Replica::person(1, "Ada"), Replica::person(2, "Ben"), Replica::person(3, "Eve"));
    let home = ada.home_space();
    let ticket = share(&ada, Rank::Reader);
    // Ben's first try breaks before the welcome arrives; it counts all the same.
    let mut cut = Pair::joining(&ben, &ada, &ticket);
    cut.cut_after = Some(6);
    cut.drive();
    drop(cut);
    let mut stolen = Pair::joining(&eve, &ada, &ticket);
    stolen.drive();
    assert_eq!(refused(&stolen), Some(&SessionError::Ticket(TicketRefusal::Spent)));
    assert_eq!(eve.spaces().len(), 1);
    let mut again = Pair::joining(&ben, &ada, &ticket);
    again.drive();
    assert_eq!(refused(&again), None);
    assert!(ben.spaces().contains(&home));
    assert_eq!(ada.members(&home).unwrap().len(), 2, "asking twice grants once");
}

#[test]
fn cut_at_any_frame_joining_succeeds_at_the_next_try() {
    for limit in 0..40 {
        let (first, second) = (Replica::person(1, "Ada"), Replica::blank(2));
        let home = first.home_space();
        first.write(home, "note", "x");
        let ticket = first.link_ticket(vec![], 60_000).unwrap();
        let mut cut = Pair::joining(&second, &first, &ticket);
        cut.cut_after = Some(limit);
        cut.drive();
        let joined = second.identity().is_some();
        drop(cut);
        let mut pair = if joined { Pair::new(&second, &first) } else { Pair::joining(&second, &first, &ticket) };
        pair.drive();
        assert_eq!((pair.dialer.closed, pair.acceptor.closed), (None, None), "cut after {limit}");
        assert_eq!(second.read(home, "note").as_deref(), Some("x"), "cut after {limit}");
        assert_eq!(second.home(), Some(home), "cut after {limit}");
    }
}

/// A ticket that does not count tells nothing about why.
#[test]
fn attack_expired_withdrawn_unknown_and_forged_tickets_get_one_answer() {
    let (ada, ben) = (Replica::person(1, "Ada"), Replica::person(2, "Ben"));
    let expired = share(&ada, Rank::Reader);
    ada.host.advance(60_000);
    let withdrawn = share(&ada, Rank::Reader);
    ada.cancel_offer(&withdrawn.offer).unwrap();
    let good = share(&ada, Rank::Reader);
    let unknown = Ticket { offer: OfferId([9; 16]), ..good.clone() };
    let forged = Ticket { secret: SecretKey::new([9; 32]), ..good.clone() };
    for ticket in [&expired, &withdrawn, &unknown, &forged] {
        let mut pair = Pair::joining(&ben, &ada, ticket);
        pair.drive();
        assert_eq!(refused(&pair), Some(&SessionError::Ticket(TicketRefusal::Spent)));
        assert_eq!(pair.acceptor.closed, Some(SessionError::Ticket(TicketRefusal::Spent)));
    }
    assert_eq!(ada.members(&ada.home_space()).unwrap().len(), 1);
    let mut pair = Pair::joining(&ben, &ada, &good);
    pair.drive();
    assert_eq!(refused(&pair), None, "a forger doesn't spend the ticket");
}

#[test]
fn a_ticket_of_the_wrong_kind_says_what_to_do() {
    let (ada, ben, blank) = (Replica::person(1, "Ada"), Replica::person(2, "Ben"), Replica::blank(3));
    let link = ada.link_ticket(vec![], 60_000).unwrap();
    let mut pair = Pair::joining(&ben, &ada, &link);
    pair.drive();
    assert_eq!(refused(&pair), Some(&SessionError::Ticket(TicketRefusal::HasIdentity)));
    let mut pair = Pair::joining(&blank, &ada, &share(&ada, Rank::Reader));
    pair.drive();
    assert_eq!(refused(&pair), Some(&SessionError::Ticket(TicketRefusal::NeedsIdentity)));
    let (first, second) = linked(10);
    let mut pair = Pair::joining(&second, &first, &share(&first, Rank::Reader));
    pair.drive();
    assert_eq!(refused(&pair), Some(&SessionError::Ticket(TicketRefusal::OwnTicket)));
    let mut pair = Pair::joining(&blank, &ben, &link);
    pair.drive();
    assert!(matches!(refused(&pair), Some(SessionError::Unproven { .. })), "another device answered");
}

#[test]
fn only_those_who_may_make_tickets() {
    let (first, second) = linked(20);
    assert!(matches!(second.link_ticket(vec![], 1), Err(SpaceError::NoRootKey)));
    assert!(matches!(Replica::blank(30).link_ticket(vec![], 1), Err(SpaceError::NoIdentity)));
    let ben = Replica::person(31, "Ben");
    let home = first.home_space();
    let ticket = share(&first, Rank::Writer);
    Pair::joining(&ben, &first, &ticket).drive();
    assert!(matches!(ben.share_ticket(&home, Rank::Reader, vec![], 1), Err(SpaceError::Forbidden { .. })));
    assert!(matches!(first.share_ticket(&home, Rank::Owner, vec![], 1), Err(SpaceError::NotBelow { .. })));
    let long = vec!["x".repeat(Ticket::MAX_ADDRESS_BYTES + 1)];
    assert!(matches!(first.link_ticket(long, 1), Err(SpaceError::Invalid { .. })));
}
