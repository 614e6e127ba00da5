//! Spaces that others offer, and what is decided about them.

use tidewater_engine::id::{DeviceId, SpaceId};
use tidewater_engine::space::Rank;

use super::offers::Delivery;
use super::records::{self, Decision, DepartureState, Invitation, InviteRecord};
use super::spaces::MAX_SPACE_OFFERS;
use super::{Database, Invite, SpaceError, SpaceOffer};
use crate::codec::Codec;
use crate::identity::IdentityId;
use crate::ticket::{OfferId, Ticket};

impl Database {
    /// Keeps an invitation of another identity until someone decides. False: it can't be opened, or too many wait.
    pub(crate) fn keep_invite(&self, from: IdentityId, invite: &Invite) -> Result<bool, SpaceError> {
        let Some(record) = self.open_invite(invite) else { return Ok(false) };
        let space = invite.space();
        let known: Option<InviteRecord> = records::read(&self.inner.store, &records::invite(&space))?;
        // A rank that was given takes the place of one that was promised.
        if known.is_some_and(|known| matches!(known.how, Invitation::Granted(_))) {
            return Ok(false);
        }
        self.keep(&space, from, Invitation::Granted(record))
    }

    /// Keeps an offer that a device of another identity brings, until someone decides. False: there is nothing new to decide, or
    /// too many wait.
    pub(crate) fn keep_offer(&self, from: IdentityId, delivery: Delivery) -> Result<bool, SpaceError> {
        let Delivery { ticket, space, rank } = delivery;
        let held = self.rank_in(&space)?;
        if self.is_over(&ticket) || held >= Some(rank) {
            return Ok(false);
        }
        let known: Option<InviteRecord> = records::read(&self.inner.store, &records::invite(&space))?;
        let replaces = known.is_none_or(|known| match known.how {
            Invitation::Granted(_) => false,
            // Its maker may have taken the one before it back while this device was away.
            Invitation::Ticket { ticket: before, .. } => {
                self.is_over(&before) || (before.inviter == ticket.inviter && before.offer != ticket.offer)
            }
        });
        let how = Invitation::Ticket { ticket: Box::new(ticket), rank, decision: Decision::Waits };
        Ok(replaces && self.keep(&space, from, how)?)
    }

    fn keep(&self, space: &SpaceId, from: IdentityId, how: Invitation) -> Result<bool, SpaceError> {
        self.sweep_invites()?;
        let name = records::invite(space);
        let waiting = self.inner.store.locals(records::INVITE_PREFIX)?;
        if waiting.len() >= MAX_SPACE_OFFERS && waiting.iter().all(|(known, _)| *known != name) {
            return Ok(false);
        }
        let kept = InviteRecord { space: *space, from, received_ms: self.inner.host.now_ms(), how };
        self.inner.store.set_local(&[(&name, Some(&kept.to_bytes()))])?;
        Ok(true)
    }

    fn is_over(&self, ticket: &Ticket) -> bool {
        ticket.expires_ms <= self.inner.host.now_ms()
    }

    /// Removes tickets that came here and expired.
    fn sweep_invites(&self) -> Result<(), SpaceError> {
        let known = records::read_all::<InviteRecord>(&self.inner.store, records::INVITE_PREFIX)?;
        let over = known.iter().filter(|(_, known)| match &known.how {
            Invitation::Granted(_) => false,
            Invitation::Ticket { ticket, .. } => self.is_over(ticket),
        });
        let removals: Vec<(&str, Option<&[u8]>)> = over.map(|(name, _)| (name.as_str(), None)).collect();
        if removals.is_empty() { Ok(()) } else { Ok(self.inner.store.set_local(&removals)?) }
    }

    /// Whether a space was offered with the rank given already, and nobody has decided yet.
    pub(crate) fn has_offer(&self, space: &SpaceId) -> Result<bool, SpaceError> {
        let known: Option<InviteRecord> = records::read(&self.inner.store, &records::invite(space))?;
        Ok(known.is_some_and(|known| matches!(known.how, Invitation::Granted(_))))
    }

    /// Spaces that others offer to this identity, until somebody decides, or an accepted one is here: ranks that were given already,
    /// and offers that came with a session, until they expire.
    ///
    /// # Errors
    /// [`SpaceError::Read`].
    pub fn space_offers(&self) -> Result<Vec<SpaceOffer>, SpaceError> {
        let known = records::read_all::<InviteRecord>(&self.inner.store, records::INVITE_PREFIX)?.into_iter();
        let offers = known.filter_map(|(_, InviteRecord { space, from, received_ms, how })| {
            let (rank, expires_ms, accepted) = match how {
                Invitation::Granted(_) => (None, None, false),
                Invitation::Ticket { decision: Decision::Declined, .. } => return None,
                Invitation::Ticket { ticket, .. } if self.is_over(&ticket) => return None,
                Invitation::Ticket { ticket, rank, decision } => {
                    (Some(rank), Some(ticket.expires_ms), decision == Decision::Accepted)
                }
            };
            Some(SpaceOffer { space, from, received_ms, rank, expires_ms, accepted })
        });
        Ok(offers.collect())
    }

