//! The work that one database does by itself: the same for every contender.

use std::fs;
use std::path::Path;

use crate::contender::raw_redb::RawRedb;
use crate::contender::sqlite::Sqlite;
use crate::contender::tidewater::Tidewater;
use crate::contender::{Contender, Outcome};
use crate::measure::measure;
use crate::records::{Random, Record, ndjson_bytes, records};
use crate::report::Row;

/// How many records or changes share a commit in the bulk works.
const BATCH: usize = 1_000;
/// How many threads commit single records at once.
const THREADS: u64 = 16;
/// How many single records each of them commits.
const COMMITS_A_THREAD: u64 = 100;
/// How many records are read by id.
const POINT_READS: usize = 200_000;
/// How many ranges are read.
const RANGES: usize = 2_000;
/// How many records a range gives.
const RANGE: usize = 100;

/// What one contender reached.
struct Figures {
    insert_us: f64,
    bytes: f64,
    update_us: f64,
    commits_per_s: f64,
    get_us: f64,
    range_us: f64,
    open_ms: f64,
}

/// Runs all contenders over `count` records.
pub(crate) fn rows(count: u64) -> Outcome<Vec<Row>> {
    let ndjson = ndjson_bytes(count);
    let all = [
        (Tidewater::NAME, run::<Tidewater>(count)?),
        (Sqlite::NAME, run::<Sqlite>(count)?),
        (RawRedb::NAME, run::<RawRedb>(count)?),
    ];
    let row = |work: &str, unit, value: &dyn Fn(&Figures) -> f64| {
        all.iter().fold(Row::new(work, unit), |row, (name, figures)| row.figure(name, value(figures)))
    };
    Ok(vec![
        row("bulk insert, 5 fields, 1,000 a commit", "CPU µs/record", &|f| f.insert_us)
            .goal("within 1.5x of SQLite", |own, of| own <= 1.5 * of(Sqlite::NAME)),
        row("update of one field, 1,000 a commit, random order", "CPU µs/update", &|f| f.update_us)
            .goal("ahead of SQLite", |own, of| own < of(Sqlite::NAME)),
        row("single-record durable commits, 16 threads", "commits/s", &|f| f.commits_per_s)
            .goal("at least 10x SQLite", |own, of| own >= 10.0 * of(Sqlite::NAME)),
        row("point read by id", "CPU µs/read", &|f| f.get_us).goal("ahead of SQLite", |own, of| own < of(Sqlite::NAME)),
        row("indexed range of 100", "CPU µs/record", &|f| f.range_us)
            .goal("ahead of SQLite", |own, of| own < of(Sqlite::NAME)),
        row(&format!("open a file of {count} records"), "ms", &|f| f.open_ms).goal("under 50 ms", |own, _| own < 50.0),
        row("file after the import", "bytes/NDJSON byte", &|f| f.bytes / ndjson as f64)
            .goal("at most 2x with full history", |own, _| own <= 2.0),
    ])
}

fn run<C: Contender>(count: u64) -> Outcome<Figures> {
    let folder = tempfile::tempdir()?;
    let contender = C::open(folder.path())?;
    eprintln!("{}: {count} records", C::NAME);
    let batches: Vec<Vec<Record>> =
        (0..count).step_by(BATCH).map(|from| records(from, count.min(from + BATCH as u64))).collect();
    let (outcome, insert) = measure(|| batches.iter().try_for_each(|batch| contender.insert(batch)));
    outcome?;
    drop(contender);
    let bytes = folder_bytes(folder.path())?;

    let (contender, open) = measure(|| C::open(folder.path()));
    let contender = contender?;
    let mut random = Random::new(1);
    let mut id = || Record::numbered(random.below(count)).id;
    let reads: Vec<String> = (0..POINT_READS).map(|_| id()).collect();
    let (found, get) = measure(|| contender.get(&reads));
    expect(C::NAME, "point reads", found?, POINT_READS as u64)?;

    let changes: Vec<(String, i64)> = (0..count).map(|n| (id(), (n * 7_919 % 1_000_000) as i64)).collect();
    let (outcome, update) = measure(|| changes.chunks(BATCH).try_for_each(|batch| contender.set_sizes(batch)));
    outcome?;

    contender.index_sizes()?;
    let starts: Vec<i64> = (0..RANGES).map(|_| random.below(500_000) as i64).collect();
    let (found, range) = measure(|| contender.range(&starts, RANGE));
    expect(C::NAME, "ranges", found?, (RANGES * RANGE) as u64)?;

    let singles: Vec<Vec<Record>> = (0..THREADS)
        .map(|thread| count + thread * COMMITS_A_THREAD)
        .map(|from| records(from, from + COMMITS_A_THREAD))
        .collect();
    let (outcome, commits) = measure(|| commit_from_many_threads(&contender, &singles));
    outcome?;
    let last: Vec<String> = singles.iter().flatten().map(|record| record.id.clone()).collect();
    expect(C::NAME, "single commits", contender.get(&last)?, THREADS * COMMITS_A_THREAD)?;

    Ok(Figures {
        insert_us: insert.cpu_us(count),
        bytes: bytes as f64,
        update_us: update.cpu_us(count),
        commits_per_s: commits.per_second(THREADS * COMMITS_A_THREAD),
        get_us: get.cpu_us(POINT_READS as u64),
        range_us: range.cpu_us((RANGES * RANGE) as u64),
        open_ms: open.wall_ms(),
    })
}

fn commit_from_many_threads<C: Contender>(contender: &C, singles: &[Vec<Record>]) -> Outcome<()> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = singles
            .iter()
            .map(|mine| {
                scope.spawn(move || mine.iter().try_for_each(|one| contender.insert(std::slice::from_ref(one))))
            })
            .collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a thread panicked")?)
    })
}

/// A figure counts only when the work was really done.
fn expect(contender: &str, work: &str, found: u64, expected: u64) -> Outcome<()> {
    if found == expected {
        return Ok(());
    }
    Err(format!("{contender}: {work} found {found} records, not {expected}").into())
}

fn folder_bytes(folder: &Path) -> Outcome<u64> {
    fs::read_dir(folder)?.try_fold(0, |sum, entry| {
        let metadata = entry?.metadata()?;
        Ok(sum + if metadata.is_file() { metadata.len() } else { 0 })
    })
}
