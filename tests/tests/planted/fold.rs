//! Faults in what operations come to.

use tidewater_engine::planted::Fault;

use super::harness::convergence_finds;

#[test]
fn planted_increment_that_counts_twice_is_found() {
    convergence_finds(Fault::CounterTwice, 1, "on replica");
}
