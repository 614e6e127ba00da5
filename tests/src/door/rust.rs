//! The Rust API.

mod lower;

use serde_json::Value as Json;
use tidewater_engine::document::{Conflict as Told, ConflictPolicy};
use tidewater_engine::id::{CommitId, ConflictVersion, DocumentId, IdError};
use tidewater_engine::query::{Cursor, Query};
use tidewater_engine::schema::Schema;
use tidewater_engine::store::{Durability, ReadError, Resolution, Transaction, TransactionError, WriteError};
use tidewater_engine::value::{Fields, Value};
use tidewater_sync::Database;

use super::{Door, Failure, Found, fields};
use crate::corpus::{Conflict, Find, Resolve, Step, Undo};

/// A database, used directly.
#[derive(Debug)]
pub struct RustDoor {
    database: Database,
}

impl RustDoor {
    /// The door into `database`.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database }
    }
}

impl Door for RustDoor {
    fn write(&mut self, writes: &[Step]) -> Result<Vec<bool>, Failure> {
        self.database
            .transaction(Durability::Local, |transaction| {
                writes.iter().map(|write| one(transaction, write)).collect::<Result<Vec<bool>, Failure>>()
            })
            .map_err(|error| match error {
                TransactionError::Aborted(failure) => failure,
                TransactionError::Write(error) => error.into(),
            })
    }

    fn get(&mut self, collection: &str, id: &str) -> Result<Option<Fields>, Failure> {
        let document = self.database.snapshot()?.get(None, collection, id)?;
        Ok(document.map(|document| document.fields))
    }

    fn find(&mut self, find: &Find, cursor: Option<&str>) -> Result<Found, Failure> {
        let mut query = Query::all(find.collection.as_str());
        query.filter = lower::filter(&find.filter)?;
        query.order = find.order.iter().map(|key| lower::order(key)).collect::<Result<_, _>>()?;
        query.page.limit = find.first;
        query.page.count = find.total.is_some();
        query.page.after = cursor.map(|text| lower::bytes(text).map(Cursor)).transpose()?;
        query.select = find.select.clone();
        let found = self.database.snapshot()?.find(&query)?;
        Ok(Found {
            cursor: found.cursors.last().map(|cursor| lower::text(&cursor.0)),
            more: found.has_more,
            total: found.total,
            documents: found.documents.into_iter().map(|document| (document.id.to_string(), document.fields)).collect(),
        })
    }

    fn conflicts(&mut self, collection: &str, id: &str) -> Result<Vec<Conflict>, Failure> {
        let id = DocumentId::new(id).map_err(|error| Failure { code: "invalid".into(), message: error.to_string() })?;
        let told = self.database.snapshot()?.conflicts(None, collection, &id)?;
        told.into_iter()
            .map(|conflict| {
                let (field, because, values) = match conflict {
                    Told::Siblings { field, values, .. } => {
                        (field, "siblings", values.into_iter().map(|sibling| sibling.value).collect())
                    }
                    Told::Kind { field, value, .. } => (field, "kind", vec![value]),
                    Told::EditedWhileDeleted { field, value, .. } => (field, "deleted", vec![value]),
                    other => return Err(Failure::case(format!("an unknown conflict: {other:?}"))),
                };
                let values = values.iter().map(json).collect::<Result<_, _>>()?;
                Ok(Conflict { field, because: because.into(), values })
            })
            .collect()
    }

    fn resolve(&mut self, resolve: &Resolve) -> Result<(String, Json), Failure> {
        let id = DocumentId::new(resolve.id.as_str()).map_err(|error| Failure::case(error.to_string()))?;
        let told = self.database.snapshot()?.conflicts(None, &resolve.collection, &id)?;
        let found = told.into_iter().find_map(|conflict| match conflict {
            Told::Siblings { field, values, version, .. } if field == resolve.field => Some((values, version)),
            _ => None,
        });
        let (values, seen) = found.unwrap_or((Vec::new(), ConflictVersion([0; 16])));
        let resolution = match (&resolve.pick, &resolve.value, &resolve.by) {
            (Some(pick), None, None) => {
                let picked = values.iter().find(|sibling| json(&sibling.value).is_ok_and(|value| value == *pick));
                Resolution::Pick { commit: picked.map_or(CommitId([0; 16]), |sibling| sibling.commit), seen }
            }
            (None, Some(own), None) => Resolution::Merge { value: lower::value(own)?, seen },
            (None, None, Some(by)) => {
                let policy = ConflictPolicy::from_name(by).ok_or_else(|| Failure::case(format!("no policy {by}")))?;
                Resolution::By(policy)
            }
            _ => return Err(Failure::case("a `resolve` says one of `pick`, `value` and `by`")),
        };
        let resolved = self.database.transaction(Durability::Local, |transaction| {
            transaction.resolve(&resolve.collection, &resolve.id, &resolve.field, &resolution)
        });
        let resolved = resolved.map_err(|error| match error {
            TransactionError::Aborted(error) | TransactionError::Write(error) => Failure::from(error),
        })?;
        Ok((resolved.commit.to_string(), json(&resolved.value)?))
    }

