//! The exchange of one space: what the other side has, and what it should get next.

use std::collections::{BTreeMap, BTreeSet};

use tidewater_engine::id::{SpaceId, WriterId};
use tidewater_engine::log::{Header, Plane, Prefix, VersionVector};
use tidewater_engine::space::EffectiveTable;
use tidewater_engine::store::{LogBatch, ReadError, Store};

use super::limits::BATCH_BYTES;
use super::message::BatchVerdict;
use crate::status::SpaceStatus;

pub(super) const PLANES: [Plane; 2] = [Plane::Control, Plane::Data];

/// One space with one peer.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    /// Both sides listed the space. Until then only the control plane goes out: the other side may lack the very
    /// operation that makes this device a member in its eyes.
    pub(super) open: bool,
    /// The other side said what it holds.
    pub(super) heard: bool,
    /// This side asked for vectors and waits.
    pub(super) asked: bool,
    /// Both sides held the same when last compared.
    pub(super) equal: bool,
    pub(super) status: SpaceStatus,
    control: Sending,
    data: Sending,
}

/// What goes out of one plane.
#[derive(Debug, Default)]
struct Sending {
    /// What the other side said it holds, or sent itself.
    theirs: BTreeMap<WriterId, u64>,
    /// How many of them were not held here when it said so.
    foreign: usize,
    /// How many entries the logs have that it said it holds and that there was no room to remember.
    beyond: u64,
    /// How far it was sent to, and not refused.
    sent: BTreeMap<WriterId, u64>,
    /// How far it acknowledged.
    acknowledged: BTreeMap<WriterId, u64>,
    /// How far both sides are known to hold the same.
    shared: BTreeMap<WriterId, u64>,
    /// What it holds of logs beyond what this side held when it said so: compared once this side holds as much.
    longer: BTreeMap<WriterId, Prefix>,
    /// Logs that it refused; the next vectors decide about them.
    stalled: BTreeSet<WriterId>,
    /// Logs of which the two sides hold different branches, and nothing is known of the fork yet.
    forked: BTreeMap<WriterId, Dispute>,
    /// The log whose turn it was last.
    turn: Option<WriterId>,
    /// There was nothing left to send when last looked.
    idle: bool,
}

/// What was said of a log whose branches differ.
#[derive(Debug, Default)]
pub(super) struct Dispute {
    /// How many frames were sent about it.
    pub(super) frames: u32,
    /// This side's branch was shown.
    pub(super) shown: bool,
}

/// A vector as far as it counts: what lies beyond a cut or a fork is not exchanged.
pub(super) fn effective_vector(
    store: &Store,
    table: &EffectiveTable,
    space: &SpaceId,
    plane: Plane,
) -> Result<VersionVector, ReadError> {
    let held = store.vector(space, plane)?;
    Ok(held.iter().map(|(writer, prefix)| (*writer, table.effective_prefix(plane, writer, *prefix))).collect())
}

impl Sending {
    /// Sending goes on from what is learnt next.
    fn forget(&mut self) {
        self.theirs.clear();
        (self.foreign, self.beyond) = (0, 0);
        self.shared.clear();
        self.longer.clear();
        self.stalled.clear();
        self.idle = false;
    }

    /// How far the other side has a log, or will have it once everything on the way arrived.
    fn known(&self, writer: &WriterId) -> u64 {
        let length = |map: &BTreeMap<WriterId, u64>| map.get(writer).copied().unwrap_or(0);
        length(&self.theirs).max(length(&self.sent))
    }

    /// How far the other side has a log for certain.
    fn confirmed(&self, writer: &WriterId) -> u64 {
        let length = |map: &BTreeMap<WriterId, u64>| map.get(writer).copied().unwrap_or(0);
        length(&self.theirs).max(length(&self.acknowledged))
    }

    /// The logs of which the other side lacks something, the one after the last served first.
    fn lagging(&self, ours: &VersionVector) -> Vec<WriterId> {
        let blocked = |writer: &WriterId| self.stalled.contains(writer) || self.forked.contains_key(writer);
        let lacks = ours.iter().filter(|(writer, held)| held.length > self.known(writer) && !blocked(writer));
        let mut lagging: Vec<WriterId> = lacks.map(|(writer, _)| *writer).collect();
        let next = lagging.partition_point(|writer| Some(*writer) <= self.turn);
        lagging.rotate_left(next);
        lagging
    }

    /// A log whose entries the other side has to have before `batch` can count.
    fn needed_first(&self, batch: &LogBatch) -> Option<WriterId> {
        let first = batch.entries.iter().map_while(|entry| Header::decode(&entry.header).ok());
        // The dependencies of a commit may be spread over its entries.
        let mut ended = false;
        let commit = first.take_while(|header| !std::mem::replace(&mut ended, header.last));
        let mut needed = commit.flat_map(|header| header.dependencies);
        needed.find(|(writer, prefix)| self.known(writer) < prefix.length).map(|(writer, _)| writer)
    }
}

