//! Faults in what keeps to its limits.

use tidewater_engine::planted::Fault;

use super::harness::{WORLD, hostile_bytes_find};

#[test]
fn planted_parked_bytes_that_stay_is_found() {
    WORLD.finds(Fault::ParkedBytesKept, 0, "bytes of it wait");
}

#[test]
fn planted_inflated_bomb_is_found() {
    hostile_bytes_find(Fault::BombInflated, "body", 0, "");
}
