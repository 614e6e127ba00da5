//! Conflicts at the doors of the program: listed, shown with who wrote what and when, resolved, and wrong input refused. Replicas that
//! resolve apart agree: `tidewater_tests::resolving`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value as Json, json};
use tidewater_engine::space::Rank;
use tidewater_engine::store::{Durability, Location, WriteError};
use tidewater_engine::value::{Fields, Value};
use tidewater_sync::{CreateOptions, Database, OpenOptions, Purpose};
use tidewater_tests::conversation::converse;
use tidewater_tests::host::SimulatedHost;
use tidewater_tests::program::{Desk, Ran};
use tidewater_tests::resolving::resolve_apart;
use tidewater_tests::seeds::seeds;

/// Runs, when the environment doesn't say.
const RUNS: u64 = 30;

#[test]
fn replicas_that_resolve_apart_agree_with_each_other_and_with_the_naive_fold() {
    let seeds = seeds(RUNS);
    let mut reached = BTreeMap::<&str, usize>::new();
    for seed in seeds.clone() {
        println!("TIDEWATER_SEED={seed}");
        resolve_apart(seed, &mut reached);
    }
    println!("{reached:?}");
    if seeds.end - seeds.start >= RUNS {
        for what in ["resolution", "conflict", "undo", "undo refused"] {
            assert!(reached.get(what).is_some_and(|times| *times > 0), "no run reached {what}: {reached:?}");
        }
    }
}

/// Ada's space, in which she and Ben wrote the title of a note apart. Ben's database is the file `b.db`.
struct Apart {
    desk: Desk,
    ada: Database,
    space: String,
}

fn open(seed: u64) -> OpenOptions {
    OpenOptions { host: Arc::new(SimulatedHost::new(seed)), mirror: None, cache_bytes: 1 << 20 }
}

fn apart() -> Apart {
    let desk = Desk::new();
    let create = |at: Location, name: &str, seed| {
        let options = CreateOptions { open: open(seed), identity: Some(name.to_owned()), home: true };
        Database::create(at, options).expect("a database")
    };
    let ada = create(Location::Memory, "Ada", 1);
    let ben = create(Location::File(desk.path("b.db")), "Ben", 2);
    let space = ada.new_space("Plans").expect("a space");
    let ticket = ada.share_ticket(&space, Rank::Writer, vec!["memory:ada".into()], 3_600_000).expect("a ticket");
    converse(&ben, &ada, Purpose::Join(Box::new(ticket)), 10);
    converse(&ben, &ada, Purpose::Member, 11);
    let write = |database: &Database, id: &str, title: &str| {
        let fields = Fields::from([("title".to_owned(), Value::from(title))]);
        let written = database.transaction(Durability::Local, |transaction| -> Result<(), WriteError> {
            transaction.in_space(space)?;
            transaction.upsert("notes", id, fields).map(drop)
        });
        written.expect("a writer");
    };
    ["n1", "n2", "n3"].iter().for_each(|id| write(&ada, id, "old"));
    converse(&ben, &ada, Purpose::Member, 20);
    ["n1", "n3"].iter().for_each(|id| write(&ada, id, "Ada's"));
    ["n1", "n3"].iter().for_each(|id| write(&ben, id, "Ben's"));
    converse(&ben, &ada, Purpose::Member, 30);
    Apart { desk, ada, space: space.to_string() }
}

