//! The device's own keys.

use std::fmt;

use tidewater_engine::id::DeviceId;
use zeroize::Zeroizing;

/// This device's Ed25519 key: it signs heads and proves the device to transports. `Debug` prints no byte of the secret.
pub struct DeviceKey {
    seed: Zeroizing<[u8; 32]>,
    device: DeviceId,
}

impl DeviceKey {
    /// The public half.
    #[must_use]
    pub fn device(&self) -> DeviceId {
        self.device
    }

    /// The secret half, 32 bytes as in RFC 8032, for a transport that signs its own handshake.
    #[must_use]
    pub fn expose_seed(&self) -> &[u8; 32] {
        &self.seed
    }

    /// The Ed25519 signature over `message`.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        todo!("{message:?}")
    }
}

impl fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeviceKey({})", self.device)
    }
}
