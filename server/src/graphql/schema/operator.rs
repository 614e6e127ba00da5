//! Root fields about the database itself: its spaces, collections, peers and state.

use async_graphql::Value as Answer;
use async_graphql::dynamic::{Field, FieldFuture, FieldValue, Object, TypeRef};
use tidewater_engine::id::{DeviceId, SpaceId};
use tidewater_engine::space::Rank;
use tidewater_engine::store::{SpaceReport, VoidCommit};
use tidewater_sync::{PeerRecord, PeerStatus, SpaceInfo, SpaceStatus};

use super::sharing::space_of;
use super::{Parts, plain, root};
use crate::graphql::catalog::Collection;
use crate::graphql::lower;
use crate::graphql::scope::Scope;
use crate::graphql::{error, instant, output, place_cursor};

/// A space with its counts.
struct Space {
    info: SpaceInfo,
    report: SpaceReport,
}

/// A peer as known and as seen.
struct Peer {
    record: PeerRecord,
    status: PeerStatus,
}

/// The database as a whole.
struct Status {
    database: String,
    device: String,
    identity: Option<String>,
}

pub(super) fn register(parts: &mut Parts) {
    parts.register(space_type());
    parts.register(
        Object::new("SpaceCount")
            .field(text("collection", |(name, _): &(String, u64)| name.clone()))
            .field(number("documents", |(_, documents): &(String, u64)| *documents)),
    );
    parts.register(collection_type());
    parts.register(status_type());
    parts.register(peer_type());
    parts.register(peer_space_type());
    parts.register(void_commit_type());
    parts.queries.push(spaces());
    parts.queries.push(collections());
    parts.queries.push(status());
    parts.queries.push(peers());
    parts.queries.push(void_commits());
    parts.mutations.push(create_space());
}

pub(super) fn text<P: Send + Sync + 'static>(name: &str, of: impl Fn(&P) -> String + Send + Sync + 'static) -> Field {
    plain(name, TypeRef::named_nn(TypeRef::STRING), move |parent| Ok(Some(FieldValue::value(of(parent)))))
}

pub(super) fn number<P: Send + Sync + 'static>(name: &str, of: impl Fn(&P) -> u64 + Send + Sync + 'static) -> Field {
    plain(name, TypeRef::named_nn("Int64"), move |parent| {
        Ok(Some(FieldValue::value(output::int(i64::try_from(of(parent)).unwrap_or(i64::MAX)))))
    })
}

pub(super) fn flag<P: Send + Sync + 'static>(name: &str, of: impl Fn(&P) -> bool + Send + Sync + 'static) -> Field {
    plain(name, TypeRef::named_nn(TypeRef::BOOLEAN), move |parent| Ok(Some(FieldValue::value(of(parent)))))
}

pub(super) fn optional<P: Send + Sync + 'static>(
    name: &str,
    gives: &str,
    of: impl Fn(&P) -> Option<Answer> + Send + Sync + 'static,
) -> Field {
    plain(name, TypeRef::named(gives), move |parent| Ok(of(parent).map(FieldValue::value)))
}

/// A rank as people call it.
pub(crate) fn rank_name(rank: Rank) -> &'static str {
    match rank {
        Rank::Owner => "owner",
        Rank::Admin => "admin",
        Rank::Writer => "write",
        Rank::Reader => "read",
        Rank::Relay => "relay",
    }
}