#[test]
fn the_command_lists_shows_and_resolves_conflicts() {
    let Apart { desk, ada, space } = apart();
    let run = |arguments: &[&str]| desk.run("b", arguments);
    let listed = run(&["conflicts", "--json"]).json();
    assert_eq!(
        (&listed[0]["id"], &listed[1]["id"], listed.as_array().map(Vec::len)),
        (&json!("n1"), &json!("n3"), Some(2))
    );
    assert_eq!((&listed[0]["fields"], &listed[0]["space"]), (&json!(["title"]), &json!(space)));
    let page = run(&["conflicts", "notes", "--first", "1", "--json"]).json();
    let rest = run(&["conflicts", "--space", "Plans", "--after", page[0]["cursor"].as_str().unwrap(), "--json"]).json();
    assert_eq!(rest, json!([listed[1]]));
    let shown = run(&["conflicts", "--first", "1"]);
    assert!(shown.out.contains("There are more: --after "), "{shown:?}");

    let told = run(&["conflicts", "notes", "n1", "--json"]).json();
    let of = |author: &str| told.as_array().unwrap().iter().find(|one| one["author"] == author).cloned().unwrap();
    let ada_wrote = of("Ada");
    assert_eq!((&ada_wrote["value"], &of("Ben")["value"]), (&json!("Ada's"), &json!("Ben's")));
    assert_eq!(ada_wrote["identity"], json!(ada.identity().unwrap().to_string()));
    assert_eq!(ada_wrote["device"], json!(ada.device().to_string()));
    assert_eq!(told[0]["shown"], json!(true));
    assert_eq!((&told[1]["shown"], &told[0]["policy"]), (&json!(false), &json!("latest")));
    let shown_first = &told[0]["value"];
    let (commit, version) = (ada_wrote["commit"].as_str().unwrap(), ada_wrote["version"].as_str().unwrap());
    let table = run(&["conflicts", "notes", "n1"]);
    assert!(
        table.out.contains(&format!("tide resolve --space {space} notes n1 title --seen {version} --pick COMMIT")),
        "{table:?}"
    );

    let at = ["resolve", "--space", "Plans", "notes", "n1", "title"];
    let resolve = |more: &[&str]| desk.run("b", &[&at[..], more].concat());
    let other = told.as_array().unwrap().iter().find(|one| one["author"] == "Ben").unwrap()["commit"].clone();
    let not_understood =
        |ran: Ran, why: &str| assert!(ran.code == 2 && ran.err.contains(why), "{ran:?}, expected {why:?}");
    not_understood(resolve(&[]), "required");
    not_understood(resolve(&["--pick", commit]), "--seen");
    not_understood(resolve(&["--pick", commit, "--by", "max", "--seen", version]), "cannot be used with");
    not_understood(resolve(&["--by", "newest"]), "invalid value");
    not_understood(run(&["conflicts", "notes", "n1", "--first", "3"]), "cannot be used with");
    resolve(&["--pick", "n1", "--seen", version]).assert_refused(2, "32 hexadecimal digits");
    resolve(&["--pick", commit, "--seen", "yesterday"]).assert_refused(2, "--seen takes what");
    resolve(&["--value", "Milk", "--seen", version]).assert_refused(2, "--value takes JSON");
    resolve(&["--value", "1, \"x\": 2", "--seen", version]).assert_refused(2, "--value takes JSON");
    resolve(&["--pick", version, "--seen", version]).assert_refused(3, "look at the conflict again");
    resolve(&["--pick", commit, "--seen", commit]).assert_refused(1, "look at it again");
    desk.run("b", &["resolve", "notes", "n1", "title", "--by", "max"]).assert_refused(3, "does not exist");
    desk.run("b", &["resolve", "--space", "Plans", "notes", "n2", "title", "--by", "max"])
        .assert_refused(3, "no concurrent values");
    desk.run("b", &["conflicts", "--after", "no cursor"]).assert_refused(2, "--after takes the cursor");
    assert_eq!(run(&["conflicts", "--json"]).json(), listed, "what is refused changes nothing");

    let resolved = resolve(&["--pick", commit, "--seen", version, "--json"]).json();
    assert_eq!(resolved["value"], json!("Ada's"));
    resolve(&["--pick", other.as_str().unwrap(), "--seen", version]).assert_refused(3, "no concurrent values");
    let undo = |commit: &str| desk.run("b", &["undo", "--space", "Plans", "notes", "n1", "title", commit, "--json"]);
    undo("n1").assert_refused(2, "32 hexadecimal digits");
    undo(commit).assert_refused(1, "nothing was undone");
    let resolution = resolved["commit"].as_str().unwrap();
    let undone = undo(resolution).json();
    assert_eq!(undone["value"], *shown_first, "what was shown before");
    undo(resolution).assert_refused(1, "nothing was undone");
    undo(undone["commit"].as_str().unwrap()).assert_refused(3, "settled no conflict");
    let n3 = ["resolve", "--space", "Plans", "notes", "n3", "title"];
    let seen = run(&["conflicts", "notes", "n3", "--json"]).json()[0]["version"].as_str().unwrap().to_owned();
    let by_hand = desk.run("b", &[&n3[..], &["--value", "\"both\"", "--seen", &seen]].concat());
    assert!(
        by_hand.out.starts_with("title of notes/n3 is \"both\"\nUndo it: tide undo --space Plans notes n3 title "),
        "{by_hand:?}"
    );
    assert_eq!(run(&["conflicts"]).out, "no conflicts\n");
    assert_eq!(run(&["conflicts", "notes", "n1"]).out, "no conflicts\n");
    assert_eq!(run(&["verify", "--json"]).json()["problems"], json!([]));

    let ben = Database::open(Location::File(desk.path("b.db")), open(3)).expect("the file");
    converse(&ben, &ada, Purpose::Member, 40);
    let title = |id: &str| ada.snapshot().unwrap().get(None, "notes", id).unwrap().unwrap().fields["title"].clone();
    assert_eq!((title("n1"), title("n3")), (Value::from(shown_first.as_str().unwrap()), Value::from("both")));
    assert_eq!(ada.snapshot().unwrap().conflicted_documents(None, None, None, 9).unwrap(), []);
}

