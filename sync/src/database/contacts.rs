//! Contacts of the database's identity: asking, answering, verifying, finding. `docs/spec/contacts.md` is the specification.

mod error;
mod hearing;
mod inbox;
mod policy;
mod private;
mod profiles;
mod relations;
mod seen;

#[cfg(test)]
mod tests;

pub use error::ContactError;
pub use inbox::MAX_WAITING_REQUESTS;
pub use profiles::OwnProfile;
pub use relations::MAX_RELATIONS;

use std::collections::BTreeSet;

use self::relations::Relation;
use super::Database;
use crate::contacts::{
    Act, Audience, MAX_NOTE_BYTES, MAX_SEARCH_RESULTS, Profile, RequestState, SearchField, Status, VerificationNumber,
    fit, wants,
};
use crate::identity::{IdentityCard, IdentityId};

/// Another identity that both sides agreed to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// Who.
    pub identity: IdentityId,
    /// What it says of itself: to its contacts, or to everyone until it has answered. `None`: nothing came from it yet.
    pub profile: Option<Profile>,
    /// Whether it has answered, so that this is its profile for contacts.
    pub answered: bool,
    /// What ranks are granted to; it comes with the answer.
    pub card: Option<IdentityCard>,
    /// Whether the number of both was compared.
    pub verified: bool,
    /// Since when it is a contact, in milliseconds since 1970 UTC.
    pub since_ms: i64,
    /// When a session with one of its devices was last open here, in milliseconds since 1970 UTC; up to a minute late.
    pub seen_ms: Option<i64>,
    /// Whether a session with one of its devices is open here now.
    pub connected: bool,
}

/// A request to become contacts, sent or received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactRequest {
    /// The other identity.
    pub identity: IdentityId,
    /// Whether this identity sent it; else it received it.
    pub sent: bool,
    /// What it has come to.
    pub state: RequestState,
    /// What was said with it: at most [`MAX_NOTE_BYTES`].
    pub note: String,
    /// What the other side says of itself, to everyone, if it is known.
    pub profile: Option<Profile>,
    /// Whether the other side has a rank in a space of this database.
    pub member: bool,
    /// Since when it is in this state, in milliseconds since 1970 UTC.
    pub since_ms: i64,
    /// When it expires, in milliseconds since 1970 UTC; what was accepted never does.
    pub expires_ms: Option<i64>,
}

impl Database {
    /// Asks another identity to become a contact. It hears of it in the next session with any of its devices. When a request of
    /// its own waits here, that is accepted. `note` has at most [`MAX_NOTE_BYTES`]. Asking again changes the note.
    ///
    /// # Errors
    /// [`ContactError::Oneself`], [`ContactError::IsContact`], [`ContactError::IsBlocked`], [`ContactError::Invalid`] for the note
    /// or when there are too many relations; [`SpaceError::NoIdentity`](super::SpaceError), [`SpaceError::Write`](super::SpaceError).
    pub fn request_contact(&self, identity: &IdentityId, note: &str) -> Result<(), ContactError> {
        if note.len() > MAX_NOTE_BYTES {
            let why = format!("a note has at most {MAX_NOTE_BYTES} bytes, this one has {}", note.len());
            return Err(ContactError::Invalid { why });
        }
        self.act(identity, Act::Request, |relation, accepts| {
            if !accepts {
                (relation.note, relation.asked_by_us) = (note.to_owned(), true);
            }
        })
    }

    /// Takes a request back. An acceptance that is on its way doesn't count any more.
    ///
    /// # Errors
    /// [`ContactError::NoRequest`], [`ContactError::IsContact`], [`SpaceError::Write`](super::SpaceError).
    pub fn withdraw_request(&self, identity: &IdentityId) -> Result<(), ContactError> {
        self.act(identity, Act::Withdraw, |_, _| {})
    }

    /// Accepts a request that waits here. The other side hears of it in the next session of both.
    ///
    /// # Errors
    /// [`ContactError::NoRequest`], [`ContactError::IsBlocked`], [`SpaceError::Write`](super::SpaceError).
    pub fn accept_request(&self, identity: &IdentityId) -> Result<(), ContactError> {
        self.act(identity, Act::Accept, |_, _| {})
    }

    /// Rejects a request that waits here. For 30 days further ones of the same identity are answered alike.
    ///
    /// # Errors
    /// [`ContactError::NoRequest`], [`ContactError::IsContact`], [`SpaceError::Write`](super::SpaceError).
    pub fn reject_request(&self, identity: &IdentityId) -> Result<(), ContactError> {
        self.act(identity, Act::Reject, |_, _| {})
    }

    /// Forgets a contact. It is not told; it gets nothing new of this identity, and may ask again.
    ///
    /// # Errors
    /// [`ContactError::NoContact`], [`SpaceError::Write`](super::SpaceError).
    pub fn remove_contact(&self, identity: &IdentityId) -> Result<(), ContactError> {
        self.act(identity, Act::Remove, |_, _| {})
    }

