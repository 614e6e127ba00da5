//! The executor against the definition: filter every document, sort them all, cut the page.

use std::collections::BTreeMap;

use super::definition::{answer, compare};
use super::memory::{COLLECTION, Memory, space};
use super::{Access, Comparison, Filter, Nulls, Order, Page, Query, explain, find};
use crate::document::Document;
use crate::schema::Index;
use crate::store::ReadError;
use crate::value::sample::Sampler;
use crate::value::{Fields, Value};

const PATHS: [&str; 6] = ["a", "b", "tags", "o.x", "o.y", "id"];
const SEEDS: u64 = 800;

fn pick<T: Clone>(sampler: &mut Sampler, choices: &[T]) -> T {
    choices[sampler.below(choices.len())].clone()
}

fn text(sampler: &mut Sampler) -> String {
    let length = sampler.below(4);
    (0..length).map(|_| pick(sampler, &['a', 'b', '\0', '水'])).collect()
}

/// Few distinct values, so that filters hit and order ties.
fn value(sampler: &mut Sampler) -> Value {
    match sampler.below(10) {
        0 => Value::Null,
        1 => Value::Bool(sampler.below(2) == 0),
        2 | 3 => Value::Int(sampler.below(4) as i64),
        4 => Value::Float(sampler.below(6) as f64 / 2.0),
        5 => Value::Timestamp(sampler.below(3) as i64),
        6 | 7 => Value::String(text(sampler)),
        _ => Value::List((0..sampler.below(4)).map(|_| scalar(sampler)).collect()),
    }
}

fn scalar(sampler: &mut Sampler) -> Value {
    match sampler.below(4) {
        0 => Value::Int(sampler.below(3) as i64),
        1 => Value::Float(sampler.below(3) as f64),
        _ => Value::String(text(sampler)),
    }
}

fn fields(sampler: &mut Sampler) -> Fields {
    let mut fields = Fields::new();
    for name in ["a", "b", "tags"] {
        if sampler.below(4) > 0 {
            let value = value(sampler);
            fields.insert(name.to_owned(), value);
        }
    }
    if sampler.below(4) > 0 {
        let object = ["x", "y"].map(|key| (key.to_owned(), value(sampler)));
        fields.insert("o".to_owned(), Value::Object(object.into()));
    }
    fields
}

fn id(sampler: &mut Sampler) -> String {
    let first = pick(sampler, &["a", "b", "a\0", "水"]);
    format!("{first}{}", text(sampler))
}

fn indexes(sampler: &mut Sampler) -> BTreeMap<String, Index> {
    let all = [vec!["a"], vec!["tags"], vec!["a", "b"], vec!["tags", "a"], vec!["o.x", "a", "b"], vec!["b"]];
    let chosen = all.iter().filter(|_| sampler.below(2) == 0);
    let index = |fields: &Vec<&str>| Index { fields: fields.iter().map(|field| (*field).to_owned()).collect() };
    chosen.map(|fields| (fields.join("_"), index(fields))).collect()
}

fn memory(sampler: &mut Sampler) -> Memory {
    let mut memory = Memory::default();
    let shared = indexes(sampler);
    let spaces = 1 + sampler.below(3) as u8;
    for number in 0..spaces {
        let own = if sampler.below(3) == 0 { indexes(sampler) } else { shared.clone() };
        memory.add_space(space(number), own);
    }
    for _ in 0..sampler.below(60) {
        let (number, id) = (sampler.below(spaces.into()) as u8, id(sampler));
        let fields = (sampler.below(8) > 0).then(|| fields(sampler));
        memory.put(space(number), &id, fields);
    }
    if sampler.below(3) == 0 {
        for _ in 0..sampler.below(8) {
            let id = id(sampler);
            let fields = (sampler.below(3) > 0).then(|| fields(sampler));
            memory.put_uncommitted(space(0), &id, fields);
        }
    }
    memory
}

