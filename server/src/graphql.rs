//! GraphQL: a schema that follows the collections, and operations on it within limits.

mod catalog;
mod complete;
pub(crate) mod conflict_cursor;
mod error;
mod instant;
mod json;
mod limits;
mod lower;
mod name;
mod output;
pub(crate) mod place_cursor;
mod schema;
mod scope;
mod shape;
#[cfg(test)]
pub(crate) mod tests;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_graphql::parser::types::OperationType;
use async_graphql::{Request, Response, ServerError, Value, Variables};
use futures_util::stream::{self, BoxStream, StreamExt};
use tidewater_engine::store::Edit;
use tidewater_engine::store::{Change, ChangeGuard};
use tidewater_net::node::Node;
use tidewater_sync::Database;
use tokio::sync::Semaphore;

use catalog::Catalog;
use complete::Asked;
use error::Code;
use scope::Scope;

pub(crate) use instant::format as time;
pub(crate) use schema::rank_name;

/// The edits that a patch in JSON says, fields by their names in the database: `{"views": {"increment": 1}}`.
pub(crate) fn edits_from_json(text: &str) -> Result<Vec<(String, Edit)>, String> {
    let patch: serde_json::Value = serde_json::from_str(text).map_err(|error| format!("the changes: {error}"))?;
    lower::edit::patch(None, &json::json_to_answer(patch)).map_err(|error| error.to_string())
}

/// How many operations run at once; further ones wait within their deadline.
pub const MAX_CONCURRENT_OPERATIONS: usize = 64;
/// How long one operation may take.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// One operation as a client sends it.
#[derive(Debug, Clone, Default)]
pub struct Operation {
    /// The document.
    pub query: String,
    /// Which of the document's operations runs.
    pub operation_name: Option<String>,
    /// The variables: an object, or null.
    pub variables: serde_json::Value,
}

/// Why an operation was refused before it ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The operation is not valid, or asks for too much.
    Request,
    /// The operation is a mutation, and the request may only read.
    Method,
    /// The server could not run it now.
    Server,
}

/// What came of an operation.
#[derive(Debug)]
pub struct Outcome {
    /// Data and errors.
    pub response: Response,
    /// Set when the operation was refused before it ran: there are errors and no data.
    pub refused: Option<Refusal>,
}

impl Outcome {
    fn refusal(refusal: Refusal, code: Code, message: impl std::fmt::Display) -> Self {
        let error = code.error(message).into_server_error(async_graphql::Pos::default());
        Self { response: Response::from_errors(vec![error]), refused: Some(refusal) }
    }

    /// The response's JSON. An operation that was refused has no `data`.
    #[must_use]
    pub fn to_json(&self) -> String {
        let errors = self.response.errors.as_slice();
        let data = self.refused.is_none().then_some(&self.response.data);
        written(&Written { data, errors: (!errors.is_empty()).then_some(errors) })
    }

    /// The JSON of the list of errors.
    #[must_use]
    pub fn errors_to_json(&self) -> String {
        written(&self.response.errors)
    }
}

fn written(answer: &impl serde::Serialize) -> String {
    serde_json::to_string(answer)
        .unwrap_or_else(|error| serde_json::json!({ "errors": [{ "message": error.to_string() }] }).to_string())
}

#[derive(serde::Serialize)]
struct Written<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<&'a [ServerError]>,
}

#[cfg(test)]
impl Outcome {
    /// An answer, for tests of what carries it.
    pub(crate) fn data(data: serde_json::Value) -> Self {
        Self { response: Response::new(json::json_to_answer(data)), refused: None }
    }

    /// A refusal, for tests of what carries it.
    pub(crate) fn refused(message: &str) -> Self {
        Self::refusal(Refusal::Request, Code::BadInput, message)
    }
}

/// GraphQL over one database. Cheap to clone.
#[derive(Clone)]
pub struct Graph(Arc<Shared>);

