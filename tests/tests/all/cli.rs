//! The command line on a file: by hand, in bulk, and with what is wrong.

use serde_json::{Value as Json, json};
use tidewater_tests::program::Desk;

#[test]
fn documents_are_written_read_found_and_deleted_by_hand() {
    let desk = Desk::with_database();
    let put = desk.run("a", &["put", "notes", "n1", r#"{"title": "Milk", "done": false}"#, "--json"]);
    assert_eq!(put.json(), json!({"id": "n1", "title": "Milk", "done": false}));
    let new = desk.run_with("a", &["put", "notes", "--new", "-", "--json"], br#"{"title": "Bread", "done": true}"#);
    assert_eq!(new.json()["id"].as_str().map(str::len), Some(26));
    let patch = r#"{"views": {"increment": 2}, "tags": {"add": ["home"]}, "title": {"set": "Oat milk"}}"#;
    let updated = desk.run("a", &["update", "notes", "n1", patch, "--json"]).json();
    assert_eq!(updated, json!({"id": "n1", "title": "Oat milk", "done": false, "views": 2, "tags": ["home"]}));
    assert_eq!(desk.run("a", &["get", "notes", "n1", "--json"]).json(), updated);
    let short = desk.run("a", &["query", "notes", "done=false and tags:home", "--json"]).json();
    assert_eq!(short, json!([updated]));
    let counted =
        desk.run("a", &["query", "notes", r#"{"done": {"eq": true}}"#, "--count", "--explain", "--json"]).json();
    assert_eq!((&counted["total"], counted["documents"].as_array().map(Vec::len)), (&json!(1), Some(1)), "{counted}");
    let graphql = desk.run("a", &["query", "{ note(id: \"n1\") { title tags views } }", "--json"]).json();
    assert_eq!(graphql["data"]["note"], json!({"title": "Oat milk", "tags": ["home"], "views": 2}));
    assert_eq!(desk.run("a", &["delete", "notes", "n1"]).code, 0);
    assert_eq!(desk.run("a", &["delete", "notes", "n1"]).code, 3);
    assert_eq!(desk.run("a", &["restore", "notes", "n1", "--json"]).json(), updated);
    assert_eq!(desk.run("a", &["conflicts", "notes", "n1", "--json"]).json(), json!([]));
    let verified = desk.run("a", &["verify", "--json"]).json();
    assert_eq!(verified["problems"], json!([]));
}

#[test]
fn pages_follow_each_other_by_cursor() {
    let desk = Desk::with_database();
    let lines: String = (0..7).map(|n| format!("{{\"id\": \"n{n}\", \"even\": {}}}\n", n % 2 == 0)).collect();
    assert_eq!(desk.run_with("a", &["import", "-c", "n"], lines.as_bytes()).code, 0);
    let (mut after, mut seen): (Option<String>, Vec<Json>) = (None, Vec::new());
    loop {
        let mut arguments = vec!["query", "n", "--order", "even:desc", "--first", "3", "--count", "--json"];
        arguments.extend(after.iter().flat_map(|cursor| ["--after", cursor.as_str()]));
        let page = desk.run("a", &arguments).json();
        seen.extend(page["documents"].as_array().expect("documents").iter().map(|document| document["id"].clone()));
        after = page["next"].as_str().map(str::to_owned);
        if after.is_none() {
            break;
        }
    }
    seen.sort_by_key(Json::to_string);
    assert_eq!(seen, ["n0", "n1", "n2", "n3", "n4", "n5", "n6"]);
}

#[test]
fn an_export_is_what_was_imported_and_the_same_every_time() {
    let desk = Desk::with_database();
    let record = |n: usize| json!({"id": format!("r{n:05}"), "n": n, "tags": [format!("t{}", n % 3)], "deep": {"x": [null, 1.5]}});
    let lines: String = (0..2_500).map(|n| format!("{}\n", record(n))).collect();
    let input = desk.file("in.ndjson", &lines);
    let imported = desk.run("a", &["import", "--collection", "r", input.to_str().expect("UTF-8"), "--json"]).json();
    assert_eq!((&imported["imported"], &imported["inserted"]), (&json!(2_500), &json!(2_500)));
    let first = desk.run("a", &["export", "--collection", "r"]);
    let parsed: Vec<Json> = first.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(parsed, (0..2_500).map(record).collect::<Vec<_>>());
    assert_eq!(desk.run("a", &["export", "--collection", "r"]).out, first.out);
    let again = desk.run("a", &["import", "--collection", "r", input.to_str().expect("UTF-8"), "--json"]).json();
    assert_eq!(again["unchanged"], 2_500);
}

#[test]
fn a_broken_line_is_named_and_the_import_goes_on_from_it() {
    let desk = Desk::with_database();
    let lines = "{\"id\": \"1\"}\n{\"id\": \"2\"}\n{\"id\": \"3\", \"x\": }\n{\"id\": \"4\"}\n";
    let broken = desk.run_with("a", &["import", "-c", "r"], lines.as_bytes());
    assert_eq!(broken.code, 1);
    assert!(broken.err.contains("imported 2, line 3: column"), "{broken:?}");
    assert!(broken.err.contains("--from-line 3"), "{broken:?}");
    let mended = lines.replace("\"x\": ", "\"x\": 1");
    let resumed = desk.run_with("a", &["import", "-c", "r", "--from-line", "3", "--json"], mended.as_bytes());
    assert_eq!(resumed.json()["inserted"], 2);
    let atomic = desk.run_with("a", &["import", "-c", "s", "--atomic"], lines.as_bytes());
    assert_eq!(atomic.code, 1);
    assert!(atomic.err.contains("nothing was stored"), "{atomic:?}");
    assert_eq!(desk.run("a", &["export", "-c", "s"]).code, 3);
}

#[test]
fn schemas_and_indexes_are_declared_and_used() {
    let desk = Desk::with_database();
    let schema = r#"{"fields": {"n": {"type": "int"}, "tags": {"kind": "set"}}}"#;
    assert_eq!(desk.run("a", &["collection", "declare", "things", schema]).code, 0);
    let wrong = desk.run("a", &["put", "things", "x", r#"{"n": "text"}"#]);
    assert_eq!(wrong.code, 1);
    assert!(wrong.err.starts_with("tide: things/x: "), "{wrong:?}");
    assert_eq!(desk.run("a", &["index", "add", "things", "by_n", "n"]).code, 0);
    assert_eq!(desk.run("a", &["put", "things", "x", r#"{"n": 1}"#]).code, 0);
    let found = desk.run("a", &["query", "things", "n>=1", "--explain", "--json"]).json();
    assert!(found["plan"].as_str().is_some_and(|plan| plan.contains("by_n")), "{found}");
    assert_eq!(desk.run("a", &["index", "remove", "things", "by_n"]).code, 0);
    assert_eq!(desk.run("a", &["index", "remove", "things", "by_n"]).code, 3);
}

#[test]
fn what_is_wrong_has_one_line_and_a_code() {
    let desk = Desk::with_database();
    let text = desk.file("text", "not a database");
    let (text, folder) = (text.to_str().expect("UTF-8"), desk.folder().to_str().expect("UTF-8"));
    let cases: &[(&[&str], i32, &str)] = &[
        (&["get", "notes", "n", "--db", "none.db"], 3, "no such database; create one with `tide init`"),
        (&["get", "notes", "n", "--db", folder], 5, "not a Tidewater database (a directory)"),
        (&["get", "notes", "n", "--db", text], 5, "not a Tidewater database"),
        (&["init"], 1, "already exists"),
        (&["get", "notes", "n"], 3, "notes/n does not exist"),
        (&["put", "notes", "n", "{"], 2, "the text ends inside a value"),
        (&["put", "notes", "n", "[1]"], 2, "the fields"),
        (&["put", "notes", "n", r#"{"a": 1, "a": 2}"#], 2, "comes twice"),
        (&["put", "notes", "n", r#"{"a": 9223372036854775808}"#], 2, "64 bits"),
        (&["put", "notes", "n", r#"{"a": 1e400}"#], 2, "range"),
        (&["put", "notes", "n", r#"{"a": "\ud800"}"#], 2, "surrogate"),
        (&["put", "$schemas", "n", "{}"], 1, "$schemas"),
        (&["put", "notes", "n", "{}", "--space", "nowhere"], 3, "no space is called"),
        (&["update", "notes", "n", r#"{"a": {"set": 1}}"#], 3, "does not exist"),
        (&["update", "notes", "n", r#"{"a": {"shout": 1}}"#], 2, "unknown edit"),
        (&["query", "nothing"], 3, "no collection"),
        (&["query", "notes", "title ="], 2, "column 8"),
        (&["query", "{ nope }"], 2, "Unknown field"),
        (&["query", "{"], 2, "GraphQL"),
        (&["export", "-c", "nothing"], 3, "no collection"),
        (&["import", "-c", "x", "none.ndjson"], 3, "no such file"),
        (&["import", "-c", "x", "."], 1, "a directory"),
        (&["join", "rubbish", "--db", "new.db"], 2, "this is not a ticket"),
        (&["revoke", "xyz"], 2, "the identity"),
        (&["serve", "--http", "0.0.0.0:0"], 2, "TLS and a token"),
        (&["space", "accept", "zz"], 2, "the space's id"),
    ];
    for (arguments, code, said) in cases {
        println!("{arguments:?}");
        desk.run("a", arguments).assert_refused(*code, said);
    }
    assert!(!desk.path("new.db").exists());
    let mut unnamed = desk.command("a", &["status"]);
    let output = unnamed.env_remove("TIDE_DB").output().expect("tide runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--db FILE"));
}
