//! Databases, nodes and the steps that stories are told in.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use tidewater_engine::host::Host;
use tidewater_engine::id::{DeviceId, SpaceId};
use tidewater_engine::store::{Durability, Location, TransactionError, WriteError};
use tidewater_engine::value::{Fields, Value};
use tidewater_net::memory::MemoryNetwork;
use tidewater_net::node::{Ending, Events, Node, NodeConfig, NodeEvent};
use tidewater_net::quic::{QuicConfig, QuicTransport};
use tidewater_net::transport::{Addr, Transport};
use tidewater_sync::{CreateOptions, Database, OpenOptions, SessionEvent};
use tokio::sync::watch;

/// Only guards against hanging for ever; no test waits for it.
const DEADLINE: Duration = Duration::from_secs(240);
/// How long a ticket is good for, in milliseconds.
const TICKET_MS: i64 = 600_000;

/// Fails a test that hangs.
pub async fn within_deadline<T>(test: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, test).await.expect("the test hangs")
}

/// What carries connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    Memory,
    Quic,
}

/// A place where nodes meet.
pub struct World {
    carrier: Carrier,
    pub network: MemoryNetwork,
    next_seed: AtomicU64,
}

/// The machine's clock, and randomness from a seed.
struct SeededHost(Mutex<u64>);

impl Host for SeededHost {
    fn now_ms(&self) -> i64 {
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as i64
    }

    /// SplitMix64.
    fn fill_random(&self, out: &mut [u8]) {
        let mut state = self.0.lock().unwrap();
        for chunk in out.chunks_mut(8) {
            *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut bits = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(bits ^ (bits >> 31)).to_le_bytes()[..chunk.len()]);
        }
    }
}

impl World {
    pub fn new(carrier: Carrier) -> Self {
        Self { carrier, network: MemoryNetwork::new(), next_seed: AtomicU64::new(1) }
    }

    fn database(&self, identity: Option<&str>) -> Database {
        let seed = self.next_seed.fetch_add(1, Ordering::Relaxed) << 32;
        let host = Arc::new(SeededHost(Mutex::new(seed)));
        let open = OpenOptions { host, mirror: None, cache_bytes: 4 << 20 };
        let options = CreateOptions { open, identity: identity.map(str::to_owned), home: identity.is_some() };
        Database::create(Location::Memory, options).unwrap()
    }

    /// The database of a person, with a home space.
    pub fn person(&self, name: &str) -> Database {
        self.database(Some(name))
    }

    /// The database of a device that belongs to nobody yet.
    pub fn blank(&self) -> Database {
        self.database(None)
    }

    pub fn transport(&self, database: &Database) -> Arc<dyn Transport> {
        match self.carrier {
            Carrier::Memory => Arc::new(self.network.transport(database.device())),
            Carrier::Quic => Arc::new(QuicTransport::of(database, QuicConfig::default())),
        }
    }

    pub fn anywhere(&self) -> Addr {
        match self.carrier {
            Carrier::Memory => "memory://0",
            Carrier::Quic => "quic://127.0.0.1:0",
        }
        .parse()
        .unwrap()
    }

    /// A node that listens at `address` and tries again soon.
    pub fn config(&self, database: &Database, address: Addr) -> NodeConfig {
        let mut config = NodeConfig::new(vec![self.transport(database)]);
        config.listen = vec![address];
        config.retry.longest = Duration::from_millis(500);
        config
    }

    pub async fn start(&self, database: &Database) -> Node {
        self.start_at(database, self.anywhere()).await
    }

    pub async fn start_at(&self, database: &Database, address: Addr) -> Node {
        Node::start(database.clone(), self.config(database, address)).await.expect("a free address")
    }

    /// Two devices of one person with running nodes; the second has joined and holds what the first does.
    pub async fn two_devices(&self) -> [(Database, Node); 2] {
        let (laptop, phone) = (self.person("ada"), self.blank());
        let (at_laptop, at_phone) = (self.start(&laptop).await, self.start(&phone).await);
        link(&at_laptop, &at_phone).await;
        [(laptop, at_laptop), (phone, at_phone)]
    }
}

