//! The exchange of one space: what the other side has, and what it should get next.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tidewater_engine::id::{SpaceId, WriterId};
use tidewater_engine::log::{Plane, Prefix, VersionVector};
use tidewater_engine::space::EffectiveTable;
use tidewater_engine::store::{LogBatch, ReadError, Store};

use super::limits::{BATCH_BYTES, ORDER_PAGE};
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
    /// How far it was sent to, and not refused.
    sent: BTreeMap<WriterId, u64>,
    /// How far it acknowledged.
    acknowledged: BTreeMap<WriterId, u64>,
    /// Logs that it refused; the next vectors decide about them.
    stalled: BTreeSet<WriterId>,
    /// Logs of which the two sides hold different branches.
    forked: BTreeSet<WriterId>,
    /// Everything that was applied here before this number has been looked at.
    position: u64,
    page: VecDeque<(u64, WriterId, u64)>,
    /// There was nothing left to send when last looked.
    idle: bool,
}

/// A vector as far as it counts: what lies beyond a cut is not exchanged.
pub(super) fn effective_vector(
    store: &Store,
    table: &EffectiveTable,
    space: &SpaceId,
    plane: Plane,
) -> Result<VersionVector, ReadError> {
    let held = store.vector(space, plane)?;
    Ok(held.iter().map(|(writer, prefix)| (*writer, within_cut(table, plane, writer, *prefix))).collect())
}

fn within_cut(table: &EffectiveTable, plane: Plane, writer: &WriterId, held: Prefix) -> Prefix {
    let limit = effective_length(table, plane, writer);
    if held.length <= limit {
        return held;
    }
    let cut = table.devices.get(&writer.device).and_then(|authority| authority.cuts.get(&writer.incarnation));
    Prefix { length: limit, root: cut.map_or([0; 32], |cut| cut.root) }
}

fn effective_length(table: &EffectiveTable, plane: Plane, writer: &WriterId) -> u64 {
    match (plane, table.devices.get(&writer.device)) {
        (Plane::Control, _) | (_, None) => u64::MAX,
        (Plane::Data, Some(authority)) => authority.effective_length(writer.incarnation),
    }
}

impl Sending {
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

    fn is_blocked(&self, writer: &WriterId) -> bool {
        self.stalled.contains(writer) || self.forked.contains(writer)
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
            let lengths = vector.iter().map(|(writer, prefix)| (*writer, prefix.length)).collect();
            self.learn(store, space, table, plane, lengths)?;
        }
        Ok(())
    }

    /// The other side said what it holds of a plane: sending goes on from there.
    pub(super) fn learn(
        &mut self,
        store: &Store,
        space: &SpaceId,
        table: &EffectiveTable,
        plane: Plane,
        lengths: BTreeMap<WriterId, u64>,
    ) -> Result<(), ReadError> {
        self.heard = true;
        let sending = self.plane_mut(plane);
        sending.theirs = lengths;
        sending.stalled.clear();
        sending.page.clear();
        sending.idle = false;
        sending.position = find_position(store, space, table, plane, sending)?;
        Ok(())
    }

    /// Both sides hold a log at one length with different roots.
    pub(super) fn mark_forked(&mut self, plane: Plane, writer: WriterId) -> bool {
        let new = self.plane_mut(plane).forked.insert(writer);
        self.status.forked_logs = (self.control.forked.len() + self.data.forked.len()) as u64;
        new
    }

    /// The other side has sent a log up to `length`.
    pub(super) fn note_received(&mut self, plane: Plane, writer: WriterId, length: u64) {
        raise(&mut self.plane_mut(plane).theirs, writer, length);
    }

    /// What became of a batch that was sent.
    pub(super) fn note_verdict(&mut self, plane: Plane, writer: WriterId, length: u64, verdict: BatchVerdict) {
        let sending = self.plane_mut(plane);
        if verdict == BatchVerdict::Taken {
            raise(&mut sending.acknowledged, writer, length);
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

    /// The next batch in causal order that the other side lacks.
    pub(super) fn next_batch(
        &mut self,
        store: &Store,
        space: &SpaceId,
        table: &EffectiveTable,
        plane: Plane,
    ) -> Result<Option<LogBatch>, ReadError> {
        let sending = self.plane_mut(plane);
        loop {
            let Some(&(number, writer, last)) = sending.page.front() else {
                sending.page = store.applied_order(space, plane, sending.position, ORDER_PAGE)?.into();
                if sending.page.is_empty() {
                    sending.idle = true;
                    return Ok(None);
                }
                continue;
            };
            let from = sending.known(&writer);
            let wanted = from <= last && from < effective_length(table, plane, &writer) && !sending.is_blocked(&writer);
            let batch = if wanted { store.read_log(space, plane, &writer, from, BATCH_BYTES)? } else { None };
            let Some(batch) = batch else {
                sending.page.pop_front();
                sending.position = number + 1;
                continue;
            };
            let length = batch.head.prefix.length;
            raise(&mut sending.sent, writer, length);
            self.status.sent_entries += batch.entries.len() as u64;
            return Ok(Some(batch));
        }
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
            for (writer, length) in &sending.theirs {
                let counts = (*length).min(effective_length(table, plane, writer));
                behind += counts.saturating_sub(ours.length(writer));
            }
        }
        self.status.behind_entries = behind;
        self.status.ahead_entries = ahead;
        Ok(self.heard && behind == 0 && ahead == 0 && self.status.forked_logs == 0)
    }
}

/// From which application number on there can be something that the other side lacks. Applied logs are searched from
/// their newest end, so a short absence costs little.
fn find_position(
    store: &Store,
    space: &SpaceId,
    table: &EffectiveTable,
    plane: Plane,
    sending: &Sending,
) -> Result<u64, ReadError> {
    let applied = store.applied(space, plane)?;
    let lacks = |writer: &WriterId, prefix: &Prefix| {
        let counts = prefix.length.min(effective_length(table, plane, writer));
        counts > sending.known(writer) && !sending.is_blocked(writer)
    };
    let mut lagging: BTreeSet<WriterId> =
        applied.iter().filter(|(writer, prefix)| lacks(writer, prefix)).map(|(writer, _)| *writer).collect();
    let mut position = end_of_order(store, space, plane)?;
    // Of a log that the other side has nothing of, the beginning is wanted: that is as far back as there is.
    if lagging.iter().any(|writer| sending.known(writer) == 0) {
        return Ok(0);
    }
    while !lagging.is_empty() && position > 0 {
        let page_start = position.saturating_sub(ORDER_PAGE as u64);
        let page = store.applied_order(space, plane, page_start, (position - page_start) as usize)?;
        for (number, writer, last) in page.iter().rev() {
            if lagging.contains(writer) && *last < sending.known(writer) {
                lagging.remove(writer);
            }
            if lagging.is_empty() {
                return Ok(*number);
            }
        }
        position = page_start;
    }
    Ok(position)
}

/// The application number that comes next, found in a logarithmic number of looks.
fn end_of_order(store: &Store, space: &SpaceId, plane: Plane) -> Result<u64, ReadError> {
    let exists = |number: u64| store.applied_order(space, plane, number, 1).map(|found| !found.is_empty());
    let mut beyond = 1u64;
    while exists(beyond - 1)? {
        beyond *= 2;
    }
    // Something exists before `low`, nothing from `high` on.
    let (mut low, mut high) = (beyond / 2, beyond - 1);
    while low < high {
        let middle = low + (high - low) / 2;
        if exists(middle)? {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}
