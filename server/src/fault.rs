//! What kind of thing went wrong, the same for every door: the command line makes exit codes of it, GraphQL makes codes.

use tidewater_engine::store::{ReadError, WriteError};
use tidewater_sync::{ContactError, SpaceError};

/// A kind of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    NotFound,
    Exists,
    Forbidden,
    Schema,
    Query,
    Input,
    TooLarge,
    Ambiguous,
    Unavailable,
    Damaged,
    Storage,
    /// There is no conflict to resolve.
    NoConflict,
    /// A conflict, or what a resolution left, is not what was seen.
    ConflictChanged,
}

impl From<&ReadError> for Fault {
    fn from(error: &ReadError) -> Self {
        match error {
            ReadError::Damaged { .. } | ReadError::DamagedPage { .. } => Self::Damaged,
            ReadError::UnknownSpace { .. } => Self::NotFound,
            ReadError::Ambiguous { .. } => Self::Ambiguous,
            ReadError::FieldUnavailable { .. } => Self::Unavailable,
            ReadError::Query { .. } => Self::Query,
            _ => Self::Storage,
        }
    }
}

impl From<&WriteError> for Fault {
    fn from(error: &WriteError) -> Self {
        match error {
            WriteError::Read(error) => error.into(),
            WriteError::NoHome | WriteError::TwoSpaces { .. } | WriteError::Invalid { .. } => Self::Input,
            WriteError::Forbidden { .. } => Self::Forbidden,
            WriteError::Exists { .. } => Self::Exists,
            WriteError::Missing { .. } | WriteError::UnknownSibling { .. } => Self::NotFound,
            WriteError::NoConflict { .. } | WriteError::NoResolution { .. } => Self::NoConflict,
            WriteError::ConflictChanged { .. } | WriteError::ChangedSince { .. } => Self::ConflictChanged,
            WriteError::Schema { .. } => Self::Schema,
            WriteError::TooLarge { .. } => Self::TooLarge,
            _ => Self::Storage,
        }
    }
}

impl From<&SpaceError> for Fault {
    fn from(error: &SpaceError) -> Self {
        match error {
            SpaceError::Write(error) => error.into(),
            SpaceError::Read(error) => error.into(),
            SpaceError::UnknownSpace { .. }
            | SpaceError::NoMember { .. }
            | SpaceError::NoDevice { .. }
            | SpaceError::NoSuchOffer { .. }
            | SpaceError::NoWords => Self::NotFound,
            SpaceError::Forbidden { .. }
            | SpaceError::NotBelow { .. }
            | SpaceError::NoRootKey
            | SpaceError::Private { .. }
            | SpaceError::OwnerStays { .. }
            | SpaceError::Left { .. } => Self::Forbidden,
            SpaceError::Untold { .. } => Self::Unavailable,
            SpaceError::Record { .. } => Self::Damaged,
            _ => Self::Input,
        }
    }
}

impl From<&ContactError> for Fault {
    fn from(error: &ContactError) -> Self {
        match error {
            ContactError::Space(error) => error.into(),
            ContactError::NoRequest { .. } | ContactError::NoContact { .. } | ContactError::NotBlocked { .. } => {
                Self::NotFound
            }
            ContactError::IsContact { .. } => Self::Exists,
            ContactError::IsBlocked { .. } | ContactError::WrongNumber { .. } => Self::Forbidden,
            _ => Self::Input,
        }
    }
}
