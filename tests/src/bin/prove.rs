//! Long runs of the harnesses that the tests run a little of.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, Subcommand};
use tidewater_tests::crash::{faults, points, rot};
use tidewater_tests::{fuzz, siege, soak, story};

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
    /// Lets every call of short workloads fail: no space, errors, short writes, syncs that fail.
    Faults {
        /// How many calls fail.
        #[arg(long, default_value_t = 5_000)]
        points: usize,
        /// The seed of the first workload.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Lets real devices write, sync, restart, die and come back for long, and plots what they take.
    Soak {
        /// How many records are written, written again or deleted.
        #[arg(long, default_value_t = 100_000)]
        operations: u64,
        /// The seed.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Where `soak.csv` and `soak.svg` are put.
        #[arg(long, default_value = "target/soak")]
        folder: PathBuf,
    },
    /// Tells random stories of an embedded database through its public API, and holds them to plain maps.
    Model {
        /// How many stories.
        #[arg(long, default_value_t = 2_000)]
        stories: u64,
        /// Steps of each.
        #[arg(long, default_value_t = 100)]
        steps: usize,
        /// The seed of the first.
        #[arg(long, default_value_t = 0)]
        seed: u64,
    },
    /// Lets many hostile peers loose on a real `tide serve` at once, while two honest devices sync.
    Siege {
        /// Peers at once.
        #[arg(long, default_value_t = 100)]
        peers: usize,
        /// How many messages each sends.
        #[arg(long, default_value_t = 600)]
        messages: u64,
        /// The most memory that they may cost, with the storage's cache of 64 MiB, in MiB.
        #[arg(long, default_value_t = 128)]
        most_mib: u64,
        /// The seed.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Prints how much of the pure crates the harnesses reach. `tests/coverage` runs them first.
    Coverage(tidewater_tests::coverage::Arguments),
    /// Damages a database file: flipped bits, zeroed, swapped and stale pages.
    Rot {
        /// How many images.
        #[arg(long, default_value_t = 10_000)]
        images: usize,
        /// The seed.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Steps of the workload that makes the database.
        #[arg(long, default_value_t = 30)]
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
        Harness::Faults { points, seed } => {
            println!("{:?}", faults::faults(faults::Plan { seed, points }));
            true
        }
        Harness::Soak { operations, seed, folder } => {
            let wrong =
                soak::soak(&soak::Plan { operations, seed, folder: folder.clone() }).expect("the record is written");
            wrong.iter().for_each(|wrong| println!("{wrong}"));
            println!("{}", folder.join("soak.svg").display());
            wrong.is_empty()
        }
        Harness::Model { stories, steps, seed } => match story::tell_all(seed..seed.saturating_add(stories), steps) {
            Ok(reached) => {
                println!("{reached:?}");
                true
            }
            Err((seed, wrong)) => {
                println!("seed {seed}\n{wrong}");
                false
            }
        },
        Harness::Siege { peers, messages, most_mib, seed } => {
            let outcome = siege::besiege(siege::Plan { peers, messages, seed });
            println!("{outcome:?}");
            outcome.handles.0 == outcome.handles.1 && outcome.peak_kib - outcome.before_kib <= most_mib << 10
        }
        Harness::Coverage(arguments) => tidewater_tests::coverage::main(&arguments),
        Harness::Rot { images, seed, steps } => {
            println!("{:?}", rot::rot(rot::Plan { seed, steps, images, threads: rot::all_threads() }));
            true
        }
    };
    println!("{} s", start.elapsed().as_secs());
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
