//! Root fields about who gave whom which rank, and who fetched what.

use async_graphql::Value as Answer;
use async_graphql::dynamic::{Field, FieldValue, Object, TypeRef};
use tidewater_sync::{AuditAccess, AuditEntry};

use super::operator::{number, optional, rank_name, text};
use super::sharing::{space_argument, space_of};
use super::{Parts, root};
use crate::audit::{Told, told};
use crate::graphql::lower::{LowerError, page};
use crate::graphql::{error, instant, place_cursor};

/// An entry of the trail, and what it says.
struct Entry {
    entry: AuditEntry,
    told: Told,
}

pub(super) fn register(parts: &mut Parts) {
    parts.register(entry_type());
    parts.register(access_type());
    parts.queries.push(audit());
    parts.queries.push(accesses());
}

fn entry_type() -> Object {
    let author = |entry: &Entry| entry.entry.author.clone();
    Object::new("AuditEntry")
        .field(text("action", |entry: &Entry| entry.told.action.to_owned()).description(
            "genesis, grant, revoke, leave, add-device, remove-device, rotate, rename, wraps, level, fork; unreadable where it can't be read.",
        ))
        .field(text("what", |entry: &Entry| entry.told.what.clone()).description("What it says, for people."))
        .field(
            text("verdict", |entry: &Entry| entry.entry.verdict.name().to_owned())
                .description("effective, void, malformed or unknown: what became of it, on every replica alike."),
        )
        .field(
            optional("why", TypeRef::STRING, |entry: &Entry| entry.entry.why.clone().map(Answer::from))
                .description("Why it counts for nothing, if so, for people."),
        )
        .field(
            time("claimed", |entry: &Entry| entry.entry.claimed_ms)
                .description("When, by the clock of the device that wrote it. Nothing rests on it."),
        )
        .field(
            optional("identity", TypeRef::ID, move |entry: &Entry| {
                author(entry).map(|party| Answer::from(party.identity.to_string()))
            })
            .description("Who said it; null where the space names no member with this device."),
        )
        .field(optional("name", TypeRef::STRING, move |entry: &Entry| {
            author(entry).map(|party| Answer::from(party.name))
        }))
        .field(text("device", |entry: &Entry| entry.entry.place.writer.device.to_string()))
        .field(
            optional("subject", TypeRef::ID, |entry: &Entry| {
                entry.told.subject.map(|identity| Answer::from(identity.to_string()))
            })
            .description("Whom it is about, if it is about one identity."),
        )
        .field(optional("rank", TypeRef::STRING, |entry: &Entry| entry.told.rank.map(rank_name).map(Answer::from)))
        .field(text("writer", |entry: &Entry| entry.entry.place.writer.to_string()))
        .field(number("sequence", |entry: &Entry| entry.entry.place.sequence))
        .field(text("cursor", |entry: &Entry| place_cursor::text(&entry.entry.place)))
        .description("A control commit of a space: something that was said about who may do what in it.")
}

/// An entry as GraphQL resolves it.
pub(super) fn node(entry: AuditEntry) -> FieldValue<'static> {
    let told = told(&entry);
    FieldValue::owned_any(Entry { entry, told })
}

fn time<P: Send + Sync + 'static>(name: &str, of: impl Fn(&P) -> i64 + Send + Sync + 'static) -> Field {
    super::plain(name, TypeRef::named_nn("Timestamp"), move |parent| {
        Ok(Some(FieldValue::value(instant::format(of(parent)))))
    })
}

fn access_type() -> Object {
    Object::new("Access")
        .field(text("device", |access: &AuditAccess| access.device.to_string()))
        .field(optional("identity", TypeRef::ID, |access: &AuditAccess| {
            access.identity.map(|identity| Answer::from(identity.to_string()))
        }))
        .field(text("space", |access: &AuditAccess| access.space.to_string()))
        .field(text("plane", |access: &AuditAccess| access.plane.name().to_owned()).description("control or data."))
        .field(number("entries", |access: &AuditAccess| access.entries).description("How many entries were sent."))
        .field(time("first", |access: &AuditAccess| access.first_ms))
        .field(time("last", |access: &AuditAccess| access.last_ms))
        .description("What another device fetched from this one in one session, of one space and plane.")
}

fn accesses() -> Field {
    let arguments = [space_argument(), ("first", TypeRef::named(TypeRef::INT))];
    root("accesses", TypeRef::named_nn_list_nn("Access"), &arguments, |call| async move {
        let wanted = || -> Result<_, LowerError> { Ok((page::space(&call.arguments)?, page::first(&call.arguments)?)) };
        let (space, first) = wanted().map_err(error::lowering)?;
        let accesses =
            call.scope.run(move |database| database.accesses(space.as_ref(), first).map_err(error::space)).await?;
        Ok(Some(FieldValue::list(accesses.into_iter().map(FieldValue::owned_any))))
    })
    .description(
        "What other devices fetched from this one, of one space or of all, newest first; 100 when nothing is said.",
    )
}

fn audit() -> Field {
    let arguments =
        [space_argument(), ("first", TypeRef::named(TypeRef::INT)), ("after", TypeRef::named(TypeRef::STRING))];
    root("audit", TypeRef::named_nn_list_nn("AuditEntry"), &arguments, |call| async move {
        let space = space_of(&call, &call.scope.database)?;
        let (first, after) = place_cursor::page(&space, &call.arguments).map_err(error::lowering)?;
        let listed = call
            .scope
            .run(move |database| database.audit(&space, after.as_ref(), first).map_err(error::space))
            .await?;
        Ok(Some(FieldValue::list(listed.into_iter().map(node))))
    })
    .description(
        "What was said in a space about who may do what, in causal order; 100 entries when nothing is said, `after` the cursor of an earlier one.",
    )
}
