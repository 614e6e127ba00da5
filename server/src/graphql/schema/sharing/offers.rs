//! Root fields about offers that this device made.

use async_graphql::Value as Answer;
use async_graphql::dynamic::{Field, FieldValue, Object, TypeRef};
use tidewater_sync::{Offer, OfferId, OfferState};

use super::super::operator::{optional, rank_name, text};
use super::super::{Parts, plain, root};
use crate::graphql::error::{self, Code};
use crate::graphql::{instant, lower};

pub(super) fn register(parts: &mut Parts) {
    parts.register(offer_type());
    parts.queries.push(offers());
    parts.mutations.push(cancel_offer());
}

fn offer_type() -> Object {
    Object::new("Offer")
        .field(text("id", |offer: &Offer| offer.id.to_string()))
        .field(
            text("state", |offer: &Offer| offer.state.name().to_owned())
                .description("open, used, cancelled, declined or expired."),
        )
        .field(
            optional("space", TypeRef::ID, |offer: &Offer| {
                offer.share.map(|(space, _)| Answer::from(space.to_string()))
            })
            .description("Null for a further device of this identity."),
        )
        .field(optional("rank", TypeRef::STRING, |offer: &Offer| {
            offer.share.map(|(_, rank)| Answer::from(rank_name(rank)))
        }))
        .field(
            optional("to", TypeRef::ID, |offer: &Offer| offer.to.map(|to| Answer::from(to.to_string())))
                .description("The only identity that may use it; null: whoever has the ticket."),
        )
        .field(
            optional("usedBy", TypeRef::ID, |offer: &Offer| match offer.state {
                OfferState::Used { identity: Some(identity), .. } => Some(Answer::from(identity.to_string())),
                OfferState::Used { device, .. } => Some(Answer::from(device.to_string())),
                _ => None,
            })
            .description("The identity that used it, or the device of this one."),
        )
        .field(moment("made", |offer| offer.made_ms))
        .field(moment("expires", |offer| offer.expires_ms))
        .description("An invitation that this device made, and what became of it.")
}

fn moment(name: &str, of: fn(&Offer) -> i64) -> Field {
    plain(name, TypeRef::named_nn("Timestamp"), move |offer: &Offer| {
        Ok(Some(FieldValue::value(instant::format(of(offer)))))
    })
}

fn offers() -> Field {
    root("offers", TypeRef::named_nn_list_nn("Offer"), &[], |call| async move {
        let offers = call.scope.run(move |database| database.offers().map_err(error::space)).await?;
        Ok(Some(FieldValue::list(offers.into_iter().map(FieldValue::owned_any))))
    })
    .description("The invitations that this device made, newest first, and what became of them.")
}

fn cancel_offer() -> Field {
    root(
        "cancelOffer",
        TypeRef::named_nn(TypeRef::BOOLEAN),
        &[("id", TypeRef::named_nn(TypeRef::ID))],
        |call| async move {
            let id = lower::text("id", call.arguments.get("id").unwrap_or(&Answer::Null)).map_err(error::lowering)?;
            let offer: OfferId = id.parse().map_err(|error| Code::BadInput.error(error))?;
            call.scope.run(move |database| database.cancel_offer(&offer).map_err(error::space)).await?;
            Ok(Some(FieldValue::value(true)))
        },
    )
    .description("Takes back an invitation that was not used yet.")
}