struct Shared {
    database: Database,
    node: Option<Node>,
    built: Mutex<Option<Built>>,
    /// Whether something was committed since the schema was built.
    stale: Arc<AtomicBool>,
    running: Semaphore,
    _changes: ChangeGuard,
}

#[derive(Clone)]
struct Built {
    catalog: Arc<Catalog>,
    schema: async_graphql::dynamic::Schema,
}

impl Graph {
    /// GraphQL over `database`.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self::with(database, None)
    }

    /// GraphQL over the database of `node`: through it, others can be invited too.
    #[must_use]
    pub fn with_node(node: Node) -> Self {
        Self::with(node.database().clone(), Some(node))
    }

    fn with(database: Database, node: Option<Node>) -> Self {
        let stale = Arc::new(AtomicBool::new(true));
        let flag = Arc::clone(&stale);
        let changes = database.on_change(Arc::new(move |_: &Change| flag.store(true, Ordering::Release)));
        Self(Arc::new(Shared {
            database,
            node,
            built: Mutex::new(None),
            stale,
            running: Semaphore::new(MAX_CONCURRENT_OPERATIONS),
            _changes: changes,
        }))
    }

    /// Runs a query or a mutation. With `read_only`, mutations are refused.
    pub async fn execute(&self, operation: Operation, read_only: bool) -> Outcome {
        let run = async {
            let Ok(_permit) = self.0.running.acquire().await else {
                return Outcome::refusal(Refusal::Server, Code::Overloaded, "the server is stopping");
            };
            match self.prepare(operation).await {
                Ok(prepared) => prepared.execute(read_only).await,
                Err(outcome) => outcome,
            }
        };
        tokio::time::timeout(DEADLINE, run).await.unwrap_or_else(|_| {
            let seconds = DEADLINE.as_secs();
            let why = format!(
                "the operation took longer than {seconds} s; if it is a mutation, read to see whether it took effect"
            );
            Outcome::refusal(Refusal::Server, Code::DeadlineExceeded, why)
        })
    }

    /// Runs an operation of any kind; a query or a mutation has one outcome. With `read_only`, mutations are refused.
    pub fn subscribe(&self, operation: Operation, read_only: bool) -> BoxStream<'static, Outcome> {
        let graph = self.clone();
        let outcomes = async move {
            let prepared = match graph.prepare(operation.clone()).await {
                Ok(prepared) => prepared,
                Err(outcome) => return stream::iter([outcome]).boxed(),
            };
            if prepared.kind != OperationType::Subscription {
                return stream::iter([graph.execute(operation, read_only).await]).boxed();
            }
            let Prepared { schema, request, asked, .. } = prepared;
            schema.execute_stream(request).map(move |response| finish(&schema, &asked, response)).boxed()
        };
        stream::once(outcomes).flatten().boxed()
    }

    /// Whether the database can be read.
    ///
    /// # Errors
    /// What the store said, for people.
    pub fn readable(&self) -> Result<(), String> {
        self.0.database.snapshot().map(drop).map_err(|error| error.to_string())
    }

    /// The schema in the schema definition language.
    ///
    /// # Errors
    /// What the store said, for people.
    pub fn sdl(&self) -> Result<String, String> {
        self.built().map(|built| built.schema.sdl())
    }

    /// Parses and checks an operation, against the schema as of now.
    async fn prepare(&self, operation: Operation) -> Result<Prepared, Outcome> {
        limits::check_text(&operation.query)
            .map_err(|error| Outcome::refusal(Refusal::Request, Code::LimitExceeded, error))?;
        let variables = match operation.variables {
            serde_json::Value::Null => Variables::default(),
            object @ serde_json::Value::Object(_) => Variables::from_value(json::json_to_answer(object)),
            _ => return Err(Outcome::refusal(Refusal::Request, Code::BadInput, "variables must be an object")),
        };
        let name = operation.operation_name;
        let mut request = Request::new(operation.query).variables(variables);
        let document = match request.parsed_query() {
            Ok(document) => document.clone(),
            Err(error) => {
                let mut response = Response::from_errors(vec![error]);
                name_codes(&mut response, Code::ParseFailed);
                return Err(Outcome { response, refused: Some(Refusal::Request) });
            }
        };
        let Some(definition) = limits::operation(&document, name.as_deref()) else {
            let message = "operationName must name one of the document's operations";
            return Err(Outcome::refusal(Refusal::Request, Code::ValidationFailed, message));
        };
        limits::check(&document, definition, &request.variables)
            .map_err(|error| Outcome::refusal(Refusal::Request, Code::LimitExceeded, error))?;
        let graph = self.clone();
        let built = tokio::task::spawn_blocking(move || graph.built())
            .await
            .unwrap_or_else(|_| Err("reading the schema stopped unexpectedly".to_owned()))
            .map_err(|why| Outcome::refusal(Refusal::Server, Code::StorageFailed, why))?;
        let scope = Arc::new(Scope::new(self.0.database.clone(), self.0.node.clone(), built.catalog));
        request = request.data(scope);
        request.operation_name = name;
        let asked = Asked::new(document.clone(), definition, request.operation_name.clone(), &request.variables);
        Ok(Prepared { schema: built.schema, request, kind: definition.ty, asked })
    }

    /// The schema of the collections as of now. It is built anew only when they changed.
    fn built(&self) -> Result<Built, String> {
        let mut held = self.0.built.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(built), false) = (&*held, self.0.stale.swap(false, Ordering::AcqRel)) {
            return Ok(built.clone());
        }
        let built = self.rebuild(held.as_ref());
        match &built {
            Ok(built) => *held = Some(built.clone()),
            Err(_) => self.0.stale.store(true, Ordering::Release),
        }
        built
    }

    fn rebuild(&self, held: Option<&Built>) -> Result<Built, String> {
        let database = &self.0.database;
        let snapshot = database.snapshot().map_err(|error| error.to_string())?;
        let catalog =
            Catalog::load(&snapshot, database.home(), &database.spaces()).map_err(|error| error.to_string())?;
        match held {
            Some(built) if *built.catalog == catalog => Ok(built.clone()),
            _ => {
                let schema = schema::build(&catalog).map_err(|error| error.to_string())?;
                Ok(Built { catalog: Arc::new(catalog), schema })
            }
        }
    }
}

