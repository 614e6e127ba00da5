//! Words that may not stand in the repository.

use super::{Tracked, expect_none, tracked};

/// Left open, or silenced. Written in two halves so that this file doesn't find itself.
const OPEN: &[&str] = &[
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
    concat!("FIX", "ME"),
    concat!("TO", "DO"),
    concat!("XX", "X:"),
    concat!("#[all", "ow("),
    concat!("#![all", "ow("),
    concat!("#[ign", "ore"),
];

/// Folders of somebody's machine.
const MACHINES: &[&str] =
    &[concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/wo", "rk/"), concat!("/Us", "ers/")];

/// Hosts that packages come from: which registry a machine uses is its own affair.
const REGISTRIES: &[&str] = &[
    concat!("crates", ".io"),
    concat!("pypi", ".org"),
    concat!("pythonhosted", ".org"),
    concat!("npmjs", ".org"),
    concat!("npmjs", ".com"),
    concat!("debian", ".org"),
    concat!("rust-lang", ".org"),
    concat!("golang", ".org"),
];

/// How cargo names its default registry in lock files and policies: a name, not a host that anything is fetched from.
const DEFAULT_REGISTRY: &str = concat!("github.com/rust-lang/crates", ".io-index");

/// Every line of every text with one of `words`, where `matches` agrees on the place.
fn lines_with(files: &[Tracked], words: &[&str], matches: impl Fn(&str, usize) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for file in files {
        for (number, line) in file.text().lines().enumerate() {
            if words.iter().any(|word| line.match_indices(word).any(|(at, _)| matches(line, at))) {
                found.push(format!(
                    "{}:{}: {}",
                    file.path,
                    number + 1,
                    line.trim().chars().take(120).collect::<String>()
                ));
            }
        }
    }
    found
}

#[test]
fn nothing_is_left_open_or_silenced() {
    let sources: Vec<Tracked> = tracked().into_iter().filter(|file| !file.path.ends_with("Cargo.lock")).collect();
    expect_none("left open or silenced (use #[expect(.., reason)])", &lines_with(&sources, OPEN, |_, _| true));
}

#[test]
fn no_path_of_a_machine() {
    let stands_alone = |line: &str, at: usize| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| !c.is_alphanumeric() && !"._-}/*".contains(c))
    };
    expect_none("paths of a machine", &lines_with(&tracked(), MACHINES, stands_alone));
}

#[test]
fn no_host_of_a_package_registry() {
    let files: Vec<Tracked> = tracked()
        .into_iter()
        .map(|file| Tracked { text: file.text.map(|text| text.replace(DEFAULT_REGISTRY, "")), path: file.path })
        .collect();
    expect_none("hosts of package registries", &lines_with(&files, REGISTRIES, |_, _| true));
}

#[test]
fn every_page_that_is_named_is_there() {
    let files = tracked();
    let exists = |path: &str| files.iter().any(|file| file.path == path || file.path.starts_with(&format!("{path}/")));
    let mut found = Vec::new();
    for file in &files {
        // Pages named by their path from the root, anywhere.
        for (at, _) in file.text().match_indices("docs/") {
            let rest = &file.text()[at..];
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !"/._-".contains(c)).unwrap_or(rest.len());
            let page = &rest[..end];
            let page = page.trim_end_matches('.');
            if page.ends_with(".md") && !exists(page) {
                found.push(format!("{}: {page}", file.path));
            }
        }
        // Links of pages, by their path from the page.
        let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (at, _) in file.text().match_indices("](").filter(|_| file.path.ends_with(".md")) {
            let link = file.text()[at + 2..].split([')', '#', ' ']).next().unwrap_or_default();
            if !link.is_empty() && !link.contains(':') && !exists(&joined(folder, link)) {
                found.push(format!("{}: {link}", file.path));
            }
        }
    }
    expect_none("pages that are named and not there", &found);
}

/// `link` as seen from `folder`, from the root.
fn joined(folder: &str, link: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in link.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    parts.join("/")
}

#[test]
fn texts_end_with_one_newline_and_lines_without_blanks() {
    let ours = |file: &&Tracked| {
        let name = file.path.rsplit('/').next().unwrap_or_default();
        name.ends_with(".rs") || name.ends_with(".md") || name.ends_with(".toml") || !name.contains('.')
    };
    let files = tracked();
    let found: Vec<String> = files
        .iter()
        .filter(|file| file.text.is_some() && !file.text().is_empty())
        .filter(ours)
        .filter(|file| {
            let text = file.text();
            !text.ends_with('\n') || text.ends_with("\n\n") || text.lines().any(|line| line.ends_with([' ', '\t']))
        })
        .map(|file| file.path.clone())
        .collect();
    expect_none("texts with blanks at an end", &found);
}
