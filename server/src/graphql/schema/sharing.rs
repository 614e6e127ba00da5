//! Root fields about who may do what: members, and invitations by ticket.

mod offers;
mod watching;

use std::str::FromStr;

use async_graphql::Error;
use async_graphql::Value as Argument;
use async_graphql::dynamic::{Field, FieldValue, Object, TypeRef};
use tidewater_engine::id::SpaceId;
use tidewater_engine::space::Rank;
use tidewater_net::transport::Addr;
use tidewater_sync::{Database, IdentityId, Member, Ticket};

use super::operator::rank_name;
use super::{Answered, Call, Parts, plain, root};
use crate::graphql::error::{self, Code};
use crate::graphql::lower::{self, page};
use crate::graphql::{instant, lower::LowerError};

/// How long a ticket holds when nothing is said, in minutes.
const DEFAULT_VALID_MINUTES: usize = 60;
/// The longest that a ticket holds, in minutes: a year.
const MAX_VALID_MINUTES: usize = 525_600;
const MS_PER_MINUTE: i64 = 60_000;

pub(super) fn register(parts: &mut Parts) {
    let text = |name: &str, of: fn(&Member) -> String| {
        plain(name, TypeRef::named_nn(TypeRef::STRING), move |member: &Member| Ok(Some(FieldValue::value(of(member)))))
    };
    let member = Object::new("Member")
        .field(text("identity", |member| member.identity.to_string()))
        .field(text("name", |member| member.name.clone()))
        .field(text("rank", |member| rank_name(member.rank).to_owned()))
        .field(plain("devices", TypeRef::named_nn_list_nn(TypeRef::ID), |member: &Member| {
            Ok(Some(FieldValue::list(member.devices.iter().map(|device| FieldValue::value(device.device.to_string())))))
        }));
    parts.register(member);
    parts.register(ticket_type());
    offers::register(parts);
    watching::register(parts);
    parts.queries.push(members());
    parts.mutations.push(revoke());
    parts.mutations.push(change_rank());
    parts.mutations.push(leave_space());
    parts.mutations.push(forget_space());
    parts.mutations.push(share());
    parts.mutations.push(link());
}

fn ticket_type() -> Object {
    Object::new("Ticket")
        .field(plain("ticket", TypeRef::named_nn(TypeRef::STRING), |ticket: &Ticket| {
            Ok(Some(FieldValue::value(ticket.to_string())))
        }))
        .field(plain("offer", TypeRef::named_nn(TypeRef::ID), |ticket: &Ticket| {
            Ok(Some(FieldValue::value(ticket.offer.to_string())))
        }))
        .field(plain("addresses", TypeRef::named_nn_list_nn(TypeRef::STRING), |ticket: &Ticket| {
            Ok(Some(FieldValue::list(ticket.addresses.iter().map(|address| FieldValue::value(address.as_str())))))
        }))
        .field(plain("expires", TypeRef::named_nn("Timestamp"), |ticket: &Ticket| {
            Ok(Some(FieldValue::value(instant::format(ticket.expires_ms))))
        }))
        .description(
            "Lets another device join, once, until it expires. Whoever has it can use it: pass it on privately.",
        )
}

pub(super) fn space_argument() -> (&'static str, TypeRef) {
    ("space", TypeRef::named(TypeRef::ID))
}

/// The space that is named, or home.
pub(super) fn space_of(call: &Call, database: &Database) -> Result<SpaceId, Error> {
    named_or_home(page::space(&call.arguments).map_err(error::lowering)?, database)
}

fn named_or_home(named: Option<SpaceId>, database: &Database) -> Result<SpaceId, Error> {
    named
        .or_else(|| database.home())
        .ok_or_else(|| Code::BadInput.error("this database has no home space; name a space"))
}

fn members() -> Field {
    root("members", TypeRef::named_nn_list_nn("Member"), &[space_argument()], |call| async move {
        let space = space_of(&call, &call.scope.database)?;
        let members = call.scope.run(move |database| database.members(&space).map_err(error::space)).await?;
        Ok(Some(FieldValue::list(members.into_iter().map(FieldValue::owned_any))))
    })
}

fn revoke() -> Field {
    let arguments = [("identity", TypeRef::named_nn(TypeRef::ID)), space_argument()];
    root("revoke", TypeRef::named_nn(TypeRef::BOOLEAN), &arguments, |call| async move {
        let space = space_of(&call, &call.scope.database)?;
        let identity = IdentityId(hexadecimal::<SpaceId>(&call, "identity")?.0);
        call.scope.run(move |database| database.revoke(&space, &identity).map_err(error::space)).await?;
        Ok(Some(FieldValue::value(true)))
    })
    .description("Takes a member's rank; new keys are in use from then on.")
}

fn change_rank() -> Field {
    let arguments =
        [("identity", TypeRef::named_nn(TypeRef::ID)), ("rank", TypeRef::named_nn(TypeRef::STRING)), space_argument()];
    root("changeRank", TypeRef::named_nn(TypeRef::BOOLEAN), &arguments, |call| async move {
        let space = space_of(&call, &call.scope.database)?;
        let identity = IdentityId(hexadecimal::<SpaceId>(&call, "identity")?.0);
        let rank = rank(call.arguments.get("rank").unwrap_or(&Argument::Null))?;
        call.scope.run(move |database| database.change_rank(&space, &identity, rank).map_err(error::space)).await?;
        Ok(Some(FieldValue::value(true)))
    })
    .description("Gives a member another rank: relay, read, write or admin. What it had read stays with it.")
}

