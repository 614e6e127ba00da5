//! What all collections share: finding and changing documents. Also the fields for collections by name, with JSON.

use std::sync::Arc;

use async_graphql::Error;
use async_graphql::Value as Argument;
use async_graphql::dynamic::{FieldValue, Object, TypeRef};
use tidewater_engine::query::Query;
use tidewater_engine::store::{Edit, WriteError};
use tidewater_engine::value::Fields;

use super::{Answered, Call, Parts, document, plain, root};
use crate::graphql::error::{self, Code};
use crate::graphql::lower::{self, edit, page};
use crate::graphql::scope::{MAX_NODES, Scope};

/// Runs a list query.
pub(super) async fn find(scope: Arc<Scope>, query: Query) -> Answered {
    let found = scope.read(move |_, snapshot| snapshot.find(&query).map_err(error::read)).await?;
    scope.spend(found.documents.len())?;
    Ok(Some(document::page(found)))
}

/// Reads the document that `id` and `space` name.
pub(super) async fn get(call: Call, collection: String) -> Answered {
    let id = id(&call)?;
    let space = page::space(&call.arguments).map_err(error::lowering)?;
    call.scope.spend(1)?;
    let found =
        call.scope.read(move |_, snapshot| snapshot.get(space.as_ref(), &collection, &id).map_err(error::read)).await?;
    Ok(found.map(document::node))
}

/// Inserts documents in one transaction.
pub(super) async fn create(
    call: Call,
    collection: String,
    inputs: Vec<(Option<String>, Fields)>,
) -> Result<Vec<FieldValue<'static>>, Error> {
    let space = page::space(&call.arguments).map_err(error::lowering)?;
    if inputs.len() > MAX_NODES {
        return Err(Code::LimitExceeded.error(format!("one mutation may create {MAX_NODES} documents")));
    }
    call.scope.spend(inputs.len())?;
    let created = call
        .scope
        .write(space, move |transaction| {
            let mut created = Vec::with_capacity(inputs.len());
            for (id, fields) in inputs {
                let id = transaction.insert(&collection, id.as_deref(), fields)?;
                created.extend(transaction.get(&collection, id.as_str())?);
            }
            Ok(created)
        })
        .await?;
    Ok(created.into_iter().map(document::node).collect())
}

/// Changes the document that `id` and `space` name.
pub(super) async fn update(call: Call, collection: String, edits: Vec<(String, Edit)>) -> Answered {
    change(call, collection, move |transaction, collection, id| transaction.update(collection, id, edits)).await
}

/// Inserts or sets the document that `id` and `space` name.
pub(super) async fn upsert(call: Call, collection: String, fields: Fields) -> Answered {
    change(call, collection, move |transaction, collection, id| transaction.upsert(collection, id, fields).map(drop))
        .await
}

