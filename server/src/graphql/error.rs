//! Errors as GraphQL shows them: a sentence, and a code in `extensions`.

use async_graphql::{Error, ErrorExtensions};
use tidewater_engine::store::{ReadError, TransactionError, WriteError};
use tidewater_sync::SpaceError;

use super::lower::LowerError;

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
    read_code(&error).error(error)
}

pub(crate) fn write(error: WriteError) -> Error {
    write_code(&error).error(error)
}

pub(crate) fn transaction(error: TransactionError<WriteError>) -> Error {
    match error {
        TransactionError::Aborted(error) | TransactionError::Write(error) => write(error),
    }
}

pub(crate) fn space(error: SpaceError) -> Error {
    let code = match &error {
        SpaceError::Write(error) => write_code(error),
        SpaceError::Read(error) => read_code(error),
        SpaceError::UnknownSpace { .. } | SpaceError::NoMember { .. } => Code::NotFound,
        SpaceError::Forbidden { .. } | SpaceError::NotBelow { .. } | SpaceError::NoRootKey => Code::Forbidden,
        SpaceError::Record { .. } => Code::Damaged,
        _ => Code::BadInput,
    };
    code.error(error)
}

fn read_code(error: &ReadError) -> Code {
    match error {
        ReadError::Damaged { .. } => Code::Damaged,
        ReadError::UnknownSpace { .. } => Code::NotFound,
        ReadError::Ambiguous { .. } => Code::Ambiguous,
        ReadError::FieldUnavailable { .. } => Code::Unavailable,
        ReadError::Query { .. } => Code::BadInput,
        _ => Code::StorageFailed,
    }
}

fn write_code(error: &WriteError) -> Code {
    match error {
        WriteError::Read(error) => read_code(error),
        WriteError::NoHome | WriteError::TwoSpaces { .. } | WriteError::Invalid { .. } => Code::BadInput,
        WriteError::Forbidden { .. } => Code::Forbidden,
        WriteError::Exists { .. } => Code::AlreadyExists,
        WriteError::Missing { .. } => Code::NotFound,
        WriteError::Schema { .. } => Code::SchemaViolation,
        WriteError::TooLarge { .. } => Code::LimitExceeded,
        _ => Code::StorageFailed,
    }
}
