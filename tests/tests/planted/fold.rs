//! Faults in what operations come to.

use tidewater_engine::planted::Fault;

use super::harness::convergence_finds;

#[test]
fn planted_commit_that_is_applied_twice_is_found() {
    convergence_finds(Fault::AppliedTwice, 1, "on replica");
}

#[test]
fn planted_dropped_delete_is_found() {
    convergence_finds(Fault::DeleteDropped, 1, "on replica");
}

#[test]
fn planted_increment_that_counts_twice_is_found() {
    convergence_finds(Fault::CounterTwice, 1, "on replica");
}

#[test]
fn planted_wrong_winner_is_found() {
    convergence_finds(Fault::WrongWinner, 4, "on replica");
}

#[test]
fn planted_last_applied_that_wins_is_found() {
    convergence_finds(Fault::LastAppliedWins, 0, "on replica");
}

#[test]
fn planted_blind_plain_write_is_found() {
    convergence_finds(Fault::PlainWriteBlind, 16, "on replica");
}

#[test]
fn planted_forgotten_concurrent_add_is_found() {
    convergence_finds(Fault::ConcurrentAddForgotten, 5, "on replica");
}

#[test]
fn planted_forgotten_text_is_found() {
    convergence_finds(Fault::TextForgotten, 1, "on replica");
}
