//! Faults in what is said to other devices.

use tidewater_engine::planted::Fault;

use super::harness::{LONG_WORLD, WORLD};

#[test]
fn planted_lost_entry_is_found() {
    WORLD.finds(Fault::EntryLost, 0, "the head's signature is wrong");
}

#[test]
fn planted_stale_listing_is_found() {
    WORLD.finds(Fault::ListingStale, 0, "don't agree on the data");
}

#[test]
fn planted_ignored_news_is_found() {
    WORLD.finds(Fault::NewsIgnored, 0, "was not told at once");
}

#[test]
fn planted_commit_sent_before_it_is_durable_is_found() {
    LONG_WORLD.finds(Fault::SentBeforeDurable, 2, "while it was down");
}

#[test]
fn planted_endless_questions_is_found() {
    WORLD.finds(Fault::NeverSilent, 0, "though nothing is new");
}

#[test]
fn planted_removed_member_that_is_told_is_found() {
    WORLD.finds(Fault::RemovedStillTold, 23, "was told, and is no member");
}

#[test]
fn planted_untold_control_is_found() {
    WORLD.finds(Fault::ControlUntold, 3, "was not told at once, of the Control");
}

#[test]
fn planted_comparing_that_stops_is_found() {
    WORLD.finds(Fault::NeverComparesAgain, 0, "nobody asks whether anything is new");
}
