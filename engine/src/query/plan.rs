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
use super::{Access, Comparison, Filter, Nulls, Query};
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
    /// Whether what follows the first byte of a row's key is the order key of the one value that the query orders by.
    pub is_sole_key: bool,
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
            is_sole_key: matches!((index.fields.as_slice(), order), ([field], [key, _]) if field == key.path && key.nulls == Nulls::Least),
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
                self.is_sole_key = false;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::memory::{COLLECTION, Memory, space};
    use crate::query::{Found, Nulls, Order, Page, explain, find};
    use crate::value::Fields;

    /// A hundred documents `000` to `099` in each space: `n` is the number, `g` its last digit, `tags` two of ten.
    fn memory(spaces: u8, fields_by_index: &[&[&str]]) -> Memory {
        let mut memory = Memory::default();
        for number in 0..spaces {
            let index = |fields: &&[&str]| Index { fields: fields.iter().map(|field| (*field).to_owned()).collect() };
            let indexes = fields_by_index.iter().map(|fields| (fields.join("_"), index(fields)));
            memory.add_space(space(number), indexes.collect());
            for n in 0..100i64 {
                let tag = |n: i64| Value::from(format!("t{}", n % 10));
                let fields = [("n", n.into()), ("g", (n % 10).into()), ("tags", vec![tag(n), tag(n / 10)].into())];
                let fields: Fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
                memory.put(space(number), &format!("{n:03}"), Some(fields));
            }
        }
        memory
    }

    fn filtered(filters: Vec<Filter>) -> Query {
        Query { filter: Filter::And(filters), ..Query::all(COLLECTION) }
    }

    fn limited(query: Query, limit: usize) -> Query {
        Query { page: Page { limit: Some(limit), ..query.page.clone() }, ..query }
    }

    fn index(name: &str, equal: usize, range: bool) -> Access {
        Access::Index { name: name.to_owned(), equal, range, element: false }
    }

    /// Runs a query and checks what it read: access, whether in order, documents read, documents returned.
    fn check(memory: &Memory, query: &Query, access: Access, ordered: bool, read: u64, returned: u64) -> Found {
        let plan = explain(memory, query).unwrap();
        assert_eq!((&plan.access, plan.ordered, plan.read, plan.returned), (&access, ordered, 0, 0), "{query:?}");
        let found = find(memory, query).unwrap();
        let ran = &found.plan;
        assert_eq!((&ran.access, ran.ordered, ran.read, ran.returned), (&access, ordered, read, returned), "{query:?}");
        found
    }

    fn n(comparison: Comparison) -> Filter {
        Filter::compare("n", comparison)
    }

    #[test]
    fn named_ids_are_looked_up() {
        let memory = memory(1, &[&["g"]]);
        check(&memory, &filtered(vec![Filter::eq("id", "007".into())]), Access::Ids, true, 1, 1);
        let ids = Comparison::In(vec!["050".into(), "007".into(), "none".into(), 7.into(), "050".into()]);
        let query = filtered(vec![Filter::compare("id", ids), Filter::eq("g", 7.into())]);
        check(&memory, &query, Access::Ids, true, 2, 1);
        let query = Query { order: vec![Order::descending("n")], ..query };
        check(&memory, &query, Access::Ids, false, 2, 1);
    }

    #[test]
    fn a_range_of_ids_is_read_in_order_and_no_further_than_the_page() {
        let memory = memory(1, &[]);
        let query = filtered(vec![Filter::compare("id", Comparison::StartsWith("01".into()))]);
        check(&memory, &query, Access::Range, true, 10, 10);
        let backwards = Query { order: vec![Order::descending("id")], ..query };
        let found = check(&memory, &limited(backwards, 3), Access::Range, true, 4, 3);
        assert_eq!(found.documents[0].id.as_str(), "019");
        check(&memory, &limited(Query::all(COLLECTION), 5), Access::Scan, true, 6, 5);
        check(&memory, &Query::all(COLLECTION), Access::Scan, true, 100, 100);
        check(&memory, &filtered(vec![n(Comparison::Lt(10.into()))]), Access::Scan, true, 100, 10);
        let empty = Filter::compare("id", Comparison::Gt("5".into()));
        let query = filtered(vec![empty, Filter::compare("id", Comparison::Lt("4".into()))]);
        check(&memory, &query, Access::Range, true, 0, 0);
    }

    #[test]
    fn an_index_is_chosen_by_equality_then_range_then_order() {
        let memory = memory(1, &[&["g"], &["g", "n"], &["n"], &["n", "g"]]);
        let g = || Filter::eq("g", 3.into());
        check(&memory, &filtered(vec![g()]), index("g", 1, false), true, 10, 10);
        let ranged = filtered(vec![g(), n(Comparison::Gte(50.into())), n(Comparison::Lt(80.into()))]);
        check(&memory, &ranged, index("g_n", 1, true), false, 3, 3);
        let ordered = Query { order: vec![Order::descending("n")], ..filtered(vec![g()]) };
        check(&memory, &limited(ordered, 2), index("g_n", 1, false), true, 3, 2);
        let both = filtered(vec![g(), Filter::eq("n", 13.into())]);
        check(&memory, &both, index("g_n", 2, false), true, 1, 1);
        check(&memory, &filtered(vec![n(Comparison::Gt(89.into()))]), index("n", 0, true), false, 10, 10);
        let among = Query {
            order: vec![Order::ascending("n")],
            ..filtered(vec![Filter::compare("n", Comparison::Gt(9.into()))])
        };
        check(&memory, &limited(among, 2), index("n", 0, true), true, 3, 2);
    }

    #[test]
    fn an_index_gives_the_order_when_a_limit_makes_that_worth_it() {
        let memory = memory(1, &[&["n"], &["g", "n"]]);
        let by_n = Query { order: vec![Order::ascending("n")], ..Query::all(COLLECTION) };
        check(&memory, &limited(by_n.clone(), 4), index("n", 0, false), true, 5, 4);
        check(&memory, &by_n, Access::Scan, false, 100, 100);
        let several = Query { order: vec![Order::descending("g"), Order::descending("n")], ..by_n.clone() };
        check(&memory, &limited(several, 4), index("g_n", 0, false), true, 5, 4);
        let mixed = Query { order: vec![Order::descending("g"), Order::ascending("n")], ..by_n.clone() };
        check(&memory, &limited(mixed, 4), Access::Scan, false, 100, 4);
        let nulls = Query { order: vec![Order { nulls: Nulls::Last, ..Order::ascending("n") }], ..by_n };
        check(&memory, &limited(nulls, 4), Access::Scan, false, 100, 4);
    }

    #[test]
    fn values_of_in_are_ranges_of_their_own() {
        let memory = memory(1, &[&["g", "n"]]);
        let among = Filter::compare("g", Comparison::In(vec![7.into(), 3.into(), 7.0.into()]));
        check(&memory, &filtered(vec![among.clone()]), index("g_n", 1, false), false, 20, 20);
        let ordered = Query { order: vec![Order::ascending("n")], ..filtered(vec![among]) };
        // 3, 13, 23 and 33 for the first value; then 7 and 17, which is last of the four least.
        check(&memory, &limited(ordered, 3), index("g_n", 1, false), true, 6, 3);
        check(
            &memory,
            &filtered(vec![Filter::compare("g", Comparison::In(vec![]))]),
            index("g_n", 1, false),
            false,
            0,
            0,
        );
    }

    #[test]
    fn contains_reads_the_rows_of_an_element() {
        let memory = memory(1, &[&["tags"]]);
        let element = Access::Index { name: "tags".to_owned(), equal: 1, range: false, element: true };
        let contains = Filter::compare("tags", Comparison::Contains("t4".into()));
        check(&memory, &filtered(vec![contains]), element.clone(), false, 19, 19);
        let every = Filter::compare("tags", Comparison::Every(vec!["t4".into(), "t5".into()]));
        check(&memory, &filtered(vec![every]), element, false, 19, 2);
    }

    #[test]
    fn an_index_serves_only_when_every_space_declares_it() {
        let mut memory = memory(2, &[&["g"]]);
        let query = filtered(vec![Filter::eq("g", 3.into())]);
        check(&memory, &query, index("g", 1, false), true, 20, 20);
        memory.add_space(space(2), [("g".to_owned(), Index { fields: vec!["n".to_owned()] })].into());
        check(&memory, &query, Access::Scan, true, 200, 20);
        let some = Query { spaces: Some(vec![space(1), space(0), space(1)]), ..query };
        check(&memory, &some, index("g", 1, false), true, 20, 20);
    }

    #[test]
    fn later_spaces_are_read_only_as_far_as_they_can_matter() {
        let memory = memory(10, &[]);
        let found = check(&memory, &limited(Query::all(COLLECTION), 5), Access::Scan, true, 20, 5);
        assert!(found.has_more && found.documents.iter().all(|document| document.id.as_str() == "000"));
    }

    #[test]
    fn a_page_reads_from_its_cursor_on() {
        let memory = memory(1, &[&["g", "n"]]);
        let in_group = Query { order: vec![Order::ascending("n")], ..filtered(vec![Filter::eq("g", 3.into())]) };
        for (query, access) in [(Query::all(COLLECTION), Access::Scan), (in_group, index("g_n", 1, false))] {
            let mut query = limited(query, 3);
            query.page.after = find(&memory, &query).unwrap().cursors.pop();
            let found = check(&memory, &query, access, true, 5, 3);
            assert_eq!(found.documents.len(), 3);
        }
    }

    #[test]
    fn a_page_seeks_only_in_ranges_of_the_value_that_its_cursor_has() {
        let memory = memory(1, &[&["g", "n"]]);
        let among = Filter::compare("g", Comparison::In(vec![3.into(), 7.into()]));
        for order in [[Order::ascending("g"), Order::ascending("n")], [Order::descending("g"), Order::descending("n")]]
        {
            let whole = Query { order: order.to_vec(), ..filtered(vec![among.clone()]) };
            let mut page = limited(whole.clone(), 3);
            let mut paged = Vec::new();
            while let Some(last) = {
                let mut found = find(&memory, &page).unwrap();
                assert!(found.plan.ordered);
                paged.append(&mut found.documents);
                found.cursors.pop()
            } {
                page.page.after = Some(last);
            }
            assert_eq!(paged, find(&memory, &whole).unwrap().documents);
            assert_eq!(paged.len(), 20);
        }
    }

    #[test]
    fn counting_what_an_index_says_wholly_reads_no_documents() {
        let memory = memory(1, &[&["g"]]);
        let query = filtered(vec![Filter::eq("g", 3.into())]);
        let page = Page { limit: Some(2), after: None, count: true };
        let found = check(&memory, &Query { page, ..query }, index("g", 1, false), true, 3, 2);
        assert_eq!((found.total, found.plan.rows), (Some(10), 10));
    }

    #[test]
    fn an_unknown_space_is_an_error() {
        let query = Query { spaces: Some(vec![space(9)]), ..Query::all(COLLECTION) };
        let error = find(&memory(1, &[]), &query).unwrap_err();
        assert!(matches!(error, ReadError::UnknownSpace { space: unknown } if unknown == space(9)));
    }
}
