//! Which seeds a randomised test runs: as many as it says, `TIDEWATER_SEEDS=n` for n of them, `TIDEWATER_SEED=n` for that one alone.

use std::ops::Range;

/// The seeds to run, where the test itself runs so many.
///
/// # Panics
/// When a variable is set to something else than a number.
#[must_use]
pub fn seeds(runs: u64) -> Range<u64> {
    match number("TIDEWATER_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("TIDEWATER_SEEDS").unwrap_or(runs),
    }
}

/// The seed to run, where the test runs one: the one given otherwise. It is printed.
///
/// # Panics
/// When the variable is set to something else than a number.
#[must_use]
pub fn seed(otherwise: u64) -> u64 {
    let seed = number("TIDEWATER_SEED").unwrap_or(otherwise);
    println!("TIDEWATER_SEED={seed}");
    seed
}

/// A number of the environment.
///
/// # Panics
/// When it is none.
#[must_use]
pub fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")))
}
