//! Faults in what is stored, and when.

use tidewater_engine::planted::Fault;

use super::harness::power_cuts_find;

#[test]
fn planted_skipped_sync_is_found() {
    power_cuts_find(Fault::SyncSkipped, 2, "are allowed");
}
