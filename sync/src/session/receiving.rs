//! What comes from the other side: vectors and batches.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use tidewater_engine::id::{SpaceId, WriterId};
use tidewater_engine::log::{Plane, Prefix, VersionVector};
use tidewater_engine::space::Rank;
use tidewater_engine::store::{LogBatch, ReceiveError, ReceiveOutcome};

use super::batch::{BatchPart, BatchReader, ReadPart};
use super::exchange::{Exchange, PLANES, effective_vector};
use super::limits::{GROUP_BYTES, GROUP_FRAMES, LOGS_PER_FRAME, MAX_BATCH_ENTRIES, MAX_FOREIGN_LOGS, MAX_STAGED_BYTES};
use super::message::{BatchVerdict, Message, Vectors};
use super::numbers::{LogName, Numbers};
use super::{Session, SessionError, SessionEvent};
use crate::database::SpaceState;

/// What has come and isn't complete, or isn't stored yet.
#[derive(Debug, Default)]
pub(super) struct Receiving {
    numbers: Numbers,
    staged: Option<Staged>,
    /// In order, what is to be acknowledged.
    arrived: Vec<Arrived>,
    arrived_bytes: usize,
    /// Vectors of this space have come, and more of them follow.
    vectors: Option<SpaceId>,
}

/// The logs of a space, of both planes.
type Logs = Vec<(Plane, WriterId, Prefix)>;

/// The parts of a batch whose last one hasn't come.
#[derive(Debug)]
struct Staged {
    whole: BatchPart,
    /// How many entries came, wanted or not.
    count: usize,
    /// What they take.
    bytes: usize,
    /// Some entry can't be restored here.
    lacks_root: bool,
}

