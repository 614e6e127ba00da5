//! Short numbers for logs, given out in order: `docs/spec/session.md`, *Numbers*.

use std::collections::BTreeMap;

use tidewater_engine::id::{EpochId, SpaceId, WriterId};
use tidewater_engine::log::Plane;

use super::limits::MAX_NUMBERED_LOGS;
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
    numbers: BTreeMap<LogName, usize>,
    logs: Vec<(LogName, Memory)>,
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
        if let Some(number) = self.numbers.get(&log) {
            return (*number, false);
        }
        (self.add(log), true)
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
        let log = name()?;
        if self.numbers.contains_key(&log) {
            return Err(Malformed("a second number for one log"));
        }
        Ok((self.add(log), log))
    }

    pub(super) fn memory(&mut self, number: usize) -> &mut Memory {
        &mut self.logs[number].1
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.logs.len()
    }

    fn add(&mut self, log: LogName) -> usize {
        let number = self.logs.len();
        self.numbers.insert(log, number);
        self.logs.push((log, Memory::default()));
        number
    }
}
