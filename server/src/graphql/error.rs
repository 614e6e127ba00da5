//! Errors as GraphQL shows them: a sentence, and a code in `extensions`.

use async_graphql::{Error, ErrorExtensions};
use tidewater_engine::store::{ReadError, TransactionError, WriteError};
use tidewater_sync::SpaceError;

use super::lower::LowerError;
use crate::fault::Fault;

/// What went wrong, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    ParseFailed,
    ValidationFailed,
    BadInput,
    NotFound,
    AlreadyExists,
    Forbidden,
    SchemaViolation,
    Ambiguous,
    TypeMismatch,
    LimitExceeded,
    DeadlineExceeded,
    Overloaded,
    Damaged,
    StorageFailed,
    Unavailable,
    NoConflict,
    ConflictChanged,
}

impl Code {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::ParseFailed => "GRAPHQL_PARSE_FAILED",
            Self::ValidationFailed => "GRAPHQL_VALIDATION_FAILED",
            Self::BadInput => "BAD_USER_INPUT",
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::Forbidden => "FORBIDDEN",
            Self::SchemaViolation => "SCHEMA_VIOLATION",
            Self::Ambiguous => "AMBIGUOUS",
            Self::TypeMismatch => "TYPE_MISMATCH",
            Self::LimitExceeded => "LIMIT_EXCEEDED",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::Overloaded => "OVERLOADED",
            Self::Damaged => "DAMAGED",
            Self::StorageFailed => "STORAGE_FAILED",
            Self::Unavailable => "UNAVAILABLE",
            Self::NoConflict => "NO_CONFLICT",
            Self::ConflictChanged => "CONFLICT_CHANGED",
        }
    }

    /// An error with this code.
    pub(crate) fn error(self, message: impl std::fmt::Display) -> Error {
        Error::new(message.to_string()).extend_with(|_, extensions| extensions.set("code", self.as_str()))
    }
}

pub(crate) fn lowering(error: LowerError) -> Error {
    let code = match error {
        LowerError::Limit { .. } => Code::LimitExceeded,
        _ => Code::BadInput,
    };
    code.error(error)
}

pub(crate) fn read(error: ReadError) -> Error {
    Code::from(Fault::from(&error)).error(error)
}

pub(crate) fn write(error: WriteError) -> Error {
    Code::from(Fault::from(&error)).error(error)
}

pub(crate) fn transaction(error: TransactionError<WriteError>) -> Error {
    match error {
        TransactionError::Aborted(error) | TransactionError::Write(error) => write(error),
    }
}

pub(crate) fn space(error: SpaceError) -> Error {
    Code::from(Fault::from(&error)).error(error)
}

impl From<Fault> for Code {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::NotFound => Self::NotFound,
            Fault::Exists => Self::AlreadyExists,
            Fault::Forbidden => Self::Forbidden,
            Fault::Schema => Self::SchemaViolation,
            Fault::Query | Fault::Input => Self::BadInput,
            Fault::TooLarge => Self::LimitExceeded,
            Fault::Ambiguous => Self::Ambiguous,
            Fault::Unavailable => Self::Unavailable,
            Fault::Damaged => Self::Damaged,
            Fault::Storage => Self::StorageFailed,
            Fault::NoConflict => Self::NoConflict,
            Fault::ConflictChanged => Self::ConflictChanged,
        }
    }
}
