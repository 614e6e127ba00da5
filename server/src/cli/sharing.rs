//! Spaces, their members, and the devices this one knows.

use serde_json::{Value as Json, json};
use tidewater_engine::id::{DeviceId, SpaceId};
use tidewater_engine::space::Rank;
use tidewater_net::transport::Addr;
use tidewater_sync::{IdentityId, Offer, OfferId, OfferState};

use super::arguments::{ChangeRank, InSpace, OfferCommand, Peers, Revoke, SpaceCommand};
use super::context::Context;
use super::failure::{Done, Failure};
use super::leaving;
use crate::graphql;

/// A rank as people call it.
pub(crate) fn rank_name(rank: Rank) -> &'static str {
    graphql::rank_name(rank)
}

pub(crate) fn space(context: &mut Context, command: &SpaceCommand) -> Done {
    match command {
        SpaceCommand::List => list(context),
        SpaceCommand::New { label } => new(context, label),
        SpaceCommand::Offers => offers(context),
        SpaceCommand::Accept { space } => {
            let space = id(space)?;
            context.database.accept_space(&space)?;
            context.output.say("accepted; it comes with the next sync", &json!({ "space": space.to_string() }))
        }
        SpaceCommand::Forget { space, untold } => leaving::forget(context, space, *untold),
        SpaceCommand::Decline { space } => {
            let space = id(space)?;
            context.database.decline_space(&space)?;
            context.output.say("declined", &json!({ "space": space.to_string() }))
        }
    }
}

fn id(text: &str) -> Done<SpaceId> {
    text.parse().map_err(|error| Failure::usage(format!("the space's id: {error}")))
}

fn list(context: &mut Context) -> Done {
    let records: Vec<Json> = context
        .database
        .spaces_info()?
        .into_iter()
        .map(|info| {
            json!({
                "space": info.space.to_string(), "label": info.label, "home": info.home,
                "rank": info.rank.map(rank_name), "members": info.members, "left": info.left,
            })
        })
        .collect();
    context.output.records(&["label", "rank", "members", "home", "space"], &records)
}

fn new(context: &mut Context, label: &str) -> Done {
    let space = context.database.new_space(label)?;
    context.output.say(&space.to_string(), &json!({ "space": space.to_string(), "label": label }))
}

fn offers(context: &mut Context) -> Done {
    let records: Vec<Json> = context
        .database
        .space_offers()?
        .into_iter()
        .map(|offer| {
            json!({
                "space": offer.space.to_string(), "from": offer.from.to_string(),
                "received": graphql::time(offer.received_ms), "rank": offer.rank.map(rank_name),
                "expires": offer.expires_ms.map(graphql::time), "accepted": offer.accepted,
            })
        })
        .collect();
    context.output.records(&["space", "from", "rank", "received", "expires", "accepted"], &records)
}

pub(crate) fn offer(context: &mut Context, command: &OfferCommand) -> Done {
    match command {
        OfferCommand::List => made(context),
        OfferCommand::Cancel { offer } => {
            let offer: OfferId = offer.parse().map_err(Failure::usage)?;
            context.database.cancel_offer(&offer)?;
            context.output.say("cancelled; whoever comes with it is refused", &json!({ "offer": offer.to_string() }))
        }
    }
}

fn made(context: &mut Context) -> Done {
    let records: Vec<Json> = context.database.offers()?.iter().map(record).collect();
    context.output.records(&["offer", "state", "rank", "space", "to", "by", "made", "expires"], &records)
}

fn record(offer: &Offer) -> Json {
    let by = match offer.state {
        OfferState::Used { identity: Some(identity), .. } => Some(identity.to_string()),
        OfferState::Used { device, .. } => Some(device.to_string()),
        _ => None,
    };
    json!({
        "offer": offer.id.to_string(), "state": offer.state.name(),
        "space": offer.share.map(|(space, _)| space.to_string()), "rank": offer.share.map(|(_, rank)| rank_name(rank)),
        "to": offer.to.map(|to| to.to_string()), "by": by,
        "made": graphql::time(offer.made_ms), "expires": graphql::time(offer.expires_ms),
    })
}

