//! What must hold once nothing has gone wrong for a while: all agree, and fall silent.

use std::collections::BTreeMap;
use std::sync::Arc;

use tidewater_engine::id::{SpaceId, WriterId};
use tidewater_engine::log::{Header, Plane, Prefix, VersionVector};
use tidewater_engine::space::{EffectiveTable, Rank};
use tidewater_engine::store::{ReadError, VoidReason};
use tidewater_sync::Database;

use super::Failure;
use super::connection::KINDS;
use super::ledger::Acknowledged;
use super::world::World;

/// The kind of message that lists spaces: all that is sent while nothing is new.
const SPACES_KIND: usize = 5;
/// For how many intervals of comparing vectors the silence is watched.
const SILENT_INTERVALS: i64 = 3;

/// What one replica holds of a space.
struct Holding {
    replica: usize,
    rank: Rank,
    control: VersionVector,
    data: VersionVector,
    parked: u64,
    digest: [u8; 32],
}

/// What the first entry that waits in a log waits for, for people.
fn unmet(database: &Database, space: &SpaceId, plane: Plane, writer: &WriterId, from: u64) -> Option<String> {
    let batch = database.read_log(space, plane, writer, from, 1).ok()??;
    let header = Header::decode(&batch.entries.first()?.header).ok()?;
    let table = database.effective(space)?;
    let applied = database.applied(space, plane).ok()?;
    let counts = |writer: &WriterId| table.effective_length(plane, writer);
    let mut unmet = String::new();
    if plane == Plane::Data && !table.epochs.contains_key(&header.epoch) {
        unmet.push_str(", whose key is not held");
    }
    for (other, prefix) in header.dependencies.iter().filter(|(other, prefix)| applied.length(other) < prefix.length) {
        unmet.push_str(&format!(", for {} of {other}, of which {} count", prefix.length, counts(other)));
    }
    for (other, prefix) in header.control.iter().filter(|(other, prefix)| table.control.length(other) < prefix.length) {
        unmet.push_str(&format!(", for {} of the control log of {other}", prefix.length));
    }
    Some(unmet)
}

impl World {
    /// All members hold the same commits and the same state; what was acknowledged is there or was cut off.
    pub(super) fn check_agreement(&mut self) -> Result<(), Failure> {
        for (space, _) in self.spaces.clone() {
            let Some((best, table)) = self.most_complete(&space) else { continue };
            let holdings = self.holdings(&space, best, &table)?;
            let Some(reference) = holdings.iter().find(|holding| holding.replica == best) else { continue };
            for holding in &holdings {
                self.compare(&space, reference, holding)?;
            }
            self.check_acknowledged(&space, reference, &table)?;
            self.check_cuts(&space, &table)?;
            self.trace.count("spaces agreed upon");
        }
        for number in self.honest() {
            let database = self.replicas[number].database().expect("it runs").clone();
            let report = database.verify(&mut |_, _| {}).map_err(|error| self.failure(error.to_string()))?;
            if !report.problems.is_empty() {
                return Err(self.failure(format!("replica {number} is damaged: {:?}", report.problems)));
            }
            self.check_witnesses(number)?;
            for (space, _) in self.spaces.clone() {
                if database.effective(&space).is_some() {
                    self.check_naive_fold(number, &space)?;
                }
            }
            self.check_secrecy(number, &database)?;
        }
        Ok(())
    }

    /// The honest replica that knows most of a space's control plane, and what the space means to it.
    pub(super) fn most_complete(&self, space: &SpaceId) -> Option<(usize, Arc<EffectiveTable>)> {
        let tables = self.honest().into_iter().filter_map(|number| {
            let database = self.replicas[number].database()?;
            // Whoever was removed is told nothing any more.
            self.replicas[number].rank_in(space, database)?;
            Some((number, database.effective(space)?))
        });
        tables.max_by_key(|(number, table)| (table.control.total(), usize::MAX - number))
    }

