//! How long to wait between attempts to reach a peer.

use std::time::Duration;

/// When a kept peer is dialled again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The longest wait before the second attempt: 250 ms. It doubles with every further one.
    pub first: Duration,
    /// The longest wait of all while the failure may pass: 60 s.
    pub longest: Duration,
    /// The wait after a failure that will not pass by itself, such as a wrong key: 10 min.
    pub rarely: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { first: Duration::from_millis(250), longest: Duration::from_secs(60), rarely: Duration::from_secs(600) }
    }
}

/// Exponential backoff with full jitter: every wait is drawn evenly from nothing to the current bound, so that many
/// devices that lost the same hub do not come back in step.
#[derive(Debug)]
pub(super) struct Backoff {
    policy: RetryPolicy,
    failures: u32,
}

impl Backoff {
    pub(super) fn new(policy: RetryPolicy) -> Self {
        Self { policy, failures: 0 }
    }

    /// Begins anew: the peer was reached, or the network changed.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// How long to wait after a failure that may pass; `random` is any number.
    pub(super) fn next(&mut self, random: u64) -> Duration {
        let doubled = self.policy.first.saturating_mul(1u32.checked_shl(self.failures).unwrap_or(u32::MAX));
        self.failures = self.failures.saturating_add(1);
        jitter(doubled.min(self.policy.longest), random)
    }

    /// How long to wait after a failure that will not pass: the rare interval, or up to half of it longer.
    pub(super) fn rarely(&self, random: u64) -> Duration {
        self.policy.rarely + jitter(self.policy.rarely / 2, random)
    }
}

/// A part of `bound`, as large as `random` is within its range.
fn jitter(bound: Duration, random: u64) -> Duration {
    bound.mul_f64(random as f64 / u64::MAX as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_begin_anew() {
        let mut backoff = Backoff::new(RetryPolicy::default());
        let waits: Vec<u128> = (0..10).map(|_| backoff.next(u64::MAX).as_millis()).collect();
        assert_eq!(waits, [250, 500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
        for _ in 0..100 {
            assert!(backoff.next(u64::MAX) <= Duration::from_secs(60));
        }
        backoff.reset();
        assert_eq!(backoff.next(u64::MAX).as_millis(), 250);
    }

    #[test]
    fn the_jitter_covers_everything_from_nothing_on() {
        let mut backoff = Backoff::new(RetryPolicy::default());
        assert_eq!(backoff.next(0), Duration::ZERO);
        assert_eq!(backoff.next(u64::MAX / 2).as_millis(), 250);
        assert_eq!(backoff.rarely(0).as_secs(), 600);
        assert_eq!(backoff.rarely(u64::MAX).as_secs(), 900);
    }
}
