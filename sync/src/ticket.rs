//! Tickets: a text that lets another device join, once, until it expires.

use std::fmt;
use std::str::FromStr;

use tidewater_engine::id::DeviceId;
use tidewater_engine::space::SecretKey;

/// What a ticket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TicketKind {
    /// A further device of the inviter's identity: it gets all the spaces.
    Link,
    /// Another identity gets a rank in one space.
    Share,
}

/// An invitation: whom to call, where, and the secret that proves it was received. Its text form ([`fmt::Display`] and
/// [`FromStr`]) starts with `tide1` and carries a checksum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// What it is for.
    pub kind: TicketKind,
    /// The device that made it, and the only one that honours it.
    pub inviter: DeviceId,
    /// Where the inviter can be dialled, best first. What an address looks like is the transport's business.
    pub addresses: Vec<String>,
    /// Names the offer at the inviter.
    pub offer: [u8; 16],
    /// Proves to the inviter that the caller holds the ticket. It is never sent.
    pub secret: SecretKey,
    /// From when on it is refused, in milliseconds since 1970 UTC by the inviter's clock.
    pub expires_ms: i64,
}

/// Why a text is not a ticket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TicketError {
    /// The text doesn't start like a ticket.
    #[error("this is not a ticket: a ticket starts with `tide1`")]
    NotATicket,
    /// A character that no ticket contains.
    #[error("a ticket doesn't contain {found:?} (character {at}); copy it again")]
    Character {
        /// The character.
        found: char,
        /// Its position in the text, from 0.
        at: usize,
    },
    /// The checksum is wrong: a character was changed, lost or added.
    #[error("the ticket is damaged or incomplete; copy it again")]
    Checksum,
    /// It was made by newer software.
    #[error("this ticket has format {found}, newer than this software reads ({supported}); upgrade")]
    Newer {
        /// The ticket's format.
        found: u8,
        /// The newest format this software reads.
        supported: u8,
    },
    /// The text is whole, but not well-formed.
    #[error("this ticket is malformed: {why}")]
    Malformed {
        /// What is wrong.
        why: &'static str,
    },
}

impl fmt::Display for Ticket {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}

impl FromStr for Ticket {
    type Err = TicketError;

    fn from_str(text: &str) -> Result<Self, TicketError> {
        todo!("{text}")
    }
}