    /// Hears no more of an identity: neither requests nor offers of spaces. Ranks that it has stay as they are.
    ///
    /// # Errors
    /// [`ContactError::Oneself`], [`SpaceError::Write`](super::SpaceError).
    pub fn block_identity(&self, identity: &IdentityId) -> Result<(), ContactError> {
        self.act(identity, Act::Block, |_, _| {})
    }

    /// Takes a block back.
    ///
    /// # Errors
    /// [`ContactError::NotBlocked`], [`SpaceError::Write`](super::SpaceError).
    pub fn unblock_identity(&self, identity: &IdentityId) -> Result<(), ContactError> {
        self.act(identity, Act::Unblock, |_, _| {})
    }

    fn act(
        &self,
        identity: &IdentityId,
        act: Act,
        finish: impl FnOnce(&mut Relation, bool),
    ) -> Result<(), ContactError> {
        if self.identity().ok_or(super::SpaceError::NoIdentity)? == *identity {
            return Err(ContactError::Oneself);
        }
        let control = self.control();
        let now_ms = self.inner.host.now_ms();
        let spaces = self.private_spaces_under(&control)?;
        let mut relation = self.relation_in(&spaces, identity)?;
        let waiting = self.waiting(identity)?;
        let before = relation.status(now_ms);
        let status =
            wants(before, act, waiting.is_some()).map_err(|refusal| ContactError::refused(refusal, *identity))?;
        let accepts = matches!(status, Status::Contact { .. }) && !matches!(before, Status::Contact { .. });
        // Asking again gives the request its whole time.
        if status != before || act == Act::Request {
            relation.decide(status, now_ms);
        }
        if let Some(waiting) = waiting.filter(|_| accepts || status == Status::Rejected) {
            relation.hold(&waiting.profile, now_ms);
            (relation.note, relation.asked_by_us) = (waiting.note, false);
        }
        finish(&mut relation, accepts);
        // None where none was written before leaves no trace.
        if relation.decided() != Status::None || !spaces.is_empty() {
            self.put_relation(&control, &relation)?;
        }
        self.leave_inbox(identity)?;
        if act == Act::Remove || act == Act::Block {
            seen::forget(self, identity)?;
        }
        Ok(())
    }

    /// The contacts, by name, then by id.
    ///
    /// # Errors
    /// [`SpaceError::Read`](super::SpaceError).
    pub fn contacts(&self) -> Result<Vec<Contact>, ContactError> {
        let connected = self.connected_identities();
        let relations = self.relations()?.into_iter();
        let relations = relations.filter(|relation| matches!(relation.decided(), Status::Contact { .. }));
        let mut contacts =
            relations.map(|relation| self.contact_of(relation, &connected)).collect::<Result<Vec<_>, _>>()?;
        contacts.sort_by(|a, b| (a.name(), a.identity).cmp(&(b.name(), b.identity)));
        Ok(contacts)
    }

    /// One contact.
    ///
    /// # Errors
    /// [`ContactError::NoContact`], [`SpaceError::Read`](super::SpaceError).
    pub fn contact(&self, identity: &IdentityId) -> Result<Contact, ContactError> {
        let relation = self.relation(identity)?;
        match relation.decided() {
            Status::Contact { .. } => self.contact_of(relation, &self.connected_identities()),
            _ => Err(ContactError::NoContact { identity: *identity }),
        }
    }

    fn contact_of(&self, relation: Relation, connected: &BTreeSet<IdentityId>) -> Result<Contact, ContactError> {
        let answered = relation.profile.as_ref().is_some_and(|profile| profile.audience == Audience::Contacts);
        Ok(Contact {
            identity: relation.identity,
            seen_ms: seen::last(self, &relation.identity)?,
            connected: connected.contains(&relation.identity),
            profile: relation.profile.map(|signed| signed.profile),
            answered,
            card: relation.card,
            verified: relation.verified,
            since_ms: relation.since_ms,
        })
    }

    fn connected_identities(&self) -> BTreeSet<IdentityId> {
        let peers = self.status().peers.into_values();
        peers.filter(|peer| peer.connected).filter_map(|peer| peer.identity).collect()
    }

    /// The identities that are blocked, by id.
    ///
    /// # Errors
    /// [`SpaceError::Read`](super::SpaceError).
    pub fn blocked_identities(&self) -> Result<Vec<IdentityId>, ContactError> {
        let relations = self.relations()?.into_iter();
        Ok(relations.filter(|one| one.decided() == Status::Blocked).map(|one| one.identity).collect())
    }

