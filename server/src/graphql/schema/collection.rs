//! Types and root fields of one collection.

use std::sync::Arc;

use async_graphql::Value as Argument;
use async_graphql::dynamic::{Field, FieldFuture, FieldValue, Object, TypeRef};
use tidewater_engine::document::Document;
use tidewater_engine::value::Value;

use super::filters::{filter_name, input_type};
use super::patches::patch_name;
use super::{Answered, Call, Parts, document, generic, root, watching};
use crate::graphql::catalog::{Catalog, Collection, Field as CollectionField};
use crate::graphql::complete::located;
use crate::graphql::lower::{self, edit, page};
use crate::graphql::scope::Scope;
use crate::graphql::shape::Shape;
use crate::graphql::{error, output};

pub(super) fn register(parts: &mut Parts, catalog: &Catalog, collection: &Collection) {
    parts.register(document_type(catalog, collection));
    parts.register(document::page_type(&collection.type_name));
    inputs(parts, collection);
    let collection = Arc::new(collection.clone());
    reading(parts, &collection);
    writing(parts, &collection);
    watching::collection(parts, &collection);
}

fn document_type(catalog: &Catalog, collection: &Collection) -> Object {
    let object = document::shared_fields(Object::new(&collection.type_name));
    collection.fields.values().fold(object, |object, field| object.field(document_field(catalog, field)))
}

/// The type that a field shows: a reference shows the document, where its collection has a type.
fn shown_type(catalog: &Catalog, shape: &Shape) -> TypeRef {
    match shape {
        Shape::Reference(target) => match catalog.collections.get(target) {
            Some(target) => TypeRef::named(&target.type_name),
            None => TypeRef::named(TypeRef::ID),
        },
        // A reference in a list may lead to a document that is not here.
        Shape::List(element) if matches!(**element, Shape::Reference(_)) => {
            TypeRef::List(Box::new(shown_type(catalog, element)))
        }
        Shape::List(element) => TypeRef::named_nn_list(element.stem()),
        Shape::Vector => TypeRef::named_nn_list(TypeRef::FLOAT),
        shape => TypeRef::named(shape.stem()),
    }
}

fn document_field(catalog: &Catalog, field: &CollectionField) -> Field {
    let gives = shown_type(catalog, &field.shape);
    let target = match &field.shape {
        Shape::Reference(target) => Some(target),
        Shape::List(element) => match &**element {
            Shape::Reference(target) => Some(target),
            _ => None,
        },
        _ => None,
    };
    let follows = target.is_some_and(|target| catalog.collections.contains_key(target));
    let field = field.clone();
    Field::new(field.name.clone(), gives, move |context| {
        let field = field.clone();
        FieldFuture::new(async move {
            let answered = async {
                let document = Arc::clone(context.parent_value.try_downcast_ref::<Arc<Document>>()?);
                let Some(value) = document.fields.get(&field.path) else { return Ok(None) };
                if follows {
                    let scope = Scope::of(&context)?;
                    return follow(scope, Arc::clone(&document), field, value.clone()).await;
                }
                Ok(output::answer(&field.name, &field.shape, value)?.map(FieldValue::value))
            };
            answered.await.map_err(|error| located(context.ctx, error))
        })
    })
}

/// The documents that a reference, or a list of them, leads to.
async fn follow(scope: Arc<Scope>, from: Arc<Document>, field: CollectionField, value: Value) -> Answered {
    // Says what is wrong when the value is something else than the shape promises.
    output::answer(&field.name, &field.shape, &value)?;
    let (references, single) = match value {
        Value::List(references) => (references, false),
        single => (vec![single], true),
    };
    scope.spend(references.len())?;
    let found = scope
        .read(move |_, snapshot| {
            let target = |value: &Value| match value {
                Value::Reference(to) => snapshot.get(Some(&from.space), &to.collection, &to.id).map_err(error::read),
                _ => Ok(None),
            };
            references.iter().map(target).collect::<Result<Vec<_>, _>>()
        })
        .await?;
    let mut nodes = found.into_iter().map(|found| found.map(document::node));
    Ok(match single {
        true => nodes.next().flatten(),
        false => Some(FieldValue::list(nodes.map(|node| node.unwrap_or(FieldValue::NULL)))),
    })
}

