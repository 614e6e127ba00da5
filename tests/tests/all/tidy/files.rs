//! Files and functions: their names, their size, and that every one is used.

use std::collections::BTreeSet;

use super::{Tracked, expect_none, tracked};

/// The longest file of code, in lines.
const FILE_LINES: usize = 700;
/// The longest function, in lines.
const FUNCTION_LINES: usize = 120;
/// Drawers: names that don't say what is inside.
const DRAWERS: &[&str] = &["common", "helper", "helpers", "manager", "managers", "misc", "types", "util", "utils"];

#[test]
fn names_say_what_is_inside() {
    let found: Vec<String> = tracked()
        .into_iter()
        .map(|file| file.path)
        .filter(|path| {
            let drawer = path.split('/').any(|part| DRAWERS.contains(&part.split('.').next().unwrap_or_default()));
            drawer || path.ends_with("/mod.rs")
        })
        .collect();
    expect_none("files or folders that are drawers, and mod.rs (a module is foo.rs with foo/ beside it)", &found);
}

#[test]
fn every_rust_file_says_what_it_is() {
    let headless = |file: &&Tracked| file.is_rust() && !file.text().starts_with("//!");
    let found: Vec<String> = tracked().iter().filter(headless).map(|file| file.path.clone()).collect();
    expect_none("files that don't begin with `//!`", &found);
}

#[test]
fn files_are_of_a_readable_length() {
    let found: Vec<String> = tracked()
        .iter()
        .filter(|file| file.is_rust())
        .map(|file| (file.text().lines().count(), &file.path))
        .filter(|(lines, _)| *lines > FILE_LINES)
        .map(|(lines, path)| format!("{path}: {lines} lines"))
        .collect();
    expect_none(&format!("files over {FILE_LINES} lines; cut them by idea"), &found);
}

#[test]
fn functions_are_of_a_readable_length() {
    let found: Vec<String> = tracked()
        .iter()
        .filter(|file| file.is_rust())
        .flat_map(|file| {
            functions(file.text())
                .into_iter()
                .filter(|(_, lines)| *lines > FUNCTION_LINES)
                .map(|(at, lines)| format!("{}:{at}: {lines} lines", file.path))
        })
        .collect();
    expect_none(&format!("functions over {FUNCTION_LINES} lines"), &found);
}

/// The line number and the length of every function of a formatted source: it ends at the first `}` of its own indent.
fn functions(source: &str) -> Vec<(usize, usize)> {
    let lines: Vec<&str> = source.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let named = code.split_whitespace().take_while(|word| !word.contains('(')).any(|word| word == "fn")
            || code.starts_with("fn ");
        if !named || code.starts_with("//") {
            continue;
        }
        let indent = &line[..line.len() - code.len()];
        let opens =
            lines[start..].iter().position(|line| line.ends_with('{') || line.ends_with(';') || line.ends_with('}'));
        let Some(opens) = opens.filter(|opens| lines[start + opens].ends_with('{')) else { continue };
        let close = format!("{indent}}}");
        if let Some(length) = lines[start + opens..].iter().position(|line| **line == close) {
            found.push((start + 1, opens + length + 1));
        }
    }
    found
}

#[test]
fn the_length_of_a_function_is_counted_right() {
    let source = "fn short() {}\n\nimpl X {\n    pub async fn two(\n        self,\n    ) -> u8 {\n        if x {\n        }\n    }\n    fn declared();\n}\n";
    assert_eq!(functions(source), [(4, 6)]);
}

#[test]
fn no_file_is_dead() {
    let files = tracked();
    let paths: BTreeSet<&str> = files.iter().filter(|file| file.is_rust()).map(|file| file.path.as_str()).collect();
    let mut alive: BTreeSet<String> = BTreeSet::new();
    let mut next: Vec<String> = paths.iter().filter(|path| is_root(path)).map(|path| (*path).to_owned()).collect();
    while let Some(path) = next.pop() {
        if !alive.insert(path.clone()) {
            continue;
        }
        let file = files.iter().find(|file| file.path == path).expect("listed");
        let directory = if is_root(&path) {
            path.rsplit_once('/').map_or(String::new(), |(directory, _)| directory.to_owned())
        } else {
            path.trim_end_matches(".rs").to_owned()
        };
        for module in modules(file.text()) {
            let child = format!("{directory}/{module}.rs");
            if paths.contains(child.as_str()) {
                next.push(child);
            }
        }
    }
    let found: Vec<String> =
        paths.iter().filter(|path| !alive.contains(**path)).map(|path| (*path).to_owned()).collect();
    expect_none("files that no `mod` leads to", &found);
}

/// Whether cargo finds the file by itself.
fn is_root(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        [.., "src", "lib.rs" | "main.rs"] | [.., "build.rs"] => true,
        [.., "tests" | "examples" | "benches" | "bin" | "fuzz_targets", file] => {
            file.ends_with(".rs") && parts.len() > 2
        }
        [.., "tests" | "examples" | "benches" | "bin", _, "main.rs"] => true,
        _ => false,
    }
}

/// The modules that a source declares in files of their own.
fn modules(source: &str) -> impl Iterator<Item = &str> {
    source.lines().filter_map(|line| {
        let words = line.trim().strip_suffix(';')?;
        let at = words.strip_prefix("mod ").or_else(|| words.split_once(" mod ").map(|(_, name)| name))?;
        let public = words.starts_with("mod ") || words.starts_with("pub");
        public.then_some(at.trim())
    })
}
