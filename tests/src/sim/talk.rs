//! Who talks to whom: a node for every replica, in virtual time. It dials, accepts, feeds frames, wakes sessions, tells
//! them of changes, and dials again after a pause that grows.

use std::collections::BTreeSet;

use tidewater_net::node::RetryPolicy;
use tidewater_sync::{Input, Output, Purpose, Role, Session, SessionConfig, SessionError, SessionEvent};

use super::Failure;
use super::connection::{Connection, End, OUTBOX_BYTES};
use super::fault::Fault;
use super::weather::{Fate, IDLE_MS};
use super::world::{Event, World};

/// The largest frame, in bytes.
const MAX_FRAME_BYTES: usize = tidewater_sync::session::MAX_FRAME_BYTES;

impl World {
    /// Connects a pair, if both run and reach each other; else tries again later.
    pub(super) fn dial(&mut self, pair: (usize, usize)) -> Result<(), Failure> {
        let coin = self.chance.one_in(2);
        let latency = 5 + self.chance.below(80) as i64;
        let Some(state) = self.pairs.get_mut(&pair) else { return Ok(()) };
        if state.live.is_some() || state.dial_ms != self.now_ms {
            return Ok(());
        }
        let up = |number: usize| self.replicas[number].running.is_some();
        let reaches = self.weather.passes(pair.0, pair.1) && self.weather.passes(pair.1, pair.0);
        if !(up(pair.0) && up(pair.1) && reaches) {
            self.dial_later(pair, false);
            return Ok(());
        }
        let ticket = state.ticket.take();
        let dialer = ticket.as_ref().map_or(if coin { pair.0 } else { pair.1 }, |(dialer, _)| *dialer);
        let acceptor = if dialer == pair.0 { pair.1 } else { pair.0 };
        self.dialled += 1;
        let number = self.dialled;
        state.live = Some(number);
        let mut ends = [End::new(dialer, self.now_ms), End::new(acceptor, self.now_ms)];
        ends.iter_mut().for_each(|end| end.last_arrival_ms += latency);
        let damaged = self.faults.strikes(Fault::Damaged, 5, &mut self.chance);
        self.connections.insert(number, Connection { pair, ends, damaged });
        self.trace.count("connections");
        let purpose = ticket.map_or(Purpose::Member, |(_, ticket)| Purpose::Join(Box::new(ticket)));
        self.begin(number, 0, purpose);
        self.schedule(latency, Event::Accept(number));
        self.work(number, 0)
    }

    /// Dials a pair again after a pause: the longer, the more often it failed; the longest if it can't help.
    pub(super) fn dial_later(&mut self, pair: (usize, usize), hopeless: bool) {
        let policy = RetryPolicy::default();
        let share = self.chance.below(1_000) as i64;
        let Some(state) = self.pairs.get_mut(&pair) else { return };
        let longest = policy.longest.as_millis() as i64;
        let bound = (policy.first.as_millis() as i64).checked_shl(state.failures.min(16)).unwrap_or(longest);
        let bound = if hopeless { policy.rarely.as_millis() as i64 } else { bound.min(longest) };
        state.failures += 1;
        let pause = 1 + bound * share / 1_000;
        state.dial_ms = self.now_ms + pause;
        self.schedule(pause, Event::Dial(pair));
    }

    /// Dials a pair now.
    pub(super) fn dial_now(&mut self, pair: (usize, usize)) {
        let state = self.pairs.entry(pair).or_default();
        state.failures = 0;
        state.dial_ms = self.now_ms;
        self.schedule(0, Event::Dial(pair));
    }

    pub(super) fn accept(&mut self, number: u64) -> Result<(), Failure> {
        let Some(connection) = self.connections.get(&number) else { return Ok(()) };
        let acceptor = connection.ends[1].replica;
        if self.replicas[acceptor].running.is_none() {
            self.schedule(IDLE_MS, Event::Lost { connection: number, end: 0 });
            self.lose(number, 1);
            return Ok(());
        }
        self.begin(number, 1, Purpose::Member);
        self.work(number, 1)
    }

    fn begin(&mut self, number: u64, end: usize, purpose: Purpose) {
        let Some(connection) = self.connections.get_mut(&number) else { return };
        let (here, there) = (connection.ends[end].replica, connection.ends[1 - end].replica);
        let replica = &self.replicas[here];
        let Some(database) = replica.database() else { return };
        let mut binding = [0; 32];
        binding[..8].copy_from_slice(&number.to_be_bytes());
        let config = SessionConfig {
            role: if end == 0 { Role::Dialer } else { Role::Acceptor },
            remote: self.replicas[there].device,
            binding,
            purpose,
            addresses: vec![format!("memory:{here}")],
            anti_entropy_ms: self.anti_entropy_ms,
        };
        let session = Session::new(database.clone(), config, replica.now_ms());
        let side = &mut connection.ends[end];
        side.began = (replica.now_ms(), self.now_ms);
        side.session = Some(session);
    }

