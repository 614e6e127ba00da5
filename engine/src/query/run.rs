//! The executor: reads what was planned, tests what is left to be tested, and keeps one page of it in order.
//!
//! Every space, and every range of an index, is read on its own into one page. With a limit the page is a heap that
//! never holds more than the limit and one; a read that comes in the query's order stops at the first candidate that
//! the full page has no place for, so the later a read comes, the less of it is read.

use std::borrow::Cow;
use std::ops::{Bound, ControlFlow};

use super::cursor::{self, CursorWriter};
use super::filter::{FieldNames, Predicate};
use super::key::UNKNOWN;
use super::order::Sorter;
use super::page::Kept;
use super::plan::{IndexRange, IndexRead, Planned, Reads};
use super::range;
use super::source::{Candidate, Flow, Overlay, Place, Reading, Source};
use super::{Cursor, Found, Plan, Query};
use crate::document::Document;
use crate::id::SpaceId;
use crate::store::ReadError;
use crate::value::Value;

/// How `query` would be run, without running it.
///
/// # Errors
/// [`ReadError::Query`] for a query that is not valid, or as the source fails.
pub fn explain(source: &dyn Source, query: &Query) -> Result<Plan, ReadError> {
    query.validate()?;
    let planned = Planned::new(source, query)?;
    Ok(Plan { access: planned.access(), ordered: planned.ordered, read: 0, rows: 0, returned: 0 })
}

/// Plans and runs `query`.
///
/// # Errors
/// [`ReadError::Query`] for a query that is not valid and for a cursor of another query, or as the source fails.
pub fn find(source: &dyn Source, query: &Query) -> Result<Found, ReadError> {
    query.validate()?;
    let planned = Planned::new(source, query)?;
    let after = query.page.after.as_ref().map(|after| cursor::read(after, query, &planned.order)).transpose()?;

    let mut fields = FieldNames::default();
    let residual = Predicate::all(planned.residual.iter().copied(), &mut fields);
    let whole = Predicate::new(&query.filter, &mut fields);
    let sorter = Sorter::new(&planned.order, &mut fields);
    let reading = Reading { fields: fields.as_slice(), select: query.select.as_deref() };
    let run = Run { source, query, planned: &planned, after, residual, whole, sorter, reading };

    let overlays = planned.spaces.iter().map(|space| source.overlay(run.place(space)));
    let overlays = overlays.collect::<Result<Vec<_>, _>>()?;
    let reads = match &planned.reads {
        Reads::Ids(_) | Reads::Scan(_) => 1,
        Reads::Index(read) => read.ranges.len(),
    };
    let in_order = planned.ordered && reads * planned.spaces.len() <= 1 && overlays.iter().all(Option::is_none);
    let mut page = Page {
        kept: Kept::new(in_order, query.page.limit),
        cursors: CursorWriter::new(query),
        matched: 0,
        read: 0,
        rows: 0,
    };
    for (space, overlay) in planned.spaces.iter().zip(&overlays) {
        run.space(space, overlay.as_deref(), &mut page)?;
    }
    Ok(page.into_found(&planned, query))
}

struct Run<'r> {
    source: &'r dyn Source,
    query: &'r Query,
    planned: &'r Planned<'r>,
    after: Option<cursor::Place<'r>>,
    residual: Predicate<'r>,
    whole: Predicate<'r>,
    sorter: Sorter<'r>,
    reading: Reading<'r>,
}

/// The page being made, and what it cost so far.
struct Page {
    kept: Kept,
    cursors: CursorWriter,
    matched: u64,
    read: u64,
    rows: u64,
}

