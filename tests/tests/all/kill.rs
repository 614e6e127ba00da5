//! `kill -9` of the real process, during imports and while two devices sync: what was acknowledged is there, no sequence
//! number is used twice, both converge, and `tide verify` finds nothing.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value as Json;

/// How long a device may take to come up, or two to converge, before something is wrong.
const DEADLINE: Duration = Duration::from_secs(120);

/// The `tide` that was built beside this test.
fn tide(db: &Path, arguments: &[&str]) -> Command {
    let test = std::env::current_exe().expect("the path of this test");
    let folder = test.ancestors().nth(2).expect("target/PROFILE");
    let program = folder.join(format!("tide{}", std::env::consts::EXE_SUFFIX));
    assert!(program.exists(), "{} is missing: cargo build -p tidewater-server", program.display());
    let mut command = Command::new(program);
    let state = db.parent().expect("a folder").join("state");
    command.args(arguments).env("TIDE_DB", db).env("XDG_STATE_HOME", state).env("HOME", db.parent().expect("a folder"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn succeed(db: &Path, arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = tide(db, arguments).output().expect("tide runs");
    let stderr = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "tide {arguments:?} on {}: {stderr}", db.display());
    String::from_utf8(stdout).expect("UTF-8")
}

fn json(db: &Path, arguments: &[&str]) -> Json {
    let text = succeed(db, &[arguments, &["--json"]].concat());
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("tide {arguments:?}: {error}: {text}"))
}

/// Numbers that a seed decides.
struct Draw(u64);

impl Draw {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

fn seed() -> Draw {
    let seed = std::env::var("TIDEWATER_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    println!("TIDEWATER_SEED={seed}");
    Draw(seed)
}

fn record(number: u64) -> String {
    let padding = "x".repeat(1_000);
    format!(r#"{{"id":"r{number:06}","name":"record {number}","size":{},"padding":"{padding}"}}"#, number * 7)
}

#[test]
fn an_import_that_is_killed_goes_on_where_it_was() {
    const ROUNDS: usize = 10;
    const BATCH: u64 = 50;
    const RECORDS: u64 = 7_000;
    let folder = tempfile::tempdir().expect("a folder");
    let db = folder.path().join("a.tide");
    let mut draw = seed();
    succeed(&db, &["init", "--name", "a"]);
    let mut held = 0;
    let import = |from: u64| {
        let from = (from + 1).to_string();
        let batch = BATCH.to_string();
        tide(&db, &["import", "-c", "records", "--no-schema", "--batch", &batch, "--from-line", &from, "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("tide runs")
    };
    for round in 0..ROUNDS {
        let mut child = import(held);
        let mut input = child.stdin.take().expect("piped");
        // Lines before the first one are passed over, so the whole file is given again. The pipe and the reader's buffer
        // hold a good megabyte, so most of what was written beyond that was imported.
        let until = held + 1_300 + draw.below(400);
        for number in 0..until.min(RECORDS) {
            writeln!(input, "{}", record(number)).expect("the import reads");
        }
        child.kill().expect("it runs");
        child.wait().expect("it ended");
        let now = match tide(&db, &["query", "records", "--first", "1", "--count", "--json"]).output() {
            Ok(output) if output.status.success() => {
                let page: Json = serde_json::from_slice(&output.stdout).expect("JSON");
                page["total"].as_u64().expect("a count")
            }
            _ => 0,
        };
        assert!(now >= held, "round {round}: {held} records were there, now {now}");
        assert_eq!(now % BATCH, 0, "round {round}: a commit is there whole or not at all");
        held = now;
    }
    assert!(held > 0, "something was imported before a kill");
    let mut child = import(held);
    let mut input = child.stdin.take().expect("piped");
    for number in 0..RECORDS {
        writeln!(input, "{}", record(number)).expect("the import reads");
    }
    drop(input);
    assert!(child.wait().expect("it ended").success());
    let exported = succeed(&db, &["export", "-c", "records"]);
    let exported: Vec<Json> = exported.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let imported: Vec<Json> = (0..RECORDS).map(|number| serde_json::from_str(&record(number)).expect("JSON")).collect();
    assert!(exported == imported, "the export is not what was imported");
    assert_eq!(json(&db, &["verify"])["problems"], Json::Array(Vec::new()));
}

/// A `tide serve` with a port of its own, that comes back where it was.
struct Device {
    db: PathBuf,
    p2p: String,
    running: Option<Child>,
}

impl Device {
    fn new(db: PathBuf) -> Self {
        let port = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port();
        Self { db, p2p: format!("127.0.0.1:{port}"), running: None }
    }

    fn start(&mut self) {
        let arguments = ["serve", "--http", "127.0.0.1:0", "--p2p", &self.p2p, "--json"];
        let mut child = tide(&self.db, &arguments).stderr(Stdio::inherit()).spawn().expect("tide runs");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("it speaks");
        assert!(line.starts_with('{'), "tide serve said {line:?}");
        self.running = Some(child);
    }

    fn kill(&mut self) {
        let mut child = self.running.take().expect("it runs");
        child.kill().expect("it runs");
        child.wait().expect("it ended");
    }

    fn digests(&self) -> Json {
        json(&self.db, &["digest"])
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        if let Some(mut child) = self.running.take() {
            // The test is over either way.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Links `b` to `a`, which must not be running.
fn link(a: &Device, b: &Device) {
    let mut inviting = tide(&a.db, &["link", "--p2p", &a.p2p, "--json"]).spawn().expect("tide runs");
    let mut said = String::new();
    BufReader::new(inviting.stdout.take().expect("piped")).read_line(&mut said).expect("it speaks");
    let ticket: Json = serde_json::from_str(&said).expect("a ticket");
    succeed(&b.db, &["join", ticket["ticket"].as_str().expect("a ticket")]);
    assert!(inviting.wait().expect("it ended").success());
}

fn await_convergence(a: &Device, b: &Device) {
    let start = Instant::now();
    while a.digests() != b.digests() {
        assert!(start.elapsed() < DEADLINE, "no convergence: {} {}", a.digests(), b.digests());
    }
}

#[test]
fn devices_that_are_killed_while_they_sync_lose_nothing_and_converge() {
    const ROUNDS: u64 = 10;
    let folder = tempfile::tempdir().expect("a folder");
    let mut draw = seed();
    let mut devices = [Device::new(folder.path().join("a.tide")), Device::new(folder.path().join("b.tide"))];
    succeed(&devices[0].db, &["init", "--name", "a"]);
    link(&devices[0], &devices[1]);
    let [a, b] = &devices;
    let id = json(&a.db, &["status"])["device"].as_str().expect("an id").to_owned();
    succeed(&b.db, &["peers", "--add", &format!("{id}={}", a.p2p)]);
    let id = json(&b.db, &["status"])["device"].as_str().expect("an id").to_owned();
    succeed(&a.db, &["peers", "--add", &format!("{id}={}", b.p2p)]);
    devices.iter_mut().for_each(Device::start);

    let mut acknowledged = BTreeSet::new();
    for round in 0..ROUNDS {
        for edit in 0..1 + draw.below(4) {
            let at = &devices[usize::try_from(draw.below(2)).expect("0 or 1")];
            let document = format!("r{round}-{edit}");
            succeed(&at.db, &["put", "notes", &document, &format!(r#"{{"round": {round}}}"#)]);
            succeed(
                &at.db,
                &[
                    "update",
                    "notes",
                    &document,
                    r#"{"tags": {"add": ["x"]}, "body": {"splice": {"at": 0, "delete": 0, "insert": "hello"}}}"#,
                ],
            );
            acknowledged.insert(document);
        }
        let victim = &mut devices[usize::try_from(round % 2).expect("0 or 1")];
        victim.kill();
        victim.start();
    }
    let [a, b] = &devices;
    await_convergence(a, b);
    devices.iter_mut().for_each(Device::kill);
    for device in &devices {
        for document in &acknowledged {
            let found = json(&device.db, &["get", "notes", document]);
            assert_eq!(found["body"], "hello", "{document} on {}", device.db.display());
        }
        assert_eq!(json(&device.db, &["verify"])["problems"], Json::Array(Vec::new()));
    }
}
