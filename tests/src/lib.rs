//! What the tests that cross crates share: the corpus and the doors it runs through, stores that share a space,
//! the naive fold, what can happen to storage, and hostile bytes.

pub mod convergence;
pub mod conversation;
pub mod corpus;
pub mod coverage;
pub mod crash;
pub mod disk;
pub mod door;
pub mod edits;
pub mod figures;
pub mod flood;
mod forger;
pub mod fuzz;
pub mod host;
pub mod http;
pub mod linked;
pub mod namespace;
pub mod oracle;
pub mod panic;
pub mod program;
pub mod random;
pub mod resolving;
pub mod sealed;
pub mod seeds;
pub mod shared_space;
pub mod siege;
pub mod sim;
pub mod soak;
pub mod socket;
pub mod story;
pub mod trail;

/// The README, so that its example is compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
