//! Commands that talk to other devices: share, link, join, watch.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value as Json, json};
use tidewater_engine::id::{DeviceId, SpaceId};
use tidewater_engine::query::{Delta, LiveQuery, Query};
use tidewater_engine::store::Change;
use tidewater_net::node::{Events, Node, NodeConfig, NodeEvent};
use tidewater_net::transport::Addr;
use tidewater_sync::{Database, OfferId, SessionEvent, SpaceError, Ticket, TicketKind};
use tokio::sync::Notify;

use super::arguments::{Global, Invite, Join, Share, Watch};
use super::context::{self, Context, Interrupt, filter};
use super::documents::to_json;
use super::failure::{Code, Done, Failure};
use super::output::Output;
use super::progress::Progress;
use super::sharing::identity_id;

/// How long an inviter stays after everything is in sync, for the other side to say goodbye.
const GOODBYE: Duration = Duration::from_secs(3);
const MS_PER_MINUTE: i64 = 60_000;

/// An address as people give it: `host:port` is QUIC's.
pub(crate) fn address(text: &str) -> Done<Addr> {
    let full = if text.contains("://") { text.to_owned() } else { format!("quic://{text}") };
    full.parse().map_err(Failure::usage)
}

/// Starts a node that listens at `p2p` and keeps the database in sync with the devices it knows.
pub(crate) async fn start_node(database: &Database, p2p: SocketAddr) -> Done<Node> {
    let config = NodeConfig::quic(database, vec![address(&p2p.to_string())?]);
    Node::start(database.clone(), config).await.map_err(Failure::failed)
}

pub(crate) fn share(context: &mut Context, share: &Share) -> Done {
    let space = context.space_or_home(&share.space)?;
    let to = share.to.as_deref().map(identity_id).transpose()?;
    invite(context, &share.invite, move |database, addresses, valid_ms| {
        Ok(match to {
            Some(to) => database.offer_space(&space, share.rank, &to, addresses, valid_ms)?,
            None => database.share_ticket(&space, share.rank, addresses, valid_ms)?,
        })
    })
}

pub(crate) fn link(context: &mut Context, invited: &Invite) -> Done {
    invite(context, invited, |database, addresses, valid_ms| Ok(database.link_ticket(addresses, valid_ms)?))
}

