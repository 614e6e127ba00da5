//! Operations against a database in memory.

use std::sync::Arc;

use serde_json::{Value as Json, json};
use tidewater_engine::space::Rank;
use tidewater_engine::store::{Durability, Location, WriteError};
use tidewater_net::host::SystemHost;
use tidewater_sync::{CreateOptions, OpenOptions};

use super::*;

/// A database in memory, with an identity and a home space.
pub(crate) fn memory() -> Database {
    let open = OpenOptions { host: Arc::new(SystemHost), mirror: None, cache_bytes: 1 << 20 };
    let options = CreateOptions { open, identity: Some("Ada".to_owned()), home: true };
    Database::create(Location::Memory, options).expect("memory is there")
}

/// The same with notes that declare a field of every kind, and their authors.
pub(crate) fn with_notes() -> Graph {
    let database = memory();
    let schema = r#"{"fields": {
        "title": {"type": "string"}, "done": {"type": "bool"}, "created": {"type": "timestamp"},
        "views": {"kind": "counter"}, "tags": {"kind": "set", "type": "string"}, "body": {"kind": "text"},
        "extra": {"kind": "json"}, "author": {"type": {"reference": "authors"}}
    }, "indexes": {"by_title": {"fields": ["title"]}}}"#;
    let schema = tidewater_engine::schema::Schema::from_json(schema.as_bytes()).expect("a schema");
    database
        .transaction(Durability::Local, |transaction| {
            transaction.set_schema("notes", &schema)?;
            transaction.insert("authors", Some("ada"), [("name".to_owned(), "Ada".into())].into())?;
            Ok::<_, WriteError>(())
        })
        .expect("written");
    Graph::new(database)
}

async fn run(graph: &Graph, query: &str) -> Json {
    run_with(graph, query, Json::Null).await
}

async fn run_with(graph: &Graph, query: &str, variables: Json) -> Json {
    let operation = Operation { query: query.to_owned(), variables, ..Operation::default() };
    serde_json::from_str(&graph.execute(operation, false).await.to_json()).expect("JSON")
}

fn code(answer: &Json) -> &str {
    answer["errors"][0]["extensions"]["code"].as_str().unwrap_or("none")
}

#[tokio::test]
async fn the_example_of_the_documentation_works() {
    let graph = with_notes();
    let created = run(
        &graph,
        r#"mutation { createNote(input: {id: "n1", title: "Milk", done: false, tags: ["home"], body: "Hello",
            author: "ada", created: "2026-11-21T09:30:00Z", extra: {a: [1, {b: null}]}}) { id title tags views } }"#,
    )
    .await;
    assert_eq!(
        created,
        json!({"data": {"createNote": {"id": "n1", "title": "Milk", "tags": ["home"], "views": null}}})
    );
    let updated = run(
        &graph,
        r#"mutation { updateNote(id: "n1", patch: {title: {set: "x"}, views: {increment: 1}, tags: {add: ["a"]},
            body: {splice: {at: 0, delete: 1, insert: "J"}}, extra: {put: {path: ["a", 0], value: 2}}}) { views body tags extra } }"#,
    )
    .await;
    let expected = json!({"views": 1, "body": "Jello", "tags": ["a", "home"], "extra": {"a": [2, {"b": null}]}});
    assert_eq!(updated["data"]["updateNote"], expected, "{updated}");
    let listed = run(
        &graph,
        r#"{ notes(where: {done: {eq: false}, tags: {contains: "home"}}, orderBy: [{created: DESC}], first: 20) {
            nodes { id title created author { name } _meta { generation conflicted conflicts { field values } } }
            pageInfo { hasNextPage endCursor } totalCount } note(id: "n1") { title } missing: note(id: "n2") { title } }"#,
    )
    .await;
    let node = &listed["data"]["notes"]["nodes"][0];
    assert_eq!(node["author"]["name"], "Ada", "{listed}");
    assert_eq!(node["created"], "2026-11-21T09:30:00.000Z");
    assert_eq!(node["_meta"], json!({"generation": 1, "conflicted": false, "conflicts": []}));
    assert_eq!(listed["data"]["notes"]["totalCount"], 1);
    assert_eq!(listed["data"]["note"]["title"], "x");
    assert_eq!(listed["data"]["missing"], Json::Null);
}

