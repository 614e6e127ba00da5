//! How a cell is kept: rows in an ordered map that the store scopes to one cell.
//!
//! | key | value |
//! |---|---|
//! | `00` | the state: counts and the version |
//! | `01` number (u64 BE) | a change's bytes, in the order in which it was applied |
//! | `02` hash | where the gate finds a change: its actor's slot and first counter |
//! | `03` slot (u32 BE), first counter (u64 BE) | what the gate asks of a change: number, commit, seq, counters, hash, and of a text which operations insert |
//! | `04` actor | the actor's slot |
//! | `05` slot (u32 BE) | the actor's writer |
//! | `06` | the snapshot: a saved automerge document and what it covers; a cache that may be dropped at any time |
//! | `07` | the earlier generations that the changes build on; absent when there are none |

mod overlay;

use automerge::{ActorId, ChangeHash};

pub use overlay::Overlay;

use super::change::Summary;
use super::{MAX_LOADED_OPERATIONS, RichError};
use crate::codec::{DecodeError, Reader, put_bytes, put_varint};
use crate::id::WriterId;
use crate::store::error::{ReadError, WriteError};

const STATE: u8 = 0x00;
const CHANGE: u8 = 0x01;
const HASH: u8 = 0x02;
const ENTRY: u8 = 0x03;
const ACTOR: u8 = 0x04;
const WRITER: u8 = 0x05;
const SNAPSHOT: u8 = 0x06;
const REACHES: u8 = 0x07;

/// How much has to be replayed before a snapshot is worth its writing, in operations and changes.
const MIN_SNAPSHOT_WORK: u64 = 2_048;

/// A key and its value.
pub type Row = (Vec<u8>, Vec<u8>);

/// What a visitor of rows returns to go on.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> Result<(), ReadError> + 'a;

/// The rows of one cell, as of one version of the database.
pub trait Rows {
    /// The value at `key`.
    ///
    /// # Errors
    /// As the storage.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError>;

    /// Visits the rows with `first <= key <= last`, ascending. An error of `visit` ends the visit and is returned.
    ///
    /// # Errors
    /// As the storage, and as `visit`.
    fn range(&self, first: &[u8], last: &[u8], visit: &mut Visit<'_>) -> Result<(), ReadError>;

    /// The last row with `first <= key <= last`.
    ///
    /// # Errors
    /// As the storage.
    fn last(&self, first: &[u8], last: &[u8]) -> Result<Option<Row>, ReadError>;
}

/// The rows of one cell inside a write.
pub trait RowsMut: Rows {
    /// Stores `value` at `key`, in place of what was there.
    ///
    /// # Errors
    /// As the storage.
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), WriteError>;
}

/// Names what a cell holds: equal versions hold the same changes in the same order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Version(pub [u8; 16]);

impl Version {
    /// The version after `change`.
    #[must_use]
    pub fn after(self, change: &ChangeHash) -> Self {
        self.mix(&change.0)
    }

    /// The version of several cells seen as one.
    pub(super) fn mix(self, with: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.0);
        hasher.update(with);
        let mut version = [0; 16];
        version.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        Self(version)
    }
}

/// What a cell holds, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct State {
    /// How many changes.
    pub changes: u64,
    /// How many operations they have.
    pub operations: u64,
    /// The sum of their lengths in bytes.
    pub bytes: u64,
    /// Which changes.
    pub version: Version,
    /// [`State::work`] when the snapshot was written; 0 without one.
    pub snapshot_work: u64,
}

impl State {
    /// What loading without a snapshot costs: a change costs about as much as some operations.
    #[must_use]
    pub fn work(&self) -> u64 {
        self.operations + 4 * self.changes
    }

    /// Whether the changes since the snapshot have outgrown it. Writing one then keeps loading within twice of the
    /// least, and all snapshots together within a constant of the last one's cost.
    #[must_use]
    pub fn snapshot_due(&self) -> bool {
        self.work() >= (2 * self.snapshot_work).max(MIN_SNAPSHOT_WORK)
    }

    pub(super) fn check_loadable(&self) -> Result<(), RichError> {
        if self.operations <= MAX_LOADED_OPERATIONS {
            return Ok(());
        }
        Err(RichError::Unavailable {
            why: format!("it holds {} operations, at most {MAX_LOADED_OPERATIONS} are loaded", self.operations),
        })
    }
}

/// What the gate asks of a known change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its number in the cell, from 0.
    pub number: u64,
    /// The sequence of the first entry of the commit that it came in.
    pub sequence: u64,
    /// Its place among its actor's changes, from 1.
    pub seq: u64,
    /// Its first operation's counter.
    pub start_op: u64,
    /// Its last operation's counter.
    pub max_op: u64,
    /// Its hash.
    pub hash: ChangeHash,
    /// Of a text's change, the column that tells insertions from deletions.
    pub inserts: Vec<u8>,
}

