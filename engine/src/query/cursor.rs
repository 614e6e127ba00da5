//! Cursors: a document's place in the order of one query, as bytes that can go out and come back.
//!
//! Version (1 byte), fingerprint of collection, filter and order (8), the place (every sort key, the id, the space), the length of
//! every sort key and of the id (4 each), check (4). Integers are little-endian. Since all cursors of a query start alike, and no
//! place is the beginning of another, the byte order of cursors is the order of the result.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64URL_NOPAD;
use xxhash_rust::xxh3::xxh3_64;

use super::fingerprint::fingerprint;
use super::order::SortKey;
use super::source::Candidate;
use super::validate::refuse;
use super::{Cursor, Query, order::Sorter};
use crate::id::SpaceId;
use crate::store::ReadError;

const VERSION: u8 = 1;
const HEADER_BYTES: usize = 9;
const CHECK_BYTES: usize = 4;

/// Makes the cursors of one query.
#[derive(Debug)]
pub(crate) struct CursorWriter {
    header: [u8; HEADER_BYTES],
    bytes: Vec<u8>,
    lengths: Vec<u32>,
}

impl CursorWriter {
    pub fn new(query: &Query) -> Self {
        Self { header: header(query), bytes: Vec::new(), lengths: Vec::new() }
    }

    /// Goes to a candidate's place. `sole_key`: see [`Sorter::place`].
    pub fn go_to(
        &mut self,
        sorter: &Sorter<'_>,
        candidate: &dyn Candidate,
        sole_key: Option<&[u8]>,
        space: &SpaceId,
    ) -> Result<(), ReadError> {
        self.bytes.clear();
        self.bytes.extend_from_slice(&self.header);
        sorter.place(candidate, sole_key, space, &mut self.bytes, &mut self.lengths)
    }

    /// Whether the place is after that of `cursor`.
    pub fn is_after(&self, cursor: &Cursor) -> bool {
        // At the cursor's own place these bytes are the beginning of the cursor's, hence less.
        self.bytes > cursor.0
    }

    /// Whether the place is that of `cursor`.
    pub fn is_at(&self, cursor: &Cursor) -> bool {
        cursor.0.starts_with(&self.bytes)
    }

    /// The cursor of the place.
    pub fn cursor(&mut self) -> Cursor {
        let mut bytes = Vec::with_capacity(self.bytes.len() + self.lengths.len() * 4 + CHECK_BYTES);
        bytes.extend_from_slice(&self.bytes);
        bytes.extend(self.lengths.iter().flat_map(|length| length.to_le_bytes()));
        let check = check(&bytes);
        bytes.extend_from_slice(&check);
        Cursor(bytes)
    }
}

/// A place that was read from a cursor.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place<'q> {
    /// The sort keys but the id, each with the order key of its value.
    pub keys: Vec<(SortKey<'q>, Vec<u8>)>,
    pub id: String,
}

/// Reads a cursor of `query`, whose total order is `keys`.
pub(crate) fn read<'q>(cursor: &Cursor, query: &Query, keys: &[SortKey<'q>]) -> Result<Place<'q>, ReadError> {
    let damaged = || refuse("the cursor is damaged; take it from a page as it is, or start without one".to_owned());
    let (content, found) = cursor.0.split_last_chunk::<CHECK_BYTES>().ok_or_else(damaged)?;
    if *found != check(content) {
        return Err(damaged());
    }
    if content.first() != Some(&VERSION) {
        return Err(refuse("the cursor is of another version of this software; start without one".to_owned()));
    }
    let content = content.strip_prefix(&header(query)).ok_or_else(|| {
        refuse("the cursor is of another query; keep collection, filter and order from page to page".to_owned())
    })?;
    parse(content, keys).ok_or_else(damaged)
}

