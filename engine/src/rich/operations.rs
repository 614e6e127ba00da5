//! The operations of a change, one after the other.

use super::change::{Frame, signed_leb128};
use super::columns::{Booleans, ColumnError, Delta, Rle};
use crate::codec::{DecodeError, Reader};

pub(super) const OBJECT_ACTOR: u32 = 1;
pub(super) const OBJECT_COUNTER: u32 = 2;
pub(super) const KEY_ACTOR: u32 = 17;
pub(super) const KEY_COUNTER: u32 = 19;
pub(super) const KEY_TEXT: u32 = 21;
pub(super) const INSERT: u32 = 52;
pub(super) const ACTION: u32 = 66;
pub(super) const VALUE_META: u32 = 86;
pub(super) const VALUE: u32 = 87;
pub(super) const PRED_COUNT: u32 = 112;
pub(super) const PRED_ACTOR: u32 = 113;
pub(super) const PRED_COUNTER: u32 = 115;

/// The columns that a change may have, ascending; those that it must have.
const KNOWN: [u32; 12] = [
    OBJECT_ACTOR,
    OBJECT_COUNTER,
    KEY_ACTOR,
    KEY_COUNTER,
    KEY_TEXT,
    INSERT,
    ACTION,
    VALUE_META,
    VALUE,
    PRED_COUNT,
    PRED_ACTOR,
    PRED_COUNTER,
];
const REQUIRED: [u32; 4] = [INSERT, ACTION, VALUE_META, PRED_COUNT];

/// An operation's id within a change: the actor's place in the change (0 is its own), and the counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Id {
    pub actor: u32,
    pub counter: u64,
}

/// Where in its object an operation acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key<'a> {
    Map(&'a str),
    /// The start of a list or text.
    Head,
    Element(Id),
}

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    MakeMap,
    MakeList,
    Put,
    Delete,
}

/// A scalar that json cells use.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scalar<'a> {
    Null,
    Bool,
    Int,
    Float(f64),
    Text(&'a str),
    Bytes(&'a [u8]),
    Timestamp,
}

/// One operation; its predecessors are in the buffer that was handed to [`Operations::next`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Op<'a> {
    /// `None`: the root map.
    pub object: Option<Id>,
    pub key: Key<'a>,
    pub insert: bool,
    pub action: Action,
    pub value: Scalar<'a>,
}

/// Why the operations of a change are not what an honest writer's are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OperationError {
    /// A column that is not known, compressed, empty, out of order, or missing.
    #[error("a column is unknown, compressed, empty, out of order or missing")]
    Columns,
    /// A column that does not decode.
    #[error("column {column}: {error}")]
    Column {
        /// Which, by its specification.
        column: u32,
        /// Why.
        error: ColumnError,
    },
    /// An actor beyond the change's list.
    #[error("an actor that the change does not list")]
    UnknownActor,
    /// The list of actors is not ascending, lists the own actor, or one that is not used.
    #[error("the list of other actors is not ascending, or lists one that is not needed")]
    Actors,
    /// Half of an id, a key of two kinds, or none.
    #[error("an object id or a key that is incomplete")]
    Incomplete,
    /// Predecessors that are not in ascending order.
    #[error("predecessors are not in ascending order")]
    PredOrder,
    /// An action that these cells do not have: counters, marks, nested texts, tables.
    #[error("action {0}, which text and json fields do not have")]
    Action(u64),
    /// A type of scalar that these cells do not have: counters, unsigned ints, unknown types.
    #[error("a value of type {0}, which text and json fields do not have")]
    ScalarType(u64),
    /// A scalar that is not in canonical form.
    #[error("a value that is not in canonical form")]
    Scalar,
}

/// Reads the operations of a change.
#[derive(Debug, Clone)]
pub(super) struct Operations<'a> {
    object_actor: Rle<'a, u64>,
    object_counter: Rle<'a, u64>,
    key_actor: Rle<'a, u64>,
    key_counter: Delta<'a>,
    key_text: Rle<'a, &'a str>,
    insert: Booleans<'a>,
    action: Rle<'a, u64>,
    value_meta: Rle<'a, u64>,
    value: Reader<'a>,
    pred_count: Rle<'a, u64>,
    pred_actor: Rle<'a, u64>,
    pred_counter: Delta<'a>,
    /// Which of the change's actors were met, the own one first.
    used: Vec<bool>,
    /// How many of the other actors come before the own one.
    own_rank: u32,
}

