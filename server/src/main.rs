//! The `tide` command.
fn main() {}
