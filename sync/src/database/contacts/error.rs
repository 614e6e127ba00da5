//! What can go wrong with contacts.

use tidewater_engine::store::{ReadError, TransactionError, WriteError};

use crate::contacts::{ProfileError, Refusal};
use crate::database::SpaceError;
use crate::identity::IdentityId;

/// Why something about contacts was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContactError {
    /// The database failed, or has no identity.
    #[error(transparent)]
    Space(#[from] SpaceError),
    /// A profile that can't be said.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// No request of, or to, this identity waits.
    #[error("no request of or to {identity} waits; list the requests")]
    NoRequest {
        /// The identity.
        identity: IdentityId,
    },
    /// It is no contact.
    #[error("{identity} is no contact; ask it to become one")]
    NoContact {
        /// The identity.
        identity: IdentityId,
    },
    /// It is a contact already.
    #[error("{identity} is a contact already; remove it first")]
    IsContact {
        /// The identity.
        identity: IdentityId,
    },
    /// It is blocked.
    #[error("{identity} is blocked; unblock it first")]
    IsBlocked {
        /// The identity.
        identity: IdentityId,
    },
    /// It is not blocked.
    #[error("{identity} is not blocked")]
    NotBlocked {
        /// The identity.
        identity: IdentityId,
    },
    /// It is this identity itself.
    #[error("this is your own identity; ask another one")]
    Oneself,
    /// The number is not the one that belongs to the two identities.
    #[error(
        "this is not the number of you and {identity}: compare it again, face to face; if it stays so, somebody may stand between you"
    )]
    WrongNumber {
        /// The identity.
        identity: IdentityId,
    },
    /// A note or a list that is too long.
    #[error("{why}")]
    Invalid {
        /// What is wrong and what is allowed.
        why: String,
    },
}

impl ContactError {
    pub(super) fn refused(refusal: Refusal, identity: IdentityId) -> Self {
        match refusal {
            Refusal::NoRequest => Self::NoRequest { identity },
            Refusal::NoContact => Self::NoContact { identity },
            Refusal::IsContact => Self::IsContact { identity },
            Refusal::IsBlocked => Self::IsBlocked { identity },
            Refusal::NotBlocked => Self::NotBlocked { identity },
        }
    }
}

impl From<ReadError> for ContactError {
    fn from(error: ReadError) -> Self {
        Self::Space(error.into())
    }
}

impl From<WriteError> for ContactError {
    fn from(error: WriteError) -> Self {
        Self::Space(error.into())
    }
}

impl From<TransactionError<WriteError>> for ContactError {
    fn from(error: TransactionError<WriteError>) -> Self {
        match error {
            TransactionError::Aborted(error) | TransactionError::Write(error) => error.into(),
        }
    }
}
