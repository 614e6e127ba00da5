//! The state of a replica against the naive fold of what it holds.

use std::collections::BTreeSet;

use tidewater_engine::id::{SpaceId, WriterId};
use tidewater_engine::log::Plane;
use tidewater_engine::space::Rank;
use tidewater_engine::store::{ReadError, VoidReason};
use tidewater_sync::Database;

use super::Failure;
use super::world::World;
use crate::oracle::{Commit, DECLARED, Oracle, commits, see};

/// What names a commit.
type Dot = (WriterId, u64);

impl World {
    /// A replica shows of a space what the naive fold of its commits gives, and takes those for void that lack authority.
    pub(super) fn check_naive_fold(&mut self, number: usize, space: &SpaceId) -> Result<(), Failure> {
        let Some(database) = self.replicas[number].healthy().cloned() else { return Ok(()) };
        if self.replicas[number].rank_in(space, &database) < Some(Rank::Reader) {
            return Ok(());
        }
        let mut all = commits(&database, space);
        let (void, mut unauthorized) = void(&database, space).map_err(|error| self.failure(error.to_string()))?;
        // A commit without authority is void whether its key is held or not; the naive fold judges what it can read.
        let readable: BTreeSet<Dot> = all.iter().map(Commit::dot).collect();
        unauthorized.retain(|dot| readable.contains(dot));
        let expected: BTreeSet<Dot> =
            all.iter().filter(|commit| lacks_authority(&database, space, commit)).map(Commit::dot).collect();
        if !self.settings.hostile && unauthorized != expected {
            let differ: Vec<&Dot> = unauthorized.symmetric_difference(&expected).collect();
            return Err(self.failure(format!("replica {number} takes other commits of {space} for void: {differ:?}")));
        }
        all.retain(|commit| !void.contains(&commit.dot()));
        let snapshot = database.snapshot().map_err(|error| self.failure(error.to_string()))?;
        let is_declared =
            snapshot.schema(space, "declared").map_err(|error| self.failure(error.to_string()))?.is_some();
        let oracle = Oracle::new(&all, if is_declared { DECLARED } else { &[] });
        for (collection, id) in oracle.names().filter(|(collection, _)| !collection.starts_with('$')) {
            let (seen, expected) = (see(&snapshot, Some(space), collection, id), oracle.see(collection, id));
            if seen != expected {
                let why = format!("replica {number}: {collection}/{id} in {space} reads {seen:?}, not {expected:?}");
                return Err(self.failure(why));
            }
            self.trace.count("documents as the naive fold has them");
        }
        Ok(())
    }
}

/// The void commits of a space's data, and those of them whose authors lacked authority.
fn void(database: &Database, space: &SpaceId) -> Result<(BTreeSet<Dot>, BTreeSet<Dot>), ReadError> {
    let listed = database.snapshot()?.void_commits(space, None, usize::MAX)?;
    let dots = |reasons: &[VoidReason]| {
        listed
            .iter()
            .filter(|void| void.place.plane == Plane::Data)
            .filter(|void| reasons.is_empty() || reasons.contains(&void.reason))
            .map(|void| (void.place.writer, void.place.sequence))
            .collect()
    };
    Ok((dots(&[]), dots(&[VoidReason::Rank, VoidReason::Cut, VoidReason::Operation, VoidReason::Fork])))
}

fn lacks_authority(database: &Database, space: &SpaceId, commit: &Commit) -> bool {
    let table = database.effective(space).expect("a space");
    let Some(authority) = table.devices.get(&commit.writer.device) else { return true };
    authority.rank < Rank::Writer
        || commit.end > table.effective_length(Plane::Data, &commit.writer)
        || commit.operations.iter().any(|operation| authority.rank < operation.least_rank())
}
