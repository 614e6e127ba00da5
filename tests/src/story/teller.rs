//! One database, what is known of it, and the steps of a story.

use std::sync::{Arc, Mutex, PoisonError};

use tidewater::{
    Change, ChangeGuard, CreateOptions, Database, Delta, Document, Durability, Fields, LiveQuery, OpenOptions, Query,
    Schema, Snapshot, SpaceId, Transaction, TransactionError, WriteError,
};
use tidewater_engine::query::definition::answer;

use super::question::query;
use super::{Reached, Told};
use crate::disk::Disk;
use crate::edits::{Action, IDS, Write, is_refusal};
use crate::host::SimulatedHost;
use crate::random::Random;
use crate::sim::model::Model;

/// redb's cache, in bytes.
const CACHE_BYTES: usize = 1 << 20;
/// Spaces that a story has at most.
const SPACES_MAX: usize = 3;
/// Snapshots, and live queries, that are held at once.
const HELD_MAX: usize = 3;
/// Writes that are drawn for one that is done.
const ATTEMPTS: usize = 5;
const COLLECTIONS: [&str; 2] = ["declared", "free"];
/// The kinds of the fields of `declared`; its indexes come and go.
const KINDS: &str =
    r#""counter": {"kind": "counter"}, "set": {"kind": "set"}, "text": {"kind": "text"}, "json": {"kind": "json"}"#;
const INDEXES: [&str; 6] = [
    r#""by_register": {"fields": ["register"]}"#,
    r#""by_counter": {"fields": ["counter", "register"]}"#,
    r#""by_element": {"fields": ["set"]}"#,
    r#""by_member": {"fields": ["json.a", "register"]}"#,
    r#""by_text": {"fields": ["text"]}"#,
    r#""by_mixed": {"fields": ["mixed"]}"#,
];

pub(super) struct Teller {
    host: Arc<SimulatedHost>,
    disk: Disk,
    open: Option<Open>,
    spaces: Vec<SpaceId>,
    model: Model,
    live: Vec<Live>,
    /// What the database said of changes since all live queries were last refreshed.
    changes: Changes,
    reached: Reached,
}

type Changes = Arc<Mutex<Vec<Change>>>;

/// A database while it is open.
struct Open {
    database: Database,
    snapshots: Vec<(Snapshot, Vec<Document>)>,
    _listener: ChangeGuard,
}

/// A live query, and its result as its changes make it.
struct Live {
    query: LiveQuery,
    list: Vec<Document>,
}

/// Why a transaction ends without a commit.
enum Abort {
    Refused(WriteError),
    Wanted,
    Wrong(String),
}

type Step = Result<(), String>;

impl Teller {
    pub(super) fn new(seed: u64) -> Self {
        let (host, disk) = (Arc::new(SimulatedHost::new(seed)), Disk::default());
        let open = OpenOptions { host: host.clone(), mirror: None, cache_bytes: CACHE_BYTES };
        let options = CreateOptions { open, identity: Some("teller".into()), home: true };
        let database = Database::create(disk.location(), options).expect("it is created");
        let home = database.home().expect("a home");
        let changes = Changes::default();
        let mut teller = Self {
            host,
            disk,
            open: Some(Open::new(database, &changes)),
            spaces: Vec::new(),
            model: Model::default(),
            live: Vec::new(),
            changes,
            reached: Reached::new(),
        };
        teller.add_space(home);
        teller
    }

    fn open(&mut self) -> &mut Open {
        self.open.as_mut().expect("it is open between steps")
    }

    fn database(&self) -> &Database {
        &self.open.as_ref().expect("it is open between steps").database
    }

    fn snapshot(&self) -> Result<Snapshot, String> {
        self.database().snapshot().map_err(|error| format!("a snapshot: {error}"))
    }

    fn add_space(&mut self, space: SpaceId) {
        self.spaces.push(space);
        for collection in COLLECTIONS {
            for id in IDS {
                self.model.check(space, collection, id, None).expect("nothing is known of a new space");
            }
        }
        self.declare(space, "declared", KINDS, &INDEXES[..1]);
    }

