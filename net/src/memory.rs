//! Connections within one process: for tests, simulations and embedded replicas.
//!
//! A [`MemoryNetwork`] is a world of its own: devices attach to it by a [`MemoryTransport`] each, listen under names
//! (`memory://hub`), and can be cut apart and healed at will. The process is trusted: a device is the one its
//! transport was made for.

mod connection;
mod link;
mod pipe;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use futures_util::future::BoxFuture;
use tidewater_engine::id::DeviceId;
use tokio::sync::mpsc;

use self::connection::MemoryConnection;
use self::link::{Link, Side};
use crate::transport::{
    Addr, CloseReason, Connection, DialError, ListenError, Listener, PermanentCause, TransientCause, Transport,
};

/// The scheme of memory addresses: `memory://name`.
pub const SCHEME: &str = "memory";
/// Connections to a name that nobody has taken yet; dials beyond are turned away.
const READY_CONNECTIONS: usize = 64;

/// A network within this process. Cheap to clone.
#[derive(Clone, Default)]
pub struct MemoryNetwork {
    world: Arc<Mutex<World>>,
}

#[derive(Default)]
struct World {
    listeners: BTreeMap<String, Listening>,
    next_port: u64,
    next_link: u64,
    links: Vec<Weak<Link>>,
    cuts: BTreeSet<(DeviceId, DeviceId)>,
}

struct Listening {
    device: DeviceId,
    connections: mpsc::Sender<Arc<dyn Connection>>,
}

impl MemoryNetwork {
    /// An empty network.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Attaches a device.
    #[must_use]
    pub fn transport(&self, device: DeviceId) -> MemoryTransport {
        MemoryTransport { network: self.clone(), device }
    }

    /// Breaks the connections between two devices without a farewell, and lets no new ones through until
    /// [`MemoryNetwork::heal`].
    pub fn cut(&self, one: DeviceId, other: DeviceId) {
        self.world().cuts.insert(ordered(one, other));
        self.sever(one, other);
    }

    /// Undoes [`MemoryNetwork::cut`].
    pub fn heal(&self, one: DeviceId, other: DeviceId) {
        self.world().cuts.remove(&ordered(one, other));
    }

    /// Breaks the connections between two devices without a farewell, once. Gives how many there were.
    pub fn sever(&self, one: DeviceId, other: DeviceId) -> usize {
        let links: Vec<Arc<Link>> = self.world().links.iter().filter_map(Weak::upgrade).collect();
        let between = links.iter().filter(|link| link.joins(one, other));
        between.filter(|link| link.lose("the connection was cut")).count()
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl World {
    /// Joins a dialer to a listener, or says why not.
    fn join(
        &mut self,
        address: &Addr,
        dialer: DeviceId,
        expect: Option<DeviceId>,
    ) -> Result<MemoryConnection, Failure> {
        let listening = self.listeners.get(address.place()).ok_or(Failure::Transient(TransientCause::NotListening))?;
        let listener = listening.device;
        if self.cuts.contains(&ordered(dialer, listener)) {
            let text = "the connection is cut".to_owned();
            return Err(Failure::Transient(TransientCause::Closed(CloseReason::Lost { text })));
        }
        if dialer == listener {
            return Err(Failure::Permanent(PermanentCause::Oneself));
        }
        if let Some(expected) = expect.filter(|expected| *expected != listener) {
            return Err(Failure::WrongPeer { expected, found: listener });
        }
        let slot = listening.connections.try_reserve().map_err(|full| {
            Failure::Transient(match full {
                mpsc::error::TrySendError::Full(()) => TransientCause::Busy,
                mpsc::error::TrySendError::Closed(()) => TransientCause::NotListening,
            })
        })?;
        self.next_link += 1;
        let (link, [dialing, accepting]) = Link::new(self.next_link, [dialer, listener]);
        self.links.retain(|link| link.strong_count() > 0);
        self.links.push(Arc::downgrade(&link));
        slot.send(Arc::new(MemoryConnection::new(link.clone(), Side::Acceptor, address_of(dialer), accepting)));
        Ok(MemoryConnection::new(link, Side::Dialer, address.clone(), dialing))
    }
}

enum Failure {
    Transient(TransientCause),
    Permanent(PermanentCause),
    WrongPeer { expected: DeviceId, found: DeviceId },
}

fn ordered(one: DeviceId, other: DeviceId) -> (DeviceId, DeviceId) {
    (one.min(other), one.max(other))
}

/// How an acceptor sees a dialer, which need not listen anywhere.
fn address_of(dialer: DeviceId) -> Addr {
    Addr::from_place(SCHEME, dialer)
}

/// One device's place in a [`MemoryNetwork`].
#[derive(Clone)]
pub struct MemoryTransport {
    network: MemoryNetwork,
    device: DeviceId,
}

impl Transport for MemoryTransport {
    fn schemes(&self) -> &'static [&'static str] {
        &[SCHEME]
    }

    /// Listens under a name; the name `0` gives a free one.
    fn listen<'a>(&'a self, address: &'a Addr) -> BoxFuture<'a, Result<Box<dyn Listener>, ListenError>> {
        Box::pin(async move {
            if address.scheme() != SCHEME {
                return Err(ListenError::Scheme { address: address.clone(), known: SCHEME.to_owned() });
            }
            let mut world = self.network.world();
            let mut local = address.clone();
            if address.place() == "0" {
                world.next_port += 1;
                local = Addr::from_place(SCHEME, format_args!("port-{}", world.next_port));
            }
            if world.listeners.contains_key(local.place()) {
                return Err(ListenError::InUse { address: address.clone() });
            }
            let (connections, ready) = mpsc::channel(READY_CONNECTIONS);
            world.listeners.insert(local.place().to_owned(), Listening { device: self.device, connections });
            Ok(Box::new(MemoryListener { network: self.network.clone(), local, ready }) as Box<dyn Listener>)
        })
    }

    fn dial<'a>(
        &'a self,
        address: &'a Addr,
        expect: Option<DeviceId>,
    ) -> BoxFuture<'a, Result<Arc<dyn Connection>, DialError>> {
        Box::pin(async move {
            let address = address.clone();
            if address.scheme() != SCHEME {
                let cause = PermanentCause::Scheme { known: SCHEME.to_owned() };
                return Err(DialError::Permanent { address, cause });
            }
            match self.network.world().join(&address, self.device, expect) {
                Ok(connection) => Ok(Arc::new(connection) as Arc<dyn Connection>),
                Err(Failure::Transient(cause)) => Err(DialError::Transient { address, cause }),
                Err(Failure::Permanent(cause)) => Err(DialError::Permanent { address, cause }),
                Err(Failure::WrongPeer { expected, found }) => Err(DialError::WrongPeer { address, expected, found }),
            }
        })
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

impl fmt::Debug for MemoryTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryTransport({})", self.device)
    }
}

impl fmt::Debug for MemoryNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.world().listeners.keys()).finish()
    }
}

struct MemoryListener {
    network: MemoryNetwork,
    local: Addr,
    ready: mpsc::Receiver<Arc<dyn Connection>>,
}

impl Listener for MemoryListener {
    fn local_address(&self) -> &Addr {
        &self.local
    }

    fn accept(&mut self) -> BoxFuture<'_, Option<Arc<dyn Connection>>> {
        Box::pin(self.ready.recv())
    }
}

impl Drop for MemoryListener {
    fn drop(&mut self) {
        self.network.world().listeners.remove(self.local.place());
    }
}

impl fmt::Debug for MemoryListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryListener({})", self.local)
    }
}
