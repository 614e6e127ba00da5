//! Conflicts: list, look at, resolve, undo that.

use serde_json::{Value as Json, json};
use tidewater_engine::document::{Conflict, ConflictPolicy, ConflictedDocument};
use tidewater_engine::id::{DocumentId, SpaceId};
use tidewater_engine::store::{ReadError, Resolution, Resolved, Snapshot};
use tidewater_engine::value::Value;
use tidewater_sync::Database;

use super::arguments::{Conflicts, Policy, Resolve, Undo};
use super::context::Context;
use super::documents::{value_to_json, write};
use super::failure::{Done, Failure};
use crate::graphql;
use crate::graphql::conflict_cursor;

pub(crate) fn conflicts(context: &mut Context, wanted: &Conflicts) -> Done {
    match (&wanted.collection, &wanted.id) {
        (Some(collection), Some(id)) => show(context, wanted, collection, id),
        _ => list(context, wanted),
    }
}

fn list(context: &mut Context, wanted: &Conflicts) -> Done {
    let space = context.space(&wanted.space)?;
    let after = wanted.after.as_ref().map(|after| conflict_cursor::parse(after));
    let after =
        after.map(|after| after.ok_or_else(|| Failure::usage("--after takes the cursor that an earlier list gave")));
    let (after, collection) = (after.transpose()?, wanted.collection.as_deref());
    let snapshot = context.database.snapshot()?;
    // One more than is shown tells whether there are more.
    let limit = wanted.first.saturating_add(1);
    let mut listed = snapshot.conflicted_documents(space.as_ref(), collection, after.as_ref(), limit)?;
    let has_more = listed.len() > wanted.first;
    listed.truncate(wanted.first);
    let records = listed.iter().map(|document| listed_to_json(&snapshot, document)).collect::<Result<Vec<_>, _>>()?;
    if !context.output.is_table() {
        return context.output.records(&[], &records);
    }
    if records.is_empty() {
        return context.output.text("no conflicts\n");
    }
    context.output.records(&["collection", "id", "fields", "space"], &records)?;
    match listed.last().filter(|_| has_more) {
        Some(last) => context.output.text(&format!("\nThere are more: --after {}\n", conflict_cursor::text(last))),
        None => Ok(()),
    }
}

fn listed_to_json(snapshot: &Snapshot, document: &ConflictedDocument) -> Result<Json, ReadError> {
    let conflicts = snapshot.conflicts(Some(&document.space), &document.collection, &document.id)?;
    let mut fields: Vec<&str> = conflicts.iter().filter_map(field).collect();
    fields.sort_unstable();
    fields.dedup();
    Ok(json!({
        "collection": document.collection, "id": document.id.as_str(), "fields": fields,
        "space": document.space.to_string(), "cursor": conflict_cursor::text(document),
    }))
}

fn field(conflict: &Conflict) -> Option<&str> {
    match conflict {
        Conflict::Siblings { field, .. }
        | Conflict::Kind { field, .. }
        | Conflict::EditedWhileDeleted { field, .. } => Some(field),
        _ => None,
    }
}

fn show(context: &mut Context, wanted: &Conflicts, collection: &str, id: &str) -> Done {
    let named = context.space(&wanted.space)?;
    let snapshot = context.database.snapshot()?;
    let id = DocumentId::new(id).map_err(Failure::usage)?;
    let found = snapshot.conflicts(named.as_ref(), collection, &id)?;
    // Only a document that is alive has values with authors.
    let space = snapshot.get(named.as_ref(), collection, id.as_str())?.map(|document| document.space);
    let mut records = Vec::new();
    for conflict in &found {
        records.extend(conflict_to_json(&context.database, space.as_ref(), conflict)?);
    }
    if !context.output.is_table() {
        return context.output.records(&[], &records);
    }
    if records.is_empty() {
        return context.output.text("no conflicts\n");
    }
    context.output.records(&["field", "reason", "shown", "value", "author", "time", "commit"], &records)?;
    let away = space.filter(|space| context.database.home() != Some(*space)).map(|space| space.to_string());
    let at = [in_space(away.as_deref()), word(collection, "COLLECTION"), word(id.as_str(), "ID")].concat();
    let mut hints = Vec::new();
    for conflict in &found {
        hints.push(match conflict {
            Conflict::Siblings { field, version, .. } => {
                let field = word(field, "FIELD");
                format!("Resolve{field}: tide resolve{at}{field} --seen {version} --pick COMMIT\n")
            }
            Conflict::Kind { field, .. } => format!("Settle{}: any write that changes it\n", word(field, "FIELD")),
            Conflict::EditedWhileDeleted { .. } if space.is_none() => format!("Bring it back: tide restore{at}\n"),
            _ => continue,
        });
    }
    hints.dedup();
    context.output.text(&format!("\n{}", hints.concat()))
}

