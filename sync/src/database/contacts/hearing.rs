//! What this identity says to another one in a session, and what it makes of what it hears.

use tidewater_engine::id::{DeviceId, SpaceId};

use super::relations::Relation;
use super::{ContactError, seen};
use crate::contacts::{
    Act, Audience, ContactMessage, Decision, DeviceKind, Heard, Outcome, Proposal, Relationship, Said, SignedProfile,
    Status, hears, says, wants,
};
use crate::database::control::Control;
use crate::database::{Database, SpaceError};
use crate::identity::{IdentityCard, IdentityId};
use crate::session::ContactNews;

/// How long a contact's profile stands before a newer one takes its place, in milliseconds: 10 minutes. So a contact that
/// changes it all the time makes no log grow fast.
const REFRESH_MS: i64 = 10 * 60_000;

/// What became of a message.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) says: Vec<ContactMessage>,
    pub(crate) news: Option<ContactNews>,
}

/// Why a message ended the session.
#[derive(Debug)]
pub(crate) enum HearError {
    /// It is provably not what it claims.
    Forged(&'static str),
    Failed(ContactError),
}

impl<E: Into<ContactError>> From<E> for HearError {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl Database {
    /// Whether another identity is a contact, and what there is to say to it by what was decided.
    pub(crate) fn contact_words(&self, to: &IdentityId) -> Result<(bool, Vec<ContactMessage>), ContactError> {
        let spaces = self.private_spaces()?;
        let relation = self.relation_in(&spaces, to)?;
        let status = relation.status(self.host().now_ms());
        let words = says(status).iter().map(|said| self.contact_word(&spaces, &relation, *said));
        let words = words.collect::<Result<_, _>>()?;
        Ok((matches!(status, Status::Contact { .. }), words))
    }

    fn contact_word(
        &self,
        spaces: &[SpaceId],
        relation: &Relation,
        said: Said,
    ) -> Result<ContactMessage, ContactError> {
        Ok(match said {
            Said::Request => ContactMessage::Request {
                note: relation.note.clone(),
                profile: Box::new(self.signed_profile_in(spaces, Audience::Everyone)?),
            },
            Said::Contact => ContactMessage::Contact {
                profile: Box::new(self.signed_profile_in(spaces, Audience::Contacts)?),
                card: Box::new(self.card()?),
            },
            Said::Reject => ContactMessage::Reject,
            Said::Withdraw => ContactMessage::Withdraw,
            Said::Known => {
                let held = relation.profile.as_ref().filter(|held| held.audience == Audience::Contacts);
                ContactMessage::Known(held.map(SignedProfile::hash))
            }
        })
    }

    /// Makes of a message of another identity, proven by its hello, what the table says.
    pub(crate) fn hear_contact(
        &self,
        from: &IdentityId,
        device: &DeviceId,
        message: &ContactMessage,
    ) -> Result<Answer, HearError> {
        let now_ms = self.host().now_ms();
        let control = self.control();
        let spaces = self.private_spaces_under(&control)?;
        let mut relation = self.relation_in(&spaces, from)?;
        let before = relation.status(now_ms);
        let heard = match message {
            ContactMessage::Request { .. } => Heard::Request,
            ContactMessage::Contact { .. } => Heard::Contact,
            ContactMessage::Reject => Heard::Reject,
            ContactMessage::Withdraw => Heard::Withdraw,
            ContactMessage::Known(known) => {
                let own = self.signed_profile_in(&spaces, Audience::Contacts)?.hash();
                Heard::Known { current: *known == Some(own) }
            }
        };
        let mut outcome = hears(before, heard);
        if outcome.takes_place {
            return self.hear_request(&control, relation, device, message);
        }
        let mut news = None;
        if outcome.leaves_inbox && self.leave_inbox(from)? && heard == Heard::Withdraw {
            news = Some(ContactNews::Withdrawn);
        }
        let mut kept = false;
        if outcome.keeps_profile {
            kept = self.keep_profile(from, &mut relation, &mut outcome, message, now_ms)?;
        }
        if outcome.status != before {
            news = match outcome.status {
                Status::Contact { .. } if !matches!(before, Status::Contact { .. }) => Some(ContactNews::Accepted),
                Status::Contact { .. } => Some(ContactNews::Refreshed),
                Status::Refused => Some(ContactNews::Rejected),
                _ => Some(ContactNews::Withdrawn),
            };
            relation.decide(outcome.status, now_ms);
        } else if kept {
            news = Some(ContactNews::Refreshed);
        }
        if outcome.status != before || kept {
            self.put_relation(&control, &relation)?;
        }
        let says = outcome.answer.map(|said| self.contact_word(&spaces, &relation, said)).transpose()?;
        Ok(Answer { says: says.into_iter().collect(), news })
    }

