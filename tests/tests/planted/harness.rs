//! Runs of the harnesses, with a fault and without.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tidewater_engine::planted::{Fault, plant};
use tidewater_tests::convergence::converge;
use tidewater_tests::crash::points::{Plan, crash};
use tidewater_tests::sim::{Settings, run};

/// Says what did not hold, if anything.
type Run<'r> = &'r dyn Fn(u64) -> Option<String>;

/// Runs a harness with a fault and without.
///
/// # Panics
/// When it says nothing of the fault, or something else than `says`; or when it fails without the fault too.
fn find(fault: Fault, seed: u64, says: &str, run: Run<'_>) {
    let with_fault = |seed| {
        let _planted = plant(fault);
        run(seed)
    };
    if let Some(seeds) = std::env::var("TIDEWATER_SEEDS").ok().and_then(|seeds| seeds.parse().ok()) {
        for seed in 0..seeds {
            if let Some(found) = with_fault(seed).filter(|_| run(seed).is_none()) {
                println!("seed {seed}: {found}");
            }
        }
        return;
    }
    let found = with_fault(seed).unwrap_or_else(|| panic!("{fault:?} is not found by seed {seed}"));
    println!("seed {seed}: {found}");
    assert!(found.contains(says), "{fault:?} is found, but not for what it is: {found}");
    assert_eq!(run(seed), None, "it fails without {fault:?} too");
}

/// What a harness that panics says.
fn panics(work: impl FnOnce()) -> Option<String> {
    let panic = catch_unwind(AssertUnwindSafe(work)).err()?;
    let said = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    Some(said.unwrap_or("a panic without a word").to_owned())
}

/// A simulated world.
pub(crate) struct World {
    pub(crate) ticks: u32,
    pub(crate) replicas: usize,
    pub(crate) hostile: bool,
}

/// Three replicas, for a short time.
pub(crate) const WORLD: World = World { ticks: 40, replicas: 3, hostile: false };

impl World {
    pub(crate) fn finds(&self, fault: Fault, seed: u64, says: &str) {
        let Self { ticks, replicas, hostile } = *self;
        find(fault, seed, says, &|seed| {
            run(&Settings::new(seed, ticks, replicas, hostile)).failure.map(|failure| failure.why)
        });
    }
}

/// The naive fold, and replicas that exchange in any order.
pub(crate) fn convergence_finds(fault: Fault, seed: u64, says: &str) {
    find(fault, seed, says, &|seed| panics(|| converge(seed, &mut BTreeMap::new())));
}

/// Power cuts at every call of a short workload.
pub(crate) fn power_cuts_find(fault: Fault, seed: u64, says: &str) {
    find(fault, seed, says, &|seed| panics(|| drop(crash(Plan { seed, steps: 6, points: 1 }))));
}
