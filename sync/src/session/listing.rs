//! Which spaces both sides are in, found without naming the others; and inviting the other side to those it lacks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tidewater_engine::id::SpaceId;
use tidewater_engine::log::Plane;

use super::exchange::{PLANES, effective_vector};
use super::limits::{MAX_INVITES, MAX_UNMATCHED, MAX_UNMATCHED_OF_STRANGER, SPACES_PER_FRAME};
use super::message::{Listing, Message, Vectors};
use super::{Phase, Role, Session, SessionError, SessionEvent};
use crate::contacts::Decision;
use crate::database::{Invite, SpaceState};

/// What is known about spaces in this session, beside the exchanges.
#[derive(Debug, Default)]
pub(super) struct Spaces {
    /// Told to the other side: it has a rank there.
    announced: BTreeSet<SpaceId>,
    /// How the other side names the spaces that were announced to it.
    tags: BTreeMap<[u8; 16], SpaceId>,
    /// Listed by the other side without a counterpart here, so far.
    unmatched: BTreeMap<[u8; 16], [u8; 32]>,
    /// The other side's first listing is complete: what it doesn't list it doesn't have.
    complete: bool,
    /// The other side was invited, once in a session.
    invited: BTreeSet<SpaceId>,
    /// The other side may be a member by operations that this side lacks: its control plane is taken, nothing is said.
    expected: BTreeSet<SpaceId>,
    /// The other side offered them in this session, and nobody has decided yet.
    offered: BTreeSet<SpaceId>,
    invites_taken: usize,
}

impl Spaces {
    /// Waits for the other side's next listing before anything is concluded from what is missing in it.
    pub(super) fn relist(&mut self) {
        self.complete = false;
    }

    /// Whether a log of this plane is taken although the space is not open.
    pub(super) fn is_expected(&self, space: &SpaceId, plane: Plane) -> bool {
        plane == Plane::Control && self.expected.contains(space)
    }
}

impl Session {
    /// Announces every space in which the other side has a rank, with what this side holds.
    pub(super) fn list_all(&mut self) -> Result<(), SessionError> {
        let spaces = self.database.all_spaces()?;
        let mut listings = Vec::new();
        for (space, state) in &spaces {
            if self.shares(space, state)? {
                self.announce(*space)?;
                listings.push(self.listing(space, state)?);
            }
        }
        let frames = listings.len().div_ceil(SPACES_PER_FRAME).max(1);
        for (number, listed) in listings.chunks(SPACES_PER_FRAME).enumerate() {
            self.send(&Message::Spaces { more: number + 1 < frames, listed: listed.to_vec() });
        }
        if listings.is_empty() {
            self.send(&Message::Spaces { more: false, listed: Vec::new() });
        }
        // Vectors come after the listing: of a space that wasn't listed the other side takes none.
        spaces.iter().try_for_each(|(space, state)| self.settle(space, state))
    }

    /// Whether the space is this side's and the other's, in this side's eyes. Devices of one identity that left go on telling each
    /// other what they hold: so each learns of it.
    fn shares(&self, space: &SpaceId, state: &SpaceState) -> Result<bool, SessionError> {
        let is_own = self.peer.is_some() && self.peer == self.database.identity();
        Ok((is_own && self.database.has_left(state)) || self.may_invite(space, state)?)
    }

    /// Whether the other side has a rank, and this side has not left.
    fn may_invite(&self, space: &SpaceId, state: &SpaceState) -> Result<bool, SessionError> {
        Ok(state.membership.rank(&self.config.remote).is_some() && !self.database.is_away(space, state)?)
    }

    /// Notes that the other side is told of a space. True: it wasn't before.
    fn announce(&mut self, space: SpaceId) -> Result<bool, SessionError> {
        let tag = self.their_tag(&space)?;
        self.spaces.tags.insert(tag, space);
        Ok(self.spaces.announced.insert(space))
    }

