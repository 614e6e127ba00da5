//! Containment: a panic inside a dependency that meets bad bytes becomes an error.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `work`, and gives what it said when it panicked. What `work` changed must not be used after that.
pub(crate) fn contain<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        said.unwrap_or("it did not say why").to_owned()
    })
}
