//! Faults in logs, and in what is applied.

use tidewater_engine::planted::Fault;

use super::harness::{HOSTILE_WORLD, LONG_WORLD, WORLD, World, convergence_finds, hostile_bytes_find};

#[test]
fn planted_incarnation_of_a_copy_is_found() {
    WORLD.finds(Fault::IncarnationKept, 14, " starts as ");
}

#[test]
fn planted_gap_that_is_taken_is_found() {
    hostile_bytes_find(Fault::GapTaken, "writer", 0, "a log without its start comes to");
}

#[test]
fn planted_ignored_fork_is_found() {
    hostile_bytes_find(Fault::ForkIgnored, "writer", 0, "another branch comes to");
}

#[test]
fn planted_forgotten_fork_is_found() {
    let world = World { ticks: 80, ..HOSTILE_WORLD };
    world.finds(Fault::ForkForgotten, 131, "don't agree on");
}

#[test]
fn planted_ignored_dependency_is_found() {
    convergence_finds(Fault::DependencyIgnored, 0, "an honest batch is taken");
}

#[test]
fn planted_unchecked_signature_is_found() {
    hostile_bytes_find(Fault::SignatureUnchecked, "head", 0, "only what was signed passes");
}

#[test]
fn planted_write_to_a_closed_log_is_found() {
    LONG_WORLD.finds(Fault::ClosedLogWritten, 136, "acknowledged commit");
}

#[test]
fn planted_clock_that_decides_is_found() {
    WORLD.finds(Fault::ClockDecides, 3, " wait at replica");
}

#[test]
fn planted_removed_writer_that_is_heard_is_found() {
    LONG_WORLD.finds(Fault::RemovedStillHeard, 4, "don't agree on the state");
}

#[test]
fn planted_skipped_refold_is_found() {
    WORLD.finds(Fault::RefoldSkipped, 1, "of the same commits");
}
