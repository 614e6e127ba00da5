//! What a node knows about its peers now: connections, attempts, failures. Pure bookkeeping; it does nothing itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidewater_engine::id::DeviceId;
use tokio::sync::watch;

use super::status::{Attempt, PeerError};
use super::traffic::Traffic;
use crate::transport::{CloseCode, Connection};

/// Two connections that are made within this time in opposite directions are one wish, uttered twice.
const SIMULTANEOUS: Duration = Duration::from_secs(2);

/// How many connections there may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub connections: usize,
    pub per_peer: usize,
    pub hellos: usize,
}

/// All peers that are connected, kept, or were while the node ran.
#[derive(Debug)]
pub(super) struct Registry {
    oneself: DeviceId,
    limits: Limits,
    next: u64,
    peers: BTreeMap<DeviceId, Peer>,
}

/// One peer.
#[derive(Debug, Default)]
pub(super) struct Peer {
    /// Its connections, oldest first.
    pub connections: Vec<Live>,
    /// How many there are, for whoever waits for a change.
    pub connected: watch::Sender<usize>,
    /// Whether this node keeps it connected, and a bell to try again at once.
    pub keeper: Option<watch::Sender<u64>>,
    /// What the keeper does.
    pub attempt: Attempt,
    /// Why it was last not reached or lost; none once a session is ready.
    pub last_error: Option<PeerError>,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Live {
    pub number: u64,
    pub connection: Arc<dyn Connection>,
    pub dialed: bool,
    pub since: Instant,
    pub traffic: Arc<Traffic>,
    /// Whether its session is past the hello.
    pub ready: bool,
}

/// What is to become of a new connection.
#[derive(Debug)]
pub(super) enum Admission {
    /// It is kept under this number; `replaced` are closed as duplicates.
    Kept { number: u64, traffic: Arc<Traffic>, replaced: Vec<Arc<dyn Connection>> },
    /// It is closed with this code.
    Refused(CloseCode),
}

impl Registry {
    pub(super) fn new(oneself: DeviceId, limits: Limits) -> Self {
        Self { oneself, limits, next: 0, peers: BTreeMap::new() }
    }

    pub(super) fn peers(&self) -> &BTreeMap<DeviceId, Peer> {
        &self.peers
    }

    pub(super) fn peer(&mut self, device: DeviceId) -> &mut Peer {
        self.peers.entry(device).or_default()
    }

    /// Decides about a new connection.
    ///
    /// Of two devices that dial each other at once, both keep what the smaller one dialled. Otherwise connections of
    /// one device stand beside each other up to a limit: an older one may be dead without anybody knowing it yet, or
    /// belong to a copy of the device.
    pub(super) fn admit(&mut self, connection: Arc<dyn Connection>, dialed: bool, now: Instant) -> Admission {
        let device = connection.peer();
        let all = || self.peers.values().flat_map(|peer| &peer.connections);
        let hellos = all().filter(|live| !live.ready && !live.dialed).count();
        if all().count() >= self.limits.connections || (!dialed && hellos >= self.limits.hellos) {
            return Admission::Refused(CloseCode::Busy);
        }
        let dialed_by_the_smaller = dialed == (self.oneself < device);
        let per_peer = self.limits.per_peer.max(1);
        self.next += 1;
        let number = self.next;
        let peer = self.peers.entry(device).or_default();
        let crossing = |live: &Live| live.dialed != dialed && now.duration_since(live.since) < SIMULTANEOUS;
        if !dialed_by_the_smaller && peer.connections.iter().any(crossing) {
            return Admission::Refused(CloseCode::Duplicate);
        }
        let mut replaced: Vec<_> = peer.connections.iter().filter(|live| crossing(live)).collect();
        let left = peer.connections.len() - replaced.len();
        let oldest = peer.connections.iter().filter(|live| !crossing(live)).take((left + 1).saturating_sub(per_peer));
        replaced.extend(oldest);
        let replaced = replaced.into_iter().map(|live| live.connection.clone()).collect();
        let traffic = Arc::new(Traffic::new(now));
        peer.connections.push(Live { number, connection, dialed, since: now, traffic: traffic.clone(), ready: false });
        peer.connected.send_replace(peer.connections.len());
        Admission::Kept { number, traffic, replaced }
    }

    /// Notes that the session of a connection is past its hello.
    pub(super) fn ready(&mut self, device: DeviceId, number: u64) {
        let peer = self.peer(device);
        peer.last_error = None;
        if let Some(live) = peer.connections.iter_mut().find(|live| live.number == number) {
            live.ready = true;
        }
    }

    /// The other connections of a device.
    pub(super) fn others(&self, device: DeviceId, number: u64) -> Vec<Arc<dyn Connection>> {
        let connections = self.peers.get(&device).map_or(&[][..], |peer| &peer.connections);
        connections.iter().filter(|live| live.number != number).map(|live| live.connection.clone()).collect()
    }

    /// Takes a connection that ended off the list. A stranger who was never kept is forgotten with it.
    pub(super) fn remove(&mut self, device: DeviceId, number: u64, error: Option<PeerError>) {
        let Some(peer) = self.peers.get_mut(&device) else { return };
        peer.connections.retain(|live| live.number != number);
        if error.is_some() {
            peer.last_error = error;
        }
        peer.connected.send_replace(peer.connections.len());
        self.forget_stranger(device);
    }

