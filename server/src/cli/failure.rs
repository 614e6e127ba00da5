//! Why a command failed: one clear line, what to do next, and the exit code.

use std::process::ExitCode;

use tidewater_engine::port::{ExportError, ImportError, ImportFault};
use tidewater_engine::store::{OpenError, ReadError, TransactionError, WriteError};
use tidewater_sync::{ContactError, DatabaseError, SpaceError};

use crate::fault::Fault;

/// What the process exits with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Code {
    Failed = 1,
    Usage = 2,
    NotFound = 3,
    InUse = 4,
    Damaged = 5,
    Forbidden = 6,
    Sealed = 7,
    Interrupted = 130,
}

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    /// One line; empty when there is nothing to say.
    pub(crate) message: String,
}

/// What a command comes to.
pub(crate) type Done<T = ()> = Result<T, Failure>;

impl Failure {
    pub(crate) fn new(code: Code, message: impl std::fmt::Display) -> Self {
        Self { code, message: message.to_string() }
    }

    pub(crate) fn usage(message: impl std::fmt::Display) -> Self {
        Self::new(Code::Usage, message)
    }

    pub(crate) fn not_found(message: impl std::fmt::Display) -> Self {
        Self::new(Code::NotFound, message)
    }

    pub(crate) fn failed(message: impl std::fmt::Display) -> Self {
        Self::new(Code::Failed, message)
    }

    /// Says it on standard error.
    pub(crate) fn report(&self) -> ExitCode {
        if !self.message.is_empty() {
            // Nothing is left to tell it to when standard error is closed too.
            let _ = std::io::Write::write_all(&mut std::io::stderr(), format!("tide: {}\n", self.message).as_bytes());
        }
        ExitCode::from(self.code as u8)
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        let code = match &error {
            OpenError::NotFound { .. } => Code::NotFound,
            OpenError::Locked { .. } => Code::InUse,
            OpenError::Foreign { .. }
            | OpenError::Newer { .. }
            | OpenError::Older { .. }
            | OpenError::Damaged { .. } => Code::Damaged,
            OpenError::Sealed { .. } | OpenError::WrongSeal { .. } | OpenError::NotSealed { .. } => Code::Sealed,
            _ => Code::Failed,
        };
        Self::new(code, error)
    }
}

impl From<DatabaseError> for Failure {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Open(error) => error.into(),
            DatabaseError::Space(error) => error.into(),
            other => Self::failed(other),
        }
    }
}

impl From<SpaceError> for Failure {
    fn from(error: SpaceError) -> Self {
        Self::new(Fault::from(&error).into(), error)
    }
}

impl From<ContactError> for Failure {
    fn from(error: ContactError) -> Self {
        Self::new(Fault::from(&error).into(), error)
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        Self::new(Fault::from(&error).into(), error)
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        Self::new(Fault::from(&error).into(), error)
    }
}

impl From<TransactionError<WriteError>> for Failure {
    fn from(error: TransactionError<WriteError>) -> Self {
        match error {
            TransactionError::Aborted(error) | TransactionError::Write(error) => error.into(),
        }
    }
}

impl From<ImportError> for Failure {
    fn from(error: ImportError) -> Self {
        let code = match &error.fault {
            ImportFault::Write(error) => Fault::from(error).into(),
            ImportFault::Cancelled => Code::Interrupted,
            _ => Code::Failed,
        };
        Self::new(code, error)
    }
}

impl From<ExportError> for Failure {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Read(error) => error.into(),
            ExportError::Io(error) => Self::output(&error),
            other => Self::failed(other),
        }
    }
}

impl Failure {
    /// Writing a result failed. A reader that has seen enough is no failure worth a word.
    pub(crate) fn output(error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Self::new(Code::Failed, ""),
            _ => Self::failed(format!("the output failed: {error}")),
        }
    }
}

impl From<Fault> for Code {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::NotFound | Fault::NoConflict => Self::NotFound,
            Fault::Forbidden => Self::Forbidden,
            Fault::Damaged => Self::Damaged,
            Fault::Query => Self::Usage,
            Fault::Exists
            | Fault::Schema
            | Fault::Input
            | Fault::TooLarge
            | Fault::Ambiguous
            | Fault::Unavailable
            | Fault::ConflictChanged
            | Fault::Storage => Self::Failed,
        }
    }
}

impl Code {
    /// The inverse of `code as u8`; what is unknown is a failure.
    pub(crate) fn from_byte(byte: u8) -> Self {
        let codes =
            [Self::Usage, Self::NotFound, Self::InUse, Self::Damaged, Self::Forbidden, Self::Sealed, Self::Interrupted];
        codes.into_iter().find(|code| *code as u8 == byte).unwrap_or(Self::Failed)
    }
}
