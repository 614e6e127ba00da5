//! Many worlds, one after the other; and a failing one made short.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use super::{Failure, Fault, Outcome, Settings, run};

/// How often a failing world is run again at most to make it shorter.
const SHRINKING_RUNS: usize = 200;

/// What many runs came to.
#[derive(Debug, Default)]
pub struct Proof {
    /// How many worlds were run.
    pub worlds: u64,
    /// How long they lived, in simulated milliseconds.
    pub simulated_ms: i64,
    /// How often each class of faults was reached.
    pub faults: BTreeMap<Fault, u64>,
    /// How often what happened.
    pub counts: BTreeMap<&'static str, u64>,
    /// The failures: the settings, made short, and how that run went.
    pub failures: Vec<(Settings, Outcome)>,
}

/// Runs a world for each seed: every tenth twice, to see that both runs are the same. Of those that fail the first is made short.
#[must_use]
pub fn prove(seeds: Range<u64>, ticks: u32, replicas: usize, hostile: bool) -> Proof {
    let mut proof = Proof::default();
    for seed in seeds {
        let settings = Settings::new(seed, ticks, replicas, hostile);
        let mut outcome = run(&settings);
        if seed % 10 == 0 && run(&settings) != outcome {
            outcome.failure = Some(Failure { why: "a second run went differently".to_owned() });
        }
        proof.add(&outcome);
        if outcome.failure.is_some() {
            let is_first = proof.failures.is_empty();
            proof.failures.push(if is_first { shorten(settings, outcome) } else { (settings, outcome) });
        }
    }
    proof
}

impl Proof {
    fn add(&mut self, outcome: &Outcome) {
        self.worlds += 1;
        self.simulated_ms += outcome.simulated_ms;
        for (fault, times) in &outcome.faults {
            *self.faults.entry(*fault).or_default() += times;
        }
        for (what, times) in &outcome.counts {
            *self.counts.entry(what).or_default() += times;
        }
    }

    /// Adds what other runs came to.
    pub fn merge(&mut self, other: Self) {
        self.worlds += other.worlds;
        self.simulated_ms += other.simulated_ms;
        for (fault, times) in other.faults {
            *self.faults.entry(fault).or_default() += times;
        }
        for (what, times) in other.counts {
            *self.counts.entry(what).or_default() += times;
        }
        self.failures.extend(other.failures);
    }

    /// Classes of faults that no run reached.
    #[must_use]
    pub fn unreached(&self, hostile: bool) -> Vec<Fault> {
        Fault::all(hostile).filter(|fault| !self.faults.contains_key(fault)).collect()
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hours = self.simulated_ms as f64 / 3_600_000.0;
        writeln!(f, "{} worlds, {hours:.1} simulated hours", self.worlds)?;
        self.counts.iter().try_for_each(|(what, times)| writeln!(f, "{times:>10} {what}"))?;
        self.faults.iter().try_for_each(|(fault, times)| writeln!(f, "{times:>10} times {fault}"))?;
        for (number, (settings, outcome)) in self.failures.iter().enumerate() {
            let Settings { seed, ticks, replicas, hostile, skip, without } = settings;
            let why = outcome.failure.as_ref().map_or("", |failure| &failure.why);
            if number == 0 {
                outcome.story.iter().try_for_each(|line| writeln!(f, "{line}"))?;
            }
            writeln!(f, "seed {seed} fails: {why}")?;
            let hostile = if *hostile { " --hostile" } else { "" };
            writeln!(f, "the whole of it: tests/sim --seed {seed} --ticks {ticks} --replicas {replicas}{hostile}")?;
            if !skip.is_empty() || !without.is_empty() {
                writeln!(f, "the story above leaves out {} of its ticks and the faults {without:?}", skip.len())?;
            }
        }
        Ok(())
    }
}

/// Leaves things out of a failing world while it fails.
fn shorten(settings: Settings, outcome: Outcome) -> (Settings, Outcome) {
    let mut runs = 0;
    let kind = outcome.failure.as_ref().map(kind);
    let mut best = (settings, outcome);
    let mut attempt = |best: &mut (Settings, Outcome), settings: Settings| {
        runs += 1;
        if runs > SHRINKING_RUNS {
            return false;
        }
        let outcome = run(&settings);
        let fails = outcome.failure.as_ref().map(self::kind) == kind;
        if fails {
            *best = (settings, outcome);
        }
        fails
    };
    for fault in Fault::all(best.0.hostile) {
        let mut settings = best.0.clone();
        settings.without.insert(fault);
        attempt(&mut best, settings);
    }
    let mut part = best.0.ticks.div_ceil(2).max(1);
    loop {
        for start in (0..best.0.ticks).step_by(part as usize).rev() {
            let more: Vec<u32> =
                (start..(start + part).min(best.0.ticks)).filter(|tick| !best.0.skip.contains(tick)).collect();
            if !more.is_empty() {
                let mut settings = best.0.clone();
                settings.skip.extend(more);
                attempt(&mut best, settings);
            }
        }
        if part == 1 {
            return best;
        }
        part = part.div_ceil(2);
    }
}

/// What a failure says without what differs from run to run, so that a world isn't shortened to another failure.
fn kind(failure: &Failure) -> String {
    failure.why.chars().filter(|letter| letter.is_ascii_lowercase() && !('a'..='f').contains(letter)).take(24).collect()
}
