//! The smallest HTTP client: one request a connection, and the request may be nonsense.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value as Json;

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    /// The status code; 0 when it closed the connection without one.
    pub status: u16,
    /// The body, when it is JSON.
    pub json: Json,
}

/// Sends bytes, whatever they are, and reads until the server closes the connection.
///
/// # Panics
/// When the server can't be reached.
#[must_use]
pub fn send(server: &str, request: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(server).expect("the server listens");
    // A server that has seen enough may close before everything is written, and reset what it has said.
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
    Answer { status, json: serde_json::from_str(body).unwrap_or_default() }
}

/// Posts a body to `/graphql`, as JSON, and asks for the media type of GraphQL's own answers.
#[must_use]
pub fn post(server: &str, body: &str) -> Answer {
    post_as(server, "application/json", "application/graphql-response+json", body)
}

/// The same with a media type of one's own choice, and the one to accept.
#[must_use]
pub fn post_as(server: &str, content_type: &str, accept: &str, body: &str) -> Answer {
    let length = body.len();
    let head = format!(
        "POST /graphql HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\nContent-Type: {content_type}\r\n\
         Accept: {accept}\r\nContent-Length: {length}\r\n\r\n"
    );
    send(server, (head + body).as_bytes())
}
