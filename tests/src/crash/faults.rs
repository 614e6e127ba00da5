//! Every call of a short workload fails in turn: what was acknowledged stays, what was refused is not there, readers and
//! senders go on, and so does writing once the disk is well, without opening the store again.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tidewater_engine::host::Host;
use tidewater_engine::id::WriterId;
use tidewater_engine::log::Plane;
use tidewater_engine::schema::Schema;
use tidewater_engine::store::{
    Durability, LogBatch, OpenError, Options, ReadError, ReceiveError, Snapshot, Store, TransactionError, WriteError,
};
use tidewater_engine::value::{Fields, Value};

use super::workload::{Picture, table};
use crate::disk::{Counts, Disk, Fault, Faults, Image, Kind};
use crate::edits::SCHEMA;
use crate::host::SimulatedHost;
use crate::panic::said;
use crate::random::Random;
use crate::shared_space::SharedSpace;

/// Steps of a workload.
const STEPS: usize = 6;
/// redb's cache, in bytes.
const CACHE_BYTES: usize = 64 << 10;
/// Above the seeds of workloads: no two openings of a file draw the same.
const FIRST_OPENING: u64 = 1 << 63;

/// How many faults to try.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// The seed of the first workload.
    pub seed: u64,
    /// At least so many calls fail.
    pub points: usize,
}

/// What was tried, and what it came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tried {
    /// Workloads.
    pub scenes: usize,
    /// Runs of a workload in which a call failed.
    pub points: usize,
    /// Writes that failed for want of space.
    pub full: usize,
    /// Writes that failed otherwise.
    pub failed: usize,
    /// Of all of these, those that were stored nevertheless.
    pub stored: usize,
    /// Reads that failed.
    pub unread: usize,
    /// Stores that did not open at first.
    pub unopened: usize,
    /// Files that were put back after their workload, and were found out.
    pub renewed: usize,
}

/// Lets every call of workload after workload fail.
///
/// # Panics
/// When something acknowledged is gone, something refused is there, or something does not go on: the message says which
/// call of which workload failed.
#[must_use]
pub fn faults(plan: Plan) -> Tried {
    let mut tried = Tried::default();
    let mut seed = plan.seed;
    while tried.points < plan.points {
        let scene = Scene::new(seed);
        tried.scenes += 1;
        let calm = scene.run(None, &mut Tried::default());
        for fault in all_faults(calm) {
            let ran = catch_unwind(AssertUnwindSafe(|| scene.run(Some(fault), &mut tried)));
            let counts = ran.unwrap_or_else(|panic| panic!("seed {seed}, {fault:?}: {}", said(&*panic)));
            tried.points += usize::from(counts.failed() > 0);
        }
        seed += 1;
    }
    tried
}

fn all_faults(counts: Counts) -> Vec<Fault> {
    let mut faults = Vec::new();
    for times in [1, usize::MAX] {
        for (kind, calls) in [
            (Kind::Read, counts.reads),
            (Kind::Full, counts.writes),
            (Kind::Write, counts.writes),
            (Kind::Short, counts.writes),
            (Kind::Sync, counts.syncs),
            (Kind::Loss, counts.syncs),
        ] {
            faults.extend((0..calls).map(|at| Fault { kind, at, times }));
        }
    }
    faults
}

/// A database as it is before a workload.
struct Scene {
    shared: SharedSpace,
    image: Image,
    /// Who wrote it.
    writer: WriterId,
    documents: BTreeSet<String>,
    batch: LogBatch,
    /// The steps to come, in a seeded order.
    steps: Vec<Step>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Commit,
    Large,
    Buffered,
    Flush,
    Many,
    Receive,
    Local,
    Schema,
}

impl Scene {
    fn new(seed: u64) -> Self {
        use Step::{Buffered, Commit, Flush, Large, Local, Many, Receive, Schema};
        let shared = SharedSpace::new(seed, 2);
        let mut random = Random::new(seed);
        let disk = Disk::default();
        let store = open(&shared, &disk, seed).expect("a new database");
        store.set_effective(shared.space, table(&shared)).expect("the table is taken");
        store.set_home(shared.space).expect("home is set");
        let documents: BTreeSet<String> = (0..6 + random.below(6)).map(|number| format!("old{number}")).collect();
        for id in &documents {
            put(&store, id, Durability::Local, 200).expect("it is written");
        }
        let writer = store.writer();
        drop(store);
        let other = shared.store(1);
        put(other, "foreign", Durability::Local, 50).expect("it is written");
        let batch = other.read_log(&shared.space, Plane::Data, &other.writer(), 0, usize::MAX);
        let batch = batch.expect("a log is read").expect("it has an entry");
        let mut steps = vec![Commit, Large, Buffered, Flush, Many, Receive, Local, Schema, Buffered, Commit];
        for at in (1..steps.len()).rev() {
            steps.swap(at, random.below(at + 1));
        }
        steps.truncate(STEPS);
        Self { shared, image: disk.image(), writer, documents, batch, steps }
    }

