//! Long runs of the harnesses that the tests run a little of.

use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, Subcommand};
use tidewater_tests::crash::points;
use tidewater_tests::fuzz;

#[global_allocator]
static METER: fuzz::Meter = fuzz::Meter;

#[derive(Parser)]
#[command(about, version)]
struct Arguments {
    #[command(subcommand)]
    harness: Harness,
}

#[derive(Subcommand)]
enum Harness {
    /// Simulated worlds: replicas, networks, disks, clocks and members that go wrong, by seed.
    Sim(tidewater_tests::sim::Arguments),
    /// Feeds mutated inputs to the fuzz targets.
    Fuzz(fuzz::command::Fuzz),
    /// Cuts the power at every call of recorded workloads, and again during recovery.
    Crash {
        /// How many images to open.
        #[arg(long, default_value_t = 50_000)]
        points: usize,
        /// The seed of the first workload.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Steps of a workload.
        #[arg(long, default_value_t = 60)]
        steps: usize,
    },
}

fn main() -> ExitCode {
    let start = Instant::now();
    let well = match Arguments::parse().harness {
        Harness::Sim(arguments) => tidewater_tests::sim::main(&arguments),
        Harness::Fuzz(fuzz) => fuzz.run(),
        Harness::Crash { points, seed, steps } => {
            println!("{:?}", points::crash(points::Plan { seed, steps, points }));
            true
        }
    };
    println!("{} s", start.elapsed().as_secs());
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
