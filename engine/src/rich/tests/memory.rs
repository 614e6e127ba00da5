//! Rows in memory, which count what is written.

use std::collections::BTreeMap;

use crate::rich::rows::{Row, Rows, RowsMut, Visit};
use crate::store::error::{ReadError, WriteError};

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::rich) struct MemoryRows {
    pub rows: BTreeMap<Vec<u8>, Vec<u8>>,
    pub written_bytes: usize,
}

impl Rows for MemoryRows {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        Ok(self.rows.get(key).cloned())
    }

    fn range(&self, first: &[u8], last: &[u8], visit: &mut Visit<'_>) -> Result<(), ReadError> {
        let within = self.rows.iter().filter(|(key, _)| first <= key.as_slice() && key.as_slice() <= last);
        within.into_iter().try_for_each(|(key, value)| visit(key, value))
    }

    fn last(&self, first: &[u8], last: &[u8]) -> Result<Option<Row>, ReadError> {
        if first > last {
            return Ok(None);
        }
        let row = self.rows.range(first.to_vec()..=last.to_vec()).next_back();
        Ok(row.map(|(key, value)| (key.clone(), value.clone())))
    }
}

impl RowsMut for MemoryRows {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), WriteError> {
        self.written_bytes += key.len() + value.len();
        self.rows.insert(key.to_vec(), value.to_vec());
        Ok(())
    }
}
