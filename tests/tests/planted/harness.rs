//! Runs of the harnesses, with a fault and without.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tidewater_engine::planted::{Fault, plant};
use tidewater_tests::convergence::converge;
use tidewater_tests::crash::{faults, points, rot};
use tidewater_tests::fuzz::{corpus, drive, target};
use tidewater_tests::panic::said;
use tidewater_tests::sealed::search_a_relay;
use tidewater_tests::seeds::number;
use tidewater_tests::sim::{Settings, run};

/// Runs a harness with a fault and without. `run` is given a seed, and tells what did not hold, if anything.
///
/// # Panics
/// When it says nothing of the fault, or something else than `says`; or when it fails without the fault too.
fn find(fault: Fault, seed: u64, says: &str, run: &dyn Fn(u64) -> Option<String>) {
    let with_fault = |seed| {
        let _planted = plant(fault);
        run(seed)
    };
    if let Some(seeds) = number("TIDEWATER_SEEDS") {
        let first = number("TIDEWATER_SEED").unwrap_or(0);
        for seed in first..first.saturating_add(seeds) {
            if let Some(found) = with_fault(seed).filter(|_| run(seed).is_none()) {
                println!("seed {seed} finds {fault:?}: {found}");
            }
        }
        return;
    }
    let found = with_fault(seed).unwrap_or_else(|| panic!("{fault:?} is not found by seed {seed}"));
    println!("seed {seed} finds {fault:?}: {found}");
    assert!(found.contains(says), "{fault:?} is found, but not for what it is: {found}");
    assert_eq!(run(seed), None, "it fails without {fault:?} too");
}

/// What a harness that panics says.
fn panics(work: impl FnOnce()) -> Option<String> {
    catch_unwind(AssertUnwindSafe(work)).err().map(|panic| said(&*panic).to_owned())
}

/// A simulated world.
#[derive(Clone, Copy)]
pub(crate) struct World {
    pub(crate) ticks: u32,
    pub(crate) replicas: usize,
    pub(crate) hostile: bool,
}

/// Three replicas, for a short time.
pub(crate) const WORLD: World = World { ticks: 40, replicas: 3, hostile: false };
/// Three, for as long as in `simulation.rs`.
pub(crate) const LONG_WORLD: World = World { ticks: 80, ..WORLD };
/// Four, one of them hostile.
pub(crate) const HOSTILE_WORLD: World = World { replicas: 4, hostile: true, ..WORLD };

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
    find(fault, seed, says, &|seed| {
        panics(|| {
            let _tried = points::crash(points::Plan { seed, steps: 6, points: 1 });
        })
    });
}

/// Calls of a short workload that fail.
pub(crate) fn failing_calls_find(fault: Fault, seed: u64, says: &str) {
    find(fault, seed, says, &|seed| {
        panics(|| {
            let _tried = faults::faults(faults::Plan { seed, points: 1 });
        })
    });
}

/// Rotten bytes.
pub(crate) fn rot_finds(fault: Fault, seed: u64, says: &str) {
    find(fault, seed, says, &|seed| {
        panics(|| {
            let tried = rot::rot(rot::Plan { seed, steps: 30, images: 200, threads: 1 });
            assert!(tried.silent == 0, "{} images answer wrongly without an error", tried.silent);
        })
    });
}

/// A relay's file and frames, searched for plaintext. It has no seed.
pub(crate) fn search_finds(fault: Fault, says: &str) {
    find(fault, 0, says, &|_| panics(search_a_relay));
}

/// What is kept for a fuzz target, and mutations of it.
pub(crate) fn hostile_bytes_find(fault: Fault, name: &str, seed: u64, says: &str) {
    let target = target(name).expect("a target");
    drive::warm_up(target);
    let kept = corpus::kept(target).expect("the corpus is read");
    let inputs: Vec<Vec<u8>> = kept.into_iter().map(|(_, input)| input).collect();
    find(fault, seed, says, &|seed| {
        let kept = inputs.iter().try_for_each(|input| drive::run(target, input).map(drop));
        let mutated = || drive::run_mutated(target, &inputs, seed, target.executions, &mut |_| {}).map(drop);
        kept.and_then(|()| mutated()).err().map(|broken| broken.why)
    });
}