    /// The requests that were sent, on any device of this identity, and those that this device received: those that wait first,
    /// then by time, the newest first.
    ///
    /// # Errors
    /// [`SpaceError::Read`](super::SpaceError).
    pub fn contact_requests(&self) -> Result<Vec<ContactRequest>, ContactError> {
        let now_ms = self.inner.host.now_ms();
        let mut requests = Vec::new();
        let relations = self.relations()?;
        for relation in &relations {
            let state = match relation.decided() {
                Status::Requested if relation.status(now_ms) == Status::None => RequestState::Expired,
                Status::Requested => RequestState::Waiting,
                Status::Contact { .. } => RequestState::Accepted,
                Status::Rejected | Status::Refused => RequestState::Rejected,
                Status::Withdrawn => RequestState::Withdrawn,
                Status::None | Status::Blocked => continue,
            };
            requests.push(ContactRequest {
                identity: relation.identity,
                sent: relation.asked_by_us,
                state,
                note: relation.note.clone(),
                profile: relation.profile.as_ref().map(|signed| signed.profile.clone()),
                member: self.is_member_somewhere(&relation.identity),
                since_ms: relation.since_ms,
                expires_ms: relation.expires_ms,
            });
        }
        for (identity, waiting) in self.all_waiting()? {
            // What was decided on another device of this identity is not decided again.
            let decided = relations.iter().find(|relation| relation.identity == identity);
            let decided = decided.map(|relation| relation.status(now_ms));
            if matches!(decided, Some(Status::Contact { .. } | Status::Blocked)) {
                continue;
            }
            let expires_ms = waiting.expires_ms();
            requests.push(ContactRequest {
                identity,
                sent: false,
                state: if expires_ms <= now_ms { RequestState::Expired } else { RequestState::Waiting },
                note: waiting.note,
                profile: Some(waiting.profile.profile),
                member: !waiting.stranger,
                since_ms: waiting.received_ms,
                expires_ms: Some(expires_ms),
            });
        }
        requests.sort_by_key(|request| {
            (request.state, std::cmp::Reverse(request.since_ms), request.identity, request.sent)
        });
        Ok(requests)
    }

    /// The number that this identity and another one compare.
    ///
    /// # Errors
    /// [`ContactError::Oneself`], [`SpaceError::NoIdentity`](super::SpaceError).
    pub fn verification_number(&self, identity: &IdentityId) -> Result<VerificationNumber, ContactError> {
        let own = self.identity().ok_or(super::SpaceError::NoIdentity)?;
        if own == *identity {
            return Err(ContactError::Oneself);
        }
        Ok(VerificationNumber::of(&own, identity))
    }

    /// Marks a contact as verified, if `said`, which the other side shows, is the number of both: digits, or the text of the QR
    /// code.
    ///
    /// # Errors
    /// [`ContactError::NoContact`], [`ContactError::WrongNumber`], [`SpaceError::Write`](super::SpaceError).
    pub fn verify_contact(&self, identity: &IdentityId, said: &str) -> Result<(), ContactError> {
        let number = self.verification_number(identity)?;
        let control = self.control();
        let mut relation = self.relation_in(&self.private_spaces_under(&control)?, identity)?;
        if !matches!(relation.decided(), Status::Contact { .. }) {
            return Err(ContactError::NoContact { identity: *identity });
        }
        if !number.is_said_by(said) {
            return Err(ContactError::WrongNumber { identity: *identity });
        }
        relation.verified = true;
        self.put_relation(&control, &relation)
    }

    /// The identities whose profiles are held, of contacts and of requests that wait here, that have `text` in `field`: those
    /// that fit best first, at most [`MAX_SEARCH_RESULTS`].
    ///
    /// # Errors
    /// [`SpaceError::Read`](super::SpaceError).
    pub fn search_profiles(&self, field: SearchField, text: &str) -> Result<Vec<(IdentityId, Profile)>, ContactError> {
        let contacts = self.contacts()?.into_iter().filter_map(|contact| Some((contact.identity, contact.profile?)));
        let waiting = self.all_waiting()?.into_iter().map(|(identity, waiting)| (identity, waiting.profile.profile));
        let mut known: Vec<(IdentityId, Profile)> = contacts.collect();
        let strangers = waiting.filter(|(identity, _)| known.iter().all(|(held, _)| held != identity));
        let strangers: Vec<_> = strangers.collect();
        known.extend(strangers);
        let mut found: Vec<_> = known
            .into_iter()
            .filter_map(|(identity, profile)| Some((fit(&profile, field, text)?, identity, profile)))
            .collect();
        found.sort_by(|a, b| (a.0, &a.2.name, a.1).cmp(&(b.0, &b.2.name, b.1)));
        found.truncate(MAX_SEARCH_RESULTS);
        Ok(found.into_iter().map(|(_, identity, profile)| (identity, profile)).collect())
    }
}

impl Contact {
    /// Its name, as it says; empty until anything came from it.
    #[must_use]
    pub fn name(&self) -> &str {
        self.profile.as_ref().map_or("", |profile| profile.name.as_str())
    }
}
