//! What the tests that cross crates share: the corpus and the doors it runs through, and stores that share a space.

pub mod corpus;
pub mod door;
pub mod random;
pub mod shared_space;
