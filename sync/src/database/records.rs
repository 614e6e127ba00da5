//! The local records of this crate: what never leaves the file. Each begins with a version.

mod offers;

use std::collections::BTreeSet;
use std::sync::Arc;

pub(super) use offers::{Decision, Invitation, InviteRecord, OfferEnd, OfferRecord};
use tidewater_engine::id::{DeviceId, SpaceId, WriterId};
use tidewater_engine::log::Plane;
use tidewater_engine::space::{Rank, SecretKey};
use tidewater_engine::store::Store;

use super::error::SpaceError;
use super::info::AuditAccess;
use crate::codec::{Codec, Decoded, Malformed, Reader, put_bytes, put_list, put_number, put_option, put_time};
use crate::device::DeviceKey;
use crate::identity::{
    Certificate, IdentityCard, IdentityGenesis, IdentityId, IdentitySecrets, RootOrder, possession_of,
};
use crate::keys::{AgreementKey, SealedNote};
use crate::ticket::{OfferId, Ticket};

pub(super) const IDENTITY: &str = "identity";
/// There while a removed device still has to be removed from spaces.
pub(super) const REMOVING: &str = "removing";
pub(super) const SPACE_PREFIX: &str = "space/";
pub(super) const OFFER_PREFIX: &str = "offer/";
pub(super) const INVITE_PREFIX: &str = "invite/";
pub(super) const DEPARTURE_PREFIX: &str = "departure/";
pub(super) const PEER_PREFIX: &str = "peer/";
pub(super) const ACCESS_PREFIX: &str = "access/";

const VERSION: u8 = 1;
/// The longest genesis of a space, in bytes.
pub(crate) const MAX_GENESIS_BYTES: usize = 64 * 1024;

pub(super) fn space(space: &SpaceId) -> String {
    format!("{SPACE_PREFIX}{space}")
}

pub(super) fn invite(space: &SpaceId) -> String {
    format!("{INVITE_PREFIX}{space}")
}

pub(super) fn departure(space: &SpaceId) -> String {
    format!("{DEPARTURE_PREFIX}{space}")
}

pub(super) fn peer(device: &DeviceId) -> String {
    format!("{PEER_PREFIX}{device}")
}

pub(super) fn offer(offer: &OfferId) -> String {
    format!("{OFFER_PREFIX}{offer}")
}

/// The offer of the record of this name.
pub(super) fn offer_id(name: &str) -> Option<OfferId> {
    name.strip_prefix(OFFER_PREFIX)?.parse().ok()
}

/// By name, accesses come in the order in which they began.
pub(super) fn access(number: u64) -> String {
    format!("{ACCESS_PREFIX}{number:016x}")
}

/// The number of the access of this name.
pub(super) fn access_number(name: &str) -> Option<u64> {
    u64::from_str_radix(name.strip_prefix(ACCESS_PREFIX)?, 16).ok()
}

/// The record of this name, if there is one.
pub(super) fn read<T: Codec>(store: &Store, name: &str) -> Result<Option<T>, SpaceError> {
    let Some(bytes) = store.local(name)? else { return Ok(None) };
    decode(name, &bytes).map(Some)
}

/// The records whose names start with `prefix`.
pub(super) fn read_all<T: Codec>(store: &Store, prefix: &str) -> Result<Vec<(String, T)>, SpaceError> {
    let records = store.locals(prefix)?.into_iter();
    records.map(|(name, bytes)| decode(&name, &bytes).map(|record| (name, record))).collect()
}

fn decode<T: Codec>(name: &str, bytes: &[u8]) -> Result<T, SpaceError> {
    T::from_bytes(bytes).map_err(|Malformed(why)| SpaceError::Record { name: name.to_owned(), why })
}

fn version(reader: &mut Reader<'_>) -> Decoded<()> {
    if reader.byte()? == VERSION { Ok(()) } else { Err(Malformed("its version is unknown; upgrade")) }
}

/// Whose database this is.
#[derive(Clone)]
pub(crate) struct IdentityRecord {
    pub(crate) genesis: IdentityGenesis,
    pub(crate) name: String,
    /// The identity's devices, as far as this one knows them.
    pub(crate) certificates: Vec<Certificate>,
    /// Only on the device that made the identity.
    pub(crate) secrets: Option<Arc<IdentitySecrets>>,
    /// The devices that it removed, as far as this one knows: none of them comes back.
    pub(crate) removed: Vec<DeviceId>,
}

impl IdentityRecord {
    const VERSION: u8 = 2;
    /// How many devices an identity can remove at most.
    pub(crate) const MAX_REMOVED: usize = 1024;

    pub(crate) fn certificate(&self, device: &DeviceId) -> Option<&Certificate> {
        self.certificates.iter().find(|certificate| certificate.device == *device)
    }

    /// What proves that the device with this key is one of the identity. For the recovery key, which no space needs a certificate
    /// of, there is one only while it recovers.
    pub(crate) fn own_certificate(&self, key: &DeviceKey, agreement: &AgreementKey) -> Option<Certificate> {
        let device = key.device();
        if device != self.genesis.recovery_device() {
            return self.certificate(&device).copied();
        }
        let (identity, agreement) = (self.genesis.id(), agreement.public());
        let possession = possession_of(key, &identity, &agreement);
        let root = &self.secrets.as_ref()?.root;
        Some(Certificate::issue(root, identity, device, agreement, possession, 0))
    }

    /// The newest root key of the identity that this database knows of.
    pub(crate) fn root(&self) -> RootOrder {
        let held = self.secrets.iter().map(|secrets| secrets.root.order());
        held.chain(self.certificates.iter().map(Certificate::root)).max().unwrap_or_default()
    }

