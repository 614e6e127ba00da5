//! How a node behaves.

use std::sync::Arc;
use std::time::Duration;

use tidewater_sync::Database;

use super::backoff::RetryPolicy;
use crate::quic::{QuicConfig, QuicTransport};
use crate::transport::{Addr, Transport};

/// How a node behaves. Make one with [`NodeConfig::new`] or [`NodeConfig::quic`] and change what differs.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NodeConfig {
    /// What carries connections. The first that understands an address's scheme serves it.
    pub transports: Vec<Arc<dyn Transport>>,
    /// Where to wait for connections. Empty: this node only dials.
    pub listen: Vec<Addr>,
    /// Where other devices are told to dial this one, best first. `None`: the addresses listened on, and for
    /// unspecified ones (`0.0.0.0`, `[::]`) every address of this machine.
    pub advertise: Option<Vec<Addr>>,
    /// Connections that may be open at once: 100.
    pub max_connections: usize,
    /// Connections that one device may have at once: 4.
    pub max_connections_per_peer: usize,
    /// Connections of members that may have as much in memory as members may, at most 8 MiB each: 8. The others have as
    /// little as strangers, at most 1 MiB each, which makes them slower over long ways.
    pub max_wide: usize,
    /// Sessions that may work at once: 8. Each holds a thread meanwhile, and what it takes apart; the others wait their turn.
    pub max_working: usize,
    /// Accepted connections that may be in their hello at once: 64.
    pub max_hellos: usize,
    /// All addresses of a peer together are given up after this: 5 s.
    pub dial_timeout: Duration,
    /// The next address of a peer is tried beside those before it after this: 250 ms.
    pub dial_stagger: Duration,
    /// When a kept peer is dialled again.
    pub retry: RetryPolicy,
    /// How often vectors are compared even though nothing seems to be missing: 60 s.
    pub anti_entropy: Duration,
    /// How long a session that ends here waits for the peer to take the last frames: 1 s.
    pub linger: Duration,
    /// How long [`Node::shutdown`](super::Node::shutdown) waits for everything to end before it gives up: 5 s.
    pub shutdown_timeout: Duration,
}

impl NodeConfig {
    /// A node over `transports` that listens nowhere.
    #[must_use]
    pub fn new(transports: Vec<Arc<dyn Transport>>) -> Self {
        Self {
            transports,
            listen: Vec::new(),
            advertise: None,
            max_connections: 100,
            max_connections_per_peer: 4,
            max_wide: 8,
            max_working: 8,
            max_hellos: 64,
            dial_timeout: Duration::from_secs(5),
            dial_stagger: Duration::from_millis(250),
            retry: RetryPolicy::default(),
            anti_entropy: Duration::from_secs(60),
            linger: Duration::from_secs(1),
            shutdown_timeout: Duration::from_secs(5),
        }
    }

    /// A node over QUIC that listens at `listen` and proves the key of `database`.
    #[must_use]
    pub fn quic(database: &Database, listen: Vec<Addr>) -> Self {
        let transport = QuicTransport::of(database, QuicConfig::default());
        Self { listen, ..Self::new(vec![Arc::new(transport)]) }
    }
}
