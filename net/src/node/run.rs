//! What all tasks of a node share, and how a connection becomes a session.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tidewater_engine::id::{DeviceId, SpaceId};
use tidewater_sync::{Database, Purpose, Role, SessionConfig, SessionEvent};
use tokio::sync::{Semaphore, broadcast, oneshot, watch};
use tracing::Instrument;

use super::config::NodeConfig;
use super::conversation::Conversation;
use super::event::{Ending, NodeEvent};
use super::registry::{Admission, Live, Registry};
use super::status::{ConnectionStatus, PeerError};
use super::traffic::Traffic;
use super::{blocking, keep};
use crate::tasks::TaskCount;
use crate::transport::{Addr, CloseCode, Connection};

/// What all tasks of a node share.
pub(super) struct Shared {
    pub database: Database,
    pub config: NodeConfig,
    pub listening: Vec<Addr>,
    pub advertised: Mutex<Vec<Addr>>,
    pub registry: Mutex<Registry>,
    pub events: broadcast::Sender<NodeEvent>,
    pub stop: watch::Sender<bool>,
    pub tasks: TaskCount,
    /// How many more connections may be wide.
    pub wide: Arc<Semaphore>,
    /// How many more sessions may work at once.
    pub workers: Arc<Semaphore>,
}

/// How a session ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub why: Ending,
    /// Whether it was past its hello.
    pub was_ready: bool,
}

/// A session that was started.
#[derive(Debug)]
pub(super) struct Started {
    /// The spaces that came with a ticket, once it is honoured.
    pub joined: oneshot::Receiver<Vec<SpaceId>>,
    /// How it ended, once it did.
    pub ended: oneshot::Receiver<Ended>,
}

impl Shared {
    pub(super) fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn advertised(&self) -> Vec<Addr> {
        self.advertised.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tells whoever listens; nobody has to.
    pub(super) fn tell(&self, event: NodeEvent) {
        let _ = self.events.send(event);
    }

    /// Unpredictable bits for jitter.
    pub(super) fn random(&self) -> u64 {
        let mut bytes = [0; 8];
        self.database.host().fill_random(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// Starts a session on a new connection, unless there are too many or a better one.
    ///
    /// # Errors
    /// The code that the connection was closed with.
    pub(super) fn converse(
        self: &Arc<Self>,
        connection: Arc<dyn Connection>,
        role: Role,
        purpose: Purpose,
    ) -> Result<Started, CloseCode> {
        let device = connection.peer();
        let dialed = role == Role::Dialer;
        let (number, traffic) = match self.registry().admit(connection.clone(), dialed, Instant::now()) {
            Admission::Kept { number, traffic, replaced } => {
                replaced.iter().for_each(|older| older.close(CloseCode::Duplicate, ""));
                (number, traffic)
            }
            Admission::Refused(code) => {
                connection.close(code, "");
                return Err(code);
            }
        };
        let (on_joined, joined) = oneshot::channel();
        let (on_ended, ended) = oneshot::channel();
        let running = Running { shared: self.clone(), device, number, was_ready: false, on_joined: Some(on_joined) };
        let span = tracing::info_span!("session", peer = %device, number);
        let task = async move {
            let ended = running.run(connection, traffic, role, purpose).await;
            // Nobody has to wait for it.
            let _ = on_ended.send(ended);
        };
        tokio::spawn(self.tasks.count(task.instrument(span)));
        Ok(Started { joined, ended })
    }
}

/// A session that runs.
struct Running {
    shared: Arc<Shared>,
    device: DeviceId,
    number: u64,
    was_ready: bool,
    on_joined: Option<oneshot::Sender<Vec<SpaceId>>>,
}

impl Running {
    async fn run(
        mut self,
        connection: Arc<dyn Connection>,
        traffic: Arc<Traffic>,
        role: Role,
        purpose: Purpose,
    ) -> Ended {
        let shared = self.shared.clone();
        let path = connection.path();
        tracing::info!(path = %path.kind, remote = %path.remote, ?role, "connected");
        shared.tell(NodeEvent::Connected { device: self.device, path, dialed: role == Role::Dialer });
        let conversation = Conversation {
            database: shared.database.clone(),
            session: SessionConfig {
                role,
                remote: self.device,
                binding: connection.binding().0,
                purpose,
                addresses: shared.advertised().iter().map(Addr::to_string).collect(),
                anti_entropy_ms: i64::try_from(shared.config.anti_entropy.as_millis()).unwrap_or(i64::MAX),
            },
            connection: &*connection,
            traffic: &traffic,
            stop: shared.stop.subscribe(),
            linger: shared.config.linger,
            wide: shared.wide.clone(),
            workers: shared.workers.clone(),
        };
        let why = conversation.run(|event| self.heard(event)).await;
        tracing::info!(%why, "disconnected");
        let error = (why != Ending::Stopped && !why.is_replaced()).then(|| PeerError::Ended(why.clone()));
        shared.registry().remove(self.device, self.number, error);
        drop(connection);
        shared.tell(NodeEvent::Disconnected { device: self.device, why: why.clone() });
        if self.was_ready && role == Role::Acceptor {
            self.call_back().await;
        }
        Ended { why, was_ready: self.was_ready }
    }

    fn heard(&mut self, event: SessionEvent) {
        match &event {
            SessionEvent::Ready { .. } => {
                self.was_ready = true;
                self.shared.registry().ready(self.device, self.number);
            }
            SessionEvent::Joined { spaces } => {
                // What was connected before syncs the same spaces: one session does.
                for older in self.shared.registry().others(self.device, self.number) {
                    older.close(CloseCode::Duplicate, "");
                }
                if let Some(on_joined) = self.on_joined.take() {
                    let _ = on_joined.send(spaces.clone());
                }
            }
            other => tracing::debug!(event = ?other, "heard"),
        }
        self.shared.tell(NodeEvent::Session { device: self.device, event });
    }

    /// Keeps a device that called, if it said where it can be called back: only those who share a space do.
    async fn call_back(&self) {
        let device = self.device;
        // Many may end at once; what they ask of the disk takes its turn too. The semaphore is never closed.
        let _working = self.shared.workers.acquire().await.ok();
        let known = blocking(&self.shared.database, move |database| {
            database.peers().map(|peers| peers.iter().any(|peer| peer.device == device && !peer.addresses.is_empty()))
        });
        match known.await {
            Ok(true) => keep::start(&self.shared, device),
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "the known peers cannot be read"),
        }
    }
}

impl Live {
    pub(super) fn status(&self, now: Instant) -> ConnectionStatus {
        let (received, sent) = self.traffic.volumes(now);
        ConnectionStatus {
            path: self.connection.path(),
            dialed: self.dialed,
            ready: self.ready,
            open_for: now.saturating_duration_since(self.since),
            received,
            sent,
        }
    }
}
