//! Every test that crosses crates, in one binary: each further binary would link the whole product again. Only those that
//! need rights over the machine stand apart, in `machine`.

mod audit;
mod bounds;
mod cli;
mod conflicts;
mod contacts;
mod convergence;
mod copies;
mod corpus;
mod coverage;
mod crash;
mod fuzz;
mod keys;
mod kill;
mod memory;
mod model;
mod recovery;
mod refusals;
mod sealed;
mod serve;
mod siege;
mod simulation;
mod story;
mod tidy;
mod voids;
