//! Two people who become contacts by the commands that they type, over QUIC.

use serde_json::Value as Json;
use tidewater_tests::program::{Desk, Running};

/// Ada and Ben, both served, with something that only contacts see.
fn ada_and_ben(desk: &Desk) -> (Running, Running) {
    assert_eq!(desk.run("b", &["init", "--name", "Ben"]).code, 0);
    for (name, email) in [("a", "ada@example.org"), ("b", "ben@example.org")] {
        let set = desk.run(name, &["profile", "set", "--email", email, "--tag", "math", "--public", "tags", "--json"]);
        assert_eq!(set.json()["public"], serde_json::json!(["tags"]));
    }
    (desk.serve("a"), desk.serve("b"))
}

fn identity(desk: &Desk, name: &str) -> String {
    desk.run(name, &["identity", "show", "--json"]).json()["identity"].as_str().expect("an identity").to_owned()
}

/// Asks by the address of a device, as `tide contact request` takes it.
fn ask(desk: &Desk, from: &str, to: &Running, note: &str) -> String {
    let whom = format!("{}={}", to.text("device"), to.p2p());
    let asked = desk.run(from, &["contact", "request", &whom, "--note", note, "--json"]).json();
    asked["identity"].as_str().expect("an identity").to_owned()
}

/// Lists until the list is as it should be: what was said is on its way.
fn until(desk: &Desk, name: &str, arguments: &[&str], fits: impl Fn(&[Json]) -> bool) -> Vec<Json> {
    for _ in 0..2_000 {
        let listed = desk.run(name, &[arguments, &["--json"]].concat()).json();
        let listed = listed.as_array().expect("a list");
        if fits(listed) {
            return listed.clone();
        }
    }
    panic!("tide {arguments:?} never showed it");
}

fn state_is(state: &'static str) -> impl Fn(&[Json]) -> bool {
    move |requests| requests.first().is_some_and(|request| request["state"] == state)
}

#[test]
fn two_people_meet_by_address_become_contacts_and_verify_each_other() {
    let desk = Desk::with_database();
    let (ada, ben) = ada_and_ben(&desk);
    let bens = ask(&desk, "a", &ben, "we met at the fair");
    assert_eq!(bens, identity(&desk, "b"));
    let adas = identity(&desk, "a");
    let waiting = until(&desk, "b", &["contact", "requests"], |requests| !requests.is_empty());
    assert_eq!((&waiting[0]["identity"], &waiting[0]["note"]), (&adas.clone().into(), &"we met at the fair".into()));
    assert_eq!((&waiting[0]["profile"]["email"], &waiting[0]["profile"]["tags"][0]), (&"".into(), &"math".into()));
    desk.run("b", &["contact", "show", &adas]).assert_refused(3, "is no contact");

    assert_eq!(desk.run("b", &["contact", "accept", &adas]).code, 0);
    let answered = |contacts: &[Json]| contacts.first().is_some_and(|contact| contact["answered"] == true);
    for (name, other, email) in [("a", &bens, "ben@example.org"), ("b", &adas, "ada@example.org")] {
        let contacts = until(&desk, name, &["contact", "list"], answered);
        assert_eq!((contacts.len(), &contacts[0]["connected"]), (1, &true.into()), "{contacts:?}");
        let shown = desk.run(name, &["contact", "show", other, "--json"]).json();
        assert_eq!((&shown["profile"]["email"], &shown["verified"]), (&email.into(), &false.into()), "{shown}");
        assert!(desk.run(name, &["contact", "show", other]).out.contains(email));
    }
    assert_eq!(desk.run("a", &["contact", "search", "BEN@", "--in", "email", "--json"]).json()[0]["identity"], bens);

    let shown = desk.run("b", &["contact", "number", &adas, "--json"]).json();
    let number = shown["number"].as_str().expect("digits");
    desk.run("a", &["contact", "verify", &bens, "--number", &number.replace('1', "2")])
        .assert_refused(6, "not the number");
    assert_eq!(desk.run("a", &["contact", "verify", &bens, "--number", number]).code, 0);
    let code = desk.run("a", &["contact", "number", &bens, "--json"]).json()["code"].clone();
    assert_eq!(desk.run("b", &["contact", "verify", &adas, "--number", code.as_str().expect("a code")]).code, 0);
    let printed = desk.run("a", &["contact", "number", &bens]).out;
    assert!(printed.contains(number) && printed.contains('█'), "{printed}");
    for (name, other) in [("a", &bens), ("b", &adas)] {
        assert_eq!(desk.run(name, &["contact", "show", other, "--json"]).json()["verified"], true);
    }
    assert_eq!((ada.stop(), ben.stop()), (0, 0));
}

#[test]
fn a_rejection_and_a_withdrawal_are_told_and_a_block_is_not() {
    let desk = Desk::with_database();
    let (ada, ben) = ada_and_ben(&desk);
    let (adas, bens) = (identity(&desk, "a"), ask(&desk, "a", &ben, ""));
    let requests = ["contact", "requests"];
    until(&desk, "b", &requests, state_is("waiting"));
    assert_eq!(desk.run("a", &["contact", "withdraw", &bens]).code, 0);
    until(&desk, "b", &requests, <[Json]>::is_empty);
    assert_eq!(desk.run("a", &["contact", "requests", "--json"]).json()[0]["state"], "withdrawn");
    desk.run("b", &["contact", "accept", &adas]).assert_refused(3, "no request");

    // Known by now, the identity alone is enough.
    assert_eq!(desk.run("a", &["contact", "request", &bens, "--note", "please"]).code, 0);
    until(&desk, "b", &requests, state_is("waiting"));
    assert_eq!(desk.run("b", &["contact", "reject", &adas]).code, 0);
    until(&desk, "a", &requests, state_is("rejected"));

    assert_eq!(desk.run("b", &["contact", "block", &adas]).code, 0);
    assert_eq!(desk.run("b", &["contact", "blocked", "--json"]).json()[0]["identity"], adas);
    desk.run("b", &["contact", "request", &adas]).assert_refused(6, "is blocked");
    assert_eq!(desk.run("b", &["contact", "unblock", &adas]).code, 0);
    desk.run("a", &["contact", "request", &adas]).assert_refused(1, "your own identity");
    desk.run("a", &["contact", "request", "nobody"]).assert_refused(2, "the identity");
    assert_eq!((ada.stop(), ben.stop()), (0, 0));
}

#[test]
fn a_request_is_sent_without_a_server_of_ones_own_and_the_policy_decides() {
    let desk = Desk::with_database();
    assert_eq!(desk.run("b", &["init", "--name", "Ben"]).code, 0);
    let rule = ["policy", "add", "request", "stranger", "accept", "--json"];
    assert_eq!(desk.run("b", &rule).json()[0]["decision"], "accept");
    let ben = desk.serve("b");
    let whom = format!("{}={}", ben.text("device"), ben.p2p());
    let asked = desk.run("a", &["contact", "request", &whom, "--p2p", "127.0.0.1:0"]);
    assert_eq!(asked.code, 0, "{asked:?}");
    let contacts = until(&desk, "b", &["contact", "list"], |contacts| !contacts.is_empty());
    assert_eq!(contacts[0]["name"], "Ada");
    assert_eq!(desk.run("b", &["policy", "remove", "1", "--json"]).json(), serde_json::json!([]));
    desk.run("b", &["policy", "remove", "1"]).assert_refused(3, "no rule 1");
    assert_eq!(ben.stop(), 0);
}
