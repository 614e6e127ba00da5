//! The audit trail in words, the same at every door.

use tidewater_engine::space::Rank;
use tidewater_sync::{AuditAction, AuditEntry, AuditParty, IdentityId};

use crate::graphql::rank_name;

/// How many digits stand for an id whose owner has no readable name.
const SHORT_DIGITS: usize = 12;

/// What an entry of the trail says.
pub(crate) struct Told {
    /// The action in one word; `unreadable` where it can't be read.
    pub(crate) action: &'static str,
    /// One sentence for people, without a subject.
    pub(crate) what: String,
    /// Whom it is about, if it is about one identity.
    pub(crate) subject: Option<IdentityId>,
    /// The rank that it gives, if it gives one.
    pub(crate) rank: Option<Rank>,
}

/// What an entry of the trail says.
pub(crate) fn told(entry: &AuditEntry) -> Told {
    let Some(action) = &entry.action else {
        return Told { action: "unreadable", what: "said what can't be read".to_owned(), subject: None, rank: None };
    };
    let what = match action {
        AuditAction::Genesis { owners, history_open } => {
            let owners: Vec<String> = owners.iter().map(shown).collect();
            let history = if *history_open { "open" } else { "closed" };
            format!("made the space; owned by {}, history {history} to newcomers", owners.join(", "))
        }
        AuditAction::Grant { to, rank, devices } => {
            format!(
                "gave {} rank {} ({})",
                shown(to),
                rank_name(*rank),
                counted(devices.len() as u64, "device", "devices")
            )
        }
        AuditAction::Revoke { from, cuts } => {
            format!("removed {} with {}, and started new keys", shown(from), counted(*cuts as u64, "cut", "cuts"))
        }
        AuditAction::AddDevice { of, device } => {
            format!("added device {} of {}", short(&device.to_string()), shown(of))
        }
        AuditAction::RemoveDevice { of, device, cuts } => {
            let device = short(&device.to_string());
            let cuts = counted(*cuts as u64, "cut", "cuts");
            format!("removed device {device} of {} with {cuts}, and started new keys", shown(of))
        }
        AuditAction::Leave { who, cuts } => {
            format!("{} left, with {}", shown(who), counted(*cuts as u64, "cut", "cuts"))
        }
        AuditAction::Rotate { epoch, recipients } => {
            format!("started epoch {epoch} for {}", counted(*recipients as u64, "device", "devices"))
        }
        AuditAction::Rename { label } if label.is_empty() => {
            "renamed the space; the name can't be read here".to_owned()
        }
        AuditAction::Rename { label } => format!("renamed the space to {label:?}"),
        AuditAction::Wraps { keys } => format!("passed on {}", counted(*keys as u64, "key", "keys")),
        AuditAction::Level { level } => format!("raised the feature level to {level}"),
        AuditAction::Fork { plane, writer, length } => {
            let (device, length) = (short(&writer.device.to_string()), counted(*length, "entry", "entries"));
            format!(
                "proved that device {device} wrote two {} logs, which share {length}; nothing beyond counts",
                plane.name()
            )
        }
        other => other.name().to_owned(),
    };
    let (subject, rank) = match action {
        AuditAction::Grant { to, rank, .. } => (Some(to.identity), Some(*rank)),
        AuditAction::Revoke { from: party, .. }
        | AuditAction::Leave { who: party, .. }
        | AuditAction::AddDevice { of: party, .. }
        | AuditAction::RemoveDevice { of: party, .. } => (Some(party.identity), None),
        _ => (None, None),
    };
    Told { action: action.name(), what, subject, rank }
}

/// An identity as people call it: its name, or the beginning of its id.
pub(crate) fn shown(party: &AuditParty) -> String {
    if party.name.is_empty() { short(&party.identity.to_string()) } else { party.name.clone() }
}

/// The beginning of an id.
pub(crate) fn short(id: &str) -> String {
    format!("{}…", &id[..SHORT_DIGITS.min(id.len())])
}

/// So many of something.
pub(crate) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
