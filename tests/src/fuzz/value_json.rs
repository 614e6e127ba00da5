//! Target: values in JSON.

use tidewater_engine::value::{Value, fields_from_json, fields_to_json};

use super::{Memory, Target};

pub(super) const TARGET: Target = Target {
    name: "value_json",
    run,
    seeds,
    input_bytes_max: 4_096,
    memory: Memory { fixed: 64 << 10, per_byte: 300 },
    executions: 60_000,
};

fn run(input: &[u8]) -> bool {
    if let Ok(fields) = fields_from_json(input) {
        let text = fields_to_json(&fields);
        assert_eq!(fields_from_json(text.as_bytes()), Ok(fields), "fields are written as they were read: {text}");
    }
    let Ok(value) = Value::from_json(input) else { return false };
    let text = value.to_json();
    let again = Value::from_json(text.as_bytes()).expect("what is written is read");
    assert_eq!(again, value, "a value is written as it was read: {text}");
    assert_eq!(again.to_json(), text);
    if let Ok(bytes) = value.to_bytes() {
        assert_eq!(Value::from_bytes(&bytes), Ok(value), "what can be stored is stored as it is");
    }
    true
}

fn seeds() -> Vec<Vec<u8>> {
    let written = super::value::samples().into_iter().map(|value| value.to_json().into_bytes());
    let by_hand = [
        "{\"n\": 1, \"at\": {\"$timestamp\": 0}, \"ratio\": -1.5e-3}",
        " [ true , null , \"\\u00e9\\ud83e\\udd80\\n\" , 1E400 ] ",
        "[1.0, -0.0, 9223372036854775807, -9223372036854775808]",
        "{\"$object\": {\"$bytes\": 1}, \"$float\": \"inf\"}",
    ];
    written.chain(by_hand.map(|text| text.as_bytes().to_vec())).collect()
}
