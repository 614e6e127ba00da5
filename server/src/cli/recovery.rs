//! A new device for an identity of which the words are left.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::time::Duration;

use serde_json::json;
use tidewater_engine::id::DeviceId;
use tidewater_net::host::open_options;
use tidewater_net::node::{Events, Node, NodeEvent};
use tidewater_net::transport::Addr;
use tidewater_sync::{Database, SessionEvent};
use zeroize::Zeroizing;

use super::arguments::{Global, Recover};
use super::context::{self, Interrupt};
use super::failure::{Code, Done, Failure};
use super::input::Input;
use super::network::{hint, join_and_sync, start_node};
use super::output::Output;
use super::sharing::device_at;

/// After so long without another offer, a member has offered all it has.
const QUIET: Duration = Duration::from_secs(2);
/// How long the link ticket between the two databases of this process holds.
const TICKET_MS: i64 = 600_000;
/// The longest that is read in search of 24 words, in bytes.
const MAX_WORDS_BYTES: u64 = 4096;

pub(crate) fn recover(
    global: &Global,
    recover: &Recover,
    output: &mut Output,
    runtime: &tokio::runtime::Handle,
    interrupted: &Interrupt,
) -> Done {
    let (member, address) = device_at("--from", &recover.from)?;
    let path = context::path(global)?;
    if path.exists() {
        return Err(Failure::usage(format!("{} exists; a recovery makes a new database", path.display())));
    }
    let words = super::identity::parse_words(&read_words(interrupted)?)?;
    let recovering = Database::recovering(&words, open_options())?;
    let limit = Duration::from_secs(recover.timeout);
    let work = runtime.block_on(async {
        let node = start_node(&recovering, recover.p2p).await?;
        let done = tokio::select! {
            () = interrupted.raised() => Err(Failure::new(Code::Interrupted, "interrupted")),
            done = tokio::time::timeout(limit, take_over(global, recover, &node, member, &address)) => done
                .unwrap_or_else(|_| Err(Failure::failed(format!("not recovered after {} s; see --timeout", recover.timeout)))),
        };
        node.shutdown().await;
        done
    });
    let database = work.inspect_err(|_| clean_up(global, &path))?;
    let card = database.card()?;
    let others: Vec<String> = card
        .certificates
        .iter()
        .map(|one| one.device)
        .filter(|one| *one != database.device())
        .map(|one| one.to_string())
        .collect();
    if !others.is_empty() {
        hint("the other devices of the identity go on; had they been lost, --remove-others would have removed them");
    }
    let spaces: Vec<String> = database.spaces().iter().map(ToString::to_string).collect();
    let record = json!({
        "identity": card.identity().to_string(), "name": card.name, "device": database.device().to_string(),
        "spaces": spaces, "other_devices": others,
    });
    output.say(&format!("recovered {}: {} spaces, {} other devices", card.name, spaces.len(), others.len()), &record)
}

fn read_words(interrupted: &Interrupt) -> Done<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    let mut input = BufReader::new(Input::new(interrupted.clone()));
    // A person at a terminal ends a line, not the stream.
    while text.split_whitespace().count() < tidewater_sync::RecoveryWords::WORDS {
        let read = (&mut input).take(MAX_WORDS_BYTES).read_line(&mut text);
        let read = read.map_err(|error| Failure::failed(format!("standard input: {error}")))?;
        if read == 0 || text.len() as u64 > MAX_WORDS_BYTES {
            break;
        }
    }
    Ok(text)
}

/// Brings everything from the member, and makes the new device, which brings it the news.
async fn take_over(
    global: &Global,
    recover: &Recover,
    node: &Node,
    member: DeviceId,
    address: &Addr,
) -> Done<Database> {
    let recovering = node.database();
    let mut events = node.events();
    node.connect(member, std::slice::from_ref(address)).await.map_err(Failure::failed)?;
    gather(recovering, &mut events, member).await?;
    recovering.renew_root()?;
    if recover.remove_others {
        let others = recovering.card()?.certificates;
        others.iter().try_for_each(|one| recovering.remove_device(&one.device))?;
    }
    let database = context::create(global, None)?;
    let new = start_node(&database, recover.p2p).await?;
    let settled = match link(node, &new).await {
        Ok(()) => settle(&new, member, address).await,
        Err(failure) => Err(failure),
    };
    new.shutdown().await;
    settled.map(|()| database)
}

/// A database that became no device of the identity is of no use to anybody, and stands in the way of the next attempt.
fn clean_up(global: &Global, path: &Path) {
    let is_nobodys = path.exists() && context::open(global).is_ok_and(|database| database.identity().is_none());
    if is_nobodys {
        // What stays behind is an empty database, which the next attempt names.
        let _ = std::fs::remove_file(path);
    }
}

/// Takes what the member offers until nothing more comes, and all of it is here.
async fn gather(recovering: &Database, events: &mut Events, member: DeviceId) -> Done {
    let (mut found, mut ready) = (None, false);
    loop {
        match tokio::time::timeout(QUIET, events.next()).await {
            Ok(None) => return Err(Failure::failed("the node stopped")),
            Ok(Some(NodeEvent::Unreachable { error, .. })) => {
                return Err(Failure::failed(format!("{member} can't be reached: {error}")));
            }
            Ok(Some(NodeEvent::Session {
                event: SessionEvent::Offered { .. } | SessionEvent::InSync { .. }, ..
            })) => {
                found = recovering.recover_identity()?;
            }
            Ok(Some(NodeEvent::Session { event: SessionEvent::Ready { .. }, .. })) => ready = true,
            Ok(Some(_)) => {}
            Err(_) if ready && found.is_none() => {
                let why = format!("{member} has no space of the identity with these words; ask another member");
                return Err(Failure::not_found(why));
            }
            Err(_) if found.is_some() && is_settled(recovering, member) => return Ok(()),
            Err(_) => {}
        }
    }
}

/// Makes the new database a device of the identity that `node` recovers.
async fn link(node: &Node, new: &Node) -> Done {
    let addresses = node.advertised_addresses().iter().map(Addr::to_string).collect();
    let ticket = node.database().link_ticket(addresses, TICKET_MS)?;
    join_and_sync(new, &ticket).await.map_err(|(_, failure)| failure)?;
    node.database().hand_over(new.database())?;
    // The recovery key is no device that anybody could dial again.
    Ok(new.forget(node.database().device()).await?)
}

/// Waits until the new database and the member hold the same: so the member knows the new device, and who is gone.
async fn settle(new: &Node, member: DeviceId, address: &Addr) -> Done {
    let mut events = new.events();
    new.connect(member, std::slice::from_ref(address)).await.map_err(Failure::failed)?;
    let mut missing = new.database().spaces();
    while !missing.is_empty() {
        match events.next().await {
            None => return Err(Failure::failed("the node stopped")),
            Some(NodeEvent::Session { device, event: SessionEvent::InSync { space } }) if device == member => {
                missing.retain(|missing| *missing != space);
            }
            Some(NodeEvent::Missed { .. }) => missing.retain(|_| !is_settled(new.database(), member)),
            Some(_) => {}
        }
    }
    Ok(())
}

/// Whether both hold the same of every space.
fn is_settled(database: &Database, member: DeviceId) -> bool {
    let status = database.status();
    let spaces = status.peers.get(&member).map(|peer| &peer.spaces);
    database.spaces().iter().all(|space| {
        let space = spaces.and_then(|spaces| spaces.get(space));
        space.is_some_and(|space| {
            space.last_success_ms.is_some() && space.behind_entries == 0 && space.ahead_entries == 0
        })
    })
}
