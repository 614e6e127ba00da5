//! Tickets from both ends: making them, and honouring them.

use tidewater_engine::id::{DeviceId, SpaceId};
use tidewater_engine::space::{Rank, SecretKey};

use super::control::Control;
use super::records::{self, IdentityRecord, OfferEnd, OfferRecord};
use super::{Database, Invite, SpaceError};
use crate::codec::{Codec, Decoded, Malformed, Reader, put_list, put_option};
use crate::device::random_secret;
use crate::identity::{Certificate, IdentityCard, IdentityGenesis, IdentityId, verify_possession};
use crate::keys::Wrapped;
use crate::session::TicketRefusal;
use crate::ticket::{OfferId, Ticket, TicketKind};

/// How many tickets wait to be used at most.
pub const MAX_PENDING_TICKETS: usize = 256;
/// How many spaces a welcome brings along; the rest follow as invitations.
pub(super) const MAX_WELCOME_SPACES: usize = 64;
/// How many bytes of invitations a welcome brings along: well below a frame.
pub(super) const MAX_WELCOME_BYTES: usize = 256 * 1024;

/// Who wants to join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Enrolment {
    /// A device without an identity: its X25519 key, and its agreement to act for the inviter's identity.
    Device { agreement: [u8; 32], possession: [u8; 64] },
    /// An identity.
    Member(IdentityCard),
}

impl Codec for Enrolment {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Device { agreement, possession } => {
                out.push(0);
                out.extend_from_slice(agreement);
                out.extend_from_slice(possession);
            }
            Self::Member(card) => {
                out.push(1);
                card.encode(out);
            }
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        match reader.byte()? {
            0 => Ok(Self::Device { agreement: reader.array()?, possession: reader.array()? }),
            1 => IdentityCard::decode(reader).map(Self::Member),
            _ => Err(Malformed("no such way to join")),
        }
    }
}

/// What a joiner gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Welcome {
    /// For a linked device: the identity, its name, and all its devices, the new one included.
    pub(crate) identity: Option<IdentityCard>,
    pub(crate) home: Option<SpaceId>,
    pub(crate) invites: Vec<Invite>,
}

impl Codec for Welcome {
    fn encode(&self, out: &mut Vec<u8>) {
        put_option(out, self.identity.as_ref());
        put_option(out, self.home.as_ref());
        put_list(out, &self.invites);
    }

    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Ok(Self { identity: reader.option()?, home: reader.option()?, invites: reader.list(MAX_WELCOME_SPACES)? })
    }
}

/// Why a ticket was not honoured.
#[derive(Debug)]
pub(crate) enum RedeemError {
    Refused(TicketRefusal),
    Failed(SpaceError),
}

impl<E: Into<SpaceError>> From<E> for RedeemError {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

const SPENT: RedeemError = RedeemError::Refused(TicketRefusal::Spent);

impl Database {
    /// A ticket for a further device of this identity. It is honoured once, within `valid_ms` milliseconds, by this device.
    ///
    /// # Errors
    /// [`SpaceError::NoIdentity`], [`SpaceError::NoRootKey`], [`SpaceError::Invalid`] for the addresses or when too many
    /// tickets wait, [`SpaceError::Write`].
    pub fn link_ticket(&self, addresses: Vec<String>, valid_ms: i64) -> Result<Ticket, SpaceError> {
        let identity = self.identity_record().ok_or(SpaceError::NoIdentity)?;
        if identity.secrets.is_none() {
            return Err(SpaceError::NoRootKey);
        }
        if identity.certificates.len() >= IdentityCard::MAX_DEVICES {
            let why = format!("an identity has at most {} devices", IdentityCard::MAX_DEVICES);
            return Err(SpaceError::Invalid { why });
        }
        self.new_ticket(addresses, valid_ms, None, None)
    }

    /// A ticket that gives whoever uses it `rank` in `space`. It is honoured once, within `valid_ms` milliseconds, by this device.
    ///
    /// # Errors
    /// As [`Database::grant`], and [`SpaceError::Invalid`] for the addresses or when too many tickets wait.
    pub fn share_ticket(
        &self,
        space: &SpaceId,
        rank: Rank,
        addresses: Vec<String>,
        valid_ms: i64,
    ) -> Result<Ticket, SpaceError> {
        let state = self.space_state(space)?;
        self.needs_above(&state, space, rank)?;
        self.may_give(&state, space, rank)?;
        self.new_ticket(addresses, valid_ms, Some((*space, rank)), None)
    }

