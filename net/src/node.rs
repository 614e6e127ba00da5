//! The node: it keeps sessions between this database and others, for as long as it runs.
//!
//! It listens, dials the peers that the database remembers, dials them again when they are lost, and runs one
//! [`tidewater_sync::Session`] on every connection. Whatever a peer does, it costs at most what the limits of
//! [`NodeConfig`] allow, and harms nobody else. Sessions go on from what both sides hold, so a connection that breaks
//! loses nothing.

mod accept;
mod advertise;
mod backoff;
mod config;
mod conversation;
mod event;
mod frames;
mod join;
mod keep;
mod race;
mod registry;
mod run;
mod status;
mod traffic;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tidewater_engine::id::DeviceId;
use tidewater_sync::{Database, SpaceError};
use tokio::sync::{Semaphore, broadcast, watch};

pub use self::backoff::RetryPolicy;
pub use self::config::NodeConfig;
pub use self::event::{Ending, Events, NodeEvent, Unreachable};
pub use self::frames::FrameError;
pub use self::join::{JoinError, Joined};
use self::registry::{Limits, Registry};
use self::run::Shared;
pub use self::status::{Attempt, ConnectionMode, ConnectionStatus, NodePeer, NodeStatus, PeerError};
pub use self::traffic::Volume;
use crate::tasks::TaskCount;
use crate::transport::{Addr, CloseCode, ListenError};

/// A running node. Cheap to clone; it stops with [`Node::shutdown`], or when the last clone is dropped.
#[derive(Clone)]
pub struct Node {
    shared: Arc<Shared>,
    _stop: Arc<StopOnDrop>,
}

struct StopOnDrop(Arc<Shared>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop.send_replace(true);
    }
}

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// An address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The known peers cannot be read.
    #[error("the known peers cannot be read: {0}")]
    Database(#[from] SpaceError),
}

/// Why a peer cannot be kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// It is this device.
    #[error("{device} is this device itself")]
    Oneself {
        /// This device.
        device: DeviceId,
    },
    /// The node was shut down.
    #[error("this node was shut down")]
    Stopped,
    /// The peer's addresses cannot be stored.
    #[error("the addresses cannot be stored: {0}")]
    Database(#[from] SpaceError),
}

impl Node {
    /// Starts a node: listens, and begins to dial every device that `database` knows an address of. Returns as soon as
    /// it listens.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left behind then.
    pub async fn start(database: Database, config: NodeConfig) -> Result<Self, StartError> {
        let mut listeners = Vec::new();
        for address in &config.listen {
            let transport = race::transport_for(&config, address).ok_or_else(|| {
                let known = race::known_schemes(&config);
                ListenError::Scheme { address: address.clone(), known }
            })?;
            listeners.push(transport.listen(address).await?);
        }
        let known = blocking(&database, Database::peers).await?;
        let listening: Vec<Addr> = listeners.iter().map(|listener| listener.local_address().clone()).collect();
        let limits = Limits {
            connections: config.max_connections,
            per_peer: config.max_connections_per_peer,
            hellos: config.max_hellos,
        };
        let shared = Arc::new(Shared {
            registry: Mutex::new(Registry::new(database.device(), limits)),
            advertised: Mutex::new(config.advertise.clone().unwrap_or_else(|| advertise::advertised(&listening))),
            workers: Arc::new(Semaphore::new(config.max_working.clamp(1, Semaphore::MAX_PERMITS))),
            wide: Arc::new(Semaphore::new(config.max_wide.min(Semaphore::MAX_PERMITS))),
            database,
            config,
            listening,
            events: broadcast::Sender::new(event::EVENT_BACKLOG),
            stop: watch::Sender::new(false),
            tasks: TaskCount::default(),
        });
        tracing::info!(device = %shared.database.device(), listening = ?shared.listening, "the node is up");
        for listener in listeners {
            accept::start(&shared, listener);
        }
        for peer in known.iter().filter(|peer| !peer.addresses.is_empty()) {
            keep::start(&shared, peer.device);
        }
        Ok(Self { _stop: Arc::new(StopOnDrop(shared.clone())), shared })
    }

