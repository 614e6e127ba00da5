//! What a query may ask. The limits keep a query of a stranger from costing more than the data it reads.

use super::like::Pattern;
use super::path::ID;
use super::{Comparison, Filter, Query};
use crate::store::ReadError;
use crate::value::Value;

impl Filter {
    /// How deep filters nest at most.
    pub const MAX_DEPTH: usize = 32;
    /// How many nodes a filter has at most, comparisons included.
    pub const MAX_NODES: usize = 1_000;
    /// How many values a list of a comparison has at most.
    pub const MAX_LIST: usize = 10_000;
    /// How long a pattern is at most, in bytes.
    pub const MAX_PATTERN_BYTES: usize = 64 << 10;
    /// How long a path is at most, in bytes.
    pub const MAX_PATH_BYTES: usize = 1 << 10;

    /// Checks the limits, the paths, the patterns and the values.
    ///
    /// # Errors
    /// [`ReadError::Query`], which says what to change.
    pub fn validate(&self) -> Result<(), ReadError> {
        let mut nodes = 0;
        self.validate_node(1, &mut nodes)
    }

    fn validate_node(&self, depth: usize, nodes: &mut usize) -> Result<(), ReadError> {
        *nodes += 1;
        if depth > Self::MAX_DEPTH {
            return Err(refuse(format!("the filter nests deeper than {}; flatten it", Self::MAX_DEPTH)));
        }
        if *nodes > Self::MAX_NODES {
            return Err(refuse(format!(
                "the filter has more than {} parts; use `in` for many values",
                Self::MAX_NODES
            )));
        }
        match self {
            Self::All => Ok(()),
            Self::And(parts) | Self::Or(parts) => {
                parts.iter().try_for_each(|part| part.validate_node(depth + 1, nodes))
            }
            Self::Not(part) => part.validate_node(depth + 1, nodes),
            Self::Compare { path, comparison } => {
                validate_path(path)?;
                validate_comparison(path, comparison)
            }
        }
    }
}

impl Query {
    /// How many sort keys a query has at most.
    pub const MAX_ORDER: usize = 16;
    /// How many fields a query selects at most.
    pub const MAX_SELECT: usize = 1_000;

    /// Checks the filter, the order and the selection.
    ///
    /// # Errors
    /// [`ReadError::Query`], which says what to change.
    pub fn validate(&self) -> Result<(), ReadError> {
        if self.collection.is_empty() {
            return Err(refuse("it names no collection".to_owned()));
        }
        if self.order.len() > Self::MAX_ORDER {
            return Err(refuse(format!("it has {} sort keys, at most {} go", self.order.len(), Self::MAX_ORDER)));
        }
        if let Some(select) = self.select.as_ref().filter(|select| select.len() > Self::MAX_SELECT) {
            return Err(refuse(format!("it selects {} fields, at most {} go", select.len(), Self::MAX_SELECT)));
        }
        self.order.iter().try_for_each(|order| validate_path(&order.path))?;
        self.filter.validate()
    }
}

/// The error for a query that is not valid.
pub(crate) fn refuse(why: String) -> ReadError {
    ReadError::Query { why }
}

fn validate_path(path: &str) -> Result<(), ReadError> {
    if path.len() > Filter::MAX_PATH_BYTES {
        return Err(refuse(format!("a path of {} bytes, at most {} go", path.len(), Filter::MAX_PATH_BYTES)));
    }
    if path.split('.').any(str::is_empty) {
        return Err(refuse(format!("{path:?} is not a path; write field names joined by single dots")));
    }
    if path.strip_prefix(ID).is_some_and(|rest| rest.starts_with('.')) {
        return Err(refuse(format!("{path:?}: `{ID}` is the document's id, which has no fields")));
    }
    Ok(())
}

