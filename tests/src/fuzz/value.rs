//! Target: values in their binary encoding, their order and their order keys.

use std::cmp::Ordering;

use tidewater_engine::value::{Blob, Reference, Value, order_key};

use super::{Memory, Target};

pub(super) const TARGET: Target = Target {
    name: "value",
    run,
    seeds,
    input_bytes_max: 4_096,
    memory: Memory { fixed: 64 << 10, per_byte: 800 },
    executions: 60_000,
};

fn run(input: &[u8]) -> bool {
    let Ok(value) = Value::from_bytes(input) else { return false };
    assert_eq!(value.to_bytes().as_deref(), Ok(input), "a value has one encoding");
    assert_eq!(value.total_cmp(&value), Ordering::Equal);
    let mut key = Vec::new();
    order_key(&value, &mut key);
    let json = value.to_json();
    let again = Value::from_json(json.as_bytes()).expect("what is written as JSON is read");
    assert_eq!(again.to_bytes().as_deref(), Ok(input), "JSON keeps every value: {json}");
    // In a list with itself: the order of keys is the order of values.
    if let Value::List(values) = &value {
        let keyed: Vec<(&Value, Vec<u8>)> = values
            .iter()
            .take(16)
            .map(|value| {
                let mut key = Vec::new();
                order_key(value, &mut key);
                (value, key)
            })
            .collect();
        for (value, key) in &keyed {
            for (other, other_key) in &keyed {
                assert_eq!(value.total_cmp(other), key.cmp(other_key), "{value:?} and {other:?}");
            }
        }
    }
    true
}

/// One value of every kind, and some inside each other.
pub(super) fn samples() -> Vec<Value> {
    let mut values = vec![
        Value::Null,
        Value::Bool(true),
        Value::Int(-5),
        Value::Int(i64::MAX),
        Value::Float(0.1),
        Value::Float(f64::NEG_INFINITY),
        Value::String("tëxt \u{1f980}".into()),
        Value::String("long ".repeat(20)),
        Value::Bytes(vec![0, 255, 3]),
        Value::Timestamp(1_790_000_000_000),
        Value::Reference(Reference { collection: "notes".into(), id: "n1".into() }),
        Value::Vector(vec![0.5, -1.25]),
        Value::Blob(Blob { hash: [3; 32], length: 300 }),
    ];
    values.push(Value::List(values.clone()));
    let object = ["a", "$bytes", "$object"].into_iter().zip(&values);
    values.push(Value::Object(object.map(|(key, value)| (key.to_owned(), value.clone())).collect()));
    values.push((0..20).fold(Value::Int(1), |inner, _| Value::List(vec![inner])));
    values
}

fn seeds() -> Vec<Vec<u8>> {
    samples().iter().map(|value| value.to_bytes().expect("a value that can be stored")).collect()
}