    /// Stops keeping a device; gives its connections.
    pub(super) fn release(&mut self, device: DeviceId) -> Vec<Arc<dyn Connection>> {
        let Some(peer) = self.peers.get_mut(&device) else { return Vec::new() };
        peer.keeper = None;
        peer.attempt = Attempt::None;
        let connections = peer.connections.iter().map(|live| live.connection.clone()).collect();
        self.forget_stranger(device);
        connections
    }

    fn forget_stranger(&mut self, device: DeviceId) {
        if self.peers.get(&device).is_some_and(|peer| peer.connections.is_empty() && peer.keeper.is_none()) {
            self.peers.remove(&device);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryNetwork;
    use crate::transport::Transport;

    const LIMITS: Limits = Limits { connections: 10, per_peer: 3, hellos: 4 };

    fn device(seed: u8) -> DeviceId {
        DeviceId([seed; 32])
    }

    /// A connection to `peer`, as device 5 sees it.
    async fn connection(peer: u8) -> Arc<dyn Connection> {
        let network = MemoryNetwork::new();
        let listener = network.transport(device(peer)).listen(&"memory://peer".parse().unwrap()).await.unwrap();
        let connection = network.transport(device(5)).dial(listener.local_address(), None).await.unwrap();
        // Nobody accepts; the bookkeeping does not mind.
        connection
    }

    fn number(admission: Admission) -> (u64, usize) {
        match admission {
            Admission::Kept { number, replaced, .. } => (number, replaced.len()),
            Admission::Refused(code) => panic!("{code}"),
        }
    }

    #[tokio::test]
    async fn of_two_crossing_dials_the_smaller_devices_is_kept() {
        let now = Instant::now();
        for (peer, dialed_stays) in [(9, true), (1, false)] {
            for dialed_first in [true, false] {
                let mut registry = Registry::new(device(5), LIMITS);
                number(registry.admit(connection(peer).await, dialed_first, now));
                let second = registry.admit(connection(peer).await, !dialed_first, now + Duration::from_millis(100));
                if dialed_first == dialed_stays {
                    assert!(matches!(second, Admission::Refused(CloseCode::Duplicate)));
                } else {
                    assert_eq!(number(second).1, 1, "the first gives way");
                }
            }
        }
    }

    #[tokio::test]
    async fn a_device_that_comes_back_is_not_taken_for_a_crossing_dial() {
        let now = Instant::now();
        let mut registry = Registry::new(device(5), LIMITS);
        number(registry.admit(connection(9).await, true, now));
        assert_eq!(number(registry.admit(connection(9).await, false, now + SIMULTANEOUS)).1, 0);
    }

    #[tokio::test]
    async fn a_device_has_so_many_connections_and_its_oldest_gives_way() {
        let now = Instant::now();
        let mut registry = Registry::new(device(5), LIMITS);
        for _ in 0..3 {
            assert_eq!(number(registry.admit(connection(9).await, false, now)).1, 0);
        }
        let (newest, replaced) = number(registry.admit(connection(9).await, false, now));
        assert_eq!((newest, replaced), (4, 1));
        registry.remove(device(9), 1, None);
        assert_eq!(registry.others(device(9), newest).len(), 2);
    }

    #[tokio::test]
    async fn connections_and_hellos_are_bounded() {
        let now = Instant::now();
        let mut registry = Registry::new(device(5), LIMITS);
        for peer in 10..14 {
            number(registry.admit(connection(peer).await, false, now));
        }
        let refused = registry.admit(connection(14).await, false, now);
        assert!(matches!(refused, Admission::Refused(CloseCode::Busy)), "four hellos are the limit");
        for peer in 20..26 {
            number(registry.admit(connection(peer).await, true, now));
        }
        let refused = registry.admit(connection(26).await, true, now);
        assert!(matches!(refused, Admission::Refused(CloseCode::Busy)), "ten connections are the limit");
        registry.ready(device(10), 1);
        registry.remove(device(25), 10, None);
        number(registry.admit(connection(14).await, false, now));
    }

    #[tokio::test]
    async fn strangers_leave_nothing_behind_and_kept_peers_their_last_error() {
        let now = Instant::now();
        let mut registry = Registry::new(device(5), LIMITS);
        let (stranger, _) = number(registry.admit(connection(9).await, false, now));
        registry.remove(device(9), stranger, None);
        assert!(registry.peers().is_empty());
        registry.peer(device(8)).keeper = Some(watch::Sender::default());
        let (kept, _) = number(registry.admit(connection(8).await, false, now));
        registry.remove(device(8), kept, Some(PeerError::Ended(super::super::event::Ending::Left)));
        assert!(registry.peers()[&device(8)].last_error.is_some());
        let (kept, _) = number(registry.admit(connection(8).await, false, now));
        registry.ready(device(8), kept);
        assert!(registry.peers()[&device(8)].last_error.is_none());
        assert_eq!(registry.release(device(8)).len(), 1);
    }
}
