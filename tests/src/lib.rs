//! What the tests through the public doors share: the corpus and the doors it runs through.

pub mod corpus;
pub mod door;
