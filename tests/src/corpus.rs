//! The declarative corpus: operations and what they must give, the same through every door. `tests/corpus/README.md` describes
//! the format.

mod run;

use std::fs;
use std::path::Path;

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value as Json};

pub use run::{Broken, Replicas, run};

/// A case: steps on fresh, empty replicas.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What it shows, as a sentence.
    pub name: String,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

/// One step of a case.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Step {
    /// Declares a collection's schema.
    Declare(Declare),
    /// Inserts a document.
    Create(Create),
    /// Changes fields of a document.
    Update(Update),
    /// Inserts a document, or sets fields of the one that is there.
    Upsert(Upsert),
    /// Deletes a document.
    Delete(Delete),
    /// Brings a deleted document back.
    Restore(Restore),
    /// Several writes, all or nothing.
    Transaction(Transaction),
    /// Reads a document.
    Get(Get),
    /// Runs a query.
    Find(Box<Find>),
    /// Lists a document's conflicts.
    Conflicts(Conflicts),
    /// Settles a conflict.
    Resolve(Resolve),
    /// Undoes the case's last resolution.
    Undo(Undo),
    /// Lists the documents with conflicts.
    Conflicted(Conflicted),
    /// Lists the collections.
    Collections(Collections),
    /// Brings all replicas of the case to the same operations.
    Sync(Sync),
}

macro_rules! forms {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Deserialize)]
            #[serde(deny_unknown_fields, rename_all = "camelCase")]
            pub struct $name {
                /// The replica it happens on; `a` when it is not said.
                #[serde(default = "first_replica")]
                pub on: String,
                /// The code of the error it must end with.
                #[serde(default)]
                pub fails: Option<String>,
                $($(#[$field_doc])* pub $field: $type,)*
            }
        )*
    };
}

forms! {
    /// See [`Step::Declare`].
    Declare {
        /// The collection.
        #[serde(rename = "in")]
        collection: String,
        /// The schema in the corpus' form.
        schema: Json,
    }
    /// See [`Step::Create`].
    Create {
        /// The collection.
        #[serde(rename = "in")]
        collection: String,
        /// The id; the database makes one when it is not said.
        #[serde(default)]
        id: Option<String>,
        /// The fields.
        fields: Map<String, Json>,
    }
    /// See [`Step::Update`].
    Update {
        /// The collection.
        #[serde(rename = "in")]
        collection: String,
        /// The document.
        id: String,
        /// The edits by field.
        edits: Map<String, Json>,
    }
    /// See [`Step::Upsert`].
    Upsert {
        /// The collection.
        #[serde(rename = "in")]
        collection: String,
        /// The document.
        id: String,
        /// The fields to set.
        fields: Map<String, Json>,
    }
    /// See [`Step::Delete`].
    Delete {
        /// The collection.
        #[serde(rename = "in")]
        collection: String,
        /// The document.
        id: String,
        /// Whether there was one; unchecked when it is not said.
        #[serde(default)]
        gives: Option<bool>,
    }
    /// See [`Step::Restore`].
    Restore {
        /// The collection.
        #[serde(rename = "in")]
        collection: String,
        /// The document.
        id: String,
    }
    /// See [`Step::Transaction`].
    Transaction {
        /// Writes only; `on` and `fails` stand at the transaction.
        steps: Vec<Step>,
    }
    /// See [`Step::Get`].
    Get {
        /// The collection.
        #[serde(rename = "in")]
        collection: String,
        /// The document.
        id: String,
        /// All its fields; null: there is no such document.
        #[serde(default, deserialize_with = "said")]
        gives: Option<Json>,
    }
    /// See [`Step::Find`].
    Find {
        /// The collection.
        #[serde(rename = "in")]
        collection: String,
        /// Which documents.
        #[serde(default, rename = "where")]
        filter: Map<String, Json>,
        /// Sort keys.
        #[serde(default)]
        order: Vec<String>,
        /// At most so many.
        #[serde(default)]
        first: Option<usize>,
        /// Whether to go on after the last document that the case found.
        #[serde(default)]
        after_last: bool,
        /// Which fields to give.
        #[serde(default)]
        select: Option<Vec<String>>,
        /// The ids, in order.
        #[serde(default)]
        gives: Option<Vec<String>>,
        /// The fields of the documents, in order.
        #[serde(default)]
        documents: Option<Vec<Map<String, Json>>>,
        /// Whether more come after.
        #[serde(default)]
        more: Option<bool>,
        /// How many match in all.
        #[serde(default)]
        total: Option<u64>,
    }
    /// See [`Step::Conflicts`].
    Conflicts {
        /// The collection.
        #[serde(rename = "in")]
        collection: String,
        /// The document.
        id: String,
        /// What is listed, in any order.
        gives: Vec<Conflict>,
    }
    /// See [`Step::Resolve`].
    Resolve {
        /// The collection.
        #[serde(rename = "in")]
        collection: String,
        /// The document.
        id: String,
        /// The field.
        field: String,
        /// The value to take, of those in conflict.
        #[serde(default)]
        pick: Option<Json>,
        /// A value of one's own.
        #[serde(default)]
        value: Option<Json>,
        /// A policy's name in a schema.
        #[serde(default)]
        by: Option<String>,
        /// The value that the field has then.
        #[serde(default)]
        gives: Option<Json>,
    }
    /// See [`Step::Undo`].
    Undo {
        /// The collection.
        #[serde(rename = "in")]
        collection: String,
        /// The document.
        id: String,
        /// The field.
        field: String,
        /// The value that the field has then.
        #[serde(default)]
        gives: Option<Json>,
    }
    /// See [`Step::Conflicted`].
    Conflicted {
        /// The collection; all when it is not said.
        #[serde(default, rename = "in")]
        collection: Option<String>,
        /// Collections and ids, in order.
        gives: Vec<(String, String)>,
    }
    /// See [`Step::Collections`].
    Collections {
        /// Their names, in order.
        gives: Vec<String>,
    }
    /// See [`Step::Sync`].
    Sync {}
}

/// A conflict, as every door can tell it. The first of the values is the one that reads show.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conflict {
    /// The field.
    pub field: String,
    /// `siblings`, `kind` or `deleted`.
    pub because: String,
    /// The concurrent values, winner first; what the hidden cell holds; what the deleted document's field holds.
    pub values: Vec<Json>,
}

fn first_replica() -> String {
    "a".into()
}

/// Tells `null` from nothing.
fn said<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Json>, D::Error> {
    Json::deserialize(from).map(Some)
}

/// All cases of a folder's `*.json` files, each with the file's name in front, by file and place.
///
/// # Errors
/// What can't be read or isn't a list of cases.
pub fn load(folder: &Path) -> Result<Vec<Case>, String> {
    let listed = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut paths: Vec<_> = listed.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    let mut cases = Vec::new();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "json")) {
        let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let found: Vec<Case> = serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        let file = path.file_stem().unwrap_or_default().to_string_lossy();
        cases.extend(found.into_iter().map(|case| Case { name: format!("{file}: {}", case.name), ..case }));
    }
    Ok(cases)
}
