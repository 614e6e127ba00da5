//! Writing the commit stream.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::codec::{put_bytes, put_signed, put_varint};
use crate::operation::{Action, FieldOp, Operation};

/// Encodes the operations of one commit.
///
/// # Errors
/// [`OperationError`] for whatever [`decode_commit`] would refuse.
pub fn encode_commit(operations: &[Operation]) -> Result<Vec<u8>, OperationError> {
    let mut writer = CommitWriter::default();
    operations.iter().try_for_each(|operation| writer.push(operation))?;
    writer.finish()
}

fn at_most(size: usize, what: &'static str, limit: usize) -> Result<(), OperationError> {
    if size <= limit { Ok(()) } else { Err(OperationError::TooLarge { what, size, limit }) }
}

/// Writes a commit operation by operation.
#[derive(Debug, Default)]
pub struct CommitWriter {
    names: Vec<Arc<str>>,
    positions: BTreeMap<Arc<str>, u64>,
    /// The position that was asked for last.
    last: usize,
    body: Vec<u8>,
    operations: usize,
    writes: usize,
}

/// A place in a commit that is being written.
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    names: usize,
    body: usize,
    operations: usize,
    writes: usize,
}

impl CommitWriter {
    /// How many operations were written.
    #[must_use]
    pub fn operations(&self) -> usize {
        self.operations
    }

