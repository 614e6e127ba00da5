//! Every crash point of a recorded workload, each with a second one inside recovery.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use redb::{ReadableDatabase, ReadableTable, TableDefinition, TableHandle};
use tidewater_engine::log::Plane;
use tidewater_engine::store::{Durability, Pages, Store};
use tidewater_engine::value::{Fields, Value};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::disk::{Call, Disk};
use super::image::{Images, Loss};
use super::workload::{Moment, Picture, Recording, record};
use crate::random::Random;

/// Where redb's header lies in the file, as `docs/spec/file.md` says.
const HEADER_OFFSET: u64 = 8_192;
/// The byte of redb's header that says which of its two commits counts, and the bit.
const CHOICE: (usize, u8) = (9, 1);

/// How many points to try, on which workload.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// The seed of the workload and of what is lost.
    pub seed: u64,
    /// Steps of the workload.
    pub steps: usize,
    /// At least so many images are opened; every place of the workload is tried equally often.
    pub points: usize,
}

/// What was tried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tried {
    /// Calls of the workload that changed the disk.
    pub calls: usize,
    /// Moments that a recovery may come to.
    pub moments: usize,
    /// Images of a first cut.
    pub points: usize,
    /// Images of a second cut, during recovery.
    pub second: usize,
    /// How many of all images differ.
    pub images: usize,
    /// How many different databases came out of them, each of which was verified whole.
    pub databases: usize,
}

impl Tried {
    /// All images that a store was opened on.
    #[must_use]
    pub fn all(&self) -> usize {
        self.points + self.second
    }
}

/// Tries every place.
///
/// # Panics
/// When a recovery does not hold what it must: the message says which place of which workload.
#[must_use]
pub fn crash(plan: Plan) -> Tried {
    crash_on(plan, &record(plan.seed, plan.steps))
}

/// Tries every place of a workload that is recorded already.
///
/// # Panics
/// As [`crash`].
#[must_use]
pub fn crash_on(plan: Plan, recording: &Recording) -> Tried {
    assert_two_phases(&recording.tape);
    let places = recording.tape.len() + 1;
    let rounds = plan.points.div_ceil(2 * places).max(3);
    let mut trial = Trial::new(recording);
    for round in 0..rounds {
        let mut random = Random::new(plan.seed ^ (round as u64) << 32);
        let loss = [Loss::All, Loss::Nothing].get(round).copied().unwrap_or(Loss::Some);
        let mut images = Images::new(Vec::new(), &recording.tape);
        loop {
            let place = format!("seed {} steps {} round {round} call {}", plan.seed, plan.steps, images.played());
            let image = images.image(loss, &mut random);
            trial.point(image, images.played(), &mut random, &place);
            if !images.play() {
                break;
            }
        }
    }
    Tried { calls: recording.tape.len(), moments: recording.moments.len(), ..trial.tried }
}

/// A header that makes another commit count is written only when all that the commit consists of is synced: else whoever
/// chose the data could have chosen it so that half of it looks whole.
fn assert_two_phases(tape: &[Call]) {
    let (mut counts, mut pending, mut seen) = (None, 0, 0);
    for (number, call) in tape.iter().enumerate() {
        if let Call::Write(HEADER_OFFSET, header) = call
            && let Some(choice) = header.get(CHOICE.0).map(|byte| byte & CHOICE.1)
        {
            let is_new = counts.replace(choice).is_some_and(|before| before != choice);
            seen += usize::from(is_new);
            assert!(
                !is_new || pending == 0,
                "call {number} makes a commit count of which {pending} calls are not synced"
            );
        }
        pending = if *call == Call::Sync { 0 } else { pending + 1 };
    }
    assert!(seen > 0, "the tape shows no commit that comes to count");
}

struct Trial<'r> {
    recording: &'r Recording,
    /// What was found on an image, by its hash.
    images: BTreeMap<u64, Recovered>,
    /// The moments that a database may be of, by the hash of its records.
    databases: BTreeMap<u64, Vec<usize>>,
    tried: Tried,
}

/// What opening an image came to.
#[derive(Clone)]
struct Recovered {
    /// The hash of all records.
    records: u64,
    /// What the recovery did to the disk.
    tape: std::rc::Rc<[Call]>,
}

impl<'r> Trial<'r> {
    fn new(recording: &'r Recording) -> Self {
        Self { recording, images: BTreeMap::new(), databases: BTreeMap::new(), tried: Tried::default() }
    }

    /// One cut, and a second one in the recovery from it.
    fn point(&mut self, image: Vec<u8>, calls: usize, random: &mut Random, place: &str) {
        let allowed = self.allowed(calls);
        self.tried.points += 1;
        let Some(first) = self.recover(&image, allowed, place) else { return };
        let mut recovery = Images::new(image, &first.tape);
        for _ in 0..random.below(first.tape.len() + 1) {
            recovery.play();
        }
        let loss = *random.pick(&[Loss::All, Loss::Nothing, Loss::Some, Loss::Some]);
        let place = format!("{place}, then call {} of the recovery with {loss:?} lost", recovery.played());
        let image = recovery.image(loss, random);
        self.tried.second += 1;
        self.recover(&image, allowed, &place);
    }

