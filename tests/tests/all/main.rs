//! Every test that crosses crates, in one binary: each further binary would link the whole product again.

mod convergence;
mod corpus;
mod kill;
mod tidy;
