//! SQLite as an application would use it: WAL, synchronous=FULL, prepared statements, one table with typed columns.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior, params};

use super::{Contender, Outcome};
use crate::records::Record;

/// How long a writer waits for the other writers of the same file.
const BUSY: Duration = Duration::from_secs(60);

/// A file, and connections that are not in use: each thread works on one of its own.
pub(crate) struct Sqlite {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl Sqlite {
    fn connect(path: &Path) -> Outcome<Connection> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(BUSY)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "full")?;
        Ok(connection)
    }

    fn with<T>(&self, work: impl FnOnce(&mut Connection) -> Outcome<T>) -> Outcome<T> {
        let idle = self.idle.lock().map_err(|_| "another thread panicked")?.pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => Self::connect(&self.path)?,
        };
        let out = work(&mut connection)?;
        self.idle.lock().map_err(|_| "another thread panicked")?.push(connection);
        Ok(out)
    }
}

impl Contender for Sqlite {
    const NAME: &'static str = "SQLite";

    fn open(folder: &Path) -> Outcome<Self> {
        let path = folder.join("sqlite.db");
        let connection = Self::connect(&path)?;
        connection.execute_batch(
            "CREATE TABLE IF NOT EXISTS records (
                id TEXT PRIMARY KEY, title TEXT, section TEXT, size INTEGER, score REAL, done INTEGER) WITHOUT ROWID",
        )?;
        Ok(Self { path, idle: Mutex::new(vec![connection]) })
    }

    fn insert(&self, records: &[Record]) -> Outcome<()> {
        self.with(|connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            {
                let mut insert = transaction.prepare_cached("INSERT INTO records VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
                for r in records {
                    insert.execute(params![r.id, r.title, r.section, r.size, r.score, r.done])?;
                }
            }
            Ok(transaction.commit()?)
        })
    }

    fn set_sizes(&self, changes: &[(String, i64)]) -> Outcome<()> {
        self.with(|connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            {
                let mut update = transaction.prepare_cached("UPDATE records SET size = ?2 WHERE id = ?1")?;
                for (id, size) in changes {
                    update.execute(params![id, size])?;
                }
            }
            Ok(transaction.commit()?)
        })
    }

    fn index_sizes(&self) -> Outcome<()> {
        self.with(|connection| Ok(connection.execute_batch("CREATE INDEX by_size ON records (size)")?))
    }

    fn get(&self, ids: &[String]) -> Outcome<u64> {
        self.with(|connection| {
            let mut select = connection.prepare_cached("SELECT * FROM records WHERE id = ?1")?;
            let mut found = 0;
            for id in ids {
                let record = select.query_row([id], record)?;
                found += u64::from(record.id == *id);
            }
            Ok(found)
        })
    }

    fn range(&self, starts: &[i64], count: usize) -> Outcome<u64> {
        self.with(|connection| {
            let mut select =
                connection.prepare_cached("SELECT * FROM records WHERE size >= ?1 ORDER BY size LIMIT ?2")?;
            let mut found = 0;
            for start in starts {
                for row in select.query_map(params![start, count as i64], record)? {
                    found += u64::from(row?.size >= *start);
                }
            }
            Ok(found)
        })
    }
}

fn record(row: &rusqlite::Row<'_>) -> rusqlite::Result<Record> {
    Ok(Record {
        id: row.get(0)?,
        title: row.get(1)?,
        section: row.get(2)?,
        size: row.get(3)?,
        score: row.get(4)?,
        done: row.get(5)?,
    })
}
