//! GraphQL, executed in process: the fields for any collection, with JSON.

use serde_json::{Map, Value as Json, json};
use tidewater_engine::value::{Fields, fields_from_json};
use tidewater_server::graphql::{Graph, Operation};
use tidewater_sync::Database;
use tokio::runtime::Runtime;

use super::rust::RustDoor;
use super::{Door, Failure, Found};
use crate::corpus::{Conflict, Find, Resolve, Step, Undo};

/// How many documents are asked for when a case doesn't say.
const DEFAULT_FIRST: usize = 1_000;

/// A database behind its GraphQL schema.
pub struct GraphqlDoor {
    graph: Graph,
    runtime: Runtime,
    /// For schemas, which GraphQL shows but does not declare.
    rust: RustDoor,
}

impl GraphqlDoor {
    /// The door into `database`.
    ///
    /// # Panics
    /// When the system refuses a thread.
    #[must_use]
    pub fn new(database: Database) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        Self {
            graph: Graph::new(database.clone()),
            runtime: runtime.expect("a runtime starts"),
            rust: RustDoor::new(database),
        }
    }

    /// Runs one operation and gives the field `name` of its data.
    fn run(&self, name: &str, query: &str, variables: Json) -> Result<Json, Failure> {
        let operation = Operation { query: query.to_owned(), operation_name: None, variables };
        let outcome = self.runtime.block_on(self.graph.execute(operation, false));
        let mut answer: Json = serde_json::from_str(&outcome.to_json()).expect("an answer is JSON");
        if let Some(error) = answer["errors"].get(0) {
            let code = error["extensions"]["code"].as_str().unwrap_or_default();
            let message = error["message"].as_str().unwrap_or_default().to_owned();
            return Err(Failure { code: corpus_code(code).into(), message });
        }
        Ok(answer["data"][name].take())
    }
}

impl GraphqlDoor {
    /// The conflicts of a document: where it is read, or, when it is not alive, where documents with conflicts are listed.
    fn told(&self, collection: &str, id: &str) -> Result<Vec<Json>, Failure> {
        const FIELDS: &str = "{ field reason values version siblings { commit value } }";
        let query = format!(
            "query($in: String!, $id: ID!) {{ document(collection: $in, id: $id) {{ _meta {{ conflicts {FIELDS} }} }} }}"
        );
        let node = self.run("document", &query, json!({"in": collection, "id": id}))?;
        let conflicts = if node.is_null() {
            let query =
                format!("query($in: String) {{ conflicts(collection: $in, first: 1000) {{ id conflicts {FIELDS} }} }}");
            let listed = self.run("conflicts", &query, json!({"in": collection}))?;
            let listed = listed.as_array().cloned().unwrap_or_default();
            listed.into_iter().find(|one| one["id"] == id).map(|mut one| one["conflicts"].take()).unwrap_or_default()
        } else {
            node["_meta"]["conflicts"].clone()
        };
        Ok(conflicts.as_array().cloned().unwrap_or_default())
    }
}

/// The corpus' name of a code in `extensions`.
fn corpus_code(code: &str) -> &str {
    match code {
        "ALREADY_EXISTS" => "exists",
        "NOT_FOUND" => "missing",
        "SCHEMA_VIOLATION" => "schema",
        "BAD_USER_INPUT" => "invalid",
        "LIMIT_EXCEEDED" => "too large",
        "FORBIDDEN" => "forbidden",
        "AMBIGUOUS" => "ambiguous",
        "UNAVAILABLE" => "unavailable",
        "NO_CONFLICT" => "no conflict",
        "CONFLICT_CHANGED" => "changed",
        other => other,
    }
}

fn fields(node: &Json) -> Result<Fields, Failure> {
    let text = node["_fields"].to_string();
    fields_from_json(text.as_bytes()).map_err(|error| Failure::case(format!("{error}: {text}")))
}

