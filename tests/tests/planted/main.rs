//! The harnesses bite: each deliberate fault of `tidewater_engine::planted` is found by a harness that runs in every run of
//! the tests, and the same run passes without it.
//!
//! `TIDEWATER_SEEDS=n` looks for seeds instead: a test tries the first n, or n from `TIDEWATER_SEED` on, and prints those that
//! find its fault.

mod bounds;
mod fold;
mod harness;
mod keys;
mod logs;
mod membership;
mod queries;
mod session;
mod storage;

#[global_allocator]
static METER: tidewater_tests::fuzz::Meter = tidewater_tests::fuzz::Meter;
