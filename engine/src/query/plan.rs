//! The planner: how to find candidates without reading more than must be.
//!
//! Ids are looked up when the filter names them. Else the index serves whose leading fields the filter binds the most by
//! equality, then the one whose next field is bound by a range, then the one that gives the query's order. Else a range of ids, or
//! the whole collection, is scanned.

use std::collections::BTreeMap;

use super::filter::conjuncts;
use super::key::{ELEMENT, WHOLE};
use super::order::{SortKey, total_order};
use super::path::ID;
use super::range::{Ids, Rows};
use super::source::{Place, Source};
use super::test::Distinct;
use super::{Access, Comparison, Filter, Query};
use crate::id::SpaceId;
use crate::schema::Index;
use crate::store::ReadError;
use crate::value::{Class, Value, order_key};

/// How many ranges of an index a query reads at most in a space; values of `in` beyond are tested document by document.
const MAX_RANGES: usize = 10_000;

/// How a query will be run.
#[derive(Debug)]
pub(crate) struct Planned<'q> {
    /// The query's total order.
    pub order: Vec<SortKey<'q>>,
    /// The spaces to read, in order.
    pub spaces: Vec<SpaceId>,
    /// What to read in every space.
    pub reads: Reads<'q>,
    /// Whether every read gives candidates in the query's order.
    pub ordered: bool,
    /// What the reads leave to be tested.
    pub residual: Vec<&'q Filter>,
}

/// What is read in every space.
#[derive(Debug)]
pub(crate) enum Reads<'q> {
    /// These ids, each once, in the query's direction.
    Ids(Vec<&'q str>),
    /// A range of ids.
    Scan(Ids),
    /// Ranges of an index.
    Index(IndexRead<'q>),
}

/// How an index is read.
#[derive(Debug)]
pub(crate) struct IndexRead<'q> {
    pub name: String,
    pub ranges: Vec<IndexRange>,
    /// Fields bound by equality.
    pub equal: usize,
    pub range: bool,
    pub element: bool,
    /// Paths that have one value throughout a range, given in [`IndexRange::bound`].
    pub bound: Vec<String>,
    covered: Vec<&'q Filter>,
    ordered: bool,
}

/// One range of an index.
#[derive(Debug, Clone)]
pub(crate) struct IndexRange {
    pub rows: Rows,
    /// What every row starts with.
    pub prefix: Vec<u8>,
    /// The order keys of the values of [`IndexRead::bound`].
    pub bound: Vec<Vec<u8>>,
}

impl<'q> Planned<'q> {
    /// Plans a valid query.
    pub fn new(source: &dyn Source, query: &'q Query) -> Result<Self, ReadError> {
        let order = total_order(query);
        let mut spaces = source.spaces(&query.collection, query.spaces.as_deref())?;
        spaces.sort_unstable();
        spaces.dedup();
        let filters = conjuncts(&query.filter);
        let by_id = order[0].path == ID;

        if let Some((mut ids, covered)) = named_ids(&filters) {
            if order[0].descending {
                ids.reverse();
            }
            let residual = filters.into_iter().filter(|filter| !std::ptr::eq(*filter, covered)).collect();
            return Ok(Self { order, spaces, reads: Reads::Ids(ids), ordered: by_id, residual });
        }
        let (ids, ids_covered) = id_range(&filters);
        let limited = query.page.limit.is_some();
        let best = common_indexes(source, &query.collection, &spaces)?
            .iter()
            .filter_map(|(name, index)| IndexRead::new(name, index, &filters, &order))
            .filter(|read| read.equal > 0 || read.range || read.ordered && limited && ids == Ids::ALL)
            .max_by(|a, b| a.rank().cmp(&b.rank()).then_with(|| b.name.cmp(&a.name)));
        if let Some(read) = best {
            let residual = except(&filters, &read.covered);
            return Ok(Self { order, spaces, ordered: read.ordered, reads: Reads::Index(read), residual });
        }
        let residual = except(&filters, &ids_covered);
        Ok(Self { order, spaces, reads: Reads::Scan(ids), ordered: by_id, residual })
    }

