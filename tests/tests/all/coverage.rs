//! What counts as reached, and what is not the product: an export of `llvm-cov` of a repository of two files.

use std::fs;

use tidewater_tests::coverage::{Reached, Share, measure};

const SOURCE: &str = r#"//! A source.
pub fn asked(is: bool, other: bool) -> u8 {
    if planted!(Never) && other {
        return 1;
    }
    if is { 2 } else { 3 }
}

#[cfg(test)]
mod naive;

#[cfg(test)]
mod tests {
    fn never() {
        asked(true, true);
    }
}
"#;

/// Two instantiations of `asked`, one for each answer, and a test that is not run.
fn export(path: &str) -> serde_json::Value {
    let branches = |taken: u32, passed: u32| {
        [
            serde_json::json!([3, 8, 3, 23, 0, 1, 0, 0, 4]),
            serde_json::json!([3, 27, 3, 32, 0, 0, 0, 0, 4]),
            serde_json::json!([6, 8, 6, 10, taken, passed, 0, 0, 4]),
        ]
    };
    let branches = [branches(1, 0), branches(0, 1)].concat();
    serde_json::json!({ "data": [{ "files": [{
        "filename": path,
        "segments": [
            [2, 1, 2, true, true, false],
            [3, 33, 0, true, true, false],
            [5, 6, 2, true, false, false],
            [6, 5, 2, true, true, false],
            [7, 2, 0, false, false, false],
            [14, 5, 0, true, true, false],
            [16, 6, 0, false, false, false],
        ],
        "branches": branches,
    }] }] })
}

#[test]
fn instantiations_count_together_and_neither_tests_nor_planted_faults_count() {
    let root = tempfile::tempdir().expect("a folder");
    let folder = root.path().canonicalize().expect("a folder");
    for (path, text) in
        [("engine/src/lib.rs", SOURCE), ("engine/src/naive.rs", "//! Tests.\n"), ("sync/src/lib.rs", "")]
    {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("it is made");
        fs::write(path, text).expect("it is written");
    }
    let exported = folder.join("export.json");
    fs::write(&exported, export(&folder.join("engine/src/lib.rs").to_string_lossy()).to_string()).expect("written");

    let sources = measure(&exported, &folder);
    assert_eq!(sources.keys().collect::<Vec<_>>(), ["engine/src/lib.rs", "sync/src/lib.rs"]);
    let source = &sources["engine/src/lib.rs"];
    let reached = Reached { lines: Share { reached: 4, all: 4 }, branches: Share { reached: 2, all: 2 } };
    assert_eq!(source.reached(), reached, "{:?}", source.unreached());
    assert_eq!(source.unreached(), [""; 0]);
}
