//! Writing JSON.

use std::fmt::Write;

use data_encoding::{BASE64, HEXLOWER};

use super::typed;
use crate::value::{Fields, Value};

/// Appends a value.
pub(super) fn write_value(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(bool) => out.push_str(if *bool { "true" } else { "false" }),
        Value::Int(int) => display(out, int),
        Value::Float(float) => write_float(*float, out),
        Value::String(text) => write_text(text, out),
        Value::Bytes(bytes) => wrapped(typed::BYTES, out, |out| {
            out.push('"');
            BASE64.encode_append(bytes, out);
            out.push('"');
        }),
        Value::Timestamp(ms) => wrapped(typed::TIMESTAMP, out, |out| display(out, ms)),
        Value::List(values) => write_list(values, out, write_value),
        Value::Object(fields) if typed::needs_escape(fields) => {
            wrapped(typed::OBJECT, out, |out| write_fields(fields, out));
        }
        Value::Object(fields) => write_fields(fields, out),
        Value::Reference(reference) => wrapped(typed::REFERENCE, out, |out| {
            out.push_str("{\"collection\":");
            write_text(&reference.collection, out);
            out.push_str(",\"id\":");
            write_text(&reference.id, out);
            out.push('}');
        }),
        Value::Vector(numbers) => wrapped(typed::VECTOR, out, |out| write_list(numbers, out, write_component)),
        Value::Blob(blob) => wrapped(typed::BLOB, out, |out| {
            out.push_str("{\"hash\":\"");
            HEXLOWER.encode_append(&blob.hash, out);
            out.push_str("\",\"length\":");
            display(out, blob.length);
            out.push('}');
        }),
    }
}

/// Appends an object whose keys stand for themselves.
pub(super) fn write_fields(fields: &Fields, out: &mut String) {
    out.push('{');
    write_members(fields, out);
    out.push('}');
}

/// Appends the members of an object.
pub(super) fn write_members(fields: &Fields, out: &mut String) {
    for (index, (key, value)) in fields.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_text(key, out);
        out.push(':');
        write_value(value, out);
    }
}

/// Appends a string in quotes.
pub(crate) fn write_text(text: &str, out: &mut String) {
    out.push('"');
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.push_str(&text[plain..at]);
        plain = at + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            _ => display(out, format_args!("\\u{byte:04x}")),
        }
    }
    out.push_str(&text[plain..]);
    out.push('"');
}

fn wrapped(key: &str, out: &mut String, content: impl FnOnce(&mut String)) {
    out.push('{');
    write_text(key, out);
    out.push(':');
    content(out);
    out.push('}');
}

fn write_list<T>(values: &[T], out: &mut String, mut write: impl FnMut(&T, &mut String)) {
    out.push('[');
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write(value, out);
    }
    out.push(']');
}

/// The fewest digits that are read back as the same number, always with a point or an exponent.
fn write_float(float: f64, out: &mut String) {
    if float.is_finite() {
        display(out, format_args!("{float:?}"));
    } else {
        let name = if float > 0.0 { typed::INFINITY } else { typed::NEGATIVE_INFINITY };
        wrapped(typed::FLOAT, out, |out| write_text(name, out));
    }
}

/// The fewest digits of a 32-bit float, unless reading them as 64 bits and rounding once more would miss it.
fn write_component(number: &f32, out: &mut String) {
    let start = out.len();
    if number.is_finite() {
        display(out, format_args!("{number:?}"));
        if out[start..].parse::<f64>().is_ok_and(|read| read as f32 == *number) {
            return;
        }
        out.truncate(start);
    }
    write_float(f64::from(*number), out);
}

fn display(out: &mut String, shown: impl std::fmt::Display) {
    // Writing to a string does not fail.
    let _ = write!(out, "{shown}");
}

#[cfg(test)]
mod tests {
    use crate::value::sample::Sampler;
    use crate::value::{Fields, Value, fields_from_json, fields_to_json};

    #[test]
    fn every_value_round_trips_through_json_exactly() {
        for seed in 0..20_000 {
            let value = Sampler::new(seed).value(4);
            let text = value.to_json();
            assert_eq!(Value::from_json(text.as_bytes()).as_ref(), Ok(&value), "seed {seed}: {text}");
            assert!(!text.contains('\n'));
        }
    }

