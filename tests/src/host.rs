//! A clock and randomness that a test controls.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};

use tidewater_engine::host::Host;

use crate::random::Random;

/// A clock that stands until it is moved, and randomness from a seed.
#[derive(Debug)]
pub struct SimulatedHost {
    now_ms: AtomicI64,
    random: Mutex<Random>,
}

impl SimulatedHost {
    /// Starts at some time of the year 2026.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { now_ms: AtomicI64::new(1_790_000_000_000), random: Mutex::new(Random::new(seed)) }
    }

    /// Moves the clock, backwards too.
    pub fn advance_ms(&self, by: i64) {
        self.now_ms.fetch_add(by, Ordering::Relaxed);
    }

    /// Sets the clock.
    pub fn set_ms(&self, to: i64) {
        self.now_ms.store(to, Ordering::Relaxed);
    }

    /// The same time, and the same randomness from here on: what a cloned machine has.
    #[must_use]
    pub fn twin(&self) -> Self {
        let random = self.random.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Self { now_ms: AtomicI64::new(self.now_ms()), random: Mutex::new(random) }
    }

    /// The same time, and randomness of its own: what another machine has.
    #[must_use]
    pub fn beside(&self, seed: u64) -> Self {
        Self { now_ms: AtomicI64::new(self.now_ms()), random: Mutex::new(Random::new(seed)) }
    }
}

impl Host for SimulatedHost {
    fn now_ms(&self) -> i64 {
        self.now_ms.load(Ordering::Relaxed)
    }

    fn fill_random(&self, out: &mut [u8]) {
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        out.iter_mut().for_each(|byte| *byte = random.number() as u8);
    }
}
