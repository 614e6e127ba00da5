//! Filters and orders as JSON.

use super::validate::refuse;
use super::{Comparison, Filter, Nulls, Order};
use crate::store::ReadError;
use crate::value::{Fields, Value};

impl Filter {
    /// Reads a filter from JSON: an object, of which everything must hold.
    ///
    /// `and` and `or` have a list of filters, `not` has one. Any other key is a path, or a field whose object goes on with
    /// the path, down to an object of comparisons: `eq ne gt gte lt lte in nin like startsWith contains any all exists`.
    /// Operands are the JSON of values. A field called `and`, `or` or `not`, and a nested one called like a comparison,
    /// can only be named in a dotted path.
    ///
    /// # Errors
    /// [`ReadError::Query`], which says where and what to change. The limits are checked when the query runs.
    ///
    /// ```
    /// use tidewater_engine::query::Filter;
    ///
    /// let nested = Filter::from_json(br#"{"not": {"address": {"city": {"eq": "Oslo"}}}}"#)?;
    /// assert_eq!(nested, Filter::Not(Box::new(Filter::eq("address.city", "Oslo".into()))));
    /// let error = Filter::from_json(br#"{"size": {"over": 1}}"#).unwrap_err();
    /// assert!(error.to_string().contains(r#""over" is not a comparison"#));
    /// # Ok::<(), tidewater_engine::store::ReadError>(())
    /// ```
    pub fn from_json(text: &[u8]) -> Result<Self, ReadError> {
        let value = Value::from_json(text).map_err(|error| refuse(format!("the filter is not JSON: {error}")))?;
        Self::from_value(&value)
    }

    /// Reads a filter from the value that its JSON is.
    ///
    /// # Errors
    /// As [`Filter::from_json`].
    pub fn from_value(value: &Value) -> Result<Self, ReadError> {
        filter("filter", value)
    }
}

impl Order {
    /// Reads sort keys from JSON: a list of objects from path to `ASC` or `DESC`, maybe followed by `_NULLS_FIRST` or
    /// `_NULLS_LAST`, such as `[{"createdAt": "DESC"}, {"title": "ASC_NULLS_LAST"}]`.
    ///
    /// # Errors
    /// [`ReadError::Query`], which says what to change.
    pub fn from_json(text: &[u8]) -> Result<Vec<Self>, ReadError> {
        let value = Value::from_json(text).map_err(|error| refuse(format!("the order is not JSON: {error}")))?;
        let Value::List(keys) = value else {
            return Err(refuse("the order is a list: [{\"field\": \"DESC\"}]".to_owned()));
        };
        keys.iter().map(sort_key).collect()
    }
}

fn filter(at: &str, value: &Value) -> Result<Filter, ReadError> {
    let mut parts = Vec::new();
    for (key, value) in object(at, value)? {
        match key.as_str() {
            "and" => parts.push(Filter::And(filters(&format!("{at}.and"), value)?)),
            "or" => parts.push(Filter::Or(filters(&format!("{at}.or"), value)?)),
            "not" => parts.push(Filter::Not(Box::new(filter(&format!("{at}.not"), value)?))),
            path => comparisons(path, value, &mut parts)?,
        }
    }
    Ok(all(parts))
}

fn filters(at: &str, value: &Value) -> Result<Vec<Filter>, ReadError> {
    list(at, value)?.iter().map(|part| filter(at, part)).collect()
}

fn all(mut parts: Vec<Filter>) -> Filter {
    match parts.len() {
        0 => Filter::All,
        1 => parts.remove(0),
        _ => Filter::And(parts),
    }
}

/// Reads what is said of the value at `path`: comparisons of it, or of what is inside it.
fn comparisons(path: &str, value: &Value, parts: &mut Vec<Filter>) -> Result<(), ReadError> {
    let said = object(path, value)?;
    if said.is_empty() {
        return Err(refuse(format!("{path}: compare it with something: {{{path:?}: {{\"eq\": …}}}}")));
    }
    for (key, operand) in said {
        match comparison(&format!("{path}.{key}"), key, operand)? {
            Some(comparison) => parts.push(Filter::Compare { path: path.to_owned(), comparison }),
            None if matches!(operand, Value::Object(_)) => comparisons(&format!("{path}.{key}"), operand, parts)?,
            None => {
                return Err(refuse(format!(
                    "{path}.{key}: {key:?} is not a comparison; there are {}",
                    COMPARISONS.join(", ")
                )));
            }
        }
    }
    Ok(())
}

const COMPARISONS: [&str; 14] =
    ["eq", "ne", "gt", "gte", "lt", "lte", "in", "nin", "like", "startsWith", "contains", "any", "all", "exists"];

fn comparison(at: &str, name: &str, operand: &Value) -> Result<Option<Comparison>, ReadError> {
    let one = || operand.clone();
    let many = || list(at, operand).map(<[Value]>::to_vec);
    let text = || match operand {
        Value::String(text) => Ok(text.clone()),
        _ => Err(refuse(format!("{at}: expected text"))),
    };
    Ok(Some(match name {
        "eq" => Comparison::Eq(one()),
        "ne" => Comparison::Ne(one()),
        "gt" => Comparison::Gt(one()),
        "gte" => Comparison::Gte(one()),
        "lt" => Comparison::Lt(one()),
        "lte" => Comparison::Lte(one()),
        "in" => Comparison::In(many()?),
        "nin" => Comparison::Nin(many()?),
        "like" => Comparison::Like(text()?),
        "startsWith" => Comparison::StartsWith(text()?),
        "contains" => Comparison::Contains(one()),
        "any" => Comparison::Any(many()?),
        "all" => Comparison::Every(many()?),
        "exists" => match operand {
            Value::Bool(there) => Comparison::Exists(*there),
            _ => return Err(refuse(format!("{at}: expected true or false"))),
        },
        _ => return Ok(None),
    }))
}

