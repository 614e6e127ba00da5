//! What goes into a session and what comes out.

use tidewater_engine::id::{DeviceId, SpaceId, WriterId};
use tidewater_engine::log::Plane;

#[cfg(doc)]
use crate::database::Database;
use crate::identity::IdentityId;
use crate::ticket::{OfferId, Ticket};

/// Which side opened the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The side that dialled.
    Dialer,
    /// The side that was dialled.
    Acceptor,
}

/// What a session is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// To sync the spaces both are in. An acceptor always says this.
    Member,
    /// To join with a ticket first, and then to sync.
    Join(Box<Ticket>),
}

/// How a session is set up.
#[derive(Debug, Clone)]
pub struct SessionConfig {
    /// Which side this is.
    pub role: Role,
    /// The other device, as the transport proved it.
    pub remote: DeviceId,
    /// What ties the session to its channel: equal on both sides, and different on every other channel (a TLS exporter).
    pub binding: [u8; 32],
    /// What it is for.
    pub purpose: Purpose,
    /// Where this device can be dialled; told only to devices that share a space with this one.
    pub addresses: Vec<String>,
    /// How often the vectors are compared even though nothing seems to be missing, in milliseconds.
    pub anti_entropy_ms: i64,
}

/// What a session is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// One frame of the other side, whole and in order.
    Frame(Vec<u8>),
    /// A durable change was reported by the store. One for many changes is enough.
    StoreChanged,
    /// The time of the last [`Output::WakeAt`] has come.
    Tick,
}

/// What a session asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// Send this frame; at most [`super::MAX_FRAME_BYTES`].
    Frame(Vec<u8>),
    /// Something happened that others may want to know.
    Event(SessionEvent),
    /// Hand in [`Input::Tick`] at this time (milliseconds, the clock of `now_ms`). It replaces every earlier one.
    WakeAt(i64),
    /// The session is over: close the connection after the frames before this. Nothing follows.
    Close(SessionError),
}

/// What happened in a session.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionEvent {
    /// The hello was exchanged and proven.
    Ready {
        /// Whose device it is, as it proved; `None` for a device that belongs to no identity yet.
        identity: Option<IdentityId>,
    },
    /// A ticket was honoured: this device joined.
    Joined {
        /// The spaces that came with it.
        spaces: Vec<SpaceId>,
    },
    /// The other device joined with a ticket of ours.
    Admitted {
        /// Its identity.
        identity: IdentityId,
    },
    /// How far receiving has come in a space; once a batch at most.
    Progress {
        /// The space.
        space: SpaceId,
        /// Entries received in this session.
        received: u64,
        /// Entries that the other side had and this one lacked since the session began.
        expected: u64,
    },
    /// Another identity gave this one a rank in a space, or offers one; it waits for a decision: see [`Database::space_offers`].
    Offered {
        /// The space.
        space: SpaceId,
    },
    /// Something between this identity and the other side's, about being contacts.
    Contact {
        /// The other side's identity.
        identity: IdentityId,
        /// What.
        news: ContactNews,
    },
    /// The identity that an offer of this device is for turned it down.
    OfferDeclined {
        /// The offer.
        offer: OfferId,
    },
    /// An offer that was accepted here is over: it was taken back, or has expired. Ask for a new one.
    OfferRefused {
        /// The space.
        space: SpaceId,
    },
    /// Both sides hold the same in this space, as far as each told the other.
    InSync {
        /// The space.
        space: SpaceId,
    },
    /// The two sides hold different branches of one log. That log is not exchanged any more in this session; all others are.
    Forked {
        /// The space.
        space: SpaceId,
        /// The plane.
        plane: Plane,
        /// Whose log.
        writer: WriterId,
        /// A length at which the roots differ.
        length: u64,
    },
    /// The other device holds what this one said when it left a space: see [`Database::leave`].
    LeaveHeard {
        /// The space.
        space: SpaceId,
    },
    /// The other device has lost, or never had, a rank in a space that was exchanged until now, or this one left it.
    SpaceClosed {
        /// The space.
        space: SpaceId,
    },
}

/// What happened between two identities, about being contacts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ContactNews {
    /// This identity's request is on its way: see [`Database::request_contact`].
    Requested,
    /// The other side asks; it waits for a decision: see [`Database::contact_requests`].
    Asked,
    /// Both are contacts.
    Accepted,
    /// The other side said no.
    Rejected,
    /// The other side took its request back.
    Withdrawn,
    /// The other side's profile came, or changed.
    Refreshed,
}

/// Why a session ended. The doc of each says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The other side doesn't follow the protocol. Trying again at once will not help.
    #[error("the peer broke the protocol: {why}")]
    Protocol {
        /// What it did.
        why: String,
    },
    /// There is no version of the protocol that both speak. Upgrade the older one.
    #[error("no common protocol version: this side speaks {ours}, the peer {theirs}; upgrade the older one")]
    Version {
        /// The newest of this side.
        ours: u16,
        /// The newest of the peer.
        theirs: u16,
    },
    /// The hello does not prove what it claims.
    #[error("the peer's hello is not proven: {why}")]
    Unproven {
        /// What is wrong with it.
        why: &'static str,
    },
    /// The ticket was not honoured.
    #[error("the ticket was not honoured: {0}")]
    Ticket(TicketRefusal),
    /// The other side fell silent in the middle of the hello. Try again later.
    #[error("the peer did not answer within {waited_ms} ms")]
    Silent {
        /// How long this side waited.
        waited_ms: i64,
    },
    /// The other side closed the session and said why.
    #[error("the peer closed the session: {why}")]
    ClosedByPeer {
        /// What it said, cut to 200 characters.
        why: String,
    },
    /// The local store failed.
    #[error("the local store failed: {why}")]
    Store {
        /// What it said.
        why: String,
    },
}

impl SessionError {
    /// Whether another attempt can succeed with nothing changed on either side.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Silent { .. } | Self::ClosedByPeer { .. } | Self::Store { .. })
    }
}

/// Why an inviter didn't honour a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TicketRefusal {
    /// It expired, was used already, was withdrawn or never existed: the inviter doesn't say which.
    #[error("it has expired or was used already; ask for a new one")]
    Spent,
    /// This database belongs to an identity already, and the ticket is for a device without one.
    #[error("this database belongs to an identity already; link with a new database")]
    HasIdentity,
    /// The ticket is for an identity, and this database has none yet.
    #[error("this database has no identity yet; make one first")]
    NeedsIdentity,
    /// The ticket was made by this identity itself.
    #[error("the ticket was made by this identity itself; use a link ticket for a further device")]
    OwnTicket,
}
