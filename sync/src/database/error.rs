//! What can go wrong with identities, spaces and members.

use tidewater_engine::id::{DeviceId, SpaceId};
use tidewater_engine::space::Rank;
use tidewater_engine::store::{OpenError, ReadError, WriteError};

use super::offers::OfferState;
use crate::identity::{CardError, IdentityId};
use crate::ticket::OfferId;

/// Why a database could not be created or opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// The store did not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Making or reading identity or home space failed.
    #[error(transparent)]
    Space(#[from] SpaceError),
}

/// Why something about identities, spaces or members was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpaceError {
    /// The store failed.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A read failed.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The database has no identity.
    #[error("this database has no identity yet; make one, or link it with a ticket")]
    NoIdentity,
    /// The database has an identity.
    #[error("this database belongs to identity {identity} already")]
    HasIdentity {
        /// Whose it is.
        identity: IdentityId,
    },
    /// No such space here.
    #[error("no space {space} in this database")]
    UnknownSpace {
        /// The space.
        space: SpaceId,
    },
    /// This device's rank doesn't allow it.
    #[error("this needs rank {needed:?} in space {space}, this device has {}", held.map_or("none".into(), |rank| format!("{rank:?}")))]
    Forbidden {
        /// The space.
        space: SpaceId,
        /// The least rank that may.
        needed: Rank,
        /// The rank held.
        held: Option<Rank>,
    },
    /// Grants and revocations act strictly downward.
    #[error("{held:?} may only grant and revoke ranks below its own, not {rank:?}")]
    NotBelow {
        /// The rank that was to be granted or revoked.
        rank: Rank,
        /// The rank held.
        held: Rank,
    },
    /// The identity has no rank in the space.
    #[error("{identity} is no member of space {space}")]
    NoMember {
        /// The space.
        space: SpaceId,
        /// The identity.
        identity: IdentityId,
    },
    /// An owner stays: what a space means hangs on its owners.
    #[error("an owner can't leave space {space}; remove the others' ranks, or simply write no more")]
    OwnerStays {
        /// The space.
        space: SpaceId,
    },
    /// This identity has left.
    #[error("this identity has left space {space}; a member who knows of it can offer the space again")]
    Left {
        /// The space.
        space: SpaceId,
    },
    /// A space is forgotten once this device has no rank in it.
    #[error("this device has a rank in space {space}; leave it first, then forget it")]
    StillMember {
        /// The space.
        space: SpaceId,
    },
    /// Nobody knows yet that this identity left.
    #[error("no member has heard yet that this identity left space {space}; sync with one first, or forget it untold")]
    Untold {
        /// The space.
        space: SpaceId,
    },
    /// The space was forgotten since the database was opened.
    #[error("space {space} was forgotten; open the database again, then accept it")]
    Reopen {
        /// The space.
        space: SpaceId,
    },
    /// The identity card is not genuine.
    #[error(transparent)]
    Card(#[from] CardError),
    /// The space is for this identity's own devices.
    #[error("space {space} is private: it is for your own devices, and a hub may relay it; share another one")]
    Private {
        /// The space.
        space: SpaceId,
    },
    /// No such offer of a space waits here.
    #[error("no offer of space {space} waits here")]
    NoOffer {
        /// The space.
        space: SpaceId,
    },
    /// The offer of a space was accepted already.
    #[error("space {space} was accepted already; it comes once who offers it is reached, and can be left then")]
    Accepted {
        /// The space.
        space: SpaceId,
    },
    /// This device made no such offer, or has forgotten it since it was over.
    #[error("this device made no offer {offer}; list its offers")]
    NoSuchOffer {
        /// The offer.
        offer: OfferId,
    },
    /// The offer is over.
    #[error("offer {offer} is {} already; {}", state.name(), after(state))]
    OfferOver {
        /// The offer.
        offer: OfferId,
        /// What became of it.
        state: OfferState,
    },
    /// Only the device that holds the identity's root key can certify further devices.
    #[error("this device doesn't hold the identity's root key; make the ticket on the first device")]
    NoRootKey,
    /// The recovery words are not here: they were written down and forgotten, or another device made the identity.
    #[error(
        "this database doesn't keep the identity's recovery words any more, or never had them; they are where they were written down"
    )]
    NoWords,
    /// The words are not those of this identity.
    #[error("these are recovery words, but not those of this identity; compare each with what is shown")]
    OtherWords,
    /// No such device of this identity is known.
    #[error("{device} is no device of this identity; list its devices")]
    NoDevice {
        /// The device.
        device: DeviceId,
    },
    /// A device doesn't remove itself.
    #[error("this is the very device; remove it with another one of the identity, or with the recovery words")]
    OwnDevice,
    /// A name, label or list that is too long or empty.
    #[error("{why}")]
    Invalid {
        /// What is wrong and what is allowed.
        why: String,
    },
    /// A stored record of the database's own is damaged or of a newer version.
    #[error("local record {name} can't be read: {why}")]
    Record {
        /// Which.
        name: String,
        /// What is wrong.
        why: &'static str,
    },
}

/// What to do about an offer that is over.
fn after(state: &OfferState) -> &'static str {
    match state {
        OfferState::Used { .. } => "revoke the member's rank, or remove the device",
        _ => "make a new one",
    }
}