    /// A frame comes to an end.
    pub(super) fn arrive(&mut self, number: u64, end: usize, frame: Vec<u8>, bytes: usize) -> Result<(), Failure> {
        let Some(connection) = self.connections.get_mut(&number) else { return Ok(()) };
        let sender = &mut connection.ends[1 - end];
        sender.sent_bytes = sender.sent_bytes.saturating_sub(bytes);
        if !connection.ends[end].lost {
            self.trace.note(self.now_ms, &frame);
            connection.ends[end].inbox.push_back(frame);
            self.work(number, end)?;
        }
        // There is room for more.
        self.work(number, 1 - end)
    }

    pub(super) fn wake(&mut self, number: u64, end: usize) -> Result<(), Failure> {
        let due = self.connections.get(&number).is_some_and(|connection| connection.ends[end].wake_ms <= self.now_ms);
        if due { self.hand(number, end, Input::Tick) } else { Ok(()) }
    }

    /// Tells the sessions of a replica that its store changed.
    pub(super) fn bring_news(&mut self, replica: usize) -> Result<(), Failure> {
        for (number, end) in self.ends_of(replica) {
            self.hand(number, end, Input::StoreChanged)?;
        }
        Ok(())
    }

    pub(super) fn ends_of(&self, replica: usize) -> BTreeSet<(u64, usize)> {
        let ends = self.connections.iter().flat_map(|(number, connection)| {
            connection.ends.iter().enumerate().map(move |(end, side)| (*number, end, side.replica))
        });
        ends.filter(|(_, _, of)| *of == replica).map(|(number, end, _)| (number, end)).collect()
    }

    /// Hands one input to a session, and does what it asks for.
    fn hand(&mut self, number: u64, end: usize, input: Input) -> Result<(), Failure> {
        let now_ms = self.now_ms;
        let Some(side) = self.connections.get_mut(&number).map(|connection| &mut connection.ends[end]) else {
            return Ok(());
        };
        let replica = side.replica;
        let at = side.session_ms(now_ms);
        let Some(session) = &mut side.session else { return Ok(()) };
        session.handle(at, input);
        self.settle(replica)?;
        self.work(number, end)
    }

    /// Does what a session asks for, as long as there is room on the way, and feeds it what came.
    fn work(&mut self, number: u64, end: usize) -> Result<(), Failure> {
        loop {
            let Some(side) = self.connections.get_mut(&number).map(|connection| &mut connection.ends[end]) else {
                return Ok(());
            };
            let Some(session) = &mut side.session else { return Ok(()) };
            let output = if side.sent_bytes < OUTBOX_BYTES { session.poll() } else { None };
            match output {
                Some(Output::Frame(frame)) => self.send(number, end, frame)?,
                Some(Output::Event(event)) => self.hear(number, end, event)?,
                Some(Output::WakeAt(at_ms)) => {
                    side.wake_ms = side.world_ms(at_ms);
                    let after = side.wake_ms - self.now_ms;
                    self.schedule(after, Event::Wake { connection: number, end });
                }
                Some(Output::Close(error)) => {
                    self.close(number, end, &error)?;
                    return Ok(());
                }
                Some(other) => return Err(self.failure(format!("an output nobody knows: {other:?}"))),
                None if session.wants_frames() && !side.inbox.is_empty() => {
                    let frame = side.inbox.pop_front().expect("not empty");
                    let (at, replica) = (side.session_ms(self.now_ms), side.replica);
                    let session = side.session.as_mut().expect("seen above");
                    session.handle(at, Input::Frame(frame));
                    self.trace.count("frames");
                    self.settle(replica)?;
                }
                None => return Ok(()),
            }
        }
    }

