//! Two sessions joined by nothing but two queues, and databases for them to talk about.

use std::collections::VecDeque;
use std::sync::Arc;

use tidewater_engine::host::Host;
use tidewater_engine::id::SpaceId;
use tidewater_engine::store::{Durability, Location, TransactionError, WriteError};
use tidewater_engine::value::{Fields, Value};

use super::{Input, Output, Purpose, Role, Session, SessionConfig, SessionError, SessionEvent};
use crate::database::{CreateOptions, Database, OpenOptions};
use crate::identity::RecoveryWords;
use crate::simulation::SimulatedHost;
use crate::ticket::Ticket;

/// A database in memory with a clock of its own.
pub(crate) struct Replica {
    pub(crate) database: Database,
    pub(crate) host: Arc<SimulatedHost>,
}

impl std::ops::Deref for Replica {
    type Target = Database;

    fn deref(&self) -> &Database {
        &self.database
    }
}

impl Replica {
    /// A person with a home space.
    pub(crate) fn person(seed: u64, name: &str) -> Self {
        Self::create(seed, Some(name), true)
    }

    /// A device that belongs to nobody yet.
    pub(crate) fn blank(seed: u64) -> Self {
        Self::create(seed, None, false)
    }

    pub(crate) fn create(seed: u64, name: Option<&str>, home: bool) -> Self {
        let host = SimulatedHost::new(seed);
        let open = OpenOptions { host: host.clone(), mirror: None, cache_bytes: 1 << 20 };
        let options = CreateOptions { open, identity: name.map(str::to_owned), home };
        let database = Database::create(Location::Memory, options).unwrap();
        Self { database, host }
    }

    /// A database that exists for the recovery of an identity.
    pub(crate) fn recovering(seed: u64, words: &RecoveryWords) -> Self {
        let host = SimulatedHost::new(seed);
        let open = OpenOptions { host: host.clone(), mirror: None, cache_bytes: 1 << 20 };
        Self { database: Database::recovering(words, open).unwrap(), host }
    }

    pub(crate) fn home_space(&self) -> SpaceId {
        self.home().unwrap()
    }

    /// Inserts or changes a note.
    pub(crate) fn write(&self, space: SpaceId, id: &str, text: &str) {
        self.try_write(space, &[(id.to_owned(), text.to_owned())]).unwrap();
    }

    /// Inserts or changes notes in one commit.
    pub(crate) fn try_write(
        &self,
        space: SpaceId,
        notes: &[(String, String)],
    ) -> Result<(), TransactionError<WriteError>> {
        self.transaction(Durability::Local, |transaction| {
            transaction.in_space(space)?;
            for (id, text) in notes {
                let fields = Fields::from([("text".to_owned(), Value::String(text.clone()))]);
                transaction.upsert("notes", id, fields)?;
            }
            Ok(())
        })
    }

    pub(crate) fn read(&self, space: SpaceId, id: &str) -> Option<String> {
        let document = self.snapshot().unwrap().get(Some(&space), "notes", id).unwrap()?;
        match document.fields.get("text") {
            Some(Value::String(text)) => Some(text.clone()),
            _ => None,
        }
    }
}

pub(crate) fn assert_equal(space: SpaceId, replicas: &[&Replica]) {
    let first = replicas[0].digest(&space).unwrap();
    for (number, replica) in replicas.iter().enumerate() {
        assert_eq!(replica.digest(&space).unwrap(), first, "replica {number}");
        assert_eq!(replica.verify(&mut |_, _| {}).unwrap().problems, Vec::<String>::new(), "replica {number}");
    }
}

/// One side of a pair.
pub(crate) struct End {
    pub(crate) session: Session,
    host: Arc<SimulatedHost>,
    /// Frames on their way to this side.
    pub(crate) inbox: VecDeque<Vec<u8>>,
    pub(crate) events: Vec<SessionEvent>,
    pub(crate) closed: Option<SessionError>,
    /// Every frame that this side sent.
    pub(crate) sent: Vec<Vec<u8>>,
    wake_ms: Option<i64>,
}

impl End {
    fn new(replica: &Replica, config: SessionConfig) -> Self {
        let session = Session::new(replica.database.clone(), config, replica.host.now_ms());
        Self {
            session,
            host: replica.host.clone(),
            inbox: VecDeque::new(),
            events: vec![],
            closed: None,
            sent: vec![],
            wake_ms: None,
        }
    }

    pub(crate) fn handle(&mut self, input: Input) {
        self.session.handle(self.host.now_ms(), input);
    }

