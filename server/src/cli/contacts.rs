//! Contacts: asking, answering, verifying, finding.

use std::time::Duration;

use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use serde_json::{Value as Json, json};
use tidewater_engine::id::DeviceId;
use tidewater_net::node::{Events, Node, NodeEvent};
use tidewater_net::transport::Addr;
use tidewater_sync::{Contact, ContactNews, ContactRequest, Database, IdentityId, Profile, SessionEvent};

use super::arguments::{ContactCommand, RequestContact, SearchProfiles};
use super::context::Context;
use super::failure::{Code, Done, Failure};
use super::network::start_node;
use super::profile;
use super::sharing::device_at;
use crate::graphql;

pub(crate) fn contact(context: &mut Context, command: &ContactCommand) -> Done {
    let database = context.database.clone();
    let decided = |context: &mut Context, identity: IdentityId, state: &str, sentence: &str| {
        context.output.say(sentence, &json!({ "identity": identity.to_string(), "state": state }))
    };
    match command {
        ContactCommand::Request(request) => ask(context, request),
        ContactCommand::Requests => requests(context),
        ContactCommand::Accept(of) => {
            let identity = id(&of.identity)?;
            database.accept_request(&identity)?;
            decided(context, identity, "accepted", "accepted; it hears of it in the next session")
        }
        ContactCommand::Reject(of) => {
            let identity = id(&of.identity)?;
            database.reject_request(&identity)?;
            decided(context, identity, "rejected", "rejected; it hears of it in the next session")
        }
        ContactCommand::Withdraw(of) => {
            let identity = id(&of.identity)?;
            database.withdraw_request(&identity)?;
            decided(context, identity, "withdrawn", "withdrawn; it hears of it in the next session")
        }
        ContactCommand::List => list(context),
        ContactCommand::Search(wanted) => search(context, wanted),
        ContactCommand::Show(of) => {
            let contact = database.contact(&id(&of.identity)?)?;
            let mut record = summary(&contact);
            record["card"] = contact.card.map(|card| card.to_string()).into();
            record["profile"] = contact.profile.as_ref().map_or(Json::Null, profile::record);
            if context.output.is_table() {
                profile::flatten(&mut record);
            }
            context.output.record(&record)
        }
        ContactCommand::Number(of) => number(context, &id(&of.identity)?),
        ContactCommand::Verify(verify) => {
            let identity = id(&verify.identity)?;
            database.verify_contact(&identity, &verify.number)?;
            decided(context, identity, "verified", "verified; nobody stands between you")
        }
        ContactCommand::Block(of) => {
            let identity = id(&of.identity)?;
            database.block_identity(&identity)?;
            decided(context, identity, "blocked", "blocked; ranks that it has stay: see `tide members`")
        }
        ContactCommand::Unblock(of) => {
            let identity = id(&of.identity)?;
            database.unblock_identity(&identity)?;
            decided(context, identity, "unblocked", "unblocked; it may ask again")
        }
        ContactCommand::Blocked => {
            let blocked = database.blocked_identities()?.into_iter();
            let records: Vec<Json> = blocked.map(|identity| json!({ "identity": identity.to_string() })).collect();
            context.output.records(&["identity"], &records)
        }
        ContactCommand::Remove(of) => {
            let identity = id(&of.identity)?;
            database.remove_contact(&identity)?;
            decided(context, identity, "removed", "removed; what it holds of you stays with it")
        }
    }
}

fn id(text: &str) -> Done<IdentityId> {
    text.parse().map_err(|error| Failure::usage(format!("the identity: {error}")))
}

/// Asks whoever is named. Somebody named by a device is met first, to learn whose it is.
fn ask(context: &mut Context, request: &RequestContact) -> Done {
    let identity = match id(&request.whom) {
        Ok(identity) => {
            context.database.request_contact(&identity, &request.note)?;
            identity
        }
        Err(_) if request.whom.contains('=') => {
            let (device, address) = device_at("the one to ask", &request.whom)?;
            ask_at(context, request, device, address)?
        }
        Err(failure) => return Err(failure),
    };
    let record = json!({ "identity": identity.to_string(), "state": "requested" });
    context.output.say(&format!("asked {identity}; see `tide contact requests`"), &record)
}

