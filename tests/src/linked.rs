//! Databases of one identity, linked by tickets, that talk through sessions without a network.

use std::collections::BTreeMap;
use std::sync::Arc;

use tidewater_engine::store::Location;
use tidewater_sync::{CreateOptions, Database, OpenOptions, Purpose, SessionEvent};

use crate::conversation::converse;
use crate::host::SimulatedHost;

/// redb's cache for one small database, in bytes.
const CACHE_BYTES: usize = 1 << 20;
/// How long a ticket is valid.
const TICKET_MS: i64 = 3_600_000;

/// The databases by name. The first that is named makes the identity; the others are linked to it.
pub struct Linked {
    /// Everybody's clock.
    pub host: Arc<SimulatedHost>,
    first: Option<String>,
    databases: BTreeMap<String, Database>,
    conversations: u8,
}

impl Linked {
    /// None yet.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let host = Arc::new(SimulatedHost::new(seed));
        Self { host, first: None, databases: BTreeMap::new(), conversations: 0 }
    }

    /// The database of that name; made and linked when it is new.
    ///
    /// # Panics
    /// When that fails.
    pub fn database(&mut self, name: &str) -> Database {
        if let Some(database) = self.databases.get(name) {
            return database.clone();
        }
        let alone = self.first.is_none();
        let open = OpenOptions { host: self.host.clone(), mirror: None, cache_bytes: CACHE_BYTES };
        let options = CreateOptions { open, identity: alone.then(|| "tester".to_owned()), home: alone };
        let database = Database::create(Location::Memory, options).expect("a database is created");
        match self.first.clone() {
            None => self.first = Some(name.to_owned()),
            Some(first) => {
                let inviter = self.databases[&first].clone();
                let ticket = inviter.link_ticket(vec!["memory:first".into()], TICKET_MS).expect("a ticket");
                let events = self.converse(&database, &inviter, Purpose::Join(Box::new(ticket)));
                let joined = events.iter().any(|event| matches!(event, SessionEvent::Joined { .. }));
                assert!(joined, "the ticket was honoured: {events:?}");
            }
        }
        self.databases.insert(name.to_owned(), database.clone());
        database
    }

    /// Brings all databases to the same operations.
    ///
    /// # Panics
    /// When they don't come to agree.
    pub fn sync(&mut self) {
        let Some(first) = self.first.as_ref().map(|name| self.databases[name].clone()) else { return };
        let others: Vec<Database> =
            self.databases.values().filter(|database| database.device() != first.device()).cloned().collect();
        // Once to gather, once to spread.
        for other in others.iter().chain(&others) {
            self.converse(other, &first, Purpose::Member);
        }
        let space = first.home().expect("a home space");
        let digest = first.digest(&space).expect("a digest");
        for other in &others {
            assert_eq!(other.digest(&space).expect("a digest"), digest, "after a sync all hold the same");
        }
    }

    /// One conversation. Gives the dialer's events.
    fn converse(&mut self, dialer: &Database, acceptor: &Database, purpose: Purpose) -> Vec<SessionEvent> {
        self.conversations += 1;
        converse(dialer, acceptor, purpose, self.conversations).events
    }
}
