//! Who may do what in a space: a pure function of its control commits.
//!
//! [`evaluate`] goes rank by rank from the top: owners first, whose authority nothing in the space can take; then admins,
//! whose authority only owners' operations decide; then everyone else. Grants and revocations act strictly downward, so
//! what one level decides depends on the levels above it alone, and one pass over each is enough. Neither the order in
//! which commits arrived nor any clock has a say. `docs/spec/membership.md` is the specification.

mod certified;
mod evaluation;
mod past;
mod table;

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod random_histories;
#[cfg(test)]
mod rules;

use std::collections::{BTreeMap, BTreeSet};

pub(crate) use evaluation::evaluate;
pub(crate) use table::{effective_table, held_epochs};
use tidewater_engine::id::{DeviceId, EpochId, WriterId};
use tidewater_engine::space::{Authority, Rank, SecretKey};

use crate::identity::{Certificate, IdentityGenesis, IdentityId, RootOrder};
use crate::keys::{NotePurpose, SealedNote, Wrapped};

/// What the control plane of a space means.
#[derive(Debug, Clone, Default)]
pub(crate) struct Membership {
    /// Every identity that has or had a rank.
    pub(crate) identities: BTreeMap<IdentityId, MemberState>,
    /// Every device that has or had a rank, as the engine wants it for data logs.
    pub(crate) devices: BTreeMap<DeviceId, Authority>,
    /// The rank that every device has now. Removed devices have none.
    pub(crate) ranks: BTreeMap<DeviceId, Rank>,
    /// Every device that some certificate in the control plane names, with a rank or without.
    pub(crate) certified: BTreeSet<DeviceId>,
    /// The epochs that were started with authority.
    pub(crate) epochs: BTreeMap<(u64, EpochId), EpochState>,
    /// Every wrapped epoch key in the control plane. The epoch id proves a key, so these need no authority.
    pub(crate) wraps: Vec<(EpochId, DeviceId, Wrapped)>,
    /// Older epoch keys sealed under newer ones: the older epoch and the note.
    pub(crate) older: Vec<(EpochId, SealedNote)>,
    /// The space's label.
    pub(crate) label: Option<SealedNote>,
    /// Where the feature level was raised beyond what this software knows: control logs, and how much of each tells of it.
    pub(crate) raised: Vec<(WriterId, u64)>,
    /// What became of each commit, by its dot.
    pub(crate) verdicts: BTreeMap<(WriterId, u64), Verdict>,
}

/// An identity in a space.
#[derive(Debug, Clone)]
pub(crate) struct MemberState {
    /// `None`: it was removed, or left.
    pub(crate) rank: Option<Rank>,
    /// It left, and was not granted a rank since.
    pub(crate) left: bool,
    pub(crate) name: Option<SealedNote>,
    /// The latest certificate of each of its devices.
    pub(crate) devices: BTreeMap<DeviceId, Certificate>,
    /// Devices that it removed. They never come back.
    pub(crate) removed: BTreeSet<DeviceId>,
    /// The newest of its root keys that the control plane shows.
    pub(crate) root: RootOrder,
    /// Its genesis, if its recovery key agreed to it: that key is a device whose secrets are on paper.
    pub(crate) genesis: Option<IdentityGenesis>,
}

/// A device and its X25519 key.
pub(crate) type Recipient = (DeviceId, [u8; 32]);

impl MemberState {
    /// The name it was granted under; empty where none of the keys opens it.
    pub(crate) fn name(&self, epochs: &BTreeMap<EpochId, SecretKey>) -> String {
        self.name.as_ref().and_then(|note| note.read(epochs, NotePurpose::Name)).unwrap_or_default()
    }

    /// Whether the device is, or was, one of the member's, or its recovery key.
    pub(crate) fn ever_had(&self, device: &DeviceId) -> bool {
        self.removed.contains(device) || self.recipients().any(|(recipient, _)| recipient == *device)
    }

    /// Everything that gets the keys which the member may have: its devices, and its recovery key.
    pub(crate) fn recipients(&self) -> impl Iterator<Item = Recipient> {
        let devices = self.devices.values().map(|certificate| (certificate.device, certificate.agreement));
        let recovery = self.genesis.map(|genesis| (genesis.recovery_device(), genesis.recovery_agreement));
        devices.chain(recovery)
    }
}

/// An epoch.
#[derive(Debug, Clone, Default)]
pub(crate) struct EpochState {
    /// The devices that were given its key with authority.
    pub(crate) recipients: BTreeSet<DeviceId>,
}

/// What became of a control commit, on every replica alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It counts.
    Effective,
    /// Its author lacked the authority: it is kept and doesn't count.
    Void,
    /// It is not well-formed, on any replica.
    Malformed,
    /// It is of newer software, by its feature level: this replica can't tell what it means.
    Unknown,
}

impl Verdict {
    /// The verdict in one word, as programs are told it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Effective => "effective",
            Self::Void => "void",
            Self::Malformed => "malformed",
            Self::Unknown => "unknown",
        }
    }
}

impl Membership {
    /// Whether the space is of newer software, so that this replica may not write to it.
    pub(crate) fn needs_upgrade(&self) -> bool {
        !self.raised.is_empty()
    }

    /// The rank of a device, if it has one now.
    pub(crate) fn rank(&self, device: &DeviceId) -> Option<Rank> {
        self.ranks.get(device).copied()
    }

    /// The devices that may read, with their X25519 keys.
    pub(crate) fn readers(&self) -> BTreeMap<DeviceId, [u8; 32]> {
        let members = self.identities.values().filter(|member| member.rank >= Some(Rank::Reader));
        members.flat_map(MemberState::recipients).collect()
    }

    /// The X25519 key of a device of any identity that has or had a rank.
    pub(crate) fn agreement(&self, device: &DeviceId) -> Option<[u8; 32]> {
        let mut recipients = self.identities.values().flat_map(MemberState::recipients);
        recipients.find(|(recipient, _)| recipient == device).map(|(_, agreement)| agreement)
    }

    /// The epochs whose keys a device was given: with authority, or sealed under such a one.
    pub(crate) fn epochs_given(&self, device: &DeviceId) -> BTreeSet<EpochId> {
        let mut given = BTreeSet::new();
        for ((_, id), _) in self.epochs.iter().filter(|(_, epoch)| epoch.recipients.contains(device)) {
            self.extend_reach(&mut given, *id);
        }
        given
    }

    /// The epochs that the control plane tells of, with authority or without.
    pub(crate) fn named_epochs(&self) -> impl Iterator<Item = EpochId> + '_ {
        let started = self.epochs.keys().map(|(_, epoch)| *epoch);
        let wrapped = self.wraps.iter().map(|(epoch, _, _)| *epoch);
        started.chain(wrapped).chain(self.older.iter().map(|(epoch, _)| *epoch))
    }

    /// Adds an epoch and those that its key leads to.
    pub(crate) fn extend_reach(&self, reach: &mut BTreeSet<EpochId>, epoch: EpochId) {
        let mut next = vec![epoch];
        while let Some(epoch) = next.pop() {
            if reach.insert(epoch) {
                next.extend(self.older.iter().filter(|(_, note)| note.epoch == epoch).map(|(id, _)| *id));
            }
        }
    }

    /// The epoch to write with: the highest whose recipients are all still readers.
    pub(crate) fn write_epoch(&self) -> Option<EpochId> {
        let readers = self.readers();
        let usable = |state: &EpochState| state.recipients.iter().all(|device| readers.contains_key(device));
        self.epochs.iter().rev().find(|(_, state)| usable(state)).map(|((_, id), _)| *id)
    }
}
