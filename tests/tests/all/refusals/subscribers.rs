//! Subscribers in their thousands, and such as never read: each connection runs a bounded number, and others notice nothing.

use serde_json::json;
use tidewater_tests::http::post;
use tidewater_tests::program::Desk;
use tidewater_tests::siege::memory_kib;
use tidewater_tests::socket::Socket;
use tokio::runtime::Runtime;

/// As many as one connection may have.
const OPERATIONS: usize = 100;
const SOCKETS: usize = 100;
/// What a subscription of one small document may take, in KiB: about 23 were measured.
const SUBSCRIPTION_KIB: u64 = 32;
/// What a hundred subscriptions of a large document may take, none of which is read: the document, what waits to be told and
/// what waits in the ten queues, and the storage's cache. About 170 MiB were measured.
const UNREAD_KIB: u64 = 256 << 10;
/// Changes, of which a subscriber that does not read can be told only the first.
const CHANGES: usize = 50;
/// The length of what is changed, in bytes: far more comes together than a socket and its queue hold.
const TITLE_BYTES: usize = 200_000;

const QUERY: &str = "subscription { notesChanged { added { id } changed { title } } }";

#[test]
fn ten_thousand_subscriptions_are_each_told_and_one_more_is_refused() {
    let desk = Desk::with_database();
    assert_eq!(desk.run("a", &["put", "notes", "n", r#"{"title": "before"}"#]).code, 0);
    let serving = desk.serve("a");
    let before = memory_kib(serving.process(), "VmRSS:");
    let runtime = Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let mut sockets = Vec::new();
        for _ in 0..SOCKETS {
            let mut socket = Socket::connect(serving.text("http")).await;
            for id in 0..OPERATIONS {
                socket.subscribe(&id.to_string(), QUERY).await;
                assert_eq!(socket.event().await, json!({"notesChanged": {"added": [{"id": "n"}], "changed": []}}));
            }
            sockets.push(socket);
        }
        sockets[0].subscribe("more", QUERY).await;
        let refused = sockets[0].message().await;
        assert_eq!((&refused["type"], &refused["id"]), (&json!("error"), &json!("more")), "{refused}");
        assert_eq!(refused["payload"][0]["extensions"]["code"], "LIMIT_EXCEEDED", "{refused}");
        assert_eq!(desk.run("a", &["put", "notes", "n", r#"{"title": "after"}"#]).code, 0);
        for socket in &mut sockets {
            for _ in 0..OPERATIONS {
                assert_eq!(socket.event().await["notesChanged"]["changed"], json!([{"title": "after"}]));
            }
        }
    });
    let taken = memory_kib(serving.process(), "VmHWM:") - before;
    println!("{} subscriptions took {taken} KiB", SOCKETS * OPERATIONS);
    let most = SUBSCRIPTION_KIB * (SOCKETS * OPERATIONS) as u64;
    assert!(taken <= most, "{taken} of {most} KiB");
    drop(runtime);
    assert_eq!(desk.run("a", &["get", "notes", "n", "--json"]).json()["title"], "after");
    assert_eq!(serving.stop(), 0);
}

#[test]
fn a_subscriber_that_never_reads_holds_up_nobody_and_costs_no_more_than_its_queues() {
    let desk = Desk::with_database();
    assert_eq!(desk.run("a", &["put", "notes", "n", r#"{"title": "before"}"#]).code, 0);
    let serving = desk.serve("a");
    let http = serving.text("http");
    let runtime = Runtime::new().expect("a runtime");
    let before = memory_kib(serving.process(), "VmRSS:");
    runtime.block_on(async {
        let mut deaf = Vec::new();
        for _ in 0..10 {
            let mut socket = Socket::connect(http).await;
            for id in 0..10 {
                socket.subscribe(&id.to_string(), QUERY).await;
            }
            deaf.push(socket);
        }
        let mut hearing = Socket::connect(http).await;
        hearing.subscribe("1", QUERY).await;
        hearing.event().await;
        for number in 0..CHANGES {
            let title = format!("{number} {}", "x".repeat(TITLE_BYTES));
            let query = "mutation($t: String) { updateNote(id: \"n\", patch: {title: {set: $t}}) { id } }";
            let body = json!({"query": query, "variables": {"t": title}}).to_string();
            assert_eq!(post(http, &body).json, json!({"data": {"updateNote": {"id": "n"}}}));
            assert_eq!(hearing.event().await["notesChanged"]["changed"], json!([{ "title": title }]));
        }
        drop(deaf);
    });
    let taken = memory_kib(serving.process(), "VmHWM:") - before;
    println!("a hundred unread subscriptions took {taken} KiB");
    assert!(taken <= UNREAD_KIB, "{taken} of {UNREAD_KIB} KiB");
    assert_eq!(serving.stop(), 0);
}
