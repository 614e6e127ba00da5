//! What a space's control plane means for the engine: who may write, with which keys.
//!
//! The engine never evaluates membership. `tidewater-sync` folds the control log into an [`EffectiveTable`] and hands
//! it over; the engine seals with it, opens with it, and refolds documents when it changes.

use std::collections::BTreeMap;
use std::fmt;

use zeroize::Zeroizing;

use crate::id::{DeviceId, EpochId, Incarnation, WriterId};
use crate::log::{EMPTY_ROOT, Plane, Prefix, VersionVector};

/// What a member may do, from least to most. Each rank includes those below it, but a relay reads nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Rank {
    /// Stores and forwards what it cannot read.
    Relay = 1,
    /// Reads.
    Reader = 2,
    /// Reads and writes documents.
    Writer = 3,
    /// Also changes schemas, and grants and revokes lower ranks.
    Admin = 4,
    /// Also grants and revokes admins. Fixed at genesis.
    Owner = 5,
}

impl Rank {
    /// The rank that encodes as `tag`.
    #[must_use]
    pub fn from_tag(tag: u8) -> Option<Self> {
        [Self::Relay, Self::Reader, Self::Writer, Self::Admin, Self::Owner].into_iter().find(|rank| *rank as u8 == tag)
    }
}

/// A key of 32 bytes that never shows in a log: `Debug` prints no byte of it, and it is wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey(Zeroizing<[u8; 32]>);

impl SecretKey {
    /// Takes over the bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes, for a cipher or a wrap.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// The id under which entries name this key: a hash that commits to it.
    #[must_use]
    pub fn epoch_id(&self) -> EpochId {
        EpochId(blake3::derive_key("tidewater 2026 epoch id v1", &*self.0))
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

/// How far a removed writer's log counts: entries from `length` on are void.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// How many entries count.
    pub length: u64,
    /// The root of that prefix.
    pub root: [u8; 32],
}

/// What one device may do in a space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// What its identity may do now; `None` once it was removed.
    pub now: Option<Rank>,
    /// The rank that its data logs are judged by: the one it has, or had until they were closed.
    pub rank: Rank,
    /// Cuts of data logs by incarnation.
    pub cuts: BTreeMap<Incarnation, Cut>,
    /// True when the device was removed, or may not write any more: incarnations that `cuts` does not list are cut at 0.
    pub closed: bool,
}

impl Authority {
    /// That of a device that was never removed.
    #[must_use]
    pub fn of(rank: Rank) -> Self {
        Self { now: Some(rank), rank, cuts: BTreeMap::new(), closed: false }
    }

    /// How many entries of the data log of `incarnation` count: `u64::MAX` when it is not cut.
    #[must_use]
    pub fn effective_length(&self, incarnation: Incarnation) -> u64 {
        match self.cuts.get(&incarnation) {
            Some(cut) => cut.length,
            None if self.closed => 0,
            None => u64::MAX,
        }
    }
}

/// The outcome of a space's control plane at one control vector.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EffectiveTable {
    /// The control vector it was evaluated at.
    pub control: VersionVector,
    /// Every device that has or had a rank.
    pub devices: BTreeMap<DeviceId, Authority>,
    /// Opens and seals control entries. Every member has it, relays too.
    pub control_key: Option<SecretKey>,
    /// The epoch keys this device holds.
    pub epochs: BTreeMap<EpochId, SecretKey>,
    /// The epoch to seal new data entries with. `None`: this device may not write, or must rotate first.
    pub write_epoch: Option<EpochId>,
    /// Where the space's feature level was raised beyond what this software knows: a control log, and how many of its entries
    /// tell of it. What was written in that knowledge may be of newer software and is not judged; everything else is
    /// within what this software knows.
    pub raised: Vec<(WriterId, u64)>,
    /// Logs of which there are several histories, and all that these have in common: nothing beyond counts.
    pub forks: BTreeMap<(Plane, WriterId), Prefix>,
    /// The space's name, for people.
    pub label: String,
}

impl EffectiveTable {
    /// How many entries of a log count: up to where it is forked, and for data up to its cut. `u64::MAX`: all. Control logs
    /// are judged entry by entry.
    #[must_use]
    pub fn effective_length(&self, plane: Plane, writer: &WriterId) -> u64 {
        let cut = match (plane, self.devices.get(&writer.device)) {
            (Plane::Control, _) | (_, None) => u64::MAX,
            (Plane::Data, Some(authority)) => authority.effective_length(writer.incarnation),
        };
        cut.min(self.fork_length(plane, writer))
    }

    /// How many entries the histories of a log have in common. `u64::MAX`: only one is known.
    #[must_use]
    pub fn fork_length(&self, plane: Plane, writer: &WriterId) -> u64 {
        self.forks.get(&(plane, *writer)).map_or(u64::MAX, |shared| shared.length)
    }

    /// A log as far as it counts, of which `held` is there.
    #[must_use]
    pub fn effective_prefix(&self, plane: Plane, writer: &WriterId, held: Prefix) -> Prefix {
        let length = self.effective_length(plane, writer);
        if held.length <= length {
            return held;
        }
        let fork = self.forks.get(&(plane, *writer)).filter(|shared| shared.length == length);
        let cut = self.devices.get(&writer.device).and_then(|authority| authority.cuts.get(&writer.incarnation));
        let root = fork.map(|shared| shared.root).or(cut.map(|cut| cut.root));
        Prefix { length, root: root.unwrap_or(EMPTY_ROOT) }
    }

    /// The rank of `device` as far as it has one now; a removed device has none.
    #[must_use]
    pub fn rank(&self, device: &DeviceId) -> Option<Rank> {
        self.devices.get(device)?.now
    }
}
