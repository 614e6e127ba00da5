//! Rows that are not yet decided on: a commit's changes are checked and recorded one after the other, and reach the
//! store's rows only when the whole commit is well-formed.

use std::collections::BTreeMap;

use super::{Row, Rows, RowsMut, Visit};
use crate::store::error::{ReadError, WriteError};

/// What is put stays here, on top of the rows below.
pub struct Overlay<'a> {
    below: &'a dyn Rows,
    above: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl<'a> Overlay<'a> {
    /// Nothing on top of `below`.
    #[must_use]
    pub fn new(below: &'a dyn Rows) -> Self {
        Self { below, above: BTreeMap::new() }
    }

    /// What was put.
    #[must_use]
    pub fn into_rows(self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        self.above
    }
}

impl Rows for Overlay<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        match self.above.get(key) {
            Some(value) => Ok(Some(value.clone())),
            None => self.below.get(key),
        }
    }

    fn range(&self, first: &[u8], last: &[u8], visit: &mut Visit<'_>) -> Result<(), ReadError> {
        if first > last {
            return Ok(());
        }
        let mut above = self.above.range(first.to_vec()..=last.to_vec()).peekable();
        self.below.range(first, last, &mut |key, value| {
            while let Some((before, put)) = above.next_if(|(put, _)| put.as_slice() < key) {
                visit(before, put)?;
            }
            match above.next_if(|(put, _)| put.as_slice() == key) {
                Some((_, put)) => visit(key, put),
                None => visit(key, value),
            }
        })?;
        above.try_for_each(|(key, put)| visit(key, put))
    }

    fn last(&self, first: &[u8], last: &[u8]) -> Result<Option<Row>, ReadError> {
        if first > last {
            return Ok(None);
        }
        let above = self.above.range(first.to_vec()..=last.to_vec()).next_back();
        let above = above.map(|(key, put)| (key.clone(), put.clone()));
        let below = self.below.last(first, last)?;
        Ok(match (above, below) {
            (Some(above), Some(below)) if below.0 > above.0 => Some(below),
            (above, below) => above.or(below),
        })
    }
}

impl RowsMut for Overlay<'_> {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), WriteError> {
        self.above.insert(key.to_vec(), value.to_vec());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rich::tests::memory::MemoryRows;
    use crate::value::sample::Sampler;

    #[test]
    fn an_overlay_reads_as_rows_with_everything_put() {
        let mut random = Sampler::new(11);
        for round in 0..500 {
            let mut key = || vec![random.below(3) as u8; 1 + random.below(3)];
            let mut below = MemoryRows::default();
            (0..6).for_each(|at| below.put(&key(), &[0, at]).unwrap());
            let mut flat = below.clone();
            let mut overlay = Overlay::new(&below);
            for at in 0..6 {
                let key = key();
                flat.put(&key, &[1, at]).unwrap();
                overlay.put(&key, &[1, at]).unwrap();
            }
            let (first, last) = (key(), key());
            let collect = |rows: &dyn Rows| {
                let mut all = Vec::new();
                rows.range(&first, &last, &mut |key, value| {
                    all.push((key.to_vec(), value.to_vec()));
                    Ok(())
                })
                .unwrap();
                (all, rows.last(&first, &last).unwrap(), rows.get(&first).unwrap())
            };
            assert_eq!(collect(&overlay), collect(&flat), "round {round}");
            let mut merged = below.clone();
            overlay.into_rows().iter().for_each(|(key, value)| merged.put(key, value).unwrap());
            assert_eq!(merged.rows, flat.rows, "round {round}");
        }
    }
}
