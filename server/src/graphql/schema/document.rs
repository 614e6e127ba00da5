//! What every document has: its fields as JSON, what is known about it, and pages of it.

use std::sync::Arc;

use async_graphql::Value as Answer;
use async_graphql::dynamic::{Field, FieldFuture, FieldValue, Object, TypeRef};
use tidewater_engine::document::{Conflict, Document};
use tidewater_engine::query::Found;
use tidewater_engine::value::Value;

use super::{Parts, plain};
use crate::graphql::lower::page::cursor_text;
use crate::graphql::scope::Scope;
use crate::graphql::{error, json, output};

/// The value that stands for a document.
pub(super) fn node(document: Document) -> FieldValue<'static> {
    FieldValue::owned_any(Arc::new(document))
}

/// The value that stands for a page.
pub(super) fn page(found: Found) -> FieldValue<'static> {
    FieldValue::owned_any(Arc::new(found))
}

/// The fields that documents of every type have.
pub(super) fn shared_fields(object: Object) -> Object {
    object
        .field(plain("id", TypeRef::named_nn(TypeRef::ID), |document: &Arc<Document>| {
            Ok(Some(FieldValue::value(document.id.as_str())))
        }))
        .field(plain("_fields", TypeRef::named_nn("JSON"), |document: &Arc<Document>| {
            Ok(Some(FieldValue::value(json::fields_to_answer(&document.fields))))
        }))
        .field(plain("_meta", TypeRef::named_nn("DocumentMeta"), |document: &Arc<Document>| {
            Ok(Some(FieldValue::owned_any(Arc::clone(document))))
        }))
}

/// The type of pages of documents of `type_name`.
pub(super) fn page_type(type_name: &str) -> Object {
    Object::new(format!("{type_name}Page"))
        .field(plain("nodes", TypeRef::named_nn_list_nn(type_name), |found: &Arc<Found>| {
            Ok(Some(FieldValue::list(found.documents.iter().cloned().map(node))))
        }))
        .field(plain("pageInfo", TypeRef::named_nn("PageInfo"), |found: &Arc<Found>| {
            Ok(Some(FieldValue::owned_any(Arc::clone(found))))
        }))
        .field(plain("totalCount", TypeRef::named("Int64"), |found: &Arc<Found>| {
            Ok(found.total.map(|total| FieldValue::value(output::int(i64::try_from(total).unwrap_or(i64::MAX)))))
        }))
}

pub(super) fn register(parts: &mut Parts) {
    let page_info = Object::new("PageInfo")
        .field(plain("hasNextPage", TypeRef::named_nn(TypeRef::BOOLEAN), |found: &Arc<Found>| {
            Ok(Some(FieldValue::value(found.has_more)))
        }))
        .field(plain("startCursor", TypeRef::named(TypeRef::STRING), |found: &Arc<Found>| {
            Ok(found.cursors.first().map(|cursor| FieldValue::value(cursor_text(cursor))))
        }))
        .field(plain("endCursor", TypeRef::named(TypeRef::STRING), |found: &Arc<Found>| {
            Ok(found.cursors.last().map(|cursor| FieldValue::value(cursor_text(cursor))))
        }));
    parts.register(page_info);
    let meta = Object::new("DocumentMeta")
        .field(plain("space", TypeRef::named_nn(TypeRef::ID), |document: &Arc<Document>| {
            Ok(Some(FieldValue::value(document.space.to_string())))
        }))
        .field(plain("collection", TypeRef::named_nn(TypeRef::STRING), |document: &Arc<Document>| {
            Ok(Some(FieldValue::value(document.collection.as_str())))
        }))
        .field(plain("generation", TypeRef::named_nn("Int64"), |document: &Arc<Document>| {
            Ok(Some(FieldValue::value(output::int(i64::try_from(document.generation).unwrap_or(i64::MAX)))))
        }))
        .field(plain("conflicted", TypeRef::named_nn(TypeRef::BOOLEAN), |document: &Arc<Document>| {
            Ok(Some(FieldValue::value(document.conflicted)))
        }))
        .field(conflicts());
    parts.register(meta.description("What is known about a document beside its fields."));
    parts.register(conflict_type());
}

fn conflicts() -> Field {
    Field::new("conflicts", TypeRef::named_nn_list_nn("Conflict"), |context| {
        FieldFuture::new(async move {
            let scope = Scope::of(&context)?;
            let document = Arc::clone(context.parent_value.try_downcast_ref::<Arc<Document>>()?);
            if !document.conflicted {
                return Ok(Some(FieldValue::list(Vec::<FieldValue<'_>>::new())));
            }
            let conflicts = scope
                .read(move |_, snapshot| {
                    snapshot.conflicts(Some(&document.space), &document.collection, &document.id).map_err(error::read)
                })
                .await?;
            Ok(Some(FieldValue::list(conflicts.into_iter().map(FieldValue::owned_any))))
        })
    })
}

fn conflict_type() -> Object {
    let field = |conflict: &Conflict| match conflict {
        Conflict::Siblings { field, .. }
        | Conflict::Kind { field, .. }
        | Conflict::EditedWhileDeleted { field, .. } => field.clone(),
        _ => String::new(),
    };
    let reason = |conflict: &Conflict| match conflict {
        Conflict::Siblings { .. } => "SIBLINGS",
        Conflict::Kind { .. } => "KIND",
        Conflict::EditedWhileDeleted { .. } => "EDITED_WHILE_DELETED",
        _ => "OTHER",
    };
    let values = |conflict: &Conflict| -> Vec<Value> {
        match conflict {
            Conflict::Siblings { values, .. } => values.iter().map(|sibling| sibling.value.clone()).collect(),
            Conflict::Kind { value, .. } | Conflict::EditedWhileDeleted { value, .. } => vec![value.clone()],
            _ => Vec::new(),
        }
    };
    let writers = |conflict: &Conflict| match conflict {
        Conflict::Siblings { values, .. } => values.iter().map(|sibling| sibling.writer.to_string()).collect(),
        _ => Vec::new(),
    };
    Object::new("Conflict")
        .description("Something about a document that people should look at.")
        .field(plain("field", TypeRef::named_nn(TypeRef::STRING), move |conflict| {
            Ok(Some(FieldValue::value(field(conflict))))
        }))
        .field(
            plain("reason", TypeRef::named_nn(TypeRef::STRING), move |conflict| {
                Ok(Some(FieldValue::value(reason(conflict))))
            })
            .description("SIBLINGS: concurrent writes left several values. KIND: the field was also written as another kind. EDITED_WHILE_DELETED: an edit that a concurrent delete did not see."),
        )
        .field(
            plain("values", TypeRef::named_nn_list_nn("JSON"), move |conflict| {
                Ok(Some(FieldValue::list(values(conflict).iter().map(|value| FieldValue::value(json::to_answer(value))))))
            })
            .description("For SIBLINGS all values, the one that reads show first; else the hidden one."),
        )
        .field(
            plain("writers", TypeRef::named_nn_list_nn(TypeRef::STRING), move |conflict| {
                let writers: Vec<String> = writers(conflict);
                Ok(Some(FieldValue::list(writers.into_iter().map(|writer| FieldValue::value(Answer::from(writer))))))
            })
            .description("Who wrote the values, for SIBLINGS."),
        )
}
