//! The table that is printed: a row for each module, a sum for each crate and for each part that is held to more.

use std::collections::BTreeMap;
use std::fmt;

use super::floor::{CRATES, PARTS};
use super::measured::Measured;
use super::product::Product;

/// How many lines and branches there are, and how many were reached.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Reached {
    /// Lines that were run, and all that can be.
    pub lines: Share,
    /// Ways that conditions went, and all: two for each condition.
    pub branches: Share,
}

/// So many of so many.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// What was reached.
    pub reached: usize,
    /// What there is.
    pub all: usize,
}

impl Share {
    fn add(&mut self, other: Self) {
        self.reached += other.reached;
        self.all += other.all;
    }

    /// In hundredths of a percent, rounded down: only all of it is 100 %.
    pub(super) fn basis_points(self) -> usize {
        (self.reached * 10_000).checked_div(self.all).unwrap_or(10_000)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let points = self.basis_points();
        let shown = format!("{}/{} {:3}.{:02} %", self.reached, self.all, points / 100, points % 100);
        formatter.pad(&shown)
    }
}

impl Reached {
    pub(super) fn of(measured: &Measured, product: &Product) -> Self {
        let mut reached = Self::default();
        for (_, count) in measured.lines.iter().filter(|(line, _)| product.has_line(**line)) {
            reached.lines.add(Share { reached: usize::from(*count > 0), all: 1 });
        }
        for (_, outcomes) in measured.branches.iter().filter(|(span, _)| product.has_branch(span)) {
            let ways = usize::from(outcomes.taken) + usize::from(outcomes.passed);
            reached.branches.add(Share { reached: ways, all: 2 });
        }
        reached
    }
}

/// All files of these paths together.
pub(super) fn sum(files: &BTreeMap<String, Reached>, chosen: impl Fn(&str) -> bool) -> Reached {
    files.iter().filter(|(path, _)| chosen(path)).fold(Reached::default(), |mut sum, (_, file)| {
        sum.lines.add(file.lines);
        sum.branches.add(file.branches);
        sum
    })
}

pub(super) fn print(files: &BTreeMap<String, Reached>) {
    println!("{:22}{:>24}{:>24}", "module", "lines", "branches");
    for (name, _) in CRATES {
        let source = format!("{name}/src/");
        let mut modules: Vec<&str> = files.keys().filter_map(|path| module(path.strip_prefix(&source)?)).collect();
        modules.dedup();
        for module in modules {
            let inside = |path: &str| path.strip_prefix(&source).and_then(self::module) == Some(module);
            row(&format!("{name}::{module}"), sum(files, inside));
        }
        row(name, sum(files, |path| path.starts_with(&source)));
        println!();
    }
    for part in &PARTS {
        row(part.name, sum(files, |path| part.has(path)));
    }
}

/// The module that a path below `src` belongs to: the first folder, or the file.
fn module(path: &str) -> Option<&str> {
    path.split(['/', '.']).next()
}

fn row(name: &str, reached: Reached) {
    if reached != Reached::default() {
        println!("{name:22}{:>24}{:>24}", reached.lines, reached.branches);
    }
}
