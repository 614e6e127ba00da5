//! Input types for `patch`: one for every kind of field and shape.

use std::collections::BTreeMap;

use async_graphql::dynamic::TypeRef;
use tidewater_engine::operation::FieldKind;

use super::Parts;
use super::filters::input_type;
use crate::graphql::catalog::{Catalog, Field};
use crate::graphql::shape::Shape;

/// The name of the patch for a field. An undeclared field takes every edit: its kind is what is done to it first.
pub(super) fn patch_name(field: &Field) -> String {
    match field.kind {
        Some(FieldKind::Register) => field.shape.stem() + "Patch",
        Some(FieldKind::Counter) => "CounterPatch".to_owned(),
        Some(FieldKind::Set) => field.shape.stem() + "SetPatch",
        Some(FieldKind::Text) => "TextPatch".to_owned(),
        Some(FieldKind::Json) => "DocumentPatch".to_owned(),
        None => "AnyPatch".to_owned(),
    }
}

pub(super) fn register(parts: &mut Parts, catalog: &Catalog) {
    let number = || TypeRef::named(TypeRef::INT);
    let path = || ("path".to_owned(), TypeRef::named_nn_list("JSON"));
    let insert = ("insert".to_owned(), TypeRef::named(TypeRef::STRING));
    parts.input("Splice", [("at".to_owned(), number()), ("delete".to_owned(), number()), insert]);
    parts.input("PathPatch", [path(), ("value".to_owned(), TypeRef::named("JSON"))]);
    parts.input("PathCut", [path()]);
    let fields = catalog.collections.values().flat_map(|collection| collection.fields.values());
    let named: BTreeMap<String, &Field> = fields.map(|field| (patch_name(field), field)).collect();
    for (name, field) in named {
        parts.input(&name, edits(field));
    }
}

fn edits(field: &Field) -> Vec<(String, TypeRef)> {
    let named = |name: &str, takes: TypeRef| (name.to_owned(), takes);
    let set = |shape: &Shape| vec![named("set", input_type(shape)), named("clear", TypeRef::named(TypeRef::BOOLEAN))];
    let splice = || named("splice", TypeRef::named_nn_list("Splice"));
    let increment = || named("increment", TypeRef::named("Int64"));
    let elements = |shape: &Shape| {
        let element = match shape {
            Shape::List(element) => element,
            other => other,
        };
        let list = TypeRef::named_list(element.stem());
        [named("add", list.clone()), named("remove", list)]
    };
    let at_paths = || {
        let places = TypeRef::named_nn_list("PathPatch");
        [named("put", places.clone()), named("insert", places), named("cut", TypeRef::named_nn_list("PathCut"))]
    };
    let mut edits = set(if field.kind.is_some() { &field.shape } else { &Shape::Json });
    match field.kind {
        Some(FieldKind::Register) => {}
        Some(FieldKind::Counter) => edits.push(increment()),
        Some(FieldKind::Set) => edits.extend(elements(&field.shape)),
        Some(FieldKind::Text) => edits.push(splice()),
        Some(FieldKind::Json) => edits.extend(at_paths()),
        None => {
            edits.push(increment());
            edits.extend(elements(&Shape::Json));
            edits.push(splice());
            edits.extend(at_paths());
        }
    }
    edits
}
