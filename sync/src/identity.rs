//! Identities: a person or service, and the devices it certifies.
//!
//! `docs/spec/membership.md` gives the layouts.

mod card;
mod certificate;

use std::fmt;

pub use card::{CardError, IdentityCard};
pub use certificate::Certificate;
pub(crate) use certificate::{possession_of, verify_possession};
use tidewater_engine::host::Host;
use zeroize::Zeroizing;

use crate::codec::{Codec, Decoded, Malformed, Reader};
use crate::device::{DeviceKey, random_secret};

/// An identity: the hash of its genesis, which commits to its root key and its recovery key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdentityId(pub [u8; 32]);

impl fmt::Display for IdentityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for IdentityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdentityId({self})")
    }
}

/// The first word about an identity: the public keys it will answer for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdentityGenesis {
    /// Certifies devices (Ed25519).
    pub root: [u8; 32],
    /// Replaces the root key (Ed25519). Its secret half is meant to stay offline.
    pub recovery: [u8; 32],
    /// Makes identities with equal keys distinct.
    pub nonce: [u8; 16],
}

impl IdentityGenesis {
    const VERSION: u8 = 1;

    /// The identity that this is the genesis of.
    #[must_use]
    pub fn id(&self) -> IdentityId {
        IdentityId(blake3::derive_key("tidewater 2026 identity genesis v1", &self.to_bytes()))
    }
}

impl Codec for IdentityGenesis {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(Self::VERSION);
        out.extend_from_slice(&self.root);
        out.extend_from_slice(&self.recovery);
        out.extend_from_slice(&self.nonce);
    }

    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        if reader.byte()? != Self::VERSION {
            return Err(Malformed("the identity's version is unknown"));
        }
        Ok(Self { root: reader.array()?, recovery: reader.array()?, nonce: reader.array()? })
    }
}

/// The secrets of an identity, as the device that made it keeps them.
pub(crate) struct IdentitySecrets {
    pub(crate) root: DeviceKey,
    /// Kept until its words have been shown and written down.
    pub(crate) recovery: Zeroizing<[u8; 32]>,
}

impl IdentitySecrets {
    /// A new identity and its genesis.
    pub(crate) fn generate(host: &dyn Host) -> (Self, IdentityGenesis) {
        let secrets = Self { root: DeviceKey::generate(host), recovery: random_secret(host) };
        let recovery = DeviceKey::from_seed(secrets.recovery.clone());
        let mut nonce = [0; 16];
        host.fill_random(&mut nonce);
        let genesis = IdentityGenesis { root: secrets.root.device().0, recovery: recovery.device().0, nonce };
        (secrets, genesis)
    }
}

impl Codec for IdentitySecrets {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.root.expose_seed());
        out.extend_from_slice(&*self.recovery);
    }

    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        let root = DeviceKey::from_seed(Zeroizing::new(reader.array()?));
        Ok(Self { root, recovery: Zeroizing::new(reader.array()?) })
    }
}
