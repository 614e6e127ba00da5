//! `where` arguments.

use async_graphql::Value as Argument;
use tidewater_engine::query::{Comparison, Filter};
use tidewater_engine::value::Value;

use super::value::{json, value};
use super::{LowerError, elements, object, text};
use crate::graphql::catalog::Collection;
use crate::graphql::shape::Shape;

/// How deeply `and`, `or` and `not` may be nested.
pub(crate) const MAX_DEPTH: usize = 16;
/// How many comparisons one filter may have.
pub(crate) const MAX_COMPARISONS: usize = 256;
/// How many values an `in`, `nin`, `any` or `all` may list.
pub(crate) const MAX_LISTED: usize = 1_000;

/// The filter that a `where` argument says, over `collection` or, without one, over any field by its name in the database.
pub(crate) fn filter(collection: Option<&Collection>, argument: &Argument) -> Result<Filter, LowerError> {
    let mut lowering = Lowering { collection, comparisons: 0 };
    lowering.all("where", argument, 0)
}

struct Lowering<'a> {
    collection: Option<&'a Collection>,
    comparisons: usize,
}

impl Lowering<'_> {
    fn all(&mut self, at: &str, argument: &Argument, depth: usize) -> Result<Filter, LowerError> {
        if depth > MAX_DEPTH {
            let (given, limit) = (depth as u64, MAX_DEPTH as u64);
            return Err(LowerError::Limit { at: at.to_owned(), what: "the nesting", given, limit });
        }
        let mut parts = Vec::new();
        for (name, argument) in object(at, argument)?.iter().filter(|(_, argument)| **argument != Argument::Null) {
            let at = format!("{at}.{name}");
            match name.as_str() {
                "and" => parts.extend(self.several(&at, argument, depth)?),
                "or" => parts.push(Filter::Or(self.several(&at, argument, depth)?)),
                "not" => parts.push(Filter::Not(Box::new(self.all(&at, argument, depth + 1)?))),
                name => self.field(&at, name, argument, &mut parts)?,
            }
        }
        Ok(match parts.len() {
            0 => Filter::All,
            1 => parts.remove(0),
            _ => Filter::And(parts),
        })
    }

    fn several(&mut self, at: &str, argument: &Argument, depth: usize) -> Result<Vec<Filter>, LowerError> {
        elements(argument).iter().map(|argument| self.all(at, argument, depth + 1)).collect()
    }

    fn field(&mut self, at: &str, name: &str, argument: &Argument, parts: &mut Vec<Filter>) -> Result<(), LowerError> {
        let (mut path, shape) = match (name, self.collection) {
            ("id", _) => ("id".to_owned(), &Shape::String),
            (path, None) => (path.to_owned(), &Shape::Json),
            (name, Some(collection)) => match collection.fields.get(name) {
                Some(field) => (field.path.clone(), &field.shape),
                None => {
                    return Err(LowerError::Unknown { at: at.to_owned(), what: "field", name: name.to_owned() });
                }
            },
        };
        let comparisons = object(at, argument)?;
        if let (Shape::Json, Some(inner)) = (shape, comparisons.get("path")) {
            path = format!("{path}.{}", text(at, inner)?);
        }
        for (operator, operand) in comparisons.iter().filter(|(operator, _)| *operator != "path") {
            self.comparisons += 1;
            if self.comparisons > MAX_COMPARISONS {
                let (given, limit) = (self.comparisons as u64, MAX_COMPARISONS as u64);
                return Err(LowerError::Limit { at: at.to_owned(), what: "the number of comparisons", given, limit });
            }
            let comparison = comparison(&format!("{at}.{operator}"), operator, shape, operand)?;
            parts.push(Filter::Compare { path: path.clone(), comparison });
        }
        Ok(())
    }
}

fn comparison(at: &str, operator: &str, shape: &Shape, operand: &Argument) -> Result<Comparison, LowerError> {
    let one = || value(at, shape, operand);
    let listed = |shape: &Shape| listed(at, shape, operand);
    let element = match shape {
        Shape::List(element) => element,
        other => other,
    };
    Ok(match operator {
        "eq" => Comparison::Eq(one()?),
        "ne" => Comparison::Ne(one()?),
        "gt" => Comparison::Gt(one()?),
        "gte" => Comparison::Gte(one()?),
        "lt" => Comparison::Lt(one()?),
        "lte" => Comparison::Lte(one()?),
        "in" => Comparison::In(listed(shape)?),
        "nin" => Comparison::Nin(listed(shape)?),
        "like" => Comparison::Like(text(at, operand)?.to_owned()),
        "startsWith" => Comparison::StartsWith(text(at, operand)?.to_owned()),
        "contains" if *shape == Shape::String => Comparison::Contains(Value::String(text(at, operand)?.to_owned())),
        "contains" => Comparison::Contains(value(at, element, operand)?),
        "any" => Comparison::Any(listed(element)?),
        "all" => Comparison::Every(listed(element)?),
        "exists" => match json(at, operand)? {
            Value::Bool(there) => Comparison::Exists(there),
            _ => return Err(LowerError::expected(at, "true or false", operand)),
        },
        other => return Err(LowerError::Unknown { at: at.to_owned(), what: "comparison", name: other.to_owned() }),
    })
}