/// Links the device of `phone` to the identity of `laptop`.
pub async fn link(laptop: &Node, phone: &Node) {
    let addresses = laptop.advertised_addresses().iter().map(Addr::to_string).collect();
    let ticket = laptop.database().link_ticket(addresses, TICKET_MS).expect("the first device");
    let joined = phone.join(&ticket).await.expect("a fresh ticket");
    assert_eq!(joined.inviter, laptop.database().device());
    equal(laptop.database(), phone.database(), home(laptop.database())).await;
}

pub fn home(database: &Database) -> SpaceId {
    database.home().expect("a home space")
}

/// Writes a note.
pub async fn write(database: &Database, space: SpaceId, id: &str, text: &str) {
    write_all(database, space, vec![(id.to_owned(), text.to_owned())]).await;
}

/// Writes notes in one commit.
pub async fn write_all(database: &Database, space: SpaceId, notes: Vec<(String, String)>) {
    let database = database.clone();
    let write = move || -> Result<(), TransactionError<WriteError>> {
        database.transaction(Durability::Local, |transaction| {
            transaction.in_space(space)?;
            for (id, text) in &notes {
                let fields = Fields::from([("text".to_owned(), Value::String(text.clone()))]);
                transaction.upsert("notes", id, fields)?;
            }
            Ok(())
        })
    };
    tokio::task::spawn_blocking(write).await.unwrap().unwrap();
}

pub fn read(database: &Database, space: SpaceId, id: &str) -> Option<String> {
    let document = database.snapshot().unwrap().get(Some(&space), "notes", id).unwrap()?;
    match document.fields.get("text") {
        Some(Value::String(text)) => Some(text.clone()),
        _ => None,
    }
}

/// Waits until `holds`, looking again whenever one of the databases changes.
pub async fn until(databases: &[&Database], holds: impl Fn() -> bool) {
    let changed = Arc::new(watch::Sender::new(0u64));
    let mut look = changed.subscribe();
    let _guards: Vec<_> = databases
        .iter()
        .map(|database| {
            let changed = changed.clone();
            database.on_change(Arc::new(move |_| changed.send_modify(|count| *count += 1)))
        })
        .collect();
    while !tokio::task::block_in_place(&holds) {
        look.changed().await.expect("the sender is here");
    }
}

/// Waits until `database` holds the note.
pub async fn holds(database: &Database, space: SpaceId, id: &str, text: &str) {
    until(&[database], || read(database, space, id).as_deref() == Some(text)).await;
}

/// Waits until two databases have equal state in a space, and checks that both are sound.
pub async fn equal(one: &Database, other: &Database, space: SpaceId) {
    until(&[one, other], || {
        let digests = (one.digest(&space).ok(), other.digest(&space).ok());
        digests.0.is_some() && digests.0 == digests.1
    })
    .await;
    for database in [one, other] {
        assert_eq!(database.verify(&mut |_, _| {}).unwrap().problems, Vec::<String>::new());
    }
}

/// Waits for the first event that `wanted` takes.
pub async fn event<T>(events: &mut Events, wanted: impl Fn(&NodeEvent) -> Option<T>) -> T {
    loop {
        let event = events.next().await.expect("the node runs");
        if let Some(found) = wanted(&event) {
            return found;
        }
    }
}

/// Waits until the session with `device` is past its hello.
pub async fn ready(events: &mut Events, device: DeviceId) {
    event(events, |event| match event {
        NodeEvent::Session { device: from, event: SessionEvent::Ready { .. } } if *from == device => Some(()),
        _ => None,
    })
    .await;
}

/// Waits until a connection to `device` ends.
pub async fn ended(events: &mut Events, device: DeviceId) -> Ending {
    event(events, |event| match event {
        NodeEvent::Disconnected { device: from, why } if *from == device => Some(why.clone()),
        _ => None,
    })
    .await
}
