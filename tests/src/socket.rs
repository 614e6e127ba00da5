//! A client of GraphQL over WebSocket.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value as Json, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// How long something that must come about may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// An open WebSocket that speaks `graphql-transport-ws`.
#[derive(Debug)]
pub struct Socket {
    socket: tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>,
}

impl Socket {
    /// Connects to a server, up to its acknowledgement.
    ///
    /// # Panics
    /// When the server does not take it.
    pub async fn connect(http: &str) -> Self {
        let mut request = format!("ws://{http}/graphql").into_client_request().expect("a request");
        request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().expect("a header"));
        let (socket, _) = tokio_tungstenite::connect_async(request).await.expect("a socket");
        let mut socket = Self { socket };
        socket.send(&json!({"type": "connection_init"})).await;
        assert_eq!(socket.message().await["type"], "connection_ack");
        socket
    }

    /// Starts an operation.
    ///
    /// # Panics
    /// When the server is gone.
    pub async fn subscribe(&mut self, id: &str, query: &str) {
        self.send(&json!({"type": "subscribe", "id": id, "payload": {"query": query}})).await;
    }

    async fn send(&mut self, message: &Json) {
        self.socket.send(Message::text(message.to_string())).await.expect("sent");
    }

    /// The next message.
    ///
    /// # Panics
    /// When none comes, or something else.
    pub async fn message(&mut self) -> Json {
        let message = tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("in time");
        let text = message.expect("a message").expect("a message").into_text().expect("text");
        serde_json::from_str(&text).expect("JSON")
    }

    /// The data of the next event, whichever operation it belongs to.
    ///
    /// # Panics
    /// When something else comes.
    pub async fn event(&mut self) -> Json {
        let mut message = self.message().await;
        assert_eq!(message["type"], "next", "{message}");
        message["payload"]["data"].take()
    }
}
