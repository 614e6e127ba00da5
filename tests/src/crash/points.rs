//! Every crash point of a recorded workload, each with a second one inside recovery.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use redb::{ReadableDatabase, ReadableTable, StorageBackend, TableDefinition, TableHandle};
use tidewater_engine::id::WriterId;
use tidewater_engine::log::Plane;
use tidewater_engine::store::{Durability, Pages, Store};
use tidewater_engine::value::{Fields, Value};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::workload::{Moment, Picture, Recording, record};
use crate::disk::{Call, Disk, FileName, Image, Images, Loss, What};
use crate::random::Random;

/// Where redb's header lies in the file, as `docs/spec/file.md` says.
const HEADER_OFFSET: u64 = 8_192;
/// The byte of redb's header that says which of its two commits counts, and the bit.
const CHOICE: (usize, u8) = (9, 1);

/// The randomness of an opening. No two openings of a file draw the same.
#[derive(Clone, Copy)]
enum Opening {
    First = 101,
    AfterSecondCut = 102,
    Again = 103,
    OfBackup = 104,
}

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
    /// Recoveries that went on as the same writer.
    pub same_writer: usize,
    /// Earlier states of the file that were put back.
    pub put_back: usize,
    /// Those of them that were found out, and became another writer.
    pub found_out: usize,
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
    // Of a sealed file the tape does not show what counts; its calls are those of a plain one.
    if recording.seal.is_none() {
        assert_two_phases(&recording.tape);
    }
    let places = recording.tape.len() + 1;
    let rounds = plan.points.div_ceil(2 * places).max(3);
    let mut trial = Trial::new(recording);
    for round in 0..rounds {
        let mut random = Random::new(plan.seed ^ (round as u64) << 32);
        let loss = [Loss::All, Loss::Nothing].get(round).copied().unwrap_or(Loss::Some);
        let mut images = Images::new(Image::default(), &recording.tape);
        let mut backup: Option<Backup> = None;
        loop {
            let place = format!("seed {} steps {} round {round} call {}", plan.seed, plan.steps, images.played());
            let image = images.image(loss, &mut random);
            let played = images.played();
            if let Some(backup) = backup.as_ref().filter(|_| random.one_in(8)) {
                trial.put_back(backup, &image, loss, played, &place);
            }
            if random.one_in(8) {
                backup = Some(Backup { database: image.database.clone(), calls: played });
            }
            trial.point(image, played, &mut random, &place);
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
        if let Call { file: FileName::Database, what: What::Write(HEADER_OFFSET, header) } = call
            && let Some(choice) = header.get(CHOICE.0).map(|byte| byte & CHOICE.1)
        {
            let is_new = counts.replace(choice).is_some_and(|before| before != choice);
            seen += usize::from(is_new);
            assert!(
                !is_new || pending == 0,
                "call {number} makes a commit count of which {pending} calls are not synced"
            );
        }
        if call.file == FileName::Database {
            pending = if call.what == What::Sync { 0 } else { pending + 1 };
        }
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

/// An earlier state of the file.
struct Backup {
    database: Vec<u8>,
    /// How many calls the disk had seen.
    calls: usize,
}

/// What opening an image came to.
#[derive(Clone)]
struct Recovered {
    /// The hash of all records.
    records: u64,
    writer: WriterId,
    /// What the recovery did to the disk.
    tape: std::rc::Rc<[Call]>,
}

impl<'r> Trial<'r> {
    fn new(recording: &'r Recording) -> Self {
        Self { recording, images: BTreeMap::new(), databases: BTreeMap::new(), tried: Tried::default() }
    }

    /// One cut, and a second one in the recovery from it.
    fn point(&mut self, image: Image, calls: usize, random: &mut Random, place: &str) {
        let allowed = self.allowed(calls);
        self.tried.points += 1;
        let Some(first) = self.recover(&image, allowed, Opening::First, place) else { return };
        self.check_writer(first.writer, calls, place);
        let mut recovery = Images::new(image, &first.tape);
        for _ in 0..random.below(first.tape.len() + 1) {
            recovery.play();
        }
        let loss = *random.pick(&[Loss::All, Loss::Nothing, Loss::Some, Loss::Some]);
        let place = format!("{place}, then call {} of the recovery with {loss:?} lost", recovery.played());
        let image = recovery.image(loss, random);
        self.tried.second += 1;
        let second = self.recover(&image, allowed, Opening::AfterSecondCut, &place);
        // A cut between the mirror and the file is one of those that make another writer.
        if let Some(second) = second.filter(|second| self.recording.writers.contains(&second.writer)) {
            assert_eq!(second.writer, first.writer, "{place}: it goes on as a writer that it no longer was");
            self.tried.same_writer += 1;
        }
    }

    /// The last moment after so many calls.
    fn moment(&self, calls: usize) -> Option<usize> {
        self.recording.moments.iter().rposition(|moment| moment.calls <= calls)
    }

    /// Unless the power was cut within an opening, the writer stays the same one.
    fn check_writer(&mut self, writer: WriterId, calls: usize, place: &str) {
        let Some(last) = self.moment(calls) else { return };
        let moments = &self.recording.moments;
        let next = moments.get(last + 1);
        let opens = next.and_then(|next| next.opened_from).is_some_and(|from| from < calls);
        if opens {
            let may_be = [Some(moments[last].writer), next.map(|next| next.writer)];
            let is_known = self.recording.writers.contains(&writer);
            assert!(!is_known || may_be.contains(&Some(writer)), "{place}: {writer} writes again");
        } else if moments[last].keeps_writer {
            assert_eq!(writer, moments[last].writer, "{place}: it goes on as another writer");
        } else {
            assert!(!self.recording.writers.contains(&writer), "{place}: {writer} goes on without a mirror");
        }
        self.tried.same_writer += usize::from(writer == moments[last].writer);
    }

    /// Opens an earlier state of the file beside the mirror of now. Whoever wrote since does not go on from there.
    fn put_back(&mut self, backup: &Backup, image: &Image, loss: Loss, calls: usize, place: &str) {
        let (Some(_), Some(now)) = (self.moment(backup.calls), self.moment(calls)) else { return };
        let moments = &self.recording.moments[..=now];
        // What a power cut leaves of the mirror may be as old as its opening.
        let is_reopened = moments.iter().any(|moment| moment.opened_from.is_some_and(|from| from >= backup.calls));
        if loss != Loss::Nothing && !is_reopened {
            return;
        }
        let disk = Disk::holding(Image { database: backup.database.clone(), mirror: image.mirror.clone() });
        let store = self.recording.open(&disk, Opening::OfBackup as u64);
        let store = store.unwrap_or_else(|error| panic!("{place}: a file that is put back does not open: {error}"));
        let writer = store.writer();
        let before = Picture::of(&store, &self.recording.shared.space).written(&writer);
        let durable = moments.iter().rfind(|moment| moment.durable && moment.writer == writer);
        let written = durable.map_or(0, |moment| moment.picture.written(&writer));
        assert!(before >= written, "{place}: {writer} goes on with {before} entries, and has written {written}");
        self.tried.put_back += 1;
        self.tried.found_out += usize::from(!self.recording.writers.contains(&writer));
    }

    /// The first and the last moment that may be found after so many calls. `None`: there may be no database yet.
    fn allowed(&self, calls: usize) -> (Option<usize>, usize) {
        let moments = &self.recording.moments;
        let past = moments.iter().take_while(|moment| moment.calls <= calls).count();
        let first = moments[..past].iter().rposition(|moment| moment.durable);
        (first, past.min(moments.len() - 1))
    }

    /// Opens an image and checks that it is of an allowed moment. `None`: it does not open, as it may not.
    fn recover(
        &mut self,
        image: &Image,
        allowed: (Option<usize>, usize),
        opening: Opening,
        place: &str,
    ) -> Option<Recovered> {
        let hash = xxh3_64(&image.database) ^ xxh3_64(&image.mirror).rotate_left(1);
        let recovered = match self.images.get(&hash) {
            Some(recovered) => recovered.clone(),
            None => {
                self.tried.images += 1;
                let recovered = self.open(image, allowed, opening, place)?;
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

    fn open(
        &mut self,
        image: &Image,
        allowed: (Option<usize>, usize),
        opening: Opening,
        place: &str,
    ) -> Option<Recovered> {
        let disk = Disk::holding(image.clone()).recording();
        let opened = catch_unwind(AssertUnwindSafe(|| self.recording.open(&disk, opening as u64)));
        let store = match opened {
            Ok(Ok(store)) => store,
            Ok(Err(_)) if allowed.0.is_none() => return None,
            Ok(Err(error)) => panic!("{place}: it does not open: {error}"),
            Err(_) => panic!("{place}: opening panics"),
        };
        let writer = store.writer();
        drop(store);
        let tape = disk.take_tape().into();
        let recovered = Recovered { records: records(self.recording.storage(&disk)), writer, tape };
        if !self.databases.contains_key(&recovered.records) {
            let of = verify(self.recording, &disk, writer, place);
            self.databases.insert(recovered.records, of);
            self.tried.databases += 1;
        }
        Some(recovered)
    }
}

/// A hash over every record of every table.
fn records(storage: Box<dyn StorageBackend>) -> u64 {
    let pages = Pages::new(storage);
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
fn verify(recording: &Recording, disk: &Disk, writer: WriterId, place: &str) -> Vec<usize> {
    let store = recording
        .open(disk, Opening::Again as u64)
        .unwrap_or_else(|error| panic!("{place}: it does not open twice: {error}"));
    let space = recording.shared.space;
    assert_sound(&store, place);
    assert_eq!(store.writer(), writer, "{place}: it was closed, and goes on as another writer");
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
