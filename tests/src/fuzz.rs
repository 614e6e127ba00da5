//! Hostile bytes: a target for every decoder, and for everything that takes what others made.
//!
//! A target is a plain function of bytes that panics where an invariant is broken: it may refuse, but not panic, not go on for
//! ever, and not allocate more than it declares. What it takes has to survive a round trip. Three runners use them: the test
//! suite, `prove fuzz` for long runs, and libFuzzer (`tests/fuzz`).

pub mod command;
pub mod corpus;
pub mod drive;
mod meter;
mod mutation;

mod armored;
mod audit;
mod body;
mod card;
mod change;
mod commit;
mod control;
mod cursor;
mod file;
mod filter;
mod head;
mod header;
mod http;
mod import;
mod message;
mod people;
mod profile;
mod proof;
mod reading;
mod record;
mod row;
mod schema;
mod script;
mod seal;
mod session;
mod ticket;
mod value;
mod value_json;
mod writer;

pub use meter::{Account, Meter};

/// One decoder, or one door, and what is asked of it.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, also that of its folder in the corpus.
    pub name: &'static str,
    /// Runs it on one input. True: the input was taken, not refused.
    pub run: fn(&[u8]) -> bool,
    /// Inputs that it takes: where mutation starts. The same at every call.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// The longest input that runners make, in bytes.
    pub input_bytes_max: usize,
    /// How much memory one run may have allocated at once.
    pub memory: Memory,
    /// How many mutated inputs the test suite runs: what takes it a few seconds.
    pub executions: u64,
}

/// A bound on memory: so many bytes, and so many for every byte of the input.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// Whatever the input is.
    pub fixed: usize,
    /// For every byte of it.
    pub per_byte: usize,
}

/// Every target.
pub const TARGETS: &[Target] = &[
    audit::TARGET,
    body::TARGET,
    card::TARGET,
    change::TARGET,
    commit::TARGET,
    control::TARGET,
    cursor::TARGET,
    file::TARGET,
    filter::TARGET,
    head::TARGET,
    header::TARGET,
    http::TARGET,
    import::TARGET,
    message::TARGET,
    profile::TARGET,
    proof::TARGET,
    record::TARGET,
    row::TARGET,
    schema::TARGET,
    seal::TARGET,
    session::TARGET,
    ticket::TARGET,
    value::TARGET,
    value_json::TARGET,
    writer::TARGET,
];

/// The target of that name.
#[must_use]
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
