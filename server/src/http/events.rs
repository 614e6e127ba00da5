//! Answers as server-sent events: the distinct connections mode of the GraphQL over SSE protocol.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, BoxStream, StreamExt};

use super::negotiate::Media;
use crate::graphql::Outcome;

/// How long a stream may be silent before a comment shows that it is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(12);

/// One `next` event for every outcome, then `complete`.
pub(super) fn stream(outcomes: BoxStream<'static, Outcome>) -> Response {
    let next = outcomes.map(|outcome| format!("event: next\ndata: {}\n\n", outcome.to_json()));
    let events = next.chain(stream::once(async { "event: complete\ndata:\n\n".to_owned() }));
    let kept_alive = stream::unfold(events.boxed(), |mut events| async move {
        match tokio::time::timeout(KEEP_ALIVE, events.next()).await {
            Ok(event) => event.map(|event| (event, events)),
            Err(_) => Some((":\n\n".to_owned(), events)),
        }
    });
    let headers = [(CONTENT_TYPE, Media::Events.content_type()), (CACHE_CONTROL, "no-store")];
    (headers, Body::from_stream(kept_alive.map(Ok::<_, Infallible>))).into_response()
}
