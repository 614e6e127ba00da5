//! Style as a test: what a reviewer would otherwise have to look for by hand.

mod attacks;
mod crates;
mod files;
mod words;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One file of the repository.
struct Tracked {
    /// From the root of the repository, with `/`.
    path: String,
    /// `None` when it is not UTF-8.
    text: Option<String>,
}

impl Tracked {
    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    fn text(&self) -> &str {
        self.text.as_deref().unwrap_or_default()
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ has a parent").to_path_buf()
}

/// Everything that is committed or would be by `git add -A`.
fn tracked() -> Vec<Tracked> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "--deduplicate", "-z"])
        .current_dir(root())
        .output()
        .expect("git runs");
    assert!(listed.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listed.stderr));
    let files: Vec<Tracked> = String::from_utf8(listed.stdout)
        .expect("paths are UTF-8")
        .split_terminator('\0')
        .filter(|path| root().join(path).is_file())
        .map(|path| Tracked { path: path.into(), text: fs::read_to_string(root().join(path)).ok() })
        .collect();
    assert!(files.iter().any(|file| file.path == "Cargo.toml"), "the list of files is not the repository's");
    files
}

/// Fails with everything that was found, one a line.
fn expect_none(rule: &str, found: &[String]) {
    assert!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
}
