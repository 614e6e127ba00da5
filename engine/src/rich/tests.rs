//! Tests of cells as a whole.

mod convergence;
pub(super) mod memory;
mod world;
