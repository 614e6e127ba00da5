//! Completing an answer as the specification has it: a field that failed is null, null in a place that allows none takes
//! its parent with it, and fields come in the order they are asked for.
//!
//! The executor of dynamic schemas leaves failed fields out, in the order in which they finished, and gives errors no path.

use std::collections::HashMap;

use async_graphql::indexmap::IndexMap;
use async_graphql::parser::types::{
    Directive, ExecutableDocument, Field, FragmentDefinition, OperationDefinition, OperationType, Selection,
    SelectionSet,
};
use async_graphql::registry::{MetaType, Registry};
use async_graphql::{Context, Error, ErrorExtensions, Name, PathSegment, Positioned, Response, Value, Variables};

/// Under which extension an error carries its path to [`complete`].
const PATH: &str = "path";

/// Notes in an error where it happened.
pub(crate) fn located(context: &Context<'_>, error: Error) -> Error {
    let path = context.path_node.as_ref().and_then(|node| serde_json::to_value(node).ok());
    match path {
        Some(path) => error.extend_with(|_, extensions| extensions.set(PATH, super::json::json_to_answer(path))),
        None => error,
    }
}

/// What completing needs to know of an operation.
#[derive(Clone)]
pub(crate) struct Asked {
    document: std::sync::Arc<ExecutableDocument>,
    operation_name: Option<String>,
    /// The variables that say yes or no, for `@skip` and `@include`.
    flags: HashMap<Name, bool>,
}

impl Asked {
    pub(crate) fn new(
        document: ExecutableDocument,
        operation: &OperationDefinition,
        operation_name: Option<String>,
        variables: &Variables,
    ) -> Self {
        let mut flags = HashMap::new();
        for definition in &operation.variable_definitions {
            let name = &definition.node.name.node;
            let value = variables.get(name).or(definition.node.default_value.as_ref().map(|value| &value.node));
            if let Some(Value::Boolean(flag)) = value {
                flags.insert(name.clone(), *flag);
            }
        }
        Self { document: std::sync::Arc::new(document), operation_name, flags }
    }

    /// Completes an answer to the operation.
    pub(crate) fn complete(&self, registry: &Registry, response: &mut Response) {
        for error in &mut response.errors {
            let noted = error.extensions.as_mut().and_then(|extensions| {
                let noted = extensions.get(PATH).cloned();
                extensions.unset(PATH);
                noted
            });
            if let Some(Value::List(segments)) = noted {
                error.path = segments.into_iter().filter_map(segment).collect();
            }
        }
        // Fields run side by side; their errors are put in the order in which the fields are asked for.
        response.errors.sort_by_cached_key(|error| {
            let places: Vec<(usize, usize)> = error.locations.iter().map(|place| (place.line, place.column)).collect();
            let path = error.path.iter().map(|segment| match segment {
                PathSegment::Field(name) => (0, name.clone()),
                PathSegment::Index(index) => (*index, String::new()),
            });
            (places, path.collect::<Vec<_>>())
        });
        let ran = response.errors.is_empty() || response.errors.iter().any(|error| !error.path.is_empty());
        let operation = super::limits::operation(&self.document, self.operation_name.as_deref());
        let (Some(operation), true) = (operation, ran) else { return };
        let root = match operation.ty {
            OperationType::Query => "Query",
            OperationType::Mutation => "Mutation",
            OperationType::Subscription => "Subscription",
        };
        let failed = response.errors.iter().map(|error| error.path.clone()).collect();
        let data = std::mem::take(&mut response.data);
        let mut completing =
            Completing { registry, fragments: &self.document.fragments, flags: &self.flags, failed, path: Vec::new() };
        let completed = completing.object(root, &[&operation.selection_set.node], data);
        response.data = completed.unwrap_or(Value::Null);
    }
}

fn segment(value: Value) -> Option<PathSegment> {
    match value {
        Value::String(name) => Some(PathSegment::Field(name)),
        Value::Number(index) => index.as_u64().and_then(|index| usize::try_from(index).ok()).map(PathSegment::Index),
        _ => None,
    }
}

/// A null stands where the type allows none.
struct NullPropagates;

struct Completing<'a> {
    registry: &'a Registry,
    fragments: &'a HashMap<Name, Positioned<FragmentDefinition>>,
    flags: &'a HashMap<Name, bool>,
    failed: Vec<Vec<PathSegment>>,
    path: Vec<PathSegment>,
}