fn sort_key(value: &Value) -> Result<Order, ReadError> {
    let wrong = || refuse("a sort key is an object of one field: {\"field\": \"ASC\"}, or DESC".to_owned());
    let Value::Object(key) = value else { return Err(wrong()) };
    let mut pairs = key.iter();
    let (Some((path, Value::String(direction))), None) = (pairs.next(), pairs.next()) else { return Err(wrong()) };
    let (direction, nulls) = match direction.split_once("_NULLS_") {
        None => (direction.as_str(), Nulls::Least),
        Some((direction, "FIRST")) => (direction, Nulls::First),
        Some((direction, "LAST")) => (direction, Nulls::Last),
        Some(_) => return Err(refuse(format!("{path}: nulls go _NULLS_FIRST or _NULLS_LAST"))),
    };
    let descending = match direction {
        "ASC" => false,
        "DESC" => true,
        _ => return Err(refuse(format!("{path}: the direction is ASC or DESC"))),
    };
    Ok(Order { path: path.clone(), descending, nulls })
}

fn object<'v>(at: &str, value: &'v Value) -> Result<&'v Fields, ReadError> {
    match value {
        Value::Object(fields) => Ok(fields),
        _ => Err(refuse(format!("{at}: expected an object, such as {{\"eq\": …}} for a comparison"))),
    }
}

fn list<'v>(at: &str, value: &'v Value) -> Result<&'v [Value], ReadError> {
    match value {
        Value::List(elements) => Ok(elements),
        _ => Err(refuse(format!("{at}: expected a list"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Filter {
        Filter::from_json(text.as_bytes()).unwrap()
    }

    fn why(result: Result<impl std::fmt::Debug, ReadError>) -> String {
        match result {
            Err(ReadError::Query { why }) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_shape_of_the_design_is_read() {
        assert_eq!(read("{}"), Filter::All);
        assert_eq!(read(r#"{"done": {"eq": false}}"#), Filter::eq("done", Value::Bool(false)));
        let contains = Filter::compare("tags", Comparison::Contains(Value::from("home")));
        let done = Filter::eq("done", Value::Bool(false));
        assert_eq!(
            read(r#"{"done": {"eq": false}, "tags": {"contains": "home"}}"#),
            Filter::And(vec![done.clone(), contains.clone()])
        );
        assert_eq!(
            read(r#"{"or": [{"done": {"eq": false}}, {"not": {"tags": {"contains": "home"}}}]}"#),
            Filter::Or(vec![done, Filter::Not(Box::new(contains))])
        );
    }

    #[test]
    fn paths_are_nested_or_dotted() {
        let nested = read(r#"{"author": {"name": {"eq": "Ada"}, "born": {"year": {"lt": 1900}}}}"#);
        let dotted = read(r#"{"author.name": {"eq": "Ada"}, "author.born.year": {"lt": 1900}}"#);
        let parts = |filter| match filter {
            Filter::And(mut parts) => {
                parts.sort_by_key(|part| format!("{part:?}"));
                parts
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(parts(nested), parts(dotted));
    }

    #[test]
    fn every_comparison_has_its_name() {
        for name in COMPARISONS {
            let operand = match name {
                "exists" => "true",
                "in" | "nin" | "any" | "all" => "[]",
                _ => "\"x\"",
            };
            let filter = read(&format!(r#"{{"f": {{"{name}": {operand}}}}}"#));
            assert!(matches!(&filter, Filter::Compare { path, .. } if path == "f"), "{name}: {filter:?}");
        }
        let at = read(r#"{"at": {"gt": {"$timestamp": 5}}}"#);
        assert_eq!(at, Filter::compare("at", Comparison::Gt(Value::Timestamp(5))));
    }

    #[test]
    fn errors_say_where_and_what_to_change() {
        let error = |text: &str| why(Filter::from_json(text.as_bytes()));
        assert!(error("[").contains("not JSON"));
        assert!(error("[]").starts_with("filter: expected an object"));
        assert!(error(r#"{"a": 1}"#).starts_with("a: expected an object"));
        assert!(error(r#"{"a": {}}"#).starts_with("a: compare it"));
        assert!(error(r#"{"a": {"equals": 1}}"#).contains(r#""equals" is not a comparison"#));
        assert!(error(r#"{"a": {"in": 1}}"#).starts_with("a.in: expected a list"));
        assert!(error(r#"{"a": {"like": 1}}"#).starts_with("a.like: expected text"));
        assert!(error(r#"{"a": {"exists": 1}}"#).starts_with("a.exists: expected true"));
        assert!(error(r#"{"not": {"or": {}}}"#).starts_with("filter.not.or: expected a list"));
    }

    #[test]
    fn orders_are_read() {
        let read = |text: &str| Order::from_json(text.as_bytes());
        let order = read(r#"[{"createdAt": "DESC"}, {"a.b": "ASC_NULLS_LAST"}]"#).unwrap();
        let last = Order { nulls: Nulls::Last, ..Order::ascending("a.b") };
        assert_eq!(order, [Order::descending("createdAt"), last]);
        for wrong in
            ["{}", "[1]", "[{}]", r#"[{"a": "UP"}]"#, r#"[{"a": "ASC", "b": "ASC"}]"#, r#"[{"a": "ASC_NULLS_"}]"#]
        {
            why(read(wrong));
        }
    }
}
