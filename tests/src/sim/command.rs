//! `prove sim`: the command.

use super::{Proof, Settings, prove, run};

/// Which worlds to run.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// One world.
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Many worlds: from the first to before the second.
    #[arg(long, value_name = "A..B")]
    seeds: Option<String>,
    /// How many times somebody does something in a world.
    #[arg(long, default_value_t = 120)]
    ticks: u32,
    /// How many replicas a world has.
    #[arg(long, default_value_t = 3)]
    replicas: usize,
    /// One of the replicas doesn't keep to the rules.
    #[arg(long)]
    hostile: bool,
    /// Processors to use.
    #[arg(long, default_value_t = 1)]
    jobs: u64,
}

/// Runs what is asked for and prints what came of it. True: all is well.
///
/// # Panics
/// When a thread does.
#[must_use]
pub fn main(arguments: &Arguments) -> bool {
    let Arguments { seed, ticks, replicas, hostile, jobs, .. } = *arguments;
    if let Some(seed) = seed {
        let outcome = run(&Settings::new(seed, ticks, replicas, hostile));
        outcome.story.iter().for_each(|line| println!("{line}"));
        println!("{:?}\n{:?}", outcome.counts, outcome.faults);
        println!("{} ms, hash {}", outcome.simulated_ms, blake3::Hash::from(outcome.hash));
        return outcome.failure.inspect(|failure| println!("seed {seed} fails: {}", failure.why)).is_none();
    }
    let bounds = arguments.seeds.as_deref().unwrap_or("0..100").split_once("..");
    let Some((from, to)) = bounds.and_then(|(from, to)| Some((from.parse::<u64>().ok()?, to.parse::<u64>().ok()?)))
    else {
        eprintln!("--seeds wants two numbers, like 0..100");
        return false;
    };
    let share = to.saturating_sub(from).div_ceil(jobs.max(1));
    let mut proof = Proof::default();
    std::thread::scope(|scope| {
        let jobs: Vec<_> = (0..jobs.max(1))
            .map(|job| (from + job * share, (from + (job + 1) * share).min(to)))
            .map(|(from, to)| scope.spawn(move || prove(from..to, ticks, replicas, hostile)))
            .collect();
        jobs.into_iter().for_each(|job| proof.merge(job.join().expect("a world's panic is caught")));
    });
    println!("{proof}");
    let unreached = proof.unreached(hostile);
    if !unreached.is_empty() {
        println!("never reached: {unreached:?}");
    }
    proof.failures.is_empty()
}
