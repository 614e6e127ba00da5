//! Any operations on any replicas, exchanged in any order, end in the same state everywhere: `tidewater_tests::convergence`.
//!
//! `TIDEWATER_SEED=n` runs that seed alone, `TIDEWATER_SEEDS=n` runs so many.

use std::collections::BTreeMap;

use tidewater_tests::convergence::converge;
use tidewater_tests::figures::print;
use tidewater_tests::seeds::seeds;

/// Runs, when the environment doesn't say.
const RUNS: u64 = 30;

#[test]
fn equal_operations_give_equal_states_and_those_of_the_naive_fold() {
    let seeds = seeds(RUNS);
    let mut reached = BTreeMap::<&str, usize>::new();
    for seed in seeds.clone() {
        println!("TIDEWATER_SEED={seed}");
        converge(seed, &mut reached);
    }
    print("convergence", format_args!("{reached:?}"));
    if seeds.end - seeds.start >= RUNS {
        for what in ["alive", "not alive", "siblings", "kinds", "deleted", "restart", "partial delivery"] {
            assert!(reached.get(what).is_some_and(|times| *times > 0), "no run reached {what}: {reached:?}");
        }
    }
}