    fn listing(&self, space: &SpaceId, state: &SpaceState) -> Result<Listing, SessionError> {
        let channel = self.channel()?;
        let tag = channel.tag(self.config.role, space);
        Ok(Listing { tag, summary: self.summary(space, state)? })
    }

    fn summary(&self, space: &SpaceId, state: &SpaceState) -> Result<[u8; 32], SessionError> {
        let vector = |plane| effective_vector(&self.database, &state.table, space, plane).map(|vector| (plane, vector));
        let planes = [vector(PLANES[0])?, vector(PLANES[usize::from(!planted!(ListingStale))])?];
        Ok(self.channel()?.summary(space, &planes))
    }

    fn their_tag(&self, space: &SpaceId) -> Result<[u8; 16], SessionError> {
        let theirs = match self.config.role {
            Role::Dialer => Role::Acceptor,
            Role::Acceptor => Role::Dialer,
        };
        Ok(self.channel()?.tag(theirs, space))
    }

    /// The other side's spaces. They come after its proof, and again whenever it compares.
    pub(super) fn take_listing(&mut self, more: bool, listed: &[Listing]) -> Result<(), SessionError> {
        for listing in listed {
            let unmatched = &self.spaces.unmatched;
            let is_new = !unmatched.contains_key(&listing.tag) && !self.spaces.tags.contains_key(&listing.tag);
            if is_new && !self.known && unmatched.len() >= MAX_UNMATCHED_OF_STRANGER {
                // Should it become a member, it lists them again in time.
                continue;
            }
            if is_new && unmatched.len() >= MAX_UNMATCHED {
                return Err(SessionError::Protocol { why: "more spaces than can be compared".into() });
            }
            self.spaces.unmatched.insert(listing.tag, listing.summary);
            if let Some(space) = self.spaces.tags.get(&listing.tag).copied() {
                let state = self.database.space_state(&space)?;
                self.settle(&space, &state)?;
            }
        }
        if self.phase != Phase::Ready || more || self.spaces.complete {
            self.spaces.complete |= !more;
            return Ok(());
        }
        self.spaces.complete = true;
        for space in self.spaces.announced.clone() {
            let state = self.database.space_state(&space)?;
            self.settle(&space, &state)?;
        }
        Ok(())
    }

    /// The control plane of a space may have moved: opens, closes or offers what follows from it.
    pub(super) fn review(&mut self, space: &SpaceId) -> Result<(), SessionError> {
        if self.database.effective(space).is_none() {
            return self.close_space(space);
        }
        let state = self.database.space_state(space)?;
        let has_rank = self.shares(space, &state)?;
        if has_rank && self.announce(*space)? {
            let listing = self.listing(space, &state)?;
            self.send(&Message::Spaces { more: false, listed: vec![listing] });
        }
        self.settle(space, &state)?;
        if self.spaces.offered.remove(space) && !has_rank {
            self.follow(*space, &state)?;
        }
        Ok(())
    }

    /// An offer was accepted, and by what this side knows of the space, who offered it has no rank: the control plane, which
    /// says that it has, came with the offer and was not taken. So it is asked for again, and nothing else is said.
    fn follow(&mut self, space: SpaceId, state: &SpaceState) -> Result<(), SessionError> {
        self.expect_control(space);
        let listing = self.listing(&space, state)?;
        self.send(&Message::Spaces { more: false, listed: vec![listing] });
        self.send(&Message::Vectors(Vectors { space, more: false, asks: false, logs: Vec::new() }));
        Ok(())
    }

    /// Brings the exchange of a space in line with the other side's rank and its listing.
    fn settle(&mut self, space: &SpaceId, state: &Arc<SpaceState>) -> Result<(), SessionError> {
        let tag = self.their_tag(space)?;
        if !self.shares(space, state)? && !planted!(RemovedStillTold) {
            return self.close_space(space);
        }
        let open = self.exchanges.get(space).is_some_and(|exchange| exchange.open);
        if let Some(summary) = self.spaces.unmatched.remove(&tag) {
            self.match_listing(space, state, summary, !open)
        } else if !open
            && self.spaces.complete
            && !self.spaces.invited.contains(space)
            && (self.may_invite(space, state)? || planted!(RemovedStillTold))
        {
            self.invite(space, state);
            Ok(())
        } else {
            Ok(())
        }
    }