fn validate_comparison(path: &str, comparison: &Comparison) -> Result<(), ReadError> {
    match comparison {
        Comparison::Eq(value)
        | Comparison::Ne(value)
        | Comparison::Gt(value)
        | Comparison::Gte(value)
        | Comparison::Lt(value)
        | Comparison::Lte(value)
        | Comparison::Contains(value) => validate_value(path, value),
        Comparison::In(values) | Comparison::Nin(values) | Comparison::Any(values) | Comparison::Every(values) => {
            if values.len() > Filter::MAX_LIST {
                let max = Filter::MAX_LIST;
                return Err(refuse(format!("{path}: a list of {} values, at most {max} go; split it", values.len())));
            }
            values.iter().try_for_each(|value| validate_value(path, value))
        }
        Comparison::Like(text) | Comparison::StartsWith(text) if text.len() > Filter::MAX_PATTERN_BYTES => {
            let max = Filter::MAX_PATTERN_BYTES;
            Err(refuse(format!("{path}: a pattern of {} bytes, at most {max} go", text.len())))
        }
        Comparison::Like(pattern) if Pattern::new(pattern).is_none() => {
            Err(refuse(format!("{path}: a pattern ends in `\\`; write `\\\\` for the character itself")))
        }
        Comparison::Like(_) | Comparison::StartsWith(_) | Comparison::Exists(_) => Ok(()),
    }
}

fn validate_value(path: &str, value: &Value) -> Result<(), ReadError> {
    value.to_bytes().map(drop).map_err(|error| refuse(format!("{path}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::{Nulls, Order};

    fn why(filter: &Filter) -> String {
        match filter.validate() {
            Err(ReadError::Query { why }) => why,
            other => panic!("{other:?}"),
        }
    }

    fn exists() -> Filter {
        Filter::compare("a", Comparison::Exists(true))
    }

    #[test]
    fn a_filter_at_the_limits_is_valid_and_beyond_them_is_not() {
        let nested = |depth| (1..depth).fold(exists(), |filter, _| Filter::Not(Box::new(filter)));
        assert!(nested(Filter::MAX_DEPTH).validate().is_ok());
        assert!(why(&nested(Filter::MAX_DEPTH + 1)).contains("nests deeper than 32"));

        let wide = |nodes| Filter::Or(vec![exists(); nodes - 1]);
        assert!(wide(Filter::MAX_NODES).validate().is_ok());
        assert!(why(&wide(Filter::MAX_NODES + 1)).contains("more than 1000 parts"));

        let listed = |count| Filter::compare("a", Comparison::In(vec![Value::Null; count]));
        assert!(listed(Filter::MAX_LIST).validate().is_ok());
        assert!(why(&listed(Filter::MAX_LIST + 1)).contains("a: a list of 10001 values"));

        let like = |bytes| Filter::compare("a", Comparison::Like("x".repeat(bytes)));
        assert!(like(Filter::MAX_PATTERN_BYTES).validate().is_ok());
        assert!(why(&like(Filter::MAX_PATTERN_BYTES + 1)).contains("a pattern of 65537 bytes"));
    }

    #[test]
    fn paths_patterns_and_values_are_checked() {
        for path in ["", ".", "a.", ".a", "a..b"] {
            assert!(why(&Filter::eq(path, Value::Null)).contains("is not a path"), "{path}");
        }
        assert!(why(&Filter::eq("id.x", Value::Null)).contains("document's id"));
        assert!(Filter::eq("identity", Value::Null).validate().is_ok());
        assert!(why(&Filter::compare("a", Comparison::Like("x\\".into()))).contains("ends in"));
        assert!(why(&Filter::eq("a", Value::Float(f64::NAN))).contains("NaN"));
        assert!(why(&Filter::compare("a", Comparison::In(vec![Value::Float(f64::NAN)]))).contains("NaN"));
    }

    #[test]
    fn a_query_has_a_collection_and_few_sort_keys() {
        assert!(Query::all("").validate().is_err());
        let order = Order { path: "a".to_owned(), descending: false, nulls: Nulls::Least };
        let ordered = |count| Query { order: vec![order.clone(); count], ..Query::all("c") };
        assert!(ordered(Query::MAX_ORDER).validate().is_ok());
        assert!(ordered(Query::MAX_ORDER + 1).validate().is_err());
    }
}