/// What the cell holds. A cell without rows holds nothing.
///
/// # Errors
/// As the storage; [`ReadError::Damaged`] when the row does not decode.
pub fn state(rows: &dyn Rows) -> Result<State, ReadError> {
    let Some(bytes) = rows.get(&[STATE])? else { return Ok(State::default()) };
    let mut reader = Reader::new(&bytes);
    let decode = |reader: &mut Reader<'_>| {
        Ok(State {
            changes: reader.varint()?,
            operations: reader.varint()?,
            bytes: reader.varint()?,
            version: Version(reader.array()?),
            snapshot_work: reader.varint()?,
        })
    };
    decode(&mut reader).map_err(|error: DecodeError| damaged("state", &error))
}

/// Adds a change that the gate let through, or that was made here. Returns the new state: when
/// [`State::snapshot_due`], call [`super::RichCell::save`].
///
/// # Errors
/// As the storage.
pub fn record(
    rows: &mut dyn RowsMut,
    change: &Summary,
    bytes: &[u8],
    writer: &WriterId,
    sequence: u64,
) -> Result<State, WriteError> {
    let mut state = state(rows)?;
    let slot = match slot(rows, &change.actor)? {
        Some(slot) => slot,
        None => add_actor(rows, &change.actor, writer)?,
    };
    let number = state.changes;
    rows.put(&change_key(number), bytes)?;

    let mut at = slot.to_be_bytes().to_vec();
    put_varint(&mut at, change.start_op);
    rows.put(&hash_key(&change.hash), &at)?;

    let mut entry = Vec::with_capacity(64);
    for part in [number, sequence, change.seq, change.max_op - change.start_op] {
        put_varint(&mut entry, part);
    }
    entry.extend_from_slice(&change.hash.0);
    entry.extend_from_slice(&change.inserts);
    rows.put(&entry_key(slot, change.start_op), &entry)?;

    add_reaches(rows, &change.reaches)?;
    state.changes += 1;
    state.operations += change.max_op + 1 - change.start_op;
    state.bytes += bytes.len() as u64;
    state.version = state.version.after(&change.hash);
    put_state(rows, &state)?;
    Ok(state)
}

/// The earlier generations that the changes of this one build on, ascending. Honest ones build only on generations that
/// theirs continues; whoever shows the cell shows these with it, so that nobody's changes ever lack what they need.
///
/// # Errors
/// As the storage; [`ReadError::Damaged`] when the row does not decode.
pub fn reaches(rows: &dyn Rows) -> Result<Vec<u64>, ReadError> {
    let Some(bytes) = rows.get(&[REACHES])? else { return Ok(Vec::new()) };
    let mut reader = Reader::new(&bytes);
    let mut reaches = Vec::new();
    while !reader.is_empty() {
        reaches.push(reader.varint().map_err(|error| damaged("reaches", &error))?);
    }
    Ok(reaches)
}

fn add_reaches(rows: &mut dyn RowsMut, new: &[u64]) -> Result<(), WriteError> {
    if new.is_empty() {
        return Ok(());
    }
    let mut reaches = self::reaches(rows)?;
    let before = reaches.len();
    reaches.extend(new);
    reaches.sort_unstable();
    reaches.dedup();
    if reaches.len() > before {
        let mut bytes = Vec::new();
        reaches.iter().for_each(|generation| put_varint(&mut bytes, *generation));
        rows.put(&[REACHES], &bytes)?;
    }
    Ok(())
}

/// Visits the cell's changes from number `first` on, in the order in which they were applied.
///
/// # Errors
/// As the storage, and as `visit`.
pub fn changes_from(
    rows: &dyn Rows,
    first: u64,
    visit: &mut dyn FnMut(&[u8]) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    rows.range(&change_key(first), &change_key(u64::MAX), &mut |_, bytes| visit(bytes))
}

pub(super) fn put_state(rows: &mut dyn RowsMut, state: &State) -> Result<(), WriteError> {
    let mut bytes = Vec::with_capacity(48);
    for count in [state.changes, state.operations, state.bytes] {
        put_varint(&mut bytes, count);
    }
    bytes.extend_from_slice(&state.version.0);
    put_varint(&mut bytes, state.snapshot_work);
    rows.put(&[STATE], &bytes)
}

/// A saved document, and how many changes of which generation are in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Snapshot {
    pub covers: Vec<(u64, u64)>,
    pub saved: Vec<u8>,
}

pub(super) fn snapshot(rows: &dyn Rows) -> Result<Option<Snapshot>, ReadError> {
    let Some(bytes) = rows.get(&[SNAPSHOT])? else { return Ok(None) };
    let mut reader = Reader::new(&bytes);
    let decode = |reader: &mut Reader<'_>| {
        let count = reader.count(2)?;
        let covers =
            (0..count).map(|_| Ok((reader.varint()?, reader.varint()?))).collect::<Result<_, DecodeError>>()?;
        Ok(Snapshot { covers, saved: reader.bytes()?.to_vec() })
    };
    decode(&mut reader).map(Some).map_err(|error: DecodeError| damaged("snapshot", &error))
}