    /// The workload, with a call that fails.
    fn run(&self, fault: Option<Fault>, tried: &mut Tried) -> Counts {
        let disk = Disk::holding(self.image.clone());
        disk.set_faults(Faults { calls: fault, ..Faults::default() });
        let store = match open(&self.shared, &disk, FIRST_OPENING) {
            Ok(store) => store,
            Err(error) => {
                assert!(matches!(error, OpenError::Io { .. }), "{error:?}");
                tried.unopened += 1;
                disk.mend();
                open(&self.shared, &disk, FIRST_OPENING + 1)
                    .unwrap_or_else(|error| panic!("it does not open once the disk is well: {error}"))
            }
        };
        let (opened_well, writer) = (disk.counts().failed() == 0, store.writer());
        assert!(!opened_well || writer == self.writer, "it opens as {writer}, and was closed as {}", self.writer);
        let reading_fails = fault.is_some_and(|fault| fault.kind == Kind::Read);
        let mut run = Run { scene: self, disk: &disk, known: self.known(), buffered: Vec::new(), reading_fails, tried };
        for (number, step) in self.steps.iter().enumerate() {
            run.step(&store, number, *step);
        }
        // Then closing fails, if anything.
        let all_went_well = disk.counts().failed() == 0 && run.buffered.is_empty();
        let digest = store.digest(&self.shared.space);
        drop(store);
        // Closing would have stored what is only buffered.
        run.doubt_buffered();
        let known = run.known;
        let counts = disk.counts();
        disk.mend();
        self.restore(&disk, tried);
        let store = open(&self.shared, &disk, FIRST_OPENING + 3)
            .unwrap_or_else(|error| panic!("it does not open again: {error}"));
        assert!(!opened_well || store.writer() == writer, "it opens again as {}, and was {writer}", store.writer());
        if let Ok(digest) = digest
            && all_went_well
        {
            assert_eq!(store.digest(&self.shared.space).expect("a digest"), digest, "another state after all");
        }
        check(&store.snapshot().expect("a snapshot"), &known).unwrap_or_else(|error| panic!("a read: {error}"));
        let report = store.verify(&mut |_, _| {}).expect("a report");
        assert!(report.problems.is_empty(), "{:?}", report.problems);
        counts
    }

    /// The file as it was before the workload is put back beside the mirror of now: whoever wrote since does not go on from there.
    fn restore(&self, disk: &Disk, tried: &mut Tried) {
        let now = disk.image();
        let [now, before] = [now.database, self.image.database.clone()]
            .map(|database| Disk::holding(Image { database, mirror: now.mirror.clone() }));
        let open = |disk| {
            let store = open(&self.shared, disk, FIRST_OPENING + 2)
                .unwrap_or_else(|error| panic!("a file that is put back does not open: {error}"));
            (store.writer(), Picture::of(&store, &self.shared.space))
        };
        let ((_, now), (writer, before)) = (open(&now), open(&before));
        let [before, now] = [before, now].map(|picture| picture.written(&writer));
        assert!(before >= now, "{writer} goes on with {before} entries, and has written {now}");
        tried.renewed += usize::from(writer != self.writer);
    }

    fn known(&self) -> BTreeMap<String, Fate> {
        self.documents.iter().map(|id| (id.clone(), Fate::There)).collect()
    }
}

fn open(shared: &SharedSpace, disk: &Disk, seed: u64) -> Result<Store, OpenError> {
    let options = shared.options(0, Arc::new(SimulatedHost::new(seed)));
    // Next to no cache: what is read is read from the disk.
    Store::open(disk.location(), Options { mirror: disk.mirror(), cache_bytes: CACHE_BYTES, ..options })
}

fn put(store: &Store, id: &str, durability: Durability, bytes: usize) -> Result<(), WriteError> {
    let mut noise = vec![0; bytes];
    SimulatedHost::new(id.len() as u64).fill_random(&mut noise);
    let fields = Fields::from([("noise".to_owned(), Value::Bytes(noise))]);
    flat(store.transaction(durability, |transaction| transaction.insert("free", Some(id), fields).map(drop)))
}

fn flat<T>(outcome: Result<T, TransactionError<WriteError>>) -> Result<T, WriteError> {
    outcome.map_err(|error| match error {
        TransactionError::Aborted(error) | TransactionError::Write(error) => error,
    })
}

/// What is known of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    There,
    NotThere,
    Unknown,
}

/// Compares a snapshot with what is known.
fn check(snapshot: &Snapshot, known: &BTreeMap<String, Fate>) -> Result<(), ReadError> {
    for (id, fate) in known {
        let found = snapshot.get(None, "free", id)?.is_some();
        match fate {
            Fate::There => assert!(found, "{id} was acknowledged and is gone"),
            Fate::NotThere => assert!(!found, "{id} was refused and is there"),
            Fate::Unknown => {}
        }
    }
    Ok(())
}

struct Run<'s> {
    scene: &'s Scene,
    disk: &'s Disk,
    known: BTreeMap<String, Fate>,
    /// Documents of buffered commits.
    buffered: Vec<String>,
    reading_fails: bool,
    tried: &'s mut Tried,
}

