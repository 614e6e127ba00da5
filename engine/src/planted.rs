//! Deliberate faults, so that the harnesses can be seen to find them: `tests/tests/planted` plants one at a time.
//!
//! `planted!` stands where a fault is. Without the feature `planted-faults`, which nothing but those
//! tests turns on, it is `false`, and neither the faults nor their names are in the program.

/// Whether a fault is planted here and now.
#[cfg(not(feature = "planted-faults"))]
#[doc(hidden)]
#[macro_export]
macro_rules! planted {
    ($fault:ident) => {
        false
    };
}

/// Whether a fault is planted here and now.
#[cfg(feature = "planted-faults")]
#[macro_export]
macro_rules! planted {
    ($fault:ident) => {
        $crate::planted::is_planted($crate::planted::Fault::$fault)
    };
}

#[cfg(feature = "planted-faults")]
mod fault;

#[cfg(feature = "planted-faults")]
pub use fault::{Fault, Planted, is_planted, plant};
