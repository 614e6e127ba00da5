//! Live queries: a query that is run again when its collection changed, and says what became of its result.

mod diff;

use super::source::Source;
use super::{Query, find};
use crate::document::Document;
use crate::id::{DocumentId, SpaceId};

use crate::store::{Change, ReadError};
use diff::diff;

/// A query and its last result.
///
/// Call [`LiveQuery::refresh`] once for the first result, and again whenever [`LiveQuery::affected_by`] says so. The
/// changes of one call, applied in their order, turn the result before it into the result after it.
#[derive(Debug, Clone)]
pub struct LiveQuery {
    query: Query,
    documents: Vec<Document>,
}

/// One step from a result to the next. Positions count from 0 in the list as the steps before it left it.
#[derive(Debug, Clone, PartialEq)]
pub enum Delta {
    /// A document that was not there comes in.
    Added {
        /// The document.
        document: Document,
        /// Where it comes in.
        index: usize,
    },
    /// A document has other content.
    Changed {
        /// The document as it is now.
        document: Document,
        /// Where it is.
        index: usize,
    },
    /// A document is taken out and comes in elsewhere.
    Moved {
        /// The document's id.
        id: DocumentId,
        /// The document's space.
        space: SpaceId,
        /// Where it was.
        from: usize,
        /// Where it is after it was taken out and came in.
        to: usize,
    },
    /// A document goes out.
    Removed {
        /// The document's id.
        id: DocumentId,
        /// The document's space.
        space: SpaceId,
        /// Where it was.
        index: usize,
    },
}

/// Why a live query has no new result. It keeps its last one.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LiveError {
    /// The query failed.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The result is too large to be kept.
    #[error("the result of a live query has at most {limit} documents; narrow the filter, or give the page a limit")]
    TooMany {
        /// How many documents are allowed: [`LiveQuery::MAX_DOCUMENTS`].
        limit: usize,
    },
}

impl LiveQuery {
    /// How many documents a live result has at most.
    pub const MAX_DOCUMENTS: usize = 10_000;

    /// Starts with an empty result.
    ///
    /// # Errors
    /// [`ReadError::Query`] for a query that is not valid.
    pub fn new(query: Query) -> Result<Self, ReadError> {
        query.validate()?;
        Ok(Self { query, documents: Vec::new() })
    }

    /// The query.
    #[must_use]
    pub fn query(&self) -> &Query {
        &self.query
    }

    /// The last result, in order.
    #[must_use]
    pub fn documents(&self) -> &[Document] {
        &self.documents
    }

    /// Whether a change may have changed the result.
    #[must_use]
    pub fn affected_by(&self, change: &Change) -> bool {
        // A commit that is not durable yet does not say in which space it is.
        let concerns =
            |spaces: &Vec<_>| change.spaces.is_empty() || change.spaces.iter().any(|(space, _)| spaces.contains(space));
        let in_spaces = self.query.spaces.as_ref().is_none_or(concerns);
        let hears = !planted!(ChangeMissed) || change.collections.len() == 1;
        in_spaces && hears && change.collections.contains(&self.query.collection)
    }

    /// Runs the query, keeps its result, and says how it differs from the last one; nothing when it doesn't.
    ///
    /// # Errors
    /// [`LiveError::TooMany`], or as the query fails; the last result stays.
    pub fn refresh(&mut self, source: &dyn Source) -> Result<Vec<Delta>, LiveError> {
        let mut query = self.query.clone();
        query.page.count = false;
        query.page.limit = Some(query.page.limit.unwrap_or(usize::MAX).min(Self::MAX_DOCUMENTS + 1));
        let documents = find(source, &query)?.documents;
        if documents.len() > Self::MAX_DOCUMENTS {
            return Err(LiveError::TooMany { limit: Self::MAX_DOCUMENTS });
        }
        let deltas = diff(&self.documents, &documents);
        self.documents = documents;
        Ok(deltas)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Plane;
    use crate::query::memory::{COLLECTION, Memory, space};
    use crate::query::{Filter, Order, Page};
    use crate::value::{Fields, Value};

    fn note(title: &str) -> Option<Fields> {
        Some([("title".to_owned(), Value::from(title))].into())
    }

    fn ids(live: &LiveQuery) -> Vec<&str> {
        live.documents().iter().map(|document| document.id.as_str()).collect()
    }

    #[test]
    fn a_live_query_follows_what_matches() {
        let mut memory = Memory::default();
        memory.add_space(space(0), [].into());
        let filter = Filter::Not(Box::new(Filter::eq("title", Value::from("done"))));
        let query = Query { filter, order: vec![Order::ascending("title")], ..Query::all(COLLECTION) };
        let mut live = LiveQuery::new(query).unwrap();
        assert_eq!(live.refresh(&memory).unwrap(), []);

        memory.put(space(0), "1", note("b"));
        memory.put(space(0), "2", note("a"));
        assert_eq!(live.refresh(&memory).unwrap().len(), 2);
        assert_eq!(ids(&live), ["2", "1"]);

        memory.put(space(0), "2", note("c"));
        let deltas = live.refresh(&memory).unwrap();
        assert!(matches!(&deltas[..], [Delta::Moved { .. }, Delta::Changed { index: 1, .. }]), "{deltas:?}");

        memory.put(space(0), "1", note("done"));
        let deltas = live.refresh(&memory).unwrap();
        assert!(matches!(&deltas[..], [Delta::Removed { index: 0, .. }]), "{deltas:?}");
        assert_eq!(live.refresh(&memory).unwrap(), []);
    }

    #[test]
    fn a_result_beyond_the_limit_is_refused_and_the_last_one_stays() {
        let mut memory = Memory::default();
        memory.add_space(space(0), [].into());
        for number in 0..LiveQuery::MAX_DOCUMENTS {
            memory.put(space(0), &format!("{number:05}"), Some(Fields::new()));
        }
        let mut live = LiveQuery::new(Query::all(COLLECTION)).unwrap();
        assert_eq!(live.refresh(&memory).unwrap().len(), LiveQuery::MAX_DOCUMENTS);
        memory.put(space(0), "more", Some(Fields::new()));
        let error = live.refresh(&memory).unwrap_err();
        assert!(matches!(error, LiveError::TooMany { limit: LiveQuery::MAX_DOCUMENTS }), "{error}");
        assert_eq!(live.documents().len(), LiveQuery::MAX_DOCUMENTS);

        let page = Page { limit: Some(2), ..Page::default() };
        let mut first = LiveQuery::new(Query { page, ..Query::all(COLLECTION) }).unwrap();
        first.refresh(&memory).unwrap();
        assert_eq!(ids(&first), ["00000", "00001"]);
    }

    #[test]
    fn only_changes_of_its_collection_and_spaces_affect_it() {
        let change = |space_number, plane, collection: &str| Change {
            number: 1,
            spaces: vec![(space(space_number), plane)],
            collections: vec![collection.to_owned()],
        };
        let all = LiveQuery::new(Query::all(COLLECTION)).unwrap();
        let one = LiveQuery::new(Query { spaces: Some(vec![space(1)]), ..Query::all(COLLECTION) }).unwrap();
        assert!(all.affected_by(&change(2, Plane::Data, COLLECTION)));
        assert!(!all.affected_by(&change(2, Plane::Data, "others")));
        assert!(one.affected_by(&change(1, Plane::Data, COLLECTION)));
        assert!(!one.affected_by(&change(2, Plane::Data, COLLECTION)));
        let buffered = Change { spaces: vec![], ..change(1, Plane::Data, COLLECTION) };
        assert!(one.affected_by(&buffered) && all.affected_by(&buffered), "it says no space");
    }
}
