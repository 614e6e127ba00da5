//! A simulated world: replicas, the real code, on simulated disks and a simulated network, with one seeded source of
//! randomness and one virtual clock. The same settings give the same run, bit for bit.
//!
//! Users write, share and look ([`Settings::ticks`] times something is done); disks, clocks, networks and some members
//! go wrong; then nothing goes wrong any more, and within two minutes all must agree, and then be silent.

mod agreement;
mod birth;
mod check;
mod command;
mod connection;
mod contrived;
mod fault;
mod follow;
mod hardware;
mod hostile;
mod ledger;
pub mod model;
mod naive;
mod news;
mod prove;
mod replica;
mod seals;
mod sharing;
mod talk;
mod trace;
mod weather;
mod work;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

pub use command::{Arguments, main};
pub use fault::Fault;
pub use prove::{Proof, prove};

/// What makes a run what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where all randomness comes from.
    pub seed: u64,
    /// How many times somebody does something.
    pub ticks: u32,
    /// How many replicas there are at first; the last is hostile if any is.
    pub replicas: usize,
    /// Whether a member is hostile.
    pub hostile: bool,
    /// Ticks at which nothing is done after all.
    pub skip: BTreeSet<u32>,
    /// Faults that don't happen after all.
    pub without: BTreeSet<Fault>,
}

impl Settings {
    /// A world with everything in it.
    #[must_use]
    pub fn new(seed: u64, ticks: u32, replicas: usize, hostile: bool) -> Self {
        Self { seed, ticks, replicas, hostile, skip: BTreeSet::new(), without: BTreeSet::new() }
    }
}

/// What must hold did not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What was found, for people.
    pub why: String,
}

/// How a run went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What did not hold, if anything.
    pub failure: Option<Failure>,
    /// A hash over everything that happened.
    pub hash: [u8; 32],
    /// How long it took in the world, in milliseconds.
    pub simulated_ms: i64,
    /// How often each class of faults was reached.
    pub faults: BTreeMap<Fault, u64>,
    /// How often what happened.
    pub counts: BTreeMap<&'static str, u64>,
    /// The last of what happened, a line each.
    pub story: Vec<String>,
}

/// Runs a world to its end or to the first thing that doesn't hold.
#[must_use]
pub fn run(settings: &Settings) -> Outcome {
    let mut world = world::World::new(settings.clone());
    let ran = catch_unwind(AssertUnwindSafe(|| world.run()));
    let failure = match ran {
        Ok(ran) => ran.err(),
        Err(panic) => Some(Failure { why: format!("a panic: {}", crate::panic::said(&*panic)) }),
    };
    Outcome {
        failure,
        hash: world.trace.hash(),
        simulated_ms: world.now_ms,
        faults: world.faults.reached.clone(),
        counts: world.trace.counts.clone(),
        story: world.trace.story(),
    }
}
