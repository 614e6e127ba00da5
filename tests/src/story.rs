//! Random stories of one embedded database, told through the public API of the crate `tidewater` and checked against plain maps
//! after every step. A story is a list of seeds, one a step, so that it can be shortened while it still fails.

mod question;
mod teller;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use self::teller::Teller;
use crate::random::Random;

/// How often each kind of step was taken.
pub type Reached = BTreeMap<&'static str, u64>;

/// A story that went wrong.
#[derive(Debug)]
pub struct Wrong {
    /// The steps that are left of it, told in words.
    pub told: Vec<String>,
    /// What is wrong at their end.
    pub why: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.told.iter().try_for_each(|step| writeln!(f, "{step}"))?;
        write!(f, "{}", self.why)
    }
}

/// Tells the stories of seeds on two threads.
///
/// # Errors
/// A seed whose story went wrong, and how.
pub fn tell_all(seeds: Range<u64>, steps: usize) -> Result<Reached, (u64, Box<Wrong>)> {
    let next = AtomicU64::new(seeds.start);
    let work = || -> Result<Reached, (u64, Box<Wrong>)> {
        let mut reached = Reached::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return Ok(reached);
            }
            let told = tell(seed, steps).map_err(|wrong| (seed, wrong))?;
            told.into_iter().for_each(|(name, times)| *reached.entry(name).or_default() += times);
        }
    };
    let told = std::thread::scope(|scope| {
        let threads = [scope.spawn(work), scope.spawn(work)];
        threads.map(|thread| thread.join().expect("panics are caught"))
    });
    let mut all = Reached::new();
    for reached in told {
        reached?.into_iter().for_each(|(name, times)| *all.entry(name).or_default() += times);
    }
    Ok(all)
}

/// Tells the story of a seed.
///
/// # Errors
/// What went wrong, after steps that it does not need were left out.
pub fn tell(seed: u64, steps: usize) -> Result<Reached, Box<Wrong>> {
    let mut random = Random::new(seed);
    let steps: Vec<u64> = (0..steps).map(|_| random.number()).collect();
    run(seed, &steps, &mut Told::default()).map_err(|_| Box::new(shrink(seed, steps)))
}

/// What was done, in words.
#[derive(Default)]
struct Told {
    words: Vec<String>,
    /// Words are kept: they take longer to make than most steps.
    keeps: bool,
}

impl Told {
    fn push(&mut self, words: impl FnOnce() -> String) {
        if self.keeps {
            self.words.push(words());
        }
    }
}

fn run(seed: u64, steps: &[u64], told: &mut Told) -> Result<Reached, String> {
    let ran = catch_unwind(AssertUnwindSafe(|| -> Result<Reached, String> {
        let mut teller = Teller::new(seed);
        for step in steps {
            teller.step(&mut Random::new(*step), told)?;
        }
        teller.end()
    }));
    ran.unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        Err(format!("it panicked: {}", said.unwrap_or("without a word")))
    })
}

/// Leaves out what the failure does not need.
fn shrink(seed: u64, mut steps: Vec<u64>) -> Wrong {
    let mut length = steps.len() / 2;
    while length > 0 {
        let mut at = 0;
        while at < steps.len() {
            let mut fewer = steps.clone();
            drop(fewer.drain(at..fewer.len().min(at + length)));
            if run(seed, &fewer, &mut Told::default()).is_err() {
                steps = fewer;
            } else {
                at += length;
            }
        }
        length /= 2;
    }
    let mut told = Told { words: Vec::new(), keeps: true };
    match run(seed, &steps, &mut told) {
        Err(why) => Wrong { told: told.words, why },
        Ok(_) => Wrong { told: Vec::new(), why: "it went wrong once and does not again".into() },
    }
}