fn inputs(parts: &mut Parts, collection: &Collection) {
    let Collection { type_name, fields, .. } = collection;
    let id = || ("id".to_owned(), TypeRef::named(TypeRef::ID));
    let rest = || ("_fields".to_owned(), TypeRef::named("JSON"));
    let each = |takes: &dyn Fn(&CollectionField) -> TypeRef| -> Vec<(String, TypeRef)> {
        fields.values().map(|field| (field.name.clone(), takes(field))).collect()
    };
    let input = each(&|field| input_type(&field.shape));
    parts.input(&format!("{type_name}Input"), [id(), rest()].into_iter().chain(input));
    let patch = each(&|field| TypeRef::named(patch_name(field)));
    parts.input(&format!("{type_name}Patch"), [rest()].into_iter().chain(patch));
    let filter = format!("{type_name}Filter");
    let combined = ["and", "or"].map(|name| (name.to_owned(), TypeRef::named_nn_list(&filter)));
    let not = ("not".to_owned(), TypeRef::named(&filter));
    let by_id = ("id".to_owned(), TypeRef::named(filter_name(&Shape::Reference(String::new()))));
    let compared = each(&|field| TypeRef::named(filter_name(&field.shape)));
    parts.input(&filter, combined.into_iter().chain([not, by_id]).chain(compared));
    let direction = || TypeRef::named("Direction");
    let order = each(&|_| direction());
    parts.input(&format!("{type_name}Order"), [("id".to_owned(), direction())].into_iter().chain(order));
}

fn reading(parts: &mut Parts, collection: &Arc<Collection>) {
    let Collection { type_name, list_field, single_field, .. } = &**collection;
    let of = Arc::clone(collection);
    let arguments = [
        ("where", TypeRef::named(format!("{type_name}Filter"))),
        ("orderBy", TypeRef::named_nn_list(format!("{type_name}Order"))),
        ("first", TypeRef::named(TypeRef::INT)),
        ("after", TypeRef::named(TypeRef::STRING)),
        ("spaces", TypeRef::named_nn_list(TypeRef::ID)),
    ];
    let page_type = TypeRef::named_nn(format!("{type_name}Page"));
    parts.queries.push(root(list_field, page_type, &arguments, move |call| {
        let of = Arc::clone(&of);
        async move {
            let query = page::query(&of.name, Some(&of), &call.arguments, call.counts).map_err(error::lowering)?;
            generic::find(call.scope, query).await
        }
    }));
    let of = Arc::clone(collection);
    let arguments = [("id", TypeRef::named_nn(TypeRef::ID)), ("space", TypeRef::named(TypeRef::ID))];
    parts.queries.push(root(single_field, TypeRef::named(type_name), &arguments, move |call| {
        generic::get(call, of.name.clone())
    }));
}

fn writing(parts: &mut Parts, collection: &Arc<Collection>) {
    let type_name = collection.type_name.as_str();
    let id = || ("id", TypeRef::named_nn(TypeRef::ID));
    let space = || ("space", TypeRef::named(TypeRef::ID));
    let input_name = format!("{type_name}Input");
    let one = || TypeRef::named_nn(type_name);

    let of = Arc::clone(collection);
    let arguments = [("input", TypeRef::named_nn(&input_name)), space()];
    parts.mutations.push(root(&collection.create_field, one(), &arguments, move |call| create(call, Arc::clone(&of))));

    let of = Arc::clone(collection);
    let arguments = [("inputs", TypeRef::named_nn_list_nn(&input_name)), space()];
    let many = TypeRef::named_nn_list_nn(type_name);
    parts
        .mutations
        .push(root(&collection.create_many_field, many, &arguments, move |call| create_many(call, Arc::clone(&of))));

    let of = Arc::clone(collection);
    let arguments = [id(), ("patch", TypeRef::named_nn(format!("{type_name}Patch"))), space()];
    parts.mutations.push(root(&collection.update_field, one(), &arguments, move |call| {
        let of = Arc::clone(&of);
        async move {
            let edits = edit::patch(Some(&of), argument(&call, "patch")).map_err(error::lowering)?;
            generic::update(call, of.name.clone(), edits).await
        }
    }));

    let of = Arc::clone(collection);
    let arguments = [id(), ("input", TypeRef::named_nn(&input_name)), space()];
    parts.mutations.push(root(&collection.upsert_field, one(), &arguments, move |call| {
        let of = Arc::clone(&of);
        async move {
            let (_, fields) = edit::input(&of, argument(&call, "input")).map_err(error::lowering)?;
            generic::upsert(call, of.name.clone(), fields).await
        }
    }));

    let of = Arc::clone(collection);
    let there_was = TypeRef::named_nn(TypeRef::BOOLEAN);
    parts.mutations.push(
        root(&collection.delete_field, there_was, &[id(), space()], move |call| generic::delete(call, of.name.clone()))
            .description("False: there was no such document."),
    );
}

async fn create(call: Call, of: Arc<Collection>) -> Answered {
    let (id, fields) = edit::input(&of, argument(&call, "input")).map_err(error::lowering)?;
    generic::create(call, of.name.clone(), vec![(id, fields)]).await.map(|mut created| created.pop())
}

async fn create_many(call: Call, of: Arc<Collection>) -> Answered {
    let inputs = edit::inputs(&of, argument(&call, "inputs")).map_err(error::lowering)?;
    generic::create(call, of.name.clone(), inputs).await.map(|created| Some(FieldValue::list(created)))
}

/// A required argument; GraphQL has checked that it is there.
fn argument<'a>(call: &'a Call, name: &str) -> &'a Argument {
    lower::given(&call.arguments, name).unwrap_or(&Argument::Null)
}
