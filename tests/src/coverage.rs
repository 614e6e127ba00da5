//! How much of the pure crates the harnesses reach: lines and branches by module, from what `cargo llvm-cov` exports.
//!
//! A line or a branch that several programs or instantiations hold counts as reached by all of them together. Tests
//! and planted faults are no part of it. The compiler counts no branch of `match` and `?`; their arms are lines.

mod floor;
mod measured;
mod product;
mod table;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use floor::{CRATES, PARTS};
use measured::{Measured, Span};
use product::Product;
pub use table::{Reached, Share};

/// What to print.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// What `cargo llvm-cov report --json --skip-functions` wrote.
    export: PathBuf,
    /// The repository.
    #[arg(long, default_value = ".")]
    root: PathBuf,
    /// Print what is not reached in files whose path begins like this, too.
    #[arg(long)]
    unreached: Option<String>,
    /// Fail if it was not everything that is meant to be reached.
    #[arg(long)]
    floor: bool,
}

/// Prints the table. True: nothing is below its floor, or that was not asked.
///
/// # Panics
/// When the export or a source can't be read.
#[must_use]
pub fn main(arguments: &Arguments) -> bool {
    let sources = measure(&arguments.export, &arguments.root);
    for (path, source) in &sources {
        if arguments.unreached.as_ref().is_some_and(|prefix| path.starts_with(prefix)) {
            source.unreached().iter().for_each(|line| println!("{path}:{line}"));
        }
    }
    let files = sources.iter().map(|(path, source)| (path.clone(), source.reached())).collect();
    table::print(&files);
    let crates = CRATES.iter().map(|(name, floor)| {
        let folder = format!("{name}/src/");
        floor.missed(name, &table::sum(&files, |path| path.starts_with(&folder)))
    });
    let parts = PARTS.iter().map(|part| part.floor.missed(part.name, &table::sum(&files, |path| part.has(path))));
    let missed: Vec<String> = crates.chain(parts).flatten().collect();
    missed.iter().for_each(|missed| println!("below its floor: {missed}"));
    missed.is_empty() || !arguments.floor
}

/// One source of the product, and what was reached of it.
#[derive(Debug)]
pub struct Source {
    measured: Measured,
    product: Product,
}

/// The sources of both crates below `root`, by path.
///
/// # Panics
/// When the export or a source can't be read.
#[must_use]
pub fn measure(export: &Path, root: &Path) -> BTreeMap<String, Source> {
    let root = root.canonicalize().expect("the repository is there");
    let mut measured = measured::read(export, &root);
    let sources = CRATES.iter().flat_map(|(name, _)| product::of(&root, &Path::new(name).join("src")));
    sources
        .map(|(path, product)| {
            let measured = measured.remove(&path).unwrap_or_default();
            (path, Source { measured, product })
        })
        .collect()
}

impl Source {
    /// How much was reached.
    #[must_use]
    pub fn reached(&self) -> Reached {
        Reached::of(&self.measured, &self.product)
    }

    /// What was not, a line for each: where it stands, and what.
    #[must_use]
    pub fn unreached(&self) -> Vec<String> {
        let Self { measured, product } = self;
        let lines = measured.lines.iter().filter(|(line, count)| **count == 0 && product.has_line(**line));
        let lines = lines.map(|(line, _)| (*line, format!("{line}: not run: {}", product.text(*line))));
        let branches = measured.branches.iter().filter(|(span, _)| product.has_branch(span));
        let branches = branches.filter_map(|(span, outcomes)| {
            let never = match (outcomes.taken, outcomes.passed) {
                (true, true) => return None,
                (true, false) => "never false",
                (false, true) => "never true",
                (false, false) => "never asked",
            };
            let Span { line, column, .. } = *span;
            Some((line, format!("{line}:{column}: {never}: {}", product.text(line))))
        });
        let mut unreached: Vec<(u32, String)> = lines.chain(branches).collect();
        unreached.sort();
        unreached.into_iter().map(|(_, what)| what).collect()
    }
}
