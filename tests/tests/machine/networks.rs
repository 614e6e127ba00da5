//! Two devices in two networks with a cable between them.

use serde_json::json;
use tidewater_tests::namespace::Namespace;
use tidewater_tests::program::Desk;

pub(super) fn devices_in_two_networks_stay_in_sync() {
    let desk = Desk::with_database();
    let networks = [Namespace::new().expect("a network"), Namespace::new().expect("a network")];
    networks[0].connect("10.77.0.1/24", &networks[1], "10.77.0.2/24");
    let [one, other] = [desk.within(&networks[0]), desk.within(&networks[1])];
    assert_eq!(desk.run("a", &["put", "notes", "n", r#"{"title": "before"}"#]).code, 0);
    let a = one.serve_at("a", "10.77.0.1:7400");
    let ticket = one.run("a", &["link", "--json"]).json()["ticket"].as_str().expect("a ticket").to_owned();
    let joined = other.run("b", &["join", &ticket, "--p2p", "10.77.0.2:0", "--json"]).json();
    assert_eq!(joined["documents"], 1, "{joined}");
    let b = other.serve_at("b", "10.77.0.2:7400");
    desk.await_each_other("a", "b", "live");

    b.kill();
    assert_eq!(desk.run("a", &["put", "notes", "n", r#"{"title": "while b was dead"}"#]).code, 0);
    let b = other.serve_at("b", "10.77.0.2:7400");
    desk.await_each_other("a", "b", "after-b");
    a.kill();
    assert_eq!(desk.run("b", &["update", "notes", "n", r#"{"views": {"increment": 1}}"#]).code, 0);
    let a = one.serve_at("a", "10.77.0.1:7400");
    desk.await_each_other("a", "b", "after-a");

    assert_eq!((a.stop(), b.stop()), (0, 0));
    assert_eq!(desk.run("a", &["digest"]).out, desk.run("b", &["digest"]).out);
    for name in ["a", "b"] {
        let note = desk.run(name, &["get", "notes", "n", "--json"]).json();
        assert_eq!(note, json!({"id": "n", "title": "while b was dead", "views": 1}));
        assert_eq!(desk.run(name, &["verify", "--json"]).json()["problems"], json!([]));
    }
}
