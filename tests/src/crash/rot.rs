//! Bytes that rot: flipped, zeroed, swapped and stale pages of a database file, before it is opened or while it is open; and
//! rows that are wrong on pages that are right.
//! Every question that is answered is answered as before, every other answer is an error with a type, and nothing panics.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use redb::{ReadableTable, StorageBackend, TableDefinition, TableHandle};
use tidewater_engine::id::{DocumentId, WriterId};
use tidewater_engine::log::Plane;
use tidewater_engine::query::{Filter, Query};
use tidewater_engine::store::{OpenError, Pages, ReadError, Snapshot, Store};
use xxhash_rust::xxh3::Xxh3;

use super::workload::{Recording, record};
use crate::disk::{Disk, Image, Images, Loss};
use crate::random::Random;

/// The unit of a database file, in bytes.
const PAGE: usize = 4096;

/// How many images to try, on which database.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// The seed of the database and of what rots.
    pub seed: u64,
    /// Steps of the workload that made the database.
    pub steps: usize,
    /// How many images.
    pub images: usize,
    /// How many threads share the work.
    pub threads: usize,
}

/// What was tried, and what it came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tried {
    /// Images.
    pub images: usize,
    /// Questions that each was asked.
    pub questions: usize,
    /// Images that were refused at opening.
    pub refused: usize,
    /// Images of which `verify` said that something is wrong.
    pub found: usize,
    /// Images that were as good as before: what rotted was not in use.
    pub harmless: usize,
    /// Questions that were answered with an error.
    pub errors: usize,
    /// Images that answered some of the questions, and others with an error.
    pub partial: usize,
    /// Images with answers that are wrong and don't say so.
    pub silent: usize,
}

/// As many threads as there are processors.
#[must_use]
pub fn all_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Damages a database in so many ways.
///
/// # Panics
/// When something panics, or an error comes from a database of which `verify` says that it is sound.
#[must_use]
pub fn rot(plan: Plan) -> Tried {
    rot_on(plan, &record(plan.seed, plan.steps))
}

/// The same to a database that was recorded already.
///
/// # Panics
/// As [`rot`].
#[must_use]
pub fn rot_on(plan: Plan, recording: &Recording) -> Tried {
    let stale = half_way(recording);
    let store = recording.open_with(&Disk::holding(recording.image.clone()), 0).expect("a sound database opens");
    let questions = Questions::of(&store, recording);
    drop(store);
    let truth = questions.ask(recording, &Disk::holding(recording.image.clone()), "the sound database", &|| {});
    let truth = truth.expect("it opens");
    assert!(truth.answers.iter().all(|(_, answer)| answer.is_ok()), "a sound database answers: {truth:?}");
    let (pages, stale) = (&written(&recording.image.database), &stale);
    let part = &|first: usize| {
        let mut tried = Tried::default();
        for number in (first..plan.images).step_by(plan.threads) {
            let place = format!("seed {} steps {} image {number}", plan.seed, plan.steps);
            let disk = Disk::holding(recording.image.clone());
            let mut random = Random::new(plan.seed ^ (number as u64) << 32);
            let of_rows = number % 2 == 0 && random.one_in(4);
            let random = std::cell::RefCell::new(random);
            let rot = || {
                let random = &mut *random.borrow_mut();
                if of_rows {
                    damage_row(recording.storage(&disk), random)
                } else {
                    disk.change(|bytes| damage(bytes, pages, stale, random))
                }
            };
            tried.images += 1;
            let told = if number % 2 == 0 {
                let place = format!("{place}: {}", rot());
                questions.ask(recording, &disk, &place, &|| {}).map(|told| (told, place))
            } else {
                let what = std::cell::RefCell::default();
                let told = questions.ask(recording, &disk, &place, &|| *what.borrow_mut() = rot());
                told.map(|told| (told, format!("{place}, open: {}", what.borrow())))
            };
            match told {
                None => tried.refused += 1,
                Some((told, place)) => tried.count(&truth, &told, &place),
            }
        }
        tried
    };
    let tried = std::thread::scope(|scope| {
        let others: Vec<_> = (1..plan.threads).map(|first| scope.spawn(move || part(first))).collect();
        let others = others.into_iter().map(|part| part.join().expect("what fails says why above"));
        others.fold(part(0), Tried::add)
    });
    Tried { questions: truth.answers.len(), ..tried }
}

