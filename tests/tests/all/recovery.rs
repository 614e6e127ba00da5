//! Devices that are removed, and an identity that comes back from its words, as people do both.

use tidewater_tests::program::{Desk, Running};

/// Ada's database and a relay, served, that has what is in it.
fn ada_and_a_relay(desk: &Desk) -> Running {
    assert_eq!(desk.run("hub", &["init", "--name", "Hub"]).code, 0);
    let sharing = desk.start("a", &["share", "--rank", "relay", "--p2p", "127.0.0.1:0"]);
    let joined = desk.run("hub", &["join", sharing.text("ticket"), "--p2p", "127.0.0.1:0"]);
    assert_eq!((joined.code, sharing.wait()), (0, 0), "{joined:?}");
    desk.serve("hub")
}

fn words(desk: &Desk, name: &str) -> String {
    desk.run(name, &["identity", "words", "--json"]).json()["words"].as_str().expect("words").to_owned()
}

/// All devices are lost: 24 words and a relay bring everything back, by the commands that a person types.
#[test]
fn attack_all_devices_lost_the_words_and_a_relay_are_enough_by_hand() {
    let desk = Desk::with_database();
    assert_eq!(desk.run("a", &["put", "notes", "n", r#"{"title": "kept"}"#]).code, 0);
    let hub = ada_and_a_relay(&desk);
    let before = desk.run("a", &["identity", "show", "--json"]).json();
    assert_eq!(before["words_kept"], true);
    let words = words(&desk, "a");
    assert_eq!(desk.run_with("a", &["identity", "forget-words"], words.as_bytes()).code, 0);
    desk.run("a", &["identity", "words"]).assert_refused(3, "where they were written down");
    let lost = desk.run("a", &["device", "list", "--json"]).json()[0]["device"].clone();
    std::fs::remove_file(desk.path("a.db")).expect("it was there");

    let from = format!("{}={}", hub.text("device"), hub.p2p());
    let recover = ["recover", "--from", &from, "--remove-others", "--p2p", "127.0.0.1:0", "--json"];
    let recovered = desk.run_with("b", &recover, format!("{words}\n").to_uppercase().as_bytes()).json();
    assert_eq!((&recovered["identity"], &recovered["name"]), (&before["identity"], &before["name"]));
    assert_eq!(recovered["other_devices"].as_array().map(Vec::len), Some(0));
    assert_eq!(desk.run("b", &["get", "notes", "n", "--json"]).json()["title"], "kept");
    assert_eq!(desk.run("b", &["put", "notes", "n2", "{}"]).code, 0);
    let devices = desk.run("b", &["device", "list", "--json"]).json();
    assert_eq!((devices.as_array().map(Vec::len), devices[0]["this"].as_bool()), (Some(1), Some(true)));
    assert_ne!(devices[0]["device"], lost);
    let space = recovered["spaces"][0].as_str().expect("a space");
    let members = desk.run("hub", &["members", "--space", space, "--json"]).json();
    let owner = members.as_array().expect("a list").iter().find(|member| member["rank"] == "owner").expect("Ada");
    assert_eq!(owner["devices"], serde_json::json!([devices[0]["device"]]), "the relay knows who is gone");
    assert_eq!(hub.stop(), 0);
}

#[test]
fn what_a_recovery_can_not_do_it_says_and_leaves_nothing_behind() {
    let desk = Desk::with_database();
    let hub = ada_and_a_relay(&desk);
    let from = format!("{}={}", hub.text("device"), hub.p2p());
    let recover = |from: &str, words: &str| {
        let ran = desk.run_with("b", &["recover", "--from", from, "--p2p", "127.0.0.1:0"], words.as_bytes());
        assert!(!desk.path("b.db").exists());
        ran
    };
    assert_eq!(desk.run("e", &["init", "--name", "Eve"]).code, 0);
    let eves = words(&desk, "e");
    recover(&from, &eves).assert_refused(3, "no space of the identity with these words");
    recover(&from, "").assert_refused(2, "recovery words are 24 words, these are 0");
    recover(&from, &eves.replacen(' ', " tidewater", 1)).assert_refused(2, "word 2 is none of the 2048");
    recover(&from, &format!("{eves} zoo")).assert_refused(2, "these are 25");
    recover("nobody", &eves).assert_refused(2, "--from takes DEVICE=ADDR");
    recover("5a=127.0.0.1:1", &eves).assert_refused(2, "the device's id");
    let own = desk.run_with("a", &["recover", "--from", &from, "--p2p", "127.0.0.1:0"], eves.as_bytes());
    own.assert_refused(2, "a recovery makes a new database");
    desk.run_with("a", &["identity", "forget-words"], eves.as_bytes()).assert_refused(1, "not those of this identity");
    assert_eq!(hub.stop(), 0);
    recover(&from, &eves).assert_refused(1, "can't be reached");
}

/// A stolen device, removed with one command, gets nothing of what is written afterwards.
#[test]
fn attack_stolen_device_is_removed_by_hand_and_gets_nothing_new() {
    let desk = Desk::with_database();
    let serving = desk.serve("a");
    desk.link("a", "phone");
    let devices = desk.run("a", &["device", "list", "--json"]).json();
    let phone = devices.as_array().expect("a list").iter().find(|device| device["this"] == false).expect("two");
    let phone = phone["device"].as_str().expect("an id");
    desk.run("phone", &["device", "remove", serving.text("device")]).assert_refused(6, "root key");
    desk.run("a", &["device", "remove", serving.text("device")]).assert_refused(1, "this is the very device");
    assert_eq!(desk.run("a", &["device", "remove", phone]).code, 0);
    desk.run("a", &["device", "remove", phone]).assert_refused(3, "no device of this identity");
    assert_eq!(desk.run("a", &["put", "notes", "secret", "{}"]).code, 0);
    let stolen = desk.serve("phone");
    let spoken = desk.run("phone", &["put", "notes", "forged", "{}"]);
    assert!(spoken.code == 0, "it has not heard of it: {spoken:?}");
    assert_eq!((stolen.stop(), serving.stop()), (0, 0));
    assert_eq!(desk.run("phone", &["get", "notes", "secret"]).code, 3);
    assert_eq!(desk.run("a", &["get", "notes", "forged"]).code, 3);
}