fn comparison(sampler: &mut Sampler, path: &str) -> Comparison {
    let one = |sampler: &mut Sampler| match path {
        "id" if sampler.below(4) > 0 => Value::String(id(sampler)),
        "tags" if sampler.below(2) == 0 => scalar(sampler),
        _ => value(sampler),
    };
    let many = |sampler: &mut Sampler| (0..sampler.below(4)).map(|_| one(sampler)).collect::<Vec<_>>();
    match sampler.below(18) {
        0 | 1 => Comparison::Eq(one(sampler)),
        2 => Comparison::Ne(one(sampler)),
        3 => Comparison::Gt(one(sampler)),
        4 => Comparison::Gte(one(sampler)),
        5 => Comparison::Lt(one(sampler)),
        6 => Comparison::Lte(one(sampler)),
        7 | 8 => Comparison::In(many(sampler)),
        9 => Comparison::Nin(many(sampler)),
        10 => Comparison::Like((0..sampler.below(4)).map(|_| pick(sampler, &['a', '水', '%', '_'])).collect()),
        11 => Comparison::StartsWith(text(sampler)),
        12 | 13 => Comparison::Contains(one(sampler)),
        14 => Comparison::Any(many(sampler)),
        15 => Comparison::Every(many(sampler)),
        _ => Comparison::Exists(sampler.below(2) == 0),
    }
}

fn filter(sampler: &mut Sampler, depth: usize) -> Filter {
    let choices = if depth == 0 { 4 } else { 8 };
    match sampler.below(choices) {
        0 if depth > 0 => Filter::All,
        0..4 => {
            let path = pick(sampler, &PATHS);
            Filter::compare(path, comparison(sampler, path))
        }
        4 | 5 => Filter::And((0..sampler.below(4)).map(|_| filter(sampler, depth - 1)).collect()),
        6 => Filter::Or((0..sampler.below(4)).map(|_| filter(sampler, depth - 1)).collect()),
        _ => Filter::Not(Box::new(filter(sampler, depth - 1))),
    }
}

fn query(sampler: &mut Sampler) -> Query {
    let order = (0..sampler.below(4)).map(|_| Order {
        path: pick(sampler, &PATHS).to_owned(),
        descending: sampler.below(2) == 0,
        nulls: pick(sampler, &[Nulls::Least, Nulls::Least, Nulls::First, Nulls::Last]),
    });
    let order = order.collect();
    // Plain comparisons are what an index can serve.
    let filter = match sampler.below(2) {
        0 => filter(sampler, 2),
        _ => Filter::And((0..1 + sampler.below(2)).map(|_| filter(sampler, 0)).collect()),
    };
    Query { order, filter, ..Query::all(COLLECTION) }
}

/// What the query gives, by the definition.
fn expected(memory: &Memory, query: &Query) -> Vec<Document> {
    answer(&memory.documents().into_iter().cloned().collect::<Vec<_>>(), query)
}

#[test]
fn queries_give_what_the_definition_gives() {
    let mut by_access = BTreeMap::<&str, u32>::new();
    let mut ordered_by_index = 0;
    for seed in 0..SEEDS {
        let mut sampler = Sampler::new(seed);
        let memory = memory(&mut sampler);
        for number in 0..6 {
            let query = query(&mut sampler);
            let wanted = expected(&memory, &query);
            let found = find(&memory, &query).unwrap();
            assert_eq!(found.documents, wanted, "seed {seed}, query {number}: {query:?}");
            assert!(!found.has_more && found.total.is_none());
            let access = match found.plan.access {
                Access::Ids => "ids",
                Access::Scan => "scan",
                Access::Range => "range",
                Access::Index { element: true, .. } => "elements",
                Access::Index { range: true, .. } => "index range",
                Access::Index { .. } => "index",
            };
            *by_access.entry(access).or_default() += u32::from(!wanted.is_empty());
            let limited = Query { page: Page { limit: Some(3), ..Page::default() }, ..query };
            let plan = explain(&memory, &limited).unwrap();
            ordered_by_index += u32::from(plan.ordered && matches!(plan.access, Access::Index { .. }));
        }
    }
    assert!(by_access.len() == 6 && by_access.values().all(|count| *count >= 15), "{by_access:?}");
    assert!(ordered_by_index >= 100, "{ordered_by_index}");
}