/// `-size nulls last` as `{"size": "DESC_NULLS_LAST"}`.
fn order(key: &str) -> Json {
    let (path, nulls) = match key.split_once(" nulls ") {
        Some((path, place)) => (path, format!("_NULLS_{}", place.to_uppercase())),
        None => (key, String::new()),
    };
    let (path, direction) = path.strip_prefix('-').map_or((path, "ASC"), |path| (path, "DESC"));
    json!({ path: format!("{direction}{nulls}") })
}

/// The corpus writes the path of a cut alone.
fn patch(edits: &Map<String, Json>) -> Json {
    let one = |edit: &Json| match edit.get("cut") {
        Some(path) => json!({"cut": {"path": path}}),
        None => edit.clone(),
    };
    Json::Object(edits.iter().map(|(field, edit)| (field.clone(), one(edit))).collect())
}

impl Door for GraphqlDoor {
    fn write(&mut self, writes: &[Step]) -> Result<Vec<bool>, Failure> {
        let [write] = writes else { return Err(Failure::elsewhere("several writes in one transaction")) };
        let done = match write {
            Step::Declare(_) => return self.rust.write(writes),
            Step::Create(step) => {
                let query = "mutation($in: String!, $id: ID, $fields: JSON!) \
                    { createDocument(collection: $in, id: $id, fields: $fields) { id } }";
                let variables = json!({"in": step.collection, "id": step.id, "fields": step.fields});
                self.run("createDocument", query, variables)?;
                true
            }
            Step::Update(step) => {
                let query = "mutation($in: String!, $id: ID!, $patch: JSON!) \
                    { updateDocument(collection: $in, id: $id, patch: $patch) { id } }";
                let variables = json!({"in": step.collection, "id": step.id, "patch": patch(&step.edits)});
                self.run("updateDocument", query, variables)?;
                true
            }
            Step::Upsert(step) => {
                let query = "mutation($in: String!, $id: ID!, $fields: JSON!) \
                    { upsertDocument(collection: $in, id: $id, fields: $fields) { id } }";
                let variables = json!({"in": step.collection, "id": step.id, "fields": step.fields});
                self.run("upsertDocument", query, variables)?;
                true
            }
            Step::Delete(step) => {
                let query = "mutation($in: String!, $id: ID!) { deleteDocument(collection: $in, id: $id) }";
                let variables = json!({"in": step.collection, "id": step.id});
                self.run("deleteDocument", query, variables)? == Json::Bool(true)
            }
            Step::Restore(step) => {
                let query = "mutation($in: String!, $id: ID!) { restoreDocument(collection: $in, id: $id) { id } }";
                let variables = json!({"in": step.collection, "id": step.id});
                self.run("restoreDocument", query, variables)?;
                true
            }
            other => return Err(Failure::case(format!("not a write: {other:?}"))),
        };
        Ok(vec![done])
    }

    fn get(&mut self, collection: &str, id: &str) -> Result<Option<Fields>, Failure> {
        let query = "query($in: String!, $id: ID!) { document(collection: $in, id: $id) { _fields } }";
        let node = self.run("document", query, json!({"in": collection, "id": id}))?;
        if node.is_null() { Ok(None) } else { fields(&node).map(Some) }
    }

    fn find(&mut self, find: &Find, cursor: Option<&str>) -> Result<Found, Failure> {
        if find.select.is_some() {
            return Err(Failure::elsewhere("selecting fields of any collection"));
        }
        let total = if find.total.is_some() { "totalCount" } else { "" };
        let query = format!(
            "query($in: String!, $where: JSON, $order: [JSON!], $first: Int, $after: String) {{ \
                documents(collection: $in, where: $where, orderBy: $order, first: $first, after: $after) {{ \
                nodes {{ id _fields }} pageInfo {{ hasNextPage endCursor }} {total} }} }}"
        );
        let order: Vec<Json> = find.order.iter().map(|key| order(key)).collect();
        let variables = json!({
            "in": find.collection, "where": find.filter, "order": order, "first": find.first.unwrap_or(DEFAULT_FIRST),
            "after": cursor,
        });
        let page = self.run("documents", &query, variables)?;
        let nodes = page["nodes"].as_array().ok_or_else(|| Failure::case("a page has nodes"))?;
        let text = |json: &Json| json.as_str().unwrap_or_default().to_owned();
        let documents = nodes.iter().map(|node| Ok((text(&node["id"]), fields(node)?)));
        Ok(Found {
            documents: documents.collect::<Result<_, Failure>>()?,
            cursor: page["pageInfo"]["endCursor"].as_str().map(str::to_owned),
            more: page["pageInfo"]["hasNextPage"] == Json::Bool(true),
            total: page["totalCount"].as_u64(),
        })
    }

