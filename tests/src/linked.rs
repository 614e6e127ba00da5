//! Databases of one identity, linked by tickets, that talk through sessions without a network.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use tidewater_engine::host::Host;
use tidewater_engine::store::Location;
use tidewater_sync::{
    CreateOptions, Database, Input, OpenOptions, Output, Purpose, Role, Session, SessionConfig, SessionEvent,
};

use crate::shared_space::SimulatedHost;

/// redb's cache for one small database, in bytes.
const CACHE_BYTES: usize = 1 << 20;
/// How long a ticket is valid.
const TICKET_MS: i64 = 3_600_000;
/// Frames that two databases exchange in one conversation at most: more means that they never come to an end.
const MAX_FRAMES: usize = 10_000;

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

    /// One session, until neither side has anything to say. Gives the dialer's events.
    fn converse(&mut self, dialer: &Database, acceptor: &Database, purpose: Purpose) -> Vec<SessionEvent> {
        self.conversations += 1;
        let config = |role, remote: &Database, purpose| SessionConfig {
            role,
            remote: remote.device(),
            binding: [self.conversations; 32],
            purpose,
            addresses: Vec::new(),
            anti_entropy_ms: TICKET_MS,
        };
        let now = self.host.now_ms();
        let mut sides = [
            Session::new(dialer.clone(), config(Role::Dialer, acceptor, purpose), now),
            Session::new(acceptor.clone(), config(Role::Acceptor, dialer, Purpose::Member), now),
        ];
        let mut inboxes = [VecDeque::new(), VecDeque::new()];
        let (mut events, mut frames, mut quiet) = (Vec::new(), 0, false);
        loop {
            for side in 0..2 {
                while let Some(output) = sides[side].poll() {
                    match output {
                        Output::Frame(frame) => inboxes[1 - side].push_back(frame),
                        Output::Event(event) if side == 0 => events.push(event),
                        Output::Close(error) => panic!("a session between honest databases ended: {error}"),
                        _ => {}
                    }
                }
            }
            let next = (0..2).find_map(|side| Some((side, inboxes[side].pop_front()?)));
            match next {
                Some((side, frame)) => {
                    sides[side].handle(now, Input::Frame(frame));
                    frames += 1;
                    assert!(frames < MAX_FRAMES, "two databases never come to an end");
                    quiet = false;
                }
                None if quiet => return events,
                None => {
                    sides.iter_mut().for_each(|side| side.handle(now, Input::StoreChanged));
                    quiet = true;
                }
            }
        }
    }
}