    /// Joins an offered space. One in which the rank was given already comes with the next session with a member, any other with
    /// the next one with the device that offers it, or in the present one when it next compares. That device is a peer from now on, at
    /// the addresses of the offer.
    ///
    /// # Errors
    /// [`SpaceError::NoOffer`], when it was taken back or has expired, too; [`SpaceError::Accepted`] the second time;
    /// [`SpaceError::Reopen`] when it was forgotten since this database was opened; [`SpaceError::Write`].
    pub fn accept_space(&self, space: &SpaceId) -> Result<(), SpaceError> {
        match self.offered(space)?.how {
            Invitation::Granted(record) => self.follow(&record).map(drop),
            Invitation::Ticket { ticket, .. } => {
                self.needs_writer_for(space)?;
                self.decide(space, Decision::Accepted)?;
                // Who offers may not know where this device is.
                self.remember_peer(&ticket.inviter, &ticket.addresses)
            }
        }
    }

    /// Turns an offered space down. Whoever offered it with a ticket is told in the next session, or in the present one when it next
    /// compares. It may be offered again, which waits for a decision again.
    ///
    /// # Errors
    /// [`SpaceError::NoOffer`], [`SpaceError::Accepted`] once it was accepted, [`SpaceError::Write`].
    pub fn decline_space(&self, space: &SpaceId) -> Result<(), SpaceError> {
        let offered = self.offered(space)?;
        if self.rank_in(space)?.is_none() {
            self.note_departure(space, DepartureState::Away)?;
        }
        match offered.how {
            Invitation::Granted(_) => Ok(self.inner.store.set_local(&[(&records::invite(space), None)])?),
            Invitation::Ticket { .. } => self.decide(space, Decision::Declined),
        }
    }

    /// What waits for a decision.
    fn offered(&self, space: &SpaceId) -> Result<InviteRecord, SpaceError> {
        let none = SpaceError::NoOffer { space: *space };
        let known: Option<InviteRecord> = records::read(&self.inner.store, &records::invite(space))?;
        let Some(known) = known else { return Err(none) };
        match &known.how {
            Invitation::Ticket { decision: Decision::Accepted, .. } => Err(SpaceError::Accepted { space: *space }),
            Invitation::Ticket { decision: Decision::Declined, .. } => Err(none),
            Invitation::Ticket { ticket, .. } if self.is_over(ticket) => Err(none),
            _ => Ok(known),
        }
    }

    fn decide(&self, space: &SpaceId, what: Decision) -> Result<(), SpaceError> {
        let name = records::invite(space);
        let known: Option<InviteRecord> = records::read(&self.inner.store, &name)?;
        let mut known = known.ok_or(SpaceError::NoOffer { space: *space })?;
        if let Invitation::Ticket { decision, .. } = &mut known.how {
            *decision = what;
        }
        Ok(self.inner.store.set_local(&[(&name, Some(&known.to_bytes()))])?)
    }

    /// What was decided about offers of the device `by` and that it has to be told: the space, its ticket, and whether it was
    /// accepted.
    pub(crate) fn decided_offers(&self, by: &DeviceId) -> Result<Vec<(SpaceId, Ticket, bool)>, SpaceError> {
        let known = records::read_all::<InviteRecord>(&self.inner.store, records::INVITE_PREFIX)?.into_iter();
        let decided = known.filter_map(|(_, known)| match known.how {
            Invitation::Ticket { ticket, decision, .. }
                if ticket.inviter == *by && decision != Decision::Waits && !self.is_over(&ticket) =>
            {
                Some((known.space, *ticket, decision == Decision::Accepted))
            }
            _ => None,
        });
        Ok(decided.collect())
    }

    /// The device `by` says that its offer is over. Gives the space, if the offer was accepted.
    pub(crate) fn forget_offer(&self, by: &DeviceId, offer: &OfferId) -> Result<Option<SpaceId>, SpaceError> {
        let known = records::read_all::<InviteRecord>(&self.inner.store, records::INVITE_PREFIX)?.into_iter();
        for (name, known) in known {
            if let Invitation::Ticket { ticket, decision, .. } = known.how
                && (ticket.inviter, ticket.offer) == (*by, *offer)
            {
                self.inner.store.set_local(&[(&name, None)])?;
                return Ok((decision == Decision::Accepted).then_some(known.space));
            }
        }
        Ok(None)
    }

    /// This device's rank in a space that may not be here.
    fn rank_in(&self, space: &SpaceId) -> Result<Option<Rank>, SpaceError> {
        if self.inner.store.effective(space).is_none() {
            return Ok(None);
        }
        Ok(self.space_state(space)?.membership.rank(&self.device()))
    }
}
