//! HTTP: GraphQL over it, subscriptions over WebSocket and server-sent events, and health.

mod events;
mod guard;
mod negotiate;
mod query_string;
mod request;
pub mod serve;
mod socket;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::middleware;
use axum::routing::get;

use crate::graphql::Graph;

/// The largest body, in bytes; it is refused before it is parsed.
pub const MAX_BODY_BYTES: usize = 1 << 20;

/// Who may talk to the server, beside programs on this machine.
#[derive(Debug, Clone, Default)]
pub struct Allowed {
    /// Further host names or addresses (without port) under which the server is reached. Loopback names are always allowed.
    pub hosts: Vec<String>,
    /// Further origins (`https://example.org`) whose pages may call the server. Its own origin always may.
    pub origins: Vec<String>,
}

#[derive(Clone)]
struct Door {
    graph: Graph,
    sockets: Arc<tokio::sync::Semaphore>,
}

/// The routes: `/graphql`, `/healthz`, `/readyz`.
pub fn router(graph: Graph, allowed: Allowed) -> Router {
    let door = Door { graph, sockets: Arc::new(tokio::sync::Semaphore::new(socket::MAX_SOCKETS)) };
    Router::new()
        .route("/graphql", get(request::by_get).post(request::by_post))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .layer(middleware::from_fn_with_state(Arc::new(allowed), guard::check))
        .with_state(door)
}

/// Whether the database can be read.
async fn ready(State(door): State<Door>) -> (StatusCode, String) {
    let readable = tokio::task::spawn_blocking(move || door.graph.readable()).await;
    match readable {
        Ok(Ok(())) => (StatusCode::OK, "ready\n".to_owned()),
        Ok(Err(why)) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "reading stopped unexpectedly\n".to_owned()),
    }
}