    /// The first and the last moment that may be found after so many calls. `None`: there may be no database yet.
    fn allowed(&self, calls: usize) -> (Option<usize>, usize) {
        let moments = &self.recording.moments;
        let past = moments.iter().take_while(|moment| moment.calls <= calls).count();
        let first = moments[..past].iter().rposition(|moment| moment.durable);
        (first, past.min(moments.len() - 1))
    }

    /// Opens an image and checks that it is of an allowed moment. `None`: it does not open, as it may not.
    fn recover(&mut self, image: &[u8], allowed: (Option<usize>, usize), place: &str) -> Option<Recovered> {
        let hash = xxh3_64(image);
        let recovered = match self.images.get(&hash) {
            Some(recovered) => recovered.clone(),
            None => {
                self.tried.images += 1;
                let recovered = self.open(image, allowed, place)?;
                self.images.insert(hash, recovered.clone());
                recovered
            }
        };
        let of = &self.databases[&recovered.records];
        let first = allowed.0.unwrap_or(0);
        let found = of.iter().any(|moment| (first..=allowed.1).contains(moment));
        let whats: Vec<&str> = of.iter().map(|moment| self.recording.moments[*moment].what).collect();
        assert!(found, "{place}: a state of moments {of:?} {whats:?}, but {first}..={} are allowed", allowed.1);
        Some(recovered)
    }

    fn open(&mut self, image: &[u8], allowed: (Option<usize>, usize), place: &str) -> Option<Recovered> {
        let disk = Disk::of(image.to_vec());
        let opened = catch_unwind(AssertUnwindSafe(|| self.recording.open(&disk)));
        let store = match opened {
            Ok(Ok(store)) => store,
            Ok(Err(_)) if allowed.0.is_none() => return None,
            Ok(Err(error)) => panic!("{place}: it does not open: {error}"),
            Err(_) => panic!("{place}: opening panics"),
        };
        drop(store);
        let tape = disk.take_tape().into();
        let recovered = Recovered { records: records(&disk), tape };
        if !self.databases.contains_key(&recovered.records) {
            let of = verify(self.recording, &disk, place);
            self.databases.insert(recovered.records, of);
            self.tried.databases += 1;
        }
        Some(recovered)
    }
}

/// A hash over every record of every table.
fn records(disk: &Disk) -> u64 {
    let pages = Pages::new(Box::new(disk.clone()));
    let database = redb::Database::builder().create_with_backend(pages).expect("it was just closed");
    let transaction = database.begin_read().expect("a read");
    let mut hash = Xxh3::new();
    let mut names: Vec<_> = transaction.list_tables().expect("tables").map(|table| table.name().to_owned()).collect();
    names.sort();
    for name in names {
        let table = transaction.open_table(TableDefinition::<&[u8], &[u8]>::new(&name)).expect("a table");
        hash.update(name.as_bytes());
        for row in table.iter().expect("rows") {
            let (key, value) = row.expect("a row");
            for part in [key.value(), value.value()] {
                hash.update(&(part.len() as u64).to_le_bytes());
                hash.update(part);
            }
        }
    }
    hash.digest()
}

/// Checks a recovered database whole, and says of which moments it may be.
fn verify(recording: &Recording, disk: &Disk, place: &str) -> Vec<usize> {
    let store = recording.open(disk).unwrap_or_else(|error| panic!("{place}: it does not open twice: {error}"));
    let space = recording.shared.space;
    assert_sound(&store, place);
    assert!(!recording.writers.contains(&store.writer()), "{place}: {} writes again after a crash", store.writer());
    let picture = Picture::of(&store, &space);
    let of = moments_of(&recording.moments, &picture);
    assert!(!of.is_empty(), "{place}: the state is not one that was ever there: {picture:?}");
    if store.home().is_some() {
        let more = store.transaction(Durability::Local, |transaction| {
            transaction.upsert("free", "after", Fields::from([("crash".to_owned(), Value::Bool(true))]))
        });
        more.unwrap_or_else(|error| panic!("{place}: it can't be written after the crash: {error}"));
        let vector = store.vector(&space, Plane::Data).expect("a vector");
        assert_eq!(vector.total(), picture.data.total() + 1, "{place}: the new commit is there");
        assert_sound(&store, place);
    }
    of
}

fn assert_sound(store: &Store, place: &str) {
    let report = store.verify(&mut |_, _| {}).unwrap_or_else(|error| panic!("{place}: verify: {error}"));
    assert!(report.problems.is_empty(), "{place}: {:?}", report.problems);
}

fn moments_of(moments: &[Moment], picture: &Picture) -> Vec<usize> {
    let mut of: Vec<usize> = (0..moments.len()).filter(|moment| moments[*moment].picture == *picture).collect();
    for (number, pair) in moments.windows(2).enumerate() {
        if pair[1].group && picture.is_between(&pair[0].picture, &pair[1].picture) {
            of.push(number + 1);
        }
    }
    of
}
