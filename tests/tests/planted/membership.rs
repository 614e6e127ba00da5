//! Faults in who may do what.

use tidewater_engine::planted::Fault;

use super::harness::{LONG_WORLD, WORLD};

#[test]
fn planted_ignored_cut_is_found() {
    LONG_WORLD.finds(Fault::CutIgnored, 11, "that it was removed with");
}

#[test]
fn planted_reader_that_writes_is_found() {
    WORLD.finds(Fault::ReaderWrites, 10, "don't agree on the data");
}

#[test]
fn planted_grant_above_one_s_rank_is_found() {
    WORLD.finds(Fault::GrantTooHigh, 6, "itself");
}
