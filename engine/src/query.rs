//! Queries: a query is data, the same value whatever door it came through. The engine plans and runs it.

mod cursor;
pub mod definition;
mod filter;
mod fingerprint;
mod json;
pub mod key;
mod language;
mod like;
mod live;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod oracle;
mod order;
mod page;
mod path;
mod plan;
mod range;
mod run;
pub mod source;
mod test;
mod validate;

pub use language::{LanguageError, LanguageFault};
pub use live::{Delta, LiveError, LiveQuery};
pub use run::{explain, find};
pub use source::Source;

use crate::document::Document;
use crate::id::SpaceId;
use crate::value::Value;

/// What to find.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// The collection's name.
    pub collection: String,
    /// The spaces to read; `None` reads all of the database's.
    pub spaces: Option<Vec<SpaceId>>,
    /// Which documents.
    pub filter: Filter,
    /// In which order; ties are broken by id, then space, in the direction of the last key. Empty: by id.
    pub order: Vec<Order>,
    /// Which part of the result.
    pub page: Page,
    /// Which top-level fields to give; `None` gives all.
    pub select: Option<Vec<String>>,
}

impl Query {
    /// All documents of `collection`, by id.
    #[must_use]
    pub fn all(collection: impl Into<String>) -> Self {
        Self {
            collection: collection.into(),
            spaces: None,
            filter: Filter::All,
            order: Vec::new(),
            page: Page::default(),
            select: None,
        }
    }

    /// Only documents for which `filter` holds too.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = match (self.filter, filter) {
            (Filter::All, filter) | (filter, Filter::All) => filter,
            (Filter::And(mut filters), filter) => {
                filters.push(filter);
                Filter::And(filters)
            }
            (held, filter) => Filter::And(vec![held, filter]),
        };
        self
    }

    /// Sorted by `order` where the keys so far leave it open.
    #[must_use]
    pub fn order_by(mut self, order: Order) -> Self {
        self.order.push(order);
        self
    }

    /// At most `limit` documents.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.page.limit = Some(limit);
        self
    }

    /// Only what comes after `cursor`, which an earlier page of the same query gave.
    #[must_use]
    pub fn after(mut self, cursor: Cursor) -> Self {
        self.page.after = Some(cursor);
        self
    }

    /// Also counts everything that matches, whatever the page.
    #[must_use]
    pub fn counted(mut self) -> Self {
        self.page.count = true;
        self
    }
}

/// Which documents a query gives.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Filter {
    /// Every document.
    All,
    /// All of these hold.
    And(Vec<Filter>),
    /// At least one of these holds.
    Or(Vec<Filter>),
    /// This does not hold.
    Not(Box<Filter>),
    /// A comparison of the value at a path (`address.city`; the path `id` is the document's id).
    Compare {
        /// Field names joined by dots.
        path: String,
        /// The comparison.
        comparison: Comparison,
    },
}

/// A test of one value. An absent field is tested as null, except by `Exists`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Comparison {
    /// Equal by the total order (1 equals 1.0).
    Eq(Value),
    /// Not equal.
    Ne(Value),
    /// Greater. Only values of the same class (numbers, strings, …) compare; others never match. The same holds for the next three.
    Gt(Value),
    /// Greater or equal.
    Gte(Value),
    /// Less.
    Lt(Value),
    /// Less or equal.
    Lte(Value),
    /// Equal to one of these.
    In(Vec<Value>),
    /// Equal to none of these.
    Nin(Vec<Value>),
    /// Text that matches a pattern: `%` is any run, `_` any one character, `\` takes the next literally.
    Like(String),
    /// Text that starts so.
    StartsWith(String),
    /// A set or list with this element, or text with this part.
    Contains(Value),
    /// A set or list with at least one of these, or text with at least one of these parts.
    Any(Vec<Value>),
    /// A set or list with all of these, or text with all of these parts.
    Every(Vec<Value>),
    /// Whether the field is there at all.
    Exists(bool),
}

/// One sort key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Field names joined by dots, or `id`.
    pub path: String,
    /// Greatest first.
    pub descending: bool,
    /// Where documents without the field go.
    pub nulls: Nulls,
}

/// Where nulls and absent fields are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Nulls {
    /// Before all values when ascending, after when descending: null is the least value.
    #[default]
    Least,
    /// First whatever the direction.
    First,
    /// Last whatever the direction.
    Last,
}

/// Which part of a result.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// At most so many documents; `None` gives all.
    pub limit: Option<usize>,
    /// Only what comes after this cursor.
    pub after: Option<Cursor>,
    /// Also count everything that matches, whatever the page.
    pub count: bool,
}

/// A place in an ordered result: it stays right while data changes, because it holds sort keys, not a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(pub Vec<u8>);

/// One page of a result.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The documents, in order.
    pub documents: Vec<Document>,
    /// A cursor for every document, in the same order.
    pub cursors: Vec<Cursor>,
    /// Whether more come after these.
    pub has_more: bool,
    /// How many match in all, when the query asked.
    pub total: Option<u64>,
    /// How it was found.
    pub plan: Plan,
}

/// What the planner chose, and what it cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// How candidates were found.
    pub access: Access,
    /// Whether candidates came in the query's order, so nothing was sorted.
    pub ordered: bool,
    /// How many documents were read.
    pub read: u64,
    /// How many index rows were read.
    pub rows: u64,
    /// How many were returned.
    pub returned: u64,
}

/// How a plan finds candidates.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Access {
    /// Looks ids up.
    Ids,
    /// Reads the whole collection by id.
    Scan,
    /// Reads a range of ids.
    Range,
    /// Reads a range of an index.
    Index {
        /// The index's name.
        name: String,
        /// How many leading fields are bound by equality.
        equal: usize,
        /// Whether the next field is bound by a range.
        range: bool,
        /// Whether the rows of single elements are read, where a document has one for every element of its list.
        element: bool,
    },
}
