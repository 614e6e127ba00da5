//! Offers that this device made, and what became of them.

use tidewater_engine::id::{DeviceId, SpaceId};
use tidewater_engine::space::Rank;

use super::records::{self, OfferEnd, OfferRecord};
use super::{Database, SpaceError};
use crate::codec::{Codec, Decoded, Malformed, Reader};
use crate::identity::IdentityId;
use crate::ticket::{OfferId, Ticket, TicketKind};

/// How many offers of spaces that are over are remembered at most: of more, the oldest are forgotten.
pub const MAX_FINISHED_OFFERS: usize = 256;

/// An offer that this device made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Its name here.
    pub id: OfferId,
    /// What it gives: a space and the rank in it. `None`: it links a further device of this identity.
    pub share: Option<(SpaceId, Rank)>,
    /// The only identity that may use it. `None`: whoever has the ticket may.
    pub to: Option<IdentityId>,
    /// When it was made, in milliseconds since 1970 UTC.
    pub made_ms: i64,
    /// From when on it is refused, in milliseconds since 1970 UTC.
    pub expires_ms: i64,
    /// What became of it.
    pub state: OfferState,
}

/// What became of an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OfferState {
    /// It waits to be used.
    Open,
    /// It was used.
    Used {
        /// By which device.
        device: DeviceId,
        /// Whose device; `None` for a further device of this identity.
        identity: Option<IdentityId>,
        /// When, in milliseconds since 1970 UTC.
        at_ms: i64,
    },
    /// It was taken back here.
    Cancelled {
        /// When, in milliseconds since 1970 UTC.
        at_ms: i64,
    },
    /// Whom it was for turned it down.
    Declined {
        /// When, in milliseconds since 1970 UTC.
        at_ms: i64,
    },
    /// Nobody used it in time.
    Expired,
}

impl OfferState {
    /// The state in one word, as programs are told it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Used { .. } => "used",
            Self::Cancelled { .. } => "cancelled",
            Self::Declined { .. } => "declined",
            Self::Expired => "expired",
        }
    }
}

/// An offer as it goes to the devices of whom it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) ticket: Ticket,
    pub(crate) space: SpaceId,
    pub(crate) rank: Rank,
}

impl Codec for Delivery {
    fn encode(&self, out: &mut Vec<u8>) {
        self.ticket.encode(out);
        self.space.encode(out);
        self.rank.encode(out);
    }

    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        let ticket = Ticket::decode(reader)?;
        if ticket.kind != TicketKind::Share {
            return Err(Malformed("an offer of something else than a space"));
        }
        Ok(Self { ticket, space: SpaceId::decode(reader)?, rank: Rank::decode(reader)? })
    }
}

impl OfferRecord {
    fn state(&self, now_ms: i64) -> OfferState {
        match self.end {
            Some((OfferEnd::Used { device, identity, .. }, at_ms)) => OfferState::Used { device, identity, at_ms },
            Some((OfferEnd::Cancelled, at_ms)) => OfferState::Cancelled { at_ms },
            Some((OfferEnd::Declined, at_ms)) => OfferState::Declined { at_ms },
            None if self.is_open(now_ms) => OfferState::Open,
            None => OfferState::Expired,
        }
    }
}

impl Database {
    /// The offers that this device made, newest first: those that wait, and what became of the others. Of those that are over,
    /// [`MAX_FINISHED_OFFERS`] are remembered; of links to further devices, none.
    ///
    /// # Errors
    /// [`SpaceError::Read`].
    pub fn offers(&self) -> Result<Vec<Offer>, SpaceError> {
        let now_ms = self.inner.host.now_ms();
        let records = records::read_all::<OfferRecord>(&self.inner.store, records::OFFER_PREFIX)?.into_iter();
        let offers = records.filter_map(|(name, record)| {
            let (state, id) = (record.state(now_ms), records::offer_id(&name)?);
            let OfferRecord { share, to, made_ms, expires_ms, .. } = record;
            Some(Offer { id, share, to, made_ms, expires_ms, state })
        });
        let mut offers: Vec<Offer> = offers.collect();
        offers.sort_by_key(|offer| (std::cmp::Reverse(offer.made_ms), offer.id));
        Ok(offers)
    }

