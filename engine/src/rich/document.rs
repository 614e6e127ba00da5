//! A cell in memory: loaded from its rows, read, edited, and brought up to date by others' changes.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use automerge::{ActorId, AutoCommit};

use super::change::Summary;
use super::contain::unavailable;
use super::content::Content;
use super::rows::{self, Rows, RowsMut, Snapshot, State, Version};
use super::{MAX_CHANGE_BYTES, MAX_JSON_OPERATIONS, MAX_LOADED_OPERATIONS, MAX_TEXT_OPERATIONS, RichError};
use super::{json, text};
use crate::operation::FieldKind;
use crate::store::error::ReadError;
use crate::value::Value;

/// One generation's rows of a field.
#[derive(Clone, Copy)]
pub struct Generation<'a> {
    /// The generation's number.
    pub number: u64,
    /// The rows of its cell.
    pub rows: &'a dyn Rows,
}

/// A step of a path into a json value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// An object's key.
    Key(&'a str),
    /// A list's index, from 0.
    Index(usize),
}

/// A change that was made here, for the log and for [`rows::record`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// The operation's bytes: `FieldOp::Text` or `FieldOp::Json`.
    pub bytes: Vec<u8>,
    /// What [`rows::record`] needs.
    pub summary: Summary,
}

/// How much of one generation is in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    generation: u64,
    changes: u64,
    operations: u64,
    version: Version,
}

impl Seen {
    fn nothing(generation: u64) -> Self {
        Self { generation, changes: 0, operations: 0, version: Version::default() }
    }

    fn all(generation: u64, state: &State) -> Self {
        Self { generation, changes: state.changes, operations: state.operations, version: state.version }
    }
}

/// A text or json cell in memory: the union of a chain of generations, with the edits of at most one open transaction.
///
/// After [`RichError::Unavailable`] or [`RichError::TooLarge`] the cell in memory is of no more use: drop it and load
/// it again. [`RichError::Edit`] leaves it as it was.
pub struct RichCell {
    kind: FieldKind,
    /// Locked for a moment by readers, because changes are applied when someone looks.
    content: Mutex<Content>,
    /// Oldest generation first. Edits go to the last.
    seen: Vec<Seen>,
    text: OnceLock<Arc<str>>,
}

impl RichCell {
    /// An empty cell of a field that nobody has written in `generation`.
    #[must_use]
    pub fn new(kind: FieldKind, generation: u64) -> Self {
        Self::over(kind, Content::new(kind), vec![Seen::nothing(generation)])
    }

    fn over(kind: FieldKind, content: Content, seen: Vec<Seen>) -> Self {
        Self { kind, content: Mutex::new(content), seen, text: OnceLock::new() }
    }