#[test]
fn pages_of_any_size_add_up_to_the_whole() {
    for seed in 0..SEEDS {
        let mut sampler = Sampler::new(seed ^ 0x5eed_0000);
        let memory = memory(&mut sampler);
        let query = query(&mut sampler);
        let wanted = expected(&memory, &query);
        for size in [1, 2, 3, 7, wanted.len().max(1), wanted.len() + 1] {
            let count = sampler.below(3) == 0;
            let mut page = Query { page: Page { limit: Some(size), after: None, count }, ..query.clone() };
            let mut paged = Vec::new();
            loop {
                let found = find(&memory, &page).unwrap();
                assert_eq!(found.total, count.then_some(wanted.len() as u64), "seed {seed}: {page:?}");
                assert_eq!(found.cursors.len(), found.documents.len());
                assert!(found.documents.len() == size || !found.has_more, "seed {seed}: {page:?}");
                paged.extend(found.documents);
                if !found.has_more {
                    break;
                }
                page.page.after = found.cursors.last().cloned();
            }
            assert_eq!(paged, wanted, "seed {seed}, pages of {size}: {query:?}");
        }
    }
}

#[test]
fn a_page_stays_right_while_data_changes() {
    for seed in 0..SEEDS {
        let mut sampler = Sampler::new(seed ^ 0xc4a6_0000);
        let mut memory = memory(&mut sampler);
        let query = query(&mut sampler);
        let first = Query { page: Page { limit: Some(3), ..Page::default() }, ..query.clone() };
        let found = find(&memory, &first).unwrap();
        let Some(at) = found.documents.last().cloned() else { continue };
        for _ in 0..sampler.below(12) {
            let (id, fields) = (id(&mut sampler), fields(&mut sampler));
            memory.put(space(0), &id, (sampler.below(2) == 0).then_some(fields));
        }
        let after = found.cursors.last().cloned();
        let rest = Query { page: Page { limit: None, after, count: false }, ..query.clone() };
        let mut wanted = expected(&memory, &query);
        wanted.retain(|document| compare(document, &at, &query).is_gt());
        assert_eq!(find(&memory, &rest).unwrap().documents, wanted, "seed {seed}: {query:?}");
    }
}

#[test]
fn selection_gives_the_named_fields_and_changes_nothing_else() {
    for seed in 0..200 {
        let mut sampler = Sampler::new(seed ^ 0x5e1e_0000);
        let memory = memory(&mut sampler);
        let query = query(&mut sampler);
        let mut wanted = expected(&memory, &query);
        wanted.iter_mut().for_each(|document| document.fields.retain(|name, _| name == "b"));
        let select = Some(vec!["b".to_owned(), "nowhere".to_owned()]);
        let found = find(&memory, &Query { select, ..query.clone() }).unwrap();
        assert_eq!(found.documents, wanted, "seed {seed}: {query:?}");
    }
}

#[test]
fn garbled_cursors_are_errors_and_forged_ones_do_no_harm() {
    for seed in 0..400 {
        let mut sampler = Sampler::new(seed ^ 0x9a4b_0000);
        let memory = memory(&mut sampler);
        let query = query(&mut sampler);
        let found = find(&memory, &query).unwrap();
        let Some(cursor) = found.cursors.first() else { continue };
        let with = |bytes: Vec<u8>| {
            let page = Page { after: Some(super::Cursor(bytes)), ..Page::default() };
            find(&memory, &Query { page, ..query.clone() })
        };
        assert!(with(cursor.0.clone()).is_ok());
        let mut garbled = cursor.0.clone();
        let at = sampler.below(garbled.len());
        garbled[at] ^= 1 << sampler.below(8);
        assert!(matches!(with(garbled), Err(ReadError::Query { .. })), "seed {seed}");
        let cut = sampler.below(cursor.0.len());
        assert!(matches!(with(cursor.0[..cut].to_vec()), Err(ReadError::Query { .. })), "seed {seed}");

        // With a right check, anything may be inside; it must be refused or give some page, never panic.
        let mut forged = cursor.0[..cursor.0.len() - 4].to_vec();
        let at = sampler.below(forged.len());
        forged[at] = sampler.next() as u8;
        let check = (xxhash_rust::xxh3::xxh3_64(&forged) as u32).to_le_bytes();
        forged.extend_from_slice(&check);
        let _page_or_error = with(forged);
    }
}
