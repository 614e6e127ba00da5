//! `kill -9` of the real process, during imports and while two devices sync: what was acknowledged is there, no sequence
//! number is used twice, both converge, and `tide verify` finds nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Child, ChildStdin, Stdio};

use serde_json::{Value as Json, json};
use tidewater_engine::id::{SpaceId, WriterId};
use tidewater_engine::log::Plane;
use tidewater_engine::store::Location;
use tidewater_net::host::open_options;
use tidewater_sync::{Database, OpenOptions};
use tidewater_tests::figures::print;
use tidewater_tests::program::{Desk, Running};
use tidewater_tests::random::Random;
use tidewater_tests::seeds::seed;

/// How many trials of a test go on at once, each with databases of its own: most of a round is waiting for the disk.
const TRIALS: u64 = 4;
/// How often a process is killed in a trial; half as often where no server is. 200 times in all.
const ROUNDS: usize = 20;
/// How many records one commit of an import holds.
const BATCH: u64 = 10;
/// What makes a record large, in bytes: the pipes and readers between the test and the database hold about a megabyte.
const PADDING: usize = 8_000;

/// Runs a trial several times at once, each with its own randomness.
fn try_at_once<T: Send>(trial: impl Fn(Random) -> T + Sync) -> Vec<T> {
    let seed = seed(1);
    std::thread::scope(|scope| {
        let start = |number: u64| {
            let (trial, random) = (&trial, Random::new(seed ^ number << 32));
            scope.spawn(move || trial(random))
        };
        let running: Vec<_> = (0..TRIALS).map(start).collect();
        running.into_iter().map(|one| one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}

fn record(number: u64) -> String {
    format!(r#"{{"id":"r{number:06}","size":{},"padding":"{}"}}"#, number * 7, "x".repeat(PADDING))
}

/// An import of the records from `held` on, which gets its lines from the test.
fn import(desk: &Desk, held: u64) -> (Child, ChildStdin) {
    let (from, batch) = ((held + 1).to_string(), BATCH.to_string());
    let arguments = ["import", "-c", "records", "--no-schema", "--batch", &batch, "--from-line", &from, "-"];
    let mut child = desk.command("a", &arguments).stdin(Stdio::piped()).spawn().expect("tide runs");
    let mut input = child.stdin.take().expect("piped");
    // The lines that the option passes over.
    input.write_all(&vec![b'\n'; usize::try_from(held).expect("few")]).expect("the import reads");
    (child, input)
}

/// Writes as many lines as the import takes, up to a number.
fn feed(input: &mut ChildStdin, numbers: std::ops::Range<u64>) {
    for number in numbers {
        writeln!(input, "{}", record(number)).expect("the import reads");
    }
}

/// How many records there are.
fn held(desk: &Desk) -> u64 {
    let page = desk.run("a", &["query", "records", "--first", "1", "--count", "--json"]);
    if page.code == 3 { 0 } else { page.json()["total"].as_u64().expect("a count") }
}

/// Every root of every log that a database file was ever seen to hold, by length. A root stands for all entries up to it.
#[derive(Default)]
struct Ledger(BTreeMap<(SpaceId, Plane, WriterId), Vec<[u8; 32]>>);

/// Which roots of a log that were seen before are looked at again.
#[derive(PartialEq)]
enum Again {
    /// That of the most entries, which stands for all of them.
    Last,
    All,
}

impl Ledger {
    /// Takes note of what a file holds, by way of a copy, which leaves the file as the killed process left it.
    fn note(&mut self, desk: &Desk, name: &str, again: Again) {
        let copy = desk.path("copy.db");
        std::fs::copy(desk.path(&format!("{name}.db")), &copy).expect("a copy");
        let options = OpenOptions { mirror: None, ..open_options() };
        let database = Database::open(Location::File(copy), options).expect("the file opens");
        for space in database.spaces() {
            for plane in [Plane::Control, Plane::Data] {
                let vector = database.vector(&space, plane).expect("a vector");
                for (writer, prefix) in vector.iter() {
                    let roots = self.0.entry((space, plane, *writer)).or_default();
                    let first = if again == Again::All { 1 } else { prefix.length.min(roots.len() as u64).max(1) };
                    for length in first..=prefix.length {
                        let root = database.prefix_at(&space, plane, writer, length).expect("a read");
                        let root = root.expect("it is held").root;
                        match roots.get(usize::try_from(length - 1).expect("few")) {
                            Some(noted) => assert_eq!(*noted, root, "{writer} used a number up to {length} twice"),
                            None => roots.push(root),
                        }
                    }
                    let lost = roots.len() as u64 - prefix.length;
                    assert!(writer.device != database.device() || lost == 0, "{writer} lost {lost} of its own entries");
                }
            }
        }
    }

    /// How many entries were seen, and by how many writers of data.
    fn size(&self) -> (usize, usize) {
        let writers: BTreeSet<_> = self.0.keys().filter(|(_, plane, _)| *plane == Plane::Data).collect();
        (self.0.values().map(Vec::len).sum(), writers.len())
    }
}

/// Two linked devices, `a` and `b`, that are served and find each other again at the same addresses.
struct Pair {
    desk: Desk,
    running: BTreeMap<&'static str, Running>,
    ledger: Ledger,
}

impl Pair {
    fn new() -> Self {
        let desk = Desk::with_database();
        let a = desk.serve("a");
        desk.link("a", "b");
        let b = desk.serve("b");
        Self { desk, running: [("a", a), ("b", b)].into(), ledger: Ledger::default() }
    }

    /// Kills a device in whatever it does, looks at its file, and starts it again.
    fn kill(&mut self, name: &'static str) {
        let running = self.running.remove(name).expect("it runs");
        let p2p = running.p2p();
        running.kill();
        self.ledger.note(&self.desk, name, Again::Last);
        self.running.insert(name, self.desk.serve_at(name, &p2p));
    }

    /// Lets them converge, and checks that nothing is wrong with either.
    fn finish(mut self) -> Desk {
        let desk = self.desk;
        desk.await_each_other("a", "b", "end");
        std::mem::take(&mut self.running).into_values().for_each(Running::kill);
        assert_eq!(desk.run("a", &["digest"]).out, desk.run("b", &["digest"]).out);
        for name in ["a", "b"] {
            assert_eq!(desk.run(name, &["verify", "--json"]).json()["problems"], json!([]));
            self.ledger.note(&desk, name, Again::All);
        }
        let (entries, writers) = self.ledger.size();
        print("kill -9", format_args!("{entries} entries of {writers} writers are as they were first seen"));
        assert!(writers < ROUNDS, "a restart is not a new writer: {writers}");
        desk
    }
}

/// All records up to `count` are in an export, as they were given.
fn assert_exported(desk: &Desk, name: &str, count: u64) {
    let exported = desk.run(name, &["export", "-c", "records"]).out;
    let exported: Vec<Json> = exported.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let imported: Vec<Json> = (0..count).map(|number| serde_json::from_str(&record(number)).expect("JSON")).collect();
    assert!(exported == imported, "the export of {} records is not what was imported", exported.len());
}

/// Kills either of two devices while one imports. Gives how often that came in the midst of an import.
fn kill_importing_pair(mut random: Random) -> usize {
    let mut pair = Pair::new();
    let (mut records, mut cut_short) = (0, 0);
    for round in 0..ROUNDS {
        let (child, mut input) = import(&pair.desk, records);
        let until = records + 120 + random.below(60) as u64;
        feed(&mut input, records..until);
        pair.kill(if round % 2 == 0 { "a" } else { "b" });
        drop(input);
        let imported = child.wait_with_output().expect("it ends");
        let now = held(&pair.desk);
        if round % 2 == 0 {
            let said = String::from_utf8_lossy(&imported.stderr);
            assert_eq!(imported.status.code(), Some(1), "{said}");
            assert!(said.contains("the process that holds the database went away"), "{said}");
            assert_eq!((now - records) % BATCH, 0, "round {round}: a commit is there whole or not at all");
            cut_short += usize::from(now > records && now < until);
        } else {
            assert!(imported.status.success(), "{imported:?}");
            assert_eq!(now, until, "round {round}: what was acknowledged is there");
        }
        assert!(now >= records, "round {round}: {records} records were there, now {now}");
        records = now;
    }
    let desk = pair.finish();
    assert_exported(&desk, "a", records);
    assert_exported(&desk, "b", records);
    cut_short
}

#[test]
fn an_import_goes_on_after_either_of_two_devices_was_killed() {
    let cut_short = try_at_once(kill_importing_pair);
    assert!(cut_short.iter().sum::<usize>() > 0, "no kill came in the midst of an import");
}

/// Kills the process that imports. Gives how many records were there before the last import.
fn kill_import(mut random: Random) -> u64 {
    let (desk, mut ledger) = (Desk::with_database(), Ledger::default());
    let mut records = 0;
    for round in 0..ROUNDS / 2 {
        let (mut child, mut input) = import(&desk, records);
        feed(&mut input, records..records + 170 + random.below(60) as u64);
        child.kill().expect("it runs");
        child.wait().expect("it ended");
        ledger.note(&desk, "a", Again::Last);
        let now = held(&desk);
        assert!(now >= records, "round {round}: {records} records were there, now {now}");
        assert_eq!(now % BATCH, 0, "round {round}: a commit is there whole or not at all");
        records = now;
    }
    let (child, mut input) = import(&desk, records);
    feed(&mut input, records..records + 5);
    drop(input);
    assert!(child.wait_with_output().expect("it ends").status.success());
    assert_exported(&desk, "a", records + 5);
    assert_eq!(desk.run("a", &["verify", "--json"]).json()["problems"], json!([]));
    ledger.note(&desk, "a", Again::All);
    records
}

#[test]
fn an_import_without_a_server_goes_on_after_it_was_killed() {
    let records = try_at_once(kill_import);
    assert!(records.iter().all(|records| *records > 0), "something was imported before a kill: {records:?}");
}

/// Kills one of two devices, or both, while they sync.
fn kill_syncing_pair(mut random: Random) {
    const EDIT: &str = r#"{"tags": {"add": ["x"]}, "body": {"splice": {"at": 0, "delete": 0, "insert": "hello"}}}"#;
    let mut pair = Pair::new();
    let mut acknowledged = BTreeSet::new();
    for round in 0..ROUNDS {
        for edit in 0..1 + random.below(3) {
            let (at, document) = (*random.pick(&["a", "b"]), format!("r{round}-{edit}"));
            let put = pair.desk.run(at, &["put", "notes", &document, &json!({ "round": round }).to_string()]);
            let update = pair.desk.run(at, &["update", "notes", &document, EDIT]);
            assert_eq!((put.code, update.code), (0, 0), "{put:?} {update:?}");
            acknowledged.insert(document);
        }
        // Much to sync, which begins when it is acknowledged, and again when the other device is back.
        let many: String = (0..200).map(|n| format!("{{\"id\": \"{round}-{n}\", \"round\": {round}}}\n")).collect();
        let imported = pair.desk.run_with("a", &["import", "-c", "many", "--batch", "5"], many.as_bytes());
        assert_eq!(imported.code, 0, "{imported:?}");
        pair.kill(if round % 2 == 0 { "b" } else { "a" });
        if random.one_in(3) {
            pair.kill(if round % 2 == 0 { "a" } else { "b" });
        }
    }
    let desk = pair.finish();
    for name in ["a", "b"] {
        for document in &acknowledged {
            assert_eq!(desk.run(name, &["get", "notes", document, "--json"]).json()["body"], "hello", "{document}");
        }
        let page = desk.run(name, &["query", "many", "--first", "1", "--count", "--json"]).json();
        assert_eq!(page["total"], 200 * ROUNDS);
    }
}

#[test]
fn devices_that_are_killed_while_they_sync_lose_nothing_and_converge() {
    try_at_once(kill_syncing_pair);
}
