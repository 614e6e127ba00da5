//! From the corpus' forms to the engine's.

use serde_json::{Map, Value as Json};
use tidewater_engine::query::{Comparison, Filter, Nulls, Order};
use tidewater_engine::store::{Edit, PathSegment};
use tidewater_engine::value::Value;

use crate::door::Failure;

/// A value; what isn't one is refused as the API would refuse its JSON.
pub(super) fn value(json: &Json) -> Result<Value, Failure> {
    Value::from_json(json.to_string().as_bytes())
        .map_err(|error| Failure { code: "invalid".into(), message: error.to_string() })
}

fn values(json: &Json) -> Result<Vec<Value>, Failure> {
    let list = json.as_array().ok_or_else(|| Failure::case(format!("not a list: {json}")))?;
    list.iter().map(value).collect()
}

fn whole(json: &Json) -> Result<usize, Failure> {
    let number = json.as_u64().and_then(|number| usize::try_from(number).ok());
    number.ok_or_else(|| Failure::case(format!("not a whole number from 0 on: {json}")))
}

fn string(json: &Json) -> Result<String, Failure> {
    json.as_str().map(str::to_owned).ok_or_else(|| Failure::case(format!("not a string: {json}")))
}

/// `{"path": {"gt": 3, "lt": 9}, "or": [...], "not": {...}}`: all of it holds.
pub(super) fn filter(json: &Map<String, Json>) -> Result<Filter, Failure> {
    let mut all = Vec::new();
    for (key, argument) in json {
        match key.as_str() {
            "and" => all.push(Filter::And(filters(argument)?)),
            "or" => all.push(Filter::Or(filters(argument)?)),
            "not" => all.push(Filter::Not(Box::new(filter(object(argument)?)?))),
            path => {
                for (test, argument) in object(argument)? {
                    let comparison = comparison(test, argument)?;
                    all.push(Filter::Compare { path: path.to_owned(), comparison });
                }
            }
        }
    }
    Ok(match all.len() {
        0 => Filter::All,
        1 => all.remove(0),
        _ => Filter::And(all),
    })
}

fn filters(json: &Json) -> Result<Vec<Filter>, Failure> {
    let list = json.as_array().ok_or_else(|| Failure::case(format!("not a list of filters: {json}")))?;
    list.iter().map(|one| filter(object(one)?)).collect()
}

fn object(json: &Json) -> Result<&Map<String, Json>, Failure> {
    json.as_object().ok_or_else(|| Failure::case(format!("not an object: {json}")))
}

fn comparison(test: &str, argument: &Json) -> Result<Comparison, Failure> {
    Ok(match test {
        "eq" => Comparison::Eq(value(argument)?),
        "ne" => Comparison::Ne(value(argument)?),
        "gt" => Comparison::Gt(value(argument)?),
        "gte" => Comparison::Gte(value(argument)?),
        "lt" => Comparison::Lt(value(argument)?),
        "lte" => Comparison::Lte(value(argument)?),
        "in" => Comparison::In(values(argument)?),
        "nin" => Comparison::Nin(values(argument)?),
        "like" => Comparison::Like(string(argument)?),
        "startsWith" => Comparison::StartsWith(string(argument)?),
        "contains" => Comparison::Contains(value(argument)?),
        "any" => Comparison::Any(values(argument)?),
        "all" => Comparison::Every(values(argument)?),
        "exists" => Comparison::Exists(*argument == Json::Bool(true)),
        other => return Err(Failure::case(format!("no such comparison: {other}"))),
    })
}

/// `size`, `-size`, `size nulls first`, `-size nulls last`.
pub(super) fn order(key: &str) -> Result<Order, Failure> {
    let (path, nulls) = match key.split_once(" nulls ") {
        None => (key, Nulls::Least),
        Some((path, "first")) => (path, Nulls::First),
        Some((path, "last")) => (path, Nulls::Last),
        Some(_) => return Err(Failure::case(format!("not a sort key: {key}"))),
    };
    Ok(match path.strip_prefix('-') {
        Some(path) => Order { path: path.to_owned(), descending: true, nulls },
        None => Order { path: path.to_owned(), descending: false, nulls },
    })
}

/// `{"set": 1}`, `{"splice": {"at": 0, "delete": 0, "insert": "x"}}` and so on: exactly one.
pub(super) fn edit(json: &Json) -> Result<Edit, Failure> {
    let mut edits = object(json)?.iter();
    let (Some((name, argument)), None) = (edits.next(), edits.next()) else {
        return Err(Failure::case(format!("not one edit: {json}")));
    };
    let part = |name: &str| argument.get(name).unwrap_or(&Json::Null);
    Ok(match name.as_str() {
        "set" => Edit::Set(value(argument)?),
        "clear" => Edit::Clear,
        "increment" => {
            Edit::Increment(argument.as_i64().ok_or_else(|| Failure::case(format!("not an int: {argument}")))?)
        }
        "add" => Edit::Add(values(argument)?),
        "remove" => Edit::Remove(values(argument)?),
        "splice" => {
            let (at, delete) = (whole(part("at"))?, whole(part("delete"))?);
            Edit::Splice { at, delete, insert: string(part("insert"))? }
        }
        "put" => Edit::Put { path: path(part("path"))?, value: value(part("value"))? },
        "insert" => Edit::Insert { path: path(part("path"))?, value: value(part("value"))? },
        "cut" => Edit::Cut { path: path(argument)? },
        other => return Err(Failure::case(format!("no such edit: {other}"))),
    })
}

fn path(json: &Json) -> Result<Vec<PathSegment>, Failure> {
    let list = json.as_array().ok_or_else(|| Failure::case(format!("not a path: {json}")))?;
    list.iter()
        .map(|step| match step {
            Json::String(key) => Ok(PathSegment::Key(key.clone())),
            index => Ok(PathSegment::Index(whole(index)?)),
        })
        .collect()
}

/// A cursor as text.
pub(super) fn text(cursor: &[u8]) -> String {
    cursor.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The inverse of [`text`].
pub(super) fn bytes(text: &str) -> Result<Vec<u8>, Failure> {
    let pair = |at: usize| text.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    let bytes: Option<Vec<u8>> = (0..text.len()).step_by(2).map(pair).collect();
    bytes.ok_or_else(|| Failure::case("not a cursor"))
}