    /// Adds devices, within the card's limit, and newer certificates of known ones. A device beyond it can still act where a grant names it.
    pub(crate) fn add_certificates<'a>(&mut self, news: impl IntoIterator<Item = &'a Certificate>) {
        for one in news {
            let has_room = self.certificates.len() < IdentityCard::MAX_DEVICES;
            match self.certificates.iter_mut().find(|known| known.device == one.device) {
                Some(known) if known.order() < one.order() => *known = *one,
                None if has_room => self.certificates.push(*one),
                _ => {}
            }
        }
    }

    /// Notes that devices are removed: they are on the card no more.
    pub(crate) fn remove_devices(&mut self, devices: &BTreeSet<DeviceId>) {
        self.certificates.retain(|one| !devices.contains(&one.device));
        let news = devices.iter().filter(|device| !self.removed.contains(device));
        let news: Vec<DeviceId> = news.copied().collect();
        self.removed.extend(news);
        self.removed.truncate(Self::MAX_REMOVED);
    }

    pub(crate) fn card(&self) -> IdentityCard {
        IdentityCard { genesis: self.genesis, name: self.name.clone(), certificates: self.certificates.clone() }
    }
}

impl Codec for IdentityRecord {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(Self::VERSION);
        self.genesis.encode(out);
        put_bytes(out, self.name.as_bytes());
        put_list(out, &self.certificates);
        put_option(out, self.secrets.as_deref());
        put_list(out, &self.removed);
    }

    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        if reader.byte()? != Self::VERSION {
            return Err(Malformed("its version is unknown; upgrade"));
        }
        Ok(Self {
            genesis: IdentityGenesis::decode(reader)?,
            name: reader.text(SealedNote::MAX_BYTES)?,
            certificates: reader.list(IdentityCard::MAX_DEVICES)?,
            secrets: reader.option()?.map(Arc::new),
            removed: reader.list(Self::MAX_REMOVED)?,
        })
    }
}

/// What it takes to read a space's control plane.
#[derive(Clone)]
pub(crate) struct SpaceRecord {
    pub(crate) control_key: SecretKey,
    /// The genesis operation. It names the owners, whom the first batches of a new space are checked against.
    pub(crate) genesis: Vec<u8>,
    /// Whether this database made the space, and so has to say the genesis.
    pub(crate) founded: bool,
}

impl Codec for SpaceRecord {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        out.extend_from_slice(self.control_key.expose());
        put_bytes(out, &self.genesis);
        out.push(u8::from(self.founded));
    }

    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        version(reader)?;
        Ok(Self {
            control_key: SecretKey::new(reader.array()?),
            genesis: reader.bytes(MAX_GENESIS_BYTES)?.to_vec(),
            founded: reader.bool()?,
        })
    }
}

impl Codec for (SpaceId, Rank) {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
        self.1.encode(out);
    }
    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Ok((SpaceId::decode(reader)?, Rank::decode(reader)?))
    }
}

/// A space that was left, declined or forgotten here.
pub(super) struct Departure {
    pub(super) state: DepartureState,
    pub(super) since_ms: i64,
}

/// What is still to come of it.
pub(super) enum DepartureState {
    /// This device said that its identity leaves, in this control log with which it has this length; nobody has heard of it yet.
    Untold { writer: WriterId, length: u64 },
    /// Nothing: an invitation waits for a decision.
    Away,
    /// An invitation was accepted, and has to reach the space yet.
    Accepted,
}

impl Codec for Departure {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        put_time(out, self.since_ms);
        match &self.state {
            DepartureState::Untold { writer, length } => {
                out.push(0);
                writer.encode(out);
                put_number(out, *length);
            }
            DepartureState::Away => out.push(1),
            DepartureState::Accepted => out.push(2),
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        version(reader)?;
        let since_ms = reader.time()?;
        let state = match reader.byte()? {
            0 => DepartureState::Untold { writer: WriterId::decode(reader)?, length: reader.number()? },
            1 => DepartureState::Away,
            2 => DepartureState::Accepted,
            _ => return Err(Malformed("no such departure")),
        };
        Ok(Self { state, since_ms })
    }
}

/// What is known about a device.
#[derive(Default, Clone, PartialEq, Eq)]
pub(super) struct PeerEntry {
    pub(super) identity: Option<IdentityId>,
    pub(super) addresses: Vec<String>,
    pub(super) seen_ms: Option<i64>,
}

impl Codec for PeerEntry {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        put_option(out, self.identity.as_ref());
        put_number(out, self.addresses.len() as u64);
        self.addresses.iter().for_each(|address| put_bytes(out, address.as_bytes()));
        out.push(u8::from(self.seen_ms.is_some()));
        if let Some(seen_ms) = self.seen_ms {
            put_time(out, seen_ms);
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        version(reader)?;
        let identity = reader.option()?;
        let count = reader.count(super::MAX_PEER_ADDRESSES)?;
        let addresses = (0..count).map(|_| reader.text(Ticket::MAX_ADDRESS_BYTES)).collect::<Decoded<_>>()?;
        let seen_ms = if reader.bool()? { Some(reader.time()?) } else { None };
        Ok(Self { identity, addresses, seen_ms })
    }
}

impl Codec for AuditAccess {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        self.device.encode(out);
        put_option(out, self.identity.as_ref());
        self.space.encode(out);
        self.plane.encode(out);
        put_number(out, self.entries);
        put_time(out, self.first_ms);
        put_time(out, self.last_ms);
    }

    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        version(reader)?;
        Ok(Self {
            device: DeviceId::decode(reader)?,
            identity: reader.option()?,
            space: SpaceId::decode(reader)?,
            plane: Plane::decode(reader)?,
            entries: reader.number()?,
            first_ms: reader.time()?,
            last_ms: reader.time()?,
        })
    }
}