    /// What every honest member of a space holds of it, as far as it counts.
    fn holdings(&self, space: &SpaceId, best: usize, table: &EffectiveTable) -> Result<Vec<Holding>, Failure> {
        let mut holdings = Vec::new();
        let known = self.replicas[best].database().expect("it runs");
        for replica in self.honest() {
            let Some(rank) = self.replicas[replica].rank_in(space, known) else { continue };
            let database = self.replicas[replica].database().expect("it runs");
            if database.effective(space).is_none() {
                if self.ledger.declined.contains(&(replica, *space)) {
                    continue;
                }
                return Err(self.failure(format!("replica {replica} has rank {rank:?} in {space} and not the space")));
            }
            let held = || -> Result<Holding, ReadError> {
                // As much of each log as counts.
                let vector = |plane| -> Result<VersionVector, ReadError> {
                    let held = database.vector(space, plane)?;
                    let effective =
                        |(writer, held): (&WriterId, &Prefix)| (*writer, table.effective_prefix(plane, writer, *held));
                    Ok(held.iter().map(effective).collect())
                };
                Ok(Holding {
                    replica,
                    rank,
                    control: vector(Plane::Control)?,
                    data: vector(Plane::Data)?,
                    parked: database.snapshot()?.report(space)?.parked,
                    digest: database.digest(space)?,
                })
            };
            holdings.push(held().map_err(|error| self.failure(format!("replica {replica}: {error}")))?);
        }
        Ok(holdings)
    }

    fn compare(&self, space: &SpaceId, reference: &Holding, holding: &Holding) -> Result<(), Failure> {
        let (one, other) = (reference.replica, holding.replica);
        let differ =
            |what: &str| Err(self.failure(format!("replicas {one} and {other} don't agree on {what} of {space}")));
        if holding.control != reference.control {
            return differ("the control plane");
        }
        if holding.data != reference.data {
            return differ("the data");
        }
        // A hostile member's commits may wait for ever.
        if holding.parked != 0 && !self.settings.hostile && !self.ledger.has_forks() {
            let waits = self.waiting(space, other);
            let rank = holding.rank;
            return Err(self.failure(format!("entries of {space} wait at replica {other}, of rank {rank:?}: {waits}")));
        }
        let both_read = holding.rank >= Rank::Reader && reference.rank >= Rank::Reader;
        if both_read && holding.digest != reference.digest {
            return differ("the state");
        }
        Ok(())
    }

    /// Which logs of a space wait at a replica, for people.
    fn waiting(&self, space: &SpaceId, number: usize) -> String {
        let Some(database) = self.replicas[number].database() else { return String::new() };
        let mut waiting = String::new();
        for plane in [Plane::Control, Plane::Data] {
            let (Ok(held), Ok(applied)) = (database.vector(space, plane), database.applied(space, plane)) else {
                continue;
            };
            for (writer, prefix) in held.iter().filter(|(writer, prefix)| applied.length(writer) < prefix.length) {
                let author = self.replicas.iter().position(|replica| replica.device == writer.device);
                let (from, to) = (applied.length(writer), prefix.length);
                let unmet = unmet(database, space, plane, writer, from).unwrap_or_default();
                waiting.push_str(&format!("{plane:?} {from}..{to} of replica {author:?}{unmet}; "));
            }
        }
        waiting
    }

    fn check_acknowledged(
        &mut self,
        space: &SpaceId,
        reference: &Holding,
        table: &EffectiveTable,
    ) -> Result<(), Failure> {
        for one in self.ledger.acknowledged.clone() {
            if one.space != *space || !self.replicas[one.replica].honest {
                continue;
            }
            let counts = table
                .devices
                .get(&one.writer.device)
                .map_or(0, |authority| authority.effective_length(one.writer.incarnation));
            if one.lost {
                self.trace.count("acknowledged commits lost with their only disk");
            } else if counts < one.length {
                self.check_listed(space, &one)?;
                self.trace.count("acknowledged commits that were cut off");
            } else if reference.data.length(&one.writer) < one.length {
                let (author, length) = (one.replica, one.length);
                return Err(self.failure(format!(
                    "commit {length} of replica {author} in {space} was acknowledged and is nowhere"
                )));
            } else {
                self.trace.count("acknowledged commits everywhere");
            }
        }
        Ok(())
    }

