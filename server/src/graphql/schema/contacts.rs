//! Root fields about contacts: asking, answering, verifying, finding, and what this identity says of itself.
//!
//! Their names leave `contacts` and `profile` to collections.

mod policy;
mod profile;

use async_graphql::Error;
use async_graphql::Value as Argument;
use async_graphql::Value as Answer;
use async_graphql::dynamic::{Field, FieldValue, Object, TypeRef};
use tidewater_engine::id::DeviceId;
use tidewater_net::transport::Addr;
use tidewater_sync::{
    Contact, ContactError, ContactRequest, Database, IdentityId, Profile, SearchField, VerificationNumber,
};

use super::operator::{flag, optional, text};
use super::sharing::hexadecimal;
use super::{Call, Parts, plain, root};
use crate::fault::Fault;
use crate::graphql::error::{self, Code};
use crate::graphql::instant;
use crate::graphql::lower;

pub(super) fn register(parts: &mut Parts) {
    parts.register(contact_type());
    parts.register(request_type());
    parts.register(number_type());
    profile::register(parts);
    policy::register(parts);
    parts.queries.push(contacts());
    parts.queries.push(requests());
    parts.queries.push(search());
    parts.queries.push(number());
    parts.mutations.push(request());
    parts.mutations.push(verify());
    for (name, what, act) in ACTS {
        parts.mutations.push(decision(name, what, *act));
    }
}

type Act = fn(&Database, &IdentityId) -> Result<(), ContactError>;

/// What is decided about an identity, and nothing else said.
const ACTS: &[(&str, &str, Act)] = &[
    ("acceptContact", "Accepts a request of this identity to become a contact.", Database::accept_request),
    ("rejectContact", "Rejects a request of this identity.", Database::reject_request),
    ("withdrawContactRequest", "Takes a request to this identity back.", Database::withdraw_request),
    ("removeContact", "Forgets a contact.", Database::remove_contact),
    ("blockIdentity", "Hears no more of this identity. Ranks that it has stay.", Database::block_identity),
    ("unblockIdentity", "Takes a block back.", Database::unblock_identity),
];

pub(super) fn failed(error: ContactError) -> Error {
    Code::from(Fault::from(&error)).error(error)
}

fn time<P: Send + Sync + 'static>(name: &str, of: impl Fn(&P) -> Option<i64> + Send + Sync + 'static) -> Field {
    optional(name, "Timestamp", move |parent: &P| of(parent).map(instant::format).map(Answer::from))
}

fn of_profile<P: Send + Sync + 'static>(of: fn(&P) -> Option<&Profile>) -> Field {
    plain("profile", TypeRef::named("IdentityProfile"), move |parent: &P| {
        Ok(of(parent).cloned().map(FieldValue::owned_any))
    })
}

fn contact_type() -> Object {
    Object::new("IdentityContact")
        .field(text("identity", |contact: &Contact| contact.identity.to_string()))
        .field(text("name", |contact: &Contact| contact.name().to_owned()))
        .field(of_profile(|contact: &Contact| contact.profile.as_ref()))
        .field(
            flag("answered", |contact: &Contact| contact.answered)
                .description("Whether it has answered; until then its profile is the one for everyone."),
        )
        .field(flag("verified", |contact: &Contact| contact.verified).description("Whether the number was compared."))
        .field(
            flag("connected", |contact: &Contact| contact.connected)
                .description("Whether a session with one of its devices is open here."),
        )
        .field(time("since", |contact: &Contact| Some(contact.since_ms)))
        .field(time("seen", |contact: &Contact| contact.seen_ms))
        .field(
            optional("card", TypeRef::STRING, |contact: &Contact| {
                contact.card.as_ref().map(|card| Answer::from(card.to_string()))
            })
            .description("What a rank is granted to."),
        )
        .description("Another identity that both sides agreed to know.")
}

fn request_type() -> Object {
    Object::new("ContactRequest")
        .field(text("identity", |request: &ContactRequest| request.identity.to_string()))
        .field(flag("sent", |request: &ContactRequest| request.sent).description("Sent by this identity, or received."))
        .field(
            text("state", |request: &ContactRequest| request.state.name().to_owned())
                .description("waiting, accepted, rejected, withdrawn or expired."),
        )
        .field(text("note", |request: &ContactRequest| request.note.clone()))
        .field(of_profile(|request: &ContactRequest| request.profile.as_ref()))
        .field(
            flag("member", |request: &ContactRequest| request.member)
                .description("Whether it has a rank in a space of this database."),
        )
        .field(time("since", |request: &ContactRequest| Some(request.since_ms)))
        .field(time("expires", |request: &ContactRequest| request.expires_ms))
        .description("A request to become contacts.")
}

fn number_type() -> Object {
    Object::new("VerificationNumber")
        .field(text("number", VerificationNumber::to_string).description("60 digits, the same on both sides."))
        .field(text("code", VerificationNumber::code).description("The text of a QR code that says the same."))
}

fn identity_of(call: &Call) -> Result<IdentityId, Error> {
    hexadecimal(call, "identity")
}

