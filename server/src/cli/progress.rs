//! Progress on standard error: a bar on a terminal, after a second; a line every few seconds elsewhere. Nothing for what is quick.

use std::fmt;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

/// From when on work is long enough to be shown.
const SHOWN_AFTER: Duration = Duration::from_secs(1);
/// How often a line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// How often a terminal is drawn, per second.
const DRAWS_PER_SECOND: u8 = 10;

/// The progress of one piece of work.
pub(crate) struct Progress {
    bar: ProgressBar,
    what: &'static str,
    unit: &'static str,
    started: Instant,
    shown_after: Duration,
    written: Instant,
    terminal: bool,
    shown: bool,
}

impl Progress {
    /// Starts: `what` is being done, counted in `unit`, `total` of them if that is known.
    /// Nothing is ever written unless `shown`.
    pub(crate) fn start(what: &'static str, unit: &'static str, total: Option<u64>, shown: bool) -> Self {
        let now = Instant::now();
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden());
        let template = match total {
            Some(_) => "{prefix} [{bar:30}] {human_pos}/{human_len} {msg} {rate} eta {eta}",
            None => "{prefix} {spinner} {human_pos} {msg} {rate} {elapsed}",
        };
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let rate = |state: &ProgressState, out: &mut dyn fmt::Write| {
            // Writing to a string does not fail.
            let _ = write!(out, "{:.0}/s", state.per_sec());
        };
        bar.set_style(style.with_key("rate", rate));
        bar.set_prefix(what);
        bar.set_message(unit);
        let terminal = std::io::stderr().is_terminal();
        Self { bar, what, unit, started: now, shown_after: SHOWN_AFTER, written: now, terminal, shown }
    }

    /// Shows it at once, however quick the work is.
    pub(crate) fn at_once(self) -> Self {
        Self { shown_after: Duration::ZERO, ..self }
    }

    /// Moves to `position`, of `total` if that is known by now.
    pub(crate) fn at(&mut self, position: u64, total: Option<u64>) {
        if let Some(total) = total.filter(|total| self.bar.length() != Some(*total)) {
            self.bar.set_length(total);
        }
        self.bar.set_position(position);
        if !self.shown || self.started.elapsed() < self.shown_after {
            return;
        }
        if self.terminal {
            if self.bar.is_hidden() {
                self.bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND));
            }
        } else if self.written.elapsed() >= LINE_EVERY {
            self.written = Instant::now();
            let of = self.bar.length().map_or(String::new(), |total| format!(" of {total}"));
            let line = format!("{} {position}{of} {}\n", self.what, self.unit);
            // Progress that nobody can read is no reason to stop.
            let _ = std::io::stderr().write_all(line.as_bytes());
        }
    }

    /// Ends it: the bar goes away, unless it was shown at once; then it stays, full.
    pub(crate) fn finish(self) {
        if !self.shown_after.is_zero() {
            return self.bar.finish_and_clear();
        }
        self.bar.finish();
        if !self.bar.is_hidden() {
            // What is written next begins a line of its own.
            let _ = std::io::stderr().write_all(b"\n");
        }
    }
}