fn raise(map: &mut BTreeMap<WriterId, u64>, writer: WriterId, length: u64) {
    let known = map.entry(writer).or_insert(0);
    *known = length.max(*known);
}

impl Exchange {
    fn plane(&self, plane: Plane) -> &Sending {
        match plane {
            Plane::Control => &self.control,
            Plane::Data => &self.data,
        }
    }

    fn plane_mut(&mut self, plane: Plane) -> &mut Sending {
        match plane {
            Plane::Control => &mut self.control,
            Plane::Data => &mut self.data,
        }
    }

    /// The other side holds what this side holds, said in one hash.
    pub(super) fn learn_equal(
        &mut self,
        store: &Store,
        space: &SpaceId,
        table: &EffectiveTable,
    ) -> Result<(), ReadError> {
        for plane in PLANES {
            let vector = effective_vector(store, table, space, plane)?;
            let lengths: BTreeMap<_, _> = vector.iter().map(|(writer, prefix)| (*writer, prefix.length)).collect();
            let sending = self.plane_mut(plane);
            sending.forget();
            sending.theirs.clone_from(&lengths);
            sending.shared = lengths;
        }
        self.heard = true;
        Ok(())
    }

    /// Both sides list the space. What went out before may have been ignored, so only what the other side says counts.
    pub(super) fn open(&mut self) {
        self.open = true;
        for plane in PLANES {
            let sending = self.plane_mut(plane);
            sending.sent.clear();
            sending.acknowledged.clear();
            sending.shared.clear();
            // What was said of branches was not heard either.
            sending.forked.clear();
        }
        self.count_forked();
    }

    /// The other side begins to say what it holds: only that counts from now on.
    pub(super) fn forget(&mut self) {
        self.heard = false;
        PLANES.into_iter().for_each(|plane| self.plane_mut(plane).forget());
    }

    /// The other side holds these logs of a plane. Of those that this side does not hold there is only so much room.
    pub(super) fn learn(
        &mut self,
        plane: Plane,
        lengths: impl Iterator<Item = (WriterId, u64)>,
        ours: &VersionVector,
        table: &EffectiveTable,
        room: &mut usize,
    ) {
        let sending = self.plane_mut(plane);
        for (writer, length) in lengths {
            let counts = length.min(table.effective_length(plane, &writer));
            let foreign = ours.length(&writer) == 0;
            if foreign && counts == 0 {
                continue;
            }
            if foreign && *room == 0 {
                sending.beyond = sending.beyond.saturating_add(counts);
                continue;
            }
            if sending.theirs.insert(writer, length).is_none() && foreign {
                sending.foreign += 1;
                *room -= 1;
            }
        }
    }

    /// How many logs are remembered that this side did not hold when the other side named them.
    pub(super) fn foreign_logs(&self) -> usize {
        self.control.foreign + self.data.foreign
    }

    /// Both sides hold a log at one length with different roots.
    pub(super) fn mark_forked(&mut self, plane: Plane, writer: WriterId) -> bool {
        let forked = &mut self.plane_mut(plane).forked;
        let new = !forked.contains_key(&writer);
        forked.entry(writer).or_default();
        self.count_forked();
        new
    }

    fn count_forked(&mut self) {
        self.status.forked_logs = (self.control.forked.len() + self.data.forked.len()) as u64;
    }

    /// What was said of a log whose branches differ.
    pub(super) fn dispute(&mut self, plane: Plane, writer: &WriterId) -> Option<&mut Dispute> {
        self.plane_mut(plane).forked.get_mut(writer)
    }

    /// Forks that are known are no matter between the two sides any more: both hold the part of the log that counts, or will.
    pub(super) fn end_disputes(&mut self, table: &EffectiveTable) {
        for plane in PLANES {
            let sending = self.plane_mut(plane);
            let ended = |writer: &WriterId| table.forks.contains_key(&(plane, *writer));
            let all = sending.forked.len();
            sending.forked.retain(|writer, _| !ended(writer));
            if sending.forked.len() < all {
                sending.stalled.retain(|writer| !ended(writer));
                sending.idle = false;
            }
        }
        self.count_forked();
    }

    /// The other side has sent a log up to `length`.
    pub(super) fn note_received(&mut self, plane: Plane, writer: WriterId, length: u64) {
        let sending = self.plane_mut(plane);
        raise(&mut sending.theirs, writer, length);
        raise(&mut sending.shared, writer, length);
    }

    /// Both sides said that they hold the same of a log up to `length`.
    pub(super) fn note_shared(&mut self, plane: Plane, writer: WriterId, length: u64) {
        raise(&mut self.plane_mut(plane).shared, writer, length);
    }

    /// The other side holds more of a log than this side can compare yet: a log that is remembered.
    pub(super) fn note_longer(&mut self, plane: Plane, writer: WriterId, theirs: Prefix) {
        let sending = self.plane_mut(plane);
        if sending.theirs.contains_key(&writer) {
            sending.longer.insert(writer, theirs);
        }
    }

