//! Single documents: get, put, update, delete, restore.

use serde_json::{Value as Json, json};
use tidewater_engine::document::Document;
use tidewater_engine::store::{Durability, WriteError};
use tidewater_engine::value::{Value, fields_from_json};

use super::arguments::{InSpace, Place, Put, Update};
use super::context::Context;
use super::failure::{Done, Failure};
use crate::graphql;

/// A document as JSON: what an export writes.
pub(crate) fn to_json(document: &Document) -> Json {
    serde_json::from_str(&document.to_json()).unwrap_or_else(|_| json!({ "id": document.id.as_str() }))
}

/// A value as JSON.
pub(crate) fn value_to_json(value: &Value) -> Json {
    let text = value.to_json();
    serde_json::from_str(&text).unwrap_or(Json::String(text))
}

pub(crate) fn get(context: &mut Context, place: &Place) -> Done {
    let space = context.space(&place.space)?;
    let snapshot = context.database.snapshot()?;
    let found = snapshot.get(space.as_ref(), &place.collection, &place.id)?;
    let document = found.ok_or_else(|| missing(place))?;
    if document.conflicted && context.output.is_table() {
        context.output.record(&to_json(&document))?;
        let hint = format!("\nThis document has conflicts: tide conflicts {} {}\n", place.collection, place.id);
        return context.output.text(&hint);
    }
    context.output.record(&to_json(&document))
}

fn missing(place: &Place) -> Failure {
    Failure::not_found(format!("{}/{} does not exist", place.collection, place.id))
}

pub(crate) fn put(context: &mut Context, put: &Put) -> Done {
    let (id, fields) = match (put.id_and_fields.as_slice(), put.new) {
        ([fields], true) => (None, fields),
        ([id, fields], false) => (Some(id.as_str()), fields),
        (_, true) => return Err(Failure::usage("with --new, give the fields only: the id is made")),
        _ => return Err(Failure::usage("give the document's id and its fields, or --new and the fields")),
    };
    let fields = context.text(fields)?;
    let fields = fields_from_json(fields.as_bytes()).map_err(|error| Failure::usage(format!("the fields: {error}")))?;
    let written = write(context, &put.space, |transaction| {
        let id = match id {
            Some(id) => {
                transaction.upsert(&put.collection, id, fields.clone())?;
                id.to_owned()
            }
            None => transaction.insert(&put.collection, None, fields.clone())?.to_string(),
        };
        Ok(transaction.get(&put.collection, &id)?)
    })?;
    show_written(context, written)
}

pub(crate) fn update(context: &mut Context, update: &Update) -> Done {
    let patch = context.text(&update.patch)?;
    let edits = graphql::edits_from_json(&patch).map_err(Failure::usage)?;
    let written = write(context, &update.space, |transaction| {
        transaction.update(&update.collection, &update.id, edits.clone())?;
        Ok(transaction.get(&update.collection, &update.id)?)
    })?;
    show_written(context, written)
}

pub(crate) fn delete(context: &mut Context, place: &Place) -> Done {
    if !write(context, &place.space, |transaction| transaction.delete(&place.collection, &place.id))? {
        return Err(missing(place));
    }
    let record = json!({ "collection": place.collection, "id": place.id, "deleted": true });
    context.output.say(&format!("deleted {}/{}", place.collection, place.id), &record)
}

pub(crate) fn restore(context: &mut Context, place: &Place) -> Done {
    let written = write(context, &place.space, |transaction| {
        transaction.restore(&place.collection, &place.id)?;
        Ok(transaction.get(&place.collection, &place.id)?)
    })?;
    show_written(context, written)
}

pub(crate) fn write<T>(
    context: &Context,
    space: &InSpace,
    body: impl FnOnce(&mut tidewater_engine::store::Transaction<'_>) -> Result<T, WriteError>,
) -> Done<T> {
    let space = context.space(space)?;
    let written = context.database.transaction(Durability::Local, |transaction| {
        space.map_or(Ok(()), |space| transaction.in_space(space))?;
        body(transaction)
    })?;
    Ok(written)
}

fn show_written(context: &mut Context, written: Option<Document>) -> Done {
    match written {
        Some(document) => context.output.record(&to_json(&document)),
        None => Ok(()),
    }
}
