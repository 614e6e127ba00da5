//! The network between replicas: who reaches whom, how fast, and what becomes of a frame.

use std::collections::BTreeSet;

use super::fault::Fault;
use super::world::{Event, World};
use crate::random::Random;

/// How fast a usual connection is, in bytes per second.
const FAST_BYTES: i64 = 4 << 20;
/// How fast a slow replica is.
const SLOW_BYTES: i64 = 1 << 10;
/// How long a connection lives on when nothing comes through, in milliseconds.
pub(super) const IDLE_MS: i64 = 15_000;

#[derive(Debug, Default)]
pub(super) struct Weather {
    /// Who can't send to whom.
    blocked: BTreeSet<(usize, usize)>,
    slow: BTreeSet<usize>,
}

impl Weather {
    pub(super) fn clear(&mut self) {
        self.blocked.clear();
        self.slow.clear();
    }

    pub(super) fn passes(&self, from: usize, to: usize) -> bool {
        !self.blocked.contains(&(from, to))
    }

    /// How long so many bytes take, in milliseconds.
    pub(super) fn takes_ms(&self, from: usize, to: usize, bytes: usize) -> i64 {
        let slow = self.slow.contains(&from) || self.slow.contains(&to);
        bytes as i64 * 1000 / if slow { SLOW_BYTES } else { FAST_BYTES }
    }
}

/// What a transport makes of a frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It comes, later than usual by so many milliseconds.
    Comes(i64),
    /// The connection is over: what was lost or changed on the way does not pass for what was sent.
    Breaks(Fault),
}

impl World {
    /// Draws the fate of one frame.
    pub(super) fn draw_fate(&mut self) -> Fate {
        for fault in [Fault::Dropped, Fault::Duplicated, Fault::Reordered, Fault::Corrupted, Fault::Cut] {
            if self.faults.strikes(fault, 250, &mut self.chance) {
                self.faults.note(fault);
                return Fate::Breaks(fault);
            }
        }
        if self.faults.strikes(Fault::Delayed, 15, &mut self.chance) {
            self.faults.note(Fault::Delayed);
            // Most are late by a little, a few by a lot.
            let most = 10 << self.chance.below(11);
            return Fate::Comes(self.chance.below(most) as i64);
        }
        Fate::Comes(0)
    }

    /// Makes one kind of bad weather, which passes after a while.
    pub(super) fn darken(&mut self, fault: Fault, random: &mut Random) {
        let count = self.replicas.len();
        let one = random.below(count);
        let others = self.others(one);
        match fault {
            Fault::OneWay => {
                let other = *random.pick(&others.into_iter().collect::<Vec<_>>());
                self.weather.blocked.insert((one, other));
                self.tell(&format!("nothing gets from {one} to {other}"));
            }
            Fault::Isolated => {
                self.weather.blocked.extend(others.iter().flat_map(|other| [(one, *other), (*other, one)]));
                self.tell(&format!("{one} is isolated"));
            }
            Fault::Bridged => {
                let left: BTreeSet<usize> = others.iter().copied().filter(|_| random.one_in(2)).collect();
                for from in &others {
                    let across = others.iter().filter(|to| left.contains(from) != left.contains(to));
                    self.weather.blocked.extend(across.map(|to| (*from, *to)));
                }
                self.tell(&format!("{left:?} and the rest meet only at {one}"));
            }
            _ => {
                self.weather.slow.insert(one);
                self.tell(&format!("{one} is slow"));
            }
        }
        self.faults.note(fault);
        let lasts = 1_000 << random.below(7);
        self.schedule(random.below(lasts) as i64, Event::Heal);
    }
}
