//! Tickets that are no good, and devices that are not who they should be.

use tidewater_engine::store::Location;
use tidewater_net::host::open_options;
use tidewater_sync::{Database, OpenOptions};
use tidewater_tests::program::{Desk, Ran};

/// Tries to join with a ticket, as a new database.
fn join(desk: &Desk, ticket: &str) -> Ran {
    let joined = desk.run("new", &["join", ticket, "--p2p", "127.0.0.1:0", "--timeout", "60"]);
    assert!(!desk.path("new.db").exists(), "what was made for a ticket that is no good is gone: {joined:?}");
    joined
}

fn ticket(desk: &Desk, command: &str) -> String {
    desk.run("a", &[command, "--json"]).json()["ticket"].as_str().expect("a ticket").to_owned()
}

#[test]
fn a_text_that_is_no_ticket_is_refused() {
    let desk = Desk::with_database();
    let serving = desk.serve("a");
    let good = ticket(&desk, "link");
    let (half, rest) = good.split_at(good.len() / 2);
    for (text, said) in [
        ("", "a ticket starts with `tide1`"),
        ("card1abc", "a ticket starts with `tide1`"),
        ("tide1", "the ticket is damaged or incomplete; copy it again"),
        (half, "the ticket is damaged or incomplete; copy it again"),
        (&format!("{good}a"), "the ticket is damaged or incomplete; copy it again"),
        (&format!("tide1{rest}"), "the ticket is damaged or incomplete; copy it again"),
        (&format!("{half}!{rest}"), "a ticket doesn't contain '!'"),
    ] {
        join(&desk, text).assert_refused(2, said);
    }
    assert_eq!(serving.stop(), 0);
}

#[test]
fn a_ticket_for_somebody_else_is_refused() {
    let desk = Desk::with_database();
    let serving = desk.serve("a");
    assert_eq!(desk.run("b", &["init", "--name", "Ben"]).code, 0);
    let digest = desk.run("b", &["digest"]).out;
    let linked = desk.run("b", &["join", &ticket(&desk, "link"), "--p2p", "127.0.0.1:0"]);
    linked.assert_refused(1, "this database belongs to an identity already; link with a new database");
    assert_eq!(desk.run("b", &["digest"]).out, digest);
    desk.link("a", "c");
    let own = desk.run("c", &["join", &ticket(&desk, "share"), "--p2p", "127.0.0.1:0"]);
    own.assert_refused(1, "the ticket was made by this identity itself");
    assert_eq!(serving.stop(), 0);
}

#[test]
fn an_expired_ticket_is_refused() {
    let desk = Desk::with_database();
    let serving = desk.serve("a");
    let p2p = serving.p2p();
    assert_eq!(serving.stop(), 0);
    let options = OpenOptions { mirror: None, ..open_options() };
    let database = Database::open(Location::File(desk.path("a.db")), options).expect("the file opens");
    let expired = database.link_ticket(vec![format!("quic://{p2p}")], 0).expect("a ticket");
    drop(database);
    let serving = desk.serve_at("a", &p2p);
    join(&desk, &expired.to_string()).assert_refused(1, "it has expired or was used already; ask for a new one");
    assert_eq!(serving.stop(), 0);
}

#[test]
fn a_device_with_another_key_is_not_taken_for_the_inviter() {
    let desk = Desk::with_database();
    assert_eq!(desk.run("b", &["init", "--name", "Eve"]).code, 0);
    let serving = desk.serve("a");
    let (p2p, ticket) = (serving.p2p(), ticket(&desk, "link"));
    assert_eq!(serving.stop(), 0);
    let other = desk.serve_at("b", &p2p);
    let refused = join(&desk, &ticket);
    refused.assert_refused(1, &format!("answers as device {}", other.text("device")));
    assert!(refused.err.contains("someone is in between"), "{refused:?}");
    assert_eq!(other.stop(), 0);
    // The ticket is still good.
    let serving = desk.serve_at("a", &p2p);
    let joined = desk.run("new", &["join", &ticket, "--p2p", "127.0.0.1:0"]);
    assert_eq!((joined.code, serving.stop()), (0, 0), "{joined:?}");
}

#[test]
fn addresses_that_can_not_be_used_are_refused() {
    let desk = Desk::with_database();
    assert_eq!(desk.run("b", &["init", "--name", "Ben"]).code, 0);
    let serving = desk.serve("a");
    let serve = |http: &str, p2p: &str| desk.run("b", &["serve", "--http", http, "--p2p", p2p]);
    serve("127.0.0.1:0", &serving.p2p()).assert_refused(1, "is already in use: choose another port");
    serve(serving.text("http"), "127.0.0.1:0").assert_refused(1, "cannot listen on ");
    serve("127.0.0.1:0", "192.0.2.1:7400").assert_refused(1, "cannot listen on quic://192.0.2.1:7400");
    for (peer, said) in [("me", "--add takes DEVICE=ADDR"), ("me=127.0.0.1:1", "expected 64 hexadecimal digits")] {
        desk.run("b", &["peers", "--add", peer]).assert_refused(2, said);
    }
    assert_eq!(serving.stop(), 0);
}
