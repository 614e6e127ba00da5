//! GraphQL over HTTP that is malformed: a status, a message, and the server goes on.

use serde_json::json;
use tidewater_tests::http::{post, post_as, send};
use tidewater_tests::program::Desk;

/// Bodies, their status, and what is said.
const BODIES: &[(&str, u16, &str)] = &[
    ("", 400, ""),
    ("{", 400, ""),
    ("[]", 400, ""),
    ("{}", 400, "query"),
    (r#"{"query": 7}"#, 400, "expected a string"),
    (r#"{"query": "{"}"#, 400, ""),
    (r#"{"query": "{ nope }"}"#, 400, "Unknown field \"nope\""),
    (r#"{"query": "{ note(id: 1, nope: 2) { id } }"}"#, 400, "nope"),
    (r#"{"query": "mutation { createNote(input: {title: []}) { id } }"}"#, 400, "input.title"),
    (r#"{"query": "query($n: Int!) { notes(first: $n) { totalCount } }"}"#, 400, ""),
    (r#"{"query": "query($n: Int!) { notes(first: $n) { totalCount } }", "variables": {"n": "x"}}"#, 400, ""),
    (r#"{"query": "{ notes(first: -1) { totalCount } }"}"#, 200, ""),
    (r#"{"query": "query A { __typename } query B { __typename }"}"#, 400, ""),
    (r#"{"query": "{ note(id: \"n\") { id } }", "operationName": "A"}"#, 400, ""),
    (r#"{"query": "mutation { updateNote(id: \"none\", patch: {}) { id } }"}"#, 200, "does not exist"),
    (r#"{"query": "mutation { createNote(input: {id: \"n\"}) { id } }"}"#, 200, "exists"),
    (r#"{"query": "subscription { nothingChanged { removed } }"}"#, 400, "subscriptions need a WebSocket"),
];

#[test]
fn what_is_malformed_has_a_status_and_the_server_goes_on() {
    let desk = Desk::with_database();
    assert_eq!(desk.run("a", &["put", "notes", "n", r#"{"title": "x"}"#]).code, 0);
    let serving = desk.serve("a");
    let http = serving.text("http");
    for (body, status, said) in BODIES {
        let answer = post(http, body);
        assert_eq!(answer.status, *status, "{body}: {answer:?}");
        let message = answer.json["errors"][0]["message"].as_str().unwrap_or_else(|| panic!("{body}: {answer:?}"));
        assert!(message.contains(said), "{body}: {message}");
    }
    let deep = format!("{{\"query\": \"{}a{}\"}}", "{a".repeat(5_000), "}".repeat(5_000));
    assert_eq!(post(http, &deep).status, 400);
    let fine = json!({ "query": "{ note(id: \"n\") { title } }" }).to_string();
    assert_eq!(post_as(http, "text/plain", "application/json", &fine).status, 415);
    assert_eq!(post_as(http, "application/json", "text/html", &fine).status, 406);
    assert_eq!(post(http, &" ".repeat((1 << 20) + 1)).status, 413);
    for (request, status) in [
        ("nonsense\r\n\r\n".to_owned(), 400),
        (format!("GET /nowhere HTTP/1.1\r\nHost: {http}\r\nConnection: close\r\n\r\n"), 404),
        (format!("DELETE /graphql HTTP/1.1\r\nHost: {http}\r\nConnection: close\r\n\r\n"), 405),
        (
            "GET /graphql?query=%7B__typename%7D HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
                .to_owned(),
            403,
        ),
        (
            format!(
                "GET /healthz HTTP/1.1\r\nHost: {http}\r\nConnection: close\r\nX-Large: {}\r\n\r\n",
                "x".repeat(1 << 20)
            ),
            431,
        ),
    ] {
        let answer = send(http, request.as_bytes());
        assert_eq!(answer.status, status, "{}: {answer:?}", request.lines().next().unwrap_or_default());
    }
    assert_eq!(post(http, &fine).json, json!({"data": {"note": {"title": "x"}}}));
    assert_eq!(serving.stop(), 0);
}
