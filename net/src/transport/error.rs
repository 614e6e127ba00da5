//! Why listening and dialling fail, and whether trying again can help.

use std::io;
use std::time::Duration;

use tidewater_engine::id::DeviceId;

use super::address::{Addr, AddrError};
use super::close::CloseReason;

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The address is malformed for this transport.
    #[error(transparent)]
    Address(#[from] AddrError),
    /// No transport of this node understands the scheme.
    #[error("no transport here understands {address}; known schemes: {known}")]
    Scheme {
        /// The address.
        address: Addr,
        /// What is understood, joined by commas.
        known: String,
    },
    /// Another program, or another listener of this one, has the address.
    #[error("{address} is already in use: choose another port, or port 0 for any free one")]
    InUse {
        /// The address.
        address: Addr,
    },
    /// The system does not give the address.
    #[error("cannot listen on {address}: {source}")]
    Io {
        /// The address.
        address: Addr,
        /// What the system says.
        source: io::Error,
    },
}

/// Why a dial failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// Trying again later may do.
    #[error("{address} cannot be reached now: {cause}")]
    Transient {
        /// Where.
        address: Addr,
        /// Why.
        cause: TransientCause,
    },
    /// Trying again will not help until something is changed.
    #[error("{address} cannot be used: {cause}")]
    Permanent {
        /// Where.
        address: Addr,
        /// Why.
        cause: PermanentCause,
    },
    /// Another device answers there. It has not learnt who asked.
    #[error(
        "{address} answers as device {found}, not as the expected {expected}: the address is out of date, or someone is in between"
    )]
    WrongPeer {
        /// Where.
        address: Addr,
        /// Who should have answered.
        expected: DeviceId,
        /// Who did.
        found: DeviceId,
    },
}

impl DialError {
    /// Whether trying again later, with nothing changed here, may do.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Transient { .. })
    }
}

/// Why a dial failed that may succeed later.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransientCause {
    /// Nothing is there, or nothing gets through.
    #[error("no answer within {} ms; is the device on, and is the port open?", .after.as_millis())]
    NoAnswer {
        /// How long was waited.
        after: Duration,
    },
    /// Nobody listens there.
    #[error("nobody listens there")]
    NotListening,
    /// The name does not resolve.
    #[error("the host name does not resolve: {text}")]
    NoSuchHost {
        /// What the resolver says.
        text: String,
    },
    /// The peer turned the connection away for now.
    #[error("the peer accepts no more connections at the moment")]
    Busy,
    /// The connection ended before it was made.
    #[error("{0}")]
    Closed(CloseReason),
    /// The system refuses, for example because there is no route.
    #[error("{text}")]
    System {
        /// What the system says.
        text: String,
    },
}

/// Why a dial failed that will fail again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PermanentCause {
    /// The address is malformed for this transport.
    #[error(transparent)]
    Address(#[from] AddrError),
    /// No transport of this node understands the scheme.
    #[error("no transport here understands it; known schemes: {known}")]
    Scheme {
        /// What is understood, joined by commas.
        known: String,
    },
    /// The peer's key is one that anybody can sign for.
    #[error("the peer's key is weak")]
    WeakKey,
    /// What answers does not speak this protocol, or an incompatible version.
    #[error("what answers there does not speak tidewater/1: {text}")]
    Protocol {
        /// What the handshake says.
        text: String,
    },
    /// The address leads back to this device.
    #[error("it leads back to this device")]
    Oneself,
}