    /// Takes back an offer, or a link, of this device that was not used yet. Whoever comes with it later is refused; the devices
    /// of whom it is for are told in the next session with one of them.
    ///
    /// # Errors
    /// [`SpaceError::NoSuchOffer`], [`SpaceError::OfferOver`] when it was used, declined or cancelled, or has expired,
    /// [`SpaceError::Write`].
    pub fn cancel_offer(&self, offer: &OfferId) -> Result<(), SpaceError> {
        let _control = self.control();
        self.end_offer(offer, OfferEnd::Cancelled)
    }

    fn end_offer(&self, offer: &OfferId, end: OfferEnd) -> Result<(), SpaceError> {
        let (name, now_ms) = (records::offer(offer), self.inner.host.now_ms());
        let record: Option<OfferRecord> = records::read(&self.inner.store, &name)?;
        let mut record = record.ok_or(SpaceError::NoSuchOffer { offer: *offer })?;
        if !record.is_open(now_ms) {
            return Err(SpaceError::OfferOver { offer: *offer, state: record.state(now_ms) });
        }
        record.end = Some((end, now_ms));
        Ok(self.inner.store.set_local(&[(&name, Some(&record.to_bytes()))])?)
    }

    /// The identity that an open offer is for turns it down. What is over stays what it is.
    pub(crate) fn take_declined(&self, by: &IdentityId, offer: &OfferId) -> Result<bool, SpaceError> {
        let _control = self.control();
        let record: Option<OfferRecord> = records::read(&self.inner.store, &records::offer(offer))?;
        if record.is_none_or(|record| record.to != Some(*by) || !record.is_open(self.inner.host.now_ms())) {
            return Ok(false);
        }
        self.end_offer(offer, OfferEnd::Declined).map(|()| true)
    }

    /// What a device of `identity` should be told: offers that wait for it, and those that were taken back before they expired.
    pub(crate) fn offers_to(&self, identity: &IdentityId) -> Result<(Vec<Delivery>, Vec<OfferId>), SpaceError> {
        let now_ms = self.inner.host.now_ms();
        let (mut open, mut withdrawn) = (Vec::new(), Vec::new());
        for (name, record) in records::read_all::<OfferRecord>(&self.inner.store, records::OFFER_PREFIX)? {
            let (Some(offer), Some((space, rank))) = (records::offer_id(&name), record.share) else { continue };
            if record.to != Some(*identity) || record.expires_ms <= now_ms {
                continue;
            }
            match record.end {
                None => {
                    let OfferRecord { secret, expires_ms, addresses, .. } = record;
                    let inviter = self.device();
                    let ticket = Ticket { kind: TicketKind::Share, inviter, addresses, offer, secret, expires_ms };
                    open.push(Delivery { ticket, space, rank });
                }
                Some((OfferEnd::Cancelled, _)) => withdrawn.push(offer),
                Some(_) => {}
            }
        }
        Ok((open, withdrawn))
    }

    /// Forgets links that expired and, of more offers that are over than are kept, the oldest. Says how many wait.
    pub(super) fn sweep_offers(&self, now_ms: i64) -> Result<usize, SpaceError> {
        let offers = records::read_all::<OfferRecord>(&self.inner.store, records::OFFER_PREFIX)?;
        let (waiting, over): (Vec<_>, Vec<_>) = offers.into_iter().partition(|(_, offer)| offer.is_open(now_ms));
        let (mut kept, links): (Vec<_>, Vec<_>) = over.into_iter().partition(|(_, offer)| offer.share.is_some());
        // A device that was linked may ask again until its ticket expires.
        let (used, mut gone): (Vec<_>, Vec<_>) = links
            .into_iter()
            .partition(|(_, link)| matches!(link.end, Some((OfferEnd::Used { .. }, _))) && link.expires_ms > now_ms);
        kept.sort_by(|(a, one), (b, other)| (other.made_ms, b).cmp(&(one.made_ms, a)));
        gone.extend(kept.drain(kept.len().min(MAX_FINISHED_OFFERS)..));
        let removals: Vec<(&str, Option<&[u8]>)> = gone.iter().map(|(name, _)| (name.as_str(), None)).collect();
        if !removals.is_empty() {
            self.inner.store.set_local(&removals)?;
        }
        Ok(waiting.len() + used.len())
    }
}
