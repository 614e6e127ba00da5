//! What comes from the other side: vectors and batches.

use std::collections::BTreeMap;

use tidewater_engine::id::{SpaceId, WriterId};
use tidewater_engine::log::{Plane, Prefix};
use tidewater_engine::space::Rank;
use tidewater_engine::store::{LogBatch, ReceiveError, ReceiveOutcome};

use super::exchange::{PLANES, effective_vector};
use super::limits::{LOGS_PER_FRAME, MAX_BATCH_ENTRIES, MAX_STAGED_BYTES, MAX_VECTOR_LOGS};
use super::message::{BatchPart, BatchVerdict, Message, Vectors};
use super::{Session, SessionError, SessionEvent};
use crate::database::{ReceiveFailure, SpaceState};

/// What has come in parts and isn't complete.
#[derive(Debug, Default)]
pub(super) struct Receiving {
    staged: Option<(BatchPart, usize)>,
    vectors: Option<(SpaceId, Logs)>,
}

/// The logs of a space, of both planes.
type Logs = Vec<(Plane, WriterId, Prefix)>;

impl Receiving {
    pub(super) fn is_staging(&self) -> bool {
        self.staged.is_some()
    }
}

impl Session {
    /// Tells the other side what this side holds of a space. `asks`: it should do the same.
    pub(super) fn send_vectors(&mut self, space: &SpaceId, asks: bool) -> Result<(), SessionError> {
        let state = self.database.space_state(space)?;
        let mut logs = Vec::new();
        for plane in PLANES {
            let vector = effective_vector(&self.database, &state.table, space, plane)?;
            logs.extend(vector.iter().map(|(writer, prefix)| (plane, *writer, *prefix)));
        }
        let frames = logs.len().div_ceil(LOGS_PER_FRAME).max(1);
        for number in 0..frames {
            let logs = logs.iter().skip(number * LOGS_PER_FRAME).take(LOGS_PER_FRAME).copied().collect();
            self.send(&Message::Vectors(Vectors { space: *space, more: number + 1 < frames, asks, logs }));
        }
        if let Some(exchange) = self.exchanges.get_mut(space) {
            exchange.asked = asks;
        }
        Ok(())
    }

    pub(super) fn take_vectors(&mut self, vectors: Vectors) -> Result<(), SessionError> {
        let Vectors { space, more, asks, logs } = vectors;
        let mut all = match self.receiving.vectors.take() {
            Some((begun, all)) if begun == space => all,
            Some(_) => return Err(SessionError::Protocol { why: "vectors of two spaces at once".into() }),
            None => Vec::new(),
        };
        all.extend(logs);
        if all.len() > MAX_VECTOR_LOGS {
            return Err(SessionError::Protocol { why: "a vector of more logs than are compared".into() });
        }
        if more {
            self.receiving.vectors = Some((space, all));
            return Ok(());
        }
        // Of a space that is not open nothing is said: unknown and forbidden look the same.
        let Some(exchange) = self.exchanges.get_mut(&space).filter(|exchange| exchange.open) else { return Ok(()) };
        let answers = std::mem::take(&mut exchange.asked);
        let state = self.database.space_state(&space)?;
        for plane in PLANES {
            self.find_forks(&space, &state, plane, &all)?;
            let lengths = all.iter().filter(|(of, _, _)| *of == plane);
            let lengths: BTreeMap<WriterId, u64> =
                lengths.map(|(_, writer, prefix)| (*writer, prefix.length)).collect();
            if let Some(exchange) = self.exchanges.get_mut(&space) {
                exchange.learn(plane, lengths);
            }
        }
        // Vectors that crossed answer each other.
        if asks && !answers {
            self.send_vectors(&space, false)?;
        }
        self.compare(&space)
    }

    /// Logs of equal length and unequal roots.
    fn find_forks(
        &mut self,
        space: &SpaceId,
        state: &SpaceState,
        plane: Plane,
        theirs: &Logs,
    ) -> Result<(), SessionError> {
        let ours = effective_vector(&self.database, &state.table, space, plane)?;
        for (_, writer, prefix) in theirs.iter().filter(|(of, _, _)| *of == plane) {
            if ours.get(writer).is_some_and(|held| held.length == prefix.length && held.root != prefix.root) {
                self.note_fork(space, plane, *writer, prefix.length);
            }
        }
        Ok(())
    }

    fn note_fork(&mut self, space: &SpaceId, plane: Plane, writer: WriterId, length: u64) {
        let new = self.exchanges.get_mut(space).is_some_and(|exchange| exchange.mark_forked(plane, writer));
        if new {
            self.event(SessionEvent::Forked { space: *space, plane, writer, length });
        }
    }

