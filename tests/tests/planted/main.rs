//! The harnesses bite: each deliberate fault of `tidewater_engine::planted` is found by the harness that should find it, and
//! the same run passes without it.
//!
//! `TIDEWATER_SEEDS=n` looks for seeds instead: a test tries the first n, and prints those that find its fault.

mod fold;
mod harness;
mod session;
mod storage;
