//! Target: schemas, in JSON as people write them and in the fields of a schema document as others replicate them.

use tidewater_engine::schema::Schema;
use tidewater_engine::value::{fields_from_json, fields_to_json};

use super::{Memory, Target};

pub(super) const TARGET: Target = Target {
    name: "schema",
    run,
    seeds,
    input_bytes_max: 4_096,
    memory: Memory { fixed: 64 << 10, per_byte: 600 },
    executions: 40_000,
};

fn run(input: &[u8]) -> bool {
    let Ok(fields) = fields_from_json(input) else { return false };
    let lenient = Schema::from_fields(&fields);
    assert_eq!(Schema::from_fields(&lenient.to_fields()), lenient, "a schema document is read as it was written");
    for (field, value) in &fields {
        let _ = lenient.check_value(field, value);
        let _ = lenient.check_clear(field);
    }
    if let Ok(checked) = lenient.check_insert("notes", "n1", fields.clone()) {
        let again = lenient.check_insert("notes", "n1", checked.clone());
        assert_eq!(again.ok(), Some(checked), "defaults are filled in once");
    }
    let declarable = lenient.check().is_ok();
    let Ok(schema) = Schema::from_json(input) else { return declarable && !lenient.fields.is_empty() };
    assert_eq!(schema.check(), Ok(()));
    assert_eq!(
        Schema::from_json(schema.to_json().as_bytes()).ok().as_ref(),
        Some(&schema),
        "it is read as it was written"
    );
    assert_eq!(Schema::from_fields(&schema.to_fields()), schema, "it is replicated as it was declared");
    true
}

fn seeds() -> Vec<Vec<u8>> {
    let by_hand = [
        super::people::SCHEMA,
        r#"{"fields": {"a": {"type": {"list": {"reference": "notes"}}}, "b": {"type": {"vector": 3}, "default": {"$vector": [1.0, 2.0, 3.0]}}}}"#,
        r#"{"indexes": {"i": {"fields": ["a.b", "c"]}}, "type_name": "X"}"#,
        r#"{"fields": {"n": {"type": "int", "default": 3}, "s": {"kind": "set", "type": "string"}}}"#,
    ];
    let documents = by_hand.iter().filter_map(|text| Schema::from_json(text.as_bytes()).ok());
    let documents = documents.map(|schema| fields_to_json(&schema.to_fields()).into_bytes());
    documents.chain(by_hand.map(|text| text.as_bytes().to_vec())).collect()
}
