//! QUIC between native devices: TLS 1.3 with raw public keys (RFC 7250), the device key on both sides.
//!
//! There are no certificates, names, tickets or early data: a connection is to a key. The dialer checks the expected
//! key before it shows its own. Everything a stranger can make this node hold is bounded by [`QuicConfig`].

mod admission;
mod config;
mod connection;
mod dial;
mod listener;
mod socket;
mod tasks;
mod tls;

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use tidewater_engine::host::HeadSigner;
use tidewater_engine::id::DeviceId;
use tidewater_sync::Database;

use crate::transport::{Addr, Connection, DialError, ListenError, Listener, Transport};

pub use config::QuicConfig;

/// The scheme of QUIC addresses: `quic://host:port`.
pub const SCHEME: &str = "quic";

/// The transport over QUIC. Cheap to clone; clones share sockets and limits.
#[derive(Clone)]
pub struct QuicTransport {
    shared: Arc<Shared>,
}

struct Shared {
    config: QuicConfig,
    identity: tls::Identity,
    admission: admission::Admission,
    tasks: tasks::CountedRuntime,
    dialers: dial::Dialers,
}

impl QuicTransport {
    /// A transport that proves the device key of `database`.
    #[must_use]
    pub fn of(database: &Database, config: QuicConfig) -> Self {
        Self::new(Arc::new(DatabaseKey(database.clone())), config)
    }

    /// A transport that proves the key of `signer`.
    #[must_use]
    pub fn new(signer: Arc<dyn HeadSigner>, config: QuicConfig) -> Self {
        Self {
            shared: Arc::new(Shared {
                identity: tls::Identity::new(signer),
                admission: admission::Admission::new(&config),
                tasks: tasks::CountedRuntime::default(),
                dialers: dial::Dialers::default(),
                config,
            }),
        }
    }
}

/// Signs with the device key where it is.
struct DatabaseKey(Database);

impl HeadSigner for DatabaseKey {
    fn device(&self) -> DeviceId {
        self.0.device()
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.device_key().sign(message)
    }
}

impl Transport for QuicTransport {
    fn schemes(&self) -> &'static [&'static str] {
        &[SCHEME]
    }

    fn listen<'a>(&'a self, address: &'a Addr) -> BoxFuture<'a, Result<Box<dyn Listener>, ListenError>> {
        Box::pin(async move { listener::listen(&self.shared, address) })
    }

    fn dial<'a>(
        &'a self,
        address: &'a Addr,
        expect: Option<DeviceId>,
    ) -> BoxFuture<'a, Result<Arc<dyn Connection>, DialError>> {
        Box::pin(dial::dial(&self.shared, address, expect))
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.shared.dialers.close();
            self.shared.tasks.end(self.shared.config.shutdown_timeout).await;
        })
    }
}

impl fmt::Debug for QuicTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QuicTransport({})", self.shared.identity.device())
    }
}
