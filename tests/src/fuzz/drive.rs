//! Running targets: one input under watch, and many mutated ones from a seed.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::Target;
use super::meter::{is_installed, peak_of};
use super::mutation::mutated;
use crate::panic::{said, tell_without_frames};
use crate::random::Random;

/// An input that broke an invariant.
#[derive(Debug, Clone)]
pub struct Broken {
    /// The input.
    pub input: Vec<u8>,
    /// What happened.
    pub why: String,
}

/// What many runs came to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    /// Inputs that were run.
    pub executions: u64,
    /// Those that the target took.
    pub taken: u64,
    /// The most memory that one run held, in bytes.
    pub peak_bytes: usize,
}

/// Makes what a target keeps from run to run, so that no input is charged for it, nor for what a contained panic is told with.
///
/// # Panics
/// When the program does not count what it allocates: see [`super::Meter`].
pub fn warm_up(target: &Target) {
    assert!(is_installed(), "the runner does not install the meter");
    tell_without_frames();
    (target.run)(&[]);
}

/// Runs one input. Gives whether it was taken, and how many bytes were held at once.
///
/// # Errors
/// What broke: a panic, or more memory than the target declares.
pub fn run(target: &Target, input: &[u8]) -> Result<(bool, usize), Broken> {
    let broken = |why: String| Broken { input: input.to_vec(), why };
    let (outcome, peak) = peak_of(|| catch_unwind(AssertUnwindSafe(|| (target.run)(input))));
    let taken = outcome.map_err(|panic| broken(format!("it panicked: {}", said(&*panic))))?;
    let most = target.memory.fixed + target.memory.per_byte * input.len();
    if peak > most {
        return Err(broken(format!("it held {peak} bytes at once, {most} are allowed for {} bytes", input.len())));
    }
    Ok((taken, peak))
}

/// Runs mutations of `inputs`; the same seed makes the same. `before` is told every input before it is run.
///
/// # Errors
/// The first input that broke something.
pub fn run_mutated(
    target: &Target,
    inputs: &[Vec<u8>],
    seed: u64,
    executions: u64,
    before: &mut dyn FnMut(&[u8]),
) -> Result<Tally, Broken> {
    let mut random = Random::new(seed);
    let mut tally = Tally::default();
    for _ in 0..executions {
        let input = mutated(inputs, target.input_bytes_max, &mut random);
        before(&input);
        let (taken, peak) = run(target, &input)?;
        tally.executions += 1;
        tally.taken += u64::from(taken);
        tally.peak_bytes = tally.peak_bytes.max(peak);
    }
    Ok(tally)
}

/// A shorter input that breaks the target too: parts are left out as long as it still does.
#[must_use]
pub fn shrunk(target: &Target, broken: Broken) -> Broken {
    let mut smallest = broken;
    let mut length = smallest.input.len() / 2;
    while length > 0 {
        let mut at = 0;
        while at < smallest.input.len() {
            let mut shorter = smallest.input.clone();
            drop(shorter.drain(at..shorter.len().min(at + length)));
            match run(target, &shorter) {
                Err(found) => smallest = found,
                Ok(_) => at += length,
            }
        }
        length /= 2;
    }
    smallest
}