fn parse<'q>(content: &[u8], keys: &[SortKey<'q>]) -> Option<Place<'q>> {
    let (mut places, lengths) = content.split_at_checked(content.len().checked_sub(keys.len() * 4)?)?;
    let mut parts = Vec::with_capacity(keys.len());
    for length in lengths.chunks_exact(4) {
        let length = u32::from_le_bytes(length.try_into().ok()?);
        let (part, rest) = places.split_at_checked(usize::try_from(length).ok()?)?;
        parts.push(part);
        places = rest;
    }
    if places.len() != SpaceId::BYTES {
        return None;
    }
    let (last, keys) = keys.split_last()?;
    let id = last.id(parts.pop()?)?;
    Some(Place { keys: keys.iter().zip(parts).map(|(key, part)| (*key, key.order_key(part))).collect(), id })
}

fn header(query: &Query) -> [u8; HEADER_BYTES] {
    let mut header = [VERSION; HEADER_BYTES];
    header[1..].copy_from_slice(&fingerprint(query).to_le_bytes());
    header
}

fn check(content: &[u8]) -> [u8; CHECK_BYTES] {
    (xxh3_64(content) as u32).to_le_bytes()
}

/// The cursor as text: base64url without padding.
impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        BASE64URL_NOPAD.encode_display(&self.0).fmt(f)
    }
}

/// Reads what [`fmt::Display`] wrote. Whether it is a cursor of some query shows when the query runs.
impl FromStr for Cursor {
    type Err = ReadError;

    fn from_str(text: &str) -> Result<Self, ReadError> {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes());
        bytes.map(Self).map_err(|_| refuse("the cursor is not base64url text; take it from a page as it is".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::memory::{COLLECTION, Memory, space};
    use crate::query::{Filter, Order, Page, find};
    use crate::value::{Fields, Value};

    fn cursors(query: &Query) -> Vec<Cursor> {
        find(&memory(), query).unwrap().cursors
    }

    fn memory() -> Memory {
        let mut memory = Memory::default();
        memory.add_space(space(0), [].into());
        for n in 0..3i64 {
            let fields: Fields = [("n".to_owned(), Value::Int(-n))].into();
            memory.put(space(0), &format!("id{n}"), Some(fields));
        }
        memory
    }

    fn why(query: &Query, after: Cursor) -> String {
        let page = Page { after: Some(after), ..Page::default() };
        match find(&memory(), &Query { page, ..query.clone() }) {
            Err(ReadError::Query { why }) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_cursor_of_another_query_is_refused() {
        let query = Query { order: vec![Order::ascending("n")], ..Query::all(COLLECTION) };
        for other in [
            Query::all(COLLECTION),
            Query { order: vec![Order::descending("n")], ..query.clone() },
            Query { filter: Filter::eq("n", Value::Int(0)), ..query.clone() },
        ] {
            assert!(why(&query, cursors(&other).remove(0)).starts_with("the cursor is of another query"), "{other:?}");
        }
    }

    #[test]
    fn a_cursor_of_another_version_and_a_damaged_one_are_told_apart() {
        let query = Query::all(COLLECTION);
        let mut newer = cursors(&query).remove(0).0;
        newer[0] += 1;
        assert!(why(&query, Cursor(newer.clone())).contains("damaged"));
        let content = newer.len() - CHECK_BYTES;
        let check = check(&newer[..content]);
        newer[content..].copy_from_slice(&check);
        assert!(why(&query, Cursor(newer)).contains("another version"));
        assert!(why(&query, Cursor(Vec::new())).contains("damaged"));
    }

    #[test]
    fn a_cursor_is_text_and_back_and_says_its_place() {
        let query = Query { order: vec![Order::descending("n")], ..Query::all(COLLECTION) };
        let all = cursors(&query);
        assert!(all.is_sorted_by(|a, b| a.0 < b.0));
        for cursor in &all {
            assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), *cursor);
        }
        let keys = crate::query::order::total_order(&query);
        let place = read(&all[1], &query, &keys).unwrap();
        let mut key = Vec::new();
        crate::value::order_key(&Value::Int(-1), &mut key);
        assert_eq!(place, Place { keys: vec![(keys[0], key)], id: "id1".to_owned() });
        for text in ["", "a", "%%%", "aa=="] {
            let cursor = text.parse::<Cursor>();
            assert!(cursor.is_err() || why(&query, cursor.unwrap()).contains("damaged"), "{text:?}");
        }
    }
}
