//! The evaluation, level by level.

use std::collections::{BTreeMap, BTreeSet};

use tidewater_engine::id::{DeviceId, EpochId, Incarnation, WriterId};
use tidewater_engine::log::Plane;
use tidewater_engine::space::{Authority, Cut, Rank};
use tidewater_engine::store::ControlCommit;

use super::certified::{Certified, removal_at};
use super::past::{History, Origin};
use super::{MemberState, Membership, Verdict};
use crate::identity::IdentityId;
use crate::keys::SealedNote;
use crate::space::{ControlOperation, CutRecord, EpochStart, Grant, Leave, OperationError, Revoke, SpaceGenesis};

/// What the control plane means: `genesis` is that of the space, `commits` are all applied control commits in any order.
pub(crate) fn evaluate(genesis: &SpaceGenesis, commits: &[ControlCommit]) -> Membership {
    let history = History::read(commits);
    let mut evaluation = Evaluation {
        certified: Certified::collect(genesis, &history),
        genesis,
        owners: genesis.owners.iter().map(|owner| owner.genesis.id()).collect(),
        authority: vec![None; history.len()],
        grants: BTreeMap::new(),
        revokes: BTreeMap::new(),
        leaves: BTreeMap::new(),
        history,
    };
    evaluation.collect_leaves();
    evaluation.owners_level();
    evaluation.admins_level();
    evaluation.members_level();
    evaluation.finish(genesis)
}

/// An effective grant: the rank it gives and where it was made.
#[derive(Debug, Clone, Copy)]
struct EffectiveGrant {
    rank: Rank,
    commit: usize,
}

/// An effective revocation: the rank its author acted with and where it was made.
#[derive(Debug, Clone, Copy)]
struct EffectiveRevoke {
    level: Rank,
    commit: usize,
}

struct Evaluation<'a> {
    genesis: &'a SpaceGenesis,
    history: History<'a>,
    certified: Certified,
    owners: BTreeSet<IdentityId>,
    /// The rank that each commit's author acted with, as far as decided.
    authority: Vec<Option<Rank>>,
    grants: BTreeMap<IdentityId, Vec<EffectiveGrant>>,
    revokes: BTreeMap<IdentityId, Vec<EffectiveRevoke>>,
    /// The commits by which each identity left.
    leaves: BTreeMap<IdentityId, Vec<usize>>,
}