    /// Offers `rank` in `space` to one identity: a ticket that nobody else can use, and that goes to the identity's devices by itself as
    /// soon as one of them talks to this device, in a session that is open already when it next compares. It is honoured once,
    /// within `valid_ms` milliseconds, by this device.
    ///
    /// # Errors
    /// As [`Database::share_ticket`], and [`SpaceError::Invalid`] for this identity itself, and for one that has the rank or a higher one.
    pub fn offer_space(
        &self,
        space: &SpaceId,
        rank: Rank,
        to: &IdentityId,
        addresses: Vec<String>,
        valid_ms: i64,
    ) -> Result<Ticket, SpaceError> {
        let state = self.space_state(space)?;
        self.needs_above(&state, space, rank)?;
        self.may_give(&state, space, rank)?;
        let invalid = |why: &str| Err(SpaceError::Invalid { why: why.to_owned() });
        if self.identity() == Some(*to) {
            return invalid("this identity has the space already; link its further devices");
        }
        if state.membership.identities.get(to).and_then(|member| member.rank) >= Some(rank) {
            return invalid("this identity is a member with that rank, or a higher one; change its rank instead");
        }
        self.new_ticket(addresses, valid_ms, Some((*space, rank)), Some(*to))
    }

    fn new_ticket(
        &self,
        addresses: Vec<String>,
        valid_ms: i64,
        share: Option<(SpaceId, Rank)>,
        to: Option<IdentityId>,
    ) -> Result<Ticket, SpaceError> {
        let (most, longest) = (Ticket::MAX_ADDRESSES, Ticket::MAX_ADDRESS_BYTES);
        if addresses.len() > most || addresses.iter().any(|address| address.len() > longest) {
            let why = format!("a ticket has at most {most} addresses of at most {longest} bytes");
            return Err(SpaceError::Invalid { why });
        }
        let _control = self.control();
        let host = &*self.inner.host;
        let now_ms = host.now_ms();
        let pending = self.sweep_offers(now_ms)?;
        if pending >= MAX_PENDING_TICKETS {
            let why = format!("{pending} tickets wait to be used; withdraw some, or wait until they expire");
            return Err(SpaceError::Invalid { why });
        }
        let mut offer = OfferId([0; 16]);
        host.fill_random(&mut offer.0);
        let secret = SecretKey::new(*random_secret(host));
        let expires_ms = now_ms.saturating_add(valid_ms);
        let kind = if share.is_some() { TicketKind::Share } else { TicketKind::Link };
        let record = OfferRecord {
            secret: secret.clone(),
            made_ms: now_ms,
            expires_ms,
            addresses: addresses.clone(),
            share,
            to,
            end: None,
        };
        self.inner.store.set_local(&[(&records::offer(&offer), Some(&record.to_bytes()))])?;
        Ok(Ticket { kind, inviter: self.device(), addresses, offer, secret, expires_ms })
    }

    /// Honours a ticket of this device for `remote`, if `proves` says that it knows the ticket's secret. The same device
    /// may ask again, so an answer that got lost costs nothing.
    pub(crate) fn redeem(
        &self,
        remote: &DeviceId,
        offer: &OfferId,
        enrolment: &Enrolment,
        proves: impl FnOnce(&SecretKey) -> bool,
    ) -> Result<Welcome, RedeemError> {
        let control = self.control();
        let name = records::offer(offer);
        let mut record: OfferRecord = records::read(&self.inner.store, &name)?.ok_or(SPENT)?;
        let now_ms = self.inner.host.now_ms();
        let asks_again = match &record.end {
            None => None,
            Some((OfferEnd::Used { device, granted, .. }, _)) if device == remote => Some(*granted),
            Some(_) => return Err(SPENT),
        };
        if !proves(&record.secret) || record.expires_ms <= now_ms {
            return Err(SPENT);
        }
        let identity = match enrolment {
            Enrolment::Member(card) => Some(card.identity()),
            Enrolment::Device { .. } => None,
        };
        let (share, to) = (record.share, record.to);
        let mut use_up = |granted| {
            record.end = Some((OfferEnd::Used { device: *remote, identity, granted }, now_ms));
            record.to_bytes()
        };
        match (share, enrolment) {
            (None, Enrolment::Device { agreement, possession }) => {
                let used = use_up(true);
                let used: (&str, Option<&[u8]>) = (&name, Some(&used));
                self.certify(remote, agreement, possession, used)?;
                self.refresh_all(&control)?;
                self.welcome(&control, remote, self.inner.store.spaces(), true)
            }
            (Some((space, rank)), Enrolment::Member(card)) => {
                if Some(card.identity()) == self.identity() {
                    return Err(RedeemError::Refused(TicketRefusal::OwnTicket));
                }
                let is_theirs = card.certificates.iter().any(|one| one.device == *remote) && card.verify().is_ok();
                if !is_theirs || to.is_some_and(|to| Some(to) != identity) {
                    return Err(SPENT);
                }
                if asks_again == Some(true) {
                    // A rank is given once: who lost it since doesn't get it back with an old ticket.
                    let state = self.refresh(&control, &space)?;
                    if state.membership.rank(remote).is_none() {
                        return Err(SPENT);
                    }
                } else {
                    let (used, given) = (use_up(false), use_up(true));
                    self.inner.store.set_local(&[(&name, Some(&used))])?;
                    self.grant_locked(&control, &space, card, rank)?;
                    self.inner.store.set_local(&[(&name, Some(&given))])?;
                }
                self.welcome(&control, remote, vec![space], false)
            }
            (None, Enrolment::Member(_)) => Err(RedeemError::Refused(TicketRefusal::HasIdentity)),
            (Some(_), Enrolment::Device { .. }) => Err(RedeemError::Refused(TicketRefusal::NeedsIdentity)),
        }
    }

