//! The audit trail of a space, at every door.

use std::sync::Arc;

use serde_json::{Value as Json, json};
use tidewater_engine::id::SpaceId;
use tidewater_engine::space::Rank;
use tidewater_engine::store::Location;
use tidewater_sync::{CreateOptions, Database, OpenOptions, Purpose};
use tidewater_tests::conversation::converse;
use tidewater_tests::host::SimulatedHost;
use tidewater_tests::program::Desk;

fn create(at: Location, name: &str, seed: u64) -> Database {
    let open = OpenOptions { host: Arc::new(SimulatedHost::new(seed)), mirror: None, cache_bytes: 1 << 20 };
    let options = CreateOptions { open, identity: Some(name.to_owned()), home: true };
    Database::create(at, options).expect("a database")
}

/// Ada makes a space, takes Ben in as an admin, renames the space and removes Ben, who renamed it unheard. All of it stands
/// in her database at `at`.
fn story(at: Location) -> (Database, Database, SpaceId) {
    let (ada, ben) = (create(at, "Ada", 1), create(Location::Memory, "Ben", 2));
    let space = ada.new_space("Plans").expect("a space");
    let ticket = ada.share_ticket(&space, Rank::Admin, vec!["memory:ada".into()], 3_600_000).expect("a ticket");
    converse(&ben, &ada, Purpose::Join(Box::new(ticket)), 10);
    converse(&ben, &ada, Purpose::Member, 11);
    ada.rename_space(&space, "Trips").expect("Ada owns it");
    ben.rename_space(&space, "Ben's").expect("Ben is an admin");
    ada.revoke(&space, &ben.identity().expect("Ben")).expect("Ada owns it");
    converse(&ben, &ada, Purpose::Member, 12);
    (ada, ben, space)
}

#[test]
fn the_trail_tells_who_did_what_and_what_became_of_it_at_every_door() {
    let desk = Desk::new();
    let (ada, ben, space) = story(Location::File(desk.path("a.db")));
    let trail = ada.audit(&space, None, 100).expect("a trail");
    let told: Vec<_> = trail
        .iter()
        .map(|entry| {
            let who = entry.author.as_ref().map_or("nobody", |party| party.name.as_str());
            (who, entry.action.as_ref().map_or("unreadable", |action| action.name()), entry.verdict.name())
        })
        .collect();
    let expected = [("Ada", "genesis", "effective"), ("Ada", "grant", "effective")];
    assert_eq!(told[..2], expected, "{told:?}");
    let mut rest = told[2..].to_vec();
    rest.sort_unstable();
    assert_eq!(
        rest,
        [("Ada", "rename", "effective"), ("Ada", "revoke", "effective"), ("Ben", "rename", "void")],
        "{told:?}"
    );
    let (mut pages, mut after) = (Vec::new(), None);
    loop {
        let page = ada.audit(&space, after.as_ref(), 2).expect("a page");
        let Some(last) = page.last() else { break };
        after = Some(last.place);
        pages.extend(page);
    }
    assert_eq!(pages, trail, "pages join to the whole");
    let ben_id = ben.identity().expect("Ben").to_string();
    drop(ada);

    let space = space.to_string();
    let listed = desk.run("a", &["audit", "list", "--space", &space, "--json"]).json();
    let of = |action: &str| -> Json {
        let mut entries = listed.as_array().expect("a list").iter();
        entries.rfind(|entry| entry["action"] == action).cloned().unwrap_or_default()
    };
    assert_eq!(listed.as_array().map(Vec::len), Some(trail.len()));
    let grant = of("grant");
    assert_eq!((&grant["name"], &grant["subject"], &grant["rank"]), (&json!("Ada"), &json!(ben_id), &json!("admin")));
    assert_eq!(of("revoke")["what"], "removed Ben, cut 0 logs, new keys");
    assert_eq!(of("genesis")["what"], "made the space; owned by Ada, history open to newcomers");
    let table = desk.run("a", &["audit", "list", "--space", &space]).out;
    assert!(table.contains("gave Ben rank admin (1 device)") && table.contains("void"), "{table}");

    let cursor = grant["cursor"].as_str().expect("a cursor");
    let rest = desk.run("a", &["audit", "list", "--space", &space, "--after", cursor, "--first", "1", "--json"]).json();
    assert_eq!(rest, json!([listed[2]]));
    let fields = "action what verdict why claimed identity name device subject rank writer sequence cursor";
    let query = format!("{{ audit(space: \"{space}\") {{ {fields} }} }}");
    let answer = desk.run("a", &["query", &query, "--json"]).json()["data"]["audit"].clone();
    assert_eq!(answer.as_array().map(Vec::len), Some(trail.len()));
    for (answered, entry) in answer.as_array().expect("a list").iter().zip(listed.as_array().expect("a list")) {
        for field in fields.split(' ') {
            assert_eq!(answered[field], entry[field], "{field}");
        }
    }
    let page = format!("{{ audit(space: \"{space}\", first: 1, after: \"{cursor}\") {{ cursor }} }}");
    let page = desk.run("a", &["query", &page, "--json"]).json()["data"]["audit"].clone();
    assert_eq!(page, json!([{ "cursor": listed[2]["cursor"] }]));
}

#[test]
fn what_no_trail_has_is_refused_with_a_word() {
    let desk = Desk::with_database();
    desk.run("a", &["audit", "list", "--after", "no cursor"]).assert_refused(2, "--after takes the cursor");
    let foreign = format!("control.{}.{}.0", "07".repeat(32), "09".repeat(8));
    desk.run("a", &["audit", "list", "--after", &foreign]).assert_refused(1, "begin with the first page");
    desk.run("a", &["audit", "list", "--space", "nowhere"]).assert_refused(3, "no space is called");
    desk.run("a", &["query", "{ audit(after: \"x\") { what } }"]).assert_refused(1, "a cursor of an earlier list");
    let after = format!("{{ audit(after: \"{foreign}\") {{ what }} }}");
    desk.run("a", &["query", &after]).assert_refused(1, "begin with the first page");
}