impl Evaluation<'_> {
    /// Leaving needs no rank: it is decided by certificates alone, before any rank is.
    fn collect_leaves(&mut self) {
        for (number, operation) in self.history.operations() {
            if let ControlOperation::Leave(Leave { identity, .. }) = operation
                && !self.owners.contains(identity)
                && self.certified.belongs(number, identity, &self.history)
            {
                self.leaves.entry(*identity).or_default().push(number);
            }
        }
    }

    fn owners_level(&mut self) {
        let acting: Vec<usize> = (0..self.history.len())
            .filter(|number| self.identities_at(*number).any(|identity| self.owners.contains(&identity)))
            .collect();
        self.decide(&acting, Rank::Owner);
    }

    fn admins_level(&mut self) {
        let acting: Vec<usize> = self.undecided().filter(|number| self.acts_as(*number) >= Some(Rank::Admin)).collect();
        self.decide(&acting, Rank::Admin);
    }

    fn members_level(&mut self) {
        let acting: Vec<(usize, Rank)> =
            self.undecided().filter_map(|number| Some((number, self.acts_as(number)?))).collect();
        for (number, rank) in acting {
            self.authority[number] = Some(rank);
        }
    }

    fn undecided(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.history.len()).filter(|number| self.authority[*number].is_none())
    }

    /// Lets the commits of one level act on the ranks below it.
    fn decide(&mut self, acting: &[usize], level: Rank) {
        for &number in acting {
            self.authority[number] = Some(level);
            if let Ok(ControlOperation::Grant(grant)) = self.history.operation(number)
                && grant.rank < level
            {
                let (identity, grant) = (grant.genesis.id(), EffectiveGrant { rank: grant.rank, commit: number });
                self.grants.entry(identity).or_default().push(grant);
            }
        }
        // All revocations of a level are judged before any of them counts: equals don't act on each other.
        let effective: Vec<(IdentityId, EffectiveRevoke)> = acting
            .iter()
            .filter_map(|&number| match self.history.operation(number) {
                Ok(ControlOperation::Revoke(revoke)) if self.outranks(number, level, &revoke.identity) => {
                    Some((revoke.identity, EffectiveRevoke { level, commit: number }))
                }
                _ => None,
            })
            .collect();
        for (identity, revoke) in effective {
            self.revokes.entry(identity).or_default().push(revoke);
        }
    }

    /// Whether everything that `identity` was granted up to or beside the revocation `number` lies below `level`.
    fn outranks(&self, number: usize, level: Rank, identity: &IdentityId) -> bool {
        !self.owners.contains(identity)
            && !self.grants_of(identity).any(|grant| {
                grant.rank >= level
                    && !self.history.precedes(Origin::Commit(number), grant.commit)
                    && !self.is_revoked(identity, grant)
            })
    }

    fn grants_of(&self, identity: &IdentityId) -> impl Iterator<Item = EffectiveGrant> + use<'_> {
        self.grants.get(identity).into_iter().flatten().copied()
    }

    fn revokes_of(&self, identity: &IdentityId) -> impl Iterator<Item = EffectiveRevoke> + use<'_> {
        self.revokes.get(identity).into_iter().flatten().copied()
    }

    /// Whether `revoke` takes back `grant`: it does unless the grant was made in its knowledge, or reaches too high.
    fn takes_back(&self, revoke: EffectiveRevoke, grant: EffectiveGrant) -> bool {
        grant.rank < revoke.level && !self.history.precedes(Origin::Commit(revoke.commit), grant.commit)
    }

    fn is_revoked(&self, identity: &IdentityId, grant: EffectiveGrant) -> bool {
        self.revokes_of(identity).any(|revoke| self.takes_back(revoke, grant))
            || self.leaves_of(identity).any(|leave| !self.history.precedes(Origin::Commit(leave), grant.commit))
    }

    fn leaves_of(&self, identity: &IdentityId) -> impl Iterator<Item = usize> + use<'_> {
        self.leaves.get(identity).into_iter().flatten().copied()
    }

    /// Whether the identity had not left by the commit: each leave has the commit in its past, or an effective grant
    /// followed the leave before the commit's log began.
    fn is_before_leaves(&self, identity: &IdentityId, number: usize) -> bool {
        self.leaves_of(identity).all(|leave| {
            self.history.precedes(Origin::Commit(number), leave)
                || self.began_after_regrant(&self.history.commit(number).writer, identity, leave)
        })
    }

    /// The identities that the author of a commit was a device of by then.
    fn identities_at(&self, number: usize) -> impl Iterator<Item = IdentityId> + '_ {
        let ever = self.certified.identities(&self.history.commit(number).writer.device).iter();
        let ever = ever.map(|(identity, _)| *identity);
        ever.filter(move |identity| self.certified.belongs(number, identity, &self.history))
    }

    /// The highest rank below owner that the author of a commit can show, by the grants and revocations decided so far.
    fn acts_as(&self, number: usize) -> Option<Rank> {
        if !self.is_within_cuts(number) {
            return None;
        }
        self.identities_at(number)
            .filter(|identity| self.is_before_leaves(identity, number))
            .flat_map(|identity| self.grants_of(&identity).map(move |grant| (identity, grant)))
            .filter(|(identity, grant)| {
                let taken = self.revokes_of(identity).any(|revoke| {
                    self.takes_back(revoke, *grant) && self.history.precedes(Origin::Commit(revoke.commit), number)
                });
                self.history.precedes(Origin::Commit(grant.commit), number) && !taken
            })
            .map(|(_, grant)| grant.rank)
            .max()
    }

    /// Whether no revocation decided so far cuts the commit off.
    fn is_within_cuts(&self, number: usize) -> bool {
        let commit = self.history.commit(number);
        let mut identities = self.certified.identities(&commit.writer.device).iter();
        identities.all(|(identity, _)| {
            self.revokes_of(identity).all(|revoke| match self.control_cut(revoke, &commit.writer) {
                Some(length) => commit.sequence < length,
                None => self.began_after_regrant(&commit.writer, identity, revoke.commit),
            })
        })
    }

    fn grant_at(&self, number: usize) -> Option<&Grant> {
        match self.history.operation(number) {
            Ok(ControlOperation::Grant(grant)) => Some(grant),
            _ => None,
        }
    }

    fn revoke_at(&self, number: usize) -> Option<&Revoke> {
        match self.history.operation(number) {
            Ok(ControlOperation::Revoke(revoke)) => Some(revoke),
            _ => None,
        }
    }

    fn leave_at(&self, number: usize) -> Option<&Leave> {
        match self.history.operation(number) {
            Ok(ControlOperation::Leave(leave)) => Some(leave),
            _ => None,
        }
    }

    fn control_cut(&self, revoke: EffectiveRevoke, writer: &WriterId) -> Option<u64> {
        let cuts = &self.revoke_at(revoke.commit)?.cuts;
        let cuts = cuts.iter().filter(|cut| cut.plane == Plane::Control && cut.writer == *writer);
        cuts.map(|cut| cut.length).min()
    }

    /// Whether the writer's log began in the knowledge of a grant that was made in the knowledge of the commit `end`.
    fn began_after_regrant(&self, writer: &WriterId, identity: &IdentityId, end: usize) -> bool {
        self.history.first_of(writer).is_some_and(|first| {
            self.grants_of(identity).any(|grant| {
                self.history.precedes(Origin::Commit(end), grant.commit)
                    && self.history.precedes(Origin::Commit(grant.commit), first)
            })
        })
    }

    fn current_rank(&self, identity: &IdentityId) -> Option<Rank> {
        if self.owners.contains(identity) {
            return Some(Rank::Owner);
        }
        let standing = self.grants_of(identity).filter(|grant| !self.is_revoked(identity, *grant));
        standing.map(|grant| grant.rank).max()
    }

    fn finish(self, genesis: &SpaceGenesis) -> Membership {
        let identities = self.member_states(genesis);
        let raised = self.raised(genesis);
        let mut membership = Membership { raised: self.as_lengths(&raised), ..Membership::default() };
        for device in self.certified.devices() {
            membership.certified.insert(*device);
            let ranks = self.certified.identities_now(device).filter_map(|identity| identities.get(&identity)?.rank);
            if let Some(rank) = ranks.max() {
                membership.ranks.insert(*device, rank);
            }
            if let Some(authority) = self.data_authority(device, membership.rank(device)) {
                membership.devices.insert(*device, authority);
            }
        }
        membership.identities = identities;
        membership.verdicts = self.verdicts(&raised);
        self.collect_keys(genesis, &mut membership);
        membership.label = Some(self.label().unwrap_or_else(|| genesis.label.clone()));
        membership
    }

    fn member_states(&self, genesis: &SpaceGenesis) -> BTreeMap<IdentityId, MemberState> {
        let mut members = BTreeMap::new();
        for owner in &genesis.owners {
            let (identity, name) = (owner.genesis.id(), Some(owner.name.clone()));
            members.insert(identity, self.member_state(&identity, Some(Rank::Owner), name));
        }
        for identity in self.grants.keys().filter(|identity| !self.owners.contains(identity)) {
            // Commits are numbered in causal order: the last grant names the member.
            let last = self.grants_of(identity).map(|grant| grant.commit).max();
            let name = last.and_then(|number| self.grant_at(number)).map(|grant| grant.name.clone());
            members.insert(*identity, self.member_state(identity, self.current_rank(identity), name));
        }
        members
    }

    fn member_state(&self, identity: &IdentityId, rank: Option<Rank>, name: Option<SealedNote>) -> MemberState {
        let (devices, removed) = (self.certified.of(identity), self.certified.removed_by(identity));
        let (root, genesis) = (self.certified.root_of(identity), self.certified.genesis_of(identity));
        let left = rank.is_none() && self.leaves.contains_key(identity);
        MemberState { rank, left, name, devices, removed, root, genesis }
    }

    /// What the data logs of a device are worth.
    fn data_authority(&self, device: &DeviceId, rank: Option<Rank>) -> Option<Authority> {
        let identities = self.certified.identities(device);
        let ever = identities.iter().filter_map(|(identity, _)| {
            let granted = self.grants_of(identity).map(|grant| grant.rank).max();
            if self.owners.contains(identity) { Some(Rank::Owner) } else { granted }
        });
        let ever = ever.max()?;
        let mut cuts = BTreeMap::new();
        for (identity, _) in identities {
            for revoke in self.revokes_of(identity) {
                // A device of two identities keeps what the other one, out of the revocation's reach, allows.
                let mut others = identities.iter().filter(|(other, _)| other != identity);
                if !others.any(|(other, _)| self.current_rank(other) >= Some(revoke.level)) {
                    let listed = self.revoke_at(revoke.commit).map_or(&[][..], |revoke| &revoke.cuts);
                    add_data_cuts(listed, device, &mut cuts);
                }
            }
            let mut others = identities.iter().filter(|(other, _)| other != identity);
            if !others.any(|(other, _)| self.current_rank(other) >= Some(Rank::Writer)) {
                let leaves = self.leaves_of(identity).filter_map(|leave| self.leave_at(leave));
                leaves.for_each(|leave| add_data_cuts(&leave.cuts, device, &mut cuts));
            }
            for number in self.certified.removals(identity, device) {
                let mut others = self.certified.identities_now(device);
                let held = self.current_rank(identity);
                if !others.any(|other| self.current_rank(&other) >= held)
                    && let Some(removal) = removal_at(&self.history, *number)
                {
                    add_data_cuts(&removal.cuts, device, &mut cuts);
                }
            }
        }
        // A former writer who may now only read keeps what lay within its cuts: to data logs it is a removed device.
        let demoted = ever >= Rank::Writer && rank < Some(Rank::Writer);
        let closed = rank.is_none() || demoted;
        Some(Authority { now: rank, rank: if closed { ever } else { rank? }, cuts, closed })
    }

    /// What raises the feature level beyond what this software knows.
    fn raised(&self, genesis: &SpaceGenesis) -> Vec<Origin> {
        let newer = |level: u64| level > SpaceGenesis::FEATURE_LEVEL;
        let by_genesis = newer(genesis.feature_level).then_some(Origin::Genesis);
        let later = self.history.operations().filter(|(number, operation)| {
            matches!(operation, ControlOperation::Level(level) if newer(*level)) && self.counts(*number, operation)
        });
        by_genesis.into_iter().chain(later.map(|(number, _)| Origin::Commit(number))).collect()
    }

    /// Control logs, and how much of each holds the operation. What a genesis says, everything has seen.
    fn as_lengths(&self, origins: &[Origin]) -> Vec<(WriterId, u64)> {
        let length = |origin: &Origin| match origin {
            Origin::Genesis => (WriterId::from_bytes(&[0; WriterId::BYTES]), 0),
            Origin::Commit(number) => {
                let commit = self.history.commit(*number);
                (commit.writer, commit.sequence + 1)
            }
        };
        origins.iter().map(length).collect()
    }

    fn verdicts(&self, raised: &[Origin]) -> BTreeMap<(WriterId, u64), Verdict> {
        let may_be_newer = |number| raised.iter().any(|origin| self.history.precedes(*origin, number));
        let verdict = |number| match self.history.operation(number) {
            Err(OperationError::Unknown) if may_be_newer(number) => Verdict::Unknown,
            Err(OperationError::Unknown | OperationError::Malformed(_)) => Verdict::Malformed,
            Ok(operation) if self.counts(number, operation) => Verdict::Effective,
            Ok(_) => Verdict::Void,
        };
        let commits = (0..self.history.len()).map(|number| (self.history.commit(number), verdict(number)));
        commits.map(|(commit, verdict)| ((commit.writer, commit.sequence), verdict)).collect()
    }

    /// Whether the author's rank is enough for the operation; a genesis and a certificate vouch for themselves.
    fn counts(&self, number: usize, operation: &ControlOperation) -> bool {
        let rank = self.authority[number];
        match operation {
            ControlOperation::Genesis(genesis) => genesis == self.genesis,
            ControlOperation::AddDevice { .. } => self.certified.is_certificate(number),
            ControlOperation::RemoveDevice(removal) => self.certified.is_removal(number, removal),
            ControlOperation::Leave(leave) => self.leaves_of(&leave.identity).any(|effective| effective == number),
            ControlOperation::Grant(grant) => rank >= Some(Rank::Admin) && Some(grant.rank) < rank,
            ControlOperation::Revoke(revoke) => {
                self.revokes_of(&revoke.identity).any(|effective| effective.commit == number)
            }
            ControlOperation::Fork(fork) => fork.verify(&self.genesis.space()),
            ControlOperation::Level(_) => rank == Some(Rank::Owner),
            ControlOperation::Label(_) => rank >= Some(Rank::Admin),
            ControlOperation::Rotate(_) => rank >= Some(Rank::Writer),
            ControlOperation::Wraps(_) => rank >= Some(Rank::Reader),
        }
    }

    fn collect_keys(&self, genesis: &SpaceGenesis, membership: &mut Membership) {
        let mut recipients: BTreeMap<EpochId, BTreeSet<DeviceId>> = BTreeMap::new();
        // Every operation in a start's past counts up by one at most: so nobody takes the last number.
        let within_reach = |number: usize, start: &EpochStart| {
            let past = self.history.commit(number).past.total();
            start.number <= genesis.epoch.number.saturating_add(past).saturating_add(1)
        };
        let mut starts = vec![(&genesis.epoch, true)];
        for (number, operation) in self.history.operations() {
            let rank = self.authority[number];
            match operation {
                ControlOperation::Rotate(start) => {
                    starts.push((start, rank >= Some(Rank::Writer) && within_reach(number, start)));
                }
                ControlOperation::Revoke(revoke) => {
                    let counts = rank >= Some(Rank::Admin) && within_reach(number, &revoke.rotation);
                    starts.push((&revoke.rotation, counts));
                }
                ControlOperation::RemoveDevice(removal) => {
                    let counts = self.certified.is_removal(number, removal) && within_reach(number, &removal.rotation);
                    starts.push((&removal.rotation, counts));
                }
                ControlOperation::Grant(Grant { wraps, .. })
                | ControlOperation::AddDevice { wraps, .. }
                | ControlOperation::Wraps(wraps) => {
                    for wrap in wraps {
                        membership.wraps.push((wrap.epoch, wrap.device, wrap.wrapped));
                        if rank.is_some() {
                            recipients.entry(wrap.epoch).or_default().insert(wrap.device);
                        }
                    }
                }
                ControlOperation::Genesis(_)
                | ControlOperation::Label(_)
                | ControlOperation::Level(_)
                | ControlOperation::Fork(_)
                | ControlOperation::Leave(_) => {}
            }
        }
        for (start, counts) in starts {
            membership.wraps.extend(start.wraps.iter().map(|(device, wrapped)| (start.id, *device, *wrapped)));
            membership.older.extend(start.older.iter().map(|older| (older.id, older.sealed.clone())));
            if counts {
                let state = membership.epochs.entry((start.number, start.id)).or_default();
                state.recipients.extend(start.wraps.iter().map(|(device, _)| *device));
            }
        }
        for ((_, id), state) in &mut membership.epochs {
            state.recipients.extend(recipients.get(id).into_iter().flatten());
        }
    }

    /// The label that no other label knew of; of several, the one of the later clock, then of the greater writer.
    fn label(&self) -> Option<SealedNote> {
        let labels: Vec<(usize, &SealedNote)> = self
            .history
            .operations()
            .filter(|(number, operation)| self.counts(*number, operation))
            .filter_map(|(number, operation)| match operation {
                ControlOperation::Label(label) => Some((number, label)),
                _ => None,
            })
            .collect();
        let superseded =
            |number: usize| labels.iter().any(|(other, _)| self.history.precedes(Origin::Commit(number), *other));
        let standing = labels.iter().filter(|(number, _)| !superseded(*number));
        let winner = standing.max_by_key(|(number, _)| {
            let commit = self.history.commit(*number);
            (commit.timestamp_ms, commit.writer)
        });
        winner.map(|(_, label)| (*label).clone())
    }
}

/// Adds the cuts that are listed for the data logs of a device. Of several for one log the lowest counts.
fn add_data_cuts(listed: &[CutRecord], device: &DeviceId, cuts: &mut BTreeMap<Incarnation, Cut>) {
    if planted!(CutIgnored) {
        return;
    }
    for cut in listed.iter().filter(|cut| cut.plane == Plane::Data && cut.writer.device == *device) {
        let new = Cut { length: cut.length, root: cut.root };
        let lowest = cuts.entry(cut.writer.incarnation).or_insert(new);
        if (new.length, new.root) < (lowest.length, lowest.root) {
            *lowest = new;
        }
    }
}