impl Run<'_> {
    fn step(&mut self, store: &Store, number: usize, step: Step) {
        self.doubt_buffered();
        let before = (store.snapshot().expect("a snapshot"), self.known.clone());
        let ids: Vec<String> = match step {
            Step::Flush | Step::Local | Step::Schema => Vec::new(),
            Step::Receive => vec!["foreign".to_owned()],
            Step::Many => (0..3).map(|part| format!("new{number}-{part}")).collect(),
            _ => vec![format!("new{number}")],
        };
        match self.act(store, step, &ids) {
            Ok(()) => {
                self.buffered.extend(ids);
                // A disk that fails may lose what is only buffered; then the next durable write says so.
                if step != Step::Buffered || self.disk.counts().failed() == 0 {
                    self.known.extend(self.buffered.iter().map(|id| (id.clone(), Fate::There)));
                }
                if step != Step::Buffered {
                    self.buffered.clear();
                }
            }
            Err(error) => self.failed(store, &before, ids, &error),
        }
        self.doubt_buffered();
        match check(&store.snapshot().expect("a snapshot"), &self.known) {
            Ok(()) => {}
            Err(error) => self.unread(&error),
        }
    }

    fn doubt_buffered(&mut self) {
        if self.disk.counts().failed() > 0 {
            self.known.extend(self.buffered.iter().map(|id| (id.clone(), Fate::Unknown)));
        }
    }

    fn act(&self, store: &Store, step: Step, ids: &[String]) -> Result<(), WriteError> {
        match step {
            Step::Commit => put(store, &ids[0], Durability::Local, 300),
            Step::Large => put(store, &ids[0], Durability::Local, 16 << 10),
            Step::Buffered => put(store, &ids[0], Durability::Buffered, 300),
            Step::Flush => store.flush(),
            Step::Many => {
                let mut ids = ids.iter().peekable();
                flat(store.transactions(Durability::Local, |transaction| {
                    let id = ids.next().expect("as many as there are");
                    transaction.insert("free", Some(id), Fields::new())?;
                    let flow = std::ops::ControlFlow::Continue(());
                    Ok(if ids.peek().is_none() { std::ops::ControlFlow::Break(()) } else { flow })
                }))
            }
            Step::Receive => match store.receive(&self.scene.batch) {
                Ok(_) => Ok(()),
                Err(ReceiveError::Write(error)) => Err(error),
                Err(error) => panic!("an honest batch is refused: {error}"),
            },
            Step::Local => store.set_local(&[("note", Some(b"written"))]),
            Step::Schema => {
                let schema = Schema::from_json(SCHEMA.as_bytes()).expect("a schema");
                flat(store.transaction(Durability::Local, |transaction| transaction.set_schema("declared", &schema)))
            }
        }
    }

    /// A write failed: the error has a type, what was there can still be read, and the disk is mended.
    fn failed(
        &mut self,
        store: &Store,
        before: &(Snapshot, BTreeMap<String, Fate>),
        ids: Vec<String>,
        error: &WriteError,
    ) {
        let fate = match error {
            WriteError::Full { .. } => {
                self.tried.full += 1;
                Fate::NotThere
            }
            WriteError::Storage { .. } | WriteError::Read(ReadError::Storage { .. } | ReadError::Damaged { .. }) => {
                self.tried.failed += 1;
                Fate::Unknown
            }
            other => panic!("a disk that fails gives {other:?}"),
        };
        for id in std::mem::take(&mut self.buffered) {
            self.known.insert(id, Fate::Unknown);
        }
        self.known.extend(ids.iter().map(|id| (id.clone(), fate)));
        if !self.reading_fails {
            check(&store.snapshot().expect("a snapshot"), &self.known)
                .unwrap_or_else(|error| panic!("new reader: {error}"));
            let writer = store.vector(&self.scene.shared.space, Plane::Data).expect("a vector");
            for (writer, prefix) in writer.iter() {
                let sent = store.read_log(&self.scene.shared.space, Plane::Data, writer, 0, usize::MAX);
                assert!(prefix.length == 0 || sent.expect("it is sent").is_some());
            }
        }
        if let Err(error) = check(&before.0, &before.1) {
            self.unread(&error);
        }
        self.disk.mend();
        let snapshot = store.snapshot().expect("a snapshot");
        for id in ids {
            match snapshot.get(None, "free", &id) {
                Ok(found) => self.tried.stored += usize::from(found.is_some()),
                Err(error) => self.unread(&error),
            }
        }
        // What is found now stays so; writing goes on, if need be after one error that tells what is gone.
        let more = put(store, &format!("more{}", self.known.len()), Durability::Local, 10);
        if more.is_err() {
            let again = put(store, &format!("again{}", self.known.len()), Durability::Local, 10);
            again.unwrap_or_else(|error| panic!("writing does not go on: {error}"));
        }
        check(&store.snapshot().expect("a snapshot"), &self.known).unwrap_or_else(|error| panic!("a reader: {error}"));
    }

    fn unread(&mut self, error: &ReadError) {
        assert!(matches!(error, ReadError::Storage { .. } | ReadError::Damaged { .. }), "{error:?}");
        self.tried.unread += 1;
    }
}