    /// Part of a batch. Each is acknowledged, so that the sender may go on; the last one says what became of the whole.
    pub(super) fn take_part(&mut self, part: BatchPart, frame_bytes: usize) -> Result<(), SessionError> {
        let (mut whole, mut bytes) = match self.receiving.staged.take() {
            None => (BatchPart { entries: Vec::new(), ..part.clone() }, 0),
            Some(staged) => staged,
        };
        let follows = (whole.space, whole.plane, whole.writer) == (part.space, part.plane, part.writer)
            && whole.from.checked_add(whole.entries.len() as u64) == Some(part.from);
        if !follows {
            return Err(SessionError::Protocol { why: "a part that doesn't follow the one before".into() });
        }
        bytes += frame_bytes;
        if bytes > MAX_STAGED_BYTES || whole.entries.len() + part.entries.len() > MAX_BATCH_ENTRIES {
            return Err(SessionError::Protocol { why: "a batch without a head".into() });
        }
        whole.entries.extend(part.entries);
        let verdict = match part.head {
            None => {
                self.receiving.staged = Some((whole, bytes));
                BatchVerdict::Taken
            }
            Some(head) => {
                let BatchPart { space, plane, writer, from, entries, .. } = whole;
                self.take_batch(&LogBatch { space, plane, writer, from, entries, head })?
            }
        };
        self.send(&Message::Ack { bytes: frame_bytes as u64, verdict });
        Ok(())
    }

    fn take_batch(&mut self, batch: &LogBatch) -> Result<BatchVerdict, SessionError> {
        let open = self.exchanges.get(&batch.space).is_some_and(|exchange| exchange.open);
        if !open && !self.is_expected(&batch.space, batch.plane) {
            return Ok(BatchVerdict::Taken);
        }
        let verdict = self.store_batch(batch)?;
        // Whoever isn't a member yet is told nothing.
        Ok(if open { verdict } else { BatchVerdict::Taken })
    }

    fn store_batch(&mut self, batch: &LogBatch) -> Result<BatchVerdict, SessionError> {
        let state = self.database.space_state(&batch.space)?;
        if !may_write(&state, batch) {
            return Ok(BatchVerdict::Unknown);
        }
        match self.database.receive_batch(batch) {
            Ok(outcome) => self.note_taken(batch, &outcome).map(|()| BatchVerdict::Taken),
            Err(ReceiveFailure::Conclusion(error)) => Err(error.into()),
            Err(ReceiveFailure::Batch(error)) => self.judge(batch, error),
        }
    }

    fn judge(&mut self, batch: &LogBatch, error: ReceiveError) -> Result<BatchVerdict, SessionError> {
        self.note_error(&error.to_string());
        match error {
            ReceiveError::Gap { .. } => {
                if self.exchanges.get(&batch.space).is_some_and(|exchange| exchange.open) {
                    self.send_vectors(&batch.space, false)?;
                }
                Ok(BatchVerdict::Gap)
            }
            // Inconsistent is a fork or a lie; which of them, a proof of consistency would tell. Neither goes any further.
            ReceiveError::Fork { writer, plane, length }
            | ReceiveError::Inconsistent { writer, plane, held: length } => {
                self.note_fork(&batch.space, plane, writer, length);
                Ok(BatchVerdict::Fork)
            }
            ReceiveError::ParkingFull { .. } => Ok(BatchVerdict::Full),
            ReceiveError::Newer { .. } => Ok(BatchVerdict::Newer),
            ReceiveError::UnknownSpace { .. } => Ok(BatchVerdict::Unknown),
            ReceiveError::Invalid { why, .. } => {
                Err(SessionError::Protocol { why: format!("an invalid batch: {why}") })
            }
            other => Err(SessionError::Store { why: other.to_string() }),
        }
    }

    fn note_taken(&mut self, batch: &LogBatch, outcome: &ReceiveOutcome) -> Result<(), SessionError> {
        if let Some(exchange) = self.exchanges.get_mut(&batch.space) {
            exchange.note_received(batch.plane, batch.writer, batch.head.prefix.length);
            exchange.status.received_entries += outcome.stored;
            exchange.status.parked_entries = outcome.parked;
        }
        if batch.plane == Plane::Control {
            self.review(&batch.space)?;
        }
        self.compare(&batch.space)?;
        if let Some(exchange) = self.exchanges.get(&batch.space).filter(|_| outcome.stored > 0) {
            let received = exchange.status.received_entries;
            let expected = received + exchange.status.behind_entries;
            self.event(SessionEvent::Progress { space: batch.space, received, expected });
        }
        Ok(())
    }
}

/// Whether the control plane knows the batch's writer. Control logs are taken of every certified device, whatever became
/// of its rank; data logs of those who may write, or might once.
fn may_write(state: &SpaceState, batch: &LogBatch) -> bool {
    match batch.plane {
        Plane::Control => state.membership.certified.contains(&batch.writer.device),
        Plane::Data => {
            let authority = state.membership.devices.get(&batch.writer.device);
            authority.is_some_and(|authority| authority.rank >= Rank::Writer)
        }
    }
}
