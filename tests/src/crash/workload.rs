//! A database at work on a disk that writes everything down: every kind of operation, and what a reader saw after each.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use redb::StorageBackend;
use tidewater_engine::id::{SpaceId, WriterId};
use tidewater_engine::log::{Plane, VersionVector};
use tidewater_engine::schema::Schema;
use tidewater_engine::space::{Cut, EffectiveTable, Rank, SecretKey};
use tidewater_engine::store::{
    Durability, Location, OpenError, Options, Seal, Sealed, Store, TransactionError, WriteError,
};
use tidewater_engine::value::{Fields, Value};

use crate::disk::{Call, Disk, Image};
use crate::edits::{Action, IDS, SCHEMA, Write, is_refusal};
use crate::host::SimulatedHost;
use crate::random::Random;
use crate::shared_space::{SharedSpace, deliver};

/// The store that is recorded is one of the first member's device; the others write what it receives.
const MEMBERS: usize = 3;
/// The threads that write at once.
const THREADS: usize = 4;
/// Bytes of a value that takes several entries.
const LARGE_BYTES: usize = 300 << 10;
/// The schema of `declared` with an index more.
const WIDER_SCHEMA: &str = r#"{"fields": {"counter": {"kind": "counter"}, "set": {"kind": "set"}, "text": {"kind": "text"},
    "json": {"kind": "json"}}, "indexes": {"by_register": {"fields": ["register"]}, "by_counter": {"fields": ["counter"]}}}"#;

/// All that a store says of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// What is held of the data logs.
    pub data: VersionVector,
    control: VersionVector,
    /// Entries in all logs, those included that are not durable yet.
    entries: u64,
    digest: Option<[u8; 32]>,
    home: Option<SpaceId>,
    locals: Vec<(String, Vec<u8>)>,
    table: Option<Arc<EffectiveTable>>,
}

impl Picture {
    /// What this store says now, durable or not.
    ///
    /// # Panics
    /// When it can't be read.
    #[must_use]
    pub fn of(store: &Store, space: &SpaceId) -> Self {
        let held = store.effective(space).is_some();
        let vector =
            |plane| if held { store.vector(space, plane).expect("a vector") } else { VersionVector::default() };
        Self {
            data: vector(Plane::Data),
            control: vector(Plane::Control),
            entries: if held {
                store.snapshot().and_then(|now| now.report(space)).expect("a report").entries
            } else {
                0
            },
            digest: held.then(|| store.digest(space).expect("a digest")),
            home: store.home(),
            locals: store.locals("").expect("local records"),
            table: store.effective(space),
        }
    }

    /// How many entries the logs of a writer have.
    #[must_use]
    pub fn written(&self, writer: &WriterId) -> u64 {
        self.data.length(writer) + self.control.length(writer)
    }

    /// Whether this is a state between two others that a group of commits led from one to the other.
    #[must_use]
    pub fn is_between(&self, before: &Self, after: &Self) -> bool {
        self.data.covers(&before.data)
            && after.data.covers(&self.data)
            && self.control == before.control
            && (before.entries..=after.entries).contains(&self.entries)
            && (self.home, &self.locals, &self.table) == (before.home, &before.locals, &before.table)
    }
}

/// What held when a call returned.
#[derive(Debug)]
pub struct Moment {
    /// What was done.
    pub what: &'static str,
    /// How many calls the disk had seen.
    pub calls: usize,
    /// Whether it must survive.
    pub durable: bool,
    /// Whether several commits led here from the moment before.
    pub group: bool,
    /// What a reader saw.
    pub picture: Picture,
    /// Who wrote.
    pub writer: WriterId,
    /// Whether the next opening goes on as the same writer.
    pub keeps_writer: bool,
    /// Where the opening began that led here, if one did.
    pub opened_from: Option<usize>,
}

/// A workload as it went.
pub struct Recording {
    /// Who shares the space.
    pub shared: SharedSpace,
    /// What the disk saw.
    pub tape: Vec<Call>,
    /// What held, in order; the first is the empty database.
    pub moments: Vec<Moment>,
    /// Whoever the recorded store was.
    pub writers: BTreeSet<WriterId>,
    /// What the disk held at the end.
    pub image: Image,
    /// What seals the file, if it is sealed.
    pub seal: Option<Seal>,
}

