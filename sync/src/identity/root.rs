//! Root keys: what signs for an identity. The first stands in its genesis; the recovery key puts another one in its place.

use tidewater_engine::host::Host;
use zeroize::Zeroizing;

use super::{IdentityGenesis, IdentityId};
use crate::codec::{Codec, Decoded, Malformed, Reader, put_number, put_option};
use crate::device::{DeviceKey, verify};

/// A root key that takes the place of those before it. Signed by the recovery key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NewRoot {
    key: [u8; 32],
    /// One more than that of the root key before it. That of the genesis is 0.
    number: u64,
    signature: [u8; 64],
}

/// Orders the root keys of an identity: the greatest is the one in use.
pub(crate) type RootOrder = (u64, [u8; 32]);

impl NewRoot {
    fn message(identity: &IdentityId, key: &[u8; 32], number: u64) -> Vec<u8> {
        let mut message = b"tidewater 2026 root key v1\0".to_vec();
        identity.encode(&mut message);
        message.extend_from_slice(key);
        put_number(&mut message, number);
        message
    }

    fn verify(&self, genesis: &IdentityGenesis) -> bool {
        let message = Self::message(&genesis.id(), &self.key, self.number);
        self.number > 0 && verify(&genesis.recovery, &message, &self.signature) && genesis.verify()
    }
}

/// A signature of an identity, by whichever of its root keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RootSignature {
    root: Option<NewRoot>,
    signature: [u8; 64],
}

impl RootSignature {
    /// Whether a root key of the identity signed `message`. Whether that key was still in use, only a space can tell.
    pub(crate) fn verify(&self, genesis: &IdentityGenesis, message: &[u8]) -> bool {
        match &self.root {
            None => verify(&genesis.root, message, &self.signature),
            Some(root) => verify(&root.key, message, &self.signature) && root.verify(genesis),
        }
    }

    /// Which root key it claims to be of.
    pub(crate) fn order(&self) -> RootOrder {
        self.root.map_or_else(RootOrder::default, |root| (root.number, root.key))
    }
}

/// A root key that this database holds.
pub(crate) struct RootKey {
    key: DeviceKey,
    root: Option<NewRoot>,
}

impl RootKey {
    /// The root key of a new identity.
    pub(super) fn generate(host: &dyn Host) -> Self {
        Self { key: DeviceKey::generate(host), root: None }
    }

    /// A root key that takes the place of that of `before`, and of all before it.
    pub(crate) fn renewed(host: &dyn Host, recovery: &DeviceKey, identity: &IdentityId, before: RootOrder) -> Self {
        let key = DeviceKey::generate(host);
        let (public, number) = (key.device().0, before.0.saturating_add(1));
        let signature = recovery.sign(&NewRoot::message(identity, &public, number));
        Self { key, root: Some(NewRoot { key: public, number, signature }) }
    }

    pub(super) fn public(&self) -> [u8; 32] {
        self.key.device().0
    }

    pub(crate) fn order(&self) -> RootOrder {
        self.sign(&[]).order()
    }

    pub(crate) fn sign(&self, message: &[u8]) -> RootSignature {
        RootSignature { root: self.root, signature: self.key.sign(message) }
    }

    /// The same key once more.
    pub(crate) fn duplicate(&self) -> Self {
        Self { key: self.key.duplicate(), root: self.root }
    }
}

impl Codec for NewRoot {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.key);
        put_number(out, self.number);
        out.extend_from_slice(&self.signature);
    }

    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        let root = Self { key: reader.array()?, number: reader.number()?, signature: reader.array()? };
        if root.number == 0 { Err(Malformed("root keys count from 1")) } else { Ok(root) }
    }
}

impl Codec for RootSignature {
    fn encode(&self, out: &mut Vec<u8>) {
        put_option(out, self.root.as_ref());
        out.extend_from_slice(&self.signature);
    }

    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Ok(Self { root: reader.option()?, signature: reader.array()? })
    }
}

impl Codec for RootKey {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.key.expose_seed());
        put_option(out, self.root.as_ref());
    }

    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Ok(Self { key: DeviceKey::from_seed(Zeroizing::new(reader.array()?)), root: reader.option()? })
    }
}