    fn declare(&self, space: SpaceId, collection: &str, kinds: &str, indexes: &[&str]) {
        let schema = format!(r#"{{"fields": {{{kinds}}}, "indexes": {{{}}}}}"#, indexes.join(", "));
        let schema = Schema::from_json(schema.as_bytes()).expect("a schema");
        let declared = self.database().transaction(Durability::Buffered, |transaction| {
            transaction.in_space(space)?;
            transaction.set_schema(collection, &schema)
        });
        declared.expect("an owner declares");
    }

    pub(super) fn step(&mut self, random: &mut Random, told: &mut Told) -> Step {
        self.host.advance_ms(random.below(2_000) as i64 - 500);
        let space = *random.pick(&self.spaces);
        let collection = *random.pick(&COLLECTIONS);
        let (name, done) = match random.below(40) {
            0..17 => ("transaction", self.transaction(random, space, told)),
            17..22 => ("single write", self.single(random, space, told)),
            22..30 => ("query", self.query(random, collection, told)),
            30..32 => ("snapshot kept", self.keep()),
            32 => ("snapshot read again", self.read_again(random)),
            33 => ("live query", self.watch(random, collection, told)),
            34..36 => ("live query refreshed", self.refresh(random)),
            36..38 => ("indexes changed", self.index(random, space, collection, told)),
            38 => ("reopened", self.reopen(told)),
            _ => ("another space", self.another_space(told)),
        };
        *self.reached.entry(name).or_default() += 1;
        done.map_err(|why| format!("{name}: {why}"))
    }

    /// The end of a story: everything is as it must be, also after the file was opened again.
    pub(super) fn end(mut self) -> Result<Reached, String> {
        for live in 0..self.live.len() {
            self.refresh_one(live)?;
        }
        self.reopen(&mut Told::default())?;
        let report = self.database().verify(&mut |_, _| {}).map_err(|error| error.to_string())?;
        if report.problems.is_empty() { Ok(self.reached) } else { Err(format!("{:?}", report.problems)) }
    }

    /// Reads a collection whole, and holds it to the model.
    fn read(&mut self, collection: &'static str) -> Result<Vec<Document>, String> {
        let found = self.snapshot()?.find(&Query::all(collection)).map_err(|error| error.to_string())?.documents;
        check(&mut self.model, &self.spaces, collection, &found)?;
        Ok(found)
    }

    fn transaction(&mut self, random: &mut Random, space: SpaceId, told: &mut Told) -> Step {
        let writes: Vec<Write> = (0..1 + random.below(3)).map(|_| self.write(random, space)).collect();
        let (rolls_back, looks) = (random.one_in(5), random.one_in(3));
        let question = query(random, writes[0].collection, &[space]);
        told.push(|| format!("in {space}, {}: {writes:?}", if rolls_back { "rolled back" } else { "committed" }));
        let mut after = self.model.clone();
        let durability = if random.one_in(2) { Durability::Local } else { Durability::Buffered };
        let outcome = self.database().transaction(durability, |transaction| {
            transaction.in_space(space).map_err(Abort::Refused)?;
            for write in &writes {
                run_one(transaction, space, write, &mut after)?;
            }
            if looks {
                look(transaction, &question).map_err(Abort::Wrong)?;
            }
            if rolls_back { Err(Abort::Wanted) } else { Ok(()) }
        });
        match outcome {
            Ok(()) => self.model = after,
            Err(TransactionError::Aborted(Abort::Wanted)) => *self.reached.entry("rolled back").or_default() += 1,
            Err(TransactionError::Aborted(Abort::Refused(error))) if is_refusal(&error) => {
                *self.reached.entry("refused").or_default() += 1;
            }
            Err(TransactionError::Aborted(Abort::Refused(error))) => return Err(format!("refused: {error}")),
            Err(TransactionError::Aborted(Abort::Wrong(why))) => return Err(why),
            Err(TransactionError::Write(error)) => return Err(format!("a commit failed: {error}")),
        }
        writes.iter().try_for_each(|write| self.check_one(space, write.collection, write.id))
    }

    /// A write that is not refused for whether its document is there, most often.
    fn write(&self, random: &mut Random, space: SpaceId) -> Write {
        let fits = |write: &Write| self.model.must_refuse(space, write) != Some(true);
        let mut drawn = (0..ATTEMPTS).map(|_| Write::random(random)).collect::<Vec<_>>().into_iter();
        let last = drawn.next_back().expect("some attempts");
        drawn.find(fits).unwrap_or(last)
    }

    /// One write by the methods of a collection.
    fn single(&mut self, random: &mut Random, space: SpaceId, told: &mut Told) -> Step {
        let write = self.write(random, space);
        told.push(|| format!("in {space}, alone: {write:?}"));
        let must_refuse = self.model.must_refuse(space, &write);
        let collection = self.database().collection(write.collection).in_space(space);
        let was_there = collection.get(write.id).map_err(|error| error.to_string())?.is_some();
        let done = match write.action.clone() {
            Action::Insert(fields) => collection.insert_as(write.id, fields).map(drop),
            Action::Upsert(fields) => {
                collection.upsert(write.id, fields).map(|inserted| assert_eq!(inserted, !was_there))
            }
            Action::Delete => collection.delete(write.id).map(|deleted| assert_eq!(deleted, was_there)),
            // Collections have static names of fields, and no restore.
            Action::Update(_) | Action::Restore => return Ok(()),
        };
        match done {
            Ok(()) if must_refuse == Some(true) => return Err("it was not refused".into()),
            Ok(()) => self.model.write(space, &write, false),
            Err(error) if is_refusal(&error) => {}
            Err(error) => return Err(error.to_string()),
        }
        self.check_one(space, write.collection, write.id)
    }

    fn check_one(&mut self, space: SpaceId, collection: &'static str, id: &'static str) -> Step {
        let read = self.snapshot()?.get(Some(&space), collection, id).map_err(|error| error.to_string())?;
        self.model.check(space, collection, id, read.map(|document| document.fields))
    }

    fn query(&mut self, random: &mut Random, collection: &'static str, told: &mut Told) -> Step {
        let query = query(random, collection, &self.spaces);
        told.push(|| format!("{query:?}"));
        let all = self.read(collection)?;
        let snapshot = self.snapshot()?;
        ask(&query, &all, 1 + random.below(4), &mut |query| snapshot.find(query))
    }

    fn keep(&mut self) -> Step {
        let documents: Vec<Document> =
            COLLECTIONS.iter().map(|collection| self.read(collection)).collect::<Result<Vec<_>, _>>()?.concat();
        let snapshot = self.snapshot()?;
        let snapshots = &mut self.open().snapshots;
        if snapshots.len() == HELD_MAX {
            snapshots.remove(0);
        }
        snapshots.push((snapshot, documents));
        Ok(())
    }

    /// Whatever was written since, a snapshot shows what it showed.
    fn read_again(&mut self, random: &mut Random) -> Step {
        let snapshots = &self.open().snapshots;
        if snapshots.is_empty() {
            return Ok(());
        }
        let (snapshot, documents) = random.pick(snapshots);
        let mut again = Vec::new();
        for collection in COLLECTIONS {
            again.extend(snapshot.find(&Query::all(collection)).map_err(|error| error.to_string())?.documents);
        }
        if again == *documents { Ok(()) } else { Err(format!("{again:?} instead of {documents:?}")) }
    }

    fn watch(&mut self, random: &mut Random, collection: &'static str, told: &mut Told) -> Step {
        let mut query = query(random, collection, &self.spaces);
        if random.one_in(2) {
            query = query.limit(1 + random.below(4));
        }
        told.push(|| format!("watch {query:?}"));
        if self.live.len() == HELD_MAX {
            self.live.remove(0);
        }
        let query = LiveQuery::new(query).map_err(|error| error.to_string())?;
        self.live.push(Live { query, list: Vec::new() });
        (0..self.live.len()).try_for_each(|number| self.refresh_one(number))?;
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).clear();
        Ok(())
    }

