//! The single writer, and group commit: callers that wait for their turn share one durable storage transaction.
//!
//! Every write runs in its caller's thread, inside the group's storage transaction, while it holds the writer's lock.
//! Whoever finishes while nobody waits commits the group for all; the others wait for that.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use redb::ReadableDatabase;

use super::state::{self, LogState, SpaceState, State};
use super::tables::{ReadTables, WriteTables, storage};
use super::{Change, Inner, Published, ReadError, WriteError};
use crate::id::{SpaceId, WriterId};
use crate::log::{Plane, head_message};

/// At most so many writes share a storage transaction.
const GROUP_WRITES_MAX: usize = 1_024;
/// A group commits once it has appended so many bytes of entries.
const GROUP_BYTES_MAX: u64 = 32 << 20;

/// The writer's side of a store; its lock is the right to write.
#[derive(Default)]
pub(crate) struct WriterSide {
    group: Option<Group>,
    /// How many storage transactions were committed since the file was opened.
    commits: u64,
    /// Visible commits that the next durable one makes durable.
    undurable: Changed,
}

/// A storage transaction that is being filled.
struct Group {
    transaction: redb::WriteTransaction,
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

/// A storage failure that several callers are told of.
#[derive(Debug, Clone)]
struct Failure {
    why: String,
    full: bool,
}

impl From<Failure> for WriteError {
    fn from(failure: Failure) -> Self {
        if failure.full { Self::Full { why: failure.why } } else { Self::Storage { why: failure.why } }
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
        let mut group = match turn.side.group.take() {
            Some(group) => group,
            None => self.begin().map_err(WriteError::from)?,
        };
        let mut dirty = false;
        let ran = catch_unwind(AssertUnwindSafe(|| {
            let Group { transaction, state, changed, bytes, .. } = &mut group;
            let tables = WriteTables::open(transaction).map_err(|error| E::from(WriteError::from(error)))?;
            body(Work { inner: self, state, tables, changed, bytes, dirty: &mut dirty })
        }));
        let succeeded = matches!(ran, Ok(Ok(_)));
        if dirty && !succeeded {
            let why = "another write of the same group failed while it was being stored".to_owned();
            self.abandon(group, Failure { why, full: false });
            drop(turn);
            return ran.unwrap_or_else(|panic| resume_unwind(panic));
        }
        if succeeded {
            group.writes += 1;
            group.durable |= durable;
        }
        let settlement = group.settlement.clone();
        let full = group.writes >= GROUP_WRITES_MAX || group.bytes >= GROUP_BYTES_MAX;
        if self.waiting.load(Ordering::SeqCst) > 0 && !full {
            turn.side.group = Some(group);
            drop(turn);
        } else if group.writes == 0 {
            drop(group);
            drop(turn);
        } else {
            let change = self.settle(&mut turn.side, group);
            drop(turn);
            change.iter().for_each(|change| self.tell(change));
        }
        if succeeded {
            settlement.wait().map_err(|failure| E::from(failure.into()))?;
        }
        ran.unwrap_or_else(|panic| resume_unwind(panic))
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
        let (change, outcome) = self.fill_alone(&mut turn, durable, &mut body);
        drop(turn);
        before.iter().chain(&change).for_each(|change| self.tell(change));
        outcome.unwrap_or_else(|panic| resume_unwind(panic))
    }

    fn fill_alone<T, E: From<WriteError>>(
        &self,
        turn: &mut Turn<'_>,
        durable: bool,
        body: &mut dyn FnMut(Work<'_>) -> Result<ControlFlow<T>, E>,
    ) -> (Option<Change>, std::thread::Result<Result<T, E>>) {
        let mut group = match self.begin() {
            Ok(group) => Group { durable, ..group },
            Err(error) => return (None, Ok(Err(E::from(error.into())))),
        };
        let ran = catch_unwind(AssertUnwindSafe(|| {
            loop {
                let Group { transaction, state, changed, bytes, .. } = &mut group;
                let tables = WriteTables::open(transaction).map_err(WriteError::from)?;
                let dirty = &mut false;
                if let ControlFlow::Break(value) = body(Work { inner: self, state, tables, changed, bytes, dirty })? {
                    return Ok(value);
                }
            }
        }));
        if !matches!(ran, Ok(Ok(_))) {
            return (None, ran);
        }
        let settlement = group.settlement.clone();
        let change = self.settle(&mut turn.side, group);
        match settlement.wait() {
            Ok(()) => (change, ran),
            Err(failure) => (change, Ok(Err(E::from(failure.into())))),
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

    fn begin(&self) -> Result<Group, ReadError> {
        let mut transaction = self.redb.begin_write().map_err(storage)?;
        // One-phase commit is not safe when others choose the data that is stored.
        transaction.set_two_phase_commit(true);
        transaction.set_quick_repair(true);
        Ok(Group {
            transaction,
            state: State::clone(&self.published().state),
            changed: Changed::default(),
            writes: 0,
            bytes: 0,
            durable: false,
            settlement: Arc::default(),
        })
    }

    fn abandon(&self, group: Group, failure: Failure) {
        let Group { transaction, settlement, .. } = group;
        drop(transaction);
        settlement.settle(Err(failure));
    }

    /// Signs, commits, publishes. Gives the change to tell listeners of, once the lock is released.
    fn settle(&self, side: &mut WriterSide, group: Group) -> Option<Change> {
        let Group { mut transaction, mut state, mut changed, durable, settlement, .. } = group;
        let committed = catch_unwind(AssertUnwindSafe(|| {
            self.sign_heads(&transaction, &mut state, &changed)?;
            if !durable {
                transaction.set_durability(redb::Durability::None).map_err(storage)?;
            }
            transaction.commit().map_err(storage)?;
            let read = self.redb.begin_read().map_err(storage)?;
            ReadTables::open(&read).map(Arc::new)
        }));
        let tables = match committed {
            Ok(Ok(tables)) => tables,
            Ok(Err(error)) => {
                settlement.settle(Err(failure(&error)));
                return None;
            }
            Err(_) => {
                settlement.settle(Err(Failure { why: "the storage panicked".to_owned(), full: false }));
                return None;
            }
        };
        let state = Arc::new(state);
        side.commits += 1;
        let collections = changed.collections.iter().map(|name| name.to_string()).collect();
        let published = if durable {
            changed.spaces.append(&mut std::mem::take(&mut side.undurable).spaces);
            Published { durable: state.clone(), state, tables }
        } else {
            side.undurable.spaces.append(&mut changed.spaces);
            Published { durable: self.published().durable.clone(), state, tables }
        };
        self.publish(published);
        settlement.settle(Ok(()));
        Some(Change { number: side.commits, spaces: changed.spaces.into_iter().collect(), collections })
    }

    /// Signs every own log that grew, and writes the state of all logs and spaces that changed.
    fn sign_heads(
        &self,
        transaction: &redb::WriteTransaction,
        state: &mut State,
        changed: &Changed,
    ) -> Result<(), ReadError> {
        let mut tables = WriteTables::open(transaction)?;
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
        self.write(true, |_| Ok(()))
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

fn failure(error: &ReadError) -> Failure {
    let why = error.to_string();
    // redb hands the system's error over as text inside its own.
    let full = why.contains("No space left") || why.contains("os error 28") || why.contains("Quota exceeded");
    Failure { why, full }
}

impl From<&ReadError> for Failure {
    fn from(error: &ReadError) -> Self {
        failure(error)
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
