//! Random queries over what the writes of `crate::edits` leave.

use tidewater::{Comparison, Filter, Nulls, Order, Query, SpaceId, Value};

use crate::edits::IDS;
use crate::random::Random;

const PATHS: [&str; 9] = ["register", "counter", "set", "text", "json", "json.a", "json.b.a", "mixed", "id"];
const WORDS: [&str; 6] = ["ebb", "flood", "neap", "spring", "slack", ""];

pub(super) fn query(random: &mut Random, collection: &str, spaces: &[SpaceId]) -> Query {
    let mut query = Query::all(collection);
    query.filter = filter(random, 2);
    query.order = (0..random.below(3)).map(|_| order(random)).collect();
    if random.one_in(3) {
        query.spaces = Some(vec![*random.pick(spaces)]);
    }
    query
}

fn order(random: &mut Random) -> Order {
    let path = (*random.pick(&PATHS)).to_owned();
    Order { path, descending: random.one_in(2), nulls: *random.pick(&[Nulls::Least, Nulls::First, Nulls::Last]) }
}

fn filter(random: &mut Random, depth: usize) -> Filter {
    let parts = |random: &mut Random| (0..random.below(3)).map(|_| filter(random, depth - 1)).collect();
    match random.below(if depth == 0 { 5 } else { 8 }) {
        0 => Filter::All,
        1..5 => {
            let path = *random.pick(&PATHS);
            Filter::compare(path, comparison(random, path))
        }
        5 => Filter::And(parts(random)),
        6 => Filter::Or(parts(random)),
        _ => Filter::Not(Box::new(filter(random, depth - 1))),
    }
}

fn value(random: &mut Random, path: &str) -> Value {
    match random.below(6) {
        _ if path == "id" => Value::String((*random.pick(&IDS)).into()),
        0 => Value::Null,
        1 | 2 => Value::Int(random.below(6) as i64 - 1),
        3 => Value::Float(random.below(8) as f64 / 2.0),
        _ => Value::String((*random.pick(&WORDS)).into()),
    }
}

fn comparison(random: &mut Random, path: &str) -> Comparison {
    let one = |random: &mut Random| value(random, path);
    let many = |random: &mut Random| -> Vec<Value> { (0..random.below(4)).map(|_| value(random, path)).collect() };
    let part = |random: &mut Random| random.pick(&WORDS).chars().take(1 + random.below(3)).collect::<String>();
    match random.below(14) {
        0 => Comparison::Eq(one(random)),
        1 => Comparison::Ne(one(random)),
        2 => Comparison::Gt(one(random)),
        3 => Comparison::Gte(one(random)),
        4 => Comparison::Lt(one(random)),
        5 => Comparison::Lte(one(random)),
        6 => Comparison::In(many(random)),
        7 => Comparison::Nin(many(random)),
        8 => Comparison::Like(format!("{}%{}", part(random), if random.one_in(2) { "_" } else { "" })),
        9 => Comparison::StartsWith(part(random)),
        10 => Comparison::Contains(one(random)),
        11 => Comparison::Any(many(random)),
        12 => Comparison::Every(many(random)),
        _ => Comparison::Exists(random.one_in(2)),
    }
}
