//! How much a connection carries.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Rates are taken over intervals of at least this.
const INTERVAL: Duration = Duration::from_secs(1);

/// Bytes in both directions of one connection, frame headers included.
#[derive(Debug)]
pub(super) struct Traffic {
    received: Mutex<Meter>,
    sent: Mutex<Meter>,
}

/// A count of bytes, and how fast it grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Volume {
    /// Bytes so far.
    pub bytes: u64,
    /// Bytes per second, over about the last second.
    pub bytes_per_second: u64,
}

impl Traffic {
    pub(super) fn new(now: Instant) -> Self {
        Self { received: Mutex::new(Meter::new(now)), sent: Mutex::new(Meter::new(now)) }
    }

    pub(super) fn add_received(&self, bytes: usize) {
        lock(&self.received).add(bytes, Instant::now());
    }

    pub(super) fn add_sent(&self, bytes: usize) {
        lock(&self.sent).add(bytes, Instant::now());
    }

    /// Received and sent.
    pub(super) fn volumes(&self, now: Instant) -> (Volume, Volume) {
        (lock(&self.received).volume(now), lock(&self.sent).volume(now))
    }
}

fn lock(meter: &Mutex<Meter>) -> MutexGuard<'_, Meter> {
    meter.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug)]
struct Meter {
    bytes: u64,
    /// Where the current interval began, and with how many bytes.
    since: (Instant, u64),
    last_rate: u64,
}

impl Meter {
    fn new(now: Instant) -> Self {
        Self { bytes: 0, since: (now, 0), last_rate: 0 }
    }

    fn add(&mut self, bytes: usize, now: Instant) {
        self.turn(now);
        self.bytes += bytes as u64;
    }

    fn volume(&mut self, now: Instant) -> Volume {
        self.turn(now);
        Volume { bytes: self.bytes, bytes_per_second: self.last_rate }
    }

    /// Begins the next interval when this one is over.
    fn turn(&mut self, now: Instant) {
        let (start, bytes) = self.since;
        let elapsed = now.saturating_duration_since(start);
        if elapsed >= INTERVAL {
            self.last_rate = ((self.bytes - bytes) as f64 / elapsed.as_secs_f64()) as u64;
            self.since = (now, self.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meter_counts_and_tells_the_rate_of_the_last_interval() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut meter = Meter::new(start);
        meter.add(1000, at(100));
        assert_eq!(meter.volume(at(500)), Volume { bytes: 1000, bytes_per_second: 0 });
        meter.add(1000, at(900));
        assert_eq!(meter.volume(at(2000)), Volume { bytes: 2000, bytes_per_second: 1000 });
        assert_eq!(meter.volume(at(5000)), Volume { bytes: 2000, bytes_per_second: 0 });
    }
}
