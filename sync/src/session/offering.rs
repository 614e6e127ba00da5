//! Offers to the other side's identity, and answers to its offers.

use std::collections::BTreeSet;

use tidewater_engine::id::SpaceId;

use super::limits::MAX_OFFERS_TAKEN;
use super::message::Message;
use super::{Phase, Session, SessionError, SessionEvent, TicketRefusal};
use crate::contacts::Decision;
use crate::database::{Delivery, Welcome};
use crate::identity::IdentityId;
use crate::ticket::OfferId;

/// What was said about offers in this session.
#[derive(Debug, Default)]
pub(super) struct Offering {
    /// This side's offers that the other side was told of, and those that it was told are over.
    told: BTreeSet<OfferId>,
    over: BTreeSet<OfferId>,
    /// The other side's offers that it was told are turned down.
    declined: BTreeSet<OfferId>,
    /// The other side's offer that this side asks for, and the space that it promised.
    asked: Option<(OfferId, SpaceId)>,
    taken: usize,
}

impl Offering {
    /// Whether this side asked for an offer and waits for the answer.
    pub(super) fn is_asking(&self) -> bool {
        self.asked.is_some()
    }
}

impl Session {
    /// Says what there is to say about offers between the two identities. Each is told once in a session.
    pub(super) fn tell_offers(&mut self) -> Result<(), SessionError> {
        let Some(peer) = self.peer.filter(|peer| Some(*peer) != self.database.identity()) else { return Ok(()) };
        let (open, withdrawn) = self.database.offers_to(&peer)?;
        for delivery in open {
            if self.offering.told.insert(delivery.ticket.offer) {
                self.send(&Message::Offer(Box::new(delivery)));
            }
        }
        for offer in withdrawn {
            self.tell_over(offer);
        }
        for (space, ticket, accepted) in self.database.decided_offers(&self.config.remote)? {
            if !accepted {
                if self.offering.declined.insert(ticket.offer) {
                    self.send(&Message::Decline(ticket.offer));
                }
            } else if self.offering.asked.is_none() && self.phase == Phase::Ready {
                let enrolment = self.database.enrolment(ticket.kind, None).map_err(SessionError::Ticket)?;
                let proof = self.channel()?.ticket_proof(&ticket.secret, &ticket.offer);
                self.send(&Message::Join { offer: ticket.offer, proof, enrolment });
                self.offering.asked = Some((ticket.offer, space));
            }
        }
        Ok(())
    }

    fn tell_over(&mut self, offer: OfferId) {
        if self.offering.over.insert(offer) {
            self.send(&Message::Over(offer));
        }
    }

    /// The other side offers a space. The policy decides on it, or it waits for a decision, among the others that do.
    pub(super) fn take_offer(&mut self, delivery: Delivery) -> Result<(), SessionError> {
        self.offering.taken += 1;
        let space = delivery.space;
        // Only its own device honours a ticket; and of one session no more are looked at than can wait.
        let is_own = delivery.ticket.inviter == self.config.remote && self.offering.taken <= MAX_OFFERS_TAKEN;
        let from = self.peer.filter(|from| is_own && Some(*from) != self.database.identity());
        let Some(from) = from else { return Ok(()) };
        // How large the space is, an offer doesn't say: a rule with a limit doesn't take it.
        let decision = self.decide_on_space(&from, &space, u64::MAX)?;
        if decision == Decision::Refuse || !self.database.keep_offer(from, delivery)? {
            return Ok(());
        }
        if decision == Decision::Accept && self.database.accept_space(&space).is_ok() {
            return self.tell_offers();
        }
        self.event(SessionEvent::Offered { space });
        Ok(())
    }

    /// What is done about a space that the other side gives or offers.
    pub(super) fn decide_on_space(
        &self,
        from: &IdentityId,
        space: &SpaceId,
        entries: u64,
    ) -> Result<Decision, SessionError> {
        let decision = self.database.decide_on_space(from, &self.config.remote, entries)?;
        // What was left, declined or forgotten here comes back by a decision only, whatever the policy.
        let waits = self.database.waits_for_decision(space)?;
        Ok(if waits { decision.max(Decision::Ask) } else { decision })
    }

    /// The other side turns an offer down that is for its identity.
    pub(super) fn take_decline(&mut self, offer: OfferId) -> Result<(), SessionError> {
        if let Some(peer) = self.peer
            && self.database.take_declined(&peer, &offer)?
        {
            self.event(SessionEvent::OfferDeclined { offer });
        }
        // Whatever it was: the other side need not say it again.
        self.tell_over(offer);
        Ok(())
    }

    /// The other side's offer is over: it took it back, or heard that it is turned down.
    pub(super) fn take_over(&mut self, offer: OfferId) -> Result<(), SessionError> {
        if let Some(space) = self.database.forget_offer(&self.config.remote, &offer)? {
            self.event(SessionEvent::OfferRefused { space });
        }
        Ok(())
    }

    /// The other side honours the offer that this side asked for.
    pub(super) fn take_welcome(&mut self, welcome: &Welcome) -> Result<(), SessionError> {
        let false_welcome = || SessionError::Protocol { why: "a welcome that is not genuine".into() };
        let (offer, space) = self.offering.asked.take().ok_or_else(false_welcome)?;
        if welcome.identity.is_some() || welcome.invites.iter().any(|invite| invite.space() != space) {
            return Err(false_welcome());
        }
        let spaces =
            self.database.accept_welcome(welcome).map_err(|error| error.map_or_else(false_welcome, Into::into))?;
        self.database.forget_offer(&self.config.remote, &offer)?;
        self.spaces.relist();
        spaces.iter().for_each(|space| self.expect_control(*space));
        self.event(SessionEvent::Joined { spaces });
        self.list_all()?;
        self.tell_offers()
    }

    /// The other side doesn't honour the offer that this side asked for, and ends the session.
    pub(super) fn take_refusal(&mut self, refusal: TicketRefusal) -> Result<(), SessionError> {
        if let Some((offer, _)) = self.offering.asked.take() {
            self.take_over(offer)?;
        }
        Err(SessionError::Ticket(refusal))
    }
}