    fn refresh(&mut self, random: &mut Random) -> Step {
        if self.live.is_empty() { Ok(()) } else { self.refresh_one(random.below(self.live.len())) }
    }

    /// The changes since lead from the last result to the one that the query gives now; and where no change was said to
    /// concern it, it is as it was.
    fn refresh_one(&mut self, number: usize) -> Step {
        // What is not durable yet is not told yet.
        self.database().flush().map_err(|error| error.to_string())?;
        let snapshot = self.snapshot()?;
        let live = &mut self.live[number];
        let changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let affected = changes.iter().any(|change| live.query.affected_by(change));
        let is_new = live.list.is_empty() && live.query.documents().is_empty();
        let deltas = snapshot.refresh(&mut live.query).map_err(|error| error.to_string())?;
        if !affected && !is_new && !deltas.is_empty() {
            return Err(format!("no change was said to concern it, and yet: {deltas:?}"));
        }
        deltas.into_iter().try_for_each(|delta| apply(&mut live.list, delta))?;
        let found = snapshot.find(live.query.query()).map_err(|error| error.to_string())?.documents;
        if live.list != found || live.query.documents() != found {
            return Err(format!("its changes lead to {:?}, it gives {found:?}", live.list));
        }
        Ok(())
    }

    fn index(&mut self, random: &mut Random, space: SpaceId, collection: &str, told: &mut Told) -> Step {
        let indexes: Vec<&str> = INDEXES.into_iter().filter(|_| random.one_in(2)).collect();
        told.push(|| format!("in {space}, {collection} has {indexes:?}"));
        self.declare(space, collection, if collection == "declared" { KINDS } else { "" }, &indexes);
        Ok(())
    }

