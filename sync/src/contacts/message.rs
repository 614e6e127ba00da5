//! What two identities say to each other about being contacts: messages of the session, of a kind each.

use super::{MAX_NOTE_BYTES, ProfileHash, SignedProfile};
use crate::codec::{Codec, Decoded, Malformed, Reader, put_bytes};
use crate::identity::IdentityCard;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ContactMessage {
    /// The sender asks to become a contact.
    Request { note: String, profile: Box<SignedProfile> },
    /// The sender takes the receiver for a contact.
    Contact { profile: Box<SignedProfile>, card: Box<IdentityCard> },
    /// The sender does not want to be a contact.
    Reject,
    /// The sender takes its request back.
    Withdraw,
    /// Which profile of the receiver the sender holds.
    Known(Option<ProfileHash>),
}

impl ContactMessage {
    /// The kinds of these messages.
    pub(crate) const KINDS: std::ops::RangeInclusive<u8> = 15..=19;

    pub(crate) fn kind(&self) -> u8 {
        match self {
            Self::Request { .. } => 15,
            Self::Contact { .. } => 16,
            Self::Reject => 17,
            Self::Withdraw => 18,
            Self::Known(_) => 19,
        }
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.kind());
        match self {
            Self::Request { note, profile } => {
                put_bytes(out, note.as_bytes());
                profile.encode(out);
            }
            Self::Contact { profile, card } => {
                profile.encode(out);
                card.encode(out);
            }
            Self::Reject | Self::Withdraw => {}
            Self::Known(hash) => {
                out.push(u8::from(hash.is_some()));
                out.extend_from_slice(hash.as_ref().map_or(&[], |hash| hash.as_slice()));
            }
        }
    }

    /// What follows a kind of [`ContactMessage::KINDS`].
    pub(crate) fn decode(kind: u8, reader: &mut Reader<'_>) -> Decoded<Self> {
        Ok(match kind {
            15 => {
                let note = reader.text(MAX_NOTE_BYTES)?;
                Self::Request { note, profile: Box::new(SignedProfile::decode(reader)?) }
            }
            16 => {
                let profile = Box::new(SignedProfile::decode(reader)?);
                Self::Contact { profile, card: Box::new(IdentityCard::decode(reader)?) }
            }
            17 => Self::Reject,
            18 => Self::Withdraw,
            19 => Self::Known(if reader.bool()? { Some(reader.array()?) } else { None }),
            _ => return Err(Malformed("a message of an unknown kind")),
        })
    }
}
