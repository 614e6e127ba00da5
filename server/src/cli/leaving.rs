//! Leaving a space, and forgetting it.

use std::time::Duration;

use serde_json::json;
use tidewater_engine::id::SpaceId;
use tidewater_net::node::{Events, NodeEvent};
use tidewater_sync::SessionEvent;

use super::arguments::{InSpace, Leave};
use super::context::{Context, Interrupt};
use super::failure::{Code, Done, Failure};
use super::network::start_node;

pub(crate) fn leave(context: &mut Context, leave: &Leave) -> Done {
    let space = named(context, &leave.space)?;
    let runtime = context.runtime.clone();
    let (running, own) = match context.node.clone() {
        Some(node) => (node, false),
        None => (runtime.block_on(start_node(&context.database, leave.p2p))?, true),
    };
    let mut events = running.events();
    let heard = context.database.leave(&space).map_err(Failure::from).and_then(|()| {
        let has_peers = !context.database.peers()?.is_empty();
        let limit = Duration::from_secs(if has_peers { leave.timeout } else { 0 });
        runtime.block_on(heard(&mut events, &context.interrupted, &space, limit))
    });
    if own {
        runtime.block_on(running.shutdown());
    }
    let heard = heard?;
    if leave.forget && !heard {
        let why = "left, and not forgotten: no member has heard of it yet; sync with one, then `tide space forget`";
        return Err(Failure::failed(why));
    }
    if leave.forget {
        context.database.forget_space(&space, false)?;
    }
    let what = match (leave.forget, heard) {
        (true, _) => "left and forgotten",
        (false, true) => "left; what was read stays here until `tide space forget`",
        (false, false) => "left; no member has heard of it yet, the next sync tells; what was read stays here",
    };
    context.output.say(what, &json!({ "space": space.to_string(), "heard": heard, "forgotten": leave.forget }))
}

pub(crate) fn forget(context: &mut Context, space: &str, untold: bool) -> Done {
    let space = named(context, space)?;
    context.database.forget_space(&space, untold)?;
    context.output.say("forgotten", &json!({ "space": space.to_string() }))
}

fn named(context: &Context, space: &str) -> Done<SpaceId> {
    context.space_or_home(&InSpace { space: Some(space.to_owned()) })
}

/// Whether a member hears within the time that this identity left.
async fn heard(events: &mut Events, interrupted: &Interrupt, space: &SpaceId, limit: Duration) -> Done<bool> {
    let told = async {
        loop {
            match events.next().await {
                Some(NodeEvent::Session { event: SessionEvent::LeaveHeard { space: of }, .. }) if of == *space => {
                    return true;
                }
                Some(_) => {}
                None => return false,
            }
        }
    };
    tokio::select! {
        () = interrupted.raised() => Err(Failure::new(Code::Interrupted, "left; interrupted before a member heard of it")),
        told = tokio::time::timeout(limit, told) => Ok(told.unwrap_or(false)),
    }
}
