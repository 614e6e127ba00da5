//! What goes wrong with a disk.

use std::io;

/// What goes wrong with the calls to come.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// Calls that fail.
    pub calls: Option<Fault>,
    /// After so many writes and syncs the power goes.
    pub power: Option<u32>,
    /// The disk holds no more than this, in bytes.
    pub capacity: Option<usize>,
}

/// Calls that fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// How they fail.
    pub kind: Kind,
    /// Which call of that kind is the first, from 0.
    pub at: usize,
    /// How many of that kind fail from there on; `usize::MAX`: all do.
    pub times: usize,
}

/// What fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A read.
    Read,
    /// A write: there is no space.
    Full,
    /// A write, and nothing of it arrives.
    Write,
    /// A write, and a part of it arrives.
    Short,
    /// A sync, and what it was for may arrive nevertheless.
    Sync,
    /// A sync, and what it was for is lost.
    Loss,
    /// A write or a sync, whichever comes.
    Change,
}

impl Kind {
    pub(super) fn error(self) -> io::Error {
        match self {
            Self::Full => no_space(),
            // What the system says of a device that fails.
            _ => io::Error::from_raw_os_error(5),
        }
    }
}

/// What the system says: `No space left on device (os error 28)`.
pub(super) fn no_space() -> io::Error {
    io::Error::from_raw_os_error(28)
}

/// How many calls a disk has seen since its faults were set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Reads.
    pub reads: usize,
    /// Writes and changes of length.
    pub writes: usize,
    /// Syncs.
    pub syncs: usize,
    /// Reads that failed.
    pub failed_reads: usize,
    /// Writes and syncs that failed, but not for want of space.
    pub failed_writes: usize,
    /// Writes that found no room.
    pub full: usize,
}

impl Counts {
    /// How many calls failed.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.failed_reads + self.failed_writes + self.full
    }
}
