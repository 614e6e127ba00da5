//! Offers as they are kept: those that this device made, and those that came here.

use tidewater_engine::id::{DeviceId, SpaceId};
use tidewater_engine::space::{Rank, SecretKey};

use super::SpaceRecord;
use crate::codec::{Codec, Decoded, Malformed, Reader, put_bytes, put_number, put_option, put_time};
use crate::identity::IdentityId;
use crate::ticket::Ticket;

const VERSION: u8 = 2;

fn version(reader: &mut Reader<'_>) -> Decoded<()> {
    if reader.byte()? == VERSION { Ok(()) } else { Err(Malformed("its version is unknown; upgrade")) }
}

/// A ticket that this device made.
pub(in crate::database) struct OfferRecord {
    pub(in crate::database) secret: SecretKey,
    pub(in crate::database) made_ms: i64,
    pub(in crate::database) expires_ms: i64,
    pub(in crate::database) addresses: Vec<String>,
    /// For a share: what is given.
    pub(in crate::database) share: Option<(SpaceId, Rank)>,
    /// The only identity that may use it, if it is for one.
    pub(in crate::database) to: Option<IdentityId>,
    /// What became of it, and when. An offer that expired is none the wiser.
    pub(in crate::database) end: Option<(OfferEnd, i64)>,
}

/// What became of an offer.
pub(in crate::database) enum OfferEnd {
    /// It was used by a device, which may ask again if the answer got lost; `granted` once what it gives was given.
    Used { device: DeviceId, identity: Option<IdentityId>, granted: bool },
    /// Its maker took it back.
    Cancelled,
    /// Whom it was for turned it down.
    Declined,
}

impl OfferRecord {
    pub(in crate::database) fn is_open(&self, now_ms: i64) -> bool {
        self.end.is_none() && self.expires_ms > now_ms
    }
}

impl Codec for OfferRecord {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        out.extend_from_slice(self.secret.expose());
        put_time(out, self.made_ms);
        put_time(out, self.expires_ms);
        put_number(out, self.addresses.len() as u64);
        self.addresses.iter().for_each(|address| put_bytes(out, address.as_bytes()));
        put_option(out, self.share.as_ref());
        put_option(out, self.to.as_ref());
        match &self.end {
            None => out.push(0),
            Some((OfferEnd::Used { device, identity, granted }, at_ms)) => {
                out.push(1);
                put_time(out, *at_ms);
                device.encode(out);
                put_option(out, identity.as_ref());
                out.push(u8::from(*granted));
            }
            Some((OfferEnd::Cancelled, at_ms)) => {
                out.push(2);
                put_time(out, *at_ms);
            }
            Some((OfferEnd::Declined, at_ms)) => {
                out.push(3);
                put_time(out, *at_ms);
            }
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        version(reader)?;
        let secret = SecretKey::new(reader.array()?);
        let (made_ms, expires_ms) = (reader.time()?, reader.time()?);
        let count = reader.count(Ticket::MAX_ADDRESSES)?;
        let addresses = (0..count).map(|_| reader.text(Ticket::MAX_ADDRESS_BYTES)).collect::<Decoded<_>>()?;
        let (share, to) = (reader.option()?, reader.option()?);
        let end = match reader.byte()? {
            0 => None,
            1 => {
                let at_ms = reader.time()?;
                let (device, identity) = (DeviceId::decode(reader)?, reader.option()?);
                Some((OfferEnd::Used { device, identity, granted: reader.bool()? }, at_ms))
            }
            2 => Some((OfferEnd::Cancelled, reader.time()?)),
            3 => Some((OfferEnd::Declined, reader.time()?)),
            _ => return Err(Malformed("no such end of an offer")),
        };
        Ok(Self { secret, made_ms, expires_ms, addresses, share, to, end })
    }
}

/// A space that another identity offers.
pub(in crate::database) struct InviteRecord {
    pub(in crate::database) space: SpaceId,
    pub(in crate::database) from: IdentityId,
    pub(in crate::database) received_ms: i64,
    pub(in crate::database) how: Invitation,
}

/// How it is offered.
pub(in crate::database) enum Invitation {
    /// The rank was given already: what it takes to follow the space.
    Granted(SpaceRecord),
    /// A ticket that came here by itself, and what it says that it gives.
    Ticket { ticket: Box<Ticket>, rank: Rank, decision: Decision },
}

/// What somebody here decided about a ticket, until its maker hears of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::database) enum Decision {
    Waits,
    Accepted,
    Declined,
}

impl Codec for InviteRecord {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        self.space.encode(out);
        self.from.encode(out);
        put_time(out, self.received_ms);
        match &self.how {
            Invitation::Granted(record) => {
                out.push(0);
                record.encode(out);
            }
            Invitation::Ticket { ticket, rank, decision } => {
                out.push(1);
                ticket.encode(out);
                rank.encode(out);
                out.push(*decision as u8);
            }
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        version(reader)?;
        let (space, from) = (SpaceId::decode(reader)?, IdentityId::decode(reader)?);
        let received_ms = reader.time()?;
        let how = match reader.byte()? {
            0 => Invitation::Granted(SpaceRecord::decode(reader)?),
            1 => {
                let (ticket, rank) = (Box::new(Ticket::decode(reader)?), Rank::decode(reader)?);
                let decision = match reader.byte()? {
                    0 => Decision::Waits,
                    1 => Decision::Accepted,
                    2 => Decision::Declined,
                    _ => return Err(Malformed("no such decision")),
                };
                Invitation::Ticket { ticket, rank, decision }
            }
            _ => return Err(Malformed("no such invitation")),
        };
        Ok(Self { space, from, received_ms, how })
    }
}
