//! What is remembered over the life of the world: every root that a log ever had, every digest that a set of commits
//! ever gave, and every commit that was acknowledged.

use std::collections::{BTreeMap, BTreeSet};

use tidewater_engine::id::{DeviceId, SpaceId, WriterId};
use tidewater_engine::log::{Plane, Prefix, VersionVector};
use tidewater_sync::IdentityId;

/// A commit whose call returned.
#[derive(Debug, Clone)]
pub(super) struct Acknowledged {
    pub(super) replica: usize,
    pub(super) space: SpaceId,
    pub(super) writer: WriterId,
    /// The length of the log with it.
    pub(super) length: u64,
    /// The only disk with it was replaced by an old image.
    pub(super) lost: bool,
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    roots: BTreeMap<(SpaceId, Plane, WriterId, u64), [u8; 32]>,
    digests: BTreeMap<(SpaceId, [u8; 32]), ([u8; 32], usize)>,
    pub(super) acknowledged: Vec<Acknowledged>,
    /// What each replica was last seen to hold of the data of a space.
    pub(super) held: BTreeMap<(usize, SpaceId), VersionVector>,
    /// Spaces that a replica has declined, and was not offered since.
    pub(super) declined: BTreeSet<(usize, SpaceId)>,
    /// Of each device that was removed from a space: what the author of each revocation held of its logs.
    revocations: BTreeMap<(SpaceId, DeviceId), Vec<VersionVector>>,
    /// Who was ever given a rank that reads.
    readers: BTreeSet<(SpaceId, IdentityId)>,
    /// Who a replica was before it stopped, if nobody else can write that log.
    stopped: BTreeMap<usize, WriterId>,
    /// Writers that run twice.
    forked: BTreeSet<WriterId>,
}

impl Ledger {
    /// Notes that a log had this root at this length. False: it had another before.
    pub(super) fn note_root(&mut self, space: SpaceId, plane: Plane, writer: WriterId, prefix: Prefix) -> bool {
        let known = self.roots.entry((space, plane, writer, prefix.length)).or_insert(prefix.root);
        *known == prefix.root || self.forked.contains(&writer)
    }

    /// Notes which digest a set of commits gives. An error names the replica where it gave another.
    pub(super) fn note_digest(
        &mut self,
        replica: usize,
        space: SpaceId,
        commits: [u8; 32],
        digest: [u8; 32],
    ) -> Result<(), usize> {
        let (known, first) = self.digests.entry((space, commits)).or_insert((digest, replica));
        if *known == digest { Ok(()) } else { Err(*first) }
    }

    pub(super) fn note_revocation(&mut self, space: SpaceId, device: DeviceId, held: &VersionVector) {
        self.revocations.entry((space, device)).or_default().push(held.clone());
    }

    /// Whether somebody ever removed a device from a space.
    pub(super) fn was_revoked(&self, device: DeviceId) -> bool {
        self.revocations.keys().any(|(_, revoked)| *revoked == device)
    }

    /// How much of each removed writer's log must count: what the author with the least of it held.
    pub(super) fn least_cuts(&self, space: SpaceId) -> BTreeMap<WriterId, u64> {
        let mut least = BTreeMap::new();
        for ((_, device), revocations) in self.revocations.iter().filter(|((of, _), _)| *of == space) {
            let writers = revocations.iter().flat_map(VersionVector::iter).map(|(writer, _)| *writer);
            for writer in writers.filter(|writer| writer.device == *device) {
                let lengths = revocations.iter().map(|held| held.length(&writer));
                least.insert(writer, lengths.min().unwrap_or(0));
            }
        }
        least
    }

    /// Somebody is given a rank that reads.
    pub(super) fn note_reader(&mut self, space: SpaceId, identity: IdentityId) {
        self.readers.insert((space, identity));
    }

    pub(super) fn ever_read(&self, space: SpaceId, identity: IdentityId) -> bool {
        self.readers.contains(&(space, identity))
    }

    /// A replica stops: from now on its log only grows by what the others bring back.
    pub(super) fn note_stop(&mut self, replica: usize, writer: WriterId) {
        self.stopped.insert(replica, writer);
    }

    /// A replica holds `held` when it starts again. Gives a replica that holds more of its own log: that left the disk before
    /// it was durable.
    pub(super) fn holds_more(&mut self, replica: usize, space: SpaceId, held: &VersionVector) -> Option<(usize, u64)> {
        let writer = self.stopped.get(&replica).filter(|writer| !self.forked.contains(writer))?;
        let others = self.held.iter().filter(|((other, of), _)| *other != replica && *of == space);
        let lengths = others.map(|((other, _), vector)| (*other, vector.length(writer)));
        lengths.filter(|(_, length)| *length > held.length(writer)).max_by_key(|(_, length)| *length)
    }

    /// How many entries a writer was ever seen to have in each of its logs, if it runs only once.
    pub(super) fn written(&self, writer: &WriterId) -> Vec<(SpaceId, Plane, u64)> {
        let mut written = BTreeMap::new();
        for (space, plane, of, length) in self.roots.keys().filter(|(_, _, of, _)| of == writer) {
            if !self.forked.contains(of) {
                let most: &mut u64 = written.entry((*space, *plane)).or_default();
                *most = (*most).max(*length);
            }
        }
        written.into_iter().map(|((space, plane), length)| (space, plane, length)).collect()
    }

    pub(super) fn note_fork(&mut self, writer: WriterId) {
        self.forked.insert(writer);
    }

    pub(super) fn is_forked(&self, writer: &WriterId) -> bool {
        self.forked.contains(writer)
    }

    pub(super) fn has_forks(&self) -> bool {
        !self.forked.is_empty()
    }

    /// A replica's disk was replaced: what neither it nor anybody else was seen to hold is gone.
    pub(super) fn forget_disk(&mut self, replica: usize) {
        let mut left: Vec<(SpaceId, &VersionVector)> = Vec::new();
        for ((other, space), vector) in &self.held {
            if *other != replica {
                left.push((*space, vector));
            }
        }
        for one in &mut self.acknowledged {
            let kept = left.iter().any(|(space, held)| *space == one.space && held.length(&one.writer) >= one.length);
            one.lost |= !kept;
        }
        self.held.retain(|(other, _), _| *other != replica);
        self.stopped.remove(&replica);
    }
}