fn space_type() -> Object {
    Object::new("Space")
        .field(text("id", |space: &Space| space.info.space.to_string()))
        .field(text("label", |space: &Space| space.info.label.clone()))
        .field(flag("home", |space: &Space| space.info.home))
        .field(
            optional("rank", TypeRef::STRING, |space: &Space| space.info.rank.map(rank_name).map(Answer::from))
                .description(
                    "owner, admin, write, read or relay; null once this device was removed, or its identity left.",
                ),
        )
        .field(flag("left", |space: &Space| space.info.left).description("Whether this identity left."))
        .field(number("members", |space: &Space| space.info.members as u64))
        .field(plain("documents", TypeRef::named_nn_list_nn("SpaceCount"), |space: &Space| {
            Ok(Some(FieldValue::list(space.report.documents.iter().cloned().map(FieldValue::owned_any))))
        }))
        .field(number("entries", |space: &Space| space.report.entries))
        .field(number("parked", |space: &Space| space.report.parked))
        .field(number("void", |space: &Space| space.report.void))
        .field(Field::new("digest", TypeRef::named_nn(TypeRef::STRING), |context| {
            FieldFuture::new(async move {
                let scope = Scope::of(&context)?;
                let space = context.parent_value.try_downcast_ref::<Space>()?.info.space;
                let digest = scope.run(move |database| database.digest(&space).map_err(error::read)).await?;
                Ok(Some(FieldValue::value(SpaceId(digest).to_string())))
            })
        }))
}

fn spaces() -> Field {
    root("spaces", TypeRef::named_nn_list_nn("Space"), &[], |call| async move {
        let spaces = call
            .scope
            .read(|scope, snapshot| {
                let infos = scope.database.spaces_info().map_err(error::space)?;
                let with_report = |info: SpaceInfo| {
                    let report = snapshot.report(&info.space).map_err(error::read)?;
                    Ok(Space { info, report })
                };
                infos.into_iter().map(with_report).collect::<Result<Vec<_>, _>>()
            })
            .await?;
        Ok(Some(FieldValue::list(spaces.into_iter().map(FieldValue::owned_any))))
    })
}

fn collection_type() -> Object {
    Object::new("Collection")
        .field(text("name", |collection: &Collection| collection.name.clone()))
        .field(text("typeName", |collection: &Collection| collection.type_name.clone()))
        .field(text("listField", |collection: &Collection| collection.list_field.clone()))
        .field(text("singleField", |collection: &Collection| collection.single_field.clone()))
        .field(plain("fields", TypeRef::named_nn_list_nn(TypeRef::STRING), |collection: &Collection| {
            let names = collection.fields.keys().map(|name| FieldValue::value(name.as_str()));
            Ok(Some(FieldValue::list(names)))
        }))
}

fn collections() -> Field {
    root("collections", TypeRef::named_nn_list_nn("Collection"), &[], |call| async move {
        let collections = call.scope.catalog.collections.values().cloned().map(FieldValue::owned_any);
        Ok(Some(FieldValue::list(collections.collect::<Vec<_>>())))
    })
}

fn status_type() -> Object {
    Object::new("Status")
        .field(text("database", |status: &Status| status.database.clone()))
        .field(text("device", |status: &Status| status.device.clone()))
        .field(optional("identity", TypeRef::STRING, |status: &Status| status.identity.clone().map(Answer::from)))
}

fn status() -> Field {
    root("status", TypeRef::named_nn("Status"), &[], |call| async move {
        let status = call
            .scope
            .run(|database| {
                Ok(Status {
                    database: database.database_id().to_string(),
                    device: database.device().to_string(),
                    identity: database.identity().map(|identity| identity.to_string()),
                })
            })
            .await?;
        Ok(Some(FieldValue::owned_any(status)))
    })
}

fn peer_type() -> Object {
    let time = |ms: Option<i64>| ms.map(|ms| Answer::from(instant::format(ms)));
    Object::new("Peer")
        .field(text("device", |peer: &Peer| peer.record.device.to_string()))
        .field(optional("identity", TypeRef::STRING, |peer: &Peer| {
            peer.status.identity.or(peer.record.identity).map(|identity| Answer::from(identity.to_string()))
        }))
        .field(flag("connected", |peer: &Peer| peer.status.connected))
        .field(plain("addresses", TypeRef::named_nn_list_nn(TypeRef::STRING), |peer: &Peer| {
            Ok(Some(FieldValue::list(peer.record.addresses.iter().map(|address| FieldValue::value(address.as_str())))))
        }))
        .field(optional("seen", "Timestamp", move |peer: &Peer| time(peer.record.seen_ms)))
        .field(optional("lastSuccess", "Timestamp", move |peer: &Peer| time(peer.status.last_success_ms)))
        .field(optional("lastError", TypeRef::STRING, |peer: &Peer| peer.status.last_error.clone().map(Answer::from)))
        .field(plain("spaces", TypeRef::named_nn_list_nn("PeerSpace"), |peer: &Peer| {
            let spaces = peer.status.spaces.iter().map(|(space, status)| FieldValue::owned_any((*space, *status)));
            Ok(Some(FieldValue::list(spaces)))
        }))
}

