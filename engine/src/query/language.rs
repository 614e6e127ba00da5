//! The short filter language of the command line.

mod token;

use super::{Comparison, Filter, Nulls, Order};
use crate::store::ReadError;
use crate::value::Value;
use token::{Token, Tokens};

/// Why text is not a filter, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {fault}")]
pub struct LanguageError {
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong there.
    pub fault: LanguageFault,
}

/// What is wrong with a filter's text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LanguageFault {
    /// Something else should stand here.
    #[error("expected {expected}, found {found}")]
    Expected {
        /// What should stand here.
        expected: &'static str,
        /// What does, cut to 80 characters.
        found: String,
    },
    /// A string without end, or with an escape that JSON does not have.
    #[error("not a string in double quotes as in JSON")]
    String,
    /// Brackets and `not` nest too deep.
    #[error("brackets and `not` nest at most {max} deep", max = Filter::MAX_DEPTH)]
    TooDeep,
}

impl Filter {
    /// Reads a filter in the short language: `section=games size>1000 and not tags:x`.
    ///
    /// ```text
    /// filter = term { "or" term }
    /// term   = factor { ["and"] factor }
    /// factor = "not" factor | "(" filter ")" | path test
    /// test   = ("=" | "!=" | ">" | ">=" | "<" | "<=") value
    ///        | ":" value         contains: an element of a set or list, a part of text
    ///        | "^=" value        text that starts so
    ///        | "~" value         text that matches: % any run, _ any one character, \ takes the next literally
    ///        | "in" "(" value { "," value } ")"
    ///        | "exists" | "missing"
    /// path   = word
    /// value  = word | string
    /// ```
    ///
    /// A word runs up to a blank, a bracket, a comma, a double quote or one of `= ! > < : ^ ~`. As a value, `null`,
    /// `true`, `false` and numbers are what they look like, and every other word is text. A string stands in double
    /// quotes as in JSON, and is always text. Nothing at all gives every document.
    ///
    /// # Errors
    /// [`LanguageError`], with the column. Limits, paths and patterns are checked when the query runs.
    ///
    /// ```
    /// use tidewater_engine::query::{Comparison, Filter};
    ///
    /// let filter = Filter::parse("title ^= \"To do\" not done=true")?;
    /// assert!(matches!(filter, Filter::And(parts) if parts.len() == 2));
    /// let error = Filter::parse("size > ").unwrap_err();
    /// assert_eq!(error.to_string(), "column 8: expected a value, found the end");
    /// # Ok::<(), tidewater_engine::query::LanguageError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, LanguageError> {
        let mut tokens = Tokens::new(text);
        if tokens.peek()? == &Token::End {
            return Ok(Self::All);
        }
        let filter = filter(&mut tokens, 1)?;
        match tokens.peek()? {
            Token::End => Ok(filter),
            _ => Err(tokens.expected("`and`, `or`, or the end")),
        }
    }
}

impl Order {
    /// Reads a sort key: a path, maybe `:asc` or `:desc`, maybe `:nulls-first` or `:nulls-last`.
    ///
    /// # Errors
    /// [`ReadError::Query`], which says what to change.
    pub fn parse(text: &str) -> Result<Self, ReadError> {
        let mut parts = text.split(':');
        let mut order = Self::ascending(parts.next().unwrap_or_default());
        for part in parts {
            match part {
                "asc" => order.descending = false,
                "desc" => order.descending = true,
                "nulls-first" => order.nulls = Nulls::First,
                "nulls-last" => order.nulls = Nulls::Last,
                _ => {
                    let why = format!("order {text:?}: after the field goes :asc, :desc, :nulls-first or :nulls-last");
                    return Err(ReadError::Query { why });
                }
            }
        }
        Ok(order)
    }
}

fn filter(tokens: &mut Tokens<'_>, depth: usize) -> Result<Filter, LanguageError> {
    let mut terms = vec![term(tokens, depth)?];
    while tokens.take_word("or")? {
        terms.push(term(tokens, depth)?);
    }
    Ok(if terms.len() == 1 { terms.remove(0) } else { Filter::Or(terms) })
}

fn term(tokens: &mut Tokens<'_>, depth: usize) -> Result<Filter, LanguageError> {
    let mut factors = vec![factor(tokens, depth)?];
    loop {
        let joined = tokens.take_word("and")?;
        let goes_on = match tokens.peek()? {
            Token::Word(word) => *word != "or",
            token => *token == Token::Open,
        };
        if !joined && !goes_on {
            break;
        }
        factors.push(factor(tokens, depth)?);
    }
    Ok(if factors.len() == 1 { factors.remove(0) } else { Filter::And(factors) })
}

fn factor(tokens: &mut Tokens<'_>, depth: usize) -> Result<Filter, LanguageError> {
    if depth > Filter::MAX_DEPTH {
        return Err(tokens.fault(LanguageFault::TooDeep));
    }
    if tokens.take_word("not")? {
        return Ok(Filter::Not(Box::new(factor(tokens, depth + 1)?)));
    }
    match tokens.peek()?.clone() {
        Token::Open => {
            tokens.advance();
            let inner = filter(tokens, depth + 1)?;
            tokens.take(&Token::Close, "`)`")?;
            Ok(inner)
        }
        Token::Word(path) if !["and", "or"].contains(&path) => {
            tokens.advance();
            Ok(Filter::compare(path, test(tokens)?))
        }
        _ => Err(tokens.expected("a field, `not` or `(`")),
    }
}

