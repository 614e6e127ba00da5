//! What a node tells whoever listens.

use std::time::Duration;

use tidewater_engine::id::DeviceId;
use tidewater_sync::{SessionError, SessionEvent};
use tokio::sync::broadcast;

use super::frames::FrameError;
use crate::transport::{Addr, CloseCode, CloseReason, DialError, PathInfo};

/// Events that a slow listener may be behind; older ones are dropped and counted.
pub(super) const EVENT_BACKLOG: usize = 1024;

/// Something happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NodeEvent {
    /// A connection was made, and a session on it begins.
    Connected {
        /// To this device.
        device: DeviceId,
        /// How it is reached.
        path: PathInfo,
        /// Whether this side dialled.
        dialed: bool,
    },
    /// A session told something: that it is ready, how far it is, that someone joined.
    Session {
        /// With this device.
        device: DeviceId,
        /// What.
        event: SessionEvent,
    },
    /// A connection ended.
    Disconnected {
        /// To this device.
        device: DeviceId,
        /// Why.
        why: Ending,
    },
    /// A kept peer could not be reached.
    Unreachable {
        /// This device.
        device: DeviceId,
        /// Why not.
        error: Unreachable,
        /// When it is tried again, if the network does not change before.
        retry_in: Duration,
    },
    /// An address that was listened on is gone; restart the node to listen again.
    ListenerLost {
        /// The address.
        address: Addr,
    },
    /// This listener was too slow and missed events: read the status anew.
    Missed {
        /// How many.
        count: u64,
    },
}

/// Why a peer could not be reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unreachable {
    /// No address of it is known.
    #[error("no address of device {device} is known; connect to it with one, or let it call")]
    NoAddress {
        /// The device.
        device: DeviceId,
    },
    /// Dialling failed. Of several addresses, this is the failure most likely to pass.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The connection was made, and this node's limits leave no room for it.
    #[error("this node has as many connections as it may; raise max_connections or disconnect another peer")]
    Full,
}

impl Unreachable {
    /// Whether trying again later, with nothing changed here, may do.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Dial(error) => error.is_transient(),
            Self::NoAddress { .. } | Self::Full => true,
        }
    }
}

/// Why a connection to a peer ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Ending {
    /// This node was shut down.
    #[error("this node was shut down")]
    Stopped,
    /// The peer ended the session in good order, for example because it shuts down.
    #[error("the peer ended the session")]
    Left,
    /// The connection was closed or lost.
    #[error(transparent)]
    Closed(#[from] CloseReason),
    /// The session ended.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The peer sent what is no frame.
    #[error(transparent)]
    Frames(#[from] FrameError),
    /// The session panicked: a bug here, not at the peer.
    #[error("the session failed in this program; its log says where")]
    Failed,
}

impl Ending {
    /// Whether trying again later, with nothing changed here, may do.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Session(error) => error.is_transient(),
            Self::Closed(CloseReason::Peer { code, .. }) => !matches!(code, CloseCode::Refused | CloseCode::Protocol),
            Self::Frames(FrameError::Stream { .. } | FrameError::Truncated) => true,
            Self::Stopped | Self::Left | Self::Closed(_) => true,
            Self::Frames(_) | Self::Failed => false,
        }
    }

    /// Whether another connection took this one's place.
    #[must_use]
    pub fn is_replaced(&self) -> bool {
        matches!(
            self,
            Self::Closed(
                CloseReason::Local { code: CloseCode::Duplicate, .. }
                    | CloseReason::Peer { code: CloseCode::Duplicate, .. }
            )
        )
    }
}

/// The events of a node, from the moment it was asked for.
#[derive(Debug)]
pub struct Events {
    receiver: broadcast::Receiver<NodeEvent>,
}

impl Events {
    pub(super) fn new(receiver: broadcast::Receiver<NodeEvent>) -> Self {
        Self { receiver }
    }

    /// The next event; `None` once the node is gone. Cancel-safe.
    pub async fn next(&mut self) -> Option<NodeEvent> {
        match self.receiver.recv().await {
            Ok(event) => Some(event),
            Err(broadcast::error::RecvError::Lagged(count)) => Some(NodeEvent::Missed { count }),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}