#[test]
fn graphql_lists_shows_and_resolves_conflicts() {
    let Apart { desk, ada, space } = apart();
    let ask = |query: &str| -> Json { desk.run("b", &["query", query, "--json"]).json()["data"].take() };
    let refuse = |query: &str, why: &str| desk.run("b", &["query", query]).assert_refused(1, why);
    let listed = ask("{ conflicts { space collection id cursor conflicts { field reason values version policy \
            siblings { commit value shown author identity device writer time } } } }");
    let listed = &listed["conflicts"];
    assert_eq!((&listed[0]["id"], &listed[1]["id"], &listed[0]["space"]), (&json!("n1"), &json!("n3"), &json!(space)));
    let conflict = &listed[0]["conflicts"][0];
    assert_eq!((&conflict["reason"], &conflict["policy"]), (&json!("SIBLINGS"), &json!("LATEST")));
    let siblings = conflict["siblings"].as_array().unwrap();
    let of = |author: &str| siblings.iter().find(|one| one["author"] == author).unwrap();
    assert_eq!((&of("Ada")["value"], &of("Ben")["value"]), (&json!("Ada's"), &json!("Ben's")));
    assert_eq!(of("Ada")["identity"], json!(ada.identity().unwrap().to_string()));
    assert_eq!((&siblings[0]["shown"], &siblings[1]["shown"]), (&json!(true), &json!(false)));
    assert_eq!(conflict["values"], json!([siblings[0]["value"], siblings[1]["value"]]));
    let of_document = ask(&format!(
        "{{ document(collection: \"notes\", id: \"n1\", space: \"{space}\") {{ _meta {{ conflicted conflicts {{ version }} }} }} }}"
    ));
    let meta = &of_document["document"]["_meta"];
    assert_eq!((&meta["conflicted"], &meta["conflicts"][0]["version"]), (&json!(true), &conflict["version"]));
    let after = ask(&format!("{{ conflicts(collection: \"notes\", after: {}) {{ id }} }}", listed[0]["cursor"]));
    assert_eq!(after["conflicts"], json!([{"id": "n3"}]));
    refuse("{ conflicts(after: \"no cursor\") { id } }", "a cursor of an earlier list");
    refuse("{ conflicts(first: 100000) { id } }", "at most");

    let (commit, seen) = (&of("Ada")["commit"], &conflict["version"]);
    let mutation = |arguments: &str| {
        let at = format!("collection: \"notes\", id: \"n1\", field: \"title\", space: \"{space}\"");
        format!(
            "mutation {{ resolveConflict({at}, {arguments}) {{ commit value document {{ id _fields _meta {{ conflicted }} }} }} }}"
        )
    };
    refuse(&mutation("seen: \"x\""), "give one of pick, value and by");
    refuse(&mutation(&format!("pick: {commit}, by: MAX, seen: {seen}")), "give one of pick, value and by");
    refuse(&mutation(&format!("pick: {commit}")), "seen");
    refuse(&mutation(&format!("pick: \"x\", seen: {seen}")), "32 hexadecimal digits");
    refuse(&mutation(&format!("pick: {seen}, seen: {seen}")), "look at the conflict again");
    refuse(&mutation(&format!("value: 1, seen: {commit}")), "look at it again");
    let resolved = ask(&mutation(&format!("pick: {commit}, seen: {seen}")));
    let resolved = &resolved["resolveConflict"];
    assert_eq!(resolved["value"], json!("Ada's"));
    assert_eq!(
        resolved["document"],
        json!({"id": "n1", "_fields": {"title": "Ada's"}, "_meta": {"conflicted": false}})
    );
    refuse(&mutation("by: LATEST"), "no concurrent values");
    let undo = |commit: &Json| {
        let at = format!("collection: \"notes\", id: \"n1\", field: \"title\", space: \"{space}\"");
        format!("mutation {{ undoResolution({at}, commit: {commit}) {{ commit value document {{ id }} }} }}")
    };
    refuse(&undo(&json!("x")), "32 hexadecimal digits");
    refuse(&undo(commit), "nothing was undone");
    let undone = ask(&undo(&resolved["commit"]));
    assert_eq!(undone["undoResolution"]["value"], siblings[0]["value"]);
    refuse(&undo(&resolved["commit"]), "nothing was undone");
    refuse(&undo(&undone["undoResolution"]["commit"]), "settled no conflict");
    assert_eq!(ask("{ conflicts { id } }")["conflicts"], json!([{"id": "n3"}]));
}