fn leave_space() -> Field {
    root("leaveSpace", TypeRef::named_nn(TypeRef::BOOLEAN), &[named_space()], |call| async move {
        let space = space_of(&call, &call.scope.database)?;
        call.scope.run(move |database| database.leave(&space).map_err(error::space)).await?;
        Ok(Some(FieldValue::value(true)))
    })
    .description("Gives up this identity's rank in a space. What was read stays here; an owner can't leave.")
}

fn forget_space() -> Field {
    let arguments = [named_space(), ("evenUntold", TypeRef::named(TypeRef::BOOLEAN))];
    root("forgetSpace", TypeRef::named_nn(TypeRef::BOOLEAN), &arguments, |call| async move {
        let space = space_of(&call, &call.scope.database)?;
        let untold = lower::given(&call.arguments, "evenUntold") == Some(&Argument::Boolean(true));
        call.scope.run(move |database| database.forget_space(&space, untold).map_err(error::space)).await?;
        Ok(Some(FieldValue::value(true)))
    })
    .description("Removes a space that this device has left, or was removed from, from the database's file. A leave that no member has heard of is lost with it: only with evenUntold.")
}

fn named_space() -> (&'static str, TypeRef) {
    ("space", TypeRef::named_nn(TypeRef::ID))
}

/// A rank as people call it.
fn rank(argument: &Argument) -> Result<Rank, Error> {
    match lower::text("rank", argument).map_err(error::lowering)? {
        "relay" => Ok(Rank::Relay),
        "read" => Ok(Rank::Reader),
        "write" => Ok(Rank::Writer),
        "admin" => Ok(Rank::Admin),
        other => {
            let why = format!("rank: {other:?} can't be granted; say relay, read, write or admin");
            Err(Code::BadInput.error(why))
        }
    }
}

/// An id of 64 hexadecimal digits that an argument has to give.
pub(super) fn hexadecimal<T: FromStr>(call: &Call, name: &'static str) -> Result<T, Error> {
    let argument = call.arguments.get(name).unwrap_or(&Argument::Null);
    lower::text(name, argument)
        .and_then(|text| text.parse().map_err(|_| LowerError::expected(name, "64 hexadecimal digits", argument)))
        .map_err(error::lowering)
}

fn share() -> Field {
    let arguments = [
        space_argument(),
        ("rank", TypeRef::named(TypeRef::STRING)),
        ("to", TypeRef::named(TypeRef::ID)),
        ("validMinutes", TypeRef::named(TypeRef::INT)),
    ];
    root("share", TypeRef::named_nn("Ticket"), &arguments, |call| async move {
        let space = space_of(&call, &call.scope.database)?;
        let rank = match lower::given(&call.arguments, "rank") {
            None => Rank::Writer,
            Some(argument) => rank(argument)?,
        };
        let to = match lower::given(&call.arguments, "to") {
            None => None,
            Some(_) => Some(IdentityId(hexadecimal::<SpaceId>(&call, "to")?.0)),
        };
        invite(call, move |database, addresses, valid_ms| {
            let ticket = match to {
                Some(to) => database.offer_space(&space, rank, &to, addresses, valid_ms),
                None => database.share_ticket(&space, rank, addresses, valid_ms),
            };
            ticket.map_err(error::space)
        })
        .await
    })
    .description("Invites another identity to a space, with rank relay, read, write (when not said) or admin. With `to`, that identity alone can use it, and its devices are told of it.")
}

fn link() -> Field {
    root("link", TypeRef::named_nn("Ticket"), &[("validMinutes", TypeRef::named(TypeRef::INT))], |call| async move {
        invite(call, |database, addresses, valid_ms| database.link_ticket(addresses, valid_ms).map_err(error::space))
            .await
    })
    .description("Invites a further device of this identity.")
}

async fn invite(
    call: Call,
    ticket: impl FnOnce(&Database, Vec<String>, i64) -> Result<Ticket, Error> + Send + 'static,
) -> Answered {
    let minutes = lower::given(&call.arguments, "validMinutes")
        .map_or(Ok(DEFAULT_VALID_MINUTES), |argument| lower::count("validMinutes", argument))
        .map_err(error::lowering)?;
    if !(1..=MAX_VALID_MINUTES).contains(&minutes) {
        return Err(Code::BadInput.error(format!("validMinutes: a ticket holds 1 to {MAX_VALID_MINUTES} minutes")));
    }
    let Some(node) = &call.scope.node else {
        return Err(Code::Unavailable.error("no node runs here that could answer whoever uses the ticket"));
    };
    let addresses = node.advertised_addresses().iter().map(Addr::to_string).collect();
    let valid_ms = i64::try_from(minutes).unwrap_or(i64::MAX).saturating_mul(MS_PER_MINUTE);
    let ticket = call.scope.run(move |database| ticket(database, addresses, valid_ms)).await?;
    Ok(Some(FieldValue::owned_any(ticket)))
}
