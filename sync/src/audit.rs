//! The audit trail of a space: its control logs, as people read them, and as a file that proves itself.
//!
//! Everything that decides who may do what in a space is said in its control plane, signed by whoever said it and judged
//! alike by every replica. The trail tells it in causal order, whatever it came to. Exported, it is verified without a
//! database: `docs/spec/audit.md`.

mod entry;
mod export;
mod fault;
mod format;
mod history;
#[cfg(test)]
mod tests;
mod verify;

pub use entry::{AuditAction, AuditEntry, AuditParty};
pub use export::AuditExported;
pub(crate) use export::export;
pub use fault::{AuditExportError, AuditFault, AuditFaultKind, AuditVerifyError};
pub(crate) use format::Start;
pub(crate) use history::Trail;
pub use verify::{AuditFinding, AuditMeaning, AuditReport, MAX_AUDIT_FINDINGS, verify_audit};