fn listed(at: &str, shape: &Shape, operand: &Argument) -> Result<Vec<Value>, LowerError> {
    let operands = elements(operand);
    if operands.len() > MAX_LISTED {
        let (given, limit) = (operands.len() as u64, MAX_LISTED as u64);
        return Err(LowerError::Limit { at: at.to_owned(), what: "the number of values", given, limit });
    }
    operands.iter().map(|operand| value(at, shape, operand)).collect()
}

#[cfg(test)]
mod tests {
    use async_graphql::value;

    use super::*;
    use crate::graphql::catalog::sample::notes;

    fn compare(path: &str, comparison: Comparison) -> Filter {
        Filter::Compare { path: path.to_owned(), comparison }
    }

    #[test]
    fn every_comparison_lowers_by_the_shape_of_its_field() {
        let string = |text: &str| Value::String(text.to_owned());
        let cases = [
            (value!({"done": {"eq": false}}), compare("done", Comparison::Eq(Value::Bool(false)))),
            (value!({"title": {"ne": "x"}}), compare("title", Comparison::Ne(string("x")))),
            (value!({"views": {"gt": 3}}), compare("views", Comparison::Gt(Value::Int(3)))),
            (
                value!({"views": {"gte": "9007199254740993"}}),
                compare("views", Comparison::Gte(Value::Int(9_007_199_254_740_993))),
            ),
            (value!({"score": {"lt": 1}}), compare("score", Comparison::Lt(Value::Float(1.0)))),
            (value!({"id": {"in": ["a", "b"]}}), compare("id", Comparison::In(vec![string("a"), string("b")]))),
            (value!({"title": {"like": "a%"}}), compare("title", Comparison::Like("a%".to_owned()))),
            (value!({"tags": {"contains": "home"}}), compare("tags", Comparison::Contains(string("home")))),
            (value!({"tags": {"any": ["a"]}}), compare("tags", Comparison::Any(vec![string("a")]))),
            (value!({"tags": {"all": "a"}}), compare("tags", Comparison::Every(vec![string("a")]))),
            (value!({"a_b": {"exists": true}}), compare("a b", Comparison::Exists(true))),
            (
                value!({"extra": {"path": "city.zip", "eq": 1}}),
                compare("extra.city.zip", Comparison::Eq(Value::Int(1))),
            ),
            (value!({"title": {"eq": null}}), compare("title", Comparison::Eq(Value::Null))),
            (value!({"title": null}), Filter::All),
        ];
        for (argument, expected) in cases {
            assert_eq!(filter(Some(&notes()), &argument), Ok(expected), "{argument}");
        }
    }

    #[test]
    fn several_conditions_hold_together_and_combine() {
        let done = |value| compare("done", Comparison::Eq(Value::Bool(value)));
        let argument = value!({"done": {"eq": true}, "or": [{"done": {"eq": false}}, {"not": {"done": {"eq": true}}}]});
        let expected = Filter::And(vec![done(true), Filter::Or(vec![done(false), Filter::Not(Box::new(done(true)))])]);
        assert_eq!(filter(Some(&notes()), &argument), Ok(expected));
    }

    #[test]
    fn without_a_collection_fields_go_by_their_own_names() {
        let argument = value!({"address.city": {"eq": "Kiel"}});
        let expected = compare("address.city", Comparison::Eq(Value::String("Kiel".into())));
        assert_eq!(filter(None, &argument), Ok(expected));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let error = |argument| filter(Some(&notes()), &argument).unwrap_err().to_string();
        assert_eq!(error(value!({"nope": {"eq": 1}})), "where.nope: unknown field \"nope\"");
        assert_eq!(
            error(value!({"views": {"eq": "x"}})),
            "where.views.eq: expected a whole number of 64 bits, found \"x\""
        );
        assert_eq!(error(value!({"views": {"near": 1}})), "where.views.near: unknown comparison \"near\"");
        assert_eq!(error(value!([])), "where: expected an object, found a list");
    }

    #[test]
    fn nesting_and_lists_are_bounded() {
        let deep = (0..MAX_DEPTH + 1).fold(value!({}), |inner, _| value!({"not": inner}));
        assert!(matches!(filter(None, &deep), Err(LowerError::Limit { what: "the nesting", .. })));
        let long = value!({"id": {"in": Argument::List(vec![value!("x"); MAX_LISTED + 1])}});
        assert!(matches!(filter(None, &long), Err(LowerError::Limit { what: "the number of values", .. })));
        let many = Argument::List(vec![value!({"id": {"eq": "x"}}); MAX_COMPARISONS + 1]);
        assert!(matches!(filter(None, &value!({"or": many})), Err(LowerError::Limit { .. })));
    }
}
