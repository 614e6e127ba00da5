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
    // Which of the rotten pages redb meets first is not decided by the seed, so it is "answer wrongly" or "an answer of a wrong kind".
    rot_finds(Fault::SumIgnored, 2, "answer");
}

#[test]
fn planted_ignored_check_is_found() {
    rot_finds(Fault::CheckIgnored, 0, "answer wrongly without an error");
}

#[test]
fn planted_blind_verifying_is_found() {
    rot_finds(Fault::VerifyBlind, 0, "verify finds nothing");
}

#[test]
fn planted_unsynced_mirror_is_found() {
    power_cuts_find(Fault::MirrorUnsynced, 0, "it goes on as another writer");
}

#[test]
fn planted_late_mirror_is_found() {
    power_cuts_find(Fault::MirrorLate, 0, "and has written");
}
