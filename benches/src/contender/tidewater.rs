//! Tidewater: every commit is sealed, hashed, signed for and folded into documents.

use std::path::Path;

use tidewater_engine::query::{Comparison, Filter, Nulls, Order, Query};
use tidewater_engine::schema::{Index, Schema};
use tidewater_engine::store::{Durability, Edit, WriteError};
use tidewater_engine::value::{Fields, Value};
use tidewater_sync::Database;

use super::{Contender, Outcome};
use crate::machine::database;
use crate::records::{Record, records};
use crate::report::TIDEWATER;

/// Where the records are.
pub(crate) const COLLECTION: &str = "records";

pub(crate) struct Tidewater(Database);

impl Contender for Tidewater {
    const NAME: &'static str = TIDEWATER;

    fn open(folder: &Path) -> Outcome<Self> {
        Ok(Self(database(folder, true)?))
    }

    fn insert(&self, records: &[Record]) -> Outcome<()> {
        Ok(self.0.transaction(Durability::Local, |transaction| {
            records
                .iter()
                .try_for_each(|record| transaction.insert(COLLECTION, Some(&record.id), fields(record)).map(drop))
        })?)
    }

    fn set_sizes(&self, changes: &[(String, i64)]) -> Outcome<()> {
        Ok(self.0.transaction(Durability::Local, |transaction| {
            changes.iter().try_for_each(|(id, size)| {
                transaction.update(COLLECTION, id, vec![("size".into(), Edit::Set(Value::Int(*size)))])
            })
        })?)
    }

    fn index_sizes(&self) -> Outcome<()> {
        let mut schema = Schema::default();
        schema.indexes.insert("by_size".into(), Index { fields: vec!["size".into()] });
        Ok(self.0.transaction(Durability::Local, |transaction| {
            transaction.set_schema(COLLECTION, &schema)?;
            Ok::<(), WriteError>(())
        })?)
    }

    fn get(&self, ids: &[String]) -> Outcome<u64> {
        let snapshot = self.0.snapshot()?;
        let mut found = 0;
        for id in ids {
            let document = snapshot.get(None, COLLECTION, id)?;
            found += u64::from(document.is_some_and(|document| document.fields.len() == FIELDS));
        }
        Ok(found)
    }

    fn range(&self, starts: &[i64], count: usize) -> Outcome<u64> {
        let snapshot = self.0.snapshot()?;
        let mut query = Query::all(COLLECTION);
        query.order = vec![Order { path: "size".into(), descending: false, nulls: Nulls::Least }];
        query.page.limit = Some(count);
        let mut found = 0;
        for start in starts {
            query.filter = Filter::Compare { path: "size".into(), comparison: Comparison::Gte(Value::Int(*start)) };
            found += snapshot.find(&query)?.documents.len() as u64;
        }
        Ok(found)
    }
}

/// Declares an index and inserts so many records, 1,000 a commit.
pub(crate) fn fill(database: &Database, count: u64) -> Outcome<()> {
    let database = Tidewater(database.clone());
    database.index_sizes()?;
    (0..count).step_by(1_000).try_for_each(|from| database.insert(&records(from, count.min(from + 1_000))))
}

/// How many fields a record has.
const FIELDS: usize = 5;

fn fields(record: &Record) -> Fields {
    Fields::from([
        ("title".into(), Value::String(record.title.clone())),
        ("section".into(), Value::String(record.section.clone())),
        ("size".into(), Value::Int(record.size)),
        ("score".into(), Value::Float(record.score)),
        ("done".into(), Value::Bool(record.done)),
    ])
}
