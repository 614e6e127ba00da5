//! The subscription to who may do what in a space: its members, and what is said about them.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_graphql::Error;
use async_graphql::dynamic::{FieldValue, InputValue, Object, SubscriptionField, SubscriptionFieldFuture, TypeRef};
use futures_util::stream::{self, Stream};
use tidewater_engine::id::{SpaceId, WriterId};
use tidewater_engine::log::Plane;
use tidewater_engine::store::{Change, ChangeGuard};
use tidewater_sync::{AuditEntry, Database, Member};
use tokio::sync::Notify;

use crate::graphql::error;
use crate::graphql::lower::page;
use crate::graphql::schema::{Parts, audit, plain};
use crate::graphql::scope::Scope;

/// How many entries one event has at most; the others come with the next one.
const MAX_ENTRIES: usize = 100;

/// The members as they are now, and what was said since the event before.
struct Event {
    members: Vec<Member>,
    said: Vec<AuditEntry>,
}

/// How far the control log of each device was told.
type Told = BTreeMap<WriterId, u64>;

struct Watching {
    scope: Arc<Scope>,
    space: SpaceId,
    told: Told,
    woken: Arc<Notify>,
    _listening: ChangeGuard,
    is_first: bool,
}

impl Watching {
    fn start(scope: Arc<Scope>, space: SpaceId) -> Self {
        let woken = Arc::new(Notify::new());
        let wakes = Arc::clone(&woken);
        let listening = scope.database.on_change(Arc::new(move |change: &Change| {
            if change.spaces.contains(&(space, Plane::Control)) {
                wakes.notify_one();
            }
        }));
        // The first event is told without waiting for a change.
        woken.notify_one();
        Self { scope, space, told: Told::new(), woken, _listening: listening, is_first: true }
    }

    /// The next event: the members at once, and then whenever something is said.
    async fn next(mut self) -> Option<(Result<FieldValue<'static>, Error>, Option<Self>)> {
        loop {
            self.woken.notified().await;
            self.scope.begin_event();
            let (space, told, is_first) = (self.space, std::mem::take(&mut self.told), self.is_first);
            let looked = self.scope.run(move |database| look(database, &space, told, is_first)).await;
            let (event, told) = match looked {
                Ok(looked) => looked,
                Err(error) => return Some((Err(error), None)),
            };
            self.told = told;
            if event.said.len() == MAX_ENTRIES {
                self.woken.notify_one();
            }
            if std::mem::take(&mut self.is_first) || !event.said.is_empty() {
                return match self.scope.spend(event.members.len() + event.said.len()) {
                    Ok(()) => Some((Ok(FieldValue::owned_any(event)), Some(self))),
                    Err(error) => Some((Err(error), None)),
                };
            }
        }
    }
}

/// What there is to tell. The first time all that was said before counts as told.
fn look(database: &Database, space: &SpaceId, mut told: Told, is_first: bool) -> Result<(Event, Told), Error> {
    let trail = database.audit(space, None, usize::MAX).map_err(error::space)?;
    let is_new =
        |entry: &AuditEntry, told: &Told| told.get(&entry.place.writer).is_none_or(|last| *last < entry.place.sequence);
    let mut said: Vec<AuditEntry> = Vec::new();
    for entry in trail.into_iter().filter(|entry| is_new(entry, &told)) {
        said.push(entry);
        if !is_first && said.len() == MAX_ENTRIES {
            break;
        }
    }
    for AuditEntry { place, .. } in &said {
        let last = told.entry(place.writer).or_insert(place.sequence);
        *last = place.sequence.max(*last);
    }
    if is_first {
        said.clear();
    }
    Ok((Event { members: database.members(space).map_err(error::space)?, said }, told))
}

fn events<'a>(watching: Watching) -> impl Stream<Item = Result<FieldValue<'a>, Error>> {
    stream::unfold(Some(watching), |watching| async move {
        let (event, rest) = watching?.next().await?;
        let event: Result<FieldValue<'a>, Error> = event;
        Some((event, rest))
    })
}

pub(super) fn register(parts: &mut Parts) {
    let change = Object::new("SharingChange")
        .field(plain("members", TypeRef::named_nn_list_nn("Member"), |event: &Event| {
            Ok(Some(FieldValue::list(event.members.iter().cloned().map(FieldValue::owned_any))))
        }))
        .field(plain("said", TypeRef::named_nn_list_nn("AuditEntry"), |event: &Event| {
            Ok(Some(FieldValue::list(event.said.iter().cloned().map(audit::node))))
        }))
        .description("Who the members of a space are now, and what was said about it since the event before.");
    parts.register(change);
    let field = SubscriptionField::new("sharingChanged", TypeRef::named_nn("SharingChange"), |context| {
        SubscriptionFieldFuture::new(async move {
            let scope = Scope::of(&context)?;
            let space = page::space(context.args.as_index_map()).map_err(error::lowering)?;
            let space = super::named_or_home(space, &scope.database)?;
            Ok(events(Watching::start(scope, space)))
        })
    });
    let field = field.argument(InputValue::new("space", TypeRef::named(TypeRef::ID))).description(
        "First the members of a space; then again whenever something is said about who may do what, here or elsewhere.",
    );
    parts.subscriptions.push(field);
}
