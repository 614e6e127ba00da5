//! From the engine's values to what GraphQL answers, by the shape a field is declared or found to have.

use async_graphql::{Error, Number, Value as Answer};
use data_encoding::BASE64;
use tidewater_engine::value::Value;

use super::error::Code;
use super::shape::Shape;
use super::{instant, json};

/// The whole numbers that every JSON reader keeps exactly.
const SAFE_INTEGERS: std::ops::RangeInclusive<i64> = -((1 << 53) - 1)..=(1 << 53) - 1;

/// The answer for a field; `None` is null. References are given as their ids.
///
/// # Errors
/// [`Code::TypeMismatch`] when the document holds something else than the field's shape.
pub(crate) fn answer(field: &str, shape: &Shape, value: &Value) -> Result<Option<Answer>, Error> {
    let answer = match (shape, value) {
        (Shape::Json, value) => json::to_answer(value),
        (_, Value::Null) => return Ok(None),
        (Shape::Bool, Value::Bool(value)) => Answer::from(*value),
        (Shape::Int, Value::Int(value)) => int(*value),
        (Shape::Float, Value::Int(value)) => Answer::from(*value as f64),
        (Shape::Float, Value::Float(value)) if value.is_finite() => Answer::from(*value),
        (Shape::String, Value::String(value)) => Answer::from(value.as_str()),
        (Shape::Bytes, Value::Bytes(value)) => Answer::from(BASE64.encode(value)),
        (Shape::Timestamp, Value::Timestamp(value)) => Answer::from(instant::format(*value)),
        (Shape::Reference(_), Value::Reference(value)) => Answer::from(value.id.as_str()),
        (Shape::Vector, Value::Vector(value)) => {
            Answer::List(value.iter().map(|number| Answer::from(f64::from(*number))).collect())
        }
        (Shape::List(element), Value::List(values)) => {
            let answers = values
                .iter()
                .map(|value| answer(field, element, value)?.ok_or_else(|| mismatch(field, shape, &Value::Null)));
            Answer::List(answers.collect::<Result<_, _>>()?)
        }
        (shape, value) => return Err(mismatch(field, shape, value)),
    };
    Ok(Some(answer))
}

/// A whole number: as a JSON number where every reader keeps it exactly, else as a string.
pub(crate) fn int(value: i64) -> Answer {
    match SAFE_INTEGERS.contains(&value) {
        true => Answer::Number(Number::from(value)),
        false => Answer::from(value.to_string()),
    }
}

fn mismatch(field: &str, shape: &Shape, value: &Value) -> Error {
    let found = Shape::of_value(value).map_or("null in a list".to_owned(), |found| found.stem());
    Code::TypeMismatch
        .error(format!("{field} is {} here, but this document holds {found}; read it through _fields", shape.stem()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_stay_exact() {
        for (value, expected) in
            [(9_007_199_254_740_991, "9007199254740991"), (9_007_199_254_740_992, "\"9007199254740992\"")]
        {
            assert_eq!(answer("n", &Shape::Int, &Value::Int(value)).unwrap().unwrap().to_string(), expected);
        }
    }

    #[test]
    fn a_value_of_another_shape_is_an_error_that_says_where_to_look() {
        let error = answer("n", &Shape::Int, &Value::Bool(true)).unwrap_err();
        assert_eq!(error.message, "n is Int64 here, but this document holds Boolean; read it through _fields");
        assert!(answer("n", &Shape::Float, &Value::Float(f64::INFINITY)).is_err());
        assert_eq!(answer("n", &Shape::Int, &Value::Null).unwrap(), None);
    }
}