    /// Sends a frame on its way.
    fn send(&mut self, number: u64, end: usize, frame: Vec<u8>) -> Result<(), Failure> {
        if frame.len() > MAX_FRAME_BYTES {
            return Err(self.failure(format!("a frame of {} bytes", frame.len())));
        }
        let Some(connection) = self.connections.get_mut(&number) else { return Ok(()) };
        let (from, to) = (connection.ends[end].replica, connection.ends[1 - end].replica);
        if let Some(count) = connection.ends[end].sent_kinds.get_mut(usize::from(frame[0])) {
            *count += 1;
        }
        if connection.ends[1 - end].lost || connection.ends[end].stuck {
            return Ok(());
        }
        let damaged = connection.damaged;
        if !self.weather.passes(from, to) {
            // Nobody answers, and so both ends give up after a while.
            connection.ends[end].stuck = true;
            self.lose_later(number, IDLE_MS, IDLE_MS);
            return Ok(());
        }
        let mut frames = vec![frame];
        if damaged {
            self.damage(&mut frames);
        }
        if !self.replicas[from].honest {
            self.spoil(from, to, &mut frames);
        }
        for frame in frames {
            let fate = self.draw_fate();
            let late = match fate {
                Fate::Comes(late) => late,
                Fate::Breaks(fault) => {
                    // A broken line is noticed late, a frame that is not what was sent at once.
                    let within = if fault == Fault::Cut { 10_000 } else { 40 };
                    let (dialer, acceptor) = (self.chance.below(within), self.chance.below(within));
                    self.lose_later(number, dialer as i64, acceptor as i64);
                    if let Some(connection) = self.connections.get_mut(&number) {
                        connection.ends[end].stuck = true;
                    }
                    return Ok(());
                }
            };
            let bytes = frame.len();
            let jitter = self.chance.below(20) as i64;
            let takes = 5 + jitter + late + self.weather.takes_ms(from, to, bytes);
            let Some(side) = self.connections.get_mut(&number).map(|connection| &mut connection.ends[end]) else {
                return Ok(());
            };
            side.last_arrival_ms = side.last_arrival_ms.max(self.now_ms) + takes;
            side.sent_bytes += bytes;
            let after = side.last_arrival_ms - self.now_ms;
            self.schedule(after, Event::Arrive { connection: number, end: 1 - end, frame, bytes });
        }
        Ok(())
    }

    pub(super) fn lose_later(&mut self, number: u64, dialer_ms: i64, acceptor_ms: i64) {
        for (end, after) in [(0, dialer_ms), (1, acceptor_ms)] {
            self.schedule(after, Event::Lost { connection: number, end });
        }
    }

    /// A session ended by itself: the other side learns of it after the last frame.
    fn close(&mut self, number: u64, end: usize, error: &SessionError) -> Result<(), Failure> {
        let Some(connection) = self.connections.get(&number) else { return Ok(()) };
        let (damaged, here) = (connection.damaged, connection.ends[end].replica);
        let strange = connection.ends.iter().any(|side| !self.replicas[side.replica].honest);
        let ends = format!("session {number} of {here} ended: {error}");
        self.tell(&ends);
        self.trace.count("sessions that ended by themselves");
        let expected = matches!(error, SessionError::Silent { .. } | SessionError::Ticket(_))
            || (matches!(error, SessionError::Store { .. }) && self.replicas[here].is_sick())
            || matches!(error, SessionError::ClosedByPeer { .. });
        if !damaged && !strange && !expected {
            return Err(self.failure(format!("between honest replicas, {ends}")));
        }
        let arrival = connection_arrival(self.connections.get(&number), end) - self.now_ms;
        self.schedule(arrival, Event::Lost { connection: number, end: 1 - end });
        let pair = self.connections[&number].pair;
        let hopeless = !error.is_transient();
        self.lose(number, end);
        if hopeless && self.pairs.get(&pair).is_some_and(|state| state.live.is_none()) {
            self.dial_later(pair, true);
        }
        Ok(())
    }

    /// An end of a connection is over.
    pub(super) fn lose(&mut self, number: u64, end: usize) {
        let Some(connection) = self.connections.get_mut(&number) else { return };
        let side = &mut connection.ends[end];
        if std::mem::replace(&mut side.lost, true) {
            return;
        }
        side.session = None;
        side.inbox.clear();
        let (pair, over) = (connection.pair, connection.ends.iter().all(|side| side.lost));
        if over {
            self.connections.remove(&number);
        }
        let dialled = self.pairs.get_mut(&pair).filter(|state| end == 0 && state.live == Some(number));
        if let Some(state) = dialled {
            state.live = None;
            self.dial_later(pair, false);
        }
    }

    fn hear(&mut self, number: u64, end: usize, event: SessionEvent) -> Result<(), Failure> {
        let Some(connection) = self.connections.get(&number) else { return Ok(()) };
        let (pair, here) = (connection.pair, connection.ends[end].replica);
        match event {
            SessionEvent::Ready { .. } if end == 0 => {
                if let Some(state) = self.pairs.get_mut(&pair) {
                    state.failures = 0;
                }
            }
            SessionEvent::Offered { space } => self.decide_offer(here, &space)?,
            SessionEvent::Forked { writer, .. } => {
                self.trace.count("forks noticed");
                if !self.ledger.is_forked(&writer) && !self.is_suspect(number) {
                    return Err(self.failure(format!("replica {here} takes the log of {writer} for forked")));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether what comes over a connection may be made up.
    fn is_suspect(&self, number: u64) -> bool {
        let Some(connection) = self.connections.get(&number) else { return true };
        connection.damaged || connection.ends.iter().any(|side| !self.replicas[side.replica].honest)
    }
}

fn connection_arrival(connection: Option<&Connection>, end: usize) -> i64 {
    connection.map_or(0, |connection| connection.ends[end].last_arrival_ms)
}
