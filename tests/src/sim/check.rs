//! What must hold: after every change where that is cheap, and at the end.

use tidewater_engine::id::{SpaceId, WriterId};
use tidewater_engine::log::{Plane, Prefix, VersionVector};
use tidewater_engine::query::Query;
use tidewater_engine::space::Rank;
use tidewater_engine::store::ReadError;
use tidewater_sync::Database;

use super::Failure;
use super::work::counter;
use super::world::{Event, World};

/// Every so many changes of a replica the dear checks are made too.
const DEAR_CHECKS: u64 = 6;

impl World {
    /// Takes note of what changed in a replica through others.
    pub(super) fn settle(&mut self, number: usize) -> Result<(), Failure> {
        self.take_changes(number, false)
    }

    /// Takes note of what a replica itself wrote.
    pub(super) fn settle_own(&mut self, number: usize) -> Result<(), Failure> {
        self.take_changes(number, true)
    }

    fn take_changes(&mut self, number: usize, own: bool) -> Result<(), Failure> {
        let Some(running) = &mut self.replicas[number].running else { return Ok(()) };
        let changes = running.take_changes();
        if changes.is_empty() {
            return Ok(());
        }
        let mut spaces: Vec<SpaceId> =
            changes.iter().flat_map(|change| &change.spaces).map(|(space, _)| *space).collect();
        spaces.sort_unstable();
        spaces.dedup();
        if !own {
            spaces.iter().for_each(|space| running.model.forget(space));
        }
        let later = self.chance.below(4) as i64;
        self.schedule(later, Event::News { replica: number });
        let Some(database) = self.replicas[number].healthy().cloned() else {
            if let Some(running) = &mut self.replicas[number].running {
                running.follower.miss();
            }
            return Ok(());
        };
        self.trace.count("changes looked at");
        let dear = self.trace.counts["changes looked at"].is_multiple_of(DEAR_CHECKS);
        let snapshot = database.snapshot().map_err(|error| self.failure(error.to_string()))?;
        if let Some(running) = &mut self.replicas[number].running {
            let mut followed = running.follower.follow(&snapshot, &changes);
            if dear {
                followed = followed.and_then(|()| running.follower.check(&snapshot));
            }
            followed.map_err(|why| self.failure(format!("replica {number}: {why}")))?;
        }
        for space in spaces {
            self.look_at(number, &database, space)?;
            if dear {
                self.check_digest(number, &database, space)?;
            }
        }
        if dear { self.check_witnesses(number) } else { Ok(()) }
    }

    /// A log only grows, and has one root at every length, everywhere and for ever.
    fn look_at(&mut self, number: usize, database: &Database, space: SpaceId) -> Result<(), Failure> {
        for plane in [Plane::Control, Plane::Data] {
            let vector = match database.vector(&space, plane) {
                Ok(vector) => vector,
                Err(ReadError::UnknownSpace { .. }) => return Ok(()),
                Err(error) => return Err(self.failure(format!("replica {number}: {error}"))),
            };
            for (writer, prefix) in vector.iter() {
                self.note_root(number, space, plane, *writer, *prefix)?;
            }
            let own = database.writer();
            let before = self.ledger.held.get(&(number, space)).map_or(0, |held| held.length(&own));
            for length in if plane == Plane::Data { before + 1..vector.length(&own) } else { 0..0 } {
                let prefix = database.prefix_at(&space, plane, &own, length);
                if let Some(prefix) = prefix.map_err(|error| self.failure(error.to_string()))? {
                    self.note_root(number, space, plane, own, prefix)?;
                }
            }
            if plane == Plane::Data {
                let held = self.ledger.held.insert((number, space), vector.clone());
                if held.is_some_and(|held| !vector.covers(&held)) {
                    return Err(self.failure(format!("replica {number} holds less than it did")));
                }
            }
        }
        Ok(())
    }

    fn note_root(
        &mut self,
        number: usize,
        space: SpaceId,
        plane: Plane,
        writer: WriterId,
        prefix: Prefix,
    ) -> Result<(), Failure> {
        self.trace.note(self.now_ms, &[&writer.to_bytes()[..], &prefix.length.to_be_bytes(), &prefix.root].concat());
        if self.ledger.note_root(space, plane, writer, prefix) {
            return Ok(());
        }
        let length = prefix.length;
        Err(self.failure(format!("replica {number}: the {plane:?} log of {writer} has a second root at {length}")))
    }

    /// Equal commits give equal states, on whatever device and whenever.
    fn check_digest(&mut self, number: usize, database: &Database, space: SpaceId) -> Result<(), Failure> {
        if self.replicas[number].rank_in(&space, database) < Some(Rank::Reader) {
            return Ok(());
        }
        let state = || -> Result<_, ReadError> {
            let mut commits = blake3::Hasher::new();
            for plane in [Plane::Control, Plane::Data] {
                for (writer, prefix) in database.applied(&space, plane)?.iter() {
                    commits.update(&writer.to_bytes()).update(&prefix.root).update(&prefix.length.to_be_bytes());
                }
                commits.update(b"end of plane");
            }
            Ok((*commits.finalize().as_bytes(), database.digest(&space)?))
        };
        let (commits, digest) = state().map_err(|error| self.failure(format!("replica {number}: {error}")))?;
        self.trace.note(self.now_ms, &digest);
        self.trace.count("digests compared");
        self.ledger.note_digest(number, space, commits, digest).map_err(|other| {
            self.failure(format!("replica {number} has another state than {other} had of the same commits of {space}"))
        })
    }

