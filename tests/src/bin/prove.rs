//! The long runs: what CI tries a little of, as much as asked.

use std::time::Instant;

use clap::{Parser, Subcommand};
use tidewater_tests::crash::points;

#[derive(Parser)]
#[command(about, version)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
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

fn main() {
    let start = Instant::now();
    match Arguments::parse().what {
        What::Crash { points, seed, steps } => {
            println!("{:?}", points::crash(points::Plan { seed, steps, points }));
        }
    }
    println!("{} s", start.elapsed().as_secs());
}
