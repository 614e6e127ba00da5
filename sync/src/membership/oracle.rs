//! The rules of membership a second time, written down as they are said and without a thought for speed: the judge of
//! the evaluation in tests. It shares nothing with it but the layouts.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use tidewater_engine::id::DeviceId;
use tidewater_engine::log::Plane;
use tidewater_engine::space::Rank;
use tidewater_engine::store::ControlCommit;

use crate::identity::{Certificate, IdentityGenesis, IdentityId, RootOrder};
use crate::space::{ControlOperation, Removal, SpaceGenesis};

pub(super) struct Oracle<'a> {
    genesis: &'a SpaceGenesis,
    commits: Vec<(ControlCommit, ControlOperation)>,
    /// The genuine certificates of the genesis, and those of each commit.
    founders: Vec<Said>,
    certified: Vec<Vec<Said>>,
    /// Whether a commit is a removal that some root key of the identity signed.
    genuine_removal: Vec<bool>,
    decided: RefCell<BTreeMap<(usize, Rank), bool>>,
}

/// An identity says that a device is its own. Without a root key it is the recovery key, which needs none.
struct Said {
    device: DeviceId,
    identity: IdentityId,
    root: Option<RootOrder>,
}

const RANKS: [Rank; 5] = [Rank::Owner, Rank::Admin, Rank::Writer, Rank::Reader, Rank::Relay];

impl<'a> Oracle<'a> {
    pub(super) fn new(genesis: &'a SpaceGenesis, commits: &[ControlCommit]) -> Self {
        let read = |commit: &ControlCommit| Some((commit.clone(), ControlOperation::read(&commit.body).ok()?));
        let commits: Vec<(ControlCommit, ControlOperation)> = commits.iter().filter_map(read).collect();
        let founders = genesis.owners.iter().flat_map(|owner| genuine(&owner.genesis, &owner.certificates)).collect();
        let certified = commits.iter().map(|(_, operation)| match operation {
            ControlOperation::Grant(grant) => genuine(&grant.genesis, &grant.certificates),
            ControlOperation::AddDevice { genesis, certificate, .. } => genuine(genesis, &[*certificate]),
            _ => Vec::new(),
        });
        let certified = certified.collect();
        let space = genesis.space();
        let genuine = |operation: &ControlOperation| matches!(operation, ControlOperation::RemoveDevice(removal) if removal.verify(&space));
        let genuine_removal = commits.iter().map(|(_, operation)| genuine(operation)).collect();
        Self { genesis, commits, founders, certified, genuine_removal, decided: RefCell::default() }
    }

    fn all(&self) -> std::ops::Range<usize> {
        0..self.commits.len()
    }

    fn before(&self, earlier: usize, later: usize) -> bool {
        let earlier = &self.commits[earlier].0;
        self.commits[later].0.past.length(&earlier.writer) > earlier.sequence
    }

    fn is_owner(&self, identity: &IdentityId) -> bool {
        self.genesis.owners.iter().any(|owner| owner.genesis.id() == *identity)
    }

    /// The identities `device` belongs to by what stands in the past of `at`, or anywhere.
    fn identities(&self, device: &DeviceId, at: Option<usize>) -> BTreeSet<IdentityId> {
        let later = self.all().filter(|said| at.is_none_or(|at| self.before(*said, at)));
        let later = later.flat_map(|number| self.certified[number].iter().map(move |said| (said, Some(number))));
        let said = self.founders.iter().map(|said| (said, None)).chain(later);
        said.filter(|(said, number)| said.device == *device && self.stands(&said.identity, said.root, *number))
            .map(|(said, _)| said.identity)
            .collect()
    }

    /// Whether what a root key signed at a commit, or in the genesis, precedes everything that a newer one of the identity signed.
    fn stands(&self, identity: &IdentityId, root: Option<RootOrder>, at: Option<usize>) -> bool {
        let Some(root) = root else { return true };
        let newer = |said: &Said| said.identity == *identity && said.root > Some(root);
        !self.founders.iter().any(newer)
            && self.all().all(|number| {
                let removes = match &self.commits[number].1 {
                    ControlOperation::RemoveDevice(removal) if self.genuine_removal[number] => {
                        removal.genesis.id() == *identity && removal.root() > root
                    }
                    _ => false,
                };
                let shows = self.certified[number].iter().any(newer) || removes;
                !shows || at.is_none_or(|at| self.before(at, number))
            })
    }

    /// Whether the author of a commit acted with `rank` or more.
    fn acts(&self, number: usize, rank: Rank) -> bool {
        if let Some(known) = self.decided.borrow().get(&(number, rank)) {
            return *known;
        }
        let device = self.commits[number].0.writer.device;
        let mut now = self.identities(&device, Some(number));
        now.retain(|identity| !self.is_cut_off(number, identity));
        now.retain(|identity| {
            self.leaves(identity).iter().all(|leave| self.is_untouched(number, identity, *leave, rank))
        });
        let acts = now.iter().any(|identity| self.is_owner(identity))
            || (rank < Rank::Owner
                && self.is_within_cuts(number, rank)
                && now.iter().any(|identity| self.shows_grant(number, identity, rank)));
        self.decided.borrow_mut().insert((number, rank), acts);
        acts
    }