impl Run<'_> {
    fn place<'p>(&'p self, space: &'p SpaceId) -> Place<'p> {
        Place { collection: &self.query.collection, space }
    }

    fn space(&self, space: &SpaceId, overlay: Option<&Overlay>, page: &mut Page) -> Result<(), ReadError> {
        match &self.planned.reads {
            Reads::Ids(ids) => self.ids(space, ids, overlay, page),
            Reads::Scan(ids) => {
                self.overlaid(space, overlay, page)?;
                self.scan(space, ids, overlay, page)
            }
            Reads::Index(read) => {
                self.overlaid(space, overlay, page)?;
                self.unknown(space, read, overlay, page)?;
                read.ranges.iter().try_for_each(|range| self.rows(space, read, range, overlay, page))
            }
        }
    }

    fn ids(&self, space: &SpaceId, ids: &[&str], overlay: Option<&Overlay>, page: &mut Page) -> Result<(), ReadError> {
        for id in ids {
            let mut flow = ControlFlow::Continue(());
            match overlay.and_then(|overlay| overlay.get(*id)) {
                Some(None) => {}
                Some(Some(document)) => {
                    page.read += 1;
                    flow = self.take(space, &Changed { document, reading: &self.reading }, None, &self.whole, page)?;
                }
                None => self.source.lookup(self.place(space), id, &self.reading, &mut |candidate| {
                    page.read += 1;
                    flow = self.take(space, candidate, None, &self.residual, page)?;
                    Ok(flow)
                })?,
            }
            if flow.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// What the running transaction changed goes first: it comes by id, whatever the order of the reads.
    fn overlaid(&self, space: &SpaceId, overlay: Option<&Overlay>, page: &mut Page) -> Result<(), ReadError> {
        for document in overlay.into_iter().flat_map(|overlay| overlay.values().flatten()) {
            page.read += 1;
            let candidate = Changed { document, reading: &self.reading };
            if self.whole.matches(&candidate)? {
                page.offer(space, &candidate, None, &self.sorter, self.query)?;
            }
        }
        Ok(())
    }

    fn scan(
        &self,
        space: &SpaceId,
        ids: &range::Ids,
        overlay: Option<&Overlay>,
        page: &mut Page,
    ) -> Result<(), ReadError> {
        let descending = self.planned.descending();
        let mut ids = ids.clone();
        if let Some(after) = self.seek() {
            let from = Bound::Included(after.id.clone());
            let rest = range::Ids::ALL;
            ids = ids.and(if descending {
                range::Ids { upper: from, ..rest }
            } else {
                range::Ids { lower: from, ..rest }
            });
        }
        if ids.is_empty() {
            return Ok(());
        }
        self.source.scan(self.place(space), ids.bounds(), descending, &self.reading, &mut |candidate| {
            if is_changed(overlay, candidate.id()) {
                return Ok(ControlFlow::Continue(()));
            }
            page.read += 1;
            self.take(space, candidate, None, &self.residual, page)
        })
    }

    fn rows(
        &self,
        space: &SpaceId,
        read: &IndexRead<'_>,
        range: &IndexRange,
        overlay: Option<&Overlay>,
        page: &mut Page,
    ) -> Result<(), ReadError> {
        let descending = self.planned.descending();
        let row = self.seek().and_then(|after| seek_row(read, range, after));
        let mut bounds = (Bound::Included(range.rows.lower.as_slice()), Bound::Excluded(range.rows.upper.as_slice()));
        if let Some(row) = &row {
            if descending && *row < range.rows.upper {
                bounds.1 = Bound::Included(row);
            } else if !descending && *row > range.rows.lower {
                bounds.0 = Bound::Included(row);
            }
        }
        if is_empty(bounds) {
            return Ok(());
        }
        self.source.index_scan(self.place(space), &read.name, bounds, descending, &mut |key, id| {
            page.rows += 1;
            if is_changed(overlay, id) {
                return Ok(ControlFlow::Continue(()));
            }
            if self.residual.is_trivial() && self.counts_only(page) {
                page.matched += 1;
                return Ok(ControlFlow::Continue(()));
            }
            let sole_key = if read.is_sole_key { key.get(1..) } else { None };
            self.row_document(space, read, (sole_key, id), &self.residual, page)
        })
    }

    /// What the index does not know goes before what it gives, and is tested for everything.
    fn unknown(
        &self,
        space: &SpaceId,
        read: &IndexRead<'_>,
        overlay: Option<&Overlay>,
        page: &mut Page,
    ) -> Result<(), ReadError> {
        let bounds = (Bound::Included(&[UNKNOWN][..]), Bound::Excluded(&[UNKNOWN + 1][..]));
        self.source.index_scan(self.place(space), &read.name, bounds, false, &mut |_key, id| {
            page.rows += 1;
            page.kept.expect_any_order();
            if !is_changed(overlay, id) {
                let _any_order = self.row_document(space, read, (None, id), &self.whole, page)?;
            }
            Ok(ControlFlow::Continue(()))
        })
    }

    /// Takes the document of an index row.
    fn row_document(
        &self,
        space: &SpaceId,
        read: &IndexRead<'_>,
        (sole_key, id): (Option<&[u8]>, &str),
        test: &Predicate<'_>,
        page: &mut Page,
    ) -> Flow {
        let mut flow = None;
        self.source.lookup(self.place(space), id, &self.reading, &mut |candidate| {
            page.read += 1;
            let went = self.take(space, candidate, sole_key, test, page)?;
            flow = Some(went);
            Ok(went)
        })?;
        flow.ok_or_else(|| ReadError::Damaged { table: "indexes", key: format!("{} of {id}", read.name) })
    }

    /// The place to start reads at, when they come in order. Counting starts at the start.
    fn seek(&self) -> Option<&cursor::Place<'_>> {
        self.after.as_ref().filter(|_| self.planned.ordered && !self.query.page.count)
    }

    /// Whether no candidate can find a place in the page any more, so that the rest of the reads is only counted.
    fn counts_only(&self, page: &Page) -> bool {
        self.query.page.count && page.kept.is_done()
    }

    /// `sole_key` is the order key of the query's one order, where an index row has said it already.
    fn take(
        &self,
        space: &SpaceId,
        candidate: &dyn Candidate,
        sole_key: Option<&[u8]>,
        test: &Predicate<'_>,
        page: &mut Page,
    ) -> Flow {
        if !test.matches(candidate)? {
            return Ok(ControlFlow::Continue(()));
        }
        let has_place = page.offer(space, candidate, sole_key, &self.sorter, self.query)?;
        let stop = !has_place && self.planned.ordered && !self.query.page.count;
        Ok(if stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }
}

impl Page {
    /// Counts a document that matches, and keeps it if it belongs to the page as known so far. False: nothing whose place is
    /// after its own can belong to the page.
    fn offer(
        &mut self,
        space: &SpaceId,
        candidate: &dyn Candidate,
        sole_key: Option<&[u8]>,
        sorter: &Sorter<'_>,
        query: &Query,
    ) -> Result<bool, ReadError> {
        self.matched += 1;
        if self.kept.is_done() {
            return Ok(false);
        }
        self.cursors.go_to(sorter, candidate, sole_key, space)?;
        if query.page.after.as_ref().is_some_and(|after| !self.cursors.is_after(after)) {
            return Ok(true);
        }
        if self.kept.last_when_full().is_some_and(|last: &Cursor| self.cursors.is_after(last)) {
            return Ok(false);
        }
        let document = candidate.document()?;
        self.kept.keep(self.cursors.cursor(), document);
        let is_last = self.kept.last_when_full().is_some_and(|last| self.cursors.is_at(last));
        Ok(!is_last && !self.kept.is_done())
    }

    fn into_found(self, planned: &Planned<'_>, query: &Query) -> Found {
        let (kept, has_more) = self.kept.into_page();
        let (cursors, documents): (Vec<_>, Vec<_>) = kept.into_iter().unzip();
        let returned = documents.len() as u64;
        let plan =
            Plan { access: planned.access(), ordered: planned.ordered, read: self.read, rows: self.rows, returned };
        Found { documents, cursors, has_more, total: query.page.count.then_some(self.matched), plan }
    }
}

/// Where a range starts whose rows come in the query's order and whose place is after `after`; `None`: anywhere.
fn seek_row(read: &IndexRead<'_>, range: &IndexRange, after: &cursor::Place<'_>) -> Option<Vec<u8>> {
    let mut row = range.prefix.clone();
    for (key, value) in &after.keys {
        match read.bound.iter().position(|path| path == key.path) {
            // Another value than the cursor's: the whole range is before the cursor, or after it.
            Some(bound) if range.bound.get(bound) != Some(value) => return None,
            Some(_) => {}
            None => row.extend_from_slice(value),
        }
    }
    row.extend_from_slice(after.id.as_bytes());
    Some(row)
}

fn is_empty(bounds: (Bound<&[u8]>, Bound<&[u8]>)) -> bool {
    match bounds {
        (Bound::Included(lower), Bound::Included(upper)) => lower > upper,
        (Bound::Included(lower), Bound::Excluded(upper)) => lower >= upper,
        _ => false,
    }
}

fn is_changed(overlay: Option<&Overlay>, id: &str) -> bool {
    overlay.is_some_and(|overlay| overlay.contains_key(id))
}

/// A document that the running transaction changed.
struct Changed<'c> {
    document: &'c Document,
    reading: &'c Reading<'c>,
}

impl Candidate for Changed<'_> {
    fn id(&self) -> &str {
        self.document.id.as_str()
    }

    fn field(&self, position: usize) -> Result<Option<Cow<'_, Value>>, ReadError> {
        Ok(self.reading.fields.get(position).and_then(|name| self.document.fields.get(name)).map(Cow::Borrowed))
    }

    fn document(&self) -> Result<Document, ReadError> {
        let mut document = self.document.clone();
        if let Some(select) = self.reading.select {
            document.fields.retain(|name, _| select.contains(name));
        }
        Ok(document)
    }
}
