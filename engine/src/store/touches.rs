//! Which commits touched a document: those that a stamp in its record names, those that the record lists without a stamp, and,
//! of these, the oldest in rows of their own, so that a record stays small.

use std::collections::BTreeSet;

use super::ReadError;
use super::records::{DOCUMENT_PREFIX_BYTES, undecodable};
use super::tables::{Tables, WriteTables};
use crate::codec::Reader;
use crate::document::held::Held;
use crate::document::record::lazy::LazyState;
use crate::document::record::{Slots, dots_row, read_dots};
use crate::document::state::Dot;

/// Moves what is too long for the record into rows.
pub(crate) fn spill(tables: &mut WriteTables<'_>, document: &[u8], id: &str, held: &mut Held) -> Result<(), ReadError> {
    while let Some((number, dots)) = held.take_older().map_err(undecodable(id))? {
        let mut key = rows_prefix(document);
        key.extend_from_slice(&number.to_be_bytes());
        if !planted!(TouchesForgotten) {
            tables.touches.insert(&key, &dots_row(&dots))?;
        }
    }
    Ok(())
}

/// Every commit that touched a stored document.
pub(crate) fn of_document(
    tables: &impl Tables,
    slots: Slots,
    document: &[u8],
    record: &[u8],
) -> Result<BTreeSet<Dot>, ReadError> {
    let damaged = |_| tables.documents().damaged(document);
    let (touches, rows) = LazyState::new(record, slots).and_then(|lazy| lazy.touches()).map_err(damaged)?;
    let mut touches: BTreeSet<Dot> = touches.into_iter().collect();
    if rows > 0 {
        let mut found = 0;
        for row in tables.touches().prefixed(&rows_prefix(document))? {
            let row = row?;
            let wrong = |_| tables.touches().damaged(row.key());
            touches.extend(read_dots(Reader::new(row.value()?), slots).map_err(wrong)?);
            found += 1;
        }
        if found != rows {
            return Err(tables.documents().damaged(document));
        }
    }
    Ok(touches)
}

/// What the keys of a document's rows start with. The length of the id stands before it, so no document's is the beginning of
/// another's.
fn rows_prefix(document: &[u8]) -> Vec<u8> {
    let (start, id) = document.split_at(DOCUMENT_PREFIX_BYTES);
    let mut prefix = Vec::with_capacity(document.len() + 6);
    prefix.extend_from_slice(start);
    prefix.extend_from_slice(&u16::try_from(id.len()).unwrap_or(u16::MAX).to_be_bytes());
    prefix.extend_from_slice(id);
    prefix
}