pub(crate) fn members(context: &mut Context, named: &InSpace) -> Done {
    let space = context.space_or_home(named)?;
    let records: Vec<Json> = context
        .database
        .members(&space)?
        .into_iter()
        .map(|member| {
            let devices: Vec<String> = member.devices.iter().map(|device| device.device.to_string()).collect();
            json!({
                "name": member.name, "rank": rank_name(member.rank), "identity": member.identity.to_string(),
                "devices": devices,
            })
        })
        .collect();
    if !context.output.is_table() {
        return context.output.records(&[], &records);
    }
    let counted: Vec<Json> = records
        .into_iter()
        .map(|mut record| {
            record["devices"] = record["devices"].as_array().map_or(0, Vec::len).into();
            record
        })
        .collect();
    context.output.records(&["name", "rank", "devices", "identity"], &counted)
}

pub(crate) fn change_rank(context: &mut Context, change: &ChangeRank) -> Done {
    let space = context.space_or_home(&change.space)?;
    let identity = identity_id(&change.identity)?;
    context.database.change_rank(&space, &identity, change.rank)?;
    let rank = rank_name(change.rank);
    let record = json!({ "space": space.to_string(), "identity": identity.to_string(), "rank": rank });
    context.output.say(&format!("its rank is {rank}; what it had read stays with it"), &record)
}

pub(crate) fn identity_id(text: &str) -> Done<IdentityId> {
    let id: SpaceId = text.parse().map_err(|error| Failure::usage(format!("the identity: {error}")))?;
    Ok(IdentityId(id.0))
}

pub(crate) fn revoke(context: &mut Context, revoke: &Revoke) -> Done {
    let space = context.space_or_home(&revoke.space)?;
    let identity = identity_id(&revoke.identity)?;
    context.database.revoke(&space, &identity)?;
    let record = json!({ "space": space.to_string(), "identity": identity.to_string(), "revoked": true });
    context.output.say("revoked; what it had read stays with it, new keys are in use from here on", &record)
}

pub(crate) fn peers(context: &mut Context, peers: &Peers) -> Done {
    for text in &peers.add {
        let (device, address) = device_at("--add", text)?;
        context.database.remember_peer(&device, &[address.to_string()])?;
    }
    for text in &peers.forget {
        context.database.forget_peer(&device_id(text)?)?;
    }
    let status = context.database.status();
    let records: Vec<Json> = context
        .database
        .peers()?
        .into_iter()
        .map(|peer| {
            let status = status.peers.get(&peer.device);
            let (behind, ahead) = status.map_or((0, 0), |status| {
                let spaces = || status.spaces.values();
                (
                    spaces().map(|space| space.behind_entries).sum::<u64>(),
                    spaces().map(|space| space.ahead_entries).sum(),
                )
            });
            json!({
                "device": peer.device.to_string(), "identity": peer.identity.map(|identity| identity.to_string()),
                "addresses": peer.addresses, "connected": status.is_some_and(|status| status.connected),
                "behind": behind, "ahead": ahead, "seen": peer.seen_ms.map(graphql::time),
                "last_success": status.and_then(|status| status.last_success_ms).map(graphql::time),
                "last_error": status.and_then(|status| status.last_error.clone()),
            })
        })
        .collect();
    context.output.records(&["device", "connected", "behind", "ahead", "addresses", "seen", "last_error"], &records)
}

/// A device and where it can be reached, as an option gives both.
pub(crate) fn device_at(option: &str, text: &str) -> Done<(DeviceId, Addr)> {
    let (device, address) = text.split_once('=').ok_or_else(|| {
        Failure::usage(format!("{option} takes DEVICE=ADDR (192.168.1.5:7400 or quic://…), not {text:?}"))
    })?;
    Ok((device_id(device)?, super::network::address(address)?))
}

pub(crate) fn device_id(text: &str) -> Done<DeviceId> {
    text.parse().map_err(|error| Failure::usage(format!("the device's id: {error}")))
}