    fn conflicts(&mut self, collection: &str, id: &str) -> Result<Vec<Conflict>, Failure> {
        self.told(collection, id)?
            .iter()
            .map(|conflict| {
                let because = match conflict["reason"].as_str().unwrap_or_default() {
                    "SIBLINGS" => "siblings",
                    "KIND" => "kind",
                    "EDITED_WHILE_DELETED" => "deleted",
                    other => return Err(Failure::case(format!("an unknown reason: {other}"))),
                };
                Ok(Conflict {
                    field: conflict["field"].as_str().unwrap_or_default().to_owned(),
                    because: because.to_owned(),
                    values: conflict["values"].as_array().cloned().unwrap_or_default(),
                })
            })
            .collect()
    }

    fn resolve(&mut self, resolve: &Resolve) -> Result<(String, Json), Failure> {
        let told = self.told(&resolve.collection, &resolve.id)?;
        let of_field = |conflict: &&Json| conflict["field"] == resolve.field && conflict["reason"] == "SIBLINGS";
        let conflict = told.iter().find(of_field).cloned().unwrap_or_default();
        let nothing = "0".repeat(32);
        let siblings = conflict["siblings"].as_array().cloned().unwrap_or_default();
        let pick = resolve.pick.as_ref().map(|value| {
            let picked = siblings.iter().find(|sibling| sibling["value"] == *value);
            picked.map_or(json!(nothing), |sibling| sibling["commit"].clone())
        });
        let by =
            resolve.by.as_deref().map(|name| if name == "keepAll" { "KEEP_ALL".into() } else { name.to_uppercase() });
        let seen = conflict["version"].as_str().unwrap_or(&nothing);
        let query = "mutation($in: String!, $id: ID!, $field: String!, $pick: ID, $value: JSON, $by: ConflictPolicy, $seen: ID) { \
            resolveConflict(collection: $in, id: $id, field: $field, pick: $pick, value: $value, by: $by, seen: $seen) { commit value } }";
        let variables = json!({
            "in": resolve.collection, "id": resolve.id, "field": resolve.field, "pick": pick, "value": resolve.value,
            "by": by, "seen": seen,
        });
        let mut resolved = self.run("resolveConflict", query, variables)?;
        Ok((resolved["commit"].as_str().unwrap_or_default().to_owned(), resolved["value"].take()))
    }

    fn undo(&mut self, undo: &Undo, commit: &str) -> Result<Json, Failure> {
        let query = "mutation($in: String!, $id: ID!, $field: String!, $commit: ID!) { \
            undoResolution(collection: $in, id: $id, field: $field, commit: $commit) { value } }";
        let variables = json!({"in": undo.collection, "id": undo.id, "field": undo.field, "commit": commit});
        Ok(self.run("undoResolution", query, variables)?["value"].take())
    }

    fn conflicted(&mut self, collection: Option<&str>) -> Result<Vec<(String, String)>, Failure> {
        let query = "query($in: String) { conflicts(collection: $in, first: 1000) { collection id } }";
        let listed = self.run("conflicts", query, json!({"in": collection}))?;
        let text = |json: &Json| json.as_str().unwrap_or_default().to_owned();
        let listed = listed.as_array().cloned().unwrap_or_default();
        Ok(listed.iter().map(|one| (text(&one["collection"]), text(&one["id"]))).collect())
    }

    fn collections(&mut self) -> Result<Vec<String>, Failure> {
        let listed = self.run("collections", "{ collections { name } }", json!({}))?;
        let names = listed.as_array().cloned().unwrap_or_default();
        Ok(names.iter().map(|one| one["name"].as_str().unwrap_or_default().to_owned()).collect())
    }
}