    /// The genuine removals of a device by an identity.
    fn removals(&self, identity: &IdentityId, device: &DeviceId) -> Vec<&Removal> {
        let said = self.all().filter(|number| self.is_removal(*number));
        let said = said.filter_map(|number| match &self.commits[number].1 {
            ControlOperation::RemoveDevice(removal) => Some(removal),
            _ => None,
        });
        said.filter(|removal| removal.genesis.id() == *identity && removal.device == *device).collect()
    }

    /// Whether a commit is a genuine removal by a root key that could still say it.
    fn is_removal(&self, number: usize) -> bool {
        let ControlOperation::RemoveDevice(removal) = &self.commits[number].1 else { return false };
        self.genuine_removal[number] && self.stands(&removal.genesis.id(), Some(removal.root()), Some(number))
    }

    /// Whether the author of a commit was no device of `identity` any more.
    fn is_cut_off(&self, number: usize, identity: &IdentityId) -> bool {
        let commit = &self.commits[number].0;
        self.removals(identity, &commit.writer.device).iter().any(|removal| {
            let mut cuts = removal.cuts.iter().filter(|cut| cut.plane == Plane::Control && cut.writer == commit.writer);
            !cuts.clone().any(|_| true) || cuts.any(|cut| commit.sequence >= cut.length)
        })
    }

    /// The commits by which `identity` leaves: it is no owner, and their authors were devices of it.
    fn leaves(&self, identity: &IdentityId) -> Vec<usize> {
        let says = |number: &usize| matches!(&self.commits[*number].1, ControlOperation::Leave(leave) if leave.identity == *identity);
        let theirs = |number: &usize| {
            let device = self.commits[*number].0.writer.device;
            self.identities(&device, Some(*number)).contains(identity) && !self.is_cut_off(*number, identity)
        };
        self.all().filter(|number| !self.is_owner(identity) && says(number) && theirs(number)).collect()
    }

    pub(super) fn ever_left(&self, identity: &IdentityId) -> bool {
        !self.leaves(identity).is_empty()
    }

    /// Whether a commit for an identity came before the leave, or stands in a log that began after the identity was let in again.
    fn is_untouched(&self, number: usize, identity: &IdentityId, leave: usize, rank: Rank) -> bool {
        self.before(number, leave) || self.begins_after_regrant(number, identity, leave, rank)
    }

    /// Whether the log of a commit begins after a grant to the identity that came after `end`.
    fn begins_after_regrant(&self, number: usize, identity: &IdentityId, end: usize, rank: Rank) -> bool {
        let writer = self.commits[number].0.writer;
        let first = |other: &usize| self.commits[*other].0.writer == writer && self.commits[*other].0.sequence == 0;
        let grants = self.grants(identity, rank);
        self.all()
            .filter(first)
            .any(|first| grants.iter().any(|(_, grant)| self.before(end, *grant) && self.before(*grant, first)))
    }

    /// The rank that a device has in the end.
    pub(super) fn rank_of_device(&self, device: &DeviceId) -> Option<Rank> {
        let mut identities = self.identities(device, None);
        identities.retain(|identity| self.removals(identity, device).is_empty());
        identities.iter().filter_map(|identity| self.rank(identity)).max()
    }

    fn shows_grant(&self, number: usize, identity: &IdentityId, rank: Rank) -> bool {
        self.grants(identity, rank).iter().any(|(granted, grant)| {
            *granted >= rank
                && self.before(*grant, number)
                && !self.revokes(identity, rank).iter().any(|(level, revoke)| {
                    self.before(*revoke, number) && !self.before(*revoke, *grant) && level > granted
                })
                && !self
                    .leaves(identity)
                    .iter()
                    .any(|leave| self.before(*leave, number) && !self.before(*leave, *grant))
        })
    }

    fn is_within_cuts(&self, number: usize, rank: Rank) -> bool {
        let commit = &self.commits[number].0;
        self.identities(&commit.writer.device, None).iter().all(|identity| {
            self.revokes(identity, rank).iter().all(|(_, revoke)| {
                let ControlOperation::Revoke(said) = &self.commits[*revoke].1 else { unreachable!() };
                let mut cuts = said
                    .cuts
                    .iter()
                    .filter(|cut| cut.plane == Plane::Control && cut.writer == commit.writer)
                    .peekable();
                if cuts.peek().is_some() {
                    return cuts.all(|cut| commit.sequence < cut.length);
                }
                self.begins_after_regrant(number, identity, *revoke, rank)
            })
        })
    }