impl std::fmt::Debug for Recording {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recording").field("calls", &self.tape.len()).field("moments", &self.moments.len()).finish()
    }
}

impl Recording {
    /// Opens a store of the recorded device on a disk, with the randomness of a seed.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open(&self, disk: &Disk, seed: u64) -> Result<Store, OpenError> {
        let options = Options { mirror: disk.mirror(), ..self.shared.options(0, Arc::new(SimulatedHost::new(seed))) };
        Store::open(location(disk, self.seal.as_ref()), options)
    }

    /// The file on a disk as if it were plain.
    ///
    /// # Panics
    /// When its seal does not open.
    #[must_use]
    pub fn storage(&self, disk: &Disk) -> Box<dyn StorageBackend> {
        let file = Box::new(disk.database());
        match &self.seal {
            None => file,
            Some(seal) => Box::new(Sealed::open(file, seal).expect("its seal opens")),
        }
    }

    /// As [`Recording::open`], with so much of redb's cache, in bytes.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_with(&self, disk: &Disk, cache_bytes: usize) -> Result<Store, OpenError> {
        let options = self.shared.options(0, Arc::new(SimulatedHost::new(7)));
        Store::open(location(disk, self.seal.as_ref()), Options { cache_bytes, mirror: disk.mirror(), ..options })
    }
}

fn location(disk: &Disk, seal: Option<&Seal>) -> Location {
    match seal {
        None => disk.location(),
        Some(seal) => disk.location().sealed(seal.clone()),
    }
}

/// The table with a key for the control plane.
#[must_use]
pub fn table(shared: &SharedSpace) -> EffectiveTable {
    EffectiveTable { control_key: Some(SecretKey::new([5; 32])), ..shared.table().clone() }
}

struct Recorder {
    random: Random,
    shared: SharedSpace,
    disk: Disk,
    seal: Option<Seal>,
    store: Option<Store>,
    /// Whether the next opening goes on as the same writer.
    keeps_writer: bool,
    table: EffectiveTable,
    moments: Vec<Moment>,
    writers: BTreeSet<WriterId>,
}

/// Records so many steps.
///
/// # Panics
/// When the store refuses what it may not refuse.
#[must_use]
pub fn record(seed: u64, steps: usize) -> Recording {
    record_on(None, seed, steps)
}

/// The same with a sealed file.
///
/// # Panics
/// As [`record`].
#[must_use]
pub fn record_sealed(seed: u64, steps: usize) -> Recording {
    record_on(Some(Seal::key(&[0x5E; 32]).expect("32 bytes")), seed, steps)
}

fn record_on(seal: Option<Seal>, seed: u64, steps: usize) -> Recording {
    let shared = SharedSpace::new(seed, MEMBERS);
    let table = table(&shared);
    let (disk, random) = (Disk::default().recording(), Random::new(seed));
    let (moments, writers) = (Vec::new(), BTreeSet::new());
    let mut recorder =
        Recorder { random, shared, disk, seal, store: None, keeps_writer: true, table, moments, writers };
    recorder.open("create", seed);
    recorder.begin();
    for step in 0..steps {
        recorder.shared.host.advance_ms(7);
        // Every kind comes early, and then any.
        let kind = if step < 2 * KINDS { step % KINDS } else { recorder.random.below(KINDS) };
        recorder.step(kind);
    }
    // Last, since every image from here on is large.
    recorder.write_large();
    recorder.reopen();
    recorder.store = None;
    let Recorder { shared, disk, moments, writers, seal, .. } = recorder;
    Recording { shared, image: disk.image(), tape: disk.take_tape(), moments, writers, seal }
}

/// How many kinds of steps there are.
const KINDS: usize = 13;

impl Recorder {
    fn store(&self) -> &Store {
        self.store.as_ref().expect("it is open between steps")
    }

