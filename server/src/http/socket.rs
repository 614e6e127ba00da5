//! GraphQL over WebSocket: the `graphql-transport-ws` protocol.

mod connection;
mod message;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures_util::stream::BoxStream;
use futures_util::{SinkExt, StreamExt};

use super::{Door, MAX_BODY_BYTES};
use crate::graphql::{Graph, Operation, Outcome};
use connection::{Connection, Ending};

/// How many WebSockets are open at once.
pub(super) const MAX_SOCKETS: usize = 1_000;
/// How many operations one WebSocket may run at once.
pub(super) const MAX_OPERATIONS: usize = 100;
/// How long a client may take to say `connection_init`.
pub(super) const INIT_DEADLINE: Duration = Duration::from_secs(3);
/// How long a client may take to read a message.
pub(super) const WRITE_DEADLINE: Duration = Duration::from_secs(20);
/// The subprotocol's name.
const PROTOCOL: &str = "graphql-transport-ws";

/// What runs the operations of a connection.
pub(super) trait Subscribe: Send + Sync + 'static {
    /// The outcomes of an operation, as they come.
    fn subscribe(&self, operation: Operation) -> BoxStream<'static, Outcome>;
}

impl Subscribe for Graph {
    fn subscribe(&self, operation: Operation) -> BoxStream<'static, Outcome> {
        Graph::subscribe(self, operation, false)
    }
}

/// Turns a request into a WebSocket, if there is room for one.
pub(super) fn upgrade(door: Door, upgrade: WebSocketUpgrade) -> Response {
    let Ok(permit) = Arc::clone(&door.sockets).try_acquire_owned() else {
        let why = format!("{MAX_SOCKETS} WebSockets are open; try again later\n");
        return (StatusCode::SERVICE_UNAVAILABLE, why).into_response();
    };
    upgrade.protocols([PROTOCOL]).max_message_size(MAX_BODY_BYTES).max_frame_size(MAX_BODY_BYTES).on_upgrade(
        move |socket| async move {
            serve(socket, door.graph).await;
            drop(permit);
        },
    )
}

async fn serve(socket: WebSocket, graph: Graph) {
    let agreed = socket.protocol().is_some_and(|protocol| protocol.as_bytes() == PROTOCOL.as_bytes());
    let (mut sink, stream) = socket.split();
    let texts = stream.filter_map(|message| async move {
        match message {
            Ok(Message::Text(text)) => Some(Ok(text.to_string())),
            Ok(Message::Binary(_)) => Some(Err(Ending::bad_request("messages are text"))),
            Ok(Message::Ping(_) | Message::Pong(_)) => None,
            Ok(Message::Close(_)) | Err(_) => Some(Err(Ending::gone())),
        }
    });
    let ending = if agreed {
        let texts_out = (&mut sink).with(|text: String| async move { Ok::<_, axum::Error>(Message::text(text)) });
        Connection::new(Arc::new(graph), INIT_DEADLINE).run(Box::pin(texts), Box::pin(texts_out)).await
    } else {
        Ending { code: 4406, reason: "Subprotocol not acceptable".to_owned() }
    };
    let close = Message::Close(Some(CloseFrame { code: ending.code, reason: ending.reason.into() }));
    // The client may be gone already, and then there is nobody to tell.
    let _ = tokio::time::timeout(WRITE_DEADLINE, sink.send(close)).await;
}
