//! Target: filters and orders, in the filter language and in JSON; and what they find, with an index and without.

use std::sync::OnceLock;

use tidewater_engine::query::{Filter, Order, Query};
use tidewater_engine::schema::Schema;
use tidewater_engine::store::{Durability, Snapshot, WriteError};
use tidewater_engine::value::Value;

use super::{Memory, Target};
use crate::shared_space::SharedSpace;

pub(super) const TARGET: Target = Target {
    name: "filter",
    run,
    seeds,
    input_bytes_max: 2_048,
    memory: Memory { fixed: 1 << 20, per_byte: 2_048 },
    executions: 15_000,
};

/// The same documents with indexes and without.
const COLLECTIONS: [&str; 2] = ["indexed", "plain"];

/// A store that nothing writes to any more.
pub(super) fn snapshot() -> &'static Snapshot {
    static SNAPSHOT: OnceLock<(SharedSpace, Snapshot)> = OnceLock::new();
    let (_, snapshot) = SNAPSHOT.get_or_init(|| {
        let shared = SharedSpace::new(5, 1);
        let store = shared.store(0);
        let indexes = r#"{"indexes": {"one": {"fields": ["size"]}, "two": {"fields": ["title", "size"]},
            "three": {"fields": ["tags"]}}}"#;
        let schema = Schema::from_json(indexes.as_bytes()).expect("a schema");
        let filled = store.transaction(Durability::Local, |transaction| -> Result<(), WriteError> {
            transaction.set_schema(COLLECTIONS[0], &schema)?;
            let values = super::value::samples();
            for (number, value) in values.iter().enumerate() {
                let fields = super::people::fields(&[
                    ("size", value.clone()),
                    ("title", Value::String(format!("Note {}", number % 4))),
                    ("tags", Value::List(vec![value.clone(), Value::Int(number as i64)])),
                    ("nested", Value::Object(super::people::fields(&[("in", value.clone())]))),
                ]);
                for collection in COLLECTIONS {
                    transaction.insert(collection, Some(&format!("n{number}")), fields.clone())?;
                }
            }
            Ok(())
        });
        filled.expect("documents are written");
        let snapshot = store.snapshot().expect("a snapshot");
        (shared, snapshot)
    });
    snapshot
}

/// A filter, and after a line break maybe an order.
fn run(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    let (filter, order) = text.split_once('\n').unwrap_or((text, ""));
    let orders = match Order::from_json(order.as_bytes()) {
        Ok(orders) => orders,
        Err(_) => order.split(',').filter(|key| !key.is_empty()).filter_map(|key| Order::parse(key).ok()).collect(),
    };
    let filters = [Filter::parse(filter).ok(), Filter::from_json(filter.as_bytes()).ok()];
    let mut found_some = false;
    for filter in filters.into_iter().flatten() {
        let found = COLLECTIONS.map(|collection| {
            let query =
                Query { order: orders.clone(), ..Query::all(collection).filter(filter.clone()).limit(5).counted() };
            snapshot().find(&query)
        });
        match found {
            [Ok(indexed), Ok(plain)] => {
                let ids = |found: &tidewater_engine::query::Found| -> Vec<String> {
                    found.documents.iter().map(|document| document.id.to_string()).collect()
                };
                assert_eq!(ids(&indexed), ids(&plain), "an index changes what {filter:?} by {orders:?} finds");
                assert_eq!(indexed.total, plain.total);
                found_some = true;
            }
            [Err(indexed), Err(plain)] => assert_eq!(indexed.to_string(), plain.to_string()),
            [indexed, plain] => panic!("one is refused: {:?}, {:?}", indexed.err(), plain.err()),
        }
    }
    found_some
}

fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        "",
        "size > -6 title ^= \"Note\" not tags:4\nsize:desc,title",
        "(size=0.1 or size in (1, true, null)) and nested.in exists\ntitle:nulls-first",
        "title ~ \"N%_1\" or id >= n3",
        r#"{"size": {"gte": -10, "lt": 200}, "or": [{"title": {"like": "N%1"}}, {"not": {"tags": {"contains": 3}}}]}
[{"size": "DESC_NULLS_LAST"}, {"title": "ASC"}]"#,
        r#"{"and": [{"size": {"in": [1, 0.1, null, {"$timestamp": 1790000000000}]}}, {"nested": {"in": {"exists": true}}}]}"#,
    ];
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
}
