//! Leaving a space, and forgetting it.

use tidewater_engine::id::{SpaceId, WriterId};
use tidewater_engine::log::Plane;
use tidewater_engine::space::Rank;

use super::control::SpaceState;
use super::records::{self, Departure, DepartureState};
use super::spaces::member_of;
use super::{Database, SpaceError, lock};
use crate::codec::Codec;
use crate::space::{ControlOperation, Leave};

/// How many spaces that are not here any more are remembered as left, declined or forgotten: of the others an invitation by a
/// device of one's own is accepted by itself again.
pub const MAX_DEPARTURES: usize = 1_024;

impl Database {
    /// Leaves a space: this identity gives up its rank. What its devices wrote counts as far as this database holds it, nothing
    /// later does. It keeps what it has read, here and on its other devices, and gets nothing new: whoever may write starts new keys
    /// first. A member who knows of it may offer the space again, which waits for a decision.
    ///
    /// The others learn of it by the next session with a member.
    ///
    /// # Errors
    /// [`SpaceError::OwnerStays`], [`SpaceError::Left`] when it has left already, [`SpaceError::NoMember`],
    /// [`SpaceError::Forbidden`] on a device that has no rank any more, [`SpaceError::NoIdentity`], [`SpaceError::UnknownSpace`],
    /// [`SpaceError::Write`].
    pub fn leave(&self, space: &SpaceId) -> Result<(), SpaceError> {
        let control = self.control();
        let identity = self.identity().ok_or(SpaceError::NoIdentity)?;
        let state = self.refresh(&control, space)?;
        let (member, held) = match member_of(&state, space, &identity) {
            Err(SpaceError::NoMember { .. }) if self.has_left(&state) => {
                return Err(SpaceError::Left { space: *space });
            }
            found => found?,
        };
        if held == Rank::Owner {
            return Err(SpaceError::OwnerStays { space: *space });
        }
        self.needs(&state, space, Rank::Relay)?;
        let devices = member.recipients().map(|(device, _)| device).collect();
        let cuts = self.cuts(space, &[Plane::Data], &devices)?;
        let writer = self.inner.store.writer();
        let length = self.inner.store.vector(space, Plane::Control)?.length(&writer) + 1;
        // First, so that it is told to somebody however this ends.
        self.note_departure(space, DepartureState::Untold { writer, length })?;
        self.append(&control, space, &ControlOperation::Leave(Leave { identity, cuts }))?;
        Ok(())
    }

    /// Removes a space in which this device has no rank any more from the database's file: its documents, its logs, its keys.
    /// It doesn't come back by itself: whoever offers it again is asked to wait for a decision, one's own devices too. Names of
    /// collections stay in the file, and old bytes in it until its pages are used again.
    ///
    /// A leave that nobody has heard of would be lost with it; it is forgotten all the same with `even_untold`.
    ///
    /// # Errors
    /// [`SpaceError::StillMember`], [`SpaceError::Untold`], [`SpaceError::UnknownSpace`], [`SpaceError::Write`].
    pub fn forget_space(&self, space: &SpaceId, even_untold: bool) -> Result<(), SpaceError> {
        let control = self.control();
        let state = self.state_under(&control, space)?;
        if state.membership.rank(&self.device()).is_some() {
            return Err(SpaceError::StillMember { space: *space });
        }
        let departure = self.departure(space)?;
        if !even_untold && matches!(departure, Some(Departure { state: DepartureState::Untold { .. }, .. })) {
            return Err(SpaceError::Untold { space: *space });
        }
        self.make_room_for_departure(space)?;
        let (name, departed) = (records::departure(space), self.new_departure(DepartureState::Away).to_bytes());
        let (record, invite) = (records::space(space), records::invite(space));
        let writes: [(&str, Option<&[u8]>); 3] = [(&name, Some(&departed)), (&record, None), (&invite, None)];
        lock(&self.inner.forgotten).insert(*space);
        lock(&self.inner.spaces).remove(space);
        self.inner.store.forget_space(*space, &writes)?;
        lock(&self.inner.status).peers.values_mut().for_each(|peer| {
            peer.spaces.remove(space);
        });
        Ok(())
    }

