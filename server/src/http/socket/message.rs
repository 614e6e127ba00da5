//! The messages of the protocol.

use serde_json::{Value as Json, json};

use super::connection::Ending;
use crate::graphql::Operation;
use crate::http::request;

/// The longest reason of a close frame, in bytes: the frame has 125.
pub(super) const MAX_REASON_BYTES: usize = 123;

/// What a client says.
#[derive(Debug)]
pub(super) enum FromClient {
    Init,
    Ping(Option<Json>),
    Pong,
    Subscribe { id: String, operation: Result<Operation, String> },
    Complete { id: String },
}

impl FromClient {
    /// Reads a message.
    ///
    /// # Errors
    /// How the connection has to end when the text is no message of the protocol.
    pub(super) fn parse(text: &str) -> Result<Self, Ending> {
        let mut message: Json =
            serde_json::from_str(text).map_err(|error| Ending::bad_request(&format!("not JSON: {error}")))?;
        let id = |message: &Json| match message["id"].as_str() {
            Some(id) if !id.is_empty() => Ok(id.to_owned()),
            _ => Err(Ending::bad_request("the message needs an id")),
        };
        match message["type"].as_str() {
            Some("connection_init") => Ok(Self::Init),
            Some("ping") => Ok(Self::Ping(message.get_mut("payload").map(Json::take))),
            Some("pong") => Ok(Self::Pong),
            Some("complete") => Ok(Self::Complete { id: id(&message)? }),
            Some("subscribe") => {
                let payload = &message["payload"];
                if !payload["query"].is_string() {
                    return Err(Ending::bad_request("the payload needs a query"));
                }
                let operation = request::from_body(payload.to_string().as_bytes());
                Ok(Self::Subscribe { id: id(&message)?, operation })
            }
            Some(other) => Err(Ending::bad_request(&format!("unknown message type {other:?}"))),
            None => Err(Ending::bad_request("the message needs a type")),
        }
    }
}

pub(super) fn ack() -> String {
    json!({"type": "connection_ack"}).to_string()
}

pub(super) fn pong(payload: Option<Json>) -> String {
    match payload {
        Some(payload) => json!({"type": "pong", "payload": payload}).to_string(),
        None => json!({"type": "pong"}).to_string(),
    }
}

/// `payload` is JSON already.
pub(super) fn next(id: &str, payload: &str) -> String {
    format!("{{\"type\":\"next\",\"id\":{},\"payload\":{payload}}}", Json::from(id))
}

/// `errors` is a JSON list already.
pub(super) fn error(id: &str, errors: &str) -> String {
    format!("{{\"type\":\"error\",\"id\":{},\"payload\":{errors}}}", Json::from(id))
}

pub(super) fn complete(id: &str) -> String {
    json!({"type": "complete", "id": id}).to_string()
}
