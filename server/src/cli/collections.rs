//! Collections, their schemas and their indexes.

use serde_json::{Value as Json, json};
use tidewater_engine::schema::{Index, Schema};
use tidewater_engine::store::Durability;

use super::arguments::{AddIndex, CollectionCommand, CollectionName, Declare, InSpace, IndexCommand, RemoveIndex};
use super::context::Context;
use super::failure::{Done, Failure};

pub(crate) fn collection(context: &mut Context, command: &CollectionCommand) -> Done {
    match command {
        CollectionCommand::List => list(context),
        CollectionCommand::Schema(name) => show(context, name),
        CollectionCommand::Declare(declare) => self::declare(context, declare),
    }
}

pub(crate) fn index(context: &mut Context, command: &IndexCommand) -> Done {
    match command {
        IndexCommand::List(name) => list_indexes(context, name),
        IndexCommand::Add(add) => add_index(context, add),
        IndexCommand::Remove(remove) => remove_index(context, remove),
    }
}

fn list(context: &mut Context) -> Done {
    let snapshot = context.database.snapshot()?;
    let mut records = Vec::new();
    for info in context.database.spaces_info()? {
        let report = snapshot.report(&info.space)?;
        for (collection, documents) in report.documents {
            let declared = snapshot.schema(&info.space, &collection)?;
            records.push(json!({
                "collection": collection, "space": info.space.to_string(), "label": info.label, "documents": documents,
                "declared_fields": declared.as_ref().map_or(0, |schema| schema.fields.len()),
                "indexes": declared.as_ref().map_or(0, |schema| schema.indexes.len()),
            }));
        }
    }
    context.output.records(&["collection", "label", "documents", "declared_fields", "indexes"], &records)
}

/// The schema of a collection in the space that is named, or else home.
fn schema(context: &Context, collection: &str, space: &InSpace) -> Done<Option<Schema>> {
    let space = context.space_or_home(space)?;
    Ok(context.database.snapshot()?.schema(&space, collection)?)
}

fn declare_schema(context: &Context, collection: &str, space: &InSpace, schema: &Schema) -> Done {
    let space = context.space_or_home(space)?;
    context.database.transaction(Durability::Local, |transaction| {
        transaction.in_space(space)?;
        transaction.set_schema(collection, schema)
    })?;
    Ok(())
}

fn show(context: &mut Context, name: &CollectionName) -> Done {
    let found = schema(context, &name.collection, &name.space)?;
    let found = found.ok_or_else(|| {
        Failure::not_found(format!("{} has no schema; declare one with `tide collection declare`", name.collection))
    })?;
    let json: Json = serde_json::from_str(&found.to_json()).map_err(Failure::failed)?;
    let text = if context.output.is_table() { format!("{json:#}\n") } else { format!("{json}\n") };
    context.output.text(&text)
}

fn declare(context: &mut Context, declare: &Declare) -> Done {
    let text = context.text(&declare.schema)?;
    let schema = Schema::from_json(text.as_bytes()).map_err(|error| Failure::usage(format!("the schema: {error}")))?;
    declare_schema(context, &declare.collection, &declare.space, &schema)?;
    let (fields, indexes) = (schema.fields.len(), schema.indexes.len());
    let record = json!({ "collection": declare.collection, "fields": fields, "indexes": indexes });
    context.output.say(&format!("declared {}: {fields} fields, {indexes} indexes", declare.collection), &record)
}

fn list_indexes(context: &mut Context, name: &CollectionName) -> Done {
    let indexes = schema(context, &name.collection, &name.space)?.map(|schema| schema.indexes).unwrap_or_default();
    let records: Vec<Json> =
        indexes.iter().map(|(index, Index { fields, .. })| json!({ "index": index, "fields": fields })).collect();
    context.output.records(&["index", "fields"], &records)
}

fn add_index(context: &mut Context, add: &AddIndex) -> Done {
    let mut schema = schema(context, &add.collection, &add.space)?.unwrap_or_default();
    schema.indexes.insert(add.index.clone(), Index { fields: add.fields.clone() });
    declare_schema(context, &add.collection, &add.space, &schema)?;
    let record = json!({ "collection": add.collection, "index": add.index, "fields": add.fields });
    context.output.say(&format!("index {} is over {}", add.index, add.fields.join(", ")), &record)
}

fn remove_index(context: &mut Context, remove: &RemoveIndex) -> Done {
    let mut schema = schema(context, &remove.collection, &remove.space)?.unwrap_or_default();
    if schema.indexes.remove(&remove.index).is_none() {
        let why = format!("{} has no index {:?}; see `tide index list`", remove.collection, remove.index);
        return Err(Failure::not_found(why));
    }
    declare_schema(context, &remove.collection, &remove.space, &schema)?;
    let record = json!({ "collection": remove.collection, "index": remove.index, "removed": true });
    context.output.say(&format!("removed index {}", remove.index), &record)
}
