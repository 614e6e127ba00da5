//! The GraphQL schema of a catalog.

mod audit;
mod collection;
mod conflicts;
mod contacts;
mod document;
mod filters;
mod generic;
mod identity;
mod operator;
mod patches;
mod scalars;
mod sharing;
mod watching;

pub(crate) use operator::rank_name;

use std::future::Future;
use std::sync::Arc;

use async_graphql::Error;
use async_graphql::dynamic::{
    Field, FieldFuture, FieldValue, InputObject, InputValue, Object, Schema, SchemaError, Subscription,
    SubscriptionField, Type, TypeRef,
};

use super::catalog::Catalog;
use super::complete::located;
use super::lower::Arguments;
use super::scope::Scope;

/// Builds the schema that shows `catalog`.
pub(crate) fn build(catalog: &Catalog) -> Result<Schema, SchemaError> {
    let mut parts = Parts::default();
    scalars::register(&mut parts);
    filters::register(&mut parts, catalog);
    patches::register(&mut parts, catalog);
    document::register(&mut parts);
    conflicts::register(&mut parts);
    generic::register(&mut parts);
    operator::register(&mut parts);
    identity::register(&mut parts);
    sharing::register(&mut parts);
    contacts::register(&mut parts);
    audit::register(&mut parts);
    watching::generic(&mut parts);
    for one in catalog.collections.values() {
        collection::register(&mut parts, catalog, one);
    }
    let Parts { types, queries, mutations, subscriptions } = parts;
    let query = queries.into_iter().fold(Object::new("Query"), Object::field);
    let mutation = mutations.into_iter().fold(Object::new("Mutation"), Object::field);
    let subscription = subscriptions.into_iter().fold(Subscription::new("Subscription"), Subscription::field);
    types
        .into_iter()
        .fold(Schema::build("Query", Some("Mutation"), Some("Subscription")), |builder, part| builder.register(part))
        .register(query)
        .register(mutation)
        .register(subscription)
        .finish()
}

/// What a schema is put together from.
#[derive(Default)]
struct Parts {
    types: Vec<Type>,
    queries: Vec<Field>,
    mutations: Vec<Field>,
    subscriptions: Vec<SubscriptionField>,
}

impl Parts {
    fn register(&mut self, part: impl Into<Type>) {
        self.types.push(part.into());
    }

    /// Registers an input object with these fields.
    fn input(&mut self, name: &str, fields: impl IntoIterator<Item = (String, TypeRef)>) {
        let object = fields
            .into_iter()
            .fold(InputObject::new(name), |object, (field, shape)| object.field(InputValue::new(field, shape)));
        self.register(object);
    }
}

/// What a root field's resolver works with.
struct Call {
    scope: Arc<Scope>,
    arguments: Arguments,
    /// Whether the operation asks for `totalCount`.
    counts: bool,
}

/// What a resolver gives: `None` is null.
type Answered = Result<Option<FieldValue<'static>>, Error>;

/// A root field.
fn root<F, Fut>(name: &str, gives: TypeRef, arguments: &[(&str, TypeRef)], resolve: F) -> Field
where
    F: Fn(Call) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Answered> + Send + 'static,
{
    let field = Field::new(name, gives, move |context| {
        let call = Scope::of(&context).map(|scope| Call {
            scope,
            arguments: context.args.as_index_map().clone(),
            counts: context.look_ahead().field("totalCount").exists(),
        });
        let resolving = call.map(&resolve);
        FieldFuture::new(async move {
            let answered = async { resolving?.await };
            let answer: Option<FieldValue<'_>> = answered.await.map_err(|error| located(context.ctx, error))?;
            Ok(answer)
        })
    });
    arguments.iter().fold(field, |field, (name, takes)| field.argument(InputValue::new(*name, takes.clone())))
}

/// A field that is computed at once from its parent.
fn plain<P, F>(name: &str, gives: TypeRef, resolve: F) -> Field
where
    P: Send + Sync + 'static,
    F: Fn(&P) -> Answered + Send + Sync + 'static,
{
    Field::new(name, gives, move |context| {
        let answered = context.parent_value.try_downcast_ref::<P>().and_then(&resolve);
        let answered = answered.map_err(|error| located(context.ctx, error));
        FieldFuture::new(async move { answered })
    })
}
