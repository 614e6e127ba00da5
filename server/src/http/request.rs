//! GraphQL over HTTP: one operation in a GET or a POST, answered in the media type and with the status that the
//! specification asks for.

use std::time::Duration;

use axum::body::Body;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{RawQuery, State};
use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::Value as Json;

use super::negotiate::{self, Media};
use super::query_string::parameter;
use super::{Door, MAX_BODY_BYTES, events, socket};
use crate::graphql::{Operation, Outcome, Refusal};

/// How long a client may take to send a body.
const BODY_DEADLINE: Duration = Duration::from_secs(20);

/// A query in the query string, or the upgrade to a WebSocket.
pub(super) async fn by_get(
    State(door): State<Door>,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    if let Ok(upgrade) = upgrade {
        return socket::upgrade(door, upgrade);
    }
    let Some(media) = negotiate::accepted(&headers) else { return not_acceptable() };
    match from_query(&query.unwrap_or_default()) {
        Ok(operation) => answer(door, operation, media, true).await,
        Err(why) => failure(media, StatusCode::BAD_REQUEST, &why),
    }
}

/// An operation in a JSON body.
pub(super) async fn by_post(State(door): State<Door>, headers: HeaderMap, body: Body) -> Response {
    let Some(media) = negotiate::accepted(&headers) else { return not_acceptable() };
    if !negotiate::is_json(&headers) {
        return failure(media, StatusCode::UNSUPPORTED_MEDIA_TYPE, "send the operation as application/json in UTF-8");
    }
    let body = match read(&headers, body, BODY_DEADLINE).await {
        Ok(body) => body,
        Err((status, why)) => return failure(media, status, &why),
    };
    match from_body(&body) {
        Ok(operation) => answer(door, operation, media, false).await,
        Err(why) => failure(media, StatusCode::BAD_REQUEST, &why),
    }
}

async fn answer(door: Door, operation: Operation, media: Media, read_only: bool) -> Response {
    if media == Media::Events {
        return events::stream(door.graph.subscribe(operation, read_only));
    }
    let outcome = door.graph.execute(operation, read_only).await;
    let mut response = with_type(media, status(media, &outcome), outcome.to_json());
    if outcome.refused == Some(Refusal::Method) {
        response.headers_mut().insert(ALLOW, axum::http::HeaderValue::from_static("POST"));
    }
    response
}

/// What an answer's status is. Plain JSON always was 200 for whatever is a GraphQL answer, and clients rely on it.
fn status(media: Media, outcome: &Outcome) -> StatusCode {
    match (outcome.refused, media) {
        (Some(Refusal::Method), _) => StatusCode::METHOD_NOT_ALLOWED,
        (Some(Refusal::Server), _) => StatusCode::SERVICE_UNAVAILABLE,
        (Some(Refusal::Request), Media::Response) => StatusCode::BAD_REQUEST,
        (Some(Refusal::Request), _) | (None, _) => StatusCode::OK,
    }
}

/// The body, unless it is too long or comes too slowly.
async fn read(headers: &HeaderMap, body: Body, deadline: Duration) -> Result<Vec<u8>, (StatusCode, String)> {
    let too_large = || (StatusCode::PAYLOAD_TOO_LARGE, format!("a body has at most {MAX_BODY_BYTES} bytes"));
    let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > MAX_BODY_BYTES as u64) {
        return Err(too_large());
    }
    match tokio::time::timeout(deadline, axum::body::to_bytes(body, MAX_BODY_BYTES)).await {
        Ok(Ok(bytes)) => Ok(bytes.into()),
        Ok(Err(error)) if is_length_limit(&error) => Err(too_large()),
        Ok(Err(_)) => Err((StatusCode::BAD_REQUEST, "the body broke off".to_owned())),
        Err(_) => Err((StatusCode::REQUEST_TIMEOUT, "the body came too slowly".to_owned())),
    }
}

fn is_length_limit(error: &axum::Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.is::<http_body_util::LengthLimitError>())
}

/// The parameters of a request; what the specification doesn't name is passed over.
#[derive(Deserialize)]
struct Parameters {
    query: String,
    #[serde(rename = "operationName")]
    operation_name: Option<String>,
    #[serde(default)]
    variables: Json,
    /// Nothing is asked of them yet, but they must be an object.
    #[serde(rename = "extensions")]
    _extensions: Option<serde_json::Map<String, Json>>,
}

impl Parameters {
    fn into_operation(self) -> Result<Operation, String> {
        if !matches!(self.variables, Json::Null | Json::Object(_)) {
            return Err("variables must be an object".to_owned());
        }
        Ok(Operation { query: self.query, operation_name: self.operation_name, variables: self.variables })
    }
}

/// The operation that a JSON body, or the payload of a `subscribe` message, says.
pub(super) fn from_body(body: &[u8]) -> Result<Operation, String> {
    if body.first() == Some(&b'[') {
        return Err("send one operation a request, not a batch".to_owned());
    }
    let parameters: Parameters =
        serde_json::from_slice(body).map_err(|error| format!("the body is not the JSON of an operation: {error}"))?;
    parameters.into_operation()
}

fn from_query(query: &str) -> Result<Operation, String> {
    let decoded = |name: &str| {
        parameter(query, name).transpose().map_err(|()| format!("the parameter {name} is not encoded right"))
    };
    let json = |name: &str| match decoded(name)? {
        None => Ok(Json::Null),
        Some(text) => serde_json::from_str(&text).map_err(|error| format!("the parameter {name} is not JSON: {error}")),
    };
    let extensions = match json("extensions")? {
        Json::Null => None,
        Json::Object(extensions) => Some(extensions),
        _ => return Err("extensions must be an object".to_owned()),
    };
    let parameters = Parameters {
        query: decoded("query")?.ok_or("the parameter query is missing")?,
        operation_name: decoded("operationName")?,
        variables: json("variables")?,
        _extensions: extensions,
    };
    parameters.into_operation()
}

/// A request that holds no operation.
fn failure(media: Media, status: StatusCode, why: &str) -> Response {
    let media = if media == Media::Events { Media::Json } else { media };
    let errors = serde_json::json!({ "errors": [{ "message": why, "extensions": { "code": "BAD_REQUEST" } }] });
    with_type(media, status, errors.to_string())
}

fn not_acceptable() -> Response {
    let why = "the answer is application/graphql-response+json, application/json or text/event-stream\n";
    (StatusCode::NOT_ACCEPTABLE, why).into_response()
}

fn with_type(media: Media, status: StatusCode, body: String) -> Response {
    let headers =
        [(CONTENT_TYPE, media.content_type()), (X_CONTENT_TYPE_OPTIONS, "nosniff"), (CACHE_CONTROL, "no-store")];
    (status, headers, body).into_response()
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt, stream};

    use super::*;

    #[tokio::test]
    async fn a_body_that_comes_too_slowly_is_408_and_one_that_breaks_off_400() {
        let begun = || stream::iter([Ok::<_, std::io::Error>("{\"query\": ")]);
        let slow = Body::from_stream(begun().chain(stream::pending()));
        let refused = read(&HeaderMap::new(), slow, Duration::ZERO).await.unwrap_err();
        assert_eq!(refused, (StatusCode::REQUEST_TIMEOUT, "the body came too slowly".to_owned()));
        let broken = begun().chain(stream::iter([Err(std::io::Error::other("gone"))]));
        let refused = read(&HeaderMap::new(), Body::from_stream(broken), BODY_DEADLINE).await.unwrap_err();
        assert_eq!(refused, (StatusCode::BAD_REQUEST, "the body broke off".to_owned()));
    }
}