/// One record for every value that a conflict holds.
fn conflict_to_json(database: &Database, space: Option<&SpaceId>, conflict: &Conflict) -> Done<Vec<Json>> {
    Ok(match conflict {
        Conflict::Siblings { field, policy, values, version, .. } => {
            let mut records = Vec::new();
            for (at, sibling) in values.iter().enumerate() {
                let author = space.map(|space| database.author(space, &sibling.writer.device)).transpose()?.flatten();
                records.push(json!({
                    "field": field, "reason": "siblings", "policy": policy.name(),
                    "shown": at == 0 || *policy == ConflictPolicy::KeepAll, "value": value_to_json(&sibling.value),
                    "author": author.as_ref().map(|author| &author.name),
                    "identity": author.as_ref().map(|author| author.identity.to_string()),
                    "device": sibling.writer.device.to_string(), "writer": sibling.writer.to_string(),
                    "time": graphql::time(sibling.timestamp_ms), "commit": sibling.commit.to_string(),
                    "version": version.to_string(),
                }));
            }
            records
        }
        Conflict::Kind { field, hidden, value, .. } => {
            let reason = format!("also written as {}", hidden.name());
            vec![json!({ "field": field, "reason": reason, "shown": false, "value": value_to_json(value) })]
        }
        Conflict::EditedWhileDeleted { generation, field, value } => {
            let reason = "edited while deleted";
            vec![
                json!({ "field": field, "reason": reason, "shown": false, "value": value_to_json(value), "generation": generation }),
            ]
        }
        _ => Vec::new(),
    })
}

pub(crate) fn resolve(context: &mut Context, resolve: &Resolve) -> Done {
    let resolution = resolution(context, resolve)?;
    let resolved = write(context, &resolve.space, |transaction| {
        transaction.resolve(&resolve.collection, &resolve.id, &resolve.field, &resolution)
    })?;
    say(context, &resolve.collection, &resolve.id, &resolve.field, &resolved)?;
    if !context.output.is_table() {
        return Ok(());
    }
    let (collection, id) = (word(&resolve.collection, "COLLECTION"), word(&resolve.id, "ID"));
    let at = [in_space(resolve.space.space.as_deref()), collection, id, word(&resolve.field, "FIELD")].concat();
    context.output.text(&format!("Undo it: tide undo{at} {}\n", resolved.commit))
}

/// The option that names a space, as part of a command to copy.
fn in_space(space: Option<&str>) -> String {
    space.map_or_else(String::new, |space| format!(" --space{}", word(space, "SPACE")))
}

/// A word of a command to copy, after a space. Others choose names: what a shell or a terminal would take for more than a word is
/// not repeated.
fn word(text: &str, otherwise: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_./:@+-".contains(c);
    let shown = if text.chars().all(is_plain) && !text.starts_with('-') && !text.is_empty() { text } else { otherwise };
    format!(" {shown}")
}

pub(crate) fn undo(context: &mut Context, undo: &Undo) -> Done {
    let commit = undo.commit.parse();
    let commit = commit.map_err(|error| Failure::usage(format!("COMMIT is what `tide resolve` shows: {error}")))?;
    let undone = write(context, &undo.space, |transaction| {
        transaction.undo_resolution(&undo.collection, &undo.id, &undo.field, commit)
    })?;
    say(context, &undo.collection, &undo.id, &undo.field, &undone)
}

fn resolution(context: &mut Context, resolve: &Resolve) -> Done<Resolution> {
    let id = |option: &str, error| Failure::usage(format!("{option} takes what `tide conflicts` shows: {error}"));
    let seen = resolve.seen.as_deref().map(str::parse).transpose().map_err(|error| id("--seen", error))?;
    let choice = &resolve.choice;
    Ok(match (&choice.pick, &choice.value, choice.by, seen) {
        (Some(commit), _, _, Some(seen)) => {
            Resolution::Pick { commit: commit.parse().map_err(|error| id("--pick", error))?, seen }
        }
        (_, Some(value), _, Some(seen)) => {
            let text = context.text(value)?;
            let value = Value::from_json(text.as_bytes());
            let value = value.map_err(|error| Failure::usage(format!("--value takes JSON: {error}")))?;
            Resolution::Merge { value, seen }
        }
        (_, _, Some(policy), _) => Resolution::By(policy.into()),
        _ => return Err(Failure::usage("say what to take: --pick or --value with --seen, or --by")),
    })
}

fn say(context: &mut Context, collection: &str, id: &str, field: &str, resolved: &Resolved) -> Done {
    let value = value_to_json(&resolved.value);
    let sentence = format!("{field} of {collection}/{id} is {value}");
    let record = json!({
        "collection": collection, "id": id, "field": field, "value": value, "commit": resolved.commit.to_string(),
    });
    context.output.say(&sentence, &record)
}

impl From<Policy> for ConflictPolicy {
    fn from(policy: Policy) -> Self {
        match policy {
            Policy::Latest => Self::Latest,
            Policy::Max => Self::Max,
            Policy::Min => Self::Min,
            Policy::KeepAll => Self::KeepAll,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_to_copy_repeats_no_name_that_is_more_than_a_word() {
        assert_eq!(in_space(Some("Plans")) + &word("n1", "ID"), " --space Plans n1");
        for wrong in ["", "--db", "a b", "$(true)", "a;true", "it's", "\u{1b}[31m", "a\nb"] {
            assert_eq!(word(wrong, "ID"), " ID", "{wrong:?}");
        }
    }
}