    /// Loads the union of `chain`: the generations that are shown as one, and those that [`rows::reaches`] adds, oldest
    /// first. Edits go to the last.
    ///
    /// # Errors
    /// [`RichError::Read`] when rows are damaged, [`RichError::Unavailable`] when automerge fails or the cell is too
    /// large.
    pub fn load(kind: FieldKind, chain: &[Generation<'_>]) -> Result<Self, RichError> {
        let newest = chain.last().map_or(0, |generation| generation.number);
        let states = chain.iter().map(|each| rows::state(each.rows)).collect::<Result<Vec<_>, _>>()?;
        states.iter().try_for_each(State::check_loadable)?;
        let changes = states.iter().map(|state| state.changes).sum();
        let small = Content::is_small(kind, changes, states.iter().map(|state| state.bytes).sum());
        let snapshot = if small { None } else { Self::from_snapshot(kind, chain, &states)? };
        let mut cell = snapshot.unwrap_or_else(|| Self::new(kind, newest));
        for (generation, state) in chain.iter().zip(&states) {
            cell.catch_up(generation, state)?;
        }
        if !small {
            cell.content_mut().settle()?;
        }
        cell.seen.sort_by_key(|seen| seen.generation);
        Ok(cell)
    }

    /// What [`RichCell::version`] would be after loading `chain`, without loading it.
    ///
    /// # Errors
    /// As the storage.
    pub fn version_of(chain: &[Generation<'_>]) -> Result<Version, ReadError> {
        chain.iter().try_fold(Version::default(), |version, generation| {
            Ok(mix(version, generation.number, rows::state(generation.rows)?.version))
        })
    }

    /// From the newest generation's snapshot, if there is one that fits the chain. A snapshot is a cache: one that
    /// automerge does not load is passed over.
    fn from_snapshot(kind: FieldKind, chain: &[Generation<'_>], states: &[State]) -> Result<Option<Self>, RichError> {
        let Some(newest) = chain.last() else { return Ok(None) };
        let Some(snapshot) = rows::snapshot(newest.rows)? else { return Ok(None) };
        let covered = |(generation, changes): &(u64, u64)| {
            chain.iter().zip(states).any(|(each, state)| each.number == *generation && state.changes >= *changes)
        };
        if !snapshot.covers.iter().all(covered) {
            return Ok(None);
        }
        let seen = snapshot.covers.iter().map(|&(generation, changes)| Seen { changes, ..Seen::nothing(generation) });
        Ok(Content::load(kind, &snapshot.saved).ok().map(|content| Self::over(kind, content, seen.collect())))
    }

    /// Takes what is missing of one generation.
    fn catch_up(&mut self, generation: &Generation<'_>, state: &State) -> Result<(), RichError> {
        let at = match self.seen.iter().position(|seen| seen.generation == generation.number) {
            Some(at) => at,
            None => {
                self.seen.push(Seen::nothing(generation.number));
                self.seen.len() - 1
            }
        };
        let first = self.seen[at].changes;
        let content = self.content_mut();
        let mut outcome = Ok(());
        let mut found = first;
        rows::changes_from(generation.rows, first, &mut |bytes| {
            found += 1;
            if outcome.is_ok() {
                outcome = content.apply(bytes);
            }
            Ok(())
        })?;
        outcome?;
        if found != state.changes {
            return Err(unavailable(format!("{found} of its {} changes are there", state.changes)));
        }
        self.seen[at] = Seen::all(generation.number, state);
        Ok(())
    }

    /// Takes a change of `generation` that [`rows::record`] has just added to the rows, giving `state`.
    ///
    /// # Errors
    /// [`RichError::Unavailable`] when automerge fails, or when the cell in memory is not the one before the change.
    pub fn apply(&mut self, generation: u64, bytes: &[u8], state: &State) -> Result<(), RichError> {
        let before = self.seen.iter_mut().find(|seen| seen.generation == generation);
        let seen = before.filter(|seen| seen.changes + 1 == state.changes);
        let seen = seen.ok_or_else(|| unavailable("the cell in memory is of another version"))?;
        *seen = Seen::all(generation, state);
        self.text = OnceLock::new();
        self.content_mut().apply(bytes)
    }

    /// Which changes the cell holds. Edits of the open transaction do not show.
    #[must_use]
    pub fn version(&self) -> Version {
        self.seen.iter().fold(Version::default(), |version, seen| mix(version, seen.generation, seen.version))
    }

    /// About how much memory the cell takes, in bytes.
    #[must_use]
    pub fn weight_bytes(&self) -> u64 {
        let changes: u64 = self.seen.iter().map(|seen| seen.changes).sum();
        let operations = self.operations();
        let text = self.text.get().map_or(0, |text| text.len() as u64);
        4_096 + 160 * changes + 24 * operations + text + self.content().waiting_bytes() as u64
    }

    /// The text, with the edits of the open transaction.
    ///
    /// # Errors
    /// [`RichError::Edit`] when the cell is json, [`RichError::Unavailable`] when automerge fails.
    pub fn text(&self) -> Result<Arc<str>, RichError> {
        self.expect(FieldKind::Text)?;
        if let Some(text) = self.text.get() {
            return Ok(text.clone());
        }
        let text: Arc<str> = self.content().text()?.into();
        Ok(self.text.get_or_init(|| text).clone())
    }

    /// The text's length in Unicode scalar values, with the edits of the open transaction.
    ///
    /// # Errors
    /// As [`RichCell::text`].
    pub fn length(&self) -> Result<usize, RichError> {
        self.expect(FieldKind::Text)?;
        self.content().length()
    }

    /// The json value, with the edits of the open transaction. A cell that nobody wrote is an empty object.
    ///
    /// # Errors
    /// [`RichError::Edit`] when the cell is a text, [`RichError::Unavailable`] when automerge fails.
    pub fn json(&self) -> Result<Value, RichError> {
        self.expect(FieldKind::Json)?;
        self.content().look(json::read)
    }

    /// Starts a transaction's edits under `actor`: call it before the first edit of a transaction.
    pub fn begin(&mut self, actor: ActorId) {
        self.content_mut().set_actor(actor);
    }

    /// Whether there are edits since [`RichCell::begin`] that are not finished.
    #[must_use]
    pub fn is_edited(&self) -> bool {
        self.content().pending() > 0
    }

    /// Deletes `delete` Unicode scalar values at position `at`, and puts `insert` there.
    ///
    /// # Errors
    /// [`RichError::Edit`] when the range is not within the text, [`RichError::TooLarge`].
    pub fn splice(&mut self, at: usize, delete: usize, insert: &str) -> Result<(), RichError> {
        self.expect(FieldKind::Text)?;
        let length = self.content_mut().length()?;
        if at.checked_add(delete).is_none_or(|end| end > length) {
            return Err(RichError::Edit {
                why: format!("the text has {length} characters; {delete} from {at} on are not all there"),
            });
        }
        self.expect_room(delete as u64 + insert.chars().count() as u64)?;
        self.text = OnceLock::new();
        self.content_mut().splice(at, delete, insert)
    }

    /// Makes the text `new` by few edits, so that concurrent edits elsewhere in the text survive.
    ///
    /// # Errors
    /// As [`RichCell::splice`].
    pub fn set_text(&mut self, new: &str) -> Result<(), RichError> {
        let old = self.text()?;
        for edit in text::difference(&old, new) {
            self.splice(edit.at, edit.delete, &edit.insert)?;
        }
        Ok(())
    }

    /// Puts `value` at `path`: an object's key, new or not, or a list's existing index. An empty path replaces all.
    ///
    /// # Errors
    /// [`RichError::Edit`] when the path leads nowhere or the value can't be stored, [`RichError::TooLarge`].
    pub fn put(&mut self, path: &[Step<'_>], value: &Value) -> Result<(), RichError> {
        self.edit_json(|document| json::put(document, path, value))
    }

    /// Inserts `value` into a list, before the index that ends `path`; the list's length appends.
    ///
    /// # Errors
    /// As [`RichCell::put`].
    pub fn insert(&mut self, path: &[Step<'_>], value: &Value) -> Result<(), RichError> {
        self.edit_json(|document| json::insert(document, path, value))
    }

    /// Removes what is at `path`.
    ///
    /// # Errors
    /// As [`RichCell::put`].
    pub fn cut(&mut self, path: &[Step<'_>]) -> Result<(), RichError> {
        self.edit_json(|document| json::cut(document, path))
    }

    /// Makes the json value `new` by few edits, so that concurrent edits elsewhere in it survive.
    ///
    /// # Errors
    /// As [`RichCell::put`].
    pub fn set_json(&mut self, new: &Value) -> Result<(), RichError> {
        self.edit_json(|document| json::set(document, new))
    }

    fn edit_json(&mut self, edit: impl FnOnce(&mut AutoCommit) -> Result<(), RichError>) -> Result<(), RichError> {
        self.expect(FieldKind::Json)?;
        self.content_mut().edit(edit)?;
        self.expect_room(0)
    }

    /// Ends the transaction: all its edits as one change, or `None` when nothing was changed. Hand the change to
    /// [`rows::record`] with the commit's sequence; the cell in memory already holds it.
    ///
    /// # Errors
    /// [`RichError::TooLarge`] when the change is longer than [`MAX_CHANGE_BYTES`], [`RichError::Unavailable`] when
    /// automerge fails.
    pub fn finish(&mut self) -> Result<Option<Made>, RichError> {
        let Some(mut made) = self.content_mut().commit()? else { return Ok(None) };
        let operations = made.summary.max_op + 1 - made.summary.start_op;
        let limits = [
            ("the number of edits of a field", operations, self.operations_limit()),
            ("the change of a field in bytes", made.bytes.len() as u64, MAX_CHANGE_BYTES as u64),
        ];
        if let Some(&(what, size, limit)) = limits.iter().find(|(_, size, limit)| size > limit) {
            return Err(RichError::TooLarge { what, size, limit });
        }
        made.summary.reaches = self.seen.iter().rev().skip(1).rev().map(|seen| seen.generation).collect();
        if let Some(last) = self.seen.last_mut() {
            last.changes += 1;
            last.operations += operations;
            last.version = last.version.after(&made.summary.hash);
        }
        Ok(Some(made))
    }

    /// Ends the transaction without a change.
    pub fn rollback(&mut self) {
        self.text = OnceLock::new();
        self.content_mut().rollback();
    }

    /// Writes a snapshot into the newest generation's rows: call it when [`State::snapshot_due`], with every recorded
    /// change of the chain in memory and no open transaction. `state` is the newest generation's.
    ///
    /// # Errors
    /// As the storage; [`RichError::Unavailable`] when automerge fails.
    pub fn save(&mut self, newest: &mut dyn RowsMut, state: &State) -> Result<(), RichError> {
        let saved = self.content_mut().save()?;
        let covers = self.seen.iter().map(|seen| (seen.generation, seen.changes)).collect();
        rows::put_snapshot(newest, &Snapshot { covers, saved })?;
        rows::put_state(newest, &State { snapshot_work: state.work(), ..*state })?;
        Ok(())
    }

    fn operations(&self) -> u64 {
        self.seen.iter().map(|seen| seen.operations).sum()
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn content_mut(&mut self) -> &mut Content {
        self.content.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    fn expect(&self, kind: FieldKind) -> Result<(), RichError> {
        if self.kind == kind {
            return Ok(());
        }
        Err(RichError::Edit { why: format!("the field holds {:?}, not {kind:?}", self.kind) })
    }

    fn operations_limit(&self) -> u64 {
        if self.kind == FieldKind::Text { MAX_TEXT_OPERATIONS } else { MAX_JSON_OPERATIONS }
    }

    fn expect_room(&mut self, more: u64) -> Result<(), RichError> {
        let pending = self.content_mut().pending() + more;
        let limit = self.operations_limit();
        if pending > limit {
            return Err(RichError::TooLarge { what: "the number of edits of a field", size: pending, limit });
        }
        let (size, limit) = (self.operations() + pending, MAX_LOADED_OPERATIONS);
        if size > limit {
            return Err(RichError::TooLarge { what: "the number of edits in a field's history", size, limit });
        }
        Ok(())
    }
}

fn mix(version: Version, generation: u64, of: Version) -> Version {
    if of == Version::default() {
        return version;
    }
    version.mix(&generation.to_le_bytes()).mix(&of.0)
}

impl Clone for RichCell {
    fn clone(&self) -> Self {
        let content = Mutex::new(self.content().clone());
        Self { kind: self.kind, content, seen: self.seen.clone(), text: self.text.clone() }
    }
}

impl std::fmt::Debug for RichCell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RichCell").field("kind", &self.kind).field("seen", &self.seen).finish_non_exhaustive()
    }
}
