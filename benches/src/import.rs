//! Importing a file of NDJSON, and syncing it.

use std::fs::File;
use std::io::BufReader;
use std::ops::ControlFlow;
use std::path::Path;

use rusqlite::{Connection, params};
use tidewater_engine::port::{ImportOptions, import};
use tidewater_sync::Database;

use crate::contender::Outcome;
use crate::machine::database;
use crate::measure::measure;
use crate::report::{Report, Row, TIDEWATER};
use crate::sync::{self, Payload};

/// The collection that the file goes to.
const COLLECTION: &str = "records";
/// How many records share a commit in SQLite: as in an import.
const BATCH: usize = 1_000;

/// Imports `file` into Tidewater, and its lines into a table of id and JSON text in SQLite.
pub(crate) fn report(file: &Path) -> Outcome<Report> {
    let (ndjson, records) = sync::size(file)?;
    let folder = tempfile::tempdir()?;
    let own = database(folder.path(), true)?;
    let (imported, own_cost) = measure(|| load(&own, file));
    imported?;
    drop(own);
    let own_bytes = std::fs::metadata(folder.path().join("tidewater.tide"))?.len();

    let (stored, sqlite_cost) = measure(|| into_sqlite(file, folder.path()));
    let sqlite_bytes = stored?;
    const SQLITE: &str = "SQLite, JSON text";
    let share = |bytes: u64| bytes as f64 / ndjson as f64;
    let rows = vec![
        Row::new("import", "CPU µs/record")
            .figure(TIDEWATER, own_cost.cpu_us(records))
            .figure(SQLITE, sqlite_cost.cpu_us(records)),
        Row::new("import", "records/s")
            .figure(TIDEWATER, own_cost.per_second(records))
            .figure(SQLITE, sqlite_cost.per_second(records)),
        Row::new("file after the import", "bytes/NDJSON byte")
            .figure(TIDEWATER, share(own_bytes))
            .figure(SQLITE, share(sqlite_bytes))
            .goal("at most 2x with full history", |own, _| own <= 2.0),
    ];
    Ok(Report { setting: format!("{}: {records} records, {ndjson} bytes", file.display()), rows })
}

/// Imports `file` and links an empty replica.
pub(crate) fn sync(file: &Path) -> Outcome<Report> {
    let (ndjson_bytes, records) = sync::size(file)?;
    let load = |database: &Database| load(database, file);
    let rows = sync::rows(&Payload { load: &load, collection: COLLECTION, records, ndjson_bytes })?;
    Ok(Report { setting: format!("{}: {records} records, {ndjson_bytes} bytes", file.display()), rows })
}

fn load(database: &Database, file: &Path) -> Outcome<()> {
    let input = BufReader::new(File::open(file)?);
    import(database, input, &ImportOptions::new(COLLECTION), &mut |_| ControlFlow::Continue(()))?;
    Ok(())
}

/// The size of the file afterwards.
fn into_sqlite(file: &Path, folder: &Path) -> Outcome<u64> {
    let path = folder.join("sqlite.db");
    let mut connection = Connection::open(&path)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.execute_batch("CREATE TABLE records (id TEXT PRIMARY KEY, body TEXT) WITHOUT ROWID")?;
    let text = std::fs::read_to_string(file)?;
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    for batch in lines.chunks(BATCH) {
        let transaction = connection.transaction()?;
        {
            let mut insert = transaction.prepare_cached("INSERT OR REPLACE INTO records VALUES (?1, ?2)")?;
            for line in batch {
                let record: serde_json::Value = serde_json::from_str(line)?;
                let id = record["id"].as_str().ok_or("a record without a text as its id")?;
                insert.execute(params![id, line])?;
            }
        }
        transaction.commit()?;
    }
    drop(connection);
    Ok(std::fs::metadata(path)?.len())
}