    fn undo(&mut self, undo: &Undo, commit: &str) -> Result<Json, Failure> {
        let commit = commit.parse().map_err(|error: IdError| Failure::case(error.to_string()))?;
        let undone = self.database.transaction(Durability::Local, |transaction| {
            transaction.undo_resolution(&undo.collection, &undo.id, &undo.field, commit)
        });
        let undone = undone.map_err(|error| match error {
            TransactionError::Aborted(error) | TransactionError::Write(error) => Failure::from(error),
        })?;
        json(&undone.value)
    }

    fn conflicted(&mut self, collection: Option<&str>) -> Result<Vec<(String, String)>, Failure> {
        let listed = self.database.snapshot()?.conflicted_documents(None, collection, None, usize::MAX)?;
        Ok(listed.into_iter().map(|one| (one.collection, one.id.to_string())).collect())
    }

    fn collections(&mut self) -> Result<Vec<String>, Failure> {
        Ok(self.database.snapshot()?.collections()?)
    }
}

fn json(value: &Value) -> Result<Json, Failure> {
    serde_json::from_str(&value.to_json()).map_err(|error| Failure::case(error.to_string()))
}

fn one(transaction: &mut Transaction<'_>, write: &Step) -> Result<bool, Failure> {
    Ok(match write {
        Step::Declare(declare) => {
            let schema = Schema::from_json(declare.schema.to_string().as_bytes())
                .map_err(|error| Failure { code: "invalid".into(), message: error.to_string() })?;
            transaction.set_schema(&declare.collection, &schema)?;
            true
        }
        Step::Create(create) => {
            transaction.insert(&create.collection, create.id.as_deref(), fields(&create.fields)?)?;
            true
        }
        Step::Update(update) => {
            let edits = update.edits.iter().map(|(field, edit)| Ok((field.clone(), lower::edit(edit)?)));
            transaction.update(&update.collection, &update.id, edits.collect::<Result<_, Failure>>()?)?;
            true
        }
        Step::Upsert(upsert) => transaction.upsert(&upsert.collection, &upsert.id, fields(&upsert.fields)?)?,
        Step::Delete(delete) => transaction.delete(&delete.collection, &delete.id)?,
        Step::Restore(restore) => {
            transaction.restore(&restore.collection, &restore.id)?;
            true
        }
        other => return Err(Failure::case(format!("not a write: {other:?}"))),
    })
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        let code = match &error {
            ReadError::Query { .. } => "query",
            ReadError::UnknownSpace { .. } => "unknown space",
            ReadError::Ambiguous { .. } => "ambiguous",
            ReadError::FieldUnavailable { .. } => "unavailable",
            _ => "storage",
        };
        Self { code: code.into(), message: error.to_string() }
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        let code = match &error {
            WriteError::Read(_) => {
                let WriteError::Read(read) = error else { unreachable!("just matched") };
                return read.into();
            }
            WriteError::Exists { .. } => "exists",
            WriteError::Missing { .. } | WriteError::UnknownSibling { .. } => "missing",
            WriteError::NoConflict { .. } | WriteError::NoResolution { .. } => "no conflict",
            WriteError::ConflictChanged { .. } | WriteError::ChangedSince { .. } => "changed",
            WriteError::Schema { .. } => "schema",
            WriteError::Invalid { .. } => "invalid",
            WriteError::TooLarge { .. } => "too large",
            WriteError::Forbidden { .. } => "forbidden",
            WriteError::NoHome | WriteError::TwoSpaces { .. } => "space",
            _ => "storage",
        };
        Self { code: code.into(), message: error.to_string() }
    }
}
