//! Values, by the shape of the field they are for.

use async_graphql::{Number, Value as Argument};
use data_encoding::BASE64;
use tidewater_engine::value::{Reference, Value};

use super::{LowerError, elements, id, text};
use crate::graphql::instant;
use crate::graphql::json;
use crate::graphql::shape::Shape;

/// The value that an argument says for a field of a shape. Null is always a value.
pub(crate) fn value(at: &str, shape: &Shape, argument: &Argument) -> Result<Value, LowerError> {
    if *argument == Argument::Null {
        return Ok(Value::Null);
    }
    let wrong = |expected: &str| LowerError::expected(at, expected, argument);
    Ok(match shape {
        Shape::Bool => match argument {
            Argument::Boolean(value) => Value::Bool(*value),
            _ => return Err(wrong("true or false")),
        },
        Shape::Int => Value::Int(int(argument).ok_or_else(|| wrong("a whole number of 64 bits"))?),
        Shape::Float => Value::Float(float(argument).ok_or_else(|| wrong("a number"))?),
        Shape::String => Value::String(text(at, argument)?.to_owned()),
        Shape::Bytes => {
            Value::Bytes(BASE64.decode(text(at, argument)?.as_bytes()).map_err(|_| wrong("bytes in base 64"))?)
        }
        Shape::Timestamp => Value::Timestamp(
            timestamp(argument)
                .ok_or_else(|| wrong("a time as 2026-11-21T09:30:00Z, or milliseconds since 1970 UTC"))?,
        ),
        Shape::List(element) => {
            let elements = elements(argument).iter().map(|argument| value(at, element, argument));
            Value::List(elements.collect::<Result<_, _>>()?)
        }
        Shape::Reference(collection) => {
            Value::Reference(Reference { collection: collection.clone(), id: id(at, argument)? })
        }
        Shape::Vector => {
            let numbers = elements(argument).iter().map(float).collect::<Option<Vec<f64>>>();
            Value::Vector(numbers.ok_or_else(|| wrong("a list of numbers"))?.iter().map(|n| *n as f32).collect())
        }
        Shape::Json => json(at, argument)?,
    })
}

/// The value that JSON says.
pub(crate) fn json(at: &str, argument: &Argument) -> Result<Value, LowerError> {
    json::from_argument(argument).map_err(|why| LowerError::Json { at: at.to_owned(), why })
}

/// A whole number, as a number or as a string of its digits.
pub(crate) fn int(argument: &Argument) -> Option<i64> {
    match argument {
        Argument::Number(number) => number.as_i64(),
        Argument::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// A time in milliseconds since 1970 UTC, as such or in the form of RFC 3339.
pub(crate) fn timestamp(argument: &Argument) -> Option<i64> {
    match argument {
        Argument::Number(number) => number.as_i64(),
        Argument::String(text) => instant::parse(text),
        _ => None,
    }
}

fn float(argument: &Argument) -> Option<f64> {
    match argument {
        Argument::Number(number) => Number::as_f64(number).filter(|number| number.is_finite()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::value;

    use super::*;

    #[test]
    fn each_shape_takes_what_fits_and_refuses_the_rest() {
        let list = Shape::List(Box::new(Shape::String));
        let reference = Shape::Reference("authors".into());
        let cases = [
            (&Shape::Bool, value!(true), Value::Bool(true)),
            (&Shape::Int, value!("-9223372036854775808"), Value::Int(i64::MIN)),
            (&Shape::Float, value!(2), Value::Float(2.0)),
            (&Shape::Bytes, value!("AAE="), Value::Bytes(vec![0, 1])),
            (&Shape::Timestamp, value!("1970-01-01T00:00:01Z"), Value::Timestamp(1000)),
            (&Shape::Timestamp, value!(5), Value::Timestamp(5)),
            (&list, value!("a"), Value::List(vec![Value::String("a".into())])),
            (&reference, value!("n1"), Value::Reference(Reference { collection: "authors".into(), id: "n1".into() })),
            (&Shape::Vector, value!([1, 0.5]), Value::Vector(vec![1.0, 0.5])),
            (&Shape::Int, Argument::Null, Value::Null),
        ];
        for (shape, argument, expected) in cases {
            assert_eq!(value("x", shape, &argument), Ok(expected), "{shape:?} {argument}");
        }
        let wrong = [
            (&Shape::Bool, value!(1)),
            (&Shape::Int, value!(1.5)),
            (&Shape::Int, value!("9223372036854775808")),
            (&Shape::Float, value!("1")),
            (&Shape::Bytes, value!("?")),
            (&Shape::Timestamp, value!("yesterday")),
            (&list, value!([1])),
            (&reference, value!({})),
            (&Shape::Vector, value!(["x"])),
        ];
        for (shape, argument) in wrong {
            assert!(value("x", shape, &argument).is_err(), "{shape:?} {argument}");
        }
    }
}