    /// Nobody sees a half of a commit, nor what was seen without what it saw.
    pub(super) fn check_witnesses(&mut self, number: usize) -> Result<(), Failure> {
        let Some(database) = self.replicas[number].healthy().cloned() else { return Ok(()) };
        if self.ledger.has_forks() {
            // Who holds one branch of a fork takes what was written after the other one for void.
            return Ok(());
        }
        for (space, _) in self.spaces.clone() {
            let Some(table) = database.effective(&space) else { continue };
            // What a revocation voids may have been seen before.
            let cut = table.devices.values().any(|authority| authority.closed || !authority.cuts.is_empty());
            let snapshot = database.snapshot().map_err(|error| self.failure(error.to_string()))?;
            let pairs = snapshot.find(&Query { spaces: Some(vec![space]), ..Query::all("pairs") });
            let pairs = pairs.map_err(|error| self.failure(error.to_string()))?.documents;
            let get = |id: &str| pairs.iter().find(|document| document.id.as_str() == id).map(|found| &found.fields);
            let count = |side: &str, of: usize| get(&format!("{side}-{of}")).map_or(0, |fields| counter(fields, "n"));
            for author in 0..self.replicas.len() {
                let (left, right) = (count("left", author), count("right", author));
                if left != right {
                    return Err(self.failure(format!("replica {number} sees {left} and {right} of {author}: a half")));
                }
                let Some(seen) = get(&format!("seen-{author}")).filter(|_| !cut) else { continue };
                for other in 0..self.settings.replicas {
                    let (saw, here) = (counter(seen, &format!("of-{other}")), count("left", other));
                    if saw > here {
                        let why = format!("replica {number} sees that {author} saw {saw} of {other}, and only {here}");
                        return Err(self.failure(why));
                    }
                }
            }
        }
        Ok(())
    }

    /// What a replica acknowledged before it stopped is there when it starts.
    pub(super) fn check_start(&mut self, number: usize) -> Result<(), Failure> {
        let Some(database) = self.replicas[number].healthy().cloned() else { return Ok(()) };
        let held: Vec<(SpaceId, VersionVector)> = self
            .ledger
            .held
            .range((number, SpaceId([0; 32]))..=(number, SpaceId([255; 32])))
            .map(|((_, space), held)| (*space, held.clone()))
            .collect();
        for (space, held) in held {
            let vector = database.vector(&space, Plane::Data).map_err(|error| self.failure(error.to_string()))?;
            if let Some((other, length)) = self.ledger.holds_more(number, space, &vector) {
                let why = format!("{length} entries of replica {number} came to {other} before they were durable");
                return Err(self.failure(why));
            }
            if !vector.covers(&held) {
                return Err(self.failure(format!("replica {number} lost commits of {space} while it was down")));
            }
        }
        for space in database.spaces() {
            self.look_at(number, &database, space)?;
            self.check_digest(number, &database, space)?;
        }
        Ok(())
    }

    /// Who starts goes on as the same writer, unless its file is another one; and nobody goes on as a writer without all
    /// that this one wrote.
    pub(super) fn check_writer(&mut self, number: usize) -> Result<(), Failure> {
        let Some(database) = self.replicas[number].healthy().cloned() else { return Ok(()) };
        let writer = database.writer();
        for (space, plane, written) in self.ledger.written(&writer) {
            let held = database.vector(&space, plane).map_or(0, |vector| vector.length(&writer));
            if held < written {
                let why = format!("replica {number} starts as {writer} with {held} entries of {space}, of {written}");
                return Err(self.failure(why));
            }
        }
        let Some(before) = self.replicas[number].writer.replace(writer) else { return Ok(()) };
        if before == writer {
            self.trace.count("starts as the same writer");
            return Ok(());
        }
        self.trace.count("starts as another writer");
        let is_cut = |space: &SpaceId| {
            let is_cut = |plane| {
                database.effective(space).is_some_and(|table| table.effective_length(plane, &before) < u64::MAX)
            };
            is_cut(Plane::Control) || is_cut(Plane::Data)
        };
        // A cut, or a fork, closes a log for ever, even where more of the control plane undoes it.
        let may_be_cut = self.ledger.was_revoked(before.device)
            || self.ledger.is_forked(&before)
            || database.spaces().iter().any(is_cut);
        if self.replicas[number].keeps_writer && !may_be_cut {
            return Err(self.failure(format!("replica {number} was {before} and starts as {writer}")));
        }
        Ok(())
    }
}