impl<'a> Operations<'a> {
    /// Checks the set of columns and the list of actors. At most `limit` operations, with at most `limit` predecessors,
    /// are read.
    pub fn new(frame: &Frame<'a>, limit: u64) -> Result<Self, OperationError> {
        let columns = &frame.columns;
        let known = columns.iter().all(|(spec, bytes)| KNOWN.contains(spec) && !bytes.is_empty());
        let required = REQUIRED.iter().all(|spec| frame.column(*spec).is_some());
        if !known || !required || !columns.is_sorted_by(|a, b| a.0 < b.0) {
            return Err(OperationError::Columns);
        }
        let actors = &frame.other_actors;
        if !actors.is_sorted_by(|a, b| a < b) || actors.contains(&frame.actor) {
            return Err(OperationError::Actors);
        }
        let column = |spec| frame.column(spec);
        let mut used = vec![false; 1 + actors.len()];
        used[0] = true;
        Ok(Self {
            object_actor: Rle::new(column(OBJECT_ACTOR), limit),
            object_counter: Rle::new(column(OBJECT_COUNTER), limit),
            key_actor: Rle::new(column(KEY_ACTOR), limit),
            key_counter: Delta::new(column(KEY_COUNTER), limit),
            key_text: Rle::new(column(KEY_TEXT), limit),
            insert: Booleans::new(column(INSERT).unwrap_or_default(), limit),
            action: Rle::new(column(ACTION), limit),
            value_meta: Rle::new(column(VALUE_META), limit),
            value: Reader::new(column(VALUE).unwrap_or_default()),
            pred_count: Rle::new(column(PRED_COUNT), limit),
            pred_actor: Rle::new(column(PRED_ACTOR), limit),
            pred_counter: Delta::new(column(PRED_COUNTER), limit),
            used,
            own_rank: actors.partition_point(|other| *other < frame.actor) as u32,
        })
    }

