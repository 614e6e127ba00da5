//! What every document has: its fields as JSON, what is known about it, and pages of it.

use std::sync::Arc;

use async_graphql::dynamic::{FieldValue, Object, TypeRef};
use tidewater_engine::document::Document;
use tidewater_engine::query::Found;

use super::{Parts, conflicts, plain};
use crate::graphql::lower::page::cursor_text;
use crate::graphql::{json, output};

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
        .field(conflicts::of_document());
    parts.register(meta.description("What is known about a document beside its fields."));
}
