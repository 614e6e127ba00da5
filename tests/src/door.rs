//! Doors: the ways into a database. The same cases run through each.

pub mod graphql;
pub mod rust;

use serde_json::{Map, Value as Json};
use tidewater_engine::value::Fields;

use crate::corpus::{Conflict, Find, Resolve, Step, Undo};

/// One way into one database. What goes in has the form of the corpus (`tests/corpus/README.md`).
pub trait Door {
    /// Runs writes ([`Step::Declare`], [`Step::Create`], [`Step::Update`], [`Step::Upsert`], [`Step::Delete`], [`Step::Restore`])
    /// in one transaction. For each: whether it did something.
    ///
    /// # Errors
    /// Why nothing was written.
    fn write(&mut self, writes: &[Step]) -> Result<Vec<bool>, Failure>;

    /// Reads a document's fields.
    ///
    /// # Errors
    /// Why it can't be told.
    fn get(&mut self, collection: &str, id: &str) -> Result<Option<Fields>, Failure>;

    /// Runs a query, after `cursor` if there is one. What the case expects is not the door's business.
    ///
    /// # Errors
    /// Why the query was refused.
    fn find(&mut self, query: &Find, cursor: Option<&str>) -> Result<Found, Failure>;

    /// Lists a document's conflicts.
    ///
    /// # Errors
    /// Why they can't be told.
    fn conflicts(&mut self, collection: &str, id: &str) -> Result<Vec<Conflict>, Failure>;

    /// Settles a conflict, as it is now. Gives the commit that does it, and the value that the field has then.
    ///
    /// # Errors
    /// Why nothing was written.
    fn resolve(&mut self, resolve: &Resolve) -> Result<(String, Json), Failure>;

    /// Undoes the resolution `commit`. Gives the value that the field has then.
    ///
    /// # Errors
    /// Why nothing was written.
    fn undo(&mut self, undo: &Undo, commit: &str) -> Result<Json, Failure>;

    /// Lists the documents with conflicts: collection and id each.
    ///
    /// # Errors
    /// Why they can't be told.
    fn conflicted(&mut self, collection: Option<&str>) -> Result<Vec<(String, String)>, Failure>;

    /// Lists the collections.
    ///
    /// # Errors
    /// Why they can't be told.
    fn collections(&mut self) -> Result<Vec<String>, Failure>;
}

/// What a query gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Ids and fields, in order.
    pub documents: Vec<(String, Fields)>,
    /// The last document's cursor, in the door's own form.
    pub cursor: Option<String>,
    /// Whether more come after.
    pub more: bool,
    /// How many match, if it was asked.
    pub total: Option<u64>,
}

/// An error as the corpus names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// One of the codes that `tests/corpus/README.md` lists.
    pub code: String,
    /// What the door said.
    pub message: String,
}

/// The code of a [`Failure::elsewhere`].
pub const ELSEWHERE: &str = "not through this door";

impl Failure {
    /// The door doesn't offer this. A case that needs it goes no further here.
    #[must_use]
    pub fn elsewhere(what: &str) -> Self {
        Self { code: ELSEWHERE.into(), message: format!("this door does not offer {what}") }
    }

    /// An error of the case itself: it isn't well-formed.
    #[must_use]
    pub fn case(message: impl Into<String>) -> Self {
        Self { code: "bad case".into(), message: message.into() }
    }
}

/// The fields that a JSON object of a case says.
///
/// # Errors
/// When it isn't a value's JSON.
pub fn fields(json: &Map<String, Json>) -> Result<Fields, Failure> {
    let text = serde_json::to_string(json).map_err(|error| Failure::case(error.to_string()))?;
    tidewater_engine::value::fields_from_json(text.as_bytes())
        .map_err(|error| Failure { code: "invalid".into(), message: error.to_string() })
}