    /// The next operation, its predecessors in `preds`; `None` after the last, when all columns ended with it.
    pub fn next(&mut self, preds: &mut Vec<Id>) -> Result<Option<Op<'a>>, OperationError> {
        if self.action.at_end() {
            return self.finish().map(|()| None);
        }
        let at = |column| move |error| OperationError::Column { column, error };
        let action = self.action.next().map_err(at(ACTION))?.ok_or(OperationError::Incomplete)?;
        let action = match action {
            0 => Action::MakeMap,
            1 => Action::Put,
            2 => Action::MakeList,
            3 => Action::Delete,
            other => return Err(OperationError::Action(other)),
        };
        let insert = self.insert.next().map_err(at(INSERT))?;
        let object_actor = self.object_actor.next().map_err(at(OBJECT_ACTOR))?;
        let object_counter = self.object_counter.next().map_err(at(OBJECT_COUNTER))?;
        let object = match (object_actor, object_counter) {
            (None, None) => None,
            (Some(actor), Some(counter)) => Some(self.id(actor, counter)?),
            _ => return Err(OperationError::Incomplete),
        };
        let key_actor = self.key_actor.next().map_err(at(KEY_ACTOR))?;
        let key_counter = self.key_counter.next().map_err(at(KEY_COUNTER))?;
        let key_text = self.key_text.next().map_err(at(KEY_TEXT))?;
        let key = match (key_actor, key_counter, key_text) {
            (None, None, Some(text)) => Key::Map(text),
            (None, Some(0), None) => Key::Head,
            (Some(actor), Some(counter), None) => Key::Element(self.id(actor, counter)?),
            _ => return Err(OperationError::Incomplete),
        };
        let value = self.value()?;
        self.preds(preds)?;
        Ok(Some(Op { object, key, insert, action, value }))
    }

    fn id(&mut self, actor: u64, counter: u64) -> Result<Id, OperationError> {
        let place = usize::try_from(actor).ok().and_then(|at| self.used.get_mut(at));
        *place.ok_or(OperationError::UnknownActor)? = true;
        if counter == 0 || counter > super::MAX_COUNTER {
            return Err(OperationError::Incomplete);
        }
        Ok(Id { actor: actor as u32, counter })
    }

    fn preds(&mut self, preds: &mut Vec<Id>) -> Result<(), OperationError> {
        let at = |column| move |error| OperationError::Column { column, error };
        preds.clear();
        let count = self.pred_count.next().map_err(at(PRED_COUNT))?.ok_or(OperationError::Incomplete)?;
        for _ in 0..count {
            // Both columns have at most the limit of rows, so the loop ends however large the count is.
            if self.pred_actor.at_end() {
                return Err(at(PRED_ACTOR)(ColumnError::Short));
            }
            let actor = self.pred_actor.next().map_err(at(PRED_ACTOR))?;
            let counter = self.pred_counter.next().map_err(at(PRED_COUNTER))?;
            let (Some(actor), Some(counter)) = (actor, counter) else { return Err(OperationError::Incomplete) };
            let pred = self.id(actor, counter)?;
            if preds.last().is_some_and(|last| self.order(last) >= self.order(&pred)) {
                return Err(OperationError::PredOrder);
            }
            preds.push(pred);
        }
        Ok(())
    }

    /// Ids are ordered by counter, then by the actors' bytes.
    fn order(&self, id: &Id) -> (u64, u32) {
        let rank = match id.actor {
            0 => self.own_rank,
            other => other - 1 + u32::from(other > self.own_rank),
        };
        (id.counter, rank)
    }

    fn value(&mut self) -> Result<Scalar<'a>, OperationError> {
        let at = |error| OperationError::Column { column: VALUE_META, error };
        let meta = self.value_meta.next().map_err(at)?.ok_or(OperationError::Incomplete)?;
        let truncated = |error: DecodeError| OperationError::Column { column: VALUE, error: error.into() };
        let length = usize::try_from(meta >> 4).map_err(|_| truncated(DecodeError::Truncated))?;
        let bytes = self.value.take(length).map_err(truncated)?;
        match (meta & 0x0f, bytes) {
            (0, []) => Ok(Scalar::Null),
            (1 | 2, []) => Ok(Scalar::Bool),
            (4, bytes) => whole(bytes).map(|()| Scalar::Int),
            (5, bytes) => {
                let float = f64::from_le_bytes(bytes.try_into().map_err(|_| OperationError::Scalar)?);
                let canonical = !float.is_nan() && (float != 0.0 || float.is_sign_positive());
                if canonical { Ok(Scalar::Float(float)) } else { Err(OperationError::Scalar) }
            }
            (6, bytes) => std::str::from_utf8(bytes).map(Scalar::Text).map_err(|_| OperationError::Scalar),
            (7, bytes) => Ok(Scalar::Bytes(bytes)),
            (9, bytes) => whole(bytes).map(|()| Scalar::Timestamp),
            (0..=2, _) => Err(OperationError::Scalar),
            (other, _) => Err(OperationError::ScalarType(other)),
        }
    }

    fn finish(&self) -> Result<(), OperationError> {
        let ends = [
            (OBJECT_ACTOR, self.object_actor.finish()),
            (OBJECT_COUNTER, self.object_counter.finish()),
            (KEY_ACTOR, self.key_actor.finish()),
            (KEY_COUNTER, self.key_counter.finish()),
            (KEY_TEXT, self.key_text.finish()),
            (INSERT, self.insert.finish()),
            (ACTION, self.action.finish()),
            (VALUE_META, self.value_meta.finish()),
            (VALUE, self.value.finish().map_err(ColumnError::from)),
            (PRED_COUNT, self.pred_count.finish()),
            (PRED_ACTOR, self.pred_actor.finish()),
            (PRED_COUNTER, self.pred_counter.finish()),
        ];
        for (column, end) in ends {
            end.map_err(|error| OperationError::Column { column, error })?;
        }
        if self.used.iter().all(|used| *used) { Ok(()) } else { Err(OperationError::Actors) }
    }
}

/// Checks that `bytes` are one signed number.
fn whole(bytes: &[u8]) -> Result<(), OperationError> {
    let mut reader = Reader::new(bytes);
    signed_leb128(&mut reader).map_err(|_| OperationError::Scalar)?;
    reader.finish().map_err(|_| OperationError::Scalar)
}