fn peer_space_type() -> Object {
    type PeerSpace = (SpaceId, SpaceStatus);
    Object::new("PeerSpace")
        .field(text("space", |(space, _): &PeerSpace| space.to_string()))
        .field(number("behind", |(_, status): &PeerSpace| status.behind_entries))
        .field(number("ahead", |(_, status): &PeerSpace| status.ahead_entries))
        .field(number("received", |(_, status): &PeerSpace| status.received_entries))
        .field(number("sent", |(_, status): &PeerSpace| status.sent_entries))
        .field(number("parked", |(_, status): &PeerSpace| status.parked_entries))
        .field(number("forked", |(_, status): &PeerSpace| status.forked_logs))
}

fn peers() -> Field {
    root("peers", TypeRef::named_nn_list_nn("Peer"), &[], |call| async move {
        let peers = call
            .scope
            .run(|database| {
                let records = database.peers().map_err(error::space)?;
                let mut status = database.status().peers;
                let mut known: Vec<Peer> = records
                    .into_iter()
                    .map(|record| Peer { status: status.remove(&record.device).unwrap_or_default(), record })
                    .collect();
                let record =
                    |device: DeviceId| PeerRecord { device, identity: None, addresses: Vec::new(), seen_ms: None };
                known.extend(status.into_iter().map(|(device, status)| Peer { record: record(device), status }));
                Ok(known)
            })
            .await?;
        Ok(Some(FieldValue::list(peers.into_iter().map(FieldValue::owned_any))))
    })
}

fn void_commit_type() -> Object {
    Object::new("VoidCommit")
        .field(
            text("reason", |void: &VoidCommit| void.reason.name().to_owned())
                .description("past, rank, cut, unreadable, operation or change."),
        )
        .field(text("why", |void: &VoidCommit| void.why.clone()).description("The reason, for people."))
        .field(text("writer", |void: &VoidCommit| void.place.writer.to_string()))
        .field(number("sequence", |void: &VoidCommit| void.place.sequence))
        .field(text("plane", |void: &VoidCommit| void.place.plane.name().to_owned()))
        .field(text("cursor", |void: &VoidCommit| place_cursor::text(&void.place)))
        .description("A commit that counts for nothing, on every replica alike. It stays in its log.")
}

fn void_commits() -> Field {
    let arguments = [
        ("space", TypeRef::named(TypeRef::ID)),
        ("first", TypeRef::named(TypeRef::INT)),
        ("after", TypeRef::named(TypeRef::STRING)),
    ];
    root("voidCommits", TypeRef::named_nn_list_nn("VoidCommit"), &arguments, |call| async move {
        let space = space_of(&call, &call.scope.database)?;
        let (first, after) = place_cursor::page(&space, &call.arguments).map_err(error::lowering)?;
        let listed = call
            .scope
            .read(move |_, snapshot| snapshot.void_commits(&space, after.as_ref(), first).map_err(error::read))
            .await?;
        Ok(Some(FieldValue::list(listed.into_iter().map(FieldValue::owned_any))))
    })
    .description(
        "Commits of a space that count for nothing, 100 when nothing is said, `after` the cursor of an earlier one.",
    )
}

fn create_space() -> Field {
    root(
        "createSpace",
        TypeRef::named_nn(TypeRef::ID),
        &[("label", TypeRef::named_nn(TypeRef::STRING))],
        |call| async move {
            let label = call.arguments.get("label").unwrap_or(&Answer::Null);
            let label = lower::text("label", label).map_err(error::lowering)?.to_owned();
            let space = call.scope.run(move |database| database.new_space(&label).map_err(error::space)).await?;
            Ok(Some(FieldValue::value(space.to_string())))
        },
    )
    .description("Makes a space owned by this identity, and gives its id.")
}
