//! What every database under test can do, so that all run the same work.

pub(crate) mod raw_redb;
pub(crate) mod sqlite;
pub(crate) mod tidewater;

use std::error::Error;
use std::path::Path;

use crate::records::Record;

/// Any failure ends the run.
pub(crate) type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// A database under test, in one folder. Every commit is durable when its call returns.
pub(crate) trait Contender: Sync {
    /// Its name in the table.
    const NAME: &'static str;

    /// Opens the database in `folder`, or creates it.
    fn open(folder: &Path) -> Outcome<Self>
    where
        Self: Sized;

    /// Inserts records in one commit. Called from many threads at once.
    fn insert(&self, records: &[Record]) -> Outcome<()>;

    /// Sets the field `size` of existing records in one commit.
    fn set_sizes(&self, changes: &[(String, i64)]) -> Outcome<()>;

    /// Declares an index over `size` and fills it.
    fn index_sizes(&self) -> Outcome<()>;

    /// Reads whole records by id, and says how many there were.
    fn get(&self, ids: &[String]) -> Outcome<u64>;

    /// For each of `starts`: reads the first `count` whole records with `size >= start`, by size. Says how many there were.
    fn range(&self, starts: &[i64], count: usize) -> Outcome<u64>;
}
