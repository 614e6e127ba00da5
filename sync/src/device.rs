//! The device's own keys.

use std::fmt;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use tidewater_engine::host::{HeadSigner, Host};
use tidewater_engine::id::DeviceId;
use zeroize::Zeroizing;

use crate::codec::{Codec, Decoded, Malformed, Reader};
use crate::keys::AgreementKey;

/// An Ed25519 key that this database holds: the device's own or its identity's root key. `Debug` prints no byte of the secret.
pub struct DeviceKey {
    seed: Zeroizing<[u8; 32]>,
    key: SigningKey,
}

impl DeviceKey {
    pub(crate) fn from_seed(seed: Zeroizing<[u8; 32]>) -> Self {
        let key = SigningKey::from_bytes(&seed);
        Self { seed, key }
    }

    pub(crate) fn generate(host: &dyn Host) -> Self {
        Self::from_seed(random_secret(host))
    }

    /// The same key once more.
    pub(crate) fn duplicate(&self) -> Self {
        Self::from_seed(self.seed.clone())
    }

    /// The public half.
    #[must_use]
    pub fn device(&self) -> DeviceId {
        DeviceId(self.key.verifying_key().to_bytes())
    }

    /// The secret half, 32 bytes as in RFC 8032, for a transport that signs its own handshake.
    #[must_use]
    pub fn expose_seed(&self) -> &[u8; 32] {
        &self.seed
    }

    /// The Ed25519 signature over `message`.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }
}

impl HeadSigner for DeviceKey {
    fn device(&self) -> DeviceId {
        Self::device(self)
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        Self::sign(self, message)
    }
}

impl fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeviceKey({})", self.device())
    }
}

/// Whether `signature` over `message` is that of `public`. Keys of small order and unreduced signatures never pass.
pub(crate) fn verify(public: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    VerifyingKey::from_bytes(public)
        .is_ok_and(|key| key.verify_strict(message, &Signature::from_bytes(signature)).is_ok())
}

pub(crate) fn random_secret(host: &dyn Host) -> Zeroizing<[u8; 32]> {
    let mut secret = Zeroizing::new([0; 32]);
    host.fill_random(&mut *secret);
    secret
}

/// The secrets of a device, as the local record `device` keeps them.
pub(crate) struct DeviceSecrets {
    pub(crate) signing: Zeroizing<[u8; 32]>,
    pub(crate) agreement: AgreementKey,
}

impl DeviceSecrets {
    const VERSION: u8 = 1;

    pub(crate) fn generate(host: &dyn Host) -> Self {
        Self { signing: random_secret(host), agreement: AgreementKey::generate(host) }
    }
}

impl Codec for DeviceSecrets {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(Self::VERSION);
        out.extend_from_slice(&*self.signing);
        out.extend_from_slice(self.agreement.expose());
    }

    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        if reader.byte()? != Self::VERSION {
            return Err(Malformed("its version is unknown; upgrade"));
        }
        let signing = Zeroizing::new(reader.array()?);
        Ok(Self { signing, agreement: AgreementKey::from_secret(Zeroizing::new(reader.array()?)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::SimulatedHost;

    /// A device whose key is of small order proves nothing by any signature.
    #[test]
    fn attack_device_key_of_small_order_verifies_nothing() {
        // The identity point with R = identity and S = 0 passes the plain check for every message.
        let mut public = [0; 32];
        public[0] = 1;
        let mut signature = [0; 64];
        signature[0] = 1;
        assert!(!verify(&public, b"anything", &signature));
    }

    #[test]
    fn debug_shows_no_secret() {
        let key = DeviceKey::from_seed(Zeroizing::new([7; 32]));
        assert_eq!(format!("{key:?}"), format!("DeviceKey({})", key.device()));
    }

    #[test]
    fn what_is_handed_to_a_transport_is_the_devices_own_seed() {
        let key = DeviceKey::from_seed(Zeroizing::new([7; 32]));
        assert_eq!(key.expose_seed(), &[7; 32]);
        assert_eq!(HeadSigner::device(&key), key.device());
        assert!(verify(&key.device().0, b"message", &HeadSigner::sign(&key, b"message")));
        assert!(!verify(&key.device().0, b"another", &key.sign(b"message")));
    }

    #[test]
    fn the_secrets_of_a_device_are_stored_whole_and_read_by_version() {
        let host = SimulatedHost::new(1);
        let secrets = DeviceSecrets::generate(&*host);
        let mut bytes = secrets.to_bytes();
        let read = DeviceSecrets::from_bytes(&bytes).unwrap();
        assert_eq!(read.signing, secrets.signing);
        assert_eq!(read.agreement.public(), secrets.agreement.public());
        assert_ne!(*read.signing, *read.agreement.expose(), "one key for each purpose");
        bytes[0] = 2;
        assert_eq!(DeviceSecrets::from_bytes(&bytes).err(), Some(Malformed("its version is unknown; upgrade")));
    }
}
