//! Joining with a ticket, from both ends.

use super::message::Message;
use super::{Phase, Session, SessionError, SessionEvent, TicketRefusal, unexpected};
use crate::database::{Enrolment, RedeemError};
use crate::identity::IdentityGenesis;
use crate::ticket::{OfferId, Ticket};

impl Session {
    /// The joiner shows that it knows the ticket's secret.
    pub(super) fn ask_to_join(
        &mut self,
        ticket: &Ticket,
        inviter: Option<&IdentityGenesis>,
    ) -> Result<(), SessionError> {
        if ticket.inviter != self.config.remote {
            return Err(SessionError::Unproven { why: "another device answered than the one that made the ticket" });
        }
        let enrolment = self.database.enrolment(ticket.kind, inviter).map_err(SessionError::Ticket)?;
        let proof = self.channel()?.ticket_proof(&ticket.secret, &ticket.offer);
        self.send(&Message::Join { offer: ticket.offer, proof, enrolment });
        self.phase = Phase::Joining;
        Ok(())
    }

    /// The inviter answers. A refusal says little, and ends the session.
    pub(super) fn admit(
        &mut self,
        offer: &OfferId,
        proof: &[u8; 32],
        enrolment: &Enrolment,
    ) -> Result<(), SessionError> {
        let channel = self.channel()?;
        let proves = |secret: &_| channel.proves_ticket(secret, offer, proof);
        let welcome = match self.database.redeem(&self.config.remote, offer, enrolment, proves) {
            Ok(welcome) => welcome,
            Err(RedeemError::Refused(refusal)) => return Err(self.refuse(refusal)),
            Err(RedeemError::Failed(error)) => {
                // The reason is this side's business; it stands in its status.
                self.send(&Message::Refuse(TicketRefusal::Spent));
                return Err(error.into());
            }
        };
        let identity = match enrolment {
            Enrolment::Member(card) => Some(card.identity()),
            Enrolment::Device { .. } => self.database.identity(),
        };
        self.peer = identity;
        for invite in &welcome.invites {
            self.note_invited(invite.space());
        }
        self.send(&Message::Welcome(welcome));
        if let Some(identity) = identity {
            self.event(SessionEvent::Admitted { identity });
        }
        self.list_all()
    }

    fn refuse(&mut self, refusal: TicketRefusal) -> SessionError {
        self.send(&Message::Refuse(refusal));
        SessionError::Ticket(refusal)
    }

    /// The joiner gets its answer.
    pub(super) fn handle_answer(&mut self, message: Message) -> Result<(), SessionError> {
        match message {
            Message::Welcome(welcome) => {
                let spaces = self.database.accept_welcome(&welcome).map_err(|error| match error {
                    Some(error) => error.into(),
                    None => SessionError::Protocol { why: "a welcome that is not genuine".into() },
                })?;
                if let super::Purpose::Join(ticket) = &self.config.purpose {
                    self.database.remember_peer(&self.config.remote, &ticket.addresses)?;
                }
                // The inviter lists again, with what is in common now.
                self.spaces.relist();
                spaces.iter().for_each(|space| self.expect_control(*space));
                self.event(SessionEvent::Joined { spaces });
                self.begin_sync()
            }
            Message::Refuse(refusal) => Err(SessionError::Ticket(refusal)),
            // The inviter lists what is in common, which is nothing yet.
            Message::Spaces { more, listed } => self.take_listing(more, &listed),
            // What the inviter's device has to say to this identity, or asks of it, beside.
            Message::Offer(_) | Message::Decline(_) | Message::Over(_) | Message::Join { .. } => {
                self.take_sharing(message)
            }
            _ => Err(unexpected("instead of an answer to the ticket")),
        }
    }
}
