//! Between the engine's values, JSON, and what GraphQL passes around.

use async_graphql::{Name, Value as Answer};
use serde_json::Value as Json;
use tidewater_engine::value::{Fields, Value, fields_from_json};

/// The value that JSON in an argument says: exactly what the same JSON says in an import.
pub(crate) fn from_argument(argument: &Answer) -> Result<Value, String> {
    let text = serde_json::to_vec(argument).map_err(|error| error.to_string())?;
    Value::from_json(&text).map_err(|error| error.fault.to_string())
}

/// A value as JSON: exactly what an export writes.
pub(crate) fn to_answer(value: &Value) -> Answer {
    let text = value.to_json();
    match serde_json::from_str(&text) {
        Ok(json) => json_to_answer(json),
        // Objects that are escaped at every level nest deeper than the parser goes: they are given as their text.
        Err(_) => Answer::String(text),
    }
}

/// Fields as a JSON object.
pub(crate) fn fields_to_answer(fields: &Fields) -> Answer {
    Answer::Object(fields.iter().map(|(name, value)| (Name::new(name), to_answer(value))).collect())
}

/// JSON fields of an argument, by their names in the database.
pub(crate) fn fields_from_argument(argument: &Answer) -> Result<Fields, String> {
    let text = serde_json::to_vec(argument).map_err(|error| error.to_string())?;
    fields_from_json(&text).map_err(|error| error.fault.to_string())
}

/// JSON of a request as variables: numbers keep every digit.
pub(crate) fn json_to_answer(json: Json) -> Answer {
    match json {
        Json::Null => Answer::Null,
        Json::Bool(value) => Answer::Boolean(value),
        Json::Number(number) => Answer::Number(number),
        Json::String(text) => Answer::String(text),
        Json::Array(elements) => Answer::List(elements.into_iter().map(json_to_answer).collect()),
        Json::Object(fields) => {
            Answer::Object(fields.into_iter().map(|(name, value)| (Name::new(name), json_to_answer(value))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_keeps_every_digit_and_every_type() {
        let text = r#"{"big":9223372036854775807,"float":1.0,"tiny":5e-324,"time":{"$timestamp":5},"list":[null,"x"]}"#;
        let argument = json_to_answer(serde_json::from_str(text).unwrap());
        let value = from_argument(&argument).unwrap();
        let Value::Object(fields) = &value else { panic!("{value:?}") };
        assert_eq!(fields["big"], Value::Int(i64::MAX));
        assert_eq!(fields["float"], Value::Float(1.0));
        assert_eq!(fields["time"], Value::Timestamp(5));
        assert_eq!(from_argument(&to_answer(&value)), Ok(value));
        assert_eq!(fields_from_argument(&argument).unwrap().len(), 5);
    }

    #[test]
    fn what_is_no_value_is_refused() {
        for text in ["9223372036854775808", r#"{"$timestamp":"x"}"#, "1e400"] {
            assert!(from_argument(&json_to_answer(serde_json::from_str(text).unwrap())).is_err(), "{text}");
        }
        assert!(fields_from_argument(&Answer::Null).is_err());
    }
}