    /// Whether candidates are read backwards.
    pub fn descending(&self) -> bool {
        self.ordered && self.order.last().is_some_and(|key| key.descending)
    }

    /// The plan for people.
    pub fn access(&self) -> Access {
        match &self.reads {
            Reads::Ids(_) => Access::Ids,
            Reads::Scan(ids) if *ids == Ids::ALL => Access::Scan,
            Reads::Scan(_) => Access::Range,
            Reads::Index(IndexRead { name, equal, range, element, .. }) => {
                Access::Index { name: name.clone(), equal: *equal, range: *range, element: *element }
            }
        }
    }
}

impl<'q> IndexRead<'q> {
    /// How an index would be read; `None` when it can't be used.
    fn new(name: &str, index: &Index, filters: &[&'q Filter], order: &[SortKey<'q>]) -> Option<Self> {
        if index.fields.is_empty() || index.fields.iter().any(|field| field == ID) {
            return None;
        }
        let mut read = Self {
            name: name.to_owned(),
            ranges: vec![IndexRange { rows: Rows::starting_with(&[WHOLE]), prefix: vec![WHOLE], bound: Vec::new() }],
            equal: 0,
            range: false,
            element: false,
            bound: Vec::new(),
            covered: Vec::new(),
            ordered: false,
        };
        let text_part = read.bind_leading_fields(index, filters);
        for range in &mut read.ranges {
            range.rows = Rows::starting_with(&range.prefix);
        }
        let next = index.fields.get(read.equal);
        if let Some(path) = next {
            read.bind_range(path, filters);
        }
        read.ordered = !text_part && read.gives(order, &index.fields[read.equal..]);
        if text_part {
            // Elements serve lists. Text that contains the part is found among the whole values, whatever other fields hold.
            read.covered.clear();
            let rows = Rows::of_class(&[WHOLE], Class::String);
            read.ranges.push(IndexRange { rows, prefix: vec![WHOLE], bound: Vec::new() });
        }
        read.ranges.retain(|range| !range.rows.is_empty());
        Some(read)
    }