    /// A request that takes a place in the inbox, or that the policy decides.
    fn hear_request(
        &self,
        control: &Control,
        mut relation: Relation,
        device: &DeviceId,
        message: &ContactMessage,
    ) -> Result<Answer, HearError> {
        let ContactMessage::Request { note, profile } = message else { return Ok(Answer::default()) };
        let from = relation.identity;
        if !self.check_theirs(&from, profile, Audience::Everyone)? {
            return Ok(Answer::default());
        }
        let kind = profile.profile.devices.get(device).copied().unwrap_or(DeviceKind::Other);
        match self.policy()?.decide(Proposal::Request, Relationship::Stranger, kind, 0) {
            Decision::Refuse => Ok(Answer::default()),
            Decision::Ask => {
                let taken = self.take_place(control, &from, note, profile)?;
                Ok(Answer { says: Vec::new(), news: taken.then_some(ContactNews::Asked) })
            }
            Decision::Accept => {
                let now_ms = self.host().now_ms();
                let Ok(status) = wants(relation.status(now_ms), Act::Accept, true) else {
                    return Ok(Answer::default());
                };
                relation.decide(status, now_ms);
                relation.hold(profile, now_ms);
                relation.note.clone_from(note);
                relation.asked_by_us = false;
                self.put_relation(control, &relation)?;
                self.leave_inbox(&from)?;
                let spaces = self.private_spaces_under(control)?;
                let answer = self.contact_word(&spaces, &relation, Said::Contact)?;
                Ok(Answer { says: vec![answer], news: Some(ContactNews::Accepted) })
            }
        }
    }

    /// Holds the profile, and the card, that came. True: something is new.
    fn keep_profile(
        &self,
        from: &IdentityId,
        relation: &mut Relation,
        outcome: &mut Outcome,
        message: &ContactMessage,
        now_ms: i64,
    ) -> Result<bool, HearError> {
        match message {
            ContactMessage::Request { profile, .. } => {
                Ok(self.check_theirs(from, profile, Audience::Everyone)? && relation.hold(profile, now_ms))
            }
            ContactMessage::Contact { profile, card } => {
                let answered = relation.status(now_ms) == (Status::Contact { answered: true });
                let held = relation.profile.as_ref().map(SignedProfile::order);
                if answered
                    && (held >= Some(profile.order()) || now_ms.saturating_sub(relation.refreshed_ms) < REFRESH_MS)
                {
                    return Ok(false);
                }
                let believed = self.check_theirs(from, profile, Audience::Contacts)?;
                check_card(from, card)?;
                if !believed || !relation.hold(profile, now_ms) {
                    outcome.status = relation.status(now_ms);
                    return Ok(false);
                }
                relation.card = Some(IdentityCard::clone(card));
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Checks that a profile is one of the other side's. False: by a device that it has removed, as far as is known here. Who
    /// shows it may not know that yet.
    fn check_theirs(&self, from: &IdentityId, profile: &SignedProfile, audience: Audience) -> Result<bool, HearError> {
        if profile.identity() != *from || profile.audience != audience {
            return Err(HearError::Forged("a profile of somebody else, or for others"));
        }
        if profile.verify().is_err() {
            return Err(HearError::Forged("a profile that is not genuine"));
        }
        Ok(!self.has_disowned(from, profile.certificate()))
    }

    /// Notes that a contact is here. At most once a minute; a crash soon after may forget it again.
    pub(crate) fn see_contact(&self, identity: &IdentityId) -> Result<(), SpaceError> {
        seen::note(self, identity)
    }
}

fn check_card(from: &IdentityId, card: &IdentityCard) -> Result<(), HearError> {
    if card.identity() != *from || card.verify().is_err() {
        return Err(HearError::Forged("a card of somebody else, or one that is not genuine"));
    }
    Ok(())
}

impl From<HearError> for crate::session::SessionError {
    fn from(error: HearError) -> Self {
        match error {
            HearError::Forged(why) => Self::Protocol { why: why.to_owned() },
            HearError::Failed(error) => error.into(),
        }
    }
}

impl From<ContactError> for crate::session::SessionError {
    fn from(error: ContactError) -> Self {
        Self::Store { why: error.to_string() }
    }
}
