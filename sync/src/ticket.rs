//! Tickets: a text that lets another device join, once, until it expires.

use std::fmt;
use std::str::FromStr;

use tidewater_engine::id::DeviceId;
use tidewater_engine::space::SecretKey;

use crate::armor::{self, ArmorError};
use crate::codec::{Codec, Decoded, Malformed, Reader, put_bytes, put_number, put_time};

/// What a ticket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TicketKind {
    /// A further device of the inviter's identity: it gets all the spaces.
    Link,
    /// Another identity gets a rank in one space.
    Share,
}

/// Names an offer at the device that made it. Its text form is 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OfferId(pub [u8; 16]);

impl fmt::Display for OfferId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A text that names no offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an offer's id has 32 hexadecimal digits; see the list of offers")]
pub struct OfferIdError;

impl FromStr for OfferId {
    type Err = OfferIdError;

    fn from_str(text: &str) -> Result<Self, OfferIdError> {
        if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(OfferIdError);
        }
        u128::from_str_radix(text, 16).map(|number| Self(number.to_be_bytes())).map_err(|_| OfferIdError)
    }
}

impl Codec for OfferId {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Ok(Self(reader.array()?))
    }
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
    pub offer: OfferId,
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

impl Ticket {
    /// How many addresses a ticket carries at most.
    pub const MAX_ADDRESSES: usize = 8;
    /// The longest address, in bytes.
    pub const MAX_ADDRESS_BYTES: usize = 256;
    const VERSION: u8 = 1;
    const PREFIX: &str = "tide1";
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&armor::wrap(Self::PREFIX, &self.to_bytes()))
    }
}

impl FromStr for Ticket {
    type Err = TicketError;

    fn from_str(text: &str) -> Result<Self, TicketError> {
        let bytes = armor::unwrap(Self::PREFIX, text).map_err(|error| match error {
            ArmorError::Prefix => TicketError::NotATicket,
            ArmorError::Character { found, at } => TicketError::Character { found, at },
            ArmorError::Checksum => TicketError::Checksum,
        })?;
        match bytes.first() {
            Some(&found) if found > Self::VERSION => Err(TicketError::Newer { found, supported: Self::VERSION }),
            _ => Self::from_bytes(&bytes).map_err(|Malformed(why)| TicketError::Malformed { why }),
        }
    }
}

impl Codec for Ticket {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(Self::VERSION);
        out.push(match self.kind {
            TicketKind::Link => 0,
            TicketKind::Share => 1,
        });
        self.inviter.encode(out);
        self.offer.encode(out);
        out.extend_from_slice(self.secret.expose());
        put_time(out, self.expires_ms);
        put_number(out, self.addresses.len() as u64);
        self.addresses.iter().for_each(|address| put_bytes(out, address.as_bytes()));
    }

    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        if reader.byte()? != Self::VERSION {
            return Err(Malformed("its version is unknown"));
        }
        let kind = match reader.byte()? {
            0 => TicketKind::Link,
            1 => TicketKind::Share,
            _ => return Err(Malformed("its kind is unknown")),
        };
        let inviter = DeviceId::decode(reader)?;
        let offer = OfferId::decode(reader)?;
        let secret = SecretKey::new(reader.array()?);
        let expires_ms = reader.time()?;
        let count = reader.count(Self::MAX_ADDRESSES)?;
        let addresses = (0..count).map(|_| reader.text(Self::MAX_ADDRESS_BYTES)).collect::<Decoded<_>>()?;
        Ok(Self { kind, inviter, addresses, offer, secret, expires_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket() -> Ticket {
        Ticket {
            kind: TicketKind::Share,
            inviter: DeviceId([1; 32]),
            addresses: vec!["quic://127.0.0.1:4711".into(), "quic://[::1]:4711".into()],
            offer: OfferId([2; 16]),
            secret: SecretKey::new([3; 32]),
            expires_ms: 1_800_000_000_000,
        }
    }

    #[test]
    fn a_ticket_round_trips_as_text() {
        let text = ticket().to_string();
        assert!(text.starts_with("tide1"), "{text}");
        assert_eq!(text.parse(), Ok(ticket()));
        assert_eq!(text.to_uppercase().parse(), Ok(ticket()));
        let link = Ticket { kind: TicketKind::Link, ..ticket() };
        assert_eq!(link.to_string().parse(), Ok(link));
    }

    #[test]
    fn each_defect_has_its_error() {
        let text = ticket().to_string();
        assert_eq!("https://example.com".parse::<Ticket>(), Err(TicketError::NotATicket));
        assert_eq!(text[..text.len() - 3].parse::<Ticket>(), Err(TicketError::Checksum));
        assert_eq!(
            text.replace(&text[8..9], "?").parse::<Ticket>(),
            Err(TicketError::Character { found: '?', at: text.find(&text[8..9]).unwrap() })
        );
        let mut newer = ticket().to_bytes();
        newer[0] = 9;
        assert_eq!(armor::wrap("tide1", &newer).parse::<Ticket>(), Err(TicketError::Newer { found: 9, supported: 1 }));
        for (at, why) in [(0, "its version is unknown"), (1, "its kind is unknown")] {
            let mut wrong = ticket().to_bytes();
            wrong[at] = if at == 0 { 0 } else { 2 };
            assert_eq!(armor::wrap("tide1", &wrong).parse::<Ticket>(), Err(TicketError::Malformed { why }));
        }
        assert_eq!(
            armor::wrap("tide1", &ticket().to_bytes()[..40]).parse::<Ticket>(),
            Err(TicketError::Malformed { why: "it ends too early" })
        );
    }

    #[test]
    fn debug_shows_no_secret() {
        assert!(format!("{:?}", ticket()).contains("SecretKey(..)"));
    }
}