    /// The place after what was written so far.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark { names: self.names.len(), body: self.body.len(), operations: self.operations, writes: self.writes }
    }

    /// Takes back everything after `mark`.
    pub fn back_to(&mut self, mark: Mark) {
        for name in self.names.drain(mark.names..) {
            self.positions.remove(&name);
        }
        self.body.truncate(mark.body);
        (self.operations, self.writes) = (mark.operations, mark.writes);
    }

    /// Writes one more operation, or nothing.
    ///
    /// # Errors
    /// [`OperationError`] for whatever [`decode_commit`] would refuse.
    pub fn push(&mut self, operation: &Operation) -> Result<(), OperationError> {
        let mark = self.mark();
        let pushed = self.operation(operation).and_then(|()| {
            self.operations += 1;
            at_most(self.operations, "the number of operations in a commit", MAX_OPERATIONS)?;
            at_most(self.body.len(), "the size of a commit in bytes", MAX_COMMIT_BYTES)?;
            at_most(self.writes, "the number of field writes in a commit", MAX_FIELD_WRITES)
        });
        if pushed.is_err() {
            self.back_to(mark);
        }
        pushed
    }

    /// The commit.
    ///
    /// # Errors
    /// [`OperationError::Empty`], [`OperationError::TooLarge`].
    pub fn finish(self) -> Result<Vec<u8>, OperationError> {
        if self.operations == 0 {
            return Err(OperationError::Empty);
        }
        let names: usize = self.names.iter().map(|name| name.len() + 2).sum();
        let mut out = Vec::with_capacity(self.body.len() + names + 4);
        out.push(VERSION);
        put_varint(&mut out, self.names.len() as u64);
        self.names.iter().for_each(|name| put_bytes(&mut out, name.as_bytes()));
        out.extend_from_slice(&self.body);
        at_most(out.len(), "the size of a commit in bytes", MAX_COMMIT_BYTES)?;
        Ok(out)
    }

    fn position(&mut self, name: &str) -> Result<u64, OperationError> {
        // The names of one operation mostly follow those of the one before it.
        let expected =
            [self.last + 1, 0].into_iter().find(|at| self.names.get(*at).is_some_and(|known| **known == *name));
        let known = expected.map(|at| at as u64).or_else(|| self.positions.get(name).copied());
        if let Some(position) = known {
            self.last = position as usize;
            return Ok(position);
        }
        if name.is_empty() || name.len() > MAX_NAME_BYTES {
            return Err(OperationError::Name { length: name.len(), start: name.chars().take(40).collect() });
        }
        let position = self.names.len() as u64;
        let name: Arc<str> = name.into();
        self.names.push(name.clone());
        self.positions.insert(name, position);
        Ok(position)
    }

    fn operation(&mut self, operation: &Operation) -> Result<(), OperationError> {
        let Operation { collection, id, generation, action } = operation;
        let (code, writes) = match action {
            Action::Insert(writes) => (INSERT, Some(writes)),
            Action::Edit(writes) if writes.is_empty() => return Err(OperationError::NoEffect { id: id.clone() }),
            Action::Edit(writes) => (EDIT, Some(writes)),
            Action::Delete => (DELETE, None),
            Action::Restore { .. } => (RESTORE, None),
        };
        let later = if *generation == 1 { 0 } else { LATER };
        let position = self.position(collection)?;
        put_varint(&mut self.body, position << (ACTION_BITS + 1) | later | code);
        if later != 0 {
            put_varint(&mut self.body, *generation);
        }
        put_bytes(&mut self.body, id.as_str().as_bytes());
        if let Action::Restore { continues } = action {
            put_varint(&mut self.body, *continues);
        }
        let generations_fit = match action {
            Action::Restore { continues } => (1..*generation).contains(continues),
            _ => *generation >= 1,
        };
        if !generations_fit {
            return Err(OperationError::Generation { id: id.clone() });
        }
        writes.map_or(Ok(()), |writes| self.writes(id, writes))
    }

    fn writes(&mut self, id: &DocumentId, writes: &[(String, FieldOp)]) -> Result<(), OperationError> {
        at_most(writes.len(), "the number of field writes in an operation", MAX_FIELDS)?;
        self.writes += writes.len();
        let mut cells = Cells::new(writes.len());
        put_varint(&mut self.body, writes.len() as u64);
        for (field, write) in writes {
            if field == Document::ID_NAME {
                return Err(OperationError::IdField { id: id.clone() });
            }
            let position = self.position(field)?;
            if !cells.first_write(position, write.kind()) {
                return Err(OperationError::Duplicate { id: id.clone(), field: field.clone() });
            }
            self.write(position, write).map_err(|refusal| refusal.at(id, field))?;
        }
        Ok(())
    }

    fn write(&mut self, position: u64, write: &FieldOp) -> Result<(), Refusal> {
        let head = position << WRITE_BITS;
        match write {
            FieldOp::Set(value) => {
                put_varint(&mut self.body, head | SET);
                value.encode(&mut self.body)?;
            }
            FieldOp::Clear => put_varint(&mut self.body, head | CLEAR),
            FieldOp::Add(amount) => {
                put_varint(&mut self.body, head | ADD);
                put_signed(&mut self.body, *amount);
            }
            FieldOp::Include(values) => self.elements(head | INCLUDE, values)?,
            FieldOp::Exclude(values) => self.elements(head | EXCLUDE, values)?,
            FieldOp::Text(change) => self.change(head | TEXT, change)?,
            FieldOp::Json(change) => self.change(head | JSON, change)?,
        }
        Ok(())
    }

    fn elements(&mut self, head: u64, values: &[Value]) -> Result<(), Refusal> {
        if values.is_empty() && head & WRITE_MASK == EXCLUDE {
            return Err(Refusal::NoEffect);
        }
        if !ascend(values) {
            return Err(Refusal::Elements);
        }
        put_varint(&mut self.body, head);
        put_varint(&mut self.body, values.len() as u64);
        Ok(values.iter().try_for_each(|value| value.encode(&mut self.body))?)
    }

    fn change(&mut self, head: u64, change: &[u8]) -> Result<(), Refusal> {
        if change.is_empty() {
            return Err(Refusal::NoEffect);
        }
        if change.len() > MAX_CHANGE_BYTES {
            return Err(Refusal::ChangeSize(change.len()));
        }
        put_varint(&mut self.body, head);
        put_bytes(&mut self.body, change);
        Ok(())
    }
}

/// An [`OperationError`] that does not know its place yet.
enum Refusal {
    NoEffect,
    Elements,
    ChangeSize(usize),
    Value(ValueError),
}

impl From<ValueError> for Refusal {
    fn from(source: ValueError) -> Self {
        Self::Value(source)
    }
}

impl Refusal {
    fn at(self, id: &DocumentId, field: &str) -> OperationError {
        let (id, field) = (id.clone(), field.to_owned());
        match self {
            Self::NoEffect => OperationError::NoEffect { id },
            Self::Elements => OperationError::Elements { id, field },
            Self::ChangeSize(size) => {
                let what = "the size of a text or json change in bytes";
                OperationError::TooLarge { what, size, limit: MAX_CHANGE_BYTES }
            }
            Self::Value(source) => OperationError::Value { id, field, source },
        }
    }
}