    #[test]
    fn components_of_vectors_round_trip_at_every_exponent() {
        let mut sampler = Sampler::new(7);
        let bits = (0..200_000).map(|_| f32::from_bits(sampler.next() as u32));
        let vector = Value::Vector(bits.filter(|number| !number.is_nan()).map(|number| number + 0.0).collect());
        assert_eq!(Value::from_json(vector.to_json().as_bytes()), Ok(vector));
        // Its fewest digits lie so near the middle between two neighbours that 64 bits lie in it.
        let between = Value::Vector(vec![f32::from_bits(0x15ae_43fd)]);
        assert_eq!("7.038531e-26".parse::<f64>().unwrap() as f32, f32::from_bits(0x15ae_43fe));
        assert_eq!(Value::from_json(between.to_json().as_bytes()), Ok(between));
    }

    #[test]
    fn objects_that_look_typed_are_escaped() {
        let object = |key: &str, value| Value::Object([(key.to_owned(), value)].into());
        let cases = [
            (object("$bytes", Value::from("AA==")), r#"{"$object":{"$bytes":"AA=="}}"#),
            (object("$object", Value::Int(1)), r#"{"$object":{"$object":1}}"#),
            (object("$date", Value::Int(1)), r#"{"$object":{"$date":1}}"#),
            (object("$oid", Value::from("x")), r#"{"$oid":"x"}"#),
            (object("$bytes", object("$float", Value::Null)), r#"{"$object":{"$bytes":{"$object":{"$float":null}}}}"#),
            (
                Value::Object([("$object".to_owned(), Value::Null), ("a".to_owned(), Value::Null)].into()),
                r#"{"$object":{"$object":null,"a":null}}"#,
            ),
            (
                Value::Object([("$bytes".to_owned(), Value::Null), ("a".to_owned(), Value::Null)].into()),
                r#"{"$bytes":null,"a":null}"#,
            ),
        ];
        for (value, text) in cases {
            assert_eq!(value.to_json(), text);
            assert_eq!(Value::from_json(text.as_bytes()), Ok(value));
        }
        let nested = (0..Value::MAX_DEPTH).fold(Value::Int(1), |inner, _| object("$object", inner));
        assert_eq!(Value::from_json(nested.to_json().as_bytes()), Ok(nested));
    }

    #[test]
    fn the_names_of_fields_are_never_types() {
        let fields: Fields = [("$bytes".to_owned(), Value::Int(1))].into();
        assert_eq!(fields_to_json(&fields), r#"{"$bytes":1}"#);
        assert_eq!(fields_from_json(br#"{"$bytes":1}"#), Ok(fields));
    }

    #[test]
    fn what_looks_typed_and_is_not_is_refused() {
        let cases = [
            r#"{"$bytes":"A"}"#,
            r#"{"$bytes":"AB=="}"#,
            r#"{"$timestamp":1.0}"#,
            r#"{"$timestamp":"2024-01-01"}"#,
            r#"{"$ref":"people/ada"}"#,
            r#"{"$ref":{"collection":"","id":"a"}}"#,
            r#"{"$ref":{"collection":"people"}}"#,
            r#"{"$ref":{"collection":"people","id":1}}"#,
            r#"{"$ref":{"collection":1,"id":"ada"}}"#,
            r#"{"$blob":{"hash":1,"length":1}}"#,
            r#"{"$ref":{"collection":"a","id":"b","more":1}}"#,
            r#"{"$vector":[1e39]}"#,
            r#"{"$vector":["1"]}"#,
            r#"{"$blob":{"hash":"ab","length":1}}"#,
            r#"{"$float":"nan"}"#,
            r#"{"$float":1.0}"#,
            r#"{"$decimal":"1.1"}"#,
            r#"{"$object":1}"#,
            r#"{"$object":{},"a":1}"#,
            r#"{"a":1,"$object":{}}"#,
        ];
        for text in cases {
            assert!(Value::from_json(text.as_bytes()).is_err(), "{text}");
        }
        let error = Value::from_json(br#"[{"$bytes":"!"}]"#).unwrap_err();
        assert_eq!(
            error.to_string(),
            "line 1, column 2: $bytes: expected base 64 with padding; an object that is meant as such goes inside {\"$object\": …}"
        );
    }

    #[test]
    fn floats_stay_floats() {
        assert_eq!(Value::Float(1.0).to_json(), "1.0");
        assert_eq!(Value::Float(1e300).to_json(), "1e300");
        assert_eq!(Value::Float(f64::NEG_INFINITY).to_json(), r#"{"$float":"-inf"}"#);
        assert_eq!(Value::from("a\"\\\n\u{1}é").to_json(), r#""a\"\\\n\u0001é""#);
    }
}
