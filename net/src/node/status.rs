//! How a node and its peers are, for people and tests.

use std::collections::BTreeMap;
use std::time::Duration;

use tidewater_engine::id::DeviceId;
use tidewater_sync::PeerStatus;

use super::event::{Ending, Unreachable};
use super::traffic::Volume;
use crate::transport::{Addr, PathInfo};

/// The state of a node.
#[derive(Debug, Clone)]
pub struct NodeStatus {
    /// This device.
    pub device: DeviceId,
    /// Where it listens.
    pub listening: Vec<Addr>,
    /// Where others are told to dial it.
    pub advertised: Vec<Addr>,
    /// Every device that is connected, kept, or known to the database.
    pub peers: BTreeMap<DeviceId, NodePeer>,
}

/// The state of one peer.
#[derive(Debug, Clone, Default)]
pub struct NodePeer {
    /// Whether this node connects to it by itself.
    pub kept: bool,
    /// How it is reached, if it is.
    pub mode: ConnectionMode,
    /// Its connections, oldest first. Mostly one.
    pub connections: Vec<ConnectionStatus>,
    /// What is done to reach it.
    pub attempt: Attempt,
    /// Why it was last not reached or lost; none once a session is ready.
    pub last_error: Option<PeerError>,
    /// What is in sync with it, as far as anything was exchanged.
    pub sync: Option<PeerStatus>,
}

/// How a peer is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ConnectionMode {
    /// Not at all.
    #[default]
    Offline,
    /// Directly.
    P2p,
}

/// One connection.
#[derive(Debug, Clone)]
pub struct ConnectionStatus {
    /// The path it takes.
    pub path: PathInfo,
    /// Whether this side dialled.
    pub dialed: bool,
    /// Whether the session on it is past its hello.
    pub ready: bool,
    /// How long it is open.
    pub open_for: Duration,
    /// What came.
    pub received: Volume,
    /// What went.
    pub sent: Volume,
}

/// What is being done to reach a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Attempt {
    /// Nothing: it is connected, or not kept.
    #[default]
    None,
    /// Its addresses are being dialled.
    Dialing,
    /// It is dialled again after this time, or when the network changes.
    Waiting {
        /// The whole wait, from when it began.
        retry_in: Duration,
    },
}

/// Why a peer is not connected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerError {
    /// It could not be reached.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// Its last connection ended.
    #[error(transparent)]
    Ended(#[from] Ending),
}
