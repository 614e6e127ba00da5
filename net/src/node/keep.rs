//! Keeping a peer connected: dial it, wait until it is lost, dial it again.

use std::sync::Arc;
use std::time::Duration;

use tidewater_engine::id::DeviceId;
use tidewater_sync::{Purpose, Role};
use tokio::sync::watch;
use tracing::Instrument;

use super::backoff::Backoff;
use super::blocking;
use super::conversation::stopped;
use super::event::{NodeEvent, Unreachable};
use super::race::race;
use super::run::Shared;
use super::status::{Attempt, PeerError};
use crate::transport::{Addr, CloseCode};

/// Keeps `device` from now on; when it is kept already, tries again at once.
pub(super) fn start(shared: &Arc<Shared>, device: DeviceId) {
    let keeper = {
        let mut registry = shared.registry();
        let peer = registry.peer(device);
        if let Some(bell) = &peer.keeper {
            return bell.send_modify(|rung| *rung += 1);
        }
        let bell = watch::Sender::new(0);
        let (rung, connected) = (bell.subscribe(), peer.connected.subscribe());
        peer.keeper = Some(bell);
        let backoff = Backoff::new(shared.config.retry);
        Keeper { shared: shared.clone(), device, rung, connected, backoff }
    };
    let span = tracing::info_span!("keep", peer = %device);
    let mut stop = shared.stop.subscribe();
    let task = async move {
        tokio::select! {
            () = stopped(&mut stop) => {}
            () = keeper.run() => {}
        }
    };
    tokio::spawn(shared.tasks.count(task.instrument(span)));
}

struct Keeper {
    shared: Arc<Shared>,
    device: DeviceId,
    /// Rung when the network changed; gone when the peer is not to be kept any more.
    rung: watch::Receiver<u64>,
    connected: watch::Receiver<usize>,
    backoff: Backoff,
}

impl Keeper {
    /// Runs until the peer is released.
    async fn run(mut self) {
        loop {
            let lost = self.connected.wait_for(|connected| *connected == 0).await.is_ok();
            if !lost || self.rung.has_changed().is_err() {
                return;
            }
            self.rung.mark_unchanged();
            self.attempt(Attempt::Dialing);
            let wait = self.connect().await;
            self.attempt(Attempt::Waiting { retry_in: wait });
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                rung = self.rung.changed() => match rung {
                    Ok(()) => self.backoff.reset(),
                    Err(_) => return,
                },
                // The peer may have called meanwhile.
                _ = self.connected.wait_for(|connected| *connected > 0) => {}
            }
            self.attempt(Attempt::None);
        }
    }

    /// Dials, and talks for as long as the peer stays. Gives how long to wait before the next attempt.
    async fn connect(&mut self) -> Duration {
        let error = match self.dial().await {
            Ok(wait) => return wait,
            Err(error) => error,
        };
        let retry_in = self.wait(error.is_transient());
        tracing::info!(%error, ?retry_in, "not reached");
        self.shared.database.report_failure(&self.device, &error.to_string());
        self.shared.registry().peer(self.device).last_error = Some(PeerError::Unreachable(error.clone()));
        self.shared.tell(NodeEvent::Unreachable { device: self.device, error, retry_in });
        retry_in
    }

    async fn dial(&mut self) -> Result<Duration, Unreachable> {
        let addresses = self.addresses().await;
        let connection = race(&self.shared.config, self.device, &addresses).await?;
        let started = match self.shared.converse(connection, Role::Dialer, Purpose::Member) {
            Ok(started) => started,
            // The peer has called at the same time, and its connection is the one that stays.
            Err(CloseCode::Duplicate) => return Ok(self.wait(true)),
            Err(_) => return Err(Unreachable::Full),
        };
        self.attempt(Attempt::None);
        // A session that ends without a word was stopped with the node.
        let Ok(ended) = started.ended.await else { return Ok(self.wait(true)) };
        if ended.was_ready {
            self.backoff.reset();
        }
        Ok(self.wait(ended.why.is_transient()))
    }

    fn wait(&mut self, may_pass: bool) -> Duration {
        let random = self.shared.random();
        if may_pass { self.backoff.next(random) } else { self.backoff.rarely(random) }
    }

    /// Where the peer is, as far as the database knows. Addresses that this version cannot read are left out.
    async fn addresses(&self) -> Vec<Addr> {
        let device = self.device;
        let peers = blocking(&self.shared.database, move |database| database.peers());
        let peers = match peers.await {
            Ok(peers) => peers,
            Err(error) => {
                tracing::warn!(%error, "the known peers cannot be read");
                return Vec::new();
            }
        };
        let texts = peers.into_iter().filter(|peer| peer.device == device).flat_map(|peer| peer.addresses);
        texts.filter_map(|text| text.parse().ok()).collect()
    }

    fn attempt(&self, attempt: Attempt) {
        let mut registry = self.shared.registry();
        let peer = registry.peer(self.device);
        if peer.keeper.is_some() {
            peer.attempt = attempt;
        }
    }
}
