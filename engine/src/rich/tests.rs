//! Tests of cells as a whole.

mod convergence;
mod forge;
mod hostile;
pub(super) mod memory;
mod refusals;
mod refusals_json;
mod refusals_text;
mod storage;
mod world;
