//! What `tide audit` takes.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::InSpace;

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// List the control commits of a space in causal order, with what became of each
    #[command(after_help = AUDIT_LIST_EXAMPLES)]
    List(AuditList),
    /// Write the control logs of a space, as they are signed and sealed, to a new file that proves itself
    #[command(after_help = AUDIT_EXPORT_EXAMPLES)]
    Export(AuditExport),
    /// Check a file that `tide audit export` wrote, without a database; names the first bad entry
    #[command(after_help = AUDIT_VERIFY_EXAMPLES)]
    Verify(AuditVerify),
    /// List what other devices fetched from this one, newest first
    #[command(after_help = AUDIT_ACCESS_EXAMPLES)]
    Access(AuditAccesses),
}

const AUDIT_LIST_EXAMPLES: &str = "\
Examples:
  tide audit list --db notes.db
  tide audit list --db notes.db --space 3f… --output ndjson

Times are what the writer's clock said; nothing rests on them. Verdicts: effective, void (the author's rank did not
allow it, or it contradicts what it was written after), malformed, unknown (of newer software).";

const AUDIT_EXPORT_EXAMPLES: &str = "\
Examples:
  tide audit export --db notes.db trail.tideaudit
  tide audit export --db notes.db --space 3f… --sealed trail.tideaudit

The file has the space's control key, unless --sealed: who reads it sees members, ranks and devices, as a relay does.
Names, labels and documents stay sealed. It is signed by this device, and has mode 0600.";

const AUDIT_VERIFY_EXAMPLES: &str = "\
Examples:
  tide audit verify trail.tideaudit
  tide audit verify --space 3f… --list --json trail.tideaudit

Fails with 5 at the first thing that was changed, named by log, sequence and byte; with 1 where entries say that
something was left out. What was left out at the end of a log, and nothing was written after, can't be seen.";

const AUDIT_ACCESS_EXAMPLES: &str = "\
Examples:
  tide audit access --db notes.db
  tide audit access --db notes.db --space 3f… --output ndjson

A record for each session, space and plane, of this device alone: what others passed on is in their logs. The last 4,096
are kept; counts of a session that goes on are a minute old at most.";

#[derive(Debug, Args)]
pub(crate) struct AuditAccesses {
    #[command(flatten)]
    pub(crate) space: InSpace,
    /// How many are listed at most
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) first: usize,
}

#[derive(Debug, Args)]
pub(crate) struct AuditExport {
    /// The file to make
    pub(crate) file: PathBuf,
    /// Leave the control key out: signatures, roots and order can be checked, and the meaning can't be read
    #[arg(long)]
    pub(crate) sealed: bool,
    #[command(flatten)]
    pub(crate) space: InSpace,
}

#[derive(Debug, Args)]
pub(crate) struct AuditVerify {
    /// The file
    pub(crate) file: PathBuf,
    /// The id of the space whose trail it has to be
    #[arg(long, value_name = "ID")]
    pub(crate) space: Option<String>,
    /// Also list every entry
    #[arg(long)]
    pub(crate) list: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AuditList {
    #[command(flatten)]
    pub(crate) space: InSpace,
    /// How many are listed at most
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) first: usize,
    /// Go on after the last one of an earlier list, by its cursor, which --json shows
    #[arg(long, value_name = "CURSOR")]
    pub(crate) after: Option<String>,
}
