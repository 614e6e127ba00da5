//! From control commits and what they mean to the entries of the trail.

use std::collections::BTreeMap;

use tidewater_engine::id::{DeviceId, EpochId, SpaceId};
use tidewater_engine::log::{Place, Plane};
use tidewater_engine::space::SecretKey;
use tidewater_engine::store::{ControlRecord, VoidCommit, VoidReason};

use super::{AuditAction, AuditEntry, AuditParty};
use crate::codec::Malformed;
use crate::identity::IdentityId;
use crate::keys::{NotePurpose, SealedNote};
use crate::membership::{Membership, Verdict};
use crate::space::{ControlOperation, OperationError};

/// The control commits of a space in causal order: the same order on every replica that holds the same.
pub(crate) struct Trail<'a> {
    space: SpaceId,
    records: Vec<ControlRecord>,
    membership: &'a Membership,
    /// The keys that names and labels are read with.
    epochs: &'a BTreeMap<EpochId, SecretKey>,
    /// Whose device is which. Of two identities, the one of the higher rank.
    owners: BTreeMap<DeviceId, IdentityId>,
}

impl<'a> Trail<'a> {
    pub(crate) fn new(
        space: SpaceId,
        mut records: Vec<ControlRecord>,
        membership: &'a Membership,
        epochs: &'a BTreeMap<EpochId, SecretKey>,
    ) -> Self {
        // A commit's past is larger than the past of everything in it.
        records
            .sort_by_cached_key(|ControlRecord { commit, .. }| (commit.past.total(), commit.writer, commit.sequence));
        let mut members: Vec<_> = membership.identities.iter().collect();
        members.sort_by_key(|(identity, member)| (member.rank, *identity));
        let devices = members.into_iter().flat_map(|(identity, member)| {
            let recovery = member.genesis.map(|genesis| genesis.recovery_device());
            let devices = member.devices.keys().chain(&member.removed).copied().chain(recovery);
            devices.map(|device| (device, *identity)).collect::<Vec<_>>()
        });
        let owners = devices.collect();
        Self { space, records, membership, epochs, owners }
    }

    /// The number in the trail of the commit at `place`, if it is there.
    pub(crate) fn number_of(&self, place: &Place) -> Option<usize> {
        let at =
            |record: &ControlRecord| (record.commit.writer, record.commit.sequence) == (place.writer, place.sequence);
        self.records.iter().position(at)
    }

    /// Whose device it is, if the space names it.
    pub(crate) fn author(&self, device: &DeviceId) -> Option<AuditParty> {
        self.owners.get(device).map(|identity| self.party(identity))
    }

    /// At most `limit` entries from the one of that number on.
    pub(crate) fn entries(&self, from: usize, limit: usize) -> Vec<AuditEntry> {
        self.records.iter().skip(from).take(limit).map(|record| self.entry(record)).collect()
    }

    fn entry(&self, ControlRecord { commit, void }: &ControlRecord) -> AuditEntry {
        let place =
            Place { space: self.space, plane: Plane::Control, writer: commit.writer, sequence: commit.sequence };
        let operation = ControlOperation::read(&commit.body);
        let (verdict, why) = match (void, &operation) {
            (Some(VoidCommit { reason: VoidReason::Unreadable, why, .. }), _) => {
                (Verdict::Malformed, Some(why.clone()))
            }
            (Some(VoidCommit { why, .. }), _) => (Verdict::Void, Some(why.clone())),
            (None, operation) => self.judged(&place, operation),
        };
        let author = self.author(&commit.writer.device);
        let action = operation.ok().map(|operation| self.action(&operation));
        AuditEntry { place, claimed_ms: commit.timestamp_ms, author, action, verdict, why }
    }

    fn judged(&self, place: &Place, operation: &Result<ControlOperation, OperationError>) -> (Verdict, Option<String>) {
        let verdict = self.membership.verdicts.get(&(place.writer, place.sequence)).copied();
        let verdict = verdict.unwrap_or(Verdict::Unknown);
        let why = match (verdict, operation) {
            (Verdict::Effective, _) => return (verdict, None),
            (Verdict::Unknown, _) => "it is of newer software; upgrade to see what it means",
            (Verdict::Void, Ok(ControlOperation::AddDevice { .. } | ControlOperation::RemoveDevice(_))) => {
                "no root key that the identity had in use signed it"
            }
            (Verdict::Void, Ok(ControlOperation::Leave(_))) => {
                "an owner doesn't leave, and nobody says for another identity that it does"
            }
            (Verdict::Void, Ok(ControlOperation::Fork(_))) => "it proves no fork",
            (Verdict::Void, _) => "its author's rank did not allow it",
            (Verdict::Malformed, Err(OperationError::Malformed(Malformed(why)))) => why,
            (Verdict::Malformed, _) => "the space's feature level knows of no such operation",
        };
        (verdict, Some(why.to_owned()))
    }

    fn action(&self, operation: &ControlOperation) -> AuditAction {
        match operation {
            ControlOperation::Genesis(genesis) => {
                let owner = |founder: &crate::space::Founder| self.named(founder.genesis.id(), &founder.name);
                let owners = genesis.owners.iter().map(owner).collect();
                AuditAction::Genesis { owners, history_open: genesis.history_open }
            }
            ControlOperation::Grant(grant) => AuditAction::Grant {
                to: self.named(grant.genesis.id(), &grant.name),
                rank: grant.rank,
                devices: grant.certificates.iter().map(|certificate| certificate.device).collect(),
            },
            ControlOperation::Revoke(revoke) => {
                AuditAction::Revoke { from: self.party(&revoke.identity), cuts: revoke.cuts.len() }
            }
            ControlOperation::AddDevice { genesis, certificate, .. } => {
                AuditAction::AddDevice { of: self.party(&genesis.id()), device: certificate.device }
            }
            ControlOperation::RemoveDevice(removal) => AuditAction::RemoveDevice {
                of: self.party(&removal.genesis.id()),
                device: removal.device,
                cuts: removal.cuts.len(),
            },
            ControlOperation::Leave(leave) => {
                AuditAction::Leave { who: self.party(&leave.identity), cuts: leave.cuts.len() }
            }
            ControlOperation::Rotate(start) => {
                AuditAction::Rotate { epoch: start.number, recipients: start.wraps.len() }
            }
            ControlOperation::Label(label) => AuditAction::Rename { label: self.text(label, NotePurpose::Label) },
            ControlOperation::Wraps(wraps) => AuditAction::Wraps { keys: wraps.len() },
            ControlOperation::Level(level) => AuditAction::Level { level: *level },
            ControlOperation::Fork(fork) => {
                AuditAction::Fork { plane: fork.plane, writer: fork.writer, length: fork.shared.length }
            }
        }
    }

    fn party(&self, identity: &IdentityId) -> AuditParty {
        let member = self.membership.identities.get(identity);
        let name = member.map(|member| member.name(self.epochs)).unwrap_or_default();
        AuditParty { identity: *identity, name }
    }

    fn named(&self, identity: IdentityId, name: &SealedNote) -> AuditParty {
        AuditParty { identity, name: self.text(name, NotePurpose::Name) }
    }

    fn text(&self, note: &SealedNote, purpose: NotePurpose) -> String {
        note.read(self.epochs, purpose).unwrap_or_default()
    }
}
