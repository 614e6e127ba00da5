//! A disk that is full: an error that says so, nothing lost, and it goes on when there is room.

use serde_json::json;
use tidewater_tests::namespace::Namespace;
use tidewater_tests::program::Desk;

/// Records of about ten thousand bytes each: more than the disk takes at first, less than it takes later.
const RECORDS: usize = 600;
const SMALL: u32 = 5;
const LARGE: u32 = 100;

/// A folder with a small disk at `disk`, and a database on it.
fn small_disk() -> (Namespace, Desk) {
    let namespace = Namespace::new().expect("mounts");
    let desk = Desk::new();
    namespace.mount_disk(&desk.path("disk"), SMALL);
    let desk = desk.within(&namespace);
    assert_eq!(desk.run("disk/a", &["init", "--name", "Ada"]).code, 0);
    (namespace, desk)
}

fn lines() -> String {
    let noise = |n: usize| {
        (0..150).map(|at| format!("{:064x}", (n * 151 + at) as u128 * 0x9e37_79b9_7f4a_7c15)).collect::<String>()
    };
    (0..RECORDS).map(|n| format!("{{\"id\":\"{n:04}\",\"text\":\"{}\"}}\n", noise(n))).collect()
}

/// How many records there are, after a check of the whole file.
fn held(desk: &Desk) -> usize {
    assert_eq!(desk.run("disk/a", &["verify", "--json"]).json()["problems"], json!([]));
    let exported = desk.run("disk/a", &["export", "-c", "r"]).out;
    assert!(lines().starts_with(&exported), "not the first records");
    exported.lines().count()
}

/// Imports the rest.
fn go_on(desk: &Desk, held: usize) {
    let from = (held + 1).to_string();
    let rest = desk.run_with("disk/a", &["import", "-c", "r", "--from-line", &from], lines().as_bytes());
    assert_eq!(rest.code, 0, "{rest:?}");
}

pub(super) fn an_import_stops_and_goes_on() {
    let (namespace, desk) = small_disk();
    let ran = desk.run_with("disk/a", &["import", "-c", "r", "--batch", "20", "--no-schema"], lines().as_bytes());
    ran.assert_refused(1, "the disk is full: ");
    let before = held(&desk);
    assert!(before > 0 && before < RECORDS, "{before} records");
    assert!(ran.err.contains(&format!("imported {before}, line {}: ", before + 1)), "{ran:?}");
    assert!(ran.err.contains(&format!("--from-line {}", before + 1)), "{ran:?}");
    let atomic = desk.run_with("disk/a", &["import", "-c", "r", "--atomic"], lines().as_bytes());
    atomic.assert_refused(1, "the disk is full: ");
    assert_eq!(held(&desk), before);
    namespace.resize_disk(&desk.path("disk"), LARGE);
    go_on(&desk, before);
    assert_eq!(held(&desk), RECORDS);
}

pub(super) fn a_served_database_loses_nothing() {
    let (namespace, desk) = small_disk();
    let serving = desk.serve("disk/a");
    let import = ["import", "-c", "r", "--batch", "20", "--no-schema"];
    let ran = desk.run_with("disk/a", &import, lines().as_bytes());
    ran.assert_refused(1, "the disk is full: ");
    // What is there is still read.
    let page = desk.run("disk/a", &["query", "r", "--first", "1", "--count", "--json"]).json();
    let count = page["total"].as_u64().expect("a count");
    assert!(ran.err.contains(&format!("imported {count}, line {}: ", count + 1)), "{ran:?}");
    namespace.resize_disk(&desk.path("disk"), LARGE);
    assert_eq!(serving.stop(), 0);
    let serving = desk.serve("disk/a");
    let count = usize::try_from(count).expect("few");
    assert_eq!(held(&desk), count);
    go_on(&desk, count);
    assert_eq!(serving.stop(), 0);
    assert_eq!(held(&desk), RECORDS);
}
