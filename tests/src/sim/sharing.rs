//! What the members of the spaces do to each other: grants, revocations, rotations, new spaces, offers.

use tidewater_engine::id::SpaceId;
use tidewater_engine::log::Plane;
use tidewater_engine::space::Rank;
use tidewater_sync::{Database, IdentityId, SpaceError};

use super::Failure;
use super::world::World;
use crate::random::Random;

/// There are at most so many spaces.
const SPACES: usize = 4;

impl World {
    /// One act of sharing by a replica.
    pub(super) fn share(&mut self, number: usize, random: &mut Random) -> Result<(), Failure> {
        let Some(database) = self.replicas[number].database().cloned() else { return Ok(()) };
        let Some(space) = self.some_space(number, random) else { return Ok(()) };
        let other = *random.pick(&self.others(number).into_iter().collect::<Vec<_>>());
        let rank = *random.pick(&[Rank::Relay, Rank::Reader, Rank::Writer, Rank::Writer, Rank::Admin]);
        let identity = self.replicas[other].identity;
        let rank_of = |number: usize| self.replicas[number].rank_in(&space, &database);
        let (own, theirs) = (rank_of(number), rank_of(other));
        let mut reaches = None;
        let (what, outcome) = match random.below(12) {
            0..5 => {
                let card = self.replicas[other].database().and_then(|other| other.card().ok());
                let Some(card) = card else { return Ok(()) };
                reaches = Some(rank);
                if rank >= Rank::Reader {
                    self.ledger.note_reader(space, identity);
                }
                (format!("grants {other} rank {rank:?}"), database.grant(&space, &card, rank))
            }
            5 | 6 => {
                reaches = theirs;
                self.note_revocation(&database, space, &identity)?;
                (format!("revokes {other}"), database.revoke(&space, &identity))
            }
            7 => ("rotates".to_owned(), database.rotate(&space)),
            8 => ("renames the space".to_owned(), database.rename_space(&space, "another name")),
            _ if self.spaces.len() < SPACES => {
                let made = database.new_space("further");
                if let Ok(space) = &made {
                    self.spaces.push((*space, number));
                    self.ledger.note_reader(*space, self.replicas[number].identity);
                    if rank >= Rank::Reader {
                        self.ledger.note_reader(*space, identity);
                    }
                    self.declare_first(number, *space)?;
                }
                let card = self.replicas[other].database().and_then(|other| other.card().ok());
                let shared = made.and_then(|space| card.map_or(Ok(()), |card| database.grant(&space, &card, rank)));
                (format!("makes a space, and grants {other} rank {rank:?}"), shared)
            }
            _ => return Ok(()),
        };
        match outcome {
            Ok(()) if reaches >= own && reaches.is_some() => {
                return Err(self.failure(format!("replica {number} {what}, which has rank {own:?} itself")));
            }
            Ok(()) => {
                self.trace.count("acts of sharing");
                self.tell(&format!("{number} {what}"));
            }
            Err(error) if may_be(&error) || self.replicas[number].is_sick() || self.runs_twice(number) => {
                self.trace.count("acts of sharing refused");
                self.tell(&format!("{number} {what}: {error}"));
            }
            Err(error) => return Err(self.failure(format!("replica {number} {what}: {error}"))),
        }
        self.settle(number)
    }

    /// Whether another machine is the same writer: once that is known, it may write nothing more.
    fn runs_twice(&self, number: usize) -> bool {
        self.replicas[number].database().is_some_and(|database| self.ledger.is_forked(&database.writer()))
    }

    /// Takes note of what a revocation lets count: all that its author holds of the removed one's logs.
    fn note_revocation(&mut self, author: &Database, space: SpaceId, identity: &IdentityId) -> Result<(), Failure> {
        let held = match author.vector(&space, Plane::Data) {
            Ok(held) => held,
            Err(_) => return Ok(()),
        };
        for replica in self.replicas.iter().filter(|replica| replica.identity == *identity) {
            self.ledger.note_revocation(space, replica.device, &held);
        }
        Ok(())
    }

    /// A space is offered to a replica: mostly it is taken at once, else it waits, or is declined.
    pub(super) fn decide_offer(&mut self, number: usize, space: &SpaceId) -> Result<(), Failure> {
        let takes = self.faults.on().is_empty() || !self.chance.one_in(4);
        if takes {
            self.accept_space(number, space)
        } else if self.chance.one_in(2) {
            self.decline_space(number, space)
        } else {
            Ok(())
        }
    }

    /// A declined space stays away until it is offered again.
    fn decline_space(&mut self, number: usize, space: &SpaceId) -> Result<(), Failure> {
        let Some(database) = self.replicas[number].database().cloned() else { return Ok(()) };
        self.tell(&format!("{number} declines a space that it is offered"));
        match database.decline_space(space) {
            Ok(()) => {
                self.trace.count("spaces declined");
                self.ledger.declined.insert((number, *space));
                let left = database.space_offers().map_err(|error| self.failure(format!("offers: {error}")))?;
                if left.iter().any(|offer| offer.space == *space) {
                    return Err(self.failure(format!("replica {number} declined {space}, and it waits")));
                }
                self.settle(number)
            }
            Err(SpaceError::NoOffer { .. }) => Ok(()),
            Err(_) if self.replicas[number].is_sick() => Ok(()),
            Err(error) => Err(self.failure(format!("replica {number} declines a space: {error}"))),
        }
    }

    fn accept_space(&mut self, number: usize, space: &SpaceId) -> Result<(), Failure> {
        let Some(database) = self.replicas[number].database().cloned() else { return Ok(()) };
        self.tell(&format!("{number} takes a space that it is offered"));
        match database.accept_space(space) {
            Ok(()) => {
                self.ledger.declined.remove(&(number, *space));
                self.settle(number)
            }
            Err(SpaceError::NoOffer { .. }) => self.settle(number),
            Err(_) if self.replicas[number].is_sick() => Ok(()),
            Err(error) => Err(self.failure(format!("replica {number} takes a space: {error}"))),
        }
    }

    /// Every offer that waits is taken.
    pub(super) fn accept_all(&mut self) -> Result<(), Failure> {
        for number in 0..self.replicas.len() {
            let Some(database) = self.replicas[number].healthy().cloned() else { continue };
            let offers = database.space_offers().map_err(|error| self.failure(format!("offers: {error}")))?;
            for offer in offers {
                self.accept_space(number, &offer.space)?;
            }
        }
        Ok(())
    }
}

/// Whether an act of sharing was refused as it may be.
fn may_be(error: &SpaceError) -> bool {
    matches!(
        error,
        SpaceError::Forbidden { .. }
            | SpaceError::NotBelow { .. }
            | SpaceError::NoMember { .. }
            | SpaceError::UnknownSpace { .. }
            | SpaceError::Invalid { .. }
    )
}
