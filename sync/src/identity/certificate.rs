//! Device certificates: an identity says that a device is its own, and the device agrees.

use tidewater_engine::id::DeviceId;

use super::{IdentityGenesis, IdentityId, RootKey, RootOrder, RootSignature};
use crate::codec::{Codec, Decoded, Malformed, Reader, put_time};
use crate::device::{DeviceKey, verify};

/// Says that `device` acts for `identity`. Signed by a root key of the identity and by the device itself, so neither can
/// claim the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Certificate {
    /// Whose device it is.
    pub identity: IdentityId,
    /// The device.
    pub device: DeviceId,
    /// The X25519 key under which the device receives secrets.
    pub agreement: [u8; 32],
    /// When it was issued, in milliseconds since 1970 UTC. Of two certificates of a device by one root key the later one counts.
    pub issued_ms: i64,
    possession: [u8; 64],
    signature: RootSignature,
}

impl Certificate {
    const VERSION: u8 = 2;

    /// Certifies a device. `possession` is the device's signature made by [`possession_of`].
    pub(crate) fn issue(
        root: &RootKey,
        identity: IdentityId,
        device: DeviceId,
        agreement: [u8; 32],
        possession: [u8; 64],
        issued_ms: i64,
    ) -> Self {
        let signature = root.sign(&[]);
        let mut certificate = Self { identity, device, agreement, issued_ms, possession, signature };
        certificate.signature = root.sign(&certificate.message());
        certificate
    }

    /// The same said by another root key of the identity.
    pub(crate) fn reissue(&self, root: &RootKey) -> Self {
        Self::issue(root, self.identity, self.device, self.agreement, self.possession, self.issued_ms)
    }

    /// Which root key signed it.
    pub(crate) fn root(&self) -> RootOrder {
        self.signature.order()
    }

    /// Orders the certificates of one device: the greatest counts. With one root key and one time, the greater bytes: any rule
    /// would do that every replica shares.
    pub(crate) fn order(&self) -> (RootOrder, i64, [u8; 32]) {
        (self.root(), self.issued_ms, self.agreement)
    }

    /// Whether both signatures hold and the identity is that of `genesis`.
    pub(crate) fn verify(&self, genesis: &IdentityGenesis) -> bool {
        self.identity == genesis.id()
            && verify_possession(&self.identity, &self.device, &self.agreement, &self.possession)
            && self.signature.verify(genesis, &self.message())
    }

    fn message(&self) -> Vec<u8> {
        let mut message = b"tidewater 2026 device certificate v2\0".to_vec();
        self.encode_claims(&mut message);
        message
    }

    fn encode_claims(&self, out: &mut Vec<u8>) {
        out.push(Self::VERSION);
        self.identity.encode(out);
        self.device.encode(out);
        out.extend_from_slice(&self.agreement);
        put_time(out, self.issued_ms);
        out.extend_from_slice(&self.possession);
    }
}

/// The device's agreement to act for `identity` and to receive secrets under `agreement`.
pub(crate) fn possession_of(device: &DeviceKey, identity: &IdentityId, agreement: &[u8; 32]) -> [u8; 64] {
    device.sign(&possession_message(identity, &device.device(), agreement))
}

pub(crate) fn verify_possession(
    identity: &IdentityId,
    device: &DeviceId,
    agreement: &[u8; 32],
    possession: &[u8; 64],
) -> bool {
    verify(&device.0, &possession_message(identity, device, agreement), possession)
}

fn possession_message(identity: &IdentityId, device: &DeviceId, agreement: &[u8; 32]) -> Vec<u8> {
    [b"tidewater 2026 device possession v1\0".as_slice(), &identity.0, &device.0, agreement].concat()
}

impl Codec for Certificate {
    fn encode(&self, out: &mut Vec<u8>) {
        self.encode_claims(out);
        self.signature.encode(out);
    }

    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        if reader.byte()? != Self::VERSION {
            return Err(Malformed("the certificate's version is unknown"));
        }
        Ok(Self {
            identity: IdentityId::decode(reader)?,
            device: DeviceId::decode(reader)?,
            agreement: reader.array()?,
            issued_ms: reader.time()?,
            possession: reader.array()?,
            signature: RootSignature::decode(reader)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::IdentitySecrets;
    use crate::keys::AgreementKey;
    use crate::simulation::SimulatedHost;

    /// A certificate of which any one bit was changed is not genuine.
    #[test]
    fn attack_every_changed_bit_of_a_certificate_is_noticed() {
        let host = SimulatedHost::new(4);
        let (secrets, genesis) = IdentitySecrets::generate(&*host);
        let device = DeviceKey::generate(&*host);
        let agreement = AgreementKey::generate(&*host).public();
        let possession = possession_of(&device, &genesis.id(), &agreement);
        let certificate =
            Certificate::issue(&secrets.root, genesis.id(), device.device(), agreement, possession, 1_800_000_000_000);
        assert!(certificate.verify(&genesis));
        let bytes = certificate.to_bytes();
        for bit in (0..bytes.len() * 8).step_by(3) {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(!Certificate::from_bytes(&changed).is_ok_and(|c| c.verify(&genesis)), "bit {bit}");
        }
    }

    /// An identity can't certify a device that agreed to belong to another one.
    #[test]
    fn attack_foreign_proof_of_possession_is_refused() {
        let host = SimulatedHost::new(5);
        let (thief, thief_genesis) = IdentitySecrets::generate(&*host);
        let (_, victim_genesis) = IdentitySecrets::generate(&*host);
        let device = DeviceKey::generate(&*host);
        let agreement = AgreementKey::generate(&*host).public();
        let possession = possession_of(&device, &victim_genesis.id(), &agreement);
        let certificate =
            Certificate::issue(&thief.root, thief_genesis.id(), device.device(), agreement, possession, 0);
        assert!(!certificate.verify(&thief_genesis));
    }
}
