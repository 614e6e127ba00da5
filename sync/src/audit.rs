//! The audit trail of a space: its control logs, as people read them.
//!
//! Everything that decides who may do what in a space is said in its control plane, signed by whoever said it and judged
//! alike by every replica. The trail tells it in causal order, whatever it came to.

mod entry;
mod history;

pub use entry::{AuditAction, AuditEntry, AuditParty};
pub(crate) use history::Trail;