    fn highest(&self, number: usize) -> Option<Rank> {
        RANKS.into_iter().find(|rank| self.acts(number, *rank))
    }

    /// The grants to `identity` by authors who acted above `rank`.
    fn grants(&self, identity: &IdentityId, rank: Rank) -> Vec<(Rank, usize)> {
        let above = self.above(rank);
        let made = self.all().filter_map(|number| match &self.commits[number].1 {
            ControlOperation::Grant(grant) if grant.genesis.id() == *identity => {
                let strong = above.iter().copied().find(|level| self.acts(number, *level))?;
                (grant.rank < strong).then_some((grant.rank, number))
            }
            _ => None,
        });
        made.collect()
    }

    /// The ranks that may grant and revoke, as far as they are above `rank`, from the top.
    fn above(&self, rank: Rank) -> Vec<Rank> {
        [Rank::Owner, Rank::Admin].into_iter().filter(|level| *level > rank).collect()
    }

    /// The effective revocations of `identity` by authors who acted above `rank`.
    fn revokes(&self, identity: &IdentityId, rank: Rank) -> Vec<(Rank, usize)> {
        let above = self.above(rank);
        let made = self.all().filter_map(|number| match &self.commits[number].1 {
            ControlOperation::Revoke(revoke) if revoke.identity == *identity && !self.is_owner(identity) => {
                let level = above.iter().copied().find(|level| self.acts(number, *level))?;
                let too_high = self.grants(identity, level).iter().any(|(granted, grant)| {
                    *granted >= level
                        && !self.before(number, *grant)
                        && !self
                            .revokes(identity, level)
                            .iter()
                            .any(|(higher, other)| higher > granted && !self.before(*other, *grant))
                        && !self.is_left(identity, *grant)
                });
                (!too_high).then_some((level, number))
            }
            _ => None,
        });
        made.collect()
    }

    /// Whether the identity left, and the grant was not made in knowledge of that.
    fn is_left(&self, identity: &IdentityId, grant: usize) -> bool {
        self.leaves(identity).iter().any(|leave| !self.before(*leave, grant))
    }

    /// The rank an identity has in the end.
    pub(super) fn rank(&self, identity: &IdentityId) -> Option<Rank> {
        if self.is_owner(identity) {
            return Some(Rank::Owner);
        }
        let revokes = self.revokes(identity, Rank::Relay);
        let grants = self.grants(identity, Rank::Relay).into_iter();
        let standing = grants.filter(|(granted, grant)| {
            !revokes.iter().any(|(level, revoke)| level > granted && !self.before(*revoke, *grant))
                && !self.is_left(identity, *grant)
        });
        standing.map(|(granted, _)| granted).max()
    }

    /// The dots of the commits that count.
    pub(super) fn effective(&self) -> BTreeSet<(tidewater_engine::id::WriterId, u64)> {
        let counts = |number: &usize| {
            let at_least = |rank: Rank| self.highest(*number).is_some_and(|highest| highest >= rank);
            match &self.commits[*number].1 {
                ControlOperation::Genesis(said) => said == self.genesis,
                ControlOperation::AddDevice { .. } => self.certified[*number]
                    .iter()
                    .any(|said| said.root.is_some() && self.stands(&said.identity, said.root, Some(*number))),
                ControlOperation::Grant(grant) => {
                    self.highest(*number).is_some_and(|rank| rank >= Rank::Admin && grant.rank < rank)
                }
                ControlOperation::Revoke(revoke) => {
                    self.revokes(&revoke.identity, Rank::Relay).iter().any(|(_, other)| other == number)
                }
                ControlOperation::Level(_) => at_least(Rank::Owner),
                ControlOperation::Label(_) => at_least(Rank::Admin),
                ControlOperation::Rotate(_) => at_least(Rank::Writer),
                ControlOperation::Wraps(_) => at_least(Rank::Reader),
                ControlOperation::RemoveDevice(_) => self.is_removal(*number),
                ControlOperation::Leave(leave) => self.leaves(&leave.identity).contains(number),
                ControlOperation::Fork(fork) => fork.verify(&self.genesis.space()),
            }
        };
        let commits = self.all().filter(counts).map(|number| &self.commits[number].0);
        commits.map(|commit| (commit.writer, commit.sequence)).collect()
    }
}

fn genuine(genesis: &IdentityGenesis, certificates: &[Certificate]) -> Vec<Said> {
    let identity = genesis.id();
    let genuine = certificates.iter().filter(|certificate| certificate.verify(genesis));
    let devices = genuine.map(|one| Said { device: one.device, identity, root: Some(one.root()) });
    let recovery = Said { device: genesis.recovery_device(), identity, root: None };
    devices.chain(genesis.verify().then_some(recovery)).collect()
}