    /// A commit that was cut off after it was acknowledged is on its author's list of void commits.
    fn check_listed(&mut self, space: &SpaceId, one: &Acknowledged) -> Result<(), Failure> {
        let Some(database) = self.replicas[one.replica].database() else { return Ok(()) };
        let of_log = database.vector(space, Plane::Data).map(|vector| vector.length(&one.writer));
        let void = || database.snapshot()?.void_commits(space, None, usize::MAX);
        let (held, void) =
            of_log.and_then(|held| Ok((held, void()?))).map_err(|error| self.failure(error.to_string()))?;
        // The author may not have heard of its removal: whoever was removed is told nothing any more.
        let knows = database.effective(space).is_some_and(|table| {
            let authority = table.devices.get(&one.writer.device);
            authority.map_or(0, |authority| authority.effective_length(one.writer.incarnation)) < one.length
        });
        let is_listed = void.iter().any(|void| {
            let reasons = [VoidReason::Cut, VoidReason::Rank];
            void.place.writer == one.writer && void.place.sequence < one.length && reasons.contains(&void.reason)
        });
        if knows && held >= one.length && !is_listed {
            let (author, length) = (one.replica, one.length);
            return Err(self
                .failure(format!("replica {author} does not list its commit {length} in {space}, which was cut off")));
        }
        if is_listed {
            self.trace.count("void commits that their authors list");
        }
        Ok(())
    }

    /// What somebody removed wrote counts as far as who removed it held it.
    fn check_cuts(&self, space: &SpaceId, table: &EffectiveTable) -> Result<(), Failure> {
        for (writer, must) in self.ledger.least_cuts(*space) {
            let counts = table.effective_length(Plane::Data, &writer);
            if counts < must.min(table.fork_length(Plane::Data, &writer)) {
                let why = format!("{counts} entries of {writer} count in {space}, of {must} that it was removed with");
                return Err(self.failure(why));
            }
        }
        Ok(())
    }

    /// Who has no rank to read has nothing to read with.
    fn check_secrecy(&self, number: usize, database: &Database) -> Result<(), Failure> {
        for (space, _) in &self.spaces {
            let Some((best, table)) = self.most_complete(space) else { continue };
            let known = self.replicas[best].database().expect("it runs");
            let rank = self.replicas[number].rank_in(space, known);
            let Some(own) = database.effective(space) else { continue };
            let holds = table.write_epoch.is_some_and(|epoch| own.epochs.contains_key(&epoch));
            let ever_read = self.ledger.ever_read(*space, self.replicas[number].identity);
            if !ever_read && !own.epochs.is_empty() {
                return Err(
                    self.failure(format!("replica {number} never had a rank that reads in {space}, and has keys"))
                );
            }
            if rank < Some(Rank::Reader) && holds {
                return Err(self.failure(format!("replica {number} has rank {rank:?} in {space}, and its newest key")));
            }
        }
        Ok(())
    }

    fn is_between_honest(&self, connection: u64) -> bool {
        self.connections[&connection].ends.iter().all(|side| self.replicas[side.replica].honest)
    }

    /// Nothing is said any more but that nothing is new.
    pub(super) fn check_silence(&mut self) -> Result<(), Failure> {
        let sent = |world: &World| -> BTreeMap<(u64, usize), [u64; KINDS]> {
            let ends = world.connections.iter().flat_map(|(number, connection)| {
                connection.ends.iter().enumerate().map(move |(end, side)| ((*number, end), side.sent_kinds))
            });
            ends.collect()
        };
        let before = sent(self);
        self.pass(SILENT_INTERVALS * self.anti_entropy_ms)?;
        for ((connection, end), after) in sent(self) {
            let Some(before) = before.get(&(connection, end)) else {
                if !self.is_between_honest(connection) {
                    // Who holds a fork can't agree with anybody, and tries again from time to time.
                    continue;
                }
                return Err(self.failure(format!("connection {connection} was made while nothing was new")));
            };
            for kind in 0..after.len() {
                let count = after[kind] - before[kind];
                let most = if kind == SPACES_KIND { SILENT_INTERVALS as u64 + 1 } else { 0 };
                let asks = kind != SPACES_KIND || count > 0;
                if !asks && !self.settings.hostile && !self.ledger.has_forks() {
                    return Err(self.failure(format!("connection {connection}: nobody asks whether anything is new")));
                }
                if count > most && !self.settings.hostile && !self.ledger.has_forks() {
                    let why = format!("connection {connection}: {count} messages of kind {kind} though nothing is new");
                    return Err(self.failure(why));
                }
            }
        }
        Ok(())
    }
}