fn test(tokens: &mut Tokens<'_>) -> Result<Comparison, LanguageError> {
    let token = tokens.peek()?.clone();
    let operator = match token {
        Token::Operator(operator) => operator,
        Token::Word(word @ ("in" | "exists" | "missing")) => word,
        _ => return Err(tokens.expected("a test: = != > >= < <= : ^= ~ in exists missing")),
    };
    tokens.advance();
    Ok(match operator {
        "=" => Comparison::Eq(value(tokens)?),
        "!=" => Comparison::Ne(value(tokens)?),
        ">" => Comparison::Gt(value(tokens)?),
        ">=" => Comparison::Gte(value(tokens)?),
        "<" => Comparison::Lt(value(tokens)?),
        "<=" => Comparison::Lte(value(tokens)?),
        ":" => Comparison::Contains(value(tokens)?),
        "^=" => Comparison::StartsWith(text(tokens)?),
        "~" => Comparison::Like(text(tokens)?),
        "in" => Comparison::In(values(tokens)?),
        "exists" => Comparison::Exists(true),
        _ => Comparison::Exists(false),
    })
}

fn values(tokens: &mut Tokens<'_>) -> Result<Vec<Value>, LanguageError> {
    tokens.take(&Token::Open, "`(`")?;
    let mut values = vec![value(tokens)?];
    while tokens.peek()? == &Token::Comma {
        tokens.advance();
        values.push(value(tokens)?);
    }
    tokens.take(&Token::Close, "`,` or `)`")?;
    Ok(values)
}

fn value(tokens: &mut Tokens<'_>) -> Result<Value, LanguageError> {
    let value = match tokens.peek()? {
        Token::String(text) => Value::String(text.clone()),
        Token::Word(word) => match Value::from_json(word.as_bytes()) {
            Ok(value @ (Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_))) => value,
            _ => Value::String((*word).to_owned()),
        },
        _ => return Err(tokens.expected("a value")),
    };
    tokens.advance();
    Ok(value)
}

fn text(tokens: &mut Tokens<'_>) -> Result<String, LanguageError> {
    let text = match tokens.peek()? {
        Token::String(text) => text.clone(),
        Token::Word(word) => (*word).to_owned(),
        _ => return Err(tokens.expected("text")),
    };
    tokens.advance();
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Filter {
        Filter::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn error(text: &str) -> String {
        Filter::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn blanks_and_and_bind_closer_than_or() {
        let (a, b, c) = (Filter::eq("a", 1.into()), Filter::eq("b", 2.into()), Filter::eq("c", 3.into()));
        assert_eq!(parse(""), Filter::All);
        assert_eq!(parse(" a=1 "), a);
        assert_eq!(parse("a=1 b=2"), Filter::And(vec![a.clone(), b.clone()]));
        assert_eq!(parse("a = 1 and b=2 or c=3"), Filter::Or(vec![Filter::And(vec![a.clone(), b.clone()]), c.clone()]));
        let or = Filter::Or(vec![b, c]);
        assert_eq!(parse("a=1 (b=2 or c=3)"), Filter::And(vec![a.clone(), or.clone()]));
        assert_eq!(parse("not (b=2 or c=3) and a=1"), Filter::And(vec![Filter::Not(Box::new(or)), a]));
    }

    #[test]
    fn every_test_is_read() {
        let test = |text: &str, comparison| assert_eq!(parse(text), Filter::compare("f.g", comparison), "{text}");
        test("f.g!=null", Comparison::Ne(Value::Null));
        test("f.g>1", Comparison::Gt(1.into()));
        test("f.g >= -1.5", Comparison::Gte((-1.5).into()));
        test("f.g<2024-01-01", Comparison::Lt("2024-01-01".into()));
        test("f.g<=\"1\"", Comparison::Lte("1".into()));
        test("f.g:home", Comparison::Contains("home".into()));
        test("f.g^=12", Comparison::StartsWith("12".into()));
        test("f.g~%a_", Comparison::Like("%a_".into()));
        test("f.g in (1, two,\"th\\\"ree\")", Comparison::In(vec![1.into(), "two".into(), "th\"ree".into()]));
        test("f.g exists", Comparison::Exists(true));
        test("f.g missing", Comparison::Exists(false));
        test("f.g=true", Comparison::Eq(true.into()));
        test("f.g=[1]", Comparison::Eq("[1]".into()));
        test("f.g=or", Comparison::Eq("or".into()));
        test("f.g=水", Comparison::Eq("水".into()));
    }

    #[test]
    fn errors_have_their_column() {
        assert_eq!(error("size > "), "column 8: expected a value, found the end");
        assert_eq!(error("水=1 and"), "column 8: expected a field, `not` or `(`, found the end");
        assert_eq!(error("a=1 )"), "column 5: expected `and`, `or`, or the end, found `)`");
        assert_eq!(error("(a=1"), "column 5: expected `)`, found the end");
        assert!(error("a b").starts_with("column 3: expected a test"));
        assert!(error("a=\"x").starts_with("column 3: not a string"));
        assert!(error("a ! 1").starts_with("column 3: expected"));
        assert!(error("or a=1").starts_with("column 1: expected a field"));
        assert!(error("a in ()").starts_with("column 7: expected a value"));
        let deep = format!("{}a=1", "not ".repeat(100_000));
        assert!(error(&deep).contains("at most 32 deep"));
        assert!(error(&"(".repeat(100_000)).contains("at most 32 deep"));
    }

    #[test]
    fn sort_keys_are_read() {
        assert_eq!(Order::parse("a.b").unwrap(), Order::ascending("a.b"));
        assert_eq!(Order::parse("a:desc").unwrap(), Order::descending("a"));
        let last = Order { nulls: Nulls::Last, ..Order::descending("a") };
        assert_eq!(Order::parse("a:desc:nulls-last").unwrap(), last);
        assert!(Order::parse("a:down").unwrap_err().to_string().contains(":asc, :desc"));
    }
}
