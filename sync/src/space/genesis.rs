//! The first operation of a space: who owns it, for ever.

use tidewater_engine::id::SpaceId;

use super::operation::{ControlOperation, EpochStart};
use crate::codec::{Codec, Decoded, Malformed, Reader, put_list, put_number};
use crate::identity::{Certificate, IdentityCard, IdentityGenesis};
use crate::keys::SealedNote;

/// An owner of a space, with the devices it had when the space was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Founder {
    pub(crate) genesis: IdentityGenesis,
    pub(crate) certificates: Vec<Certificate>,
    pub(crate) name: SealedNote,
}

/// The genesis of a space. Its hash is the space's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SpaceGenesis {
    pub(crate) nonce: [u8; 16],
    /// The features that writers may use.
    pub(crate) feature_level: u64,
    /// Whether newcomers can read what was written before them.
    pub(crate) history_open: bool,
    pub(crate) owners: Vec<Founder>,
    pub(crate) epoch: EpochStart,
    pub(crate) label: SealedNote,
}

impl SpaceGenesis {
    pub(crate) const MAX_OWNERS: usize = 16;
    /// The feature level that this software writes, and the highest that it knows.
    pub(crate) const FEATURE_LEVEL: u64 = 1;

    /// The id of the space whose genesis, in the layout of a control operation, is `body`.
    pub(crate) fn space_of(body: &[u8]) -> SpaceId {
        SpaceId(blake3::derive_key("tidewater 2026 space genesis v1", body))
    }

    /// Whether every owner's keys and certificates are its own. Without it, the space has no owner.
    pub(crate) fn verify(&self) -> bool {
        self.owners.iter().all(|owner| {
            owner.genesis.verify() && owner.certificates.iter().all(|certificate| certificate.verify(&owner.genesis))
        })
    }

    /// The id of the space.
    pub(crate) fn space(&self) -> SpaceId {
        Self::space_of(&ControlOperation::Genesis(self.clone()).to_bytes())
    }
}

impl Codec for Founder {
    fn encode(&self, out: &mut Vec<u8>) {
        self.genesis.encode(out);
        put_list(out, &self.certificates);
        self.name.encode(out);
    }

    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Ok(Self {
            genesis: IdentityGenesis::decode(reader)?,
            certificates: reader.list(IdentityCard::MAX_DEVICES)?,
            name: SealedNote::decode(reader)?,
        })
    }
}

impl Codec for SpaceGenesis {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.nonce);
        put_number(out, self.feature_level);
        out.push(u8::from(self.history_open));
        put_list(out, &self.owners);
        self.epoch.encode(out);
        self.label.encode(out);
    }

    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        let genesis = Self {
            nonce: reader.array()?,
            feature_level: reader.number()?,
            history_open: reader.bool()?,
            owners: reader.list(Self::MAX_OWNERS)?,
            epoch: EpochStart::decode(reader)?,
            label: SealedNote::decode(reader)?,
        };
        if genesis.owners.is_empty() { Err(Malformed("a space without an owner")) } else { Ok(genesis) }
    }
}
