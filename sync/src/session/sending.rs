//! What goes to the other side: batches, one space after the other, control planes first, never too much at once.

use std::collections::BTreeSet;

use tidewater_engine::id::{SpaceId, WriterId};
use tidewater_engine::log::{Plane, Prefix};
use tidewater_engine::store::LogBatch;

use super::batch::{BatchPart, BatchWriter};
use super::exchange::PLANES;
use super::limits::{PART_BYTES, PART_NAMES, WINDOW_BYTES};
use super::message::{BatchVerdict, Message};
use super::numbers::LogName;
use super::{Session, SessionError, SessionEvent};

/// A header without lists of logs is longer than this, in bytes.
const HEADER_BYTES_MIN: usize = 88;
/// A log in a list of a header takes at least this, in bytes.
const MOVED_BYTES_MIN: usize = 40 + 1 + 32;

/// How many logs a header names at most.
fn names_at_most(header: &[u8]) -> usize {
    header.len().saturating_sub(HEADER_BYTES_MIN) / MOVED_BYTES_MIN
}

/// A frame that was sent and not acknowledged.
#[derive(Debug)]
pub(super) struct InFlight {
    bytes: usize,
    space: SpaceId,
    plane: Plane,
    writer: WriterId,
    /// The length the log has with it; `None` for a part that isn't the last, and for what was sent unasked.
    length: Option<u64>,
}

