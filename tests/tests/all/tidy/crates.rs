//! The borders between the crates.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use serde_json::Value;

use super::{Tracked, expect_none, root, tracked};

/// Which crates of the workspace each may depend on: arrows point down only.
const EDGES: &[(&str, &[&str])] = &[
    ("tidewater-engine", &[]),
    ("tidewater-sync", &["tidewater-engine"]),
    ("tidewater-net", &["tidewater-engine", "tidewater-sync"]),
    ("tidewater-server", &["tidewater-engine", "tidewater-sync", "tidewater-net"]),
    ("tidewater", &["tidewater-engine", "tidewater-sync", "tidewater-net"]),
    ("tidewater-tests", &["tidewater", "tidewater-engine", "tidewater-sync", "tidewater-net", "tidewater-server"]),
    ("tidewater-benches", &["tidewater", "tidewater-engine", "tidewater-sync", "tidewater-net", "tidewater-server"]),
];

/// The crates without I/O, clock and randomness of their own.
const PURE: &[&str] = &["tidewater-engine", "tidewater-sync"];

/// What a pure crate may not name as a dependency: clocks and randomness.
const IMPURE: &[&str] = &["chrono", "fastrand", "getrandom", "jiff", "rand", "rand_core", "time", "uuid", "web-time"];

/// What may not stand anywhere below a pure crate: runtimes and sockets.
const RUNTIMES: &[&str] = &[
    "async-io",
    "async-std",
    "futures-executor",
    "hyper",
    "mio",
    "quinn",
    "reqwest",
    "rustls",
    "smol",
    "socket2",
    "tokio",
];

struct Package {
    name: String,
    rust_version: Option<String>,
    default_run: Option<String>,
    dependencies: Vec<Dependency>,
}

struct Dependency {
    name: String,
    tests_only: bool,
    browser_only: bool,
}

fn workspace() -> Vec<Package> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let packages = metadata["packages"].as_array().expect("packages");
    packages
        .iter()
        .map(|package| Package {
            name: text(&package["name"]),
            rust_version: package["rust_version"].as_str().map(str::to_owned),
            default_run: package["default_run"].as_str().map(str::to_owned),
            dependencies: package["dependencies"]
                .as_array()
                .expect("dependencies")
                .iter()
                .map(|dependency| Dependency {
                    name: text(&dependency["name"]),
                    tests_only: dependency["kind"] == "dev",
                    browser_only: text(&dependency["target"]).contains("wasm"),
                })
                .collect(),
        })
        .collect()
}

/// Package name → names it depends on, from the lock file; versions of one name are merged.
fn locked() -> BTreeMap<String, BTreeSet<String>> {
    let lock = fs::read_to_string(root().join("Cargo.lock")).expect("Cargo.lock");
    let mut graph = BTreeMap::<String, BTreeSet<String>>::new();
    for package in lock.split("[[package]]").skip(1) {
        let quoted = |line: &str| line.split('"').nth(1).unwrap_or_default().to_owned();
        let name = package.lines().find(|line| line.starts_with("name = ")).map(quoted).expect("a name");
        let needs = package.lines().filter(|line| line.starts_with(" \"")).map(|line| {
            let entry = quoted(line);
            entry.split(' ').next().unwrap_or_default().to_owned()
        });
        graph.entry(name).or_default().extend(needs);
    }
    graph
}

#[test]
fn dependencies_between_crates_point_down() {
    let allowed: BTreeMap<_, _> = EDGES.iter().copied().collect();
    let packages = workspace();
    let members: BTreeSet<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    let mut found = Vec::new();
    for package in &packages {
        let Some(allowed) = allowed.get(package.name.as_str()) else {
            found.push(format!("{} is not on the map: add it to EDGES and to ARCHITECTURE.md", package.name));
            continue;
        };
        let within = package.dependencies.iter().map(|dependency| dependency.name.as_str());
        for name in within.filter(|name| members.contains(name) && !allowed.contains(name)) {
            found.push(format!("{} depends on {name}", package.name));
        }
    }
    expect_none("edges that point up", &found);
}

#[test]
fn the_pure_crates_have_no_runtime_no_clock_and_no_randomness() {
    let graph = locked();
    let mut found = Vec::new();
    for package in workspace().iter().filter(|package| PURE.contains(&package.name.as_str())) {
        // In the browser a dependency may need randomness to compile at all.
        let counts = |dependency: &&Dependency| !dependency.tests_only && !dependency.browser_only;
        let impure = package.dependencies.iter().filter(counts).filter(|one| IMPURE.contains(&one.name.as_str()));
        found.extend(impure.map(|dependency| format!("{} names {}", package.name, dependency.name)));
        let mut seen = BTreeSet::new();
        let mut next = vec![package.name.as_str()];
        while let Some(name) = next.pop() {
            if seen.insert(name) {
                next.extend(graph.get(name).into_iter().flatten().map(String::as_str));
            }
        }
        assert!(seen.contains("blake3"), "the lock file was not understood");
        found.extend(
            RUNTIMES
                .iter()
                .filter(|name| seen.contains(**name))
                .map(|name| format!("{} leads to {name}", package.name)),
        );
    }
    expect_none("impure dependencies of pure crates", &found);
}

