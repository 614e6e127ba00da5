//! What the engine is handed instead of reaching for it: the clock, randomness and the device's signature.

use std::fmt;

use crate::id::DeviceId;

/// The clock and the randomness of the machine, or of a simulation.
pub trait Host: Send + Sync + 'static {
    /// Milliseconds since 1970-01-01 UTC. It may jump; nothing depends on it for validity.
    fn now_ms(&self) -> i64;
    /// Fills `out` with unpredictable bytes.
    fn fill_random(&self, out: &mut [u8]);
}

/// Signs heads with the device's key. Implemented by the owner of the key, the `tidewater-sync` crate.
pub trait HeadSigner: Send + Sync + 'static {
    /// The Ed25519 public key that [`HeadSigner::sign`] answers for.
    fn device(&self) -> DeviceId;
    /// The Ed25519 signature over `message`.
    fn sign(&self, message: &[u8]) -> [u8; 64];
}

impl fmt::Debug for dyn HeadSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HeadSigner({})", self.device())
    }
}
