//! How much memory a process needs that opens a database, writes it full and reads it: measured in a process of its own.

use std::process::Command;

use crate::contender::tidewater::Tidewater;
use crate::contender::{Contender, Outcome};
use crate::measure::peak_memory_bytes;
use crate::records::Record;
use crate::report::{Row, TIDEWATER};

/// How many documents.
const DOCUMENTS: u64 = 100_000;
/// How many words each document's text has: about 500 bytes in all.
const WORDS: usize = 66;
/// How many documents share a commit.
const BATCH: u64 = 1_000;

fn document(n: u64) -> Record {
    let mut record = Record::numbered(n);
    let words: Vec<String> = (0..WORDS as u64 / 6).map(|more| Record::numbered(n + more * DOCUMENTS).title).collect();
    record.title = words.join(" ");
    record
}

/// What the child does: prints its peak and what it holds, in bytes.
pub(crate) fn child() -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let database = Tidewater::open(folder.path())?;
    let mut payload = 0;
    for from in (0..DOCUMENTS).step_by(BATCH as usize) {
        let batch: Vec<Record> = (from..from + BATCH).map(document).collect();
        payload += batch.iter().map(|record| record.to_json().len() + 1).sum::<usize>();
        database.insert(&batch)?;
    }
    for from in (0..DOCUMENTS).step_by(BATCH as usize) {
        let ids: Vec<String> = (from..from + BATCH).map(|n| Record::numbered(n).id).collect();
        if database.get(&ids)? != BATCH {
            return Err("a document is missing".into());
        }
    }
    println!("{} {payload}", peak_memory_bytes().unwrap_or(0));
    Ok(())
}

/// Starts the child and reads what it prints.
pub(crate) fn row() -> Outcome<Option<Row>> {
    eprintln!("memory of a process with {DOCUMENTS} documents");
    let output = Command::new(std::env::current_exe()?).arg("memory-child").output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    let text = String::from_utf8(output.stdout)?;
    let (peak, payload) = text.trim().split_once(' ').ok_or("the child printed something else")?;
    let (peak, payload): (f64, f64) = (peak.parse()?, payload.parse()?);
    let work = format!("peak memory, {DOCUMENTS} documents of {:.0} MB written and read", payload / 1e6);
    Ok((peak > 0.0)
        .then(|| Row::new(work, "x payload").figure(TIDEWATER, peak / payload).goal("at most 3x", |own, _| own <= 3.0)))
}