impl Tried {
    fn add(self, more: Self) -> Self {
        Self {
            images: self.images + more.images,
            questions: self.questions,
            refused: self.refused + more.refused,
            found: self.found + more.found,
            harmless: self.harmless + more.harmless,
            errors: self.errors + more.errors,
            partial: self.partial + more.partial,
            silent: self.silent + more.silent,
        }
    }

    fn count(&mut self, truth: &Told, told: &Told, place: &str) {
        let errors = told.answers.iter().filter(|(_, answer)| answer.is_err()).count();
        let wrong: Vec<&str> = truth
            .answers
            .iter()
            .zip(&told.answers)
            .filter(|((_, truth), (_, told))| told.is_ok() && truth.as_ref().ok() != told.as_ref().ok())
            .map(|((question, _), _)| question.as_str())
            .collect();
        self.errors += errors;
        self.partial += usize::from((1..truth.answers.len()).contains(&errors));
        self.found += usize::from(!told.is_sound);
        assert!(errors == 0 || !told.is_sound, "{place}: a read fails and verify finds nothing");
        if !wrong.is_empty() {
            println!("{place}: wrong without saying so: {wrong:?}");
            self.silent += 1;
        } else if errors == 0 && told.is_sound {
            self.harmless += 1;
        }
    }
}

/// What the file held in the middle of the workload.
fn half_way(recording: &Recording) -> Vec<u8> {
    let mut images = Images::new(Image::default(), &recording.tape);
    while images.played() < recording.tape.len() / 2 {
        images.play();
    }
    images.image(Loss::Nothing, &mut Random::new(0)).database
}

/// The pages that something was ever written to.
fn written(image: &[u8]) -> Vec<usize> {
    (0..image.len() / PAGE).filter(|page| image[page * PAGE..][..PAGE] != [0; PAGE]).collect()
}

/// Damages one of these pages, or two.
fn damage(image: &mut [u8], pages: &[usize], stale: &[u8], random: &mut Random) -> String {
    let page = *random.pick(pages);
    let start = page * PAGE;
    match random.below(5) {
        0 | 1 => {
            let (byte, bit) = (random.below(PAGE), random.below(8));
            image[start + byte] ^= 1 << bit;
            format!("bit {bit} of byte {byte} of page {page} is flipped")
        }
        2 => {
            image[start..start + PAGE].fill(0);
            format!("page {page} is zeroed")
        }
        3 => {
            let other = *random.pick(pages);
            for at in 0..PAGE {
                image.swap(start + at, other * PAGE + at);
            }
            format!("pages {page} and {other} are swapped")
        }
        _ => {
            let Some(before) = stale.get(start..start + PAGE) else { return "nothing".to_owned() };
            image[start..start + PAGE].copy_from_slice(before);
            format!("page {page} is an old one")
        }
    }
}

/// Damages a row, by a bit or with the value of another one, on pages whose sums are right afterwards: what only the row's
/// own check tells.
fn damage_row(storage: Box<dyn StorageBackend>, random: &mut Random) -> String {
    let pages = Pages::new(storage);
    let redb = redb::Database::builder().create_with_backend(pages).expect("a sound file opens");
    let transaction = redb.begin_write().expect("a disk in memory");
    let mut names: Vec<_> = transaction.list_tables().expect("tables").map(|table| table.name().to_owned()).collect();
    names.sort();
    let name = random.pick(&names);
    let what;
    {
        let mut table = transaction.open_table(TableDefinition::<&[u8], &[u8]>::new(name)).expect("a table");
        let rows: Vec<(Vec<u8>, Vec<u8>)> = table
            .iter()
            .expect("rows")
            .map(|row| row.map(|(key, value)| (key.value().to_vec(), value.value().to_vec())).expect("a row"))
            .collect();
        if rows.is_empty() {
            return "nothing".to_owned();
        }
        let (number, other) = (random.below(rows.len()), random.below(rows.len()));
        let (key, mut value) = rows[number].clone();
        if random.one_in(2) {
            let (byte, bit) = (random.below(value.len()), random.below(8));
            value[byte] ^= 1 << bit;
            what = format!("bit {bit} of byte {byte} of row {number} of {name} is flipped");
        } else {
            value.clone_from(&rows[other].1);
            what = format!("row {number} of {name} has the value of row {other}");
        }
        table.insert(&*key, &*value).expect("it is written");
    }
    transaction.commit().expect("a disk in memory");
    what
}

/// Everything that a database is asked.
struct Questions {
    documents: Vec<(String, String)>,
    collections: Vec<String>,
    filters: Vec<(&'static str, &'static str)>,
}

type Answers = Vec<(String, Result<String, ReadError>)>;

