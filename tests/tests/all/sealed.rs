//! A relay reads nothing, and a thief of a sealed file as little: `tidewater_tests::sealed`, and the same with the real command.

use tidewater_tests::program::Desk;
use tidewater_tests::sealed::{holds, search_a_relay, search_a_sealed_file};

/// A relay's file and every frame that went to or from it, searched for what people wrote, hold nothing of it.
#[test]
fn attack_hub_searched_byte_by_byte_holds_no_plaintext() {
    search_a_relay();
}

#[test]
fn what_the_command_leaves_on_a_relay_holds_no_plaintext() {
    let desk = Desk::with_database();
    assert_eq!(desk.run("a", &["space", "new", "canary label"]).code, 0);
    let written = r#"{"canary_field": "canary value"}"#;
    let put = |id: &str| desk.run("a", &["put", "canary-collection", id, written, "--space", "canary label"]);
    assert_eq!(put("canary-before").code, 0);
    let serving = desk.serve("a");
    let ticket = desk.run("a", &["share", "--space", "canary label", "--rank", "relay", "--json"]).json();
    let ticket = ticket["ticket"].as_str().expect("a ticket");
    let joined = desk.run("b", &["join", ticket, "--name", "the relay", "--p2p", "127.0.0.1:0"]);
    assert_eq!(joined.code, 0, "{joined:?}");
    assert_eq!((put("canary-after").code, serving.stop()), (0, 0));
    let at = |name: &str, text: &str| holds(&std::fs::read(desk.path(name)).expect("the file"), text);
    assert!(at("b.db", "the relay"));
    for text in ["canary label", "canary-collection", "canary-before", "canary_field", "canary value"] {
        assert!(at("a.db", text), "the search does not find {text:?} in the owner's file");
        assert!(!at("b.db", text), "{text:?} is in the relay's file");
    }
}

/// A sealed file, searched for every document, name, key and word that is in it, holds none of them.
#[test]
fn attack_sealed_file_searched_byte_by_byte_holds_no_plaintext() {
    search_a_sealed_file();
}
