//! Subscriptions: a live query of a collection, told as what came, what changed and what went.

use std::sync::Arc;

use async_graphql::Error;
use async_graphql::Value as Argument;
use async_graphql::dynamic::{FieldValue, InputValue, Object, SubscriptionField, SubscriptionFieldFuture, TypeRef};
use futures_util::stream::{self, Stream};
use tidewater_engine::document::Document;
use tidewater_engine::query::{Delta, LiveError, LiveQuery, Query};
use tidewater_engine::store::{Change, ChangeGuard};
use tokio::sync::Notify;

use super::{Parts, document, plain};
use crate::graphql::catalog::Collection;
use crate::graphql::error::{self, Code};
use crate::graphql::lower::{self, filter, page};
use crate::graphql::scope::Scope;

/// One event: how the result differs from the one before.
struct Event {
    added: Vec<Document>,
    changed: Vec<Document>,
    removed: Vec<String>,
}

impl Event {
    fn of(deltas: Vec<Delta>) -> Self {
        let mut event = Self { added: Vec::new(), changed: Vec::new(), removed: Vec::new() };
        for delta in deltas {
            match delta {
                Delta::Added { document, .. } => event.added.push(document),
                Delta::Changed { document, .. } => event.changed.push(document),
                Delta::Removed { id, .. } => event.removed.push(id.to_string()),
                // The result is by id, so nothing moves; an order of one's own comes with a list query.
                _ => {}
            }
        }
        event
    }

    fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }
}

/// A live query and what wakes it.
struct Watching {
    scope: Arc<Scope>,
    live: LiveQuery,
    woken: Arc<Notify>,
    _listening: ChangeGuard,
    is_first: bool,
}

impl Watching {
    fn start(scope: Arc<Scope>, query: Query) -> Result<Self, Error> {
        let live = LiveQuery::new(query).map_err(error::read)?;
        let woken = Arc::new(Notify::new());
        let (watched, wakes) = (live.clone(), Arc::clone(&woken));
        let listening = scope.database.on_change(Arc::new(move |change: &Change| {
            if watched.affected_by(change) {
                wakes.notify_one();
            }
        }));
        // The first result is told without waiting for a change.
        woken.notify_one();
        Ok(Self { scope, live, woken, _listening: listening, is_first: true })
    }

    /// The next event: the first result, even an empty one, and then whatever differs.
    async fn next(mut self) -> Option<(Result<FieldValue<'static>, Error>, Option<Self>)> {
        loop {
            self.woken.notified().await;
            let mut live = self.live;
            self.scope.begin_event();
            let refreshed = self
                .scope
                .read(move |_, snapshot| {
                    let deltas = snapshot.refresh(&mut live).map_err(failed)?;
                    Ok((live, deltas))
                })
                .await;
            let event = match refreshed {
                Ok((live, deltas)) => {
                    self.live = live;
                    Event::of(deltas)
                }
                Err(error) => return Some((Err(error), None)),
            };
            if self.is_first || !event.is_empty() {
                self.is_first = false;
                return match self.scope.spend(event.added.len() + event.changed.len()) {
                    Ok(()) => Some((Ok(FieldValue::owned_any(event)), Some(self))),
                    Err(error) => Some((Err(error), None)),
                };
            }
        }
    }
}

fn failed(error: LiveError) -> Error {
    match error {
        LiveError::Read(error) => error::read(error),
        other => Code::LimitExceeded.error(other),
    }
}

fn events<'a>(watching: Watching) -> impl Stream<Item = Result<FieldValue<'a>, Error>> {
    stream::unfold(Some(watching), |watching| async move {
        let (event, rest) = watching?.next().await?;
        let event: Result<FieldValue<'a>, Error> = event;
        Some((event, rest))
    })
}

/// The type of events about documents of `type_name`.
pub(super) fn change_type(type_name: &str) -> Object {
    Object::new(format!("{type_name}Change"))
        .field(plain("added", TypeRef::named_nn_list_nn(type_name), |event: &Event| {
            Ok(Some(FieldValue::list(event.added.iter().cloned().map(document::node))))
        }))
        .field(plain("changed", TypeRef::named_nn_list_nn(type_name), |event: &Event| {
            Ok(Some(FieldValue::list(event.changed.iter().cloned().map(document::node))))
        }))
        .field(plain("removed", TypeRef::named_nn_list_nn(TypeRef::ID), |event: &Event| {
            Ok(Some(FieldValue::list(event.removed.iter().map(|id| FieldValue::value(id.as_str())))))
        }))
}

/// The subscription for a collection.
pub(super) fn collection(parts: &mut Parts, collection: &Arc<Collection>) {
    let type_name = &collection.type_name;
    parts.register(change_type(type_name));
    let of = Arc::clone(collection);
    let gives = TypeRef::named_nn(format!("{type_name}Change"));
    let field = SubscriptionField::new(&collection.changed_field, gives, move |context| {
        let of = Arc::clone(&of);
        SubscriptionFieldFuture::new(async move {
            let scope = Scope::of(&context)?;
            let query = query(&of.name, Some(&of), context.args.as_index_map())?;
            Ok(events(Watching::start(scope, query)?))
        })
    });
    let filter = TypeRef::named(format!("{type_name}Filter"));
    parts.subscriptions.push(described(field, filter));
}

/// The subscription for any collection by its name.
pub(super) fn generic(parts: &mut Parts) {
    parts.register(change_type("Document"));
    let gives = TypeRef::named_nn("DocumentChange");
    let field = SubscriptionField::new("documentsChanged", gives, |context| {
        SubscriptionFieldFuture::new(async move {
            let scope = Scope::of(&context)?;
            let arguments = context.args.as_index_map();
            let name = arguments.get("collection").unwrap_or(&Argument::Null);
            let name = lower::text("collection", name).map_err(error::lowering)?;
            let query = query(name, None, arguments)?;
            Ok(events(Watching::start(scope, query)?))
        })
    });
    let field = field.argument(InputValue::new("collection", TypeRef::named_nn(TypeRef::STRING)));
    parts.subscriptions.push(described(field, TypeRef::named("JSON")));
}

fn described(field: SubscriptionField, filter: TypeRef) -> SubscriptionField {
    field
        .argument(InputValue::new("where", filter))
        .argument(InputValue::new("spaces", TypeRef::named_nn_list(TypeRef::ID)))
        .description("First all documents that match, as added; then every change of that set, local or remote.")
}

fn query(name: &str, collection: Option<&Collection>, arguments: &lower::Arguments) -> Result<Query, Error> {
    let mut query = Query::all(name);
    if let Some(argument) = lower::given(arguments, "where") {
        query.filter = filter::filter(collection, argument).map_err(error::lowering)?;
    }
    query.spaces = page::spaces(arguments).map_err(error::lowering)?;
    Ok(query)
}