type Collected<'a> = IndexMap<Name, (Name, Vec<&'a SelectionSet>)>;

impl<'a> Completing<'a> {
    fn object(&mut self, type_name: &str, asked: &[&'a SelectionSet], value: Value) -> Result<Value, NullPropagates> {
        let mut given = match value {
            Value::Object(given) => given,
            // The executor's way to say that every field failed.
            Value::Null
                if self.failed.iter().any(|path| path.len() > self.path.len() && path.starts_with(&self.path)) =>
            {
                IndexMap::new()
            }
            other => return Ok(other),
        };
        let mut collected = Collected::new();
        asked.iter().for_each(|selections| self.collect(type_name, selections, &mut collected));
        let registry = self.registry;
        let fields = registry.types.get(type_name).and_then(MetaType::fields);
        let mut completed = IndexMap::with_capacity(collected.len());
        for (key, (name, asked)) in collected {
            let value = given.swap_remove(&key).unwrap_or(Value::Null);
            let value = match fields.and_then(|fields| fields.get(name.as_str())) {
                Some(field) => {
                    self.path.push(PathSegment::Field(key.to_string()));
                    let value = self.value(&field.ty, &asked, value);
                    self.path.pop();
                    value?
                }
                // The introspection's own fields come complete.
                None => value,
            };
            completed.insert(key, value);
        }
        Ok(Value::Object(completed))
    }

    fn value(&mut self, ty: &str, asked: &[&'a SelectionSet], value: Value) -> Result<Value, NullPropagates> {
        if let Some(ty) = ty.strip_suffix('!') {
            return match self.value(ty, asked, value)? {
                Value::Null => Err(NullPropagates),
                value => Ok(value),
            };
        }
        let completed = match (ty.strip_prefix('[').and_then(|ty| ty.strip_suffix(']')), value) {
            (Some(ty), Value::List(elements)) => {
                let mut element = |(index, element)| {
                    self.path.push(PathSegment::Index(index));
                    let element = self.value(ty, asked, element);
                    self.path.pop();
                    element
                };
                elements.into_iter().enumerate().map(&mut element).collect::<Result<_, _>>().map(Value::List)
            }
            (None, value) if self.registry.types.get(ty).is_some_and(|ty| ty.fields().is_some()) => {
                self.object(ty, asked, value)
            }
            (_, value) => Ok(value),
        };
        Ok(completed.unwrap_or(Value::Null))
    }

    /// Collects the fields that are asked of an object, fragments written out, those of one response key together.
    fn collect(&self, type_name: &str, selections: &'a SelectionSet, collected: &mut Collected<'a>) {
        for selection in &selections.items {
            match &selection.node {
                Selection::Field(field) if self.is_asked(&field.node.directives) => {
                    let Field { name, selection_set, .. } = &field.node;
                    let key = field.node.response_key().node.clone();
                    collected.entry(key).or_insert_with(|| (name.node.clone(), Vec::new())).1.push(&selection_set.node);
                }
                Selection::InlineFragment(fragment) if self.is_asked(&fragment.node.directives) => {
                    let on = fragment.node.type_condition.as_ref().map(|on| on.node.on.node.as_str());
                    if on.is_none_or(|on| on == type_name) {
                        self.collect(type_name, &fragment.node.selection_set.node, collected);
                    }
                }
                Selection::FragmentSpread(spread) if self.is_asked(&spread.node.directives) => {
                    if let Some(fragment) = self.fragments.get(&spread.node.fragment_name.node)
                        && fragment.node.type_condition.node.on.node == type_name
                    {
                        self.collect(type_name, &fragment.node.selection_set.node, collected);
                    }
                }
                _ => {}
            }
        }
    }

    /// Whether `@skip` and `@include` leave a selection in.
    fn is_asked(&self, directives: &[Positioned<Directive>]) -> bool {
        directives.iter().all(|directive| {
            let condition = || {
                let literal = directive.node.get_argument("if")?.node.clone();
                match literal.into_const_with(|name| self.flags.get(&name).map(|flag| Value::Boolean(*flag)).ok_or(()))
                {
                    Ok(Value::Boolean(condition)) => Some(condition),
                    _ => None,
                }
            };
            match directive.node.name.node.as_str() {
                "skip" => condition() != Some(true),
                "include" => condition() != Some(false),
                _ => true,
            }
        })
    }
}
