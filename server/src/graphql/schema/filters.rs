//! Input types for `where`: one for every shape.

use std::collections::BTreeMap;

use async_graphql::dynamic::TypeRef;

use super::Parts;
use crate::graphql::catalog::Catalog;
use crate::graphql::shape::Shape;

/// The type that a value of a shape is given as.
pub(super) fn input_type(shape: &Shape) -> TypeRef {
    match shape {
        Shape::List(element) => TypeRef::named_nn_list(element.stem()),
        Shape::Vector => TypeRef::named_nn_list(TypeRef::FLOAT),
        shape => TypeRef::named(shape.stem()),
    }
}

/// The name of the filter for a shape.
pub(super) fn filter_name(shape: &Shape) -> String {
    shape.stem() + "Comparisons"
}

pub(super) fn register(parts: &mut Parts, catalog: &Catalog) {
    let fields = catalog.collections.values().flat_map(|collection| collection.fields.values());
    let mut shapes: BTreeMap<String, Shape> =
        fields.map(|field| (filter_name(&field.shape), field.shape.clone())).collect();
    shapes.insert(filter_name(&Shape::Reference(String::new())), Shape::Reference(String::new()));
    for (name, shape) in shapes {
        parts.input(&name, comparisons(&shape));
    }
}

fn comparisons(shape: &Shape) -> Vec<(String, TypeRef)> {
    let one = input_type(shape);
    let listed = |shape: &Shape| TypeRef::named_list(shape.stem());
    let each = |names: &[&str], takes: &TypeRef| -> Vec<(String, TypeRef)> {
        names.iter().map(|name| ((*name).to_owned(), takes.clone())).collect()
    };
    let mut found = each(&["exists"], &TypeRef::named(TypeRef::BOOLEAN));
    match shape {
        Shape::Vector => {}
        Shape::List(element) => {
            found.extend(each(&["eq", "ne"], &one));
            found.extend(each(&["contains"], &input_type(element)));
            found.extend(each(&["any", "all"], &listed(element)));
        }
        shape => {
            found.extend(each(&["eq", "ne"], &one));
            found.extend(each(&["in", "nin"], &listed(shape)));
        }
    }
    if !matches!(shape, Shape::Vector | Shape::List(_) | Shape::Bool | Shape::Reference(_)) {
        found.extend(each(&["gt", "gte", "lt", "lte"], &one));
    }
    if matches!(shape, Shape::String | Shape::Json) {
        found.extend(each(&["like", "startsWith"], &TypeRef::named(TypeRef::STRING)));
        found.extend(each(&["contains"], &one));
    }
    if *shape == Shape::Json {
        found.extend(each(&["any", "all"], &listed(shape)));
        found.extend(each(&["path"], &TypeRef::named(TypeRef::STRING)));
    }
    found
}