    /// The database it works for.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.shared.database
    }

    /// Where it listens: with the actual ports where port 0 was asked for.
    #[must_use]
    pub fn listen_addresses(&self) -> &[Addr] {
        &self.shared.listening
    }

    /// Where others are told to dial it, best first: for tickets.
    #[must_use]
    pub fn advertised_addresses(&self) -> Vec<Addr> {
        self.shared.advertised()
    }

    /// Keeps `device` connected from now on, also after a restart: dials it at `addresses` and those known before,
    /// again and again. What comes of it is told by [`Node::events`] and [`Node::status`].
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn connect(&self, device: DeviceId, addresses: &[Addr]) -> Result<(), ConnectError> {
        if device == self.shared.database.device() {
            return Err(ConnectError::Oneself { device });
        }
        if *self.shared.stop.borrow() {
            return Err(ConnectError::Stopped);
        }
        let texts: Vec<String> = addresses.iter().map(Addr::to_string).collect();
        blocking(&self.shared.database, move |database| database.remember_peer(&device, &texts)).await?;
        keep::start(&self.shared, device);
        Ok(())
    }

    /// Closes the connections to `device`, and neither keeps nor remembers it. It may still call.
    ///
    /// # Errors
    /// [`SpaceError::Write`].
    pub async fn forget(&self, device: DeviceId) -> Result<(), SpaceError> {
        for connection in self.shared.registry().release(device) {
            connection.close(CloseCode::Done, "disconnected");
        }
        blocking(&self.shared.database, move |database| database.forget_peer(&device)).await
    }

    /// Tells the node that the network may have changed: it looks up its addresses anew, and dials every kept peer that
    /// is not connected at once.
    pub fn network_changed(&self) {
        let shared = &self.shared;
        if shared.config.advertise.is_none() {
            let found = advertise::advertised(&shared.listening);
            *shared.advertised.lock().unwrap_or_else(PoisonError::into_inner) = found;
        }
        for peer in shared.registry().peers().values() {
            if let Some(bell) = &peer.keeper {
                bell.send_modify(|rung| *rung += 1);
            }
        }
    }

    /// How everything is, now.
    #[must_use]
    pub fn status(&self) -> NodeStatus {
        let shared = &self.shared;
        let mut sync = shared.database.status().peers;
        let now = Instant::now();
        let mut peers = std::collections::BTreeMap::new();
        for (device, peer) in shared.registry().peers() {
            let connections: Vec<ConnectionStatus> = peer.connections.iter().map(|live| live.status(now)).collect();
            let mode = if connections.is_empty() { ConnectionMode::Offline } else { ConnectionMode::P2p };
            let status = NodePeer {
                kept: peer.keeper.is_some(),
                mode,
                connections,
                attempt: peer.attempt,
                last_error: peer.last_error.clone(),
                sync: sync.remove(device),
            };
            peers.insert(*device, status);
        }
        let rest = sync.into_iter().map(|(device, status)| {
            let offline = NodePeer { sync: Some(status), ..NodePeer::default() };
            (device, offline)
        });
        peers.extend(rest);
        NodeStatus {
            device: shared.database.device(),
            listening: shared.listening.clone(),
            advertised: shared.advertised(),
            peers,
        }
    }

    /// What happens from now on.
    #[must_use]
    pub fn events(&self) -> Events {
        Events::new(self.shared.events.subscribe())
    }

    /// Stops in good order: listens no more, ends every session after what it received is durable, tells the peers, and
    /// closes all sockets. The database stays open.
    pub async fn shutdown(&self) {
        let shared = &self.shared;
        shared.stop.send_replace(true);
        let ended = async {
            shared.tasks.idle().await;
            for transport in &shared.config.transports {
                transport.shutdown().await;
            }
        };
        if tokio::time::timeout(shared.config.shutdown_timeout, ended).await.is_err() {
            tracing::warn!("the node took too long to shut down; some peers will notice only later");
        }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Node({} at {:?})", self.shared.database.device(), self.shared.listening)
    }
}

/// Runs something that reads or writes the database on a thread that may block.
async fn blocking<T: Send + 'static>(database: &Database, work: impl FnOnce(&Database) -> T + Send + 'static) -> T {
    let database = database.clone();
    match tokio::task::spawn_blocking(move || work(&database)).await {
        Ok(result) => result,
        // The work is never cancelled, so it has panicked: pass that on to who asked for it.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