fn identity_argument() -> (&'static str, TypeRef) {
    ("identity", TypeRef::named_nn(TypeRef::ID))
}

fn contacts() -> Field {
    root("identityContacts", TypeRef::named_nn_list_nn("IdentityContact"), &[], |call| async move {
        let contacts = call.scope.run(|database| database.contacts().map_err(failed)).await?;
        call.scope.spend(contacts.len())?;
        Ok(Some(FieldValue::list(contacts.into_iter().map(FieldValue::owned_any))))
    })
    .description("The contacts of this identity, by name.")
}

fn requests() -> Field {
    root("contactRequests", TypeRef::named_nn_list_nn("ContactRequest"), &[], |call| async move {
        let requests = call.scope.run(|database| database.contact_requests().map_err(failed)).await?;
        call.scope.spend(requests.len())?;
        Ok(Some(FieldValue::list(requests.into_iter().map(FieldValue::owned_any))))
    })
    .description("Requests to become contacts, sent on any device and received on this one; those that wait first.")
}

fn search() -> Field {
    let arguments = [("text", TypeRef::named_nn(TypeRef::STRING)), ("in", TypeRef::named(TypeRef::STRING))];
    root("searchProfiles", TypeRef::named_nn_list_nn("IdentityProfile"), &arguments, |call| async move {
        let text = lower::text("text", call.arguments.get("text").unwrap_or(&Argument::Null));
        let text = text.map_err(error::lowering)?.to_owned();
        let field = match lower::given(&call.arguments, "in") {
            None => SearchField::Any,
            Some(argument) => {
                let name = lower::text("in", argument).map_err(error::lowering)?;
                let why = || Code::BadInput.error(format!("in: {name:?} is none of any, name, email, location, tags"));
                SearchField::named(name).ok_or_else(why)?
            }
        };
        let found = call.scope.run(move |database| database.search_profiles(field, &text).map_err(failed)).await?;
        Ok(Some(FieldValue::list(found.into_iter().map(|(identity, found)| profile::found(identity, found)))))
    })
    .description("People among the profiles that are held, of contacts and of those who ask; at most 100, those that fit best first.")
}

fn number() -> Field {
    root("verificationNumber", TypeRef::named_nn("VerificationNumber"), &[identity_argument()], |call| async move {
        let identity = identity_of(&call)?;
        let number = call.scope.database.verification_number(&identity).map_err(failed)?;
        Ok(Some(FieldValue::owned_any(number)))
    })
    .description("The number that this identity and another one compare.")
}

fn decision(name: &'static str, what: &'static str, act: Act) -> Field {
    root(name, TypeRef::named_nn(TypeRef::BOOLEAN), &[identity_argument()], move |call| async move {
        let identity = identity_of(&call)?;
        call.scope.run(move |database| act(database, &identity).map_err(failed)).await?;
        Ok(Some(FieldValue::value(true)))
    })
    .description(what)
}

fn request() -> Field {
    let arguments = [
        identity_argument(),
        ("note", TypeRef::named(TypeRef::STRING)),
        ("device", TypeRef::named(TypeRef::ID)),
        ("address", TypeRef::named(TypeRef::STRING)),
    ];
    root("requestContact", TypeRef::named_nn(TypeRef::BOOLEAN), &arguments, |call| async move {
        let identity = identity_of(&call)?;
        let given = |name| lower::given(&call.arguments, name);
        let said = |name| given(name).map(|argument| lower::text(name, argument)).transpose().map_err(error::lowering);
        let note = said("note")?.unwrap_or_default().to_owned();
        let address = said("address")?.map(str::parse::<Addr>).transpose();
        let address = address.map_err(|why| Code::BadInput.error(format!("address: {why}")))?;
        let device = given("device").map(|_| hexadecimal::<DeviceId>(&call, "device")).transpose()?;
        call.scope.run(move |database| database.request_contact(&identity, &note).map_err(failed)).await?;
        if let Some(device) = device {
            let node = call.scope.node.as_ref();
            let node = node.ok_or_else(|| Code::BadInput.error("device: nothing is served to other devices here"))?;
            node.connect(device, address.as_slice()).await.map_err(|why| Code::BadInput.error(why))?;
        }
        Ok(Some(FieldValue::value(true)))
    })
    .description(
        "Asks another identity to become a contact. With a device of it, and an address like quic://192.168.1.5:7400, that is dialled.",
    )
}

fn verify() -> Field {
    let arguments = [identity_argument(), ("number", TypeRef::named_nn(TypeRef::STRING))];
    root("verifyContact", TypeRef::named_nn(TypeRef::BOOLEAN), &arguments, |call| async move {
        let identity = identity_of(&call)?;
        let number = lower::text("number", call.arguments.get("number").unwrap_or(&Argument::Null));
        let number = number.map_err(error::lowering)?.to_owned();
        call.scope.run(move |database| database.verify_contact(&identity, &number).map_err(failed)).await?;
        Ok(Some(FieldValue::value(true)))
    })
    .description("Marks a contact as verified, by the digits or the code that it shows.")
}
