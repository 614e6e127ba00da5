//! Simulated worlds: whatever goes wrong, in the end all agree, nothing acknowledged is gone, and all are silent.
//!
//! `TIDEWATER_SEEDS=n` runs n worlds of three replicas and fewer of the larger ones, `TIDEWATER_SEED=n` one of each kind.
//! A failure prints its story and the command that replays it. `tests/sim` runs worlds without the tests around them.

use tidewater_tests::figures::print;
use tidewater_tests::seeds::number;
use tidewater_tests::sim::{Settings, prove, run};

/// Worlds of three replicas, when the environment doesn't say.
const WORLDS: u64 = 1_000;
/// So many times something is done in a world.
const TICKS: u32 = 80;
/// Of so many worlds together every class of faults is reached in some.
const ALL_FAULTS_WITHIN: u64 = 200;

/// One in so many of the worlds that are asked for.
fn worlds(replicas: usize, hostile: bool, one_in: u64) {
    let seeds = match number("TIDEWATER_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..(number("TIDEWATER_SEEDS").unwrap_or(WORLDS) / one_in).max(1),
    };
    let proof = prove(seeds, TICKS, replicas, hostile);
    let kind = if hostile { ", one of them hostile" } else { "" };
    print(&format!("simulation, {replicas} replicas{kind}"), &proof);
    assert!(proof.failures.is_empty(), "a world failed; its story is above");
    if proof.worlds >= ALL_FAULTS_WITHIN {
        assert_eq!(proof.unreached(hostile), [], "no world came to these faults");
    }
}

#[test]
fn three_replicas_agree_whatever_goes_wrong() {
    worlds(3, false, 1);
}

#[test]
fn five_replicas_agree_whatever_goes_wrong() {
    worlds(5, false, 5);
}

#[test]
fn ten_replicas_agree_whatever_goes_wrong() {
    worlds(10, false, 50);
}

/// Honest replicas agree in the end, whatever a member with full rights to write does in random worlds.
#[test]
fn attack_hostile_member_never_keeps_honest_replicas_apart() {
    worlds(4, true, 5);
}

#[test]
fn a_seed_is_one_run_and_another_seed_another() {
    let first = run(&Settings::new(7, 40, 4, true));
    assert_eq!(run(&Settings::new(7, 40, 4, true)), first);
    assert_ne!(run(&Settings::new(8, 40, 4, true)).hash, first.hash);
}