    /// Whether this identity left the space, and was not let in again.
    pub(crate) fn has_left(&self, state: &SpaceState) -> bool {
        let own = self.identity().and_then(|identity| state.membership.identities.get(&identity));
        own.is_some_and(|member| member.left)
    }

    /// Whether this device has nothing to say in a space any more, and wants nothing of it: it left, and somebody heard of it.
    pub(crate) fn is_away(&self, space: &SpaceId, state: &SpaceState) -> Result<bool, SpaceError> {
        Ok(state.membership.rank(&self.device()).is_none() && self.waits_for_decision(space)?)
    }

    /// Whether an invitation to a space waits for a decision whoever it comes from: it was left, declined or forgotten here.
    pub(crate) fn waits_for_decision(&self, space: &SpaceId) -> Result<bool, SpaceError> {
        Ok(matches!(self.departure(space)?, Some(Departure { state: DepartureState::Away, .. })))
    }

    /// Somebody holds so much of a control log of this device. True: with it, it has heard that this identity leaves.
    pub(crate) fn note_heard(&self, space: &SpaceId, by: &WriterId, up_to: u64) -> Result<bool, SpaceError> {
        match self.departure(space)? {
            Some(Departure { state: DepartureState::Untold { writer, length }, .. })
                if writer == *by && length <= up_to =>
            {
                self.note_departure(space, DepartureState::Away)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Draws the conclusions of what a control plane says about this identity's own leaving.
    pub(super) fn follow_departure(&self, space: &SpaceId, state: &SpaceState) -> Result<(), SpaceError> {
        let known = self.departure(space)?.is_some();
        if state.membership.rank(&self.device()).is_some() {
            if known {
                self.inner.store.set_local(&[(&records::departure(space), None)])?;
            }
        } else if !known && self.has_left(state) {
            // Another device of the identity said it.
            self.note_departure(space, DepartureState::Away)?;
        }
        Ok(())
    }

    pub(super) fn note_departure(&self, space: &SpaceId, state: DepartureState) -> Result<(), SpaceError> {
        self.make_room_for_departure(space)?;
        let departure = self.new_departure(state).to_bytes();
        Ok(self.inner.store.set_local(&[(&records::departure(space), Some(&departure))])?)
    }

    /// What becomes of the note that a space was left, declined or forgotten once it is accepted.
    pub(super) fn departure_accepted(&self, space: &SpaceId) -> Result<Option<Vec<u8>>, SpaceError> {
        let left_here = self.inner.store.effective(space).is_some() && self.departure(space)?.is_some();
        Ok(left_here.then(|| self.new_departure(DepartureState::Accepted).to_bytes()))
    }

    fn new_departure(&self, state: DepartureState) -> Departure {
        Departure { state, since_ms: self.inner.host.now_ms() }
    }

    fn departure(&self, space: &SpaceId) -> Result<Option<Departure>, SpaceError> {
        records::read(&self.inner.store, &records::departure(space))
    }

    /// Forgets the oldest of the departures from spaces that are not here any more, when there are too many.
    fn make_room_for_departure(&self, space: &SpaceId) -> Result<(), SpaceError> {
        let store = &self.inner.store;
        let mut known = records::read_all::<Departure>(store, records::DEPARTURE_PREFIX)?;
        let here: Vec<String> = store.spaces().iter().chain([space]).map(records::departure).collect();
        known.retain(|(name, _)| !here.contains(name));
        known.sort_by(|(a, before), (b, after)| (before.since_ms, a).cmp(&(after.since_ms, b)));
        let surplus = (known.len() + 1).saturating_sub(MAX_DEPARTURES);
        let removals: Vec<_> = known[..surplus].iter().map(|(name, _)| (name.as_str(), None)).collect();
        if removals.is_empty() { Ok(()) } else { Ok(store.set_local(&removals)?) }
    }
}
