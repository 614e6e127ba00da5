//! Writes, schemas and queries that do not fit.

use tidewater_tests::program::Desk;

const SCHEMA: &str = r#"{"fields": {"n": {"type": "int"}, "tags": {"kind": "set", "type": "string"},
    "views": {"kind": "counter"}, "body": {"kind": "text"}, "when": {"type": "timestamp"}, "doc": {"kind": "json"},
    "name": {"type": "string", "required": true}}}"#;

/// Fields of a new document, and what is said of them.
const FIELDS: &[(&str, &str)] = &[
    (r#"{}"#, "things/new: field name is required"),
    (r#"{"name": 1}"#, "field name: expected string, found an int"),
    (r#"{"name": "x", "n": 1.5}"#, "field n: expected int, found a float"),
    (r#"{"name": "x", "n": "1"}"#, "field n: expected int, found a string"),
    (r#"{"name": "x", "tags": "a"}"#, "field tags: expected a list, for a set, found a string"),
    (r#"{"name": "x", "tags": [1]}"#, "field tags: expected elements of type string, found an int"),
    (r#"{"name": "x", "views": 1.5}"#, "field views: expected an int, for a counter, found a float"),
    (r#"{"name": "x", "body": 1}"#, "field body: expected a string, for a text, found an int"),
    (r#"{"name": "x", "when": 5}"#, "field when: expected timestamp, found an int"),
    (r#"{"name": "x", "id": "y"}"#, "no field is called `id`"),
    (r#"{"name": "x", "": 1}"#, "a name has 1 to 256 bytes, this one has 0"),
];

/// Edits of a document, the exit code, and what is said of them.
const EDITS: &[(&str, i32, &str)] = &[
    (r#"{"n": {"increment": 1}}"#, 1, "n is a Register; set or clear it"),
    (r#"{"n": {"set": "x"}}"#, 1, "field n: expected int, found a string"),
    (r#"{"tags": {"splice": {"at": 0, "insert": "x"}}}"#, 1, "tags is a Set"),
    (r#"{"tags": {"add": [1]}}"#, 1, "field tags: expected elements of type string"),
    (
        r#"{"body": {"splice": {"at": 99, "insert": "x"}}}"#,
        1,
        "body: the text has 2 characters; 0 from 99 on are not all there",
    ),
    (r#"{"body": {"splice": {"at": -1, "insert": "x"}}}"#, 2, "expected a whole number from 0 on, found -1"),
    (r#"{"views": {"clear": true}}"#, 1, "a counter can't be removed"),
    (r#"{"views": {"increment": 9223372036854775808}}"#, 2, "expected a whole number"),
    (r#"{"name": {"clear": true}}"#, 1, "field name is required"),
    (r#"{"doc": {"cut": {"path": ["nowhere"]}}}"#, 1, "things/x: doc: there is nothing at /nowhere"),
    (r#"[]"#, 2, "patch: expected an object, found a list"),
    (r#"{"n": 1}"#, 2, "patch.n: expected an object, found"),
];

/// Commands on schemas, indexes and spaces, the exit code, and what is said.
const COMMANDS: &[(&[&str], i32, &str)] = &[
    (&["collection", "declare", "c", r#"{"fields": {"n": {"type": "inty"}}}"#], 2, "the schema: field n: type:"),
    (&["collection", "declare", "c", r#"{"fields": {"n": {"kind": "pile"}}}"#], 2, "the schema: field n:"),
    (&["collection", "declare", "c", r#"{"fieldz": {}}"#], 2, "the schema: fieldz:"),
    (&["collection", "declare", "c", "{"], 2, "the schema: line 1, column 2: the text ends inside a value"),
    (&["collection", "declare", "", "{}"], 1, "a collection's name has 1 to 256 bytes, this one has 0"),
    (&["collection", "schema", "nothing"], 3, "has no schema"),
    (&["index", "remove", "things", "none"], 3, "none"),
    (&["put", "", "x", "{}"], 1, "a collection's name has 1 to 256 bytes, this one has 0"),
    (&["query", "things", "n=1 and"], 2, "filter: column "),
    (&["query", "things", "--order", "n:up"], 2, "after the field goes :asc, :desc"),
    (&["query", "things", "--after", "!"], 2, "--after takes the cursor that an earlier page gave"),
    (&["query", "things", r#"{"n": {"about": 1}}"#], 2, "\"about\" is not a comparison"),
    (&["query", "things", r#"{"n": "#], 2, "column"),
    (&["query", "mutation { deleteThing(id: \"x\", cascade: true) }"], 2, "GraphQL: "),
    (&["query", "{ things { nodes { nothing } } }"], 2, "GraphQL: Unknown field \"nothing\""),
    (&["query", "query($n: Int!) { things(first: $n) { totalCount } }"], 2, "GraphQL: "),
    (&["query", "{ things { totalCount } }", "--variables", "["], 2, "--variables: "),
    (&["members", "--space", "nowhere"], 3, "no space is called \"nowhere\""),
    (&["digest", "--space", "nowhere"], 3, "no space is called \"nowhere\""),
    (&["restore", "things", "never"], 3, "things/never does not exist"),
    (&["put", "things", "--new", "x", "{}"], 2, "with --new, give the fields only"),
    (&["put", "things", "x"], 2, "give the document's id and its fields"),
];

fn desk() -> Desk {
    let desk = Desk::with_database();
    assert_eq!(desk.run("a", &["collection", "declare", "things", SCHEMA]).code, 0);
    assert_eq!(desk.run("a", &["put", "things", "x", r#"{"name": "x", "body": "ok"}"#]).code, 0);
    desk
}

#[test]
fn what_a_schema_does_not_allow_is_refused_with_the_field() {
    let desk = desk();
    let digest = desk.run("a", &["digest"]).out;
    for (fields, said) in FIELDS {
        desk.run("a", &["put", "things", "new", fields]).assert_refused(1, said);
    }
    for (patch, code, said) in EDITS {
        desk.run("a", &["update", "things", "x", patch]).assert_refused(*code, said);
    }
    assert_eq!(desk.run("a", &["digest"]).out, digest, "nothing was written");
}

#[test]
fn commands_that_name_what_is_not_there_say_so() {
    let desk = desk();
    let digest = desk.run("a", &["digest"]).out;
    for (arguments, code, said) in COMMANDS {
        println!("{arguments:?}");
        desk.run("a", arguments).assert_refused(*code, said);
    }
    assert_eq!(desk.run("a", &["digest"]).out, digest, "nothing was written");
}

#[test]
fn what_was_written_is_shown_texts_and_json_too() {
    let desk = desk();
    let patch = r#"{"body": {"splice": {"at": 2, "insert": "!"}}, "doc": {"put": {"path": ["a"], "value": 1}}}"#;
    let shown = desk.run("a", &["update", "things", "x", patch, "--json"]).json();
    assert_eq!((shown["body"].as_str(), shown["doc"]["a"].as_i64()), (Some("ok!"), Some(1)), "{shown}");
    assert_eq!(desk.run("a", &["get", "things", "x", "--json"]).json(), shown);
    let new = desk.run("a", &["put", "things", "y", r#"{"name": "y", "body": "new"}"#, "--json"]).json();
    assert_eq!(new["body"], "new");
}
