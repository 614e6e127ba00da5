//! Containment: a panic inside automerge becomes an error.

use super::RichError;

/// Runs `work`, and turns a panic into [`RichError::Unavailable`]. What `work` changed must not be used after that.
pub(super) fn contain<T>(work: impl FnOnce() -> Result<T, RichError>) -> Result<T, RichError> {
    crate::contain::contain(work)
        .unwrap_or_else(|said| Err(RichError::Unavailable { why: format!("automerge panicked: {said}") }))
}

/// An error of automerge itself.
pub(super) fn unavailable(error: impl std::fmt::Display) -> RichError {
    RichError::Unavailable { why: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_that_names_it() {
        let error = contain::<()>(|| panic!("column {}", 7)).unwrap_err();
        assert_eq!(error.to_string(), "unavailable: automerge panicked: column 7");
    }
}
