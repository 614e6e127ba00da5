//! Commits that count for nothing are on a list that every door shows.

use std::sync::Arc;

use serde_json::json;
use tidewater_engine::space::Rank;
use tidewater_engine::store::{Durability, Location, WriteError};
use tidewater_engine::value::Fields;
use tidewater_sync::{CreateOptions, Database, OpenOptions, Purpose};
use tidewater_tests::conversation::converse;
use tidewater_tests::host::SimulatedHost;
use tidewater_tests::program::Desk;

#[test]
fn a_commit_that_a_removal_cut_off_is_listed_at_every_door_with_its_reason() {
    let desk = Desk::new();
    let open = |seed| OpenOptions { host: Arc::new(SimulatedHost::new(seed)), mirror: None, cache_bytes: 1 << 20 };
    let create = |at: Location, name: &str, seed| {
        let options = CreateOptions { open: open(seed), identity: Some(name.to_owned()), home: true };
        Database::create(at, options).expect("a database")
    };
    let (ada, ben) = (create(Location::Memory, "Ada", 1), create(Location::Memory, "Ben", 2));
    let cleo = create(Location::File(desk.path("a.db")), "Cleo", 3);
    let space = ada.new_space("Plans").expect("a space");
    for (number, member) in [(10, &ben), (20, &cleo)] {
        let ticket = ada.share_ticket(&space, Rank::Writer, vec!["memory:ada".into()], 3_600_000).expect("a ticket");
        converse(member, &ada, Purpose::Join(Box::new(ticket)), number);
        converse(member, &ada, Purpose::Member, number + 1);
    }
    let write = |database: &Database, id: &str| {
        let written = database.transaction(Durability::Local, |transaction| -> Result<(), WriteError> {
            transaction.in_space(space)?;
            transaction.upsert("notes", id, Fields::new()).map(drop)
        });
        written.expect("a writer");
    };
    write(&ben, "counts");
    converse(&ben, &ada, Purpose::Member, 30);
    ada.revoke(&space, &ben.identity().expect("Ben")).expect("Ada owns it");
    write(&ben, "too late");
    // Cleo hears of the commit before she hears of the removal.
    converse(&ben, &cleo, Purpose::Member, 40);
    converse(&ada, &cleo, Purpose::Member, 50);
    let late = ben.writer().to_string();
    drop(cleo);
    let space = space.to_string();
    let listed = desk.run("a", &["void", "--space", &space, "--json"]).json();
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
    assert_eq!((&listed[0]["reason"], &listed[0]["writer"]), (&json!("cut"), &json!(late)), "{listed}");
    let cursor = listed[0]["cursor"].as_str().expect("a cursor");
    assert_eq!(desk.run("a", &["void", "--space", &space, "--after", cursor, "--json"]).json(), json!([]));
    desk.run("a", &["void", "--after", "no cursor"]).assert_refused(2, "--after takes the cursor");
    let query = format!("{{ voidCommits(space: \"{space}\") {{ reason writer sequence plane cursor }} }}");
    let answer = desk.run("a", &["query", &query, "--json"]).json()["data"]["voidCommits"].clone();
    for field in ["reason", "writer", "sequence", "plane", "cursor"] {
        assert_eq!(answer[0][field], listed[0][field], "{answer}");
    }
    let after = format!("{{ voidCommits(space: \"{space}\", after: \"{cursor}\") {{ reason }} }}");
    assert_eq!(desk.run("a", &["query", &after, "--json"]).json()["data"]["voidCommits"], json!([]));
    desk.run("a", &["query", &after.replace("data.", "paper.")]).assert_refused(1, "a cursor of an earlier list");
}
