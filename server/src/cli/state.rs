//! The database as a whole: init, status, digest, verify.

use serde_json::{Value as Json, json};

use super::arguments::{Digest, Global, Init, Void};
use super::context::{self, Context};
use super::failure::{Code, Done, Failure};
use super::key;
use super::output::Output;
use super::progress::Progress;
use super::sharing::rank_name;
use crate::graphql::place_cursor;

pub(crate) fn init(global: &Global, init: &Init, output: &mut Output) -> Done {
    let name = init.name.clone().unwrap_or_else(context::default_name);
    let database = context::create(global, Some(name.clone()))?;
    let path = context::path(global)?;
    let record = json!({
        "path": path.display().to_string(), "database": database.database_id().to_string(),
        "device": database.device().to_string(), "identity": database.identity().map(|identity| identity.to_string()),
        "name": name, "home": database.home().map(|home| home.to_string()),
    });
    output.say(&format!("created {} for {name}", path.display()), &record)
}

pub(crate) fn status(context: &mut Context) -> Done {
    let database = &context.database;
    let snapshot = database.snapshot()?;
    let mut spaces = Vec::new();
    for info in database.spaces_info()? {
        let report = snapshot.report(&info.space)?;
        spaces.push(json!({
            "space": info.space.to_string(), "label": info.label, "home": info.home, "rank": info.rank.map(rank_name),
            "members": info.members, "documents": report.documents.iter().map(|(_, documents)| documents).sum::<u64>(),
            "entries": report.entries, "parked": report.parked, "void": report.void,
        }));
    }
    let connected = database.status().peers.values().filter(|peer| peer.connected).count();
    let whole = json!({
        "database": database.database_id().to_string(), "device": database.device().to_string(),
        "writer": database.writer().to_string(),
        "identity": database.identity().map(|identity| identity.to_string()), "peers": database.peers()?.len(),
        "connected": connected, "sealed": database.sealed_by().map(key::kind_name),
    });
    if context.output.is_table() {
        context.output.record(&whole)?;
        context.output.text("\n")?;
        let columns = ["label", "rank", "members", "documents", "entries", "parked", "void", "space"];
        return context.output.records(&columns, &spaces);
    }
    let mut record = whole;
    record["spaces"] = Json::from(spaces);
    context.output.record(&record)
}

pub(crate) fn digest(context: &mut Context, digest: &Digest) -> Done {
    let only = context.space(&digest.space)?;
    let mut records = Vec::new();
    for info in context.database.spaces_info()? {
        if only.is_none_or(|only| only == info.space) {
            let digest = tidewater_engine::id::SpaceId(context.database.digest(&info.space)?);
            records.push(json!({
                "space": info.space.to_string(), "label": info.label, "digest": digest.to_string(),
            }));
        }
    }
    // By id, so that two devices print the same.
    records.sort_by_key(|record| record["space"].to_string());
    if context.output.is_table() {
        let line = |record: &Json| format!("{}  {}\n", text(&record["digest"]), text(&record["space"]));
        return records.iter().try_for_each(|record| context.output.text(&line(record)));
    }
    context.output.records(&[], &records)
}

fn text(value: &Json) -> &str {
    value.as_str().unwrap_or_default()
}

pub(crate) fn void(context: &mut Context, void: &Void) -> Done {
    let space = context.space_or_home(&void.space)?;
    let after = void.after.as_ref().map(|after| place_cursor::parse(&space, after));
    let after =
        after.map(|after| after.ok_or_else(|| Failure::usage("--after takes the cursor that an earlier list gave")));
    let listed = context.database.snapshot()?.void_commits(&space, after.transpose()?.as_ref(), void.first)?;
    let records: Vec<Json> = listed
        .iter()
        .map(|void| {
            json!({
                "reason": void.reason.name(), "why": void.why, "writer": void.place.writer.to_string(),
                "sequence": void.place.sequence, "plane": void.place.plane.name(),
                "cursor": place_cursor::text(&void.place),
            })
        })
        .collect();
    context.output.records(&["reason", "why", "writer", "sequence", "plane"], &records)
}

pub(crate) fn verify(context: &mut Context) -> Done {
    let mut progress = Progress::start("verifying", "records", None, context.shows_progress);
    let report = context.database.verify(&mut |done, total| progress.at(done, Some(total)));
    progress.finish();
    let report = report?;
    let record = json!({
        "entries": report.entries, "documents": report.documents, "index_entries": report.index_entries,
        "problems": report.problems,
    });
    let sentence = format!(
        "checked {} entries, {} documents and {} index entries: {}",
        report.entries,
        report.documents,
        report.index_entries,
        if report.problems.is_empty() {
            "all is well".to_owned()
        } else {
            format!("{} problems", report.problems.len())
        }
    );
    context.output.say(&sentence, &record)?;
    let Some(first) = report.problems.first() else { return Ok(()) };
    if context.output.is_table() {
        report.problems.iter().try_for_each(|problem| context.output.text(&format!("  {problem}\n")))?;
    }
    let more = report.problems.len() - 1;
    let why = format!(
        "the database is damaged: {first} (and {more} more); restore a backup, or join again from another device"
    );
    Err(Failure::new(Code::Damaged, why))
}