/// Prints a ticket. With a node of its own, the command stays until the ticket was used and everything is in sync.
fn invite(
    context: &mut Context,
    invite: &Invite,
    ticket: impl FnOnce(&Database, Vec<String>, i64) -> Done<Ticket>,
) -> Done {
    let runtime = context.runtime.clone();
    let running = context.node.clone();
    let own = running.is_none();
    let node = match running {
        Some(node) => node,
        None => runtime.block_on(start_node(&context.database, invite.p2p))?,
    };
    let mut events = node.events();
    let addresses: Vec<String> = node.advertised_addresses().iter().map(Addr::to_string).collect();
    let ticket = ticket(&context.database, addresses.clone(), i64::from(invite.valid) * MS_PER_MINUTE)?;
    let record = json!({
        "ticket": ticket.to_string(), "offer": ticket.offer.to_string(), "addresses": addresses, "expires": crate::graphql::time(ticket.expires_ms),
    });
    context.output.say(&ticket.to_string(), &record)?;
    context.output.flush()?;
    if !own {
        return Ok(());
    }
    if context.shows_progress {
        hint("waiting for the other device: tide join --db FILE TICKET (Ctrl-C withdraws the ticket)");
    }
    let valid = Duration::from_secs(u64::from(invite.valid) * 60);
    let outcome = runtime.block_on(async {
        let used = tokio::time::timeout(valid, admitted(&mut events, &context.interrupted, ticket.offer));
        let admitted = used.await.unwrap_or(Err(Failure::failed("the ticket expired without being used")));
        if admitted.is_err() {
            match context.database.cancel_offer(&ticket.offer) {
                // Declined, expired, or used at the last moment.
                Ok(()) | Err(SpaceError::OfferOver { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let device = admitted?;
        until_gone(&mut events, &context.interrupted, device).await;
        Ok::<_, Failure>(device)
    });
    runtime.block_on(node.shutdown());
    let device = outcome?;
    if context.shows_progress {
        hint(&format!("device {device} joined"));
    }
    Ok(())
}

/// The device that used a ticket.
async fn admitted(events: &mut Events, interrupted: &Interrupt, offer: OfferId) -> Done<DeviceId> {
    loop {
        tokio::select! {
            () = interrupted.raised() => return Err(Failure::new(Code::Interrupted, "interrupted; the ticket is withdrawn")),
            event = events.next() => match event {
                Some(NodeEvent::Session { device, event: SessionEvent::Admitted { .. } }) => return Ok(device),
                Some(NodeEvent::Session { event: SessionEvent::OfferDeclined { offer: declined }, .. }) if declined == offer => {
                    return Err(Failure::failed("the offer was declined"));
                }
                Some(_) => {}
                None => return Err(Failure::failed("the node stopped")),
            },
        }
    }
}

/// Waits until a device has everything and is gone, or stays connected without anything left to send.
async fn until_gone(events: &mut Events, interrupted: &Interrupt, with: DeviceId) {
    let mut in_sync = false;
    loop {
        let quiet = if in_sync { GOODBYE } else { Duration::MAX };
        let event = tokio::select! {
            () = interrupted.raised() => return,
            event = tokio::time::timeout(quiet, events.next()) => event,
        };
        match event {
            Err(_) | Ok(None) => return,
            Ok(Some(NodeEvent::Disconnected { device, .. })) if device == with => return,
            Ok(Some(NodeEvent::Session { device, event: SessionEvent::InSync { .. } })) if device == with => {
                in_sync = true
            }
            Ok(Some(_)) => {}
        }
    }
}

pub(crate) fn join(
    global: &Global,
    join: &Join,
    output: &mut Output,
    runtime: &tokio::runtime::Handle,
    interrupted: &Interrupt,
) -> Done {
    let ticket: Ticket = join.ticket.trim().parse().map_err(|error| Failure::usage(format!("{error}")))?;
    let path = context::path(global)?;
    let is_new = !path.exists();
    let database = if is_new {
        let name = (ticket.kind != TicketKind::Link).then(|| join.name.clone().unwrap_or_else(context::default_name));
        context::create(global, name)?
    } else {
        context::open(global)?
    };
    let outcome = runtime.block_on(async {
        let node = start_node(&database, join.p2p).await?;
        let limit = Duration::from_secs(join.timeout);
        let outcome = tokio::select! {
            () = interrupted.raised() => Err((false, Failure::new(Code::Interrupted, "interrupted"))),
            outcome = tokio::time::timeout(limit, join_and_sync(&node, &ticket)) => outcome.unwrap_or_else(|_| {
                let why = format!("not in sync after {} s; sync goes on with `tide serve`, or give --timeout", join.timeout);
                Err((true, Failure::failed(why)))
            }),
        };
        node.shutdown().await;
        outcome.map_err(|(joined, failure)| if joined { failure } else { clean_up(&database, is_new, &path, failure) })
    })?;
    let documents = count_documents(&database)?;
    let spaces: Vec<String> = outcome.iter().map(SpaceId::to_string).collect();
    let record = json!({
        "inviter": ticket.inviter.to_string(), "device": database.device().to_string(), "spaces": spaces,
        "documents": documents,
    });
    output.say(&format!("joined: {} spaces, {documents} documents, in sync", spaces.len()), &record)
}

/// A database that was made for a ticket that was not honoured is of no use.
fn clean_up(database: &Database, is_new: bool, path: &std::path::Path, failure: Failure) -> Failure {
    if is_new && database.spaces().len() <= usize::from(database.home().is_some()) {
        // What stays behind is an empty database; the next attempt opens it.
        let _ = std::fs::remove_file(path);
    }
    failure
}

fn count_documents(database: &Database) -> Done<u64> {
    let snapshot = database.snapshot()?;
    let mut documents = 0;
    for space in database.spaces() {
        documents += snapshot.report(&space)?.documents.iter().map(|(_, documents)| documents).sum::<u64>();
    }
    Ok(documents)
}

/// Uses a ticket and waits until everything that came with it is here. A failure says whether the ticket was honoured.
pub(super) async fn join_and_sync(node: &Node, ticket: &Ticket) -> Result<Vec<SpaceId>, (bool, Failure)> {
    let mut events = node.events();
    let joined = node.join(ticket).await.map_err(|error| (false, Failure::failed(error)))?;
    let mut progress = Progress::start("syncing", "entries", Some(0), true).at_once();
    let mut seen: BTreeMap<SpaceId, (u64, u64)> = BTreeMap::new();
    let mut missing = joined.spaces.clone();
    while !missing.is_empty() {
        match events.next().await {
            None => return Err((true, Failure::failed("the node stopped"))),
            Some(NodeEvent::Session { device, event }) if device == joined.inviter => match event {
                SessionEvent::Progress { space, received, expected } => {
                    seen.insert(space, (received, expected));
                    let sum = |of: fn(&(u64, u64)) -> u64| seen.values().map(of).sum();
                    progress.at(sum(|(received, _)| *received), Some(sum(|(_, expected)| *expected)));
                }
                SessionEvent::InSync { space } => missing.retain(|missing| *missing != space),
                _ => {}
            },
            Some(NodeEvent::Missed { .. }) => {
                let status = node.database().status();
                let spaces = status.peers.get(&joined.inviter).map(|peer| peer.spaces.clone()).unwrap_or_default();
                missing.retain(|space| {
                    !spaces.get(space).is_some_and(|space| space.last_success_ms.is_some() && space.behind_entries == 0)
                });
            }
            Some(_) => {}
        }
    }
    progress.finish();
    Ok(joined.spaces)
}

pub(crate) fn watch(context: &mut Context, watch: &Watch) -> Done {
    let query = Query {
        spaces: context.space(&watch.space)?.map(|space| vec![space]),
        filter: filter(watch.filter.as_deref())?,
        ..Query::all(watch.collection.as_str())
    };
    let mut live = LiveQuery::new(query)?;
    let runtime = context.runtime.clone();
    let own = match context.node {
        Some(_) => None,
        None => Some(runtime.block_on(start_node(&context.database, watch.p2p))?),
    };
    let woken = Arc::new(Notify::new());
    let (watched, wakes) = (live.clone(), Arc::clone(&woken));
    let _listening = context.database.on_change(Arc::new(move |change: &Change| {
        if watched.affected_by(change) {
            wakes.notify_one();
        }
    }));
    let outcome = loop {
        if let Err(failure) = tell_changes(context, &mut live) {
            break Err(failure);
        }
        let goes_on = runtime.block_on(async {
            tokio::select! {
                () = context.interrupted.raised() => false,
                () = woken.notified() => true,
            }
        });
        if !goes_on {
            break Ok(());
        }
    };
    if let Some(node) = own {
        runtime.block_on(node.shutdown());
    }
    outcome
}

/// Writes what changed since the last time, a line each.
fn tell_changes(context: &mut Context, live: &mut LiveQuery) -> Done {
    let deltas = context.database.snapshot()?.refresh(live).map_err(Failure::failed)?;
    for delta in deltas {
        let (sign, record) = match delta {
            Delta::Added { document, .. } => ("+", json!({ "added": to_json(&document) })),
            Delta::Changed { document, .. } => ("~", json!({ "changed": to_json(&document) })),
            Delta::Removed { id, .. } => ("-", json!({ "removed": id.as_str() })),
            _ => continue,
        };
        let shown = record.as_object().and_then(|fields| fields.values().next()).cloned().unwrap_or(Json::Null);
        context.output.say(&format!("{sign} {shown}"), &record)?;
    }
    context.output.flush()
}

/// Says something to the person at the terminal, beside the results.
pub(crate) fn hint(text: &str) {
    // A closed standard error is no reason to stop.
    let _ = std::io::stderr().write_all(format!("{text}\n").as_bytes());
}
