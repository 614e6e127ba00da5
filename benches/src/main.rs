//! The benchmarks: `cargo run --release -p tidewater-benches` prints the table of goals.

mod contender;
mod import;
mod local;
mod machine;
mod measure;
mod memory;
mod records;
mod report;
mod shared;
mod sharing;
mod sync;
mod trace;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use contender::Outcome;
use measure::measure;
use report::{Report, Row, TIDEWATER};
use trace::Trace;

/// Measures Tidewater beside SQLite, redb and automerge, in one run.
#[derive(Parser)]
struct Arguments {
    /// Where the JSON and the plot go.
    #[arg(long, global = true, default_value = "target/bench")]
    out: PathBuf,
    /// How many records the table is measured over.
    #[arg(long, default_value_t = 100_000)]
    records: u64,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Replays an editing trace into a text field, and into automerge alone.
    Trace {
        /// A trace of the public editing-traces collection, `.json` or `.json.gz`.
        file: PathBuf,
    },
    /// Imports a file of NDJSON, whose records have the field `id`.
    Import {
        /// One JSON object a line.
        file: PathBuf,
    },
    /// Imports a file of NDJSON and syncs it to an empty replica over QUIC on this machine.
    Sync {
        /// One JSON object a line.
        file: PathBuf,
    },
    /// Gives many members ranks in a large space and removes one; offers a space; seals and opens commits.
    Sharing {
        /// How many documents the space has.
        #[arg(long, default_value_t = 1_000_000)]
        documents: u64,
        /// How many members.
        #[arg(long, default_value_t = 100)]
        members: usize,
    },
    /// What `memory` measures.
    #[command(hide = true)]
    MemoryChild,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match &arguments.command {
        None => table(arguments.records).map(|report| (report, "table".to_owned())),
        Some(Command::Trace { file }) => replay(file).map(|report| (report, named("trace", file))),
        Some(Command::Import { file }) => import::report(file).map(|report| (report, named("import", file))),
        Some(Command::Sync { file }) => import::sync(file).map(|report| (report, named("sync", file))),
        Some(Command::Sharing { documents, members }) => {
            let setting = format!("{documents} documents, {members} members; every commit durable");
            sharing::rows(*documents, *members).map(|rows| (Report { setting, rows }, "sharing".to_owned()))
        }
        Some(Command::MemoryChild) => return ended(memory::child()),
    };
    let written = outcome.and_then(|(report, name)| {
        print!("{}", report.table());
        report.write(&arguments.out, &name)?;
        println!("\n{0}/{name}.json, {0}/{name}.svg", arguments.out.display());
        Ok(())
    });
    ended(written)
}

fn ended(outcome: Outcome<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// `trace-NAME` for a file called `NAME.json.gz`.
fn named(what: &str, file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    format!("{what}-{}", name.split('.').next().unwrap_or_default())
}

fn table(records: u64) -> Outcome<Report> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let setting = format!("{records} records of 5 fields, {cores} cores; every commit durable");
    let mut rows = local::rows(records)?;
    rows.extend(memory::row()?);
    rows.extend(sync::rows(&sync::Payload {
        load: &|database| contender::tidewater::fill(database, records),
        collection: contender::tidewater::COLLECTION,
        records,
        ndjson_bytes: records::ndjson_bytes(records),
    })?);
    Ok(Report { setting, rows })
}

fn replay(file: &Path) -> Outcome<Report> {
    let trace = Trace::read(file)?;
    let edits = trace.edits();
    let mut rows = Vec::new();
    for batch in [1_000, 1] {
        let folder = tempfile::tempdir()?;
        let (own, own_cost) = measure(|| trace::tidewater::replay(&trace, batch, folder.path()));
        let own = own?;
        let (alone, alone_cost) = measure(|| trace::automerge_alone::replay(&trace, batch));
        let alone = alone?;
        for (name, content) in [(TIDEWATER, &*own.content), ("automerge", &*alone.content)] {
            if content != trace.end {
                return Err(format!("{name} did not reach endContent").into());
            }
        }
        let work = |what: &str| match batch {
            1 => format!("{what}, one edit a commit"),
            _ => format!("{what}, at most {batch} edits a commit"),
        };
        let row = |what: &str, unit, own: f64, alone: f64| {
            Row::new(work(what), unit).figure(TIDEWATER, own).figure("automerge", alone)
        };
        rows.push(
            row("replay", "CPU µs/edit", own_cost.cpu_us(edits), alone_cost.cpu_us(edits))
                .goal("within 1.3x of automerge", |own, of| own <= 1.3 * of("automerge")),
        );
        rows.push(row("replay", "wall s", own_cost.wall.as_secs_f64(), alone_cost.wall.as_secs_f64()));
        rows.push(row("file, saved document", "bytes", own.file_bytes as f64, alone.saved_bytes as f64));
    }
    let setting = format!("{}: {edits} edits by {} agents, endContent reached", file.display(), trace.agents);
    Ok(Report { setting, rows })
}