    /// The space is not the other side's any more, or not this side's.
    fn close_space(&mut self, space: &SpaceId) -> Result<(), SessionError> {
        self.spaces.announced.remove(space);
        let tag = self.their_tag(space)?;
        self.spaces.tags.remove(&tag);
        if self.exchanges.remove(space).is_some_and(|exchange| exchange.open) {
            self.event(SessionEvent::SpaceClosed { space: *space });
        }
        Ok(())
    }

    /// Both sides list the space: equal summaries need no more, others ask for vectors.
    fn match_listing(
        &mut self,
        space: &SpaceId,
        state: &SpaceState,
        summary: [u8; 32],
        opens: bool,
    ) -> Result<(), SessionError> {
        if opens {
            self.greet_member()?;
        }
        let equal = self.summary(space, state)? == summary;
        let quiet = self.in_flight.is_empty() && !self.receiving.is_staging();
        let exchange = self.exchanges.entry(*space).or_default();
        self.known = true;
        if opens {
            exchange.open();
        }
        if equal && !planted!(NeverSilent) {
            exchange.learn_equal(&self.database, space, &state.table)?;
            return self.compare(space);
        }
        // While entries are on their way, summaries differ anyway.
        if opens || (quiet && !exchange.asked) { self.send_vectors(space, true) } else { Ok(()) }
    }

    /// The first space in common: the other side is no stranger.
    fn greet_member(&mut self) -> Result<(), SessionError> {
        if self.exchanges.values().any(|exchange| exchange.open) {
            return Ok(());
        }
        self.database.saw_peer(&self.config.remote, self.peer)?;
        self.enter_status();
        if !self.config.addresses.is_empty() {
            let addresses = self.config.addresses.iter().take(crate::database::MAX_PEER_ADDRESSES).cloned().collect();
            self.send(&Message::Addresses(addresses));
        }
        Ok(())
    }

    /// Offers a space in which the other side has a rank and which it doesn't list, and sends the control plane along:
    /// a device that has the space after all may lack the very grant that makes this side a member in its eyes.
    fn invite(&mut self, space: &SpaceId, state: &SpaceState) {
        if let Some(invite) = self.database.invite_to(state, &self.config.remote) {
            self.send(&Message::Invite(invite));
            self.note_invited(*space);
        }
    }

    pub(super) fn note_invited(&mut self, space: SpaceId) {
        self.known = true;
        self.spaces.invited.insert(space);
        self.exchanges.entry(space).or_default();
    }

    /// From now on the control plane of a space is taken from the other side, whatever its rank is here.
    pub(super) fn expect_control(&mut self, space: SpaceId) {
        self.known = true;
        self.spaces.expected.insert(space);
    }

    pub(super) fn take_invite(&mut self, invite: &Invite) -> Result<(), SessionError> {
        self.spaces.invites_taken += 1;
        if self.spaces.invites_taken > MAX_INVITES {
            return Err(SessionError::Protocol { why: "more invitations than are taken in one session".into() });
        }
        let space = invite.space();
        let decides = self.database.waits_for_decision(&space)?;
        if self.database.effective(&space).is_some() && !decides {
            self.expect_control(space);
            return Ok(());
        }
        let Some(from) = self.peer else { return Ok(()) };
        match self.decide_on_space(&from, &space, invite.entries)? {
            Decision::Accept => {
                if self.database.accept_invite(invite)?.is_some() {
                    self.expect_control(space);
                    self.review(&space)?;
                }
            }
            Decision::Ask => {
                if self.database.keep_invite(from, invite)? {
                    self.event(SessionEvent::Offered { space });
                }
                if self.database.has_offer(&space)? {
                    self.spaces.offered.insert(space);
                }
            }
            Decision::Refuse => {}
        }
        Ok(())
    }
}