#[test]
fn the_pure_crates_have_the_same_bans() {
    let bans = |path: &str| -> String {
        let text = fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        text.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(bans("engine/clippy.toml"), bans("sync/clippy.toml"), "clippy reads only the nearest clippy.toml");
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    let found: Vec<String> = tracked()
        .iter()
        .filter(|file| file.path.ends_with("/Cargo.toml") && !file.text().contains("[lints]\nworkspace = true"))
        .map(|file| file.path.clone())
        .collect();
    expect_none("crates without `[lints] workspace = true`", &found);
}

#[test]
fn nothing_but_the_tests_plants_faults() {
    const MAY: &[(&str, &str)] = &[
        ("engine/Cargo.toml", "planted-faults = []"),
        ("tests/Cargo.toml", "planted-faults = [\"tidewater-engine/planted-faults\"]"),
        ("tests/Cargo.toml", "required-features = [\"planted-faults\"]"),
    ];
    let mut found = Vec::new();
    for file in tracked().iter().filter(|file| file.path.ends_with("Cargo.toml")) {
        let lines = file.text().lines().filter(|line| !line.starts_with('#') && line.contains("planted"));
        let lines = lines.filter(|line| *line != "name = \"planted\"" && !MAY.contains(&(file.path.as_str(), *line)));
        found.extend(lines.map(|line| format!("{}: {line}", file.path)));
    }
    expect_none("manifests that turn deliberate faults on", &found);
}

#[test]
fn every_planted_fault_is_planted_found_and_told_of() {
    let files = tracked();
    let text = |starts: &[&str]| -> String {
        let within = files.iter().filter(|file| starts.iter().any(|start| file.path.starts_with(start)));
        within.map(Tracked::text).collect::<Vec<_>>().join("\n")
    };
    let faults = text(&["engine/src/planted/fault.rs"]);
    let (_, faults) = faults.split_once("pub enum Fault {").expect("the faults");
    let (faults, _) = faults.split_once("\n}").expect("their end");
    let faults: Vec<&str> = faults.lines().filter_map(|line| line.trim().strip_suffix(',')).collect();
    let faults: Vec<&str> = faults.into_iter().filter(|line| !line.starts_with("//")).collect();
    let places = [
        ("is planted nowhere", text(&["engine/src", "sync/src"]), "planted!(", ")"),
        ("has no test", text(&["tests/tests/planted"]), "Fault::", ","),
        ("is not in docs/reliability.md", text(&["docs/reliability.md"]), "| `", "` |"),
    ];
    let mut found = Vec::new();
    for (what, text, before, after) in &places {
        let missing = faults.iter().filter(|fault| !text.contains(&format!("{before}{fault}{after}")));
        found.extend(missing.map(|fault| format!("{fault} {what}")));
    }
    expect_none("faults that prove nothing", &found);
    assert!(faults.len() >= 40, "there are {} faults", faults.len());
}

#[test]
fn what_cargo_runs_is_the_command() {
    let runs: Vec<String> = workspace().into_iter().filter_map(|package| package.default_run).collect();
    assert_eq!(runs, ["tide"], "the README's first command is `cargo run --release -- demo`");
}

#[test]
fn one_toolchain_version() {
    let channel = fs::read_to_string(root().join("rust-toolchain.toml")).expect("rust-toolchain.toml");
    let channel = channel.lines().find_map(|line| line.strip_prefix("channel = \"")).expect("a channel");
    let channel = channel.trim_end_matches('"');
    let minor = channel.rsplit_once('.').expect("major.minor.patch").0;
    let mut found = Vec::new();
    for package in workspace() {
        if package.rust_version.as_deref() != Some(minor) {
            found
                .push(format!("{}: rust-version is {:?}, the toolchain {channel}", package.name, package.rust_version));
        }
    }
    for file in tracked() {
        let says_rust =
            |line: &&str| line.contains("Rust 1.") || line.contains("toolchain install") || line.contains("+1.");
        for line in file.text().lines().filter(says_rust).filter(|_| !file.is_rust()) {
            if !line.contains(minor) {
                found.push(format!("{}: {line}", file.path));
            }
        }
    }
    expect_none("other versions of Rust", &found);
}
