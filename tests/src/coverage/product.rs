//! Which parts of a source are the product: not its tests, and not the faults that are planted in it.
//!
//! Sources are formatted, so what begins on a line ends at the first `}` of that line's own indent.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use super::measured::Span;

const TEST: &str = "#[cfg(test)]";
const PLANTED: &str = "planted!(";

/// One source and what of it is not the product.
#[derive(Debug)]
pub(super) struct Product {
    text: Vec<String>,
    /// Lines, from 0.
    left_out: Vec<Range<usize>>,
}

/// Every source below `folder` that is not made of tests alone, by its path from the root.
pub(super) fn of(root: &Path, folder: &Path) -> BTreeMap<String, Product> {
    let mut texts = BTreeMap::new();
    collect(root, folder, &mut texts);
    let tests: Vec<String> = texts.iter().flat_map(|(path, text)| test_modules(path, text)).collect();
    let is_test = |path: &str| {
        tests.iter().any(|module| path.strip_prefix(module.as_str()).is_some_and(|rest| rest.starts_with(['.', '/'])))
    };
    texts
        .into_iter()
        .filter(|(path, _)| !is_test(path))
        .map(|(path, text)| (path, Product { left_out: left_out(&text), text }))
        .collect()
}

fn collect(root: &Path, folder: &Path, texts: &mut BTreeMap<String, Vec<String>>) {
    for entry in root.join(folder).read_dir().expect("a folder of sources") {
        let path = folder.join(entry.expect("an entry of it").file_name());
        if root.join(&path).is_dir() {
            collect(root, &path, texts);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(root.join(&path)).expect("a source");
            let path = path.to_str().expect("paths are UTF-8").to_owned();
            texts.insert(path, text.lines().map(str::to_owned).collect());
        }
    }
}

/// The modules in files of their own that are built for tests alone: their paths without `.rs`.
fn test_modules(path: &str, text: &[String]) -> Vec<String> {
    let folder = path.strip_suffix("/lib.rs").or_else(|| path.strip_suffix(".rs")).unwrap_or(path);
    let declared = text.windows(2).filter(|lines| lines[0] == TEST).filter_map(|lines| {
        let name = lines[1].strip_suffix(';')?.rsplit_once("mod ")?.1;
        Some(format!("{folder}/{name}"))
    });
    declared.collect()
}

fn left_out(text: &[String]) -> Vec<Range<usize>> {
    let mut left_out = Vec::new();
    for (at, line) in text.iter().enumerate() {
        let code = line.trim_start();
        let opens = code.strip_suffix('{').is_some_and(|condition| {
            let condition = condition.trim_start_matches("} else ");
            condition.starts_with(&format!("if {PLANTED}")) && !condition.contains("||")
        });
        if code == TEST {
            left_out.push(at..block_end(text, at) + 1);
        } else if opens {
            let end = block_end(text, at);
            left_out.push(at + 1..end + usize::from(text[end].trim() == "}"));
        }
    }
    left_out
}

/// The line that closes what begins on this one.
fn block_end(text: &[String], at: usize) -> usize {
    let indent = &text[at][..text[at].len() - text[at].trim_start().len()];
    let closes = |line: &String| line.strip_prefix(indent).is_some_and(|code| code.starts_with('}'));
    text[at + 1..].iter().position(closes).map_or(at, |length| at + 1 + length)
}

impl Product {
    /// Whether the line, counted from 1, is part of it.
    pub(super) fn has_line(&self, line: u32) -> bool {
        let line = line as usize - 1;
        line < self.text.len() && !self.left_out.iter().any(|left_out| left_out.contains(&line))
    }

    /// Whether the condition is part of it: no planted fault, and nothing that is asked only where one is planted.
    pub(super) fn has_branch(&self, span: &Span) -> bool {
        let line = self.text.get(span.line as usize - 1).map_or("", String::as_str);
        let (before, here) = line.split_at_checked(span.column as usize - 1).unwrap_or((line, ""));
        let is_planted = here.trim_start_matches('!').starts_with(PLANTED);
        let is_behind = before.rsplit_once(PLANTED).is_some_and(|(before, behind)| {
            !before.ends_with('!') && behind.split_once(')').is_some_and(|(_, behind)| behind == " && ")
        });
        self.has_line(span.line) && !is_planted && !is_behind
    }

    /// What stands on the line.
    pub(super) fn text(&self, line: u32) -> &str {
        self.text.get(line as usize - 1).map_or("", |line| line.trim())
    }
}