    /// Closes the database, opens its file again, and finds everything there.
    fn reopen(&mut self, told: &mut Told) -> Step {
        told.push(|| "reopen".into());
        self.database().flush().map_err(|error| error.to_string())?;
        self.open = None;
        let options = OpenOptions { host: self.host.clone(), mirror: None, cache_bytes: CACHE_BYTES };
        let location = self.disk.location();
        let database = Database::open(location, options).map_err(|error| error.to_string())?;
        self.open = Some(Open::new(database, &self.changes));
        COLLECTIONS.iter().try_for_each(|collection| self.read(collection).map(drop))?;
        (0..self.live.len()).try_for_each(|number| self.refresh_one(number))
    }

    fn another_space(&mut self, told: &mut Told) -> Step {
        if self.spaces.len() < SPACES_MAX {
            told.push(|| "another space".into());
            let space = self.database().new_space("another").map_err(|error| error.to_string())?;
            self.add_space(space);
        }
        Ok(())
    }
}

impl Open {
    fn new(database: Database, changes: &Changes) -> Self {
        let heard = Arc::clone(changes);
        let listener = database.on_change(Arc::new(move |change: &Change| {
            heard.lock().unwrap_or_else(PoisonError::into_inner).push(change.clone());
        }));
        Self { database, snapshots: Vec::new(), _listener: listener }
    }
}

/// One write within a transaction, which reads it at once.
fn run_one(transaction: &mut Transaction<'_>, space: SpaceId, write: &Write, after: &mut Model) -> Result<(), Abort> {
    let must_refuse = after.must_refuse(space, write);
    write.run(transaction).map_err(|error| {
        let for_presence = matches!(error, WriteError::Exists { .. } | WriteError::Missing { .. });
        if for_presence && must_refuse == Some(false) {
            Abort::Wrong(format!("{write:?} was refused: {error}"))
        } else {
            Abort::Refused(error)
        }
    })?;
    if must_refuse == Some(true) {
        return Err(Abort::Wrong(format!("{write:?} was not refused")));
    }
    after.write(space, write, false);
    let read = transaction.get(write.collection, write.id);
    let read = read.map_err(|error| Abort::Wrong(error.to_string()))?.map(|document| document.fields);
    after.check(space, write.collection, write.id, read).map_err(Abort::Wrong)
}

/// A query within a transaction sees what was written in it.
fn look(transaction: &mut Transaction<'_>, query: &Query) -> Step {
    let all = transaction.find(&Query::all(query.collection.clone())).map_err(|error| error.to_string())?.documents;
    ask(query, &all, 2, &mut |query| transaction.find(query))
}

/// Asks whole, counted, and page by page.
fn ask(
    query: &Query,
    all: &[Document],
    size: usize,
    find: &mut dyn FnMut(&Query) -> Result<tidewater::Found, tidewater::ReadError>,
) -> Step {
    let expected = answer(all, query);
    let mut find = |query: &Query| find(query).map_err(|error| error.to_string());
    let found = find(&query.clone().counted())?;
    if found.documents != expected || found.total != Some(expected.len() as u64) {
        return Err(format!("{:?} instead of {expected:?}, by {:?}", found.documents, found.plan));
    }
    let (mut page, mut paged) = (query.clone().limit(size), Vec::new());
    loop {
        let found = find(&page)?;
        paged.extend(found.documents);
        match found.cursors.last() {
            Some(cursor) if found.has_more => page = page.after(cursor.clone()),
            _ => break,
        }
    }
    if paged == expected { Ok(()) } else { Err(format!("pages of {size} give {paged:?} instead of {expected:?}")) }
}

fn check(model: &mut Model, spaces: &[SpaceId], collection: &'static str, found: &[Document]) -> Step {
    for space in spaces {
        for id in IDS {
            let read = found.iter().find(|document| document.space == *space && document.id.as_str() == id);
            model.check(*space, collection, id, read.map(|document| document.fields.clone()) as Option<Fields>)?;
        }
    }
    let known = found.iter().filter(|document| spaces.contains(&document.space) && IDS.contains(&document.id.as_str()));
    if known.count() == found.len() { Ok(()) } else { Err(format!("documents that nobody wrote: {found:?}")) }
}

fn apply(list: &mut Vec<Document>, delta: Delta) -> Step {
    let position = |index: usize, length: usize| {
        if index < length { Ok(index) } else { Err(format!("a position {index} of {length}")) }
    };
    match delta {
        Delta::Added { document, index } => list.insert(position(index, list.len() + 1)?, document),
        Delta::Changed { document, index } => {
            let at = position(index, list.len())?;
            list[at] = document;
        }
        Delta::Moved { from, to, .. } => {
            let document = list.remove(position(from, list.len())?);
            list.insert(position(to, list.len() + 1)?, document);
        }
        Delta::Removed { index, .. } => drop(list.remove(position(index, list.len())?)),
    }
    Ok(())
}
