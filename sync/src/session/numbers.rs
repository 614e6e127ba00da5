//! Short numbers for logs, given out in order: `docs/spec/session.md`, *Numbers*.

use tidewater_engine::id::{EpochId, SpaceId, WriterId};
use tidewater_engine::log::Plane;

use super::limits::{MAX_NAMES, MAX_NUMBERED_LOGS};
use crate::codec::{Codec, Decoded, Malformed, Reader};

/// Names one log among all spaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LogName {
    pub(super) space: SpaceId,
    pub(super) plane: Plane,
    pub(super) writer: WriterId,
}

impl Codec for LogName {
    fn encode(&self, out: &mut Vec<u8>) {
        self.space.encode(out);
        self.plane.encode(out);
        self.writer.encode(out);
    }
    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Ok(Self { space: SpaceId::decode(reader)?, plane: Plane::decode(reader)?, writer: WriterId::decode(reader)? })
    }
}

/// What both ends remember of a log's entries in one direction, so that the next say only what is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Memory {
    /// Where the log's last batch message ended.
    pub(super) end: u64,
    /// The last entry's.
    pub(super) timestamp_ms: i64,
    /// The last entry's.
    pub(super) epoch: Option<EpochId>,
}

/// The numbers of one direction of a session. Both ends keep the same.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    logs: Vec<(LogName, Memory)>,
    /// The numbers, ordered by what they stand for. There are never 65,536.
    by_name: Vec<u16>,
}

impl Numbers {
    /// Begins a batch message: the only place where numbers are forgotten, so that none changes within a message.
    pub(super) fn begin(&mut self) {
        if self.logs.len() >= MAX_NUMBERED_LOGS {
            *self = Self::default();
        }
    }

    /// The number of a log, and whether it is new, so that the log has to be named.
    pub(super) fn of(&mut self, log: LogName) -> (usize, bool) {
        match self.find(&log) {
            Ok(at) => (usize::from(self.by_name[at]), false),
            Err(at) => (self.add(at, log), true),
        }
    }

    /// The log that a number read from a message stands for. `name` reads what follows a new number.
    pub(super) fn log(&mut self, number: u64, name: impl FnOnce() -> Decoded<LogName>) -> Decoded<(usize, LogName)> {
        let number = usize::try_from(number).unwrap_or(usize::MAX);
        if let Some((log, _)) = self.logs.get(number) {
            return Ok((number, *log));
        }
        if number != self.logs.len() {
            return Err(Malformed("the number of a log that has none"));
        }
        if number >= MAX_NUMBERED_LOGS + MAX_NAMES {
            return Err(Malformed("a batch that names too many logs"));
        }
        let log = name()?;
        let Err(at) = self.find(&log) else { return Err(Malformed("a second number for one log")) };
        Ok((self.add(at, log), log))
    }

    pub(super) fn memory(&mut self, number: usize) -> &mut Memory {
        &mut self.logs[number].1
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.logs.len()
    }

    /// Where a log stands among the names, or would.
    fn find(&self, log: &LogName) -> Result<usize, usize> {
        self.by_name.binary_search_by(|number| self.logs[usize::from(*number)].0.cmp(log))
    }

    fn add(&mut self, at: usize, log: LogName) -> usize {
        let number = self.logs.len();
        debug_assert!(number < MAX_NUMBERED_LOGS + MAX_NAMES, "senders cut a batch that names more");
        self.by_name.insert(at, number as u16);
        self.logs.push((log, Memory::default()));
        number
    }
}