impl Session {
    /// Queues one batch, if there is one and the other side has room for it.
    pub(super) fn send_next_batch(&mut self) -> Result<(), SessionError> {
        if self.in_flight_bytes >= WINDOW_BYTES {
            return Ok(());
        }
        for plane in PLANES {
            while let Some(space) = self.next_space(plane) {
                self.turn = Some(space);
                let state = self.database.space_state(&space)?;
                let Some(exchange) = self.exchanges.get_mut(&space) else { continue };
                let forked = exchange.outgrown(&self.database, &space, &state.table, plane)?;
                for (writer, length) in forked {
                    self.note_fork(&space, plane, writer, length)?;
                }
                let Some(exchange) = self.exchanges.get_mut(&space) else { continue };
                if let Some(batch) = exchange.next_batch(&self.database, &space, &state.table, plane)? {
                    self.send_batch(batch);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The space after the one whose turn it was that may have something to send.
    fn next_space(&self, plane: Plane) -> Option<SpaceId> {
        let may_send = |(space, exchange): (&SpaceId, &super::Exchange)| exchange.may_send(plane).then_some(*space);
        let after = self.turn.and_then(|turn| {
            let range = (std::ops::Bound::Excluded(turn), std::ops::Bound::Unbounded);
            self.exchanges.range(range).find_map(may_send)
        });
        after.or_else(|| self.exchanges.iter().find_map(may_send))
    }

    fn send_batch(&mut self, batch: LogBatch) {
        let LogBatch { space, plane, writer, mut from, mut entries, head } = batch;
        if planted!(EntryLost) && entries.len() > 1 {
            entries.pop();
        }
        self.note_fetched(space, plane, entries.len() as u64);
        let asked = self.exchanges.get(&space).is_some_and(|exchange| exchange.open);
        let mut entries = entries.into_iter().peekable();
        while entries.peek().is_some() {
            let (mut part, mut bytes, mut names) = (Vec::new(), 0, 0);
            while bytes < PART_BYTES
                && names < PART_NAMES
                && let Some(entry) = entries.next()
            {
                bytes += entry.header.len() + entry.body.len();
                names += names_at_most(&entry.header);
                part.push(entry);
            }
            let count = part.len() as u64;
            let head = entries.peek().is_none().then(|| head.clone());
            let length = head.as_ref().filter(|_| asked).map(|head| head.length);
            let before = self.queued_bytes;
            self.send_part(&BatchPart { log: LogName { space, plane, writer }, from, entries: part, head });
            let bytes = self.queued_bytes - before;
            self.in_flight_bytes += bytes;
            self.in_flight.push_back(InFlight { bytes, space, plane, writer, length });
            from += count;
        }
    }

    fn send_part(&mut self, part: &BatchPart) {
        let (exchange, database) = (self.exchanges.get(&part.log.space), &self.database);
        // Who wrote the entry may have known another branch of the log than the one that both sides hold.
        let is_held = |plane, writer: &WriterId, prefix: &Prefix| {
            let held = database.prefix_at(&part.log.space, plane, writer, prefix.length);
            held.is_ok_and(|held| held.as_ref() == Some(prefix))
        };
        let shares = |plane, writer: &WriterId, prefix: &Prefix| {
            exchange.is_some_and(|one| one.shares(plane, writer, prefix.length)) && is_held(plane, writer, prefix)
        };
        let written = BatchWriter { numbers: &mut self.sent_numbers, shares: &shares }.write(part);
        self.send(&Message::Batch(written));
    }

    /// Frames are acknowledged in the order they were sent; all of them were taken but, perhaps, the last.
    pub(super) fn take_ack(&mut self, frames: u64, verdict: BatchVerdict) -> Result<(), SessionError> {
        if frames == 0 || frames > self.in_flight.len() as u64 {
            return Err(SessionError::Protocol { why: "an acknowledgement of something that was not sent".into() });
        }
        let answered: Vec<InFlight> = self.in_flight.drain(..frames as usize).collect();
        let mut spaces = BTreeSet::new();
        for (number, sent) in (1..).zip(answered) {
            self.in_flight_bytes -= sent.bytes;
            let Some(length) = sent.length else { continue };
            self.note_answer(&sent, length, if number < frames { BatchVerdict::Taken } else { verdict })?;
            spaces.insert(sent.space);
        }
        spaces.iter().try_for_each(|space| self.compare(space))
    }

    fn note_answer(&mut self, sent: &InFlight, length: u64, verdict: BatchVerdict) -> Result<(), SessionError> {
        // Another device of this identity is none of those who have to hear that it leaves.
        let is_word = sent.plane == Plane::Control && sent.writer == self.database.writer();
        let is_word = is_word && self.peer != self.database.identity();
        if is_word && verdict == BatchVerdict::Taken && self.database.note_heard(&sent.space, &sent.writer, length)? {
            self.event(SessionEvent::LeaveHeard { space: sent.space });
            return self.review(&sent.space);
        }
        if let Some(why) = verdict.explain() {
            self.note_error(&format!("the peer didn't take entries of {}: {why}", sent.writer));
        }
        let Some(exchange) = self.exchanges.get_mut(&sent.space) else { return Ok(()) };
        exchange.note_verdict(sent.plane, sent.writer, length, verdict);
        if verdict == BatchVerdict::Fork {
            self.note_fork(&sent.space, sent.plane, sent.writer, length)?;
        }
        Ok(())
    }

    /// Brings the status of a space up to date, and says when both sides have come to hold the same.
    pub(super) fn compare(&mut self, space: &SpaceId) -> Result<(), SessionError> {
        if self.update_status(space)? {
            self.event(SessionEvent::InSync { space: *space });
        }
        Ok(())
    }

    /// Brings the status of a space up to date. True: both sides have come to hold the same.
    pub(super) fn update_status(&mut self, space: &SpaceId) -> Result<bool, SessionError> {
        let Some(exchange) = self.exchanges.get_mut(space).filter(|exchange| exchange.open) else { return Ok(false) };
        let state = self.database.space_state(space)?;
        exchange.end_disputes(&state.table);
        let equal = exchange.compare(&self.database, space, &state.table)?;
        let news = equal && !exchange.equal;
        exchange.equal = equal;
        let now_ms = self.database.host().now_ms();
        if equal {
            exchange.status.last_success_ms = Some(now_ms);
        }
        let status = exchange.status;
        let all_equal = self.exchanges.values().all(|exchange| exchange.equal || !exchange.open);
        self.database.update_status(&self.config.remote, |peer| {
            peer.spaces.insert(*space, status);
            if all_equal {
                peer.last_success_ms = Some(now_ms);
                peer.last_error = None;
            }
        });
        Ok(news)
    }
}