async fn change(
    call: Call,
    collection: String,
    body: impl FnOnce(&mut tidewater_engine::store::Transaction<'_>, &str, &str) -> Result<(), WriteError> + Send + 'static,
) -> Answered {
    let id = id(&call)?;
    let space = page::space(&call.arguments).map_err(error::lowering)?;
    call.scope.spend(1)?;
    let changed = call
        .scope
        .write(space, move |transaction| {
            body(transaction, &collection, &id)?;
            Ok(transaction.get(&collection, &id)?)
        })
        .await?;
    Ok(changed.map(document::node))
}

/// Deletes the document that `id` and `space` name.
pub(super) async fn delete(call: Call, collection: String) -> Answered {
    let id = id(&call)?;
    let space = page::space(&call.arguments).map_err(error::lowering)?;
    let there_was = call.scope.write(space, move |transaction| transaction.delete(&collection, &id)).await?;
    Ok(Some(FieldValue::value(there_was)))
}

pub(super) fn register(parts: &mut Parts) {
    let object = document::shared_fields(Object::new("Document")).field(plain(
        "collection",
        TypeRef::named_nn(TypeRef::STRING),
        |document: &Arc<tidewater_engine::document::Document>| {
            Ok(Some(FieldValue::value(document.collection.as_str())))
        },
    ));
    parts.register(object.description("A document of any collection; its fields are JSON."));
    parts.register(document::page_type("Document"));
    let collection = || ("collection", TypeRef::named_nn(TypeRef::STRING));
    let id = || ("id", TypeRef::named_nn(TypeRef::ID));
    let space = || ("space", TypeRef::named(TypeRef::ID));
    let list = [
        collection(),
        ("where", TypeRef::named("JSON")),
        ("orderBy", TypeRef::named_nn_list("JSON")),
        ("first", TypeRef::named(TypeRef::INT)),
        ("after", TypeRef::named(TypeRef::STRING)),
        ("spaces", TypeRef::named_nn_list(TypeRef::ID)),
    ];
    parts.queries.push(root("documents", TypeRef::named_nn("DocumentPage"), &list, |call| async move {
        let collection = named(&call)?;
        let query = page::query(&collection, None, &call.arguments, call.counts).map_err(error::lowering)?;
        find(call.scope, query).await
    }));
    parts.queries.push(root(
        "document",
        TypeRef::named("Document"),
        &[collection(), id(), space()],
        |call| async move {
            let collection = named(&call)?;
            get(call, collection).await
        },
    ));
    let one = || TypeRef::named_nn("Document");
    let fields = || ("fields", TypeRef::named_nn("JSON"));
    let arguments = [collection(), ("id", TypeRef::named(TypeRef::ID)), fields(), space()];
    parts.mutations.push(root("createDocument", one(), &arguments, |call| async move {
        let (collection, fields) = (named(&call)?, json_fields(&call)?);
        let id = lower::given(&call.arguments, "id").map(|id| lower::id("id", id)).transpose();
        let id = id.map_err(error::lowering)?;
        create(call, collection, vec![(id, fields)]).await.map(|mut created| created.pop())
    }));
    let arguments = [collection(), id(), ("patch", TypeRef::named_nn("JSON")), space()];
    parts.mutations.push(root("updateDocument", one(), &arguments, |call| async move {
        let patch = call.arguments.get("patch").unwrap_or(&Argument::Null);
        let edits = edit::patch(None, patch).map_err(error::lowering)?;
        let collection = named(&call)?;
        update(call, collection, edits).await
    }));
    parts.mutations.push(root("upsertDocument", one(), &[collection(), id(), fields(), space()], |call| async move {
        let (collection, fields) = (named(&call)?, json_fields(&call)?);
        upsert(call, collection, fields).await
    }));
    let there_was = TypeRef::named_nn(TypeRef::BOOLEAN);
    parts.mutations.push(
        root("deleteDocument", there_was, &[collection(), id(), space()], |call| async move {
            let collection = named(&call)?;
            delete(call, collection).await
        })
        .description("False: there was no such document."),
    );
    parts.mutations.push(
        root("restoreDocument", one(), &[collection(), id(), space()], |call| async move {
            let collection = named(&call)?;
            change(call, collection, |transaction, collection, id| transaction.restore(collection, id)).await
        })
        .description("Brings a deleted document back, with edits that the delete did not see."),
    );
}

pub(super) fn id(call: &Call) -> Result<String, Error> {
    let argument = call.arguments.get("id").unwrap_or(&Argument::Null);
    lower::id("id", argument).map_err(error::lowering)
}

pub(super) fn named(call: &Call) -> Result<String, Error> {
    let argument = call.arguments.get("collection").unwrap_or(&Argument::Null);
    lower::text("collection", argument).map(str::to_owned).map_err(error::lowering)
}

fn json_fields(call: &Call) -> Result<Fields, Error> {
    let argument = call.arguments.get("fields").unwrap_or(&Argument::Null);
    edit::json_fields("fields", argument).map_err(error::lowering)
}
