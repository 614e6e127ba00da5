//! What `llvm-cov export` says of each file: how often each line was run, and which way each branch went.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use serde::Deserialize;

/// A file's lines and branches.
#[derive(Debug, Default)]
pub(super) struct Measured {
    /// How often each line was run that holds anything to run.
    pub(super) lines: BTreeMap<u32, u64>,
    pub(super) branches: BTreeMap<Span, Outcomes>,
}

/// Where a condition stands. Lines and columns count from 1; the end is behind its last character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span {
    pub(super) line: u32,
    pub(super) column: u32,
    pub(super) end_line: u32,
    pub(super) end_column: u32,
}

/// Which way a condition ever went.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outcomes {
    pub(super) taken: bool,
    pub(super) passed: bool,
}

#[derive(Deserialize)]
struct Export {
    data: Vec<Data>,
}

#[derive(Deserialize)]
struct Data {
    files: Vec<Exported>,
}

#[derive(Deserialize)]
struct Exported {
    filename: String,
    segments: Vec<Segment>,
    #[serde(default)]
    branches: Vec<Branch>,
}

/// What holds from one place in a file to the next.
#[derive(Deserialize, Clone, Copy)]
#[serde(from = "(u32, u32, u64, bool, bool, bool)")]
struct Segment {
    line: u32,
    count: u64,
    /// There is something to run.
    counts: bool,
    /// A region begins, that is not the gap between two.
    begins: bool,
    /// A stretch with nothing to run begins.
    skips: bool,
}

impl From<(u32, u32, u64, bool, bool, bool)> for Segment {
    fn from((line, _, count, counts, is_entry, is_gap): (u32, u32, u64, bool, bool, bool)) -> Self {
        Self { line, count, counts, begins: counts && is_entry && !is_gap, skips: !counts && is_entry }
    }
}

/// Line, column, line and column of its end, how often it was true and false, and three numbers of no use here.
type Branch = [u64; 9];

/// Reads an export. Paths are relative to the root; files elsewhere are left out.
pub(super) fn read(export: &Path, root: &Path) -> BTreeMap<String, Measured> {
    let file = BufReader::new(File::open(export).expect("the export is there"));
    let export: Export = serde_json::from_reader(file).expect("an export of llvm-cov");
    let mut measured: BTreeMap<String, Measured> = BTreeMap::new();
    for exported in export.data.into_iter().flat_map(|data| data.files) {
        let Some(path) = Path::new(&exported.filename).strip_prefix(root).ok().and_then(Path::to_str) else { continue };
        measured.entry(path.to_owned()).or_default().add(&exported);
    }
    measured
}

impl Measured {
    fn add(&mut self, exported: &Exported) {
        for (line, count) in lines(&exported.segments) {
            *self.lines.entry(line).or_default() += count;
        }
        for [line, column, end_line, end_column, taken, passed, ..] in &exported.branches {
            let [line, column, end_line, end_column] = [line, column, end_line, end_column].map(|at| *at as u32);
            let outcomes = self.branches.entry(Span { line, column, end_line, end_column }).or_default();
            outcomes.taken |= *taken > 0;
            outcomes.passed |= *passed > 0;
        }
    }
}

/// How often each line was run, as llvm-cov itself counts: most often of what begins on it or goes on into it.
fn lines(segments: &[Segment]) -> Vec<(u32, u64)> {
    let mut counted = Vec::new();
    let mut before: Option<Segment> = None;
    let mut rest = segments;
    let (Some(first), Some(last)) = (segments.first(), segments.last()) else { return counted };
    for line in first.line..=last.line {
        let (here, later) = rest.split_at(rest.partition_point(|segment| segment.line <= line));
        rest = later;
        let goes_on = before.filter(|segment| segment.counts);
        let begins = here.iter().filter(|segment| segment.begins);
        let most = begins.chain(goes_on.as_ref()).map(|segment| segment.count).max();
        if !here.first().is_some_and(|segment| segment.skips) {
            counted.extend(most.map(|most| (line, most)));
        }
        before = here.last().copied().or(before);
    }
    counted
}
