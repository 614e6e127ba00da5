//! QUIC's world: loopback.

use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;

use ed25519_dalek::{Signer, SigningKey};
use tidewater_engine::host::HeadSigner;
use tidewater_engine::id::DeviceId;
use tidewater_net::quic::{QuicConfig, QuicTransport};
use tidewater_net::transport::{Addr, Transport};

use crate::udp_relay::UdpRelay;
use crate::world::World;

pub struct QuicWorld;

/// A device key from a seed.
pub struct Key(SigningKey);

impl Key {
    pub fn new(seed: u8) -> Arc<Self> {
        Arc::new(Self(SigningKey::from_bytes(&[seed; 32])))
    }
}

impl HeadSigner for Key {
    fn device(&self) -> DeviceId {
        DeviceId(self.0.verifying_key().to_bytes())
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

/// A path that is lost is noticed within seconds here, so that the suite need not wait for the default.
fn quick_to_notice() -> QuicConfig {
    let mut config = QuicConfig::default();
    config.keep_alive = Duration::from_secs(1);
    config.idle_timeout = Duration::from_secs(4);
    config.dial_timeout = Duration::from_secs(60);
    config
}

impl World for QuicWorld {
    fn new() -> Self {
        Self
    }

    fn device(&self, seed: u8) -> DeviceId {
        Key::new(seed).device()
    }

    fn transport(&self, seed: u8) -> Arc<dyn Transport> {
        Arc::new(QuicTransport::new(Key::new(seed), quick_to_notice()))
    }

    fn impatient(&self, seed: u8) -> Arc<dyn Transport> {
        let mut config = quick_to_notice();
        config.dial_timeout = Duration::from_millis(100);
        Arc::new(QuicTransport::new(Key::new(seed), config))
    }

    fn anywhere(&self) -> Addr {
        "quic://127.0.0.1:0".parse().unwrap()
    }

    fn nowhere(&self) -> (Addr, Box<dyn Send>) {
        let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = format!("quic://{}", silent.local_addr().unwrap()).parse().unwrap();
        (address, Box::new(silent))
    }

    async fn breakable(&self, to: &Addr, _between: [u8; 2]) -> (Addr, Box<dyn FnOnce() + Send>) {
        let relay = UdpRelay::start(to.socket_address().unwrap()).await;
        let address = format!("quic://{}", relay.address()).parse().unwrap();
        (address, Box::new(move || drop(relay)))
    }
}