    /// Binds as many leading fields as have an equality. True when `contains` is served that text could satisfy as well.
    fn bind_leading_fields(&mut self, index: &Index, filters: &[&'q Filter]) -> bool {
        let mut text_part = false;
        for path in &index.fields {
            if let Some((filter, values)) = equalities(path, filters, MAX_RANGES / self.ranges.len().max(1)) {
                self.bind(path, &values);
                self.covered.push(filter);
            } else if self.equal == 0
                && let Some(part) = element(path, filters)
            {
                self.ranges[0].prefix = vec![ELEMENT];
                order_key(part, &mut self.ranges[0].prefix);
                self.element = true;
                text_part = matches!(part, Value::String(_));
            } else {
                break;
            }
            self.equal += 1;
        }
        text_part
    }

    fn bind(&mut self, path: &str, values: &[&Value]) {
        self.bound.push(path.to_owned());
        let ranges = std::mem::take(&mut self.ranges);
        self.ranges = ranges
            .into_iter()
            .flat_map(|range| {
                values.iter().map(move |value| {
                    let mut range = range.clone();
                    let mut key = Vec::new();
                    order_key(value, &mut key);
                    range.prefix.extend_from_slice(&key);
                    range.bound.push(key);
                    range
                })
            })
            .collect();
    }

    fn bind_range(&mut self, path: &str, filters: &[&'q Filter]) {
        for filter in filters {
            let Filter::Compare { path: compared, comparison } = filter else { continue };
            if compared != path || Rows::satisfying(&[], comparison).is_none() {
                continue;
            }
            self.range = true;
            for range in &mut self.ranges {
                let Some((rows, exact)) = Rows::satisfying(&range.prefix, comparison) else { continue };
                range.rows = range.rows.clone().and(rows);
                if exact && !self.covered.iter().any(|covered| std::ptr::eq(*covered, *filter)) {
                    self.covered.push(filter);
                }
            }
        }
    }

    /// Whether rows, which come by the fields `rest` and then by id, come in `order`.
    fn gives(&self, order: &[SortKey<'_>], rest: &[String]) -> bool {
        let mut keys = order.iter().filter(|key| !self.bound.iter().any(|bound| bound == key.path));
        let Some(descending) = order.last().map(|key| key.descending) else { return false };
        let same = rest.iter().map(String::as_str).chain([ID]).enumerate().all(|(position, path)| {
            // A range holds values of one class, so it can't mix nulls with others.
            let nulls_apart = position == 0 && self.range;
            keys.next().is_some_and(|key| {
                key.path == path && key.descending == descending && (nulls_apart || key.has_natural_nulls())
            })
        });
        same && keys.next().is_none()
    }

    fn rank(&self) -> (usize, bool, bool) {
        (self.equal, self.range, self.ordered)
    }
}

/// The indexes that every space declares alike.
fn common_indexes(
    source: &dyn Source,
    collection: &str,
    spaces: &[SpaceId],
) -> Result<BTreeMap<String, Index>, ReadError> {
    let mut spaces = spaces.iter().map(|space| source.indexes(Place { collection, space }));
    let mut common = spaces.next().transpose()?.unwrap_or_default();
    for indexes in spaces {
        let indexes = indexes?;
        common.retain(|name, index| indexes.get(name) == Some(index));
    }
    Ok(common)
}

/// The ids that the filter names, and the part of it that does.
fn named_ids<'q>(filters: &[&'q Filter]) -> Option<(Vec<&'q str>, &'q Filter)> {
    let (filter, values) = equalities(ID, filters, Filter::MAX_LIST)?;
    let ids = values.into_iter().filter_map(|value| match value {
        Value::String(id) => Some(id.as_str()),
        _ => None,
    });
    Some((ids.collect(), filter))
}

/// The range of ids that the filter leaves, and the parts of it that the range says wholly.
fn id_range<'q>(filters: &[&'q Filter]) -> (Ids, Vec<&'q Filter>) {
    let mut covered = Vec::new();
    let mut ids = Ids::ALL;
    for filter in filters {
        let Filter::Compare { path, comparison } = filter else { continue };
        if path == ID
            && let Some((range, exact)) = Ids::satisfying(comparison)
        {
            ids = ids.and(range);
            covered.extend(exact.then_some(*filter));
        }
    }
    (ids, covered)
}

/// The fewest values that some filter lets the path have, in order, when they are at most `max`.
fn equalities<'q>(path: &str, filters: &[&'q Filter], max: usize) -> Option<(&'q Filter, Vec<&'q Value>)> {
    let candidates = filters.iter().filter_map(|filter| match filter {
        Filter::Compare { path: compared, comparison } if compared == path => match comparison {
            Comparison::Eq(value) => Some((*filter, vec![value])),
            Comparison::In(values) => Some((*filter, Distinct::new(values).iter().collect())),
            _ => None,
        },
        _ => None,
    });
    candidates.min_by_key(|(_, values)| values.len()).filter(|(_, values)| values.len() <= max)
}

/// An element that the list at `path` must have.
fn element<'q>(path: &str, filters: &[&'q Filter]) -> Option<&'q Value> {
    filters.iter().find_map(|filter| match filter {
        Filter::Compare { path: compared, comparison } if compared == path => match comparison {
            Comparison::Contains(part) => Some(part),
            Comparison::Every(parts) => parts.first(),
            _ => None,
        },
        _ => None,
    })
}

fn except<'q>(filters: &[&'q Filter], covered: &[&'q Filter]) -> Vec<&'q Filter> {
    let is_covered = |filter: &&Filter| covered.iter().any(|other| std::ptr::eq(*other, *filter));
    filters.iter().copied().filter(|filter| !is_covered(filter)).collect()
}
