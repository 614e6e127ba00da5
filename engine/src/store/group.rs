//! The single writer, and group commit: callers that wait for their turn share one durable storage transaction.
//!
//! Every write runs in its caller's thread, inside the group's storage transaction, while it holds the writer's lock.
//! Whoever finishes while nobody waits commits the group for all; the others wait for that.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::era::Era;
use super::lease::{Failure, Lessee};
use super::pages::DamagedPage;
use super::state::{self, LogState, SpaceState, State};
use super::tables::{ReadTables, WriteTables, failed, storage};
use super::{Change, Inner, Published, ReadError, WriteError};
use crate::contain::contain;
use crate::id::{SpaceId, WriterId};
use crate::log::{Plane, head_message};

/// At most so many writes share a storage transaction.
const GROUP_WRITES_MAX: usize = 1_024;
/// How often a writer that would commit a smaller group than the last lets other threads run first, for those that the last
/// group's commit has just set free. Where nothing else runs, it costs next to nothing.
const YIELDS_MAX: usize = 32;
/// A group commits once it has appended so many bytes of entries.
const GROUP_BYTES_MAX: u64 = 32 << 20;

/// The writer's side of a store; its lock is the right to write.
pub(crate) struct WriterSide {
    pub era: Era,
    /// Eras that somebody may still read in.
    pub earlier: Vec<Era>,
    group: Option<Group>,
    /// How many storage transactions were committed since the file was opened.
    commits: u64,
    /// Visible commits that the next durable one makes durable.
    undurable: Changed,
    /// Visible commits are gone, and nobody was told yet.
    owes_error: bool,
    /// How many writes the last group had.
    last_writes: usize,
}

impl WriterSide {
    pub fn new(era: Era) -> Self {
        Self {
            era,
            earlier: Vec::new(),
            group: None,
            commits: 0,
            undurable: Changed::default(),
            owes_error: false,
            last_writes: 0,
        }
    }

    /// Lets earlier eras go once nobody reads in them.
    pub fn close_unread(&mut self) {
        self.earlier.retain(Era::is_read);
    }

    /// What readers find changed because visible commits are gone.
    pub fn rolled_back(&mut self) -> Change {
        self.commits += 1;
        let gone = std::mem::take(&mut self.undurable);
        self.owes_error |= !gone.is_empty();
        gone.into_change(self.commits)
    }
}

/// A storage transaction that is being filled.
struct Group {
    transaction: redb::WriteTransaction,
    /// Of the era in which it began.
    lessee: Arc<Lessee>,
    state: State,
    changed: Changed,
    writes: usize,
    bytes: u64,
    durable: bool,
    settlement: Arc<Settlement>,
}

/// One thread's right to write.
struct Turn<'i> {
    inner: &'i Inner,
    side: MutexGuard<'i, WriterSide>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *lock(&self.inner.writing_thread) = None;
    }
}

/// How a group ended, for those who wait for it.
#[derive(Default)]
struct Settlement {
    outcome: Mutex<Option<Result<(), Failure>>>,
    signal: Condvar,
}

impl From<Failure> for WriteError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure { full: true, is_certain: true, why, .. } => Self::Full { why },
            Failure { damaged: Some(page), is_certain: true, .. } => {
                Self::Read(ReadError::DamagedPage { page: page.page })
            }
            Failure { why, .. } => Self::Storage { why },
        }
    }
}

/// What the commits of a group changed.
#[derive(Default, Clone)]
pub(crate) struct Changed {
    pub logs: BTreeSet<(SpaceId, Plane, WriterId)>,
    pub counters: BTreeSet<SpaceId>,
    pub spaces: BTreeSet<(SpaceId, Plane)>,
    pub collections: BTreeSet<Arc<str>>,
}

impl Changed {
    fn into_change(self, number: u64) -> Change {
        let collections = self.collections.iter().map(|name| name.to_string()).collect();
        Change { number, spaces: self.spaces.into_iter().collect(), collections }
    }

    fn is_empty(&self) -> bool {
        self.spaces.is_empty() && self.collections.is_empty()
    }

    /// Adds what `more` changed.
    fn add(&mut self, mut more: Self) {
        self.spaces.append(&mut more.spaces);
        self.collections.append(&mut more.collections);
    }
}

/// One write's access to the group it runs in.
pub(crate) struct Work<'g> {
    pub inner: &'g Inner,
    pub state: &'g mut State,
    pub tables: WriteTables<'g>,
    pub changed: &'g mut Changed,
    pub bytes: &'g mut u64,
    /// Set before the first change of stored data that must not be kept if the write fails.
    pub dirty: &'g mut bool,
}

