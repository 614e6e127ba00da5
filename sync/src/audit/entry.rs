//! What the trail tells about one control commit.

use tidewater_engine::id::{DeviceId, WriterId};
use tidewater_engine::log::{Place, Plane};
use tidewater_engine::space::Rank;

use crate::identity::IdentityId;
use crate::membership::Verdict;

/// One control commit of a space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Where its first entry stands: the log of the device that wrote it, and the sequence in it.
    pub place: Place,
    /// When, by the writer's own clock, in milliseconds since 1970 UTC. Nothing rests on it.
    pub claimed_ms: i64,
    /// Whose device wrote it. `None`: the control plane names no member with this device.
    pub author: Option<AuditParty>,
    /// What it says. `None`: it can't be read.
    pub action: Option<AuditAction>,
    /// What became of it, on every replica alike.
    pub verdict: Verdict,
    /// Why it counts for nothing, if so, for people.
    pub why: Option<String>,
}

/// An identity in the trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditParty {
    /// Who.
    pub identity: IdentityId,
    /// The name that the space knows it by; empty where it can't be read here.
    pub name: String,
}

/// What a control commit says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuditAction {
    /// The space was made.
    Genesis {
        /// Its owners, for ever.
        owners: Vec<AuditParty>,
        /// Whether newcomers can read what was written before them.
        history_open: bool,
    },
    /// An identity was given a rank.
    Grant {
        /// To whom.
        to: AuditParty,
        /// The rank.
        rank: Rank,
        /// The devices that the grant names.
        devices: Vec<DeviceId>,
    },
    /// An identity's ranks were taken, and new keys given to those who stay.
    Revoke {
        /// From whom.
        from: AuditParty,
        /// How many of its logs are kept up to a cut; whatever else its devices write counts for nothing.
        cuts: usize,
    },
    /// A further device of an identity was named.
    AddDevice {
        /// Whose.
        of: AuditParty,
        /// The device.
        device: DeviceId,
    },
    /// An identity removed a device of its own.
    RemoveDevice {
        /// Whose.
        of: AuditParty,
        /// The device.
        device: DeviceId,
        /// How many of its logs are kept up to a cut; whatever else it writes counts for nothing.
        cuts: usize,
    },
    /// An identity gave up its ranks.
    Leave {
        /// Who.
        who: AuditParty,
        /// How many of its data logs are kept up to a cut; whatever else its devices write counts for nothing.
        cuts: usize,
    },
    /// An epoch was started: what is written from then on is sealed under a new key.
    Rotate {
        /// The epoch's number.
        epoch: u64,
        /// How many devices were given the key.
        recipients: usize,
    },
    /// The space was renamed.
    Rename {
        /// The label; empty where it can't be read here.
        label: String,
    },
    /// Devices were given keys that an earlier commit, made without knowing of them, left out.
    Wraps {
        /// How many keys.
        keys: usize,
    },
    /// The feature level was raised.
    Level {
        /// To which.
        level: u64,
    },
    /// It was proved that there are several histories of a log: nothing that is not in all of them counts.
    Fork {
        /// The plane.
        plane: Plane,
        /// The log's owner.
        writer: WriterId,
        /// How many entries the histories have in common.
        length: u64,
    },
}

impl AuditAction {
    /// The action in one word, as programs are told it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Genesis { .. } => "genesis",
            Self::Grant { .. } => "grant",
            Self::Revoke { .. } => "revoke",
            Self::AddDevice { .. } => "add-device",
            Self::RemoveDevice { .. } => "remove-device",
            Self::Leave { .. } => "leave",
            Self::Rotate { .. } => "rotate",
            Self::Rename { .. } => "rename",
            Self::Wraps { .. } => "wraps",
            Self::Level { .. } => "level",
            Self::Fork { .. } => "fork",
        }
    }
}
