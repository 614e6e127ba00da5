//! Who may start a handshake, before anything is spent on it.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::config::QuicConfig;
use crate::bucket::{Buckets, Rate};

/// How many network addresses have a bucket of their own; beyond, the fullest is forgotten.
const MAX_TRACKED_ADDRESSES: usize = 4096;

/// What to do with a handshake that a stranger starts.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Go on. The permits are held for the handshake, and for the life of the connection.
    Accept {
        /// One of the running handshakes.
        handshake: OwnedSemaphorePermit,
        /// One of the open connections.
        connection: OwnedSemaphorePermit,
    },
    /// Let the sender prove first that it receives at its address; that costs this node nothing.
    Validate,
    /// Say that there is no room.
    Refuse,
}

/// The limits that all listeners of a transport share.
#[derive(Debug)]
pub(super) struct Admission {
    handshakes: Arc<Semaphore>,
    half_of_handshakes: usize,
    connections: Arc<Semaphore>,
    buckets: Mutex<AddressBuckets>,
}

/// Claimed addresses have buckets apart from proven ones, so that forged packets use up nobody's share.
#[derive(Debug)]
struct AddressBuckets {
    claimed: Buckets<IpAddr>,
    proven: Buckets<IpAddr>,
}

impl Admission {
    pub(super) fn new(config: &QuicConfig) -> Self {
        let rate = Rate { burst: config.handshake_burst, per_second: config.handshakes_per_second };
        let buckets = || Buckets::new(rate, MAX_TRACKED_ADDRESSES);
        Self {
            handshakes: Arc::new(Semaphore::new(config.max_handshakes.min(Semaphore::MAX_PERMITS))),
            half_of_handshakes: config.max_handshakes / 2,
            connections: Arc::new(Semaphore::new(config.max_accepted.min(Semaphore::MAX_PERMITS))),
            buckets: Mutex::new(AddressBuckets { claimed: buckets(), proven: buckets() }),
        }
    }

    /// Decides about a handshake from `address`, which the sender has `proven` to receive at or only claims.
    pub(super) fn judge(&self, address: IpAddr, proven: bool, now: Instant) -> Verdict {
        let network = network_of(address);
        {
            let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
            let bucket = if proven { &mut buckets.proven } else { &mut buckets.claimed };
            if !bucket.take(network, now) {
                return if proven { Verdict::Refuse } else { Verdict::Validate };
            }
        }
        if !proven && self.handshakes.available_permits() < self.half_of_handshakes {
            return Verdict::Validate;
        }
        match (self.handshakes.clone().try_acquire_owned(), self.connections.clone().try_acquire_owned()) {
            (Ok(handshake), Ok(connection)) => Verdict::Accept { handshake, connection },
            _ => Verdict::Refuse,
        }
    }
}

/// What one subscriber gets from its provider: an IPv4 address, or an IPv6 /64.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) & !u128::from(u64::MAX)).into()),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn admission(max_handshakes: usize, max_accepted: usize, handshake_burst: u32) -> Admission {
        Admission::new(&QuicConfig { max_handshakes, max_accepted, handshake_burst, ..QuicConfig::default() })
    }

    /// Handshakes that are never finished are bounded, in all and per address, and their places come free.
    #[test]
    fn attack_handshakes_without_an_end_are_bounded() {
        let admission = admission(4, 2, 100);
        let now = Instant::now();
        let judge = || admission.judge([10, 0, 0, 1].into(), true, now);
        let Verdict::Accept { handshake, connection } = judge() else { panic!("there is room") };
        let second = judge();
        assert!(matches!(second, Verdict::Accept { .. }));
        assert!(matches!(judge(), Verdict::Refuse), "two connections are the limit");
        drop((handshake, connection));
        assert!(matches!(judge(), Verdict::Accept { .. }));
    }

    #[test]
    fn under_load_addresses_must_be_proven() {
        let admission = admission(4, 100, 100);
        let now = Instant::now();
        let held: Vec<_> = (0..3).map(|_| admission.judge([10, 0, 0, 1].into(), false, now)).collect();
        assert!(held.iter().all(|verdict| matches!(verdict, Verdict::Accept { .. })));
        assert!(matches!(admission.judge([10, 0, 0, 2].into(), false, now), Verdict::Validate));
        assert!(matches!(admission.judge([10, 0, 0, 2].into(), true, now), Verdict::Accept { .. }));
    }

    /// Datagrams under a forged address don't count against those who are at that address.
    #[test]
    fn attack_forged_packets_use_up_nobodys_share() {
        let admission = admission(100, 100, 3);
        let now = Instant::now();
        let victim = [10, 0, 0, 1].into();
        for _ in 0..10 {
            admission.judge(victim, false, now);
        }
        assert!(matches!(admission.judge(victim, false, now), Verdict::Validate));
        assert!(matches!(admission.judge(victim, true, now), Verdict::Accept { .. }));
        for _ in 0..10 {
            admission.judge(victim, true, now);
        }
        assert!(matches!(admission.judge(victim, true, now), Verdict::Refuse));
        let later = now + Duration::from_secs(1);
        assert!(matches!(admission.judge(victim, true, later), Verdict::Accept { .. }), "the bucket fills again");
    }

    #[test]
    fn an_ipv6_subscriber_is_one_address() {
        let parse = |text: &str| network_of(text.parse().unwrap());
        assert_eq!(parse("2001:db8::1"), parse("2001:db8::ffff:1"));
        assert_ne!(parse("2001:db8::1"), parse("2001:db8:0:1::1"));
        assert_eq!(parse("::ffff:10.0.0.1"), parse("10.0.0.1"));
    }
}