    fn note(&mut self, what: &'static str, durable: bool, group: bool) {
        let (picture, writer) = (Picture::of(self.store(), &self.shared.space), self.store().writer());
        let (calls, keeps_writer) = (self.disk.calls(), self.keeps_writer);
        self.moments.push(Moment { what, calls, durable, group, picture, writer, keeps_writer, opened_from: None });
    }

    fn begin(&mut self) {
        self.set_effective("first table");
        self.store().set_home(self.shared.space).expect("home is set");
        self.note("home", true, false);
        let schema = Schema::from_json(SCHEMA.as_bytes()).expect("a schema");
        self.store()
            .transaction(Durability::Local, |transaction| transaction.set_schema("declared", &schema))
            .expect("a schema");
        self.note("schema", true, false);
        self.send(1);
        self.send(2);
    }

    fn set_effective(&mut self, what: &'static str) {
        self.store().set_effective(self.shared.space, self.table.clone()).expect("the table is taken");
        self.note(what, true, false);
    }

    fn step(&mut self, kind: usize) {
        match kind {
            0..3 => self.write(Durability::Local, "commit"),
            3 => {
                self.write(Durability::Buffered, "buffered");
                self.write(Durability::Buffered, "buffered again");
            }
            4 => {
                self.store().flush().expect("it flushes");
                self.note("flush", true, false);
            }
            5 => self.write_at_once(),
            6 => self.write_many(),
            7 => self.receive(1),
            8 => self.receive(2),
            9 => self.cut_or_mend(),
            10 => self.change_schema(),
            11 => self.write_aside(),
            _ => self.reopen(),
        }
    }

    /// Once in a while without the mirror: then this writer is another one, and the next opening makes another one again.
    fn reopen(&mut self) {
        self.store = None;
        self.keeps_writer = !self.random.one_in(3);
        let seed = self.random.number();
        self.open("reopen", seed);
    }

    fn open(&mut self, what: &'static str, seed: u64) {
        let from = self.disk.calls();
        let mirror = if self.keeps_writer { self.disk.mirror() } else { None };
        let options = Options { mirror, ..self.shared.options(0, Arc::new(SimulatedHost::new(seed))) };
        let store = Store::open(location(&self.disk, self.seal.as_ref()), options).expect("it opens");
        self.writers.insert(store.writer());
        self.store = Some(store);
        self.note(what, true, false);
        self.moments.last_mut().expect("just noted").opened_from = Some(from);
    }

    /// Half of the commits change something for certain; the others are refused as often as not.
    fn write(&mut self, durability: Durability, what: &'static str) {
        let writes: Vec<Write> = if self.random.one_in(2) {
            let fields = Fields::from([("number".to_owned(), Value::Int(self.random.below(1_000) as i64))]);
            vec![Write { collection: "free", id: IDS[self.random.below(IDS.len())], action: Action::Upsert(fields) }]
        } else {
            (0..=self.random.below(3)).map(|_| Write::random(&mut self.random)).collect()
        };
        write(self.store(), durability, &writes);
        self.note(what, durability == Durability::Local, false);
    }