impl Work<'_> {
    pub fn space(&self, space: &SpaceId) -> Result<&Arc<SpaceState>, ReadError> {
        self.state.spaces.get(space).ok_or(ReadError::UnknownSpace { space: *space })
    }

    pub fn space_mut(&mut self, space: &SpaceId) -> Result<&mut SpaceState, ReadError> {
        self.state.spaces.get_mut(space).map(Arc::make_mut).ok_or(ReadError::UnknownSpace { space: *space })
    }

    /// The log, made now if this is its first entry.
    pub fn log_mut(&mut self, space: &SpaceId, plane: Plane, writer: &WriterId) -> Result<&mut LogState, ReadError> {
        let slot = super::names::intern_writer(&mut self.state.names, &mut self.tables, writer)?;
        self.changed.logs.insert((*space, plane, *writer));
        let logs = &mut self.space_mut(space)?.logs[plane as usize];
        Ok(logs.entry(*writer).or_insert_with(|| LogState { slot, ..LogState::default() }))
    }
}

/// Locks that survive a panic of another holder: every holder leaves consistent data behind.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inner {
    /// Runs `body` inside the current group and returns when its outcome is settled. A body that fails before it
    /// sets [`Work::dirty`] leaves no trace; one that fails after takes the whole group down with it.
    pub(crate) fn write<T, E: From<WriteError>>(
        &self,
        durable: bool,
        body: impl FnOnce(Work<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut turn = self.take_turn()?;
        let (mut group, renewed) = match turn.side.group.take() {
            Some(group) => (group, None),
            None => match self.begin(&mut turn.side) {
                Ok(begun) => begun,
                Err((failure, change)) => {
                    drop(turn);
                    change.iter().for_each(|change| self.tell(change));
                    return Err(E::from(failure.into()));
                }
            },
        };
        let mut dirty = false;
        let ran = catch_unwind(AssertUnwindSafe(|| {
            let Group { transaction, lessee, state, changed, bytes, .. } = &mut group;
            let tables = WriteTables::new(transaction, lessee);
            body(Work { inner: self, state, tables, changed, bytes, dirty: &mut dirty })
        }));
        let succeeded = matches!(ran, Ok(Ok(_)));
        let mut change = None;
        let settlement = group.settlement.clone();
        if succeeded {
            group.writes += 1;
            group.durable |= durable;
        }
        let full = group.writes >= GROUP_WRITES_MAX || group.bytes >= GROUP_BYTES_MAX;
        if dirty && !succeeded {
            let why = "another write of the same group failed while it was being stored".to_owned();
            self.abandon(group, Failure { why, full: false, damaged: None, is_certain: true });
        } else if !full && self.others_come(turn.side.last_writes.saturating_sub(group.writes)) {
            turn.side.group = Some(group);
        } else if group.writes > 0 {
            change = self.settle(&mut turn.side, group);
        } else {
            let_go(group.transaction, &group.lessee);
        }
        drop(turn);
        renewed.iter().chain(&change).for_each(|change| self.tell(change));
        if succeeded {
            settlement.wait().map_err(|failure| E::from(failure.into()))?;
        }
        ran.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// Whether another writer waits for its turn. So many more are expected.
    fn others_come(&self, expected: usize) -> bool {
        let waits = || self.waiting.load(Ordering::SeqCst) > 0;
        let yields = if expected > 0 { YIELDS_MAX } else { 0 };
        waits()
            || (0..yields).any(|_| {
                std::thread::yield_now();
                waits()
            })
    }

    /// Runs `body` again and again until it breaks, in a storage transaction of its own. When it fails, nothing of it is
    /// stored, and nobody else's write suffers.
    pub(crate) fn write_alone<T, E: From<WriteError>>(
        &self,
        durable: bool,
        mut body: impl FnMut(Work<'_>) -> Result<ControlFlow<T>, E>,
    ) -> Result<T, E> {
        let mut turn = self.take_turn()?;
        let before = turn.side.group.take().and_then(|group| self.settle(&mut turn.side, group));
        let (changes, outcome) = self.fill_alone(&mut turn, durable, &mut body);
        drop(turn);
        before.iter().chain(changes.iter().flatten()).for_each(|change| self.tell(change));
        outcome.unwrap_or_else(|panic| resume_unwind(panic))
    }

    fn fill_alone<T, E: From<WriteError>>(
        &self,
        turn: &mut Turn<'_>,
        durable: bool,
        body: &mut dyn FnMut(Work<'_>) -> Result<ControlFlow<T>, E>,
    ) -> ([Option<Change>; 2], std::thread::Result<Result<T, E>>) {
        let (mut group, renewed) = match self.begin(&mut turn.side) {
            Ok((group, renewed)) => (Group { durable, ..group }, renewed),
            Err((failure, change)) => return ([change, None], Ok(Err(E::from(failure.into())))),
        };
        let ran = catch_unwind(AssertUnwindSafe(|| {
            loop {
                let Group { transaction, lessee, state, changed, bytes, .. } = &mut group;
                if let Some(failure) = lessee.failure() {
                    return Err(E::from(Failure { is_certain: true, ..failure }.into()));
                }
                let tables = WriteTables::new(transaction, lessee);
                let dirty = &mut false;
                if let ControlFlow::Break(value) = body(Work { inner: self, state, tables, changed, bytes, dirty })? {
                    return Ok(value);
                }
            }
        }));
        if !matches!(ran, Ok(Ok(_))) {
            let_go(group.transaction, &group.lessee);
            return ([renewed, None], ran);
        }
        let settlement = group.settlement.clone();
        let change = self.settle(&mut turn.side, group);
        match settlement.wait() {
            Ok(()) => ([renewed, change], ran),
            Err(failure) => ([renewed, change], Ok(Err(E::from(failure.into())))),
        }
    }

    /// Waits for the writer's lock.
    fn take_turn(&self) -> Result<Turn<'_>, WriteError> {
        // A write inside a write would wait for itself.
        let this_thread = std::thread::current().id();
        if *lock(&self.writing_thread) == Some(this_thread) {
            let why = "a transaction is running in this thread; write through it".to_owned();
            return Err(WriteError::Invalid { why });
        }
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let side = lock(&self.writer_side);
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        *lock(&self.writing_thread) = Some(this_thread);
        Ok(Turn { inner: self, side })
    }

    /// Begins a group, in a new era if the storage failed in this one. Says what readers find changed by that.
    fn begin(&self, side: &mut WriterSide) -> Result<(Group, Option<Change>), (Failure, Option<Change>)> {
        let is_certain = true;
        side.close_unread();
        let renewed = self.renew(side).map_err(|failure| (Failure { is_certain, ..failure }, None))?;
        if std::mem::take(&mut side.owes_error) {
            let why = "the storage failed, and commits that were only buffered are gone".to_owned();
            return Err((Failure { why, full: false, damaged: None, is_certain }, renewed));
        }
        match self.begin_group(side) {
            Ok(group) => Ok((group, renewed)),
            Err(failure) => Err((failure, renewed)),
        }
    }

    fn begin_group(&self, side: &WriterSide) -> Result<Group, Failure> {
        let lessee = side.era.lessee().clone();
        lessee.begin();
        let mut transaction = side.era.redb().begin_write().map_err(|error| {
            lessee.lose();
            Failure { is_certain: true, ..Failure::from(&failed(error)) }
        })?;
        // One-phase commit is not safe when others choose the data that is stored.
        transaction.set_two_phase_commit(!planted!(SecondPhaseSkipped));
        transaction.set_quick_repair(!planted!(SecondPhaseSkipped));
        Ok(Group {
            transaction,
            lessee,
            state: State::clone(&self.latest().state),
            changed: Changed::default(),
            writes: 0,
            bytes: 0,
            durable: false,
            settlement: Arc::default(),
        })
    }

    fn abandon(&self, group: Group, failure: Failure) {
        let Group { transaction, lessee, settlement, .. } = group;
        let_go(transaction, &lessee);
        settlement.settle(Err(failure));
    }

    /// Signs, commits, publishes. Gives the change to tell listeners of, once the lock is released.
    fn settle(&self, side: &mut WriterSide, group: Group) -> Option<Change> {
        let Group { mut transaction, lessee, mut state, changed, durable, settlement, writes, .. } = group;
        side.last_writes = writes;
        let is_doomed = !lessee.is_well();
        let committed = catch_unwind(AssertUnwindSafe(|| {
            if is_doomed {
                return Err(storage("it failed before"));
            }
            self.sign_heads(&transaction, &lessee, &mut state, &changed)?;
            if !durable || planted!(AcknowledgedEarly) {
                transaction.set_durability(redb::Durability::None).map_err(failed)?;
            }
            transaction.commit().map_err(|error| {
                lessee.lose();
                failed(error)
            })?;
            side.era.tables()
        }));
        let failure = match (committed, lessee.failure()) {
            (Ok(Ok(tables)), None) => {
                let change = self.publish_group(side, state, changed, durable, tables);
                settlement.settle(Ok(()));
                return Some(change);
            }
            (_, Some(failure)) => failure,
            (Ok(Err(error)), None) => Failure::from(&error),
            (Err(_), None) => {
                lessee.lose();
                Failure { why: "the storage panicked".to_owned(), full: false, damaged: None, is_certain: false }
            }
        };
        let failure = Failure { is_certain: failure.is_certain || is_doomed, ..failure };
        let (mut outcome, change) = self.find_out(side, &state, changed, failure);
        if planted!(FailureAcknowledged) {
            outcome = Ok(());
        }
        settlement.settle(outcome);
        change
    }

    fn publish_group(
        &self,
        side: &mut WriterSide,
        state: State,
        mut changed: Changed,
        durable: bool,
        tables: Arc<ReadTables>,
    ) -> Change {
        let state = Arc::new(state);
        side.commits += 1;
        let reading = side.era.reading().clone();
        let durable = if durable {
            changed.spaces.append(&mut std::mem::take(&mut side.undurable).spaces);
            state.clone()
        } else {
            side.undurable.add(changed.clone());
            changed.spaces.clear();
            self.latest().durable.clone()
        };
        self.publish(Published { durable, state, tables, reading });
        changed.into_change(side.commits)
    }

    /// What became of a group that failed: opens the storage again and looks.
    fn find_out(
        &self,
        side: &mut WriterSide,
        state: &State,
        changed: Changed,
        failure: Failure,
    ) -> (Result<(), Failure>, Option<Change>) {
        let before = self.latest().durable.clone();
        if !side.undurable.is_empty() {
            // What is visible may be on pages that the storage lost.
            side.era.lessee().lose();
        }
        let renewed = match self.renew(side) {
            Ok(Some(change)) => change,
            Ok(None) | Err(_) => return (Err(failure), None),
        };
        // This error says it.
        side.owes_error = false;
        let now = self.latest().state.clone();
        if *state == *before || *now == *before {
            // A group that changes nothing of the state wrote local records; whether they are there is not known.
            let is_certain = failure.is_certain || *state != *before;
            return (Err(Failure { is_certain, ..failure }), Some(renewed));
        }
        if *now != *state {
            return (Err(failure), Some(renewed));
        }
        let Change { number, spaces, collections } = renewed;
        let mut all = Changed { spaces: spaces.into_iter().collect(), ..Changed::default() };
        all.collections = collections.into_iter().map(Arc::from).collect();
        all.add(changed);
        (Ok(()), Some(all.into_change(number)))
    }

    /// Signs every own log that grew, and writes the state of all logs and spaces that changed.
    fn sign_heads(
        &self,
        transaction: &redb::WriteTransaction,
        lessee: &Arc<Lessee>,
        state: &mut State,
        changed: &Changed,
    ) -> Result<(), ReadError> {
        let mut tables = WriteTables::new(transaction, lessee);
        for (space, plane, writer) in &changed.logs {
            let Some(space) = state.spaces.get_mut(space).map(Arc::make_mut) else { continue };
            let (id, slot) = (space.id, space.slot);
            let Some(log) = space.logs[*plane as usize].get_mut(writer) else { continue };
            if *writer == self.writer && log.head < log.length() {
                sign_head(self, &mut tables, &id, slot, *plane, log)?;
            }
            state::save_log(&mut tables, slot, *plane, log)?;
        }
        for space in &changed.counters {
            if let Some(space) = state.spaces.get(space) {
                state::save_counters(&mut tables, space)?;
            }
        }
        Ok(())
    }

    /// Makes every visible commit durable.
    pub(crate) fn flush(&self) -> Result<(), WriteError> {
        self.write(!planted!(FlushSkipped), |_| Ok(()))
    }
}

/// Ends a storage transaction that is not committed. redb can panic on damaged pages there too; the era ends then.
fn let_go(transaction: redb::WriteTransaction, lessee: &Lessee) {
    if contain(|| drop(transaction)).is_err() {
        lessee.lose();
    }
}

/// Signs the present length of an own log.
pub(crate) fn sign_head(
    inner: &Inner,
    tables: &mut WriteTables<'_>,
    space: &SpaceId,
    space_slot: u32,
    plane: Plane,
    log: &mut LogState,
) -> Result<(), ReadError> {
    let message = head_message(space, plane, &inner.writer, &log.frontier.prefix());
    let signature = inner.signer.sign(&message);
    let key = state::entry_key(state::log_key(space_slot, plane, log.slot), log.length());
    tables.heads.insert(&key, &signature)?;
    log.head = log.length();
    log.unsigned_bytes = 0;
    Ok(())
}

impl From<&ReadError> for Failure {
    fn from(error: &ReadError) -> Self {
        let damaged =
            if let ReadError::DamagedPage { page } = error { Some(DamagedPage { page: *page }) } else { None };
        Self { why: error.to_string(), full: false, damaged, is_certain: false }
    }
}

impl Settlement {
    fn settle(&self, outcome: Result<(), Failure>) {
        *lock(&self.outcome) = Some(outcome);
        self.signal.notify_all();
    }

    fn wait(&self) -> Result<(), Failure> {
        let mut outcome = lock(&self.outcome);
        loop {
            if let Some(outcome) = outcome.as_ref() {
                return outcome.clone();
            }
            outcome = self.signal.wait(outcome).unwrap_or_else(PoisonError::into_inner);
        }
    }
}