fn ask_at(context: &mut Context, request: &RequestContact, device: DeviceId, address: Addr) -> Done<IdentityId> {
    let runtime = context.runtime.clone();
    let running = context.node.clone();
    let own = running.is_none();
    let node = match running {
        Some(node) => node,
        None => runtime.block_on(start_node(&context.database, request.p2p))?,
    };
    let outcome = runtime.block_on(async {
        let met = meet(&node, &context.database, device, address, &request.note);
        tokio::select! {
            () = context.interrupted.raised() => Err(Failure::new(Code::Interrupted, "interrupted")),
            outcome = tokio::time::timeout(Duration::from_secs(request.timeout), met) => outcome.unwrap_or_else(|_| {
                let why = format!("not met within {} s; see that it is served, or give --timeout", request.timeout);
                Err(Failure::failed(why))
            }),
        }
    });
    if own {
        // What is on its way reaches the other side before the connection ends.
        runtime.block_on(node.shutdown());
    }
    outcome
}

/// Connects to a device, asks its identity, and waits until the request is on its way.
async fn meet(node: &Node, database: &Database, device: DeviceId, address: Addr, note: &str) -> Done<IdentityId> {
    let mut events = node.events();
    let known = database.status().peers.remove(&device).filter(|peer| peer.connected).and_then(|peer| peer.identity);
    node.connect(device, &[address]).await.map_err(Failure::failed)?;
    let identity = match known {
        Some(identity) => identity,
        None => ready(&mut events, device).await?,
    };
    let (asking, note) = (database.clone(), note.to_owned());
    tokio::task::spawn_blocking(move || asking.request_contact(&identity, &note)).await.map_err(Failure::failed)??;
    loop {
        match events.next().await {
            None => return Err(Failure::failed("the node stopped")),
            Some(NodeEvent::Session { event: SessionEvent::Contact { identity: of, news }, .. })
                if of == identity && matches!(news, ContactNews::Requested | ContactNews::Accepted) =>
            {
                return Ok(identity);
            }
            Some(NodeEvent::Missed { .. }) => return Ok(identity),
            Some(_) => {}
        }
    }
}

/// Whose device it is, as it proves.
async fn ready(events: &mut Events, with: DeviceId) -> Done<IdentityId> {
    loop {
        match events.next().await {
            None => return Err(Failure::failed("the node stopped")),
            Some(NodeEvent::Session { device, event: SessionEvent::Ready { identity } }) if device == with => {
                return identity.ok_or_else(|| Failure::failed(format!("device {with} belongs to no identity yet")));
            }
            Some(NodeEvent::Unreachable { device, error, .. }) if device == with => return Err(Failure::failed(error)),
            Some(_) => {}
        }
    }
}

fn requests(context: &mut Context) -> Done {
    let records: Vec<Json> = context.database.contact_requests()?.iter().map(request_record).collect();
    context.output.records(&["name", "state", "sent", "note", "since", "identity"], &records)
}

fn request_record(request: &ContactRequest) -> Json {
    json!({
        "identity": request.identity.to_string(), "name": request.profile.as_ref().map(|profile| profile.name.as_str()),
        "sent": request.sent, "state": request.state.name(), "note": request.note, "member": request.member,
        "since": graphql::time(request.since_ms), "expires": request.expires_ms.map(graphql::time),
        "profile": request.profile.as_ref().map(profile::record),
    })
}

fn list(context: &mut Context) -> Done {
    let records: Vec<Json> = context.database.contacts()?.iter().map(summary).collect();
    context.output.records(&["name", "verified", "connected", "seen", "identity"], &records)
}

fn summary(contact: &Contact) -> Json {
    json!({
        "identity": contact.identity.to_string(), "name": contact.name(), "answered": contact.answered,
        "verified": contact.verified, "connected": contact.connected, "seen": contact.seen_ms.map(graphql::time),
        "since": graphql::time(contact.since_ms),
    })
}

fn search(context: &mut Context, wanted: &SearchProfiles) -> Done {
    let found = context.database.search_profiles(wanted.field, &wanted.text)?;
    let one = |(identity, found): &(IdentityId, Profile)| {
        let mut record = profile::record(found);
        record["identity"] = identity.to_string().into();
        record
    };
    let records: Vec<Json> = found.iter().map(one).collect();
    context.output.records(&["name", "email", "location", "tags", "identity"], &records)
}

fn number(context: &mut Context, identity: &IdentityId) -> Done {
    let number = context.database.verification_number(identity)?;
    let record = json!({
        "identity": identity.to_string(), "number": number.to_string(), "code": number.code(),
    });
    if !context.output.is_table() {
        return context.output.record(&record);
    }
    let qr = QrCode::new(number.code()).map_err(Failure::failed)?;
    let picture = qr.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build();
    context.output.text(&format!("{picture}\n{}\n{number}\n", number.code()))
}
