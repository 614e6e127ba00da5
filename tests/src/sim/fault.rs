//! What can go wrong in the world, by class. A class is on with probability one half per seed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::random::Random;

/// One class of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A frame takes up to ten seconds.
    Delayed,
    /// A frame is lost: the transport gives the connection up.
    Dropped,
    /// A frame comes twice: the transport gives the connection up.
    Duplicated,
    /// A frame overtakes another: the transport gives the connection up.
    Reordered,
    /// A frame comes damaged: the transport gives the connection up.
    Corrupted,
    /// The connection breaks in the middle of a frame, and both ends notice it at different times.
    Cut,
    /// Frames reach the session damaged, dropped, doubled and out of order.
    Damaged,
    /// Nothing gets through in one direction.
    OneWay,
    /// One replica reaches nobody.
    Isolated,
    /// Two halves that only one replica connects.
    Bridged,
    /// A replica at 1 kB/s.
    Slow,
    /// The power goes, and no write that wasn't synced is kept.
    LostWrites,
    /// The power goes, and any of the sectors that weren't synced are kept.
    TornPages,
    /// Reads fail.
    FailedReads,
    /// Writes fail.
    FailedWrites,
    /// The disk is full.
    Full,
    /// An old image of the disk is put back.
    Restored,
    /// A copy of the disk runs beside the original.
    Copied,
    /// A clock jumps by up to ten years.
    ClockJump,
    /// A clock stands anywhere from year 0 to year 9999.
    ClockFar,
    /// A member changes frames at will.
    Forged,
    /// A member sends old frames again.
    Replayed,
    /// A member runs twice with one identity, incarnation and randomness.
    Forked,
    /// A member sends frames that are too large.
    Oversized,
    /// A member lies about what it holds.
    Lying,
    /// A member signs commits that no honest database writes.
    Contrived,
}

/// Those that need a hostile member.
const HOSTILE: &[Fault] =
    &[Fault::Forged, Fault::Replayed, Fault::Forked, Fault::Oversized, Fault::Lying, Fault::Contrived];

impl Fault {
    /// All that a world without hostile members can have.
    pub const NATURAL: &[Fault] = &[
        Fault::Delayed,
        Fault::Dropped,
        Fault::Duplicated,
        Fault::Reordered,
        Fault::Corrupted,
        Fault::Cut,
        Fault::Damaged,
        Fault::OneWay,
        Fault::Isolated,
        Fault::Bridged,
        Fault::Slow,
        Fault::LostWrites,
        Fault::TornPages,
        Fault::FailedReads,
        Fault::FailedWrites,
        Fault::Full,
        Fault::Restored,
        Fault::Copied,
        Fault::ClockJump,
        Fault::ClockFar,
    ];

    /// All that there are in such a world.
    pub fn all(hostile: bool) -> impl Iterator<Item = Fault> {
        let more = if hostile { HOSTILE } else { &[] };
        Self::NATURAL.iter().chain(more).copied()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Which classes are on in one world, and how often each was reached.
#[derive(Debug, Default)]
pub(super) struct Faults {
    on: BTreeSet<Fault>,
    pub(super) reached: BTreeMap<Fault, u64>,
}

impl Faults {
    pub(super) fn draw(random: &mut Random, hostile: bool, without: &BTreeSet<Fault>) -> Self {
        // Each is drawn even if it is left out, so that leaving one out changes nothing else.
        let drawn: Vec<Fault> = Fault::all(hostile).filter(|_| random.one_in(2)).collect();
        Self { on: drawn.into_iter().filter(|fault| !without.contains(fault)).collect(), reached: BTreeMap::new() }
    }

    pub(super) fn has(&self, fault: Fault) -> bool {
        self.on.contains(&fault)
    }

    pub(super) fn on(&self) -> Vec<Fault> {
        self.on.iter().copied().collect()
    }

    /// Whether a fault that is on happens now, in one of so many cases.
    pub(super) fn strikes(&self, fault: Fault, cases: usize, random: &mut Random) -> bool {
        self.has(fault) && random.one_in(cases)
    }

    pub(super) fn note(&mut self, fault: Fault) {
        *self.reached.entry(fault).or_default() += 1;
    }

    /// From now on nothing goes wrong any more.
    pub(super) fn stop(&mut self) {
        self.on.clear();
    }
}