    /// Certifies a device for this identity, and marks the ticket as used in the same storage transaction.
    fn certify(
        &self,
        device: &DeviceId,
        agreement: &[u8; 32],
        possession: &[u8; 64],
        used: (&str, Option<&[u8]>),
    ) -> Result<(), RedeemError> {
        let identity = self.identity_record().ok_or(SpaceError::NoIdentity)?;
        if identity.certificate(device).is_some_and(|known| known.agreement == *agreement) {
            return Ok(self.inner.store.set_local(&[used]).map_err(SpaceError::from)?);
        }
        let secrets = identity.secrets.as_ref().ok_or(SpaceError::NoRootKey)?;
        let id = identity.genesis.id();
        if !verify_possession(&id, device, agreement, possession) {
            return Err(SPENT);
        }
        let now_ms = self.inner.host.now_ms();
        let certificate = Certificate::issue(&secrets.root, id, *device, *agreement, *possession, now_ms);
        Ok(self.add_certificates(&[certificate], &[used])?)
    }

    fn welcome(
        &self,
        control: &Control,
        remote: &DeviceId,
        spaces: Vec<SpaceId>,
        link: bool,
    ) -> Result<Welcome, RedeemError> {
        let home = self.inner.store.home().filter(|home| link && spaces.contains(home));
        let mut order = spaces;
        order.sort_by_key(|space| (Some(*space) != home, *space));
        let (mut invites, mut bytes) = (Vec::new(), 0);
        for space in order {
            let state = self.state_under(control, &space)?;
            let Some(invite) = self.invite_to(&state, remote) else { continue };
            bytes += invite.genesis.len() + Wrapped::BYTES;
            if invites.len() >= MAX_WELCOME_SPACES || bytes > MAX_WELCOME_BYTES {
                break;
            }
            invites.push(invite);
        }
        let identity = if link { self.identity_record().map(|record| record.card()) } else { None };
        Ok(Welcome { identity, home, invites })
    }

    /// What this database says of itself when it uses a ticket of the identity `inviter`.
    pub(crate) fn enrolment(
        &self,
        kind: TicketKind,
        inviter: Option<&IdentityGenesis>,
    ) -> Result<Enrolment, TicketRefusal> {
        match (kind, self.identity_record()) {
            (TicketKind::Link, None) => {
                let inviter = inviter.ok_or(TicketRefusal::Spent)?.id();
                let agreement = self.agreement().public();
                let possession = crate::identity::possession_of(self.device_key(), &inviter, &agreement);
                Ok(Enrolment::Device { agreement, possession })
            }
            (TicketKind::Link, Some(_)) => Err(TicketRefusal::HasIdentity),
            (TicketKind::Share, Some(record)) => Ok(Enrolment::Member(record.card())),
            (TicketKind::Share, None) => Err(TicketRefusal::NeedsIdentity),
        }
    }

    /// Becomes what a welcome says, and follows its spaces. `Err(None)`: the welcome is not genuine.
    pub(crate) fn accept_welcome(&self, welcome: &Welcome) -> Result<Vec<SpaceId>, Option<SpaceError>> {
        if let Some(card) = &welcome.identity {
            let genuine = card.verify().is_ok() && card.certificates.iter().any(|one| one.device == self.device());
            if !genuine {
                return Err(None);
            }
            let record = IdentityRecord {
                genesis: card.genesis,
                name: card.name.clone(),
                certificates: card.certificates.clone(),
                secrets: None,
                removed: Vec::new(),
            };
            let _control = self.control();
            self.set_identity(record, &[]).map_err(Some)?;
        }
        let mut spaces = Vec::new();
        for invite in &welcome.invites {
            spaces.extend(self.accept_invite(invite).map_err(Some)?);
        }
        if let Some(home) = welcome.home.filter(|home| spaces.contains(home)) {
            self.inner.store.set_home(home).map_err(|error| Some(error.into()))?;
        }
        Ok(spaces)
    }
}
