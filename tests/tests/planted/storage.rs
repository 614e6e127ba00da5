//! Faults in what is stored, and when.

use tidewater_engine::planted::Fault;

use super::harness::{convergence_finds, failing_calls_find, power_cuts_find, rot_finds};

#[test]
fn planted_skipped_sync_is_found() {
    power_cuts_find(Fault::SyncSkipped, 2, "is damaged");
}

#[test]
fn planted_early_acknowledgement_is_found() {
    power_cuts_find(Fault::AcknowledgedEarly, 0, "are allowed");
}

#[test]
fn planted_single_phase_is_found() {
    power_cuts_find(Fault::SecondPhaseSkipped, 0, "is damaged");
}

#[test]
fn planted_acknowledged_failure_is_found() {
    failing_calls_find(Fault::FailureAcknowledged, 0, "was acknowledged and is gone");
}

#[test]
fn planted_forgotten_touches_is_found() {
    convergence_finds(Fault::TouchesForgotten, 12, "Damaged { table: \"documents\"");
}

#[test]
fn planted_skipped_flush_is_found() {
    power_cuts_find(Fault::FlushSkipped, 0, "are allowed");
}

#[test]
fn planted_ignored_sum_is_found() {
    rot_finds(Fault::SumIgnored, 0, "answer wrongly without an error");
}
