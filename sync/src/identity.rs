//! Identities: a person or service, and the devices it certifies.
//!
//! `docs/spec/membership.md` gives the layouts.

mod card;
mod certificate;
mod root;
mod words;

use std::fmt;
use std::str::FromStr;

pub use card::{CardError, IdentityCard};
pub use certificate::Certificate;
pub(crate) use certificate::{possession_of, verify_possession};
pub(crate) use root::{RootKey, RootOrder, RootSignature};
use tidewater_engine::host::Host;
use tidewater_engine::id::{DeviceId, IdError};
pub use words::{RecoveryWords, WordsError};
use zeroize::Zeroizing;

use crate::codec::{Codec, Decoded, Malformed, Reader};
use crate::device::verify;

/// An identity: the hash of its genesis, which commits to its root key and its recovery key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdentityId(pub [u8; 32]);

impl fmt::Display for IdentityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for IdentityId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        // All ids of 32 bytes are written alike.
        text.parse::<DeviceId>().map(|DeviceId(bytes)| Self(bytes))
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
    /// Certifies and removes devices (Ed25519).
    pub root: [u8; 32],
    /// Puts another root key in its place (Ed25519). Its secret half follows from the recovery words, which are meant to stay on paper.
    pub recovery: [u8; 32],
    /// The X25519 key to which whatever the identity may read is wrapped, besides its devices.
    pub recovery_agreement: [u8; 32],
    /// Makes identities with equal keys distinct.
    pub nonce: [u8; 16],
    possession: [u8; 64],
}

impl IdentityGenesis {
    const VERSION: u8 = 2;

    fn new(root: [u8; 32], words: &RecoveryWords, nonce: [u8; 16]) -> Self {
        let recovery = words.signing();
        let recovery_agreement = words.agreement().public();
        let mut genesis = Self { root, recovery: recovery.device().0, recovery_agreement, nonce, possession: [0; 64] };
        genesis.possession = recovery.sign(&genesis.possession_message());
        genesis
    }

    /// The identity that this is the genesis of.
    #[must_use]
    pub fn id(&self) -> IdentityId {
        IdentityId(blake3::derive_key("tidewater 2026 identity genesis v2", &self.to_bytes()))
    }

    /// The recovery key as the device that it is in every space.
    #[must_use]
    pub fn recovery_device(&self) -> DeviceId {
        DeviceId(self.recovery)
    }

    /// Whether the recovery key agreed to be that of this identity. Without it anyone could name the key of somebody else's device.
    #[must_use]
    pub fn verify(&self) -> bool {
        verify(&self.recovery, &self.possession_message(), &self.possession)
    }

    fn possession_message(&self) -> Vec<u8> {
        let mut message = b"tidewater 2026 recovery possession v1\0".to_vec();
        self.encode_keys(&mut message);
        message
    }

    fn encode_keys(&self, out: &mut Vec<u8>) {
        out.push(Self::VERSION);
        out.extend_from_slice(&self.root);
        out.extend_from_slice(&self.recovery);
        out.extend_from_slice(&self.recovery_agreement);
        out.extend_from_slice(&self.nonce);
    }
}

impl Codec for IdentityGenesis {
    fn encode(&self, out: &mut Vec<u8>) {
        self.encode_keys(out);
        out.extend_from_slice(&self.possession);
    }

    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        if reader.byte()? != Self::VERSION {
            return Err(Malformed("the identity's version is unknown"));
        }
        Ok(Self {
            root: reader.array()?,
            recovery: reader.array()?,
            recovery_agreement: reader.array()?,
            nonce: reader.array()?,
            possession: reader.array()?,
        })
    }
}

/// The secrets of an identity, as a device keeps them that may certify and remove others.
pub(crate) struct IdentitySecrets {
    pub(crate) root: RootKey,
    /// Kept until they have been written down.
    pub(crate) words: Option<RecoveryWords>,
}

impl IdentitySecrets {
    /// A new identity and its genesis.
    pub(crate) fn generate(host: &dyn Host) -> (Self, IdentityGenesis) {
        let (root, words) = (RootKey::generate(host), RecoveryWords::generate(host));
        let mut nonce = [0; 16];
        host.fill_random(&mut nonce);
        let genesis = IdentityGenesis::new(root.public(), &words, nonce);
        (Self { root, words: Some(words) }, genesis)
    }
}

impl Codec for IdentitySecrets {
    fn encode(&self, out: &mut Vec<u8>) {
        self.root.encode(out);
        out.push(u8::from(self.words.is_some()));
        if let Some(words) = &self.words {
            out.extend_from_slice(words.entropy());
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        let root = RootKey::decode(reader)?;
        let words =
            if reader.bool()? { Some(RecoveryWords::from_entropy(Zeroizing::new(reader.array()?))) } else { None };
        Ok(Self { root, words })
    }
}
