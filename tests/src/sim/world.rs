//! The world: replicas, what is between them, and the one clock that moves it all.

use std::collections::{BTreeMap, BTreeSet};

use tidewater_engine::id::SpaceId;
use tidewater_sync::Ticket;

use super::connection::Connection;
use super::fault::Faults;
use super::ledger::Ledger;
use super::replica::Replica;
use super::trace::Trace;
use super::weather::Weather;
use super::{Failure, Settings};
use crate::random::Random;

/// How long replicas may take to agree once nothing goes wrong any more, in milliseconds.
const AGREE_MS: i64 = 120_000;

pub(super) struct World {
    pub(super) settings: Settings,
    pub(super) now_ms: i64,
    queue: BTreeMap<(i64, u64), Event>,
    queued: u64,
    pub(super) replicas: Vec<Replica>,
    pub(super) pairs: BTreeMap<(usize, usize), Pair>,
    pub(super) connections: BTreeMap<u64, Connection>,
    pub(super) dialled: u64,
    /// The randomness of everything that nobody decides.
    pub(super) chance: Random,
    pub(super) faults: Faults,
    pub(super) weather: Weather,
    pub(super) ledger: Ledger,
    pub(super) trace: Trace,
    /// The spaces of the world, and who founded each.
    pub(super) spaces: Vec<(SpaceId, usize)>,
    /// How often vectors are compared though nothing seems to be missing, in milliseconds.
    pub(super) anti_entropy_ms: i64,
    /// What a hostile member does.
    pub(super) mischief: super::hostile::Mischief,
}

/// Two replicas that may talk.
#[derive(Debug, Default)]
pub(super) struct Pair {
    /// The connection that the dialer has.
    pub(super) live: Option<u64>,
    /// Attempts that failed in a row.
    pub(super) failures: u32,
    /// When it is dialled next; what is in the queue for another time is stale.
    pub(super) dial_ms: i64,
    /// To be used by the next dial: who dials, and with what.
    pub(super) ticket: Option<(usize, Ticket)>,
}

#[derive(Debug)]
pub(super) enum Event {
    /// A pair is to be connected.
    Dial((usize, usize)),
    /// The acceptor notices a connection.
    Accept(u64),
    /// A frame comes to an end of a connection.
    Arrive { connection: u64, end: usize, frame: Vec<u8>, bytes: usize },
    /// A session wants to be woken.
    Wake { connection: u64, end: usize },
    /// An end of a connection notices that it is over.
    Lost { connection: u64, end: usize },
    /// Sessions of a replica hear that its store changed.
    News { replica: usize },
    /// A replica is started.
    Start { replica: usize },
    /// A disk works again.
    Mend { replica: usize },
    /// The network works again.
    Heal,
}

impl World {
    pub(super) fn new(settings: Settings) -> Self {
        let mut chance = Random::new(mix(settings.seed, 0xc0ffee));
        let mut drawn = Random::new(mix(settings.seed, 1));
        let faults = Faults::draw(&mut drawn, settings.hostile, &settings.without);
        let anti_entropy_ms = *chance.pick(&[5_000, 20_000, 60_000]);
        Self {
            settings,
            now_ms: 0,
            queue: BTreeMap::new(),
            queued: 0,
            replicas: Vec::new(),
            pairs: BTreeMap::new(),
            connections: BTreeMap::new(),
            dialled: 0,
            chance,
            faults,
            weather: Weather::default(),
            ledger: Ledger::default(),
            trace: Trace::default(),
            spaces: Vec::new(),
            anti_entropy_ms,
            mischief: super::hostile::Mischief::default(),
        }
    }

    /// The whole life of the world.
    pub(super) fn run(&mut self) -> Result<(), Failure> {
        self.be_born()?;
        for tick in 0..self.settings.ticks {
            let mut random = Random::new(mix(self.settings.seed, 2 + u64::from(tick)));
            let pause = match random.below(20) {
                0 => random.below(20_000),
                1..4 => random.below(2_000),
                _ => random.below(150),
            };
            self.pass(pause as i64)?;
            if !self.settings.skip.contains(&tick) {
                self.act(tick, &mut random)?;
            }
        }
        self.stop_faults()?;
        self.pass(AGREE_MS)?;
        self.check_agreement()?;
        self.check_salts()?;
        self.check_news()?;
        self.check_silence()
    }

    pub(super) fn schedule(&mut self, after_ms: i64, event: Event) {
        self.queued += 1;
        self.queue.insert((self.now_ms.saturating_add(after_ms.max(0)), self.queued), event);
    }

    /// Lets time pass, and everything happen that is due.
    pub(super) fn pass(&mut self, ms: i64) -> Result<(), Failure> {
        let until = self.now_ms + ms;
        while let Some((&(at, number), _)) = self.queue.first_key_value()
            && at <= until
        {
            self.move_clocks(at);
            let event = self.queue.remove(&(at, number)).expect("seen above");
            self.happen(event)?;
        }
        self.move_clocks(until);
        Ok(())
    }

    fn move_clocks(&mut self, to_ms: i64) {
        let by = to_ms - self.now_ms;
        self.now_ms = to_ms;
        self.replicas.iter().for_each(|replica| replica.host.advance_ms(by));
    }

    fn happen(&mut self, event: Event) -> Result<(), Failure> {
        match event {
            Event::Dial(pair) => self.dial(pair),
            Event::Accept(connection) => self.accept(connection),
            Event::Arrive { connection, end, frame, bytes } => self.arrive(connection, end, frame, bytes),
            Event::Wake { connection, end } => self.wake(connection, end),
            Event::Lost { connection, end } => {
                self.lose(connection, end);
                Ok(())
            }
            Event::News { replica } => self.bring_news(replica),
            Event::Start { replica } => self.start(replica),
            Event::Mend { replica } => self.mend(replica),
            Event::Heal => {
                self.weather.clear();
                Ok(())
            }
        }
    }

    pub(super) fn tell(&mut self, what: &str) {
        self.trace.tell(self.now_ms, what);
    }

    /// A failure of the database, found now.
    pub(super) fn failure(&self, why: impl Into<String>) -> Failure {
        Failure { why: why.into() }
    }

    /// Replicas that run and keep to the rules.
    pub(super) fn honest(&self) -> Vec<usize> {
        let running = |number: &usize| self.replicas[*number].honest && self.replicas[*number].running.is_some();
        (0..self.replicas.len()).filter(running).collect()
    }

    /// The numbers of all replicas with a device's key, other than one.
    pub(super) fn others(&self, number: usize) -> BTreeSet<usize> {
        (0..self.replicas.len()).filter(|other| *other != number).collect()
    }
}

/// A seed for one purpose out of the world's.
pub(super) fn mix(seed: u64, purpose: u64) -> u64 {
    let mut random = Random::new(seed);
    random.number() ^ Random::new(purpose.wrapping_mul(0x5851_f42d_4c95_7f2d)).number()
}
