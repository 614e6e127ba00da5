//! Target: GraphQL over HTTP, a body in and an answer out.

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode};
use tidewater_server::graphql::Graph;
use tidewater_server::http::{Allowed, router};
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt;

use super::people::{open, people};
use super::{Memory, Target};

pub(super) const TARGET: Target = Target {
    name: "http",
    run,
    seeds,
    input_bytes_max: 4_096,
    memory: Memory { fixed: 48 << 20, per_byte: 64 << 10 },
    executions: 500,
};

/// The longest answer that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 16 << 20;

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread().enable_all().build().expect("a runtime starts");
}

/// A POST; or, where the first byte is a question mark, a GET with the rest as its query string.
fn run(input: &[u8]) -> bool {
    let Some(request) = request(input) else { return false };
    let router = router(Graph::new(open(&people().ada, 41)), Allowed::default());
    let (status, body) = RUNTIME.with(|runtime| {
        runtime.block_on(async {
            let Ok(answer) = router.oneshot(request).await;
            let status = answer.status();
            (status, to_bytes(answer.into_body(), MAX_ANSWER_BYTES).await.expect("an answer of bounded length"))
        })
    });
    let answer: serde_json::Value = serde_json::from_slice(&body).expect("an answer is JSON");
    assert!(answer.get("data").is_some() || answer["errors"][0]["message"].is_string(), "{answer}");
    assert_ne!(status, StatusCode::INTERNAL_SERVER_ERROR, "{answer}");
    let failed = answer.to_string();
    assert!(!failed.contains("unexpectedly"), "something panicked behind the answer: {failed}");
    answer.get("errors").is_none()
}

fn request(input: &[u8]) -> Option<Request<Body>> {
    let request = Request::builder().header("host", "localhost").header("accept", "application/json");
    let request = match input.split_first() {
        Some((b'?', query)) => {
            let query = std::str::from_utf8(query).ok()?;
            request.method(Method::GET).uri(format!("/graphql?{query}")).body(Body::empty())
        }
        _ => {
            let request = request.method(Method::POST).uri("/graphql").header("content-type", "application/json");
            request.body(Body::from(input.to_vec()))
        }
    };
    request.ok()
}

fn seeds() -> Vec<Vec<u8>> {
    let queries = [
        r#"{"query": "{ notes(first: 3, where: {size: {gte: 0}}, orderBy: [{size: DESC}]) { totalCount pageInfo { endCursor } nodes { id title views tags body tree } } }"}"#,
        r#"{"query": "query($w: JSON) { documents(collection: \"free\", where: $w) { nodes { id _fields _meta { conflicts { field values } } } } }", "variables": {"w": {"f2": {"lt": 3}}}}"#,
        r#"{"query": "mutation { createNote(input: {title: \"x\", size: 4, tags: [\"a\"]}) { id } deleteNote(id: \"n1\") }"}"#,
        r#"{"query": "mutation($p: JSON!) { updateDocument(collection: \"notes\", id: \"n1\", patch: $p) { id _fields } }", "variables": {"p": {"views": {"increment": 2}, "tree": {"put": {"path": ["a", 1], "value": {"$bytes": "AAA="}}}, "body": {"splice": {"at": 1, "delete": 2, "insert": "y"}}}}}"#,
        r#"{"query": "{ __schema { types { name fields { name } } } collections { name } spaces { id label members { name } } }"}"#,
        r#"{"query": "query A { a: note(id: \"n1\") { ...F } b: node: note(id: \"n2\") { id } } fragment F on Note { id title @skip(if: false) }", "operationName": "A"}"#,
        "?query={notes{nodes{id}}}&variables=%7B%7D&operationName=",
        "[]",
    ];
    queries.map(|text| text.as_bytes().to_vec()).to_vec()
}