#[tokio::test]
async fn documents_are_created_set_and_deleted() {
    let graph = with_notes();
    let many = run(&graph, r#"mutation { createNotes(inputs: [{title: "a"}, {title: "b"}]) { id title } }"#).await;
    assert_eq!(many["data"]["createNotes"][1]["title"], "b", "{many}");
    assert_eq!(many["data"]["createNotes"][0]["id"].as_str().map(str::len), Some(26));
    let upsert = r#"mutation { upsertNote(id: "n", input: {title: "c", _fields: {odd: 1}}) { title _fields } }"#;
    let expected = json!({"title": "c", "_fields": {"title": "c", "odd": 1}});
    assert_eq!(run(&graph, upsert).await["data"]["upsertNote"], expected);
    assert_eq!(run(&graph, r#"mutation { deleteNote(id: "n") }"#).await["data"]["deleteNote"], true);
    assert_eq!(run(&graph, r#"mutation { deleteNote(id: "n") }"#).await["data"]["deleteNote"], false);
    let restore = r#"mutation { restoreDocument(collection: "notes", id: "n") { id _meta { generation } } }"#;
    assert_eq!(run(&graph, restore).await["data"]["restoreDocument"]["_meta"]["generation"], 2);
}

#[tokio::test]
async fn pages_follow_each_other_by_cursor() {
    let graph = with_notes();
    let inputs: Vec<Json> = (0..5).map(|n| json!({"id": format!("n{n}"), "title": format!("t{}", n % 2)})).collect();
    let create = "mutation($inputs: [NoteInput!]!) { createNotes(inputs: $inputs) { id } }";
    assert_eq!(run_with(&graph, create, json!({ "inputs": inputs })).await.get("errors"), None);
    let query = "query($after: String) { notes(orderBy: {title: DESC}, first: 2, after: $after) { nodes { id } pageInfo { hasNextPage endCursor } } }";
    let (mut after, mut seen) = (Json::Null, Vec::new());
    loop {
        let page = run_with(&graph, query, json!({ "after": after })).await["data"]["notes"].clone();
        seen.extend(page["nodes"].as_array().expect("nodes").iter().map(|node| node["id"].clone()));
        after = page["pageInfo"]["endCursor"].clone();
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
    }
    seen.sort_by_key(Json::to_string);
    assert_eq!(seen, ["n0", "n1", "n2", "n3", "n4"]);
}

#[tokio::test]
async fn the_schema_follows_the_collections() {
    let graph = Graph::new(memory());
    assert_eq!(code(&run(&graph, "{ recipes { nodes { id } } }").await), "GRAPHQL_VALIDATION_FAILED");
    let create = r#"mutation { createDocument(collection: "recipes", id: "r", fields: {serves: 4, "x": {"$timestamp": 0}}) { id } }"#;
    let create = create.replace("{serves: 4, \"x\": {\"$timestamp\": 0}}", "{serves: 4}");
    assert_eq!(run(&graph, &create).await["data"]["createDocument"]["id"], "r");
    let read = "{ recipes { nodes { id serves } } recipe(id: \"r\") { serves } }";
    assert_eq!(run(&graph, read).await["data"]["recipe"]["serves"], 4);
    let patch = r#"mutation { updateRecipe(id: "r", patch: {serves: {set: "four"}, _fields: {vegan: {set: true}}}) { _fields } }"#;
    assert_eq!(run(&graph, patch).await["data"]["updateRecipe"]["_fields"], json!({"serves": "four", "vegan": true}));
    assert_eq!(
        run(&graph, "{ recipe(id: \"r\") { vegan serves } }").await["data"]["recipe"],
        json!({"vegan": true, "serves": "four"})
    );
}

#[tokio::test]
async fn what_goes_wrong_has_a_code() {
    let graph = with_notes();
    run(&graph, r#"mutation { createNote(input: {id: "n", title: "a"}) { id } }"#).await;
    for (query, expected) in [
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("{ nope }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ notes(where: {nope: {eq: 1}}) { nodes { id } } }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ notes(first: 2147483648) { nodes { id } } }", "LIMIT_EXCEEDED"),
        ("{ notes(first: 1001) { nodes { id } } }", "LIMIT_EXCEEDED"),
        ("{ notes(after: \"?\") { nodes { id } } }", "BAD_USER_INPUT"),
        ("{ note(id: \"n\", space: \"x\") { id } }", "BAD_USER_INPUT"),
        ("mutation { createNote(input: {id: \"n\"}) { id } }", "ALREADY_EXISTS"),
        ("mutation { updateNote(id: \"m\", patch: {title: {set: \"x\"}}) { id } }", "NOT_FOUND"),
        ("mutation { createNote(input: {views: \"9223372036854775808\"}) { id } }", "GRAPHQL_VALIDATION_FAILED"),
        ("mutation { createDocument(collection: \"notes\", fields: {done: 7}) { id } }", "SCHEMA_VIOLATION"),
        ("mutation { createDocument(collection: \"$schemas\", fields: {}) { id } }", "BAD_USER_INPUT"),
        ("subscription { notesChanged { removed } }", "BAD_USER_INPUT"),
        ("query A { status { device } } query B { status { device } }", "GRAPHQL_VALIDATION_FAILED"),
        ("query($x: Int!) { notes(first: $x) { nodes { id } } }", "GRAPHQL_VALIDATION_FAILED"),
    ] {
        let answer = run(&graph, query).await;
        assert_eq!(code(&answer), expected, "{query}: {answer}");
    }
}

#[tokio::test]
async fn one_failing_field_leaves_the_others() {
    let graph = with_notes();
    let answer = run(&graph, "{ notes(first: 5000) { nodes { id } } status { device } }").await;
    assert_eq!(code(&answer), "LIMIT_EXCEEDED");
    assert_eq!(answer["errors"][0]["path"], json!(["notes"]));
    // A page is never null, so its failure takes the whole answer with it.
    assert_eq!(answer["data"], Json::Null, "{answer}");
    let query = "{ a: note(id: \"n\", space: \"x\") { id } ...F @skip(if: false) z: __typename @include(if: false) }
        fragment F on Query { b: status { device } }";
    let answer = run(&graph, query).await;
    assert_eq!(answer["errors"][0]["path"], json!(["a"]));
    assert_eq!(answer["data"]["a"], Json::Null, "{answer}");
    assert!(answer["data"]["b"]["device"].is_string(), "{answer}");
    let keys: Vec<&String> = answer["data"].as_object().expect("data").keys().collect();
    assert_eq!(keys, ["a", "b"]);
}

#[tokio::test]
async fn a_document_of_another_shape_fails_in_its_field_alone() {
    let graph = Graph::new(memory());
    let create = |id: usize, value: &str| {
        format!(
            "mutation {{ createDocument(collection: \"things\", id: \"{id:04}\", fields: {{a: {value}, b: 1}}) {{ id }} }}"
        )
    };
    for id in 0..catalog::SAMPLE_DOCUMENTS {
        run(&graph, &create(id, "1")).await;
    }
    run(&graph, &create(9999, "\"text\"")).await;
    let answer = run(&graph, "{ thing(id: \"9999\") { a b } only: thing(id: \"9999\") { a } }").await;
    assert_eq!(answer["data"], json!({"thing": {"a": null, "b": 1}, "only": {"a": null}}), "{answer}");
    assert_eq!(code(&answer), "TYPE_MISMATCH");
    assert_eq!(answer["errors"][0]["path"], json!(["thing", "a"]));
}

#[tokio::test]
async fn a_subscription_gives_the_first_result_and_then_changes() {
    let graph = with_notes();
    run(&graph, r#"mutation { createNote(input: {id: "n1", title: "a", done: false}) { id } }"#).await;
    let query =
        "subscription { notesChanged(where: {done: {eq: false}}) { added { id title } changed { id title } removed } }";
    let operation = Operation { query: query.to_owned(), ..Operation::default() };
    let mut events = graph.subscribe(operation, false);
    let mut next = async || -> Json {
        let outcome = events.next().await.expect("an event");
        serde_json::from_str::<Json>(&outcome.to_json()).expect("JSON")["data"]["notesChanged"].clone()
    };
    assert_eq!(next().await, json!({"added": [{"id": "n1", "title": "a"}], "changed": [], "removed": []}));
    run(&graph, r#"mutation { createNote(input: {id: "n2", title: "b", done: true}) { id } }"#).await;
    run(&graph, r#"mutation { updateNote(id: "n1", patch: {title: {set: "c"}}) { id } }"#).await;
    assert_eq!(next().await, json!({"added": [], "changed": [{"id": "n1", "title": "c"}], "removed": []}));
    run(&graph, r#"mutation { deleteNote(id: "n1") }"#).await;
    assert_eq!(next().await, json!({"added": [], "changed": [], "removed": ["n1"]}));
}

#[tokio::test]
async fn a_subscription_tells_who_the_members_are_and_what_is_said_about_them() {
    let (database, other) = (memory(), memory());
    let graph = Graph::new(database.clone());
    let home = database.home().expect("a home");
    let query = "subscription { sharingChanged { members { name rank } said { action what cursor } } }";
    let operation = Operation { query: query.to_owned(), ..Operation::default() };
    let mut events = graph.subscribe(operation, false);
    let mut next = async || -> Json {
        let outcome = events.next().await.expect("an event");
        serde_json::from_str::<Json>(&outcome.to_json()).expect("JSON")["data"]["sharingChanged"].clone()
    };
    assert_eq!(next().await, json!({"members": [{"name": "Ada", "rank": "owner"}], "said": []}));
    database.grant(&home, &other.card().expect("an identity"), Rank::Reader).expect("it owns the space");
    let granted = next().await;
    assert_eq!(granted["members"][1], json!({"name": "Ada", "rank": "read"}), "{granted}");
    assert_eq!((&granted["said"][0]["action"], &granted["said"][1]), (&json!("grant"), &Json::Null));
    database.rename_space(&home, "ours").expect("it owns the space");
    assert_eq!(next().await["said"][0]["what"], "renamed the space to \"ours\"");
    let unknown = format!("subscription {{ sharingChanged(space: \"{}\") {{ said {{ what }} }} }}", "5a".repeat(32));
    let mut refused = graph.subscribe(Operation { query: unknown, ..Operation::default() }, false);
    let refused: Json = serde_json::from_str(&refused.next().await.expect("an answer").to_json()).expect("JSON");
    assert_eq!(code(&refused), "NOT_FOUND", "{refused}");
}

#[tokio::test]
async fn a_mutation_by_a_reading_request_is_refused() {
    let graph = with_notes();
    let operation = Operation { query: "mutation { deleteNote(id: \"n\") }".to_owned(), ..Operation::default() };
    assert_eq!(graph.execute(operation, true).await.refused, Some(Refusal::Method));
}

#[tokio::test]
async fn one_operation_resolves_a_bounded_number_of_documents() {
    let graph = with_notes();
    let inputs: Vec<Json> = (0..1000).map(|_| json!({})).collect();
    let create = "mutation($inputs: [NoteInput!]!) { createNotes(inputs: $inputs) { id } }";
    assert_eq!(run_with(&graph, create, json!({ "inputs": inputs })).await.get("errors"), None);
    let aliases: String = (0..11).map(|n| format!("a{n}: notes(first: 1000) {{ nodes {{ id }} }} ")).collect();
    let answer = run(&graph, &format!("{{ {aliases} }}")).await;
    assert_eq!(code(&answer), "LIMIT_EXCEEDED", "{}", answer["errors"]);
}

#[tokio::test]
async fn the_operator_sees_spaces_collections_and_state() {
    let graph = with_notes();
    let answer = run(
        &graph,
        "{ spaces { id label home rank members digest documents { collection documents } } collections { name typeName } peers { device } }",
    )
    .await;
    let space = &answer["data"]["spaces"][0];
    assert_eq!(
        (&space["label"], &space["home"], &space["rank"]),
        (&json!("home"), &json!(true), &json!("owner")),
        "{answer}"
    );
    assert_eq!(space["digest"].as_str().map(str::len), Some(64));
    assert_eq!(
        answer["data"]["collections"],
        json!([{"name": "authors", "typeName": "Author"}, {"name": "notes", "typeName": "Note"}])
    );
    assert_eq!(answer["data"]["peers"], json!([]));
    let own = run(&graph, "{ identity { id name device devices { id certified } card } }").await;
    let own = &own["data"]["identity"];
    assert_eq!((&own["devices"][0]["id"], &own["devices"][1]), (&own["device"], &Json::Null), "{own}");
    let removed = run(&graph, &format!("mutation {{ removeDevice(device: {}) }}", own["device"])).await;
    assert_eq!(code(&removed), "BAD_USER_INPUT", "{removed}");
    let removed = run(&graph, "mutation { removeDevice(device: \"5a\") }").await;
    assert_eq!(code(&removed), "BAD_USER_INPUT", "{removed}");
    let removed = run(&graph, &format!("mutation {{ removeDevice(device: {}) }}", own["id"])).await;
    assert_eq!(code(&removed), "NOT_FOUND", "{removed}");
    let created = run(&graph, "mutation { createSpace(label: \"Family\") }").await;
    assert!(created["data"]["createSpace"].is_string(), "{created}");
    let space = &created["data"]["createSpace"];
    let left = run(&graph, &format!("mutation {{ leaveSpace(space: {space}) }}")).await;
    assert_eq!(code(&left), "FORBIDDEN", "{left}");
    let forgotten = run(&graph, &format!("mutation {{ forgetSpace(space: {space}, evenUntold: true) }}")).await;
    assert_eq!(code(&forgotten), "BAD_USER_INPUT", "{forgotten}");
    let offers = run(&graph, "{ offers { id state space rank to usedBy made expires } }").await;
    assert_eq!(offers["data"]["offers"], json!([]), "{offers}");
    let cancelled = run(&graph, "mutation { cancelOffer(id: \"5a\") }").await;
    assert_eq!(code(&cancelled), "BAD_USER_INPUT", "{cancelled}");
    let unknown = format!("mutation {{ cancelOffer(id: \"{}\") }}", "5a".repeat(16));
    let cancelled = run(&graph, &unknown).await;
    assert_eq!(code(&cancelled), "NOT_FOUND", "{cancelled}");
    let spaces = run(&graph, "{ spaces { left } }").await;
    assert_eq!(spaces["data"]["spaces"], json!([{"left": false}, {"left": false}]));
}

#[tokio::test]
async fn the_profile_the_policy_and_contacts_are_seen_and_changed() {
    let graph = with_notes();
    let set = run(
        &graph,
        r#"mutation { setProfile(email: "ada@example.org", tags: ["math"], public: ["tags"], deviceKind: "server") {
            public revision profile { name email tags devices { kind } } } }"#,
    )
    .await;
    let profile = json!({"name": "Ada", "email": "ada@example.org", "tags": ["math"], "devices": [{"kind": "server"}]});
    assert_eq!(set["data"]["setProfile"], json!({"public": ["tags"], "revision": 1, "profile": profile}), "{set}");
    let wrong = run(&graph, r#"mutation { setProfile(public: ["age"]) { revision } }"#).await;
    assert_eq!(code(&wrong), "BAD_USER_INPUT", "{wrong}");
    let rule = r#"addPolicyRule(proposal: "space", from: "verified", decision: "accept", maxEntries: 9)"#;
    let added = run(&graph, &format!("mutation {{ {rule} {{ proposal from device maxEntries decision }} }}")).await;
    let rule = json!({"proposal": "space", "from": "verified", "device": null, "maxEntries": 9, "decision": "accept"});
    assert_eq!(added["data"]["addPolicyRule"], json!([rule]), "{added}");
    let missing = run(&graph, "mutation { removePolicyRule(number: 2) { from } }").await;
    assert_eq!(code(&missing), "NOT_FOUND", "{missing}");
    let removed = run(&graph, "mutation { removePolicyRule(number: 1) { from } }").await;
    assert_eq!(removed["data"]["removePolicyRule"], json!([]), "{removed}");

    let ben = "bb".repeat(32);
    let asked = run(&graph, &format!(r#"mutation {{ requestContact(identity: "{ben}", note: "hello") }}"#)).await;
    assert_eq!(asked["data"]["requestContact"], true, "{asked}");
    let listed = "{ contactRequests { identity sent state note } identityContacts { name } searchProfiles(text: \"a\") { name } }";
    let listed = run(&graph, listed).await;
    let request = json!({"identity": ben, "sent": true, "state": "waiting", "note": "hello"});
    assert_eq!(listed["data"]["contactRequests"], json!([request]), "{listed}");
    let number = run(&graph, &format!(r#"{{ verificationNumber(identity: "{ben}") {{ number code }} }}"#)).await;
    assert_eq!(number["data"]["verificationNumber"]["number"].as_str().map(str::len), Some(71), "{number}");
    for (mutation, refused) in [
        ("acceptContact", "NOT_FOUND"),
        ("removeContact", "NOT_FOUND"),
        ("unblockIdentity", "NOT_FOUND"),
        ("withdrawContactRequest", "none"),
        ("blockIdentity", "none"),
        ("rejectContact", "FORBIDDEN"),
    ] {
        let answer = run(&graph, &format!(r#"mutation {{ {mutation}(identity: "{ben}") }}"#)).await;
        assert_eq!(code(&answer), refused, "{mutation}: {answer}");
    }
    let verified = run(&graph, &format!(r#"mutation {{ verifyContact(identity: "{ben}", number: "1") }}"#)).await;
    assert_eq!(code(&verified), "NOT_FOUND", "{verified}");
}
