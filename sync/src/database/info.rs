//! What the database tells about spaces, members and peers.

use tidewater_engine::id::{DeviceId, SpaceId};
use tidewater_engine::log::Plane;
use tidewater_engine::space::Rank;

#[cfg(doc)]
use super::Database;
use crate::identity::IdentityId;

/// A space, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpaceInfo {
    /// Its id.
    pub space: SpaceId,
    /// Its label; empty when this device can't read it.
    pub label: String,
    /// Whether it is the home space.
    pub home: bool,
    /// Whether it is for the devices of this identity alone.
    pub private: bool,
    /// This device's rank; `None` once it was removed, or its identity left.
    pub rank: Option<Rank>,
    /// Whether this identity left. What was read until then is still here: see [`Database::forget_space`].
    pub left: bool,
    /// How many identities have a rank.
    pub members: usize,
}

/// A member of a space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub identity: IdentityId,
    /// The name it was granted under; empty when this device can't read it.
    pub name: String,
    /// Its rank.
    pub rank: Rank,
    /// Its devices.
    pub devices: Vec<MemberDevice>,
}

/// Whose a device is, as a space's control plane knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// Who.
    pub identity: IdentityId,
    /// The name it was granted under; empty when this device can't read it.
    pub name: String,
    /// Its rank; `None` once it was removed.
    pub rank: Option<Rank>,
}

/// A device of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberDevice {
    /// Its id.
    pub device: DeviceId,
    /// When its identity certified it, in milliseconds since 1970 UTC.
    pub certified_ms: i64,
}

/// A device this database knows how to reach, or was reached by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerRecord {
    /// The device.
    pub device: DeviceId,
    /// Whose it is, if it said so in a hello.
    pub identity: Option<IdentityId>,
    /// Where to dial it, best first.
    pub addresses: Vec<String>,
    /// When a session with it was last ready, in milliseconds since 1970 UTC.
    pub seen_ms: Option<i64>,
}

/// A space that another identity offers to this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpaceOffer {
    /// The space.
    pub space: SpaceId,
    /// Who offers it.
    pub from: IdentityId,
    /// When the offer came, in milliseconds since 1970 UTC.
    pub received_ms: i64,
    /// The rank that it promises. `None`: a rank was given already, which shows once the space is here.
    pub rank: Option<Rank>,
    /// From when on it is refused, by the clock of who made it, if it was not accepted.
    pub expires_ms: Option<i64>,
    /// Whether it was accepted, and who offers it has not answered yet.
    pub accepted: bool,
}

/// What another device fetched from this database in one session, of one space and plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditAccess {
    /// The device, as the transport proved it.
    pub device: DeviceId,
    /// Whose device it is, as it proved in its hello.
    pub identity: Option<IdentityId>,
    /// The space.
    pub space: SpaceId,
    /// Who may do what, or documents.
    pub plane: Plane,
    /// How many entries were sent.
    pub entries: u64,
    /// When the first was sent, in milliseconds since 1970 UTC.
    pub first_ms: i64,
    /// When the last was sent, in milliseconds since 1970 UTC.
    pub last_ms: i64,
}
