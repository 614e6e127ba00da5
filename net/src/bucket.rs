//! Token buckets: how much each of many sources may do.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// How fast a bucket empties and fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    /// What a full bucket holds.
    pub burst: u32,
    /// What flows in per second.
    pub per_second: u32,
}

/// One bucket for each source, at most `capacity` of them.
#[derive(Debug)]
pub(crate) struct Buckets<Key> {
    rate: Rate,
    capacity: usize,
    /// When each source's bucket will be full again. A source that isn't listed has a full one.
    full_at: HashMap<Key, Instant>,
}

impl<Key: Eq + Hash + Copy> Buckets<Key> {
    pub(crate) fn new(rate: Rate, capacity: usize) -> Self {
        Self { rate, capacity, full_at: HashMap::new() }
    }

    /// Takes one token of `source`; false when its bucket is empty.
    pub(crate) fn take(&mut self, source: Key, now: Instant) -> bool {
        let one = Duration::from_secs(1) / self.rate.per_second.max(1);
        let full_at = self.full_at.get(&source).copied().unwrap_or(now).max(now) + one;
        if full_at.duration_since(now) > one * self.rate.burst {
            return false;
        }
        if self.full_at.len() >= self.capacity && !self.full_at.contains_key(&source) {
            self.make_room(now);
        }
        self.full_at.insert(source, full_at);
        true
    }

    /// Forgets full buckets; when there are none, the fullest, which loses the least.
    fn make_room(&mut self, now: Instant) {
        self.full_at.retain(|_, full_at| *full_at > now);
        if self.full_at.len() < self.capacity {
            return;
        }
        if let Some(fullest) = self.full_at.iter().min_by_key(|(_, full_at)| **full_at).map(|(source, _)| *source) {
            self.full_at.remove(&fullest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let mut buckets = Buckets::new(Rate { burst: 3, per_second: 2 }, 10);
        let start = Instant::now();
        let taken = |buckets: &mut Buckets<u8>, source, now| (0..10).filter(|_| buckets.take(source, now)).count();
        assert_eq!(taken(&mut buckets, 1, start), 3);
        assert_eq!(taken(&mut buckets, 2, start), 3, "sources do not share");
        assert_eq!(taken(&mut buckets, 1, start + Duration::from_secs(1)), 2);
        assert_eq!(taken(&mut buckets, 1, start + Duration::from_secs(100)), 3);
    }

    #[test]
    fn only_so_many_sources_are_remembered() {
        let mut buckets = Buckets::new(Rate { burst: 3, per_second: 1 }, 10);
        let start = Instant::now();
        for source in 0..1000u32 {
            assert!(buckets.take(source, start));
        }
        assert_eq!(buckets.full_at.len(), 10);
    }
}
