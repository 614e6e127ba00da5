//! Reading the commit stream.

use std::collections::BTreeSet;

use super::*;
use crate::codec::Reader;
use crate::operation::{Action, FieldOp, Operation};

fn malformed(why: impl Into<String>) -> StreamError {
    StreamError::Malformed { why: why.into() }
}

/// Decodes one commit. Only what [`encode_commit`] writes is accepted, so encoding the result gives the same bytes.
///
/// # Errors
/// [`StreamError::Unknown`] where newer software used a number that is still free here, [`StreamError::Malformed`]
/// for everything else.
pub fn decode_commit(bytes: &[u8]) -> Result<Vec<Operation>, StreamError> {
    if bytes.len() > MAX_COMMIT_BYTES {
        return Err(malformed("more than 16 MiB"));
    }
    let mut reader = Reader::new(bytes);
    match reader.byte()? {
        VERSION => {}
        0 => return Err(malformed("version 0")),
        version => return Err(StreamError::Unknown { what: format!("version {version}") }),
    }
    let mut decoder = Decoder { names: read_names(&mut reader)?, reader, used: 0, writes: 0 };
    let mut operations = Vec::new();
    while !decoder.reader.is_empty() {
        if operations.len() == MAX_OPERATIONS {
            return Err(malformed("too many operations"));
        }
        operations.push(decoder.operation()?);
    }
    if operations.is_empty() {
        return Err(malformed("no operation"));
    }
    if decoder.used < decoder.names.len() {
        return Err(malformed("a name that is not used"));
    }
    Ok(operations)
}

fn read_names<'a>(reader: &mut Reader<'a>) -> Result<Vec<&'a str>, StreamError> {
    let count = reader.count(2)?;
    let mut names = Vec::with_capacity(count);
    for _ in 0..count {
        let name = reader.text()?;
        if name.is_empty() || name.len() > MAX_NAME_BYTES {
            return Err(malformed("an empty or overlong name"));
        }
        names.push(name);
    }
    if names.iter().collect::<BTreeSet<_>>().len() < names.len() {
        return Err(malformed("a name that is listed twice"));
    }
    Ok(names)
}

struct Decoder<'a> {
    names: Vec<&'a str>,
    reader: Reader<'a>,
    /// How many names were used so far: they are listed in the order of their first use.
    used: usize,
    /// How many field writes there were so far.
    writes: usize,
}

impl Decoder<'_> {
    fn name(&mut self, position: u64) -> Result<String, StreamError> {
        let index = usize::try_from(position).ok().filter(|index| *index <= self.used);
        let name = index.and_then(|index| self.names.get(index)).ok_or_else(|| malformed("a name out of order"))?;
        if index == Some(self.used) {
            self.used += 1;
        }
        Ok((*name).to_owned())
    }

    fn operation(&mut self) -> Result<Operation, StreamError> {
        let head = self.reader.varint()?;
        let action = head & (LATER - 1);
        if action > RESTORE {
            return Err(StreamError::Unknown { what: format!("action {action}") });
        }
        let collection = self.name(head >> (ACTION_BITS + 1))?;
        let generation = if head & LATER == 0 { 1 } else { self.reader.varint()? };
        if head & LATER != 0 && generation < 2 {
            return Err(malformed("a generation below 2 that is spelled out"));
        }
        let id = DocumentId::new(self.reader.text()?).map_err(|error| malformed(error.to_string()))?;
        let action = match action {
            INSERT => Action::Insert(self.writes()?),
            EDIT => match self.writes()? {
                writes if writes.is_empty() => return Err(malformed("an edit of nothing")),
                writes => Action::Edit(writes),
            },
            DELETE => Action::Delete,
            _ => match self.reader.varint()? {
                continues if (1..generation).contains(&continues) => Action::Restore { continues },
                _ => return Err(malformed("a restore that does not continue an earlier generation")),
            },
        };
        Ok(Operation { collection, id, generation, action })
    }

    fn writes(&mut self) -> Result<Vec<(String, FieldOp)>, StreamError> {
        let count = self.reader.count(1)?;
        self.writes += count;
        if count > MAX_FIELDS || self.writes > MAX_FIELD_WRITES {
            return Err(malformed("too many field writes"));
        }
        let mut cells = Cells::new(count);
        let mut writes = Vec::with_capacity(count);
        for _ in 0..count {
            let head = self.reader.varint()?;
            let position = head >> WRITE_BITS;
            let field = self.name(position)?;
            if field == Document::ID_NAME {
                return Err(malformed("a field called id"));
            }
            let write = self.write(head & WRITE_MASK)?;
            if !cells.first_write(position, write.kind()) {
                return Err(malformed("two writes to one cell in one operation"));
            }
            writes.push((field, write));
        }
        Ok(writes)
    }

    fn write(&mut self, code: u64) -> Result<FieldOp, StreamError> {
        Ok(match code {
            SET => FieldOp::Set(Value::decode(&mut self.reader)?),
            CLEAR => FieldOp::Clear,
            ADD => FieldOp::Add(self.reader.signed()?),
            INCLUDE => FieldOp::Include(self.elements()?),
            EXCLUDE => match self.elements()? {
                values if values.is_empty() => return Err(malformed("an exclude of nothing")),
                values => FieldOp::Exclude(values),
            },
            TEXT => FieldOp::Text(self.change()?),
            JSON => FieldOp::Json(self.change()?),
            _ => return Err(StreamError::Unknown { what: format!("field write {code}") }),
        })
    }

    fn elements(&mut self) -> Result<Vec<Value>, StreamError> {
        let count = self.reader.count(1)?;
        let mut values = Vec::new();
        for _ in 0..count {
            values.push(Value::decode(&mut self.reader)?);
        }
        if !ascend(&values) {
            return Err(malformed("the elements of a set ascend"));
        }
        Ok(values)
    }

    fn change(&mut self) -> Result<Vec<u8>, StreamError> {
        let change = self.reader.bytes()?;
        if change.is_empty() || change.len() > MAX_CHANGE_BYTES {
            return Err(malformed("an empty or overlong change"));
        }
        Ok(change.to_vec())
    }
}