    /// One transaction holds the writer's lock until the others are about to ask for it.
    fn write_at_once(&mut self) {
        let writes: Vec<Write> = (0..THREADS).map(|_| Write::random(&mut self.random)).collect();
        let (store, coming) = (self.store(), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            let first = store.transaction(Durability::Local, |transaction| {
                for write in &writes {
                    scope.spawn(|| {
                        coming.fetch_add(1, Ordering::SeqCst);
                        self::write(store, Durability::Local, std::slice::from_ref(write));
                    });
                }
                while coming.load(Ordering::SeqCst) < THREADS {
                    std::thread::yield_now();
                }
                transaction.upsert("free", "first", Fields::from([("of".to_owned(), Value::Int(4))]))
            });
            first.expect("it is written");
        });
        self.note("group", true, true);
    }

    fn write_many(&mut self) {
        let mut left = 3;
        let random = &mut self.random;
        let store = self.store.as_ref().expect("it is open between steps");
        let done = store.transactions(Durability::Local, |transaction| {
            left -= 1;
            let id = format!("many{}", random.below(9));
            transaction.upsert("free", &id, Fields::from([("left".to_owned(), Value::Int(left))]))?;
            Ok::<_, WriteError>(if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        });
        done.expect("they are written");
        self.note("many", true, false);
    }

    fn write_large(&mut self) {
        let byte = self.random.below(256) as u8;
        let large = (0..LARGE_BYTES).map(|at| byte.wrapping_add(((at * at) >> 8) as u8)).collect();
        let fields = Fields::from([("large".to_owned(), Value::Bytes(large))]);
        let done =
            self.store().transaction(Durability::Local, |transaction| transaction.upsert("free", "large", fields));
        done.expect("it is written");
        self.note("large", true, false);
    }

    /// Another member learns, writes and sends; sometimes only its end, so that it waits, or its logs in pieces.
    fn receive(&mut self, member: usize) {
        if self.random.one_in(2) {
            self.send(member);
        }
        for _ in 0..=self.random.below(3) {
            let write_one = Write::random(&mut self.random);
            write(self.shared.store(member), Durability::Local, &[write_one]);
        }
        let other = 3 - member;
        let writers: Vec<WriterId> = self.shared.vector(member).iter().map(|(writer, _)| *writer).collect();
        if self.random.one_in(2) {
            for writer in &writers {
                self.shared.deliver(member, other, writer, usize::MAX);
            }
        }
        let space = self.shared.space;
        let max_bytes = if self.random.one_in(2) { 1 } else { usize::MAX };
        for writer in writers {
            if !self.writers.contains(&writer)
                && deliver(&space, self.shared.store(member), self.store(), &writer, max_bytes)
            {
                self.note("receive", true, false);
            }
        }
    }

    /// Gives a member what the recorded store has.
    fn send(&mut self, member: usize) {
        self.store().flush().expect("it flushes");
        self.note("flush before sending", true, false);
        let vector = self.store().vector(&self.shared.space, Plane::Data).expect("a vector");
        for (writer, _) in vector.iter() {
            while deliver(&self.shared.space, self.store(), self.shared.store(member), writer, usize::MAX) {}
        }
    }

    /// Removes a member from the middle of its log on, or takes it back: documents are folded again.
    fn cut_or_mend(&mut self) {
        let space = self.shared.space;
        let writer = self.shared.store(2).writer();
        let authority = self.table.devices.get_mut(&writer.device).expect("a member");
        if authority.closed {
            authority.closed = false;
            authority.cuts.clear();
        } else {
            let store = self.store.as_ref().expect("it is open between steps");
            let length = store.vector(&space, Plane::Data).expect("a vector").length(&writer) / 2;
            let root =
                store.prefix_at(&space, Plane::Data, &writer, length).expect("a prefix").map(|prefix| prefix.root);
            authority.closed = true;
            authority.rank = Rank::Writer;
            authority.cuts.insert(writer.incarnation, Cut { length, root: root.unwrap_or_default() });
        }
        self.set_effective("another table");
    }

    fn change_schema(&mut self) {
        let text = if self.random.one_in(2) { SCHEMA } else { WIDER_SCHEMA };
        let schema = Schema::from_json(text.as_bytes()).expect("a schema");
        let done =
            self.store().transaction(Durability::Local, |transaction| transaction.set_schema("declared", &schema));
        done.expect("the schema is changed");
        self.note("schema change", true, false);
    }

    /// Local records, and the control log.
    fn write_aside(&mut self) {
        let name = format!("record/{}", self.random.below(3));
        let value = self.random.number().to_be_bytes();
        let record = (!self.random.one_in(3)).then_some(&value[..]);
        self.store().set_local(&[(&name, record)]).expect("it is written");
        self.note("local record", true, false);
        self.store().append_control(&self.shared.space, &value).expect("it is written");
        self.note("control", true, false);
    }
}

/// One transaction, which the database may refuse for what it says.
fn write(store: &Store, durability: Durability, writes: &[Write]) {
    let done = store.transaction(durability, |transaction| writes.iter().try_for_each(|write| write.run(transaction)));
    match done {
        Ok(()) => {}
        Err(TransactionError::Aborted(error)) if is_refusal(&error) => {}
        Err(error) => panic!("an honest write failed: {error}"),
    }
}
