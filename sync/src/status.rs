//! What is in sync with whom, and why not.

use std::collections::BTreeMap;

use tidewater_engine::id::{DeviceId, SpaceId};

use crate::identity::IdentityId;

/// The state of synchronisation with every known peer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SyncStatus {
    /// By device.
    pub peers: BTreeMap<DeviceId, PeerStatus>,
}

/// The state of synchronisation with one peer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PeerStatus {
    /// Whose device it is, as it proved in its hello.
    pub identity: Option<IdentityId>,
    /// Whether a session is open now.
    pub connected: bool,
    /// When the peer last had everything this device has in all common spaces, and the reverse, in milliseconds since 1970 UTC.
    pub last_success_ms: Option<i64>,
    /// What went wrong last since all was well, for people: why the session ended, or what one side didn't take.
    pub last_error: Option<String>,
    /// Common spaces. Empty when not connected since this database was opened.
    pub spaces: BTreeMap<SpaceId, SpaceStatus>,
}

/// The state of one space with one peer, both planes together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SpaceStatus {
    /// Entries that the peer has and this device lacks.
    pub behind_entries: u64,
    /// Entries that this device has and the peer lacks.
    pub ahead_entries: u64,
    /// Entries received from this peer since the session began.
    pub received_entries: u64,
    /// Entries sent to this peer since the session began.
    pub sent_entries: u64,
    /// Entries of the space that wait here for something they depend on.
    pub parked_entries: u64,
    /// Logs of the space that stopped because this device and the peer hold different branches of them.
    pub forked_logs: u64,
    /// When both last held the same, in milliseconds since 1970 UTC.
    pub last_success_ms: Option<i64>,
}
