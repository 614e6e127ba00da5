//! Faults in indexes, queries and live queries.

use tidewater_engine::planted::Fault;

use super::harness::{WORLD, convergence_finds};

#[test]
fn planted_forgotten_index_row_is_found() {
    WORLD.finds(Fault::IndexRowForgotten, 3, "index rows are missing, 0 belong");
}

#[test]
fn planted_index_row_that_stays_is_found() {
    WORLD.finds(Fault::IndexRowLeft, 4, "0 index rows are missing");
}

#[test]
fn planted_conflict_that_is_not_listed_is_found() {
    convergence_finds(Fault::ConflictUnlisted, 1, "lists as conflicted");
}

#[test]
fn planted_range_that_ends_early_is_found() {
    WORLD.finds(Fault::RangeEndOff, 14, "register<=ebb finds");
}

#[test]
fn planted_short_page_is_found() {
    WORLD.finds(Fault::LimitShort, 2, "as a page of");
}

#[test]
fn planted_missed_change_is_found() {
    WORLD.finds(Fault::ChangeMissed, 0, "a live query shows");
}
