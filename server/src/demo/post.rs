//! The smallest client that can ask a question by HTTP.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value as Json, json};

/// How long an answer may take.
const DEADLINE: Duration = Duration::from_secs(40);

/// Posts GraphQL, and gives `data`.
///
/// # Errors
/// What the server, or the connection, said.
pub(super) fn graphql(server: SocketAddr, query: &str, variables: &Json) -> Result<Json, String> {
    let body = json!({ "query": query, "variables": variables }).to_string();
    let answer = post(server, &body).map_err(|error| format!("GraphQL at {server}: {error}"))?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("GraphQL: the answer has no head")?;
    let status = head.lines().next().unwrap_or_default();
    let mut answer: Json = serde_json::from_str(body).map_err(|error| format!("GraphQL: {status}: {error}"))?;
    match answer["errors"][0]["message"].as_str() {
        Some(why) => Err(format!("GraphQL: {why}")),
        None => Ok(answer["data"].take()),
    }
}

fn post(server: SocketAddr, body: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&server, DEADLINE)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.set_write_timeout(Some(DEADLINE))?;
    let head = format!(
        "POST /graphql HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Accept: application/graphql-response+json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
