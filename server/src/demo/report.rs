//! What the demonstration says: steps, what was seen, and what holds.

use std::io::{self, Write};

/// Says things on standard output, and remembers what did not hold.
#[derive(Debug, Default)]
pub(super) struct Report {
    steps: usize,
    checks: usize,
    failed: Vec<String>,
}

impl Report {
    /// Begins a step.
    pub(super) fn step(&mut self, title: &str) -> Result<(), String> {
        self.steps += 1;
        self.say(&format!("\n{}. {title}", self.steps))
    }

    /// Says something.
    pub(super) fn say(&mut self, text: &str) -> Result<(), String> {
        let mut out = io::stdout().lock();
        writeln!(out, "{text}").and_then(|()| out.flush()).map_err(|error| format!("the output failed: {error}"))
    }

    /// Says whether something holds.
    pub(super) fn check(&mut self, what: &str, holds: bool) -> Result<(), String> {
        self.checks += 1;
        if !holds {
            self.failed.push(what.to_owned());
        }
        self.say(&format!("   {} {what}", if holds { "✓" } else { "✗" }))
    }

    /// Whether everything held.
    pub(super) fn outcome(mut self) -> Result<(), String> {
        let (checks, failed) = (self.checks, self.failed.len());
        self.say(&format!("\n{} of {checks} checks hold.", checks - failed))?;
        match self.failed.first() {
            None => Ok(()),
            Some(first) => Err(format!("{failed} of {checks} checks do not hold, the first: {first}")),
        }
    }
}