#[derive(Debug)]
struct Told {
    answers: Answers,
    is_sound: bool,
}

fn said<T: std::fmt::Debug>(answer: Result<T, ReadError>) -> Result<String, ReadError> {
    answer.map(|answer| format!("{answer:?}"))
}

impl Questions {
    fn of(store: &Store, recording: &Recording) -> Self {
        let snapshot = store.snapshot().expect("a snapshot");
        let collections = snapshot.collections().expect("collections");
        let mut documents = Vec::new();
        for collection in &collections {
            let found = snapshot.find(&Query::all(collection.as_str())).expect("a result").documents;
            documents.extend(found.into_iter().map(|document| (collection.clone(), document.id.to_string())));
        }
        documents.push(("free".to_owned(), "never".to_owned()));
        assert!(documents.len() > 5 && recording.moments.len() > 5);
        let filters = vec![("declared", "register=ebb"), ("declared", "counter>=0"), ("free", "of=4")];
        Self { documents, collections, filters }
    }

    /// Opens a disk, lets something happen to it, and asks. `None`: it was refused.
    fn ask(&self, recording: &Recording, disk: &Disk, place: &str, then: &dyn Fn()) -> Option<Told> {
        let asked = catch_unwind(AssertUnwindSafe(|| {
            // No cache: what is read is read from the disk.
            let store = match recording.open_with(disk, 0) {
                Ok(store) => store,
                Err(OpenError::Damaged { .. } | OpenError::Foreign { .. } | OpenError::Newer { .. }) => return None,
                Err(error) => panic!("{place}: a damaged file is refused with {error:?}"),
            };
            then();
            let answers = self.answers(&store, recording);
            let is_sound = store.verify(&mut |_, _| {}).is_ok_and(|report| report.problems.is_empty());
            Some(Told { answers, is_sound })
        }));
        asked.unwrap_or_else(|_| panic!("{place}: it panics, or an answer of a wrong kind"))
    }

    fn answers(&self, store: &Store, recording: &Recording) -> Answers {
        let mut answers = Vec::new();
        let space = &recording.shared.space;
        let mut add = |question: String, answer| answers.push((question, answer));
        for (collection, id) in &self.documents {
            let name = format!("{collection}/{id}");
            let asked = DocumentId::new(id.as_str()).expect("an id");
            let snapshot = || store.snapshot();
            add(name.clone(), said(snapshot().and_then(|snapshot| snapshot.get(None, collection, id))));
            let conflicts = snapshot().and_then(|snapshot| snapshot.conflicts(None, collection, &asked));
            add(format!("conflicts of {name}"), said(conflicts));
        }
        let found = |query: &Query| {
            let ids = |snapshot: Snapshot| -> Result<BTreeMap<String, u64>, ReadError> {
                let found = snapshot.find(query)?;
                Ok(found.documents.into_iter().map(|found| (found.id.to_string(), found.generation)).collect())
            };
            said(store.snapshot().and_then(ids))
        };
        for collection in &self.collections {
            add(format!("all {collection}"), found(&Query::all(collection.as_str())));
        }
        for (collection, filter) in &self.filters {
            let query = Query::all(*collection).filter(Filter::parse(filter).expect("a filter"));
            add(format!("{collection} where {filter}"), found(&query));
        }
        for plane in [Plane::Control, Plane::Data] {
            let vector = store.vector(space, plane);
            let writers: Vec<_> = vector.iter().flat_map(|vector| vector.iter().map(|(writer, _)| *writer)).collect();
            add(format!("{plane:?} vector"), said(vector));
            for writer in writers {
                add(format!("{plane:?} log of {writer}"), whole_log(store, recording, plane, &writer));
            }
        }
        add("locals".to_owned(), said(store.locals("")));
        add("digest".to_owned(), said(store.digest(space)));
        answers
    }
}

/// All entries of a log, batch by batch, as a session sends them.
fn whole_log(store: &Store, recording: &Recording, plane: Plane, writer: &WriterId) -> Result<String, ReadError> {
    let (mut count, mut hash) = (0, Xxh3::new());
    while let Some(batch) = store.read_log(&recording.shared.space, plane, writer, count, usize::MAX)? {
        count += batch.entries.len() as u64;
        batch.entries.iter().flat_map(|entry| [&entry.header, &entry.body]).for_each(|part| {
            hash.update(&part.len().to_le_bytes());
            hash.update(part);
        });
    }
    Ok(format!("{count} entries, {:x}", hash.digest()))
}
