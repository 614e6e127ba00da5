//! What the two identities say to each other about being contacts. `docs/spec/contacts.md` is the specification.

use super::limits::MAX_CONTACT_MESSAGES;
use super::message::Message;
use super::{ContactNews, Session, SessionError, SessionEvent};
use crate::contacts::ContactMessage;
use crate::identity::IdentityId;

/// What this session has said and heard of it.
#[derive(Debug, Default)]
pub(super) struct ContactTalk {
    /// What was last said of each kind, by its hash.
    said: std::collections::BTreeMap<u8, [u8; 32]>,
    taken: usize,
    /// The other side is a contact, and was noted as here.
    seen: bool,
}

impl Session {
    /// The other side's identity, if it may be a contact. A device that its identity has removed speaks for nobody.
    fn other_identity(&self) -> Option<IdentityId> {
        self.peer.filter(|peer| self.database.speaks_for().is_some_and(|own| own != *peer))
    }

    /// Says what follows from what was decided about the other side, unless that is what was said last.
    pub(super) fn review_contact(&mut self) -> Result<(), SessionError> {
        let Some(other) = self.other_identity() else { return Ok(()) };
        let (is_contact, words) = self.database.contact_words(&other)?;
        // What is not to be said any more is said anew when it is next decided.
        self.contacts.said.retain(|kind, _| words.iter().any(|word| word.kind() == *kind));
        for word in &words {
            if self.contacts.said.get(&word.kind()) != Some(&hash_of(word)) {
                self.say(other, word);
            }
        }
        if is_contact {
            self.database.see_contact(&other)?;
            if !std::mem::replace(&mut self.contacts.seen, true) {
                self.enter_status();
            }
        }
        Ok(())
    }

    /// [`Session::review_contact`], and once more which profile is held: what was passed over as too soon may come now.
    pub(super) fn repeat_contact(&mut self) -> Result<(), SessionError> {
        self.contacts.said.remove(&ContactMessage::Known(None).kind());
        self.review_contact()
    }

    fn say(&mut self, to: IdentityId, word: &ContactMessage) {
        self.contacts.said.insert(word.kind(), hash_of(word));
        self.send(&Message::Contact(word.clone()));
        if matches!(word, ContactMessage::Request { .. }) {
            self.event(SessionEvent::Contact { identity: to, news: ContactNews::Requested });
        }
    }

    pub(super) fn take_contact(&mut self, message: &ContactMessage) -> Result<(), SessionError> {
        self.contacts.taken += 1;
        let Some(other) = self.other_identity().filter(|_| self.contacts.taken <= MAX_CONTACT_MESSAGES) else {
            return Ok(());
        };
        let answer = self.database.hear_contact(&other, &self.config.remote, message)?;
        for word in &answer.says {
            self.say(other, word);
        }
        if let Some(news) = answer.news {
            self.event(SessionEvent::Contact { identity: other, news });
            self.review_contact()?;
        }
        Ok(())
    }
}

fn hash_of(word: &ContactMessage) -> [u8; 32] {
    let mut bytes = Vec::new();
    word.encode(&mut bytes);
    *blake3::hash(&bytes).as_bytes()
}