/// An operation that was parsed and is within its limits.
struct Prepared {
    schema: async_graphql::dynamic::Schema,
    request: Request,
    kind: OperationType,
    asked: Asked,
}

impl Prepared {
    async fn execute(self, read_only: bool) -> Outcome {
        match self.kind {
            OperationType::Subscription => {
                let message = "subscriptions need a WebSocket (graphql-transport-ws)";
                return Outcome::refusal(Refusal::Request, Code::BadInput, message);
            }
            OperationType::Mutation if read_only => {
                return Outcome::refusal(Refusal::Method, Code::BadInput, "a mutation must be sent by POST");
            }
            OperationType::Query | OperationType::Mutation => {}
        }
        let response = self.schema.execute(self.request).await;
        finish(&self.schema, &self.asked, response)
    }
}

/// Tells what validation refused, which has neither data nor a path that led to it, from what ran.
fn finish(schema: &async_graphql::dynamic::Schema, asked: &Asked, mut response: Response) -> Outcome {
    asked.complete(schema.registry(), &mut response);
    let errors = &response.errors;
    let refused =
        response.data == Value::Null && !errors.is_empty() && errors.iter().all(|error| error.path.is_empty());
    name_codes(&mut response, if refused { Code::ValidationFailed } else { Code::BadInput });
    Outcome { response, refused: refused.then_some(Refusal::Request) }
}

/// Gives every error that has no code yet this one.
fn name_codes(response: &mut Response, code: Code) {
    for error in &mut response.errors {
        let extensions = error.extensions.get_or_insert_default();
        if extensions.get("code").is_none() {
            extensions.set("code", code.as_str());
        }
    }
}