pub(super) fn put_snapshot(rows: &mut dyn RowsMut, snapshot: &Snapshot) -> Result<(), WriteError> {
    let mut bytes = Vec::with_capacity(snapshot.saved.len() + 32);
    put_varint(&mut bytes, snapshot.covers.len() as u64);
    for (generation, changes) in &snapshot.covers {
        put_varint(&mut bytes, *generation);
        put_varint(&mut bytes, *changes);
    }
    put_bytes(&mut bytes, &snapshot.saved);
    rows.put(&[SNAPSHOT], &bytes)
}

/// The slot of `actor`, if it has changed this cell.
pub(super) fn slot(rows: &dyn Rows, actor: &ActorId) -> Result<Option<u32>, ReadError> {
    let Some(bytes) = rows.get(&actor_key(actor))? else { return Ok(None) };
    let slot = bytes.as_slice().try_into().map_err(|_| damaged("actor", &DecodeError::Truncated))?;
    Ok(Some(u32::from_be_bytes(slot)))
}

/// The writer behind a slot.
pub(super) fn writer(rows: &dyn Rows, slot: u32) -> Result<WriterId, ReadError> {
    let bytes = rows.get(&writer_key(slot))?.ok_or_else(|| damaged("writer", &DecodeError::Truncated))?;
    let bytes = bytes.as_slice().try_into().map_err(|_| damaged("writer", &DecodeError::Truncated))?;
    Ok(WriterId::from_bytes(bytes))
}

/// The change with this hash.
pub(super) fn by_hash(rows: &dyn Rows, hash: &ChangeHash) -> Result<Option<(u32, Entry)>, ReadError> {
    let Some(at) = rows.get(&hash_key(hash))? else { return Ok(None) };
    let mut reader = Reader::new(&at);
    let decode = |reader: &mut Reader<'_>| Ok((u32::from_be_bytes(reader.array()?), reader.varint()?));
    let (slot, start_op) = decode(&mut reader).map_err(|error: DecodeError| damaged("hash", &error))?;
    let entry = rows.get(&entry_key(slot, start_op))?.ok_or_else(|| damaged("entry", &DecodeError::Truncated))?;
    Ok(Some((slot, decode_entry(start_op, &entry)?)))
}

/// The actor's last change whose first counter is at most `counter`.
pub(super) fn last_of(rows: &dyn Rows, slot: u32, counter: u64) -> Result<Option<Entry>, ReadError> {
    let Some((key, value)) = rows.last(&entry_key(slot, 0), &entry_key(slot, counter))? else { return Ok(None) };
    let start = key.last_chunk().ok_or_else(|| damaged("entry", &DecodeError::Truncated))?;
    decode_entry(u64::from_be_bytes(*start), &value).map(Some)
}

/// The bytes of the change with this number.
pub(super) fn change(rows: &dyn Rows, number: u64) -> Result<Vec<u8>, ReadError> {
    rows.get(&change_key(number))?.ok_or_else(|| damaged("change", &DecodeError::Truncated))
}

fn decode_entry(start_op: u64, bytes: &[u8]) -> Result<Entry, ReadError> {
    let mut reader = Reader::new(bytes);
    let decode = |reader: &mut Reader<'_>| {
        let [number, sequence, seq, more] = [reader.varint()?, reader.varint()?, reader.varint()?, reader.varint()?];
        let max_op = start_op.saturating_add(more);
        let hash = ChangeHash(reader.array()?);
        let inserts = reader.take(reader.remaining())?.to_vec();
        Ok(Entry { number, sequence, seq, start_op, max_op, hash, inserts })
    };
    decode(&mut reader).map_err(|error: DecodeError| damaged("entry", &error))
}

fn add_actor(rows: &mut dyn RowsMut, actor: &ActorId, writer: &WriterId) -> Result<u32, WriteError> {
    let last = rows.last(&writer_key(0), &writer_key(u32::MAX))?;
    let next = last.and_then(|(key, _)| key.last_chunk().copied()).map_or(0, |slot| u32::from_be_bytes(slot) + 1);
    rows.put(&actor_key(actor), &next.to_be_bytes())?;
    rows.put(&writer_key(next), &writer.to_bytes())?;
    Ok(next)
}

fn change_key(number: u64) -> [u8; 9] {
    let mut key = [CHANGE; 9];
    key[1..].copy_from_slice(&number.to_be_bytes());
    key
}

fn hash_key(hash: &ChangeHash) -> [u8; 33] {
    let mut key = [HASH; 33];
    key[1..].copy_from_slice(&hash.0);
    key
}

fn entry_key(slot: u32, start_op: u64) -> [u8; 13] {
    let mut key = [ENTRY; 13];
    key[1..5].copy_from_slice(&slot.to_be_bytes());
    key[5..].copy_from_slice(&start_op.to_be_bytes());
    key
}

fn actor_key(actor: &ActorId) -> Vec<u8> {
    [&[ACTOR], actor.to_bytes()].concat()
}

fn writer_key(slot: u32) -> [u8; 5] {
    let mut key = [WRITER; 5];
    key[1..].copy_from_slice(&slot.to_be_bytes());
    key
}

pub(super) fn damaged(row: &str, error: &DecodeError) -> ReadError {
    ReadError::Damaged { table: "rich", key: format!("{row}: {error}") }
}