    /// Compares what has grown here to what the other side said it holds, before anything is sent that goes on from there. The
    /// logs of which it holds another branch, each with the length at which that shows.
    pub(super) fn outgrown(
        &mut self,
        store: &Store,
        space: &SpaceId,
        table: &EffectiveTable,
        plane: Plane,
    ) -> Result<Vec<(WriterId, u64)>, ReadError> {
        let mut forked = Vec::new();
        if self.plane(plane).longer.is_empty() {
            return Ok(forked);
        }
        let ours = effective_vector(store, table, space, plane)?;
        let sending = self.plane_mut(plane);
        let waiting = std::mem::take(&mut sending.longer);
        for (writer, theirs) in waiting {
            if ours.length(&writer) < theirs.length {
                sending.longer.insert(writer, theirs);
            } else if store.prefix_at(space, plane, &writer, theirs.length)? == Some(theirs) {
                raise(&mut sending.shared, writer, theirs.length);
            } else {
                forked.push((writer, theirs.length));
            }
        }
        Ok(forked)
    }

    /// Whether both sides hold the same of a log up to `length`.
    pub(super) fn shares(&self, plane: Plane, writer: &WriterId, length: u64) -> bool {
        self.plane(plane).shared.get(writer).is_some_and(|shared| *shared >= length)
    }

    /// Whether the two sides hold different branches of a log.
    pub(super) fn is_forked(&self, plane: Plane, writer: &WriterId) -> bool {
        self.plane(plane).forked.contains_key(writer)
    }

    /// What became of a batch that was sent.
    pub(super) fn note_verdict(&mut self, plane: Plane, writer: WriterId, length: u64, verdict: BatchVerdict) {
        let sending = self.plane_mut(plane);
        if verdict == BatchVerdict::Taken {
            raise(&mut sending.acknowledged, writer, length);
            raise(&mut sending.shared, writer, length);
        } else {
            sending.sent.remove(&writer);
            sending.stalled.insert(writer);
        }
    }

    /// Something may have been applied here since.
    pub(super) fn wake(&mut self, plane: Plane) {
        self.plane_mut(plane).idle = false;
    }

    /// Whether there may be something to send: always false for data before the exchange is open.
    pub(super) fn may_send(&self, plane: Plane) -> bool {
        let allowed = if self.open { self.heard } else { plane == Plane::Control };
        allowed && !self.plane(plane).idle
    }

    /// The next batch that the other side lacks. A batch begins only when the other side has all that its first commit
    /// depends on, or will have it by then; within a batch, a later commit may have to wait for another log's turn.
    pub(super) fn next_batch(
        &mut self,
        store: &Store,
        space: &SpaceId,
        table: &EffectiveTable,
        plane: Plane,
    ) -> Result<Option<LogBatch>, ReadError> {
        let ours = effective_vector(store, table, space, plane)?;
        let sending = self.plane_mut(plane);
        let lagging = sending.lagging(&ours);
        let Some(mut writer) = lagging.first().copied() else {
            sending.idle = true;
            return Ok(None);
        };
        let mut tried = BTreeSet::new();
        let batch = loop {
            tried.insert(writer);
            let batch = store.read_log(space, plane, &writer, sending.known(&writer), BATCH_BYTES)?;
            match batch.as_ref().and_then(|batch| sending.needed_first(batch)) {
                // What can't be sent, because this side lacks it too, is not waited for.
                Some(other) if lagging.contains(&other) && !tried.contains(&other) => writer = other,
                _ => break batch,
            }
        };
        let Some(batch) = batch else {
            // Held, and yet without a head to send it under: the next news may bring one.
            sending.stalled.insert(writer);
            return Ok(None);
        };
        sending.turn = Some(writer);
        raise(&mut sending.sent, writer, batch.head.length);
        self.status.sent_entries += batch.entries.len() as u64;
        Ok(Some(batch))
    }

    /// Counts what each side lacks. True: neither lacks anything, and the other side said so.
    pub(super) fn compare(
        &mut self,
        store: &Store,
        space: &SpaceId,
        table: &EffectiveTable,
    ) -> Result<bool, ReadError> {
        let (mut behind, mut ahead) = (0u64, 0u64);
        for plane in PLANES {
            let sending = self.plane(plane);
            let ours = effective_vector(store, table, space, plane)?;
            for (writer, prefix) in ours.iter() {
                ahead += prefix.length.saturating_sub(sending.confirmed(writer));
            }
            behind = behind.saturating_add(sending.beyond);
            for (writer, length) in &sending.theirs {
                let counts = (*length).min(table.effective_length(plane, writer));
                behind = behind.saturating_add(counts.saturating_sub(ours.length(writer)));
            }
        }
        self.status.behind_entries = behind;
        self.status.ahead_entries = ahead;
        Ok(self.heard && behind == 0 && ahead == 0 && self.status.forked_logs == 0)
    }
}
