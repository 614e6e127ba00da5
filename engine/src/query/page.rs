//! What is kept of a result while it is read: a page, and one document more to tell whether there are more.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::Cursor;
use crate::document::Document;

/// For so many documents at most, room is made before they come.
const ROWS_RESERVED_MAX: usize = 256;

/// Documents kept so far.
#[derive(Debug)]
pub(crate) enum Kept {
    /// They come in order: the first are the page.
    InOrder { rows: Vec<Row>, capacity: Option<usize> },
    /// All of them are the page, once sorted.
    All(Vec<Row>),
    /// The least are the page; the greatest of them is on top.
    Least { rows: BinaryHeap<Row>, capacity: usize },
}

/// A document and its place.
#[derive(Debug)]
pub(crate) struct Row {
    cursor: Cursor,
    document: Document,
}

impl Kept {
    /// Keeps at most `limit` documents and one.
    pub fn new(in_order: bool, limit: Option<usize>) -> Self {
        let capacity = limit.map(|limit| limit.saturating_add(1));
        match capacity {
            _ if in_order => {
                let room = capacity.unwrap_or_default().min(ROWS_RESERVED_MAX);
                Self::InOrder { rows: Vec::with_capacity(room), capacity }
            }
            Some(capacity) => Self::Least { rows: BinaryHeap::new(), capacity },
            None => Self::All(Vec::new()),
        }
    }

    /// Says that documents may come in any order. Nothing may have been kept yet.
    pub fn expect_any_order(&mut self) {
        if let Self::InOrder { rows, capacity } = self
            && rows.is_empty()
        {
            *self = Self::new(false, capacity.map(|capacity| capacity.saturating_sub(1)));
        }
    }

    /// Whether nothing that comes can be kept any more.
    pub fn is_done(&self) -> bool {
        matches!(self, Self::InOrder { rows, capacity: Some(capacity) } if rows.len() >= *capacity)
    }

    /// The greatest place that is kept, when only lesser ones can be kept any more.
    pub fn last_when_full(&self) -> Option<&Cursor> {
        match self {
            Self::Least { rows, capacity } if rows.len() >= *capacity => rows.peek().map(|row| &row.cursor),
            _ => None,
        }
    }

    /// Keeps a document that is neither done nor after the last.
    pub fn keep(&mut self, cursor: Cursor, document: Document) {
        let row = Row { cursor, document };
        match self {
            Self::InOrder { rows, .. } | Self::All(rows) => rows.push(row),
            Self::Least { rows, capacity } => {
                rows.push(row);
                if rows.len() > *capacity {
                    rows.pop();
                }
            }
        }
    }

    /// The page in order, and whether more come after it.
    pub fn into_page(self) -> (Vec<(Cursor, Document)>, bool) {
        let (mut rows, capacity) = match self {
            Self::InOrder { rows, capacity } => (rows, capacity),
            Self::All(mut rows) => {
                rows.sort_unstable();
                (rows, None)
            }
            Self::Least { rows, capacity } => (rows.into_sorted_vec(), Some(capacity)),
        };
        let has_more = capacity.is_some_and(|capacity| rows.len() + usize::from(planted!(LimitShort)) >= capacity);
        if has_more {
            rows.pop();
        }
        (rows.into_iter().map(|row| (row.cursor, row.document)).collect(), has_more)
    }
}

impl PartialEq for Row {
    fn eq(&self, other: &Self) -> bool {
        self.cursor == other.cursor
    }
}

impl Eq for Row {}

impl PartialOrd for Row {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Row {
    fn cmp(&self, other: &Self) -> Ordering {
        self.cursor.0.cmp(&other.cursor.0)
    }
}