    /// Everything there is to send now.
    pub(crate) fn poll(&mut self) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        while let Some(output) = self.session.poll() {
            match output {
                Output::Frame(frame) => {
                    assert!(frame.len() <= super::MAX_FRAME_BYTES);
                    self.sent.push(frame.clone());
                    frames.push(frame);
                }
                Output::Event(event) => self.events.push(event),
                Output::WakeAt(at_ms) => self.wake_ms = Some(at_ms),
                Output::Close(error) => self.closed = Some(error),
            }
        }
        frames
    }

    pub(crate) fn sent_bytes(&self) -> usize {
        self.sent.iter().map(Vec::len).sum()
    }

    pub(crate) fn in_sync(&self) -> Vec<SpaceId> {
        let spaces = self.events.iter().filter_map(|event| match event {
            SessionEvent::InSync { space } => Some(*space),
            _ => None,
        });
        spaces.collect()
    }
}

/// Two sessions and the channel between them.
pub(crate) struct Pair {
    pub(crate) dialer: End,
    pub(crate) acceptor: End,
    /// How many half round trips have passed.
    pub(crate) half_trips: usize,
    /// The channel breaks after so many frames.
    pub(crate) cut_after: Option<usize>,
    delivered: usize,
}

pub(crate) const ANTI_ENTROPY_MS: i64 = 60_000;

pub(crate) fn config(role: Role, remote: &Replica, binding: u8, purpose: Purpose) -> SessionConfig {
    SessionConfig {
        role,
        remote: remote.device(),
        binding: [binding; 32],
        purpose,
        addresses: vec![format!("memory:{role:?}")],
        anti_entropy_ms: ANTI_ENTROPY_MS,
    }
}

impl Pair {
    pub(crate) fn new(dialer: &Replica, acceptor: &Replica) -> Self {
        Self::with(dialer, acceptor, Purpose::Member)
    }

    pub(crate) fn joining(dialer: &Replica, acceptor: &Replica, ticket: &Ticket) -> Self {
        Self::with(dialer, acceptor, Purpose::Join(Box::new(ticket.clone())))
    }

    fn with(dialer: &Replica, acceptor: &Replica, purpose: Purpose) -> Self {
        Self {
            dialer: End::new(dialer, config(Role::Dialer, acceptor, 7, purpose)),
            acceptor: End::new(acceptor, config(Role::Acceptor, dialer, 7, Purpose::Member)),
            half_trips: 0,
            cut_after: None,
            delivered: 0,
        }
    }

    /// Lets what is on its way arrive on both sides. False: nothing was.
    pub(crate) fn step(&mut self) -> bool {
        for end in [&mut self.dialer, &mut self.acceptor] {
            end.handle(Input::StoreChanged);
        }
        let (from_dialer, from_acceptor) = (self.dialer.poll(), self.acceptor.poll());
        if from_dialer.is_empty() && from_acceptor.is_empty() {
            return false;
        }
        self.half_trips += 1;
        self.acceptor.inbox.extend(from_dialer);
        self.dialer.inbox.extend(from_acceptor);
        loop {
            let mut any = false;
            for end in [&mut self.dialer, &mut self.acceptor] {
                if self.cut_after.is_some_and(|limit| self.delivered >= limit) {
                    return false;
                }
                if let Some(frame) = end.inbox.pop_front() {
                    self.delivered += 1;
                    any = true;
                    end.handle(Input::Frame(frame));
                }
            }
            if !any {
                return true;
            }
        }
    }

    /// Runs until both sides are silent, or the channel breaks.
    pub(crate) fn drive(&mut self) {
        for _ in 0..100_000 {
            if !self.step() {
                return;
            }
        }
        panic!("the sessions never fall silent");
    }

    /// Whether the channel broke before everything was said.
    pub(crate) fn was_cut(&self) -> bool {
        self.cut_after.is_some_and(|limit| self.delivered >= limit)
    }

    /// Lets both sides' clocks pass the time they asked to be woken at, and runs.
    pub(crate) fn tick(&mut self) {
        for end in [&mut self.dialer, &mut self.acceptor] {
            let now_ms = end.host.now_ms();
            end.host.advance(end.wake_ms.unwrap_or(now_ms).max(now_ms) - now_ms);
            end.handle(Input::Tick);
        }
        self.drive();
    }
}

/// A person's first device and a second one, linked.
pub(crate) fn linked(seed: u64) -> (Replica, Replica) {
    let (first, second) = (Replica::person(seed, "Ada"), Replica::blank(seed + 1));
    link(&second, &first);
    (first, second)
}

/// Links `device` to the identity of `first`.
pub(crate) fn link(device: &Replica, first: &Replica) {
    let ticket = first.link_ticket(vec!["memory:first".into()], 60_000).unwrap();
    let mut pair = Pair::joining(device, first, &ticket);
    pair.drive();
    assert_eq!((pair.dialer.closed, pair.acceptor.closed), (None, None));
}
