//! `tide serve`: GraphQL and commands on a database that is served, and devices that stay in sync.

use serde_json::json;
use tidewater_tests::program::Desk;
use tidewater_tests::socket::Socket;
use tokio::runtime::Runtime;

#[test]
fn commands_run_inside_the_process_that_holds_the_database() {
    let desk = Desk::with_database();
    let serving = desk.serve("a");
    assert_eq!(desk.run("a", &["put", "notes", "n", r#"{"title": "x"}"#]).code, 0);
    let input: String = (0..3_000).map(|n| format!("{{\"id\": \"{n}\"}}\n")).collect();
    assert_eq!(desk.run_with("a", &["import", "-c", "r", "--json"], input.as_bytes()).json()["inserted"], 3_000);
    desk.file("in.ndjson", &input);
    assert_eq!(desk.run("a", &["import", "-c", "r", "in.ndjson", "--json"]).json()["unchanged"], 3_000);
    assert_eq!(desk.run("a", &["export", "-c", "r"]).out.lines().count(), 3_000);
    let missing = desk.run("a", &["get", "notes", "m"]);
    assert_eq!((missing.code, missing.err.as_str()), (3, "tide: notes/m does not exist\n"));
    assert_eq!(
        desk.run("a", &["query", "{ note(id: \"n\") { title } }", "--json"]).json()["data"]["note"]["title"],
        "x"
    );
    let second = desk.run("a", &["serve", "--http", "127.0.0.1:0"]);
    assert_eq!(second.code, 4, "{second:?}");
    assert!(second.err.contains("in use by process"), "{second:?}");
    assert_eq!(serving.stop(), 0);
    assert!(!desk.path("a.db.sock").exists());
    assert_eq!(desk.run("a", &["get", "notes", "n", "--json"]).json()["title"], "x");
}

#[test]
fn a_watch_tells_changes_as_they_happen() {
    let desk = Desk::with_database();
    let serving = desk.serve("a");
    assert_eq!(desk.run("a", &["put", "notes", "n1", r#"{"done": false}"#]).code, 0);
    let mut watching = desk.start("a", &["watch", "notes", "done=false"]);
    assert_eq!(watching.said, json!({"added": {"id": "n1", "done": false}}));
    assert_eq!(desk.run("a", &["put", "notes", "n2", r#"{"done": true}"#]).code, 0);
    assert_eq!(desk.run("a", &["put", "notes", "n1", r#"{"title": "x"}"#]).code, 0);
    assert_eq!(watching.next_line(), json!({"changed": {"id": "n1", "done": false, "title": "x"}}));
    assert_eq!(desk.run("a", &["delete", "notes", "n1"]).code, 0);
    assert_eq!(watching.next_line(), json!({"removed": "n1"}));
    assert_eq!(watching.stop(), 0);
    assert_eq!(serving.stop(), 0);
}

#[test]
fn a_linked_device_gets_everything_and_then_every_change_live() {
    let desk = Desk::with_database();
    assert_eq!(desk.run("a", &["put", "notes", "n", r#"{"title": "before"}"#]).code, 0);
    let first = desk.serve("a");
    let ticket = desk.run("a", &["link", "--json"]).json()["ticket"].as_str().expect("a ticket").to_owned();
    let joined = desk.run("b", &["join", &ticket, "--p2p", "127.0.0.1:0", "--json"]).json();
    assert_eq!(joined["documents"], 1, "{joined}");
    let spent = desk.run("c", &["join", &ticket, "--p2p", "127.0.0.1:0"]);
    assert_eq!(spent.code, 1);
    assert!(spent.err.contains("ask for a new one"), "{spent:?}");
    let second = desk.serve("b");
    Runtime::new().expect("a runtime").block_on(async {
        let mut socket = Socket::connect(second.text("http")).await;
        socket.subscribe("1", "subscription { notesChanged { added { id title } changed { title } } }").await;
        let first = socket.event().await;
        assert_eq!(first["notesChanged"]["added"], json!([{"id": "n", "title": "before"}]));
        assert_eq!(desk.run("a", &["put", "notes", "n", r#"{"title": "after"}"#]).code, 0);
        assert_eq!(socket.event().await["notesChanged"]["changed"], json!([{"title": "after"}]));
    });
    let members = desk.run("b", &["members", "--json"]).json();
    assert_eq!(members[0]["devices"].as_array().map(Vec::len), Some(2), "{members}");
    assert_eq!((first.stop(), second.stop()), (0, 0));
    assert_eq!(desk.run("a", &["digest"]).out, desk.run("b", &["digest"]).out);
}

#[test]
fn a_shared_space_is_read_by_its_reader_and_by_nobody_else() {
    let desk = Desk::with_database();
    let space =
        desk.run("a", &["space", "new", "Family", "--json"]).json()["space"].as_str().expect("an id").to_owned();
    assert_eq!(desk.run("a", &["put", "plans", "p", r#"{"where": "the sea"}"#, "--space", "Family"]).code, 0);
    assert_eq!(desk.run("a", &["put", "notes", "secret", r#"{"title": "mine"}"#]).code, 0);
    let sharing = desk.start("a", &["share", "--space", "Family", "--rank", "read", "--p2p", "127.0.0.1:0"]);
    let ticket = sharing.text("ticket").to_owned();
    let joined = desk.run("b", &["join", &ticket, "--name", "Grace", "--p2p", "127.0.0.1:0", "--json"]).json();
    assert_eq!(joined["spaces"], json!([space]));
    assert_eq!(sharing.wait(), 0);
    let offer = desk.run("a", &["offer", "list", "--json"]).json()[0].clone();
    assert_eq!((&offer["state"], &offer["rank"], &offer["space"]), (&json!("used"), &json!("read"), &json!(space)));
    let used = offer["offer"].as_str().expect("an id").to_owned();
    desk.run("a", &["offer", "cancel", &used]).assert_refused(1, "is used already");
    desk.run("a", &["offer", "cancel", "5a"]).assert_refused(2, "32 hexadecimal digits");
    desk.run("a", &["offer", "cancel", &"5a".repeat(16)]).assert_refused(3, "made no offer");
    assert_eq!(desk.run("b", &["get", "plans", "p", "--json"]).json()["where"], "the sea");
    assert_eq!(desk.run("b", &["get", "notes", "secret"]).code, 3);
    let refused = desk.run("b", &["put", "plans", "q", "{}", "--space", "Family"]);
    assert_eq!(refused.code, 6, "{refused:?}");
    let members = desk.run("a", &["members", "--space", "Family", "--json"]).json();
    let grace = members.as_array().expect("a list").iter().find(|member| member["name"] == "Grace").expect("Grace");
    assert_eq!(grace["rank"], "read");
    let identity = grace["identity"].as_str().expect("an id");
    assert_eq!(desk.run("a", &["rank", identity, "write", "--space", "Family", "--json"]).json()["rank"], "write");
    assert_eq!(desk.run("a", &["rank", identity, "owner", "--space", "Family"]).code, 2);
    desk.run("a", &["rank", "5a", "read", "--space", "Family"]).assert_refused(2, "the identity");
    let nobody = "5a".repeat(32);
    desk.run("a", &["rank", &nobody, "read", "--space", "Family"]).assert_refused(3, "is no member");
    desk.run("a", &["leave", "Family"]).assert_refused(6, "an owner can't leave");
    desk.run("b", &["space", "forget", "Family"]).assert_refused(1, "leave it first");
    let left = desk.run("b", &["leave", "Family", "--timeout", "0", "--p2p", "127.0.0.1:0", "--json"]).json();
    assert_eq!((&left["heard"], &left["forgotten"]), (&json!(false), &json!(false)));
    desk.run("b", &["leave", "Family"]).assert_refused(6, "has left space");
    assert_eq!(desk.run("b", &["put", "plans", "q", "{}", "--space", "Family"]).code, 6);
    assert_eq!(desk.run("b", &["get", "plans", "p", "--json"]).json()["where"], "the sea", "it keeps what was read");
    desk.run("b", &["space", "forget", "Family"]).assert_refused(1, "no member has heard yet");
    assert_eq!(desk.run("b", &["space", "forget", "Family", "--untold"]).code, 0);
    assert_eq!(desk.run("b", &["get", "plans", "p"]).code, 3);
    assert_eq!(desk.run("a", &["revoke", grace["identity"].as_str().expect("an id"), "--space", "Family"]).code, 0);
    assert_eq!(desk.run("a", &["members", "--space", "Family", "--json"]).json().as_array().map(Vec::len), Some(1));
}

#[test]
fn a_dead_address_is_told_and_leaves_nothing_behind() {
    let desk = Desk::with_database();
    let serving = desk.serve("a");
    let ticket = desk.run("a", &["link", "--json"]).json()["ticket"].as_str().expect("a ticket").to_owned();
    assert_eq!(serving.stop(), 0);
    let joined = desk.run("b", &["join", &ticket, "--p2p", "127.0.0.1:0", "--timeout", "20"]);
    assert_eq!(joined.code, 1, "{joined:?}");
    assert!(joined.err.contains("cannot be reached"), "{joined:?}");
    assert!(!desk.path("b.db").exists());
}

#[test]
fn the_demonstration_holds() {
    let desk = Desk::new();
    let ran = desk.run("unused", &["demo", "--records", "300"]);
    assert_eq!(ran.code, 0, "{}\n{}", ran.out, ran.err);
    assert!(ran.out.contains("14 of 14 checks hold"), "{}", ran.out);
}