/// What came in one frame.
#[derive(Debug)]
enum Arrived {
    /// A part that is staged.
    Part,
    /// The last part of a batch that nobody here wants.
    Unwanted,
    /// The last part of a batch: all of it.
    Batch(LogBatch),
    /// The last part of a batch of this space that leaves out a root that isn't held here.
    Unreadable(SpaceId),
}

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
        let begun = self.receiving.vectors.take();
        if begun.is_some_and(|begun| begun != space) {
            return Err(SessionError::Protocol { why: "vectors of two spaces at once".into() });
        }
        self.receiving.vectors = more.then_some(space);
        let foreign: usize = self.exchanges.values().map(Exchange::foreign_logs).sum();
        let mut room = MAX_FOREIGN_LOGS.saturating_sub(foreign);
        // Of a space that is not open nothing is said: unknown and forbidden look the same.
        let Some(exchange) = self.exchanges.get_mut(&space).filter(|exchange| exchange.open) else { return Ok(()) };
        let state = self.database.space_state(&space)?;
        if begun.is_none() {
            room += exchange.foreign_logs();
            exchange.forget();
        }
        for plane in PLANES {
            let ours = effective_vector(&self.database, &state.table, &space, plane)?;
            if let Some(exchange) = self.exchanges.get_mut(&space) {
                let lengths = logs.iter().filter(|(of, _, _)| *of == plane);
                let lengths = lengths.map(|(_, writer, prefix)| (*writer, prefix.length));
                exchange.learn(plane, lengths, &ours, &state.table, &mut room);
            }
            self.compare_roots(&space, &ours, plane, &logs)?;
        }
        let Some(exchange) = self.exchanges.get_mut(&space).filter(|_| !more) else { return Ok(()) };
        exchange.heard = true;
        let answers = std::mem::take(&mut exchange.asked);
        // Vectors that crossed answer each other.
        if asks && !answers {
            self.send_vectors(&space, false)?;
        }
        self.compare(&space)
    }

    /// Finds out of which logs both sides hold the same, and which are forked.
    fn compare_roots(
        &mut self,
        space: &SpaceId,
        ours: &VersionVector,
        plane: Plane,
        theirs: &Logs,
    ) -> Result<(), SessionError> {
        for (_, writer, prefix) in theirs.iter().filter(|(of, _, prefix)| *of == plane && prefix.length > 0) {
            let held = match ours.get(writer) {
                Some(held) if held.length == prefix.length => Some(*held),
                Some(held) if held.length > prefix.length => {
                    self.database.prefix_at(space, plane, writer, prefix.length)?
                }
                _ => None,
            };
            match held {
                Some(held) if held.root == prefix.root => {
                    if let Some(exchange) = self.exchanges.get_mut(space) {
                        exchange.note_shared(plane, *writer, prefix.length);
                    }
                }
                Some(_) => self.note_fork(space, plane, *writer, prefix.length)?,
                None => {
                    if let Some(exchange) = self.exchanges.get_mut(space) {
                        exchange.note_longer(plane, *writer, *prefix);
                    }
                }
            }
        }
        Ok(())
    }

    /// Part of a batch. Each is acknowledged, so that the sender may go on; the last one's says what became of the whole.
    pub(super) fn take_part(&mut self, part: &[u8]) -> Result<(), SessionError> {
        let begun = self.receiving.staged.take();
        let room = MAX_STAGED_BYTES - begun.as_ref().map_or(0, |staged| staged.bytes);
        let (ReadPart { part, count: more, bytes: more_bytes }, lacks) = self.read_part(part, room)?;
        let BatchPart { log, from, entries: more_entries, head } = part;
        let Staged { mut whole, mut count, mut bytes, mut lacks_root } = begun.unwrap_or_else(|| Staged {
            whole: BatchPart { log, from, entries: Vec::new(), head: None },
            count: 0,
            bytes: 0,
            lacks_root: false,
        });
        lacks_root |= lacks;
        if whole.log != log || whole.from.checked_add(count as u64) != Some(from) {
            return Err(SessionError::Protocol { why: "a part that doesn't follow the one before".into() });
        }
        count += more;
        bytes += more_bytes;
        if count > MAX_BATCH_ENTRIES {
            return Err(SessionError::Protocol { why: "a batch of more than 1,024 entries".into() });
        }
        whole.entries.extend(more_entries);
        let Some(head) = head else {
            self.receiving.staged = Some(Staged { whole, count, bytes, lacks_root });
            self.receiving.arrived.push(Arrived::Part);
            return Ok(());
        };
        self.receiving.arrived_bytes += bytes;
        let BatchPart { log: LogName { space, plane, writer }, from, entries, .. } = whole;
        self.receiving.arrived.push(if entries.len() < count {
            Arrived::Unwanted
        } else if lacks_root {
            Arrived::Unreadable(space)
        } else {
            Arrived::Batch(LogBatch { space, plane, writer, from, entries, head })
        });
        // What follows is judged by what a control plane has come to say.
        let Receiving { arrived, arrived_bytes, .. } = &self.receiving;
        if plane == Plane::Control || *arrived_bytes >= GROUP_BYTES || arrived.len() >= GROUP_FRAMES {
            self.store_arrived()?;
        }
        Ok(())
    }

    /// Reads a part, and says whether it leaves out a root that this side doesn't hold: what the sender takes for shared may
    /// have come while the space was closed here. Then nothing of the batch is of use.
    fn read_part(&mut self, part: &[u8], room: usize) -> Result<(ReadPart, bool), SessionError> {
        let (database, exchanges, spaces) = (&self.database, &self.exchanges, &self.spaces);
        let lacks_root = Cell::new(false);
        let wants = |log: &LogName| {
            let open = exchanges.get(&log.space).is_some_and(|exchange| exchange.open);
            open || spaces.is_expected(&log.space, log.plane)
        };
        let root = |log: &LogName, length| {
            if !wants(log) {
                // Of a space that is closed nothing is taken, so nothing has to be right.
                return Ok([0; 32]);
            }
            let held = database.prefix_at(&log.space, log.plane, &log.writer, length)?;
            lacks_root.set(lacks_root.get() || held.is_none());
            Ok(held.map_or([0; 32], |prefix| prefix.root))
        };
        let part = BatchReader { numbers: &mut self.receiving.numbers, root: &root, wants: &wants, room }.read(part)?;
        Ok((part, lacks_root.get()))
    }

    /// Stores what has arrived, in one durable storage transaction, and acknowledges it.
    pub(super) fn store_arrived(&mut self) -> Result<(), SessionError> {
        self.receiving.arrived_bytes = 0;
        let arrived = std::mem::take(&mut self.receiving.arrived);
        let mut refusals = Vec::with_capacity(arrived.len());
        let mut wanted = Vec::new();
        let mut received = Received::default();
        for one in arrived {
            refusals.push(match one {
                Arrived::Part | Arrived::Unwanted => Some(BatchVerdict::Taken),
                Arrived::Unreadable(space) => {
                    let open = self.exchanges.get(&space).is_some_and(|exchange| exchange.open);
                    received.gaps.insert(space);
                    Some(if open { BatchVerdict::Gap } else { BatchVerdict::Taken })
                }
                Arrived::Batch(batch) => {
                    let refusal = self.refusal(&batch)?;
                    if refusal.is_none() {
                        wanted.push(batch);
                    }
                    refusal
                }
            });
        }
        let outcomes = if wanted.is_empty() { Vec::new() } else { self.database.receive_batches(&wanted)? };
        let mut judged = wanted.iter().zip(outcomes);
        let mut acknowledged = 0;
        for refusal in refusals {
            let verdict = match refusal {
                Some(refusal) => refusal,
                None => match judged.next() {
                    Some((batch, outcome)) => self.note_outcome(batch, outcome, &mut received)?,
                    None => break,
                },
            };
            acknowledged += 1;
            if verdict != BatchVerdict::Taken {
                self.send(&Message::Ack { frames: acknowledged, verdict });
                acknowledged = 0;
            }
        }
        if acknowledged > 0 {
            self.send(&Message::Ack { frames: acknowledged, verdict: BatchVerdict::Taken });
        }
        self.tell_received(&received)
    }

    /// The answer to a batch that is not for this side to store. Who isn't a member is told nothing.
    fn refusal(&self, batch: &LogBatch) -> Result<Option<BatchVerdict>, SessionError> {
        let open = self.exchanges.get(&batch.space).is_some_and(|exchange| exchange.open);
        if !open && !self.spaces.is_expected(&batch.space, batch.plane) {
            return Ok(Some(BatchVerdict::Taken));
        }
        let state = self.database.space_state(&batch.space)?;
        let refused = if open { BatchVerdict::Unknown } else { BatchVerdict::Taken };
        Ok((!may_write(&state, batch)).then_some(refused))
    }

    fn note_outcome(
        &mut self,
        batch: &LogBatch,
        outcome: Result<ReceiveOutcome, ReceiveError>,
        received: &mut Received,
    ) -> Result<BatchVerdict, SessionError> {
        let verdict = match outcome {
            Ok(outcome) => {
                self.note_taken(batch, &outcome, received);
                BatchVerdict::Taken
            }
            Err(error) => self.judge(batch, error, received)?,
        };
        let open = self.exchanges.get(&batch.space).is_some_and(|exchange| exchange.open);
        Ok(if open { verdict } else { BatchVerdict::Taken })
    }

    fn judge(
        &mut self,
        batch: &LogBatch,
        error: ReceiveError,
        received: &mut Received,
    ) -> Result<BatchVerdict, SessionError> {
        let forked = |exchange: &Exchange| exchange.is_forked(batch.plane, &batch.writer);
        let known = self.database.space_state(&batch.space)?.table.forks.contains_key(&(batch.plane, batch.writer));
        if known || self.exchanges.get(&batch.space).is_some_and(forked) {
            // It was sent before the sender heard of the fork, and goes on from what this side doesn't hold.
            return Ok(BatchVerdict::Fork);
        }
        self.note_error(&error.to_string());
        match error {
            ReceiveError::Gap { .. } => {
                received.gaps.insert(batch.space);
                Ok(BatchVerdict::Gap)
            }
            // Inconsistent is a fork or a lie; which of them, the other side's branch tells. Neither goes any further.
            ReceiveError::Fork { writer, plane, length }
            | ReceiveError::Inconsistent { writer, plane, held: length } => {
                self.note_fork(&batch.space, plane, writer, length)?;
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

    fn note_taken(&mut self, batch: &LogBatch, outcome: &ReceiveOutcome, received: &mut Received) {
        if let Some(exchange) = self.exchanges.get_mut(&batch.space) {
            exchange.note_received(batch.plane, batch.writer, batch.head.length);
            exchange.status.received_entries += outcome.stored;
            exchange.status.parked_entries = outcome.parked;
            if outcome.stored > 0 {
                received.steps.entry(batch.space).or_default().push(exchange.status.received_entries);
            }
        }
        received.taken.insert((batch.space, batch.plane));
    }

    /// Draws the conclusions from what was stored.
    fn tell_received(&mut self, received: &Received) -> Result<(), SessionError> {
        for space in &received.gaps {
            if self.exchanges.get(space).is_some_and(|exchange| exchange.open) {
                self.send_vectors(space, false)?;
            }
        }
        for (space, _) in received.taken.iter().filter(|(_, plane)| *plane == Plane::Control) {
            self.review(space)?;
        }
        let spaces: BTreeSet<SpaceId> = received.taken.iter().map(|(space, _)| *space).collect();
        for space in spaces {
            let in_sync = self.update_status(&space)?;
            let steps = received.steps.get(&space).map_or(&[][..], Vec::as_slice);
            let behind = self.exchanges.get(&space).map_or(0, |exchange| exchange.status.behind_entries);
            let expected = steps.last().map_or(0, |received| received + behind);
            for received in steps {
                self.event(SessionEvent::Progress { space, received: *received, expected });
            }
            if in_sync {
                self.event(SessionEvent::InSync { space });
            }
        }
        Ok(())
    }
}

/// What was stored together, as far as something follows from it.
#[derive(Debug, Default)]
struct Received {
    /// Where batches were taken.
    taken: BTreeSet<(SpaceId, Plane)>,
    /// How many entries had come after each that brought something new.
    steps: BTreeMap<SpaceId, Vec<u64>>,
    /// Where the sender assumed more than is held.
    gaps: BTreeSet<SpaceId>,
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
