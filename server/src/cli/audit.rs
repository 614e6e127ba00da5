//! The audit trail: who gave whom which rank, and what became of it.

use serde_json::{Value as Json, json};
use tidewater_sync::AuditEntry;

use super::arguments::{AuditCommand, AuditList};
use super::context::Context;
use super::failure::{Done, Failure};
use super::sharing::rank_name;
use crate::audit::{short, shown, told};
use crate::graphql::{self, place_cursor};

pub(crate) fn audit(context: &mut Context, command: &AuditCommand) -> Done {
    match command {
        AuditCommand::List(wanted) => list(context, wanted),
    }
}

fn list(context: &mut Context, wanted: &AuditList) -> Done {
    let space = context.space_or_home(&wanted.space)?;
    let after = wanted.after.as_ref().map(|after| place_cursor::parse(&space, after));
    let after =
        after.map(|after| after.ok_or_else(|| Failure::usage("--after takes the cursor that an earlier list gave")));
    let entries = context.database.audit(&space, after.transpose()?.as_ref(), wanted.first)?;
    let table = context.output.is_table();
    let records: Vec<Json> = entries.iter().map(|entry| record(entry, table)).collect();
    context.output.records(&["claimed", "who", "what", "verdict", "sequence", "writer"], &records)
}

/// One entry; in a table, who wrote it in short.
fn record(entry: &AuditEntry, table: bool) -> Json {
    let said = told(entry);
    let author = entry.author.as_ref();
    let mut record = json!({
        "claimed": graphql::time(entry.claimed_ms), "identity": author.map(|party| party.identity.to_string()),
        "name": author.map(|party| &party.name), "device": entry.place.writer.device.to_string(),
        "action": said.action, "what": said.what, "subject": said.subject.map(|identity| identity.to_string()),
        "rank": said.rank.map(rank_name), "verdict": entry.verdict.name(), "why": entry.why,
        "writer": entry.place.writer.to_string(), "sequence": entry.place.sequence,
        "cursor": place_cursor::text(&entry.place),
    });
    if table {
        let device = || short(&entry.place.writer.device.to_string());
        record["who"] = author.map_or_else(device, shown).into();
    }
    record
}
