//! What can be wrong with an exported trail.

use std::fmt;
use std::io;

use tidewater_engine::id::{SpaceId, WriterId};
use tidewater_engine::log::HeaderError;
use tidewater_engine::log::run::RunError;
use tidewater_engine::store::ReadError;

use crate::database::SpaceError;

/// Why a trail could not be exported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditExportError {
    /// The space is not here.
    #[error(transparent)]
    Space(#[from] SpaceError),
    /// The database could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The space was joined, and nothing of it has come yet.
    #[error("nothing of space {space} has come yet; sync with another member first")]
    Empty {
        /// The space.
        space: SpaceId,
    },
    /// The output failed.
    #[error("the output failed: {0}")]
    Output(#[from] io::Error),
}

/// Why a file is not accepted as a trail.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditVerifyError {
    /// The input could not be read.
    #[error("the input failed: {0}")]
    Input(#[from] io::Error),
    /// It does not begin as an export does.
    #[error("this is no exported audit trail")]
    NotAnExport,
    /// It was written by newer software.
    #[error("the trail has format {version}, newer than this software reads; upgrade")]
    Newer {
        /// Its version.
        version: u8,
    },
    /// It is the trail of another space than the one that was asked for.
    #[error("this is the trail of space {found}, not of {expected}")]
    Foreign {
        /// Whose it is.
        found: SpaceId,
        /// Whose it should be.
        expected: SpaceId,
    },
    /// Something in it is not as it was signed.
    #[error("{0}")]
    Bad(AuditFault),
    /// The commits could not be evaluated in memory.
    #[error("the trail could not be evaluated: {why}")]
    Evaluation {
        /// What the store said.
        why: String,
    },
}

/// The first thing that is wrong in an exported trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditFault {
    /// In which log, and at which sequence, if it lies in one.
    pub entry: Option<(WriterId, u64)>,
    /// Where the record begins, in bytes from the start of the file.
    pub at: u64,
    /// What is wrong.
    pub kind: AuditFaultKind,
}

impl fmt::Display for AuditFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((writer, sequence)) = &self.entry {
            write!(f, "log {writer}, entry {sequence}: ")?;
        }
        write!(f, "{} (at byte {})", self.kind, self.at)
    }
}

/// What is wrong in an exported trail.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuditFaultKind {
    /// The file ends in the middle.
    #[error("the file was cut off")]
    Cut,
    /// The record's check does not fit what is there.
    #[error("it was changed after it was exported")]
    Altered,
    /// A record that may not stand there, or is not laid out as it should be.
    #[error("the layout is wrong: {0}")]
    Layout(&'static str),
    /// The genesis is not that of the space.
    #[error("the genesis is not that of the space: {0}")]
    Genesis(&'static str),
    /// The header is not one, or may not stand there.
    #[error("{0}")]
    Header(HeaderError),
    /// The entry does not go on with the commit before it.
    #[error("{0}")]
    Run(RunError),
    /// The body is another one.
    #[error("the body is not the one that was signed")]
    Body,
    /// The writer signed something else than the entries from this one to the next head.
    #[error("entries up to {last} are not those that the log's device signed")]
    Head {
        /// The sequence of the last entry that the signature is for.
        last: u64,
    },
    /// The control key is not the space's.
    #[error("no device that the genesis names begins its log with the genesis under this control key")]
    ControlKey,
    /// The exporter's signature is wrong.
    #[error("the exporting device signed another file")]
    Exporter,
    /// With a control key, more than a computer's memory should hold.
    #[error("more than {limit} bytes of entries; ask for an export without the control key")]
    TooLarge {
        /// The limit, in bytes.
        limit: u64,
    },
}

/// Where it is is filled in by who knows.
impl From<AuditFaultKind> for AuditVerifyError {
    fn from(kind: AuditFaultKind) -> Self {
        Self::Bad(AuditFault { entry: None, at: 0, kind })
    }
}
