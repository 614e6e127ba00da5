//! `prove fuzz`: long runs without libFuzzer.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::Args;

use super::drive::{Broken, Tally, run, run_mutated, shrunk, warm_up};
use super::{TARGETS, Target, corpus, target};

/// How long one input may take before it counts as a hang.
const HANG: Duration = Duration::from_secs(20);

/// What to run.
#[derive(Debug, Args)]
pub struct Fuzz {
    /// The target; every one when none is named.
    #[arg(long)]
    target: Option<String>,
    /// How many mutated inputs each target gets.
    #[arg(long, default_value_t = 10_000)]
    executions: u64,
    /// The same seed makes the same inputs.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Run this one input instead.
    #[arg(long, requires = "target")]
    input: Option<PathBuf>,
    /// Write the kept seeds of the targets anew instead.
    #[arg(long)]
    bless: bool,
}

impl Fuzz {
    /// Does it, and prints what it came to. True: nothing broke.
    #[must_use]
    pub fn run(&self) -> bool {
        let chosen: Vec<Target> = match &self.target {
            None => TARGETS.to_vec(),
            Some(name) => target(name).into_iter().copied().collect(),
        };
        if chosen.is_empty() {
            let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            eprintln!("no such target; there are {}", names.join(", "));
            return false;
        }
        let mut broken = 0;
        for target in &chosen {
            if let Err(found) = self.run_one(target) {
                broken += 1;
                let name = std::env::temp_dir().join(format!("{}-{:016x}.bin", target.name, hash(&found.input)));
                let kept = std::fs::write(&name, &found.input);
                eprintln!(
                    "{}: {} ({} bytes, in {}: {kept:?})",
                    target.name,
                    found.why,
                    found.input.len(),
                    name.display()
                );
                eprintln!("  again: prove fuzz --target {} --input {}", target.name, name.display());
            }
        }
        broken == 0
    }

    fn run_one(&self, target: &Target) -> Result<(), Broken> {
        let failed = |error: std::io::Error| Broken { input: Vec::new(), why: error.to_string() };
        if self.bless {
            return corpus::bless(target).map_err(failed);
        }
        warm_up(target);
        if let Some(path) = &self.input {
            let (taken, peak) = run(target, &std::fs::read(path).map_err(failed)?)?;
            println!("{}: {}, {peak} bytes held", target.name, if taken { "taken" } else { "refused" });
            return Ok(());
        }
        let inputs: Vec<Vec<u8>> = corpus::kept(target).map_err(failed)?.into_iter().map(|(_, input)| input).collect();
        for input in &inputs {
            run(target, input)?;
        }
        let watch = Watch::start(target.name);
        let begun = Instant::now();
        let outcome = run_mutated(target, &inputs, self.seed, self.executions, &mut |input| watch.note(input));
        watch.stop();
        let Tally { executions, taken, peak_bytes } = outcome.map_err(|broken| shrunk(target, broken))?;
        let (name, seconds) = (target.name, begun.elapsed().as_secs_f64());
        println!("{name}: {executions} executions, {taken} taken, {peak_bytes} bytes held at most, {seconds:.1} s");
        Ok(())
    }
}

fn hash(input: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(input)
}

/// The input that is run, and since when.
type Running = Option<(Instant, Vec<u8>)>;

/// Ends the program, with the input, when one takes too long.
struct Watch(Arc<Mutex<Running>>);

impl Watch {
    fn start(target: &'static str) -> Self {
        let current = Arc::new(Mutex::new(Some((Instant::now(), Vec::new()))));
        let watched = Arc::clone(&current);
        std::thread::spawn(move || {
            // The lock is let go of before it sleeps: a guard in the condition itself would last as long as the body.
            let look = || watched.lock().unwrap_or_else(PoisonError::into_inner).clone();
            while let Some((since, input)) = look() {
                if since.elapsed() > HANG {
                    let name = std::env::temp_dir().join(format!("{target}-hang.bin"));
                    let kept = std::fs::write(&name, &input);
                    eprintln!("{target}: it takes longer than {HANG:?}; the input is in {}: {kept:?}", name.display());
                    std::process::exit(1);
                }
                std::thread::sleep(HANG / 20);
            }
        });
        Self(current)
    }

    fn note(&self, input: &[u8]) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), input.to_vec()));
    }

    fn stop(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
