//! The benchmarks: `cargo run --release -p tidewater-benches` prints the table of goals.

mod contender;
mod local;
mod measure;
mod records;
mod report;
mod trace;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use contender::Outcome;
use measure::measure;
use report::{Report, Row};
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
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match &arguments.command {
        None => table(arguments.records).map(|report| (report, "table".to_owned())),
        Some(Command::Trace { file }) => replay(file).map(|report| {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            (report, format!("trace-{}", name.split('.').next().unwrap_or_default()))
        }),
    };
    let written = outcome.and_then(|(report, name)| {
        print!("{}", report.table());
        report.write(&arguments.out, &name)?;
        println!("\n{0}/{name}.json, {0}/{name}.svg", arguments.out.display());
        Ok(())
    });
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn table(records: u64) -> Outcome<Report> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let setting = format!("{records} records of 5 fields, {cores} cores; every commit durable");
    Ok(Report { setting, rows: local::rows(records)? })
}

fn replay(file: &std::path::Path) -> Outcome<Report> {
    let trace = Trace::read(file)?;
    let edits = trace.edits();
    let mut rows = Vec::new();
    for batch in [1_000, 1] {
        let (replayed, cost) = measure(|| trace::automerge_alone::replay(&trace, batch));
        let replayed = replayed?;
        if replayed.content != trace.end {
            return Err("automerge alone did not reach endContent".into());
        }
        let work = format!("replay, at most {batch} edits a commit");
        rows.push(Row::new(&work, "CPU µs/edit").figure("automerge", cost.cpu_us(edits)));
        rows.push(Row::new(work, "wall s").figure("automerge", cost.wall.as_secs_f64()));
        rows.push(Row::new("saved document", "bytes").figure("automerge", replayed.saved_bytes as f64));
    }
    let setting = format!("{}: {edits} edits by {} agents, endContent reached", file.display(), trace.agents);
    Ok(Report { setting, rows })
}
