//! Writing the commit stream.

use std::collections::BTreeMap;

use super::*;
use crate::codec::{put_bytes, put_signed, put_varint};
use crate::operation::{Action, FieldOp, Operation};

/// Encodes the operations of one commit.
///
/// # Errors
/// [`OperationError`] for whatever [`decode_commit`] would refuse.
pub fn encode_commit(operations: &[Operation]) -> Result<Vec<u8>, OperationError> {
    if operations.is_empty() {
        return Err(OperationError::Empty);
    }
    at_most(operations.len(), "the number of operations in a commit", MAX_OPERATIONS)?;
    let mut encoder = Encoder::default();
    for operation in operations {
        encoder.operation(operation)?;
        at_most(encoder.body.len(), "the size of a commit in bytes", MAX_COMMIT_BYTES)?;
    }
    at_most(encoder.writes, "the number of field writes in a commit", MAX_FIELD_WRITES)?;
    let mut out =
        Vec::with_capacity(encoder.body.len() + encoder.names.iter().map(|name| name.len() + 2).sum::<usize>());
    out.push(VERSION);
    put_varint(&mut out, encoder.names.len() as u64);
    encoder.names.iter().for_each(|name| put_bytes(&mut out, name.as_bytes()));
    out.extend_from_slice(&encoder.body);
    at_most(out.len(), "the size of a commit in bytes", MAX_COMMIT_BYTES)?;
    Ok(out)
}

fn at_most(size: usize, what: &'static str, limit: usize) -> Result<(), OperationError> {
    if size <= limit { Ok(()) } else { Err(OperationError::TooLarge { what, size, limit }) }
}

#[derive(Default)]
struct Encoder<'a> {
    names: Vec<&'a str>,
    positions: BTreeMap<&'a str, u64>,
    body: Vec<u8>,
    writes: usize,
}

impl<'a> Encoder<'a> {
    fn position(&mut self, name: &'a str) -> Result<u64, OperationError> {
        if let Some(position) = self.positions.get(name) {
            return Ok(*position);
        }
        if name.is_empty() || name.len() > MAX_NAME_BYTES {
            return Err(OperationError::Name { length: name.len(), start: name.chars().take(40).collect() });
        }
        let position = self.names.len() as u64;
        self.names.push(name);
        self.positions.insert(name, position);
        Ok(position)
    }

    fn operation(&mut self, operation: &'a Operation) -> Result<(), OperationError> {
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

    fn writes(&mut self, id: &DocumentId, writes: &'a [(String, FieldOp)]) -> Result<(), OperationError> {
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
