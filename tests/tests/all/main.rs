//! Every test that crosses crates, in one binary: each further binary would link the whole product again.

mod cli;
mod convergence;
mod corpus;
mod kill;
mod serve;
mod tidy;
