//! GraphQL over HTTP, request by request.

use axum::body::Body;
use axum::http::header::{ACCEPT, ALLOW, CONTENT_TYPE, HOST, ORIGIN};
use axum::http::{Request, Response, StatusCode};
use serde_json::{Value as Json, json};
use tower::ServiceExt;

use super::*;
use crate::graphql::tests::with_notes;

const RESPONSE: &str = "application/graphql-response+json";
const JSON: &str = "application/json";

struct Answer {
    status: StatusCode,
    content_type: String,
    allow: Option<String>,
    body: Vec<u8>,
}

impl Answer {
    async fn of(response: Response<Body>) -> Self {
        let text = |name| {
            response.headers().get(name).map(|value: &axum::http::HeaderValue| value.to_str().unwrap().to_owned())
        };
        let (status, content_type, allow) = (response.status(), text(CONTENT_TYPE).unwrap_or_default(), text(ALLOW));
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap().into();
        Self { status, content_type, allow, body }
    }

    fn json(&self) -> Json {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

async fn send(request: Request<Body>) -> Answer {
    Answer::of(router(with_notes(), Allowed::default()).oneshot(request).await.unwrap()).await
}

async fn post(accept: &str, content_type: &str, body: impl Into<Body>) -> Answer {
    let request = Request::post("/graphql").header(HOST, "localhost").header(ACCEPT, accept);
    send(request.header(CONTENT_TYPE, content_type).body(body.into()).unwrap()).await
}

async fn get(path: &str) -> Answer {
    send(Request::get(path).header(HOST, "localhost:8080").header(ACCEPT, RESPONSE).body(Body::empty()).unwrap()).await
}

fn query(text: &str) -> String {
    json!({ "query": text }).to_string()
}

#[tokio::test]
async fn an_answer_has_the_media_type_that_was_asked_for() {
    for (accept, content_type) in [(RESPONSE, RESPONSE), (JSON, JSON), ("*/*", JSON)] {
        let answer = post(accept, JSON, query("{ __typename }")).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.content_type, format!("{content_type}; charset=utf-8"));
        assert_eq!(answer.json(), json!({"data": {"__typename": "Query"}}));
    }
    assert_eq!(post("text/html", JSON, query("{ __typename }")).await.status, StatusCode::NOT_ACCEPTABLE);
}

#[tokio::test]
async fn a_refused_operation_is_400_in_the_new_media_type_and_200_in_the_old() {
    for document in [
        "{",
        "{ nope }",
        "query A { __typename } query B { __typename }",
        "query($x: Int!) { notes(first: $x) { totalCount } }",
    ] {
        let answer = post(RESPONSE, JSON, query(document)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{document}");
        assert!(answer.json().get("data").is_none(), "{document}");
        assert_eq!(post(JSON, JSON, query(document)).await.status, StatusCode::OK, "{document}");
    }
    let failed_field = query("{ note(id: \"n\", space: \"x\") { id } }");
    assert_eq!(post(RESPONSE, JSON, failed_field).await.status, StatusCode::OK);
}

#[tokio::test]
async fn what_is_no_request_is_400_in_either() {
    for body in [
        "",
        "{",
        "nonsense",
        "[]",
        "{}",
        "{\"query\": 7}",
        "{\"query\": null}",
        "[{\"query\": \"{ __typename }\"}]",
        "{\"query\": \"{ __typename }\", \"variables\": []}",
        "{\"query\": \"{ __typename }\", \"operationName\": 1}",
        "{\"query\": \"{ __typename }\", \"extensions\": 1}",
        "\u{feff}{\"query\": \"{ __typename }\"}",
    ] {
        for accept in [RESPONSE, JSON] {
            let answer = post(accept, JSON, body).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}");
            assert!(answer.json()["errors"][0]["message"].is_string(), "{body}");
        }
    }
    let deep =
        format!("{{\"query\": \"{{ __typename }}\", \"variables\": {}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(post(JSON, JSON, deep).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_form_is_415_and_too_much_is_413() {
    for content_type in ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain"] {
        assert_eq!(post(JSON, content_type, "query={__typename}").await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    let large = vec![b' '; MAX_BODY_BYTES + 1];
    assert_eq!(post(JSON, JSON, large.clone()).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    let announced = Request::post("/graphql").header(HOST, "localhost").header(CONTENT_TYPE, JSON);
    let announced = announced.header("content-length", "99999999999").body(Body::empty()).unwrap();
    assert_eq!(send(announced).await.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_string_of_many_bytes_is_stored_as_it_is() {
    let title = "é\u{0}".repeat(100_000);
    let mutation = "mutation($t: String) { createNote(input: {id: \"n\", title: $t}) { title } }";
    let body = json!({ "query": mutation, "variables": { "t": title } }).to_string();
    assert_eq!(post(JSON, JSON, body).await.json()["data"]["createNote"]["title"], title);
}

#[tokio::test]
async fn a_get_reads_and_does_not_write() {
    assert_eq!(get("/graphql?query=%7B__typename%7D").await.json()["data"]["__typename"], "Query");
    let with_variables = "/graphql?query=query($id:ID!)%7Bnote(id:$id)%7Bid%7D%7D&variables=%7B%22id%22:%22n%22%7D";
    assert_eq!(get(with_variables).await.json(), json!({"data": {"note": null}}));
    let answer = get("/graphql?query=mutation%7BdeleteNote(id:%22n%22)%7D").await;
    assert_eq!((answer.status, answer.allow.as_deref()), (StatusCode::METHOD_NOT_ALLOWED, Some("POST")));
    for wrong in [
        "/graphql",
        "/graphql?query=%ff",
        "/graphql?query=%7B__typename%7D&variables=x",
        "/graphql?query=%7B__typename%7D&variables=1",
    ] {
        assert_eq!(get(wrong).await.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
}

#[tokio::test]
async fn other_methods_and_paths_are_refused() {
    for method in ["PUT", "DELETE", "OPTIONS", "PATCH"] {
        let request = Request::builder().method(method).uri("/graphql").header(HOST, "localhost");
        let answer = send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method}");
    }
    assert_eq!(get("/nowhere").await.status, StatusCode::NOT_FOUND);
}

/// A page of another site reaches no endpoint: neither with its origin, nor with its own name resolved to this machine.
#[tokio::test]
async fn attack_dns_rebinding_and_foreign_origins_are_refused() {
    let with = |host: &str, origin: Option<&str>| {
        let mut request = Request::post("/graphql").header(HOST, host).header(CONTENT_TYPE, JSON);
        if let Some(origin) = origin {
            request = request.header(ORIGIN, origin);
        }
        send(request.body(query("{ __typename }").into()).unwrap())
    };
    assert_eq!(with("localhost:8080", Some("http://localhost:8080")).await.status, StatusCode::OK);
    assert_eq!(with("evil.example", None).await.status, StatusCode::FORBIDDEN);
    assert_eq!(with("localhost:8080", Some("https://evil.example")).await.status, StatusCode::FORBIDDEN);
    let health = Request::get("/healthz").header(HOST, "evil.example").body(Body::empty()).unwrap();
    assert_eq!(send(health).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn events_are_streamed() {
    let answer = post("text/event-stream", JSON, query("{ __typename }")).await;
    assert_eq!(answer.content_type, "text/event-stream; charset=utf-8");
    let text = String::from_utf8(answer.body).unwrap();
    assert_eq!(text, "event: next\ndata: {\"data\":{\"__typename\":\"Query\"}}\n\nevent: complete\ndata:\n\n");
}

#[tokio::test]
async fn health_and_readiness_are_told() {
    assert_eq!(get("/healthz").await.body, b"ok\n");
    assert_eq!(get("/readyz").await.body, b"ready\n");
}
