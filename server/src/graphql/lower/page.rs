//! Orders, pages, and whole list queries.

use async_graphql::Value as Argument;
use data_encoding::BASE64URL_NOPAD;
use tidewater_engine::id::SpaceId;
use tidewater_engine::query::{Cursor, Nulls, Order, Page, Query};

use super::filter::filter;
use super::{Arguments, LowerError, count, elements, given, item, object, text};
use crate::graphql::catalog::Collection;

/// How many documents a list gives when `first` is not said.
pub(crate) const DEFAULT_FIRST: usize = 100;
/// The most that `first` may ask for.
pub(crate) const MAX_FIRST: usize = 1_000;
/// The longest cursor, in characters.
const MAX_CURSOR_CHARACTERS: usize = 16_384;
/// How many sort keys a query may have.
const MAX_ORDERS: usize = 16;

/// The query that a list field's arguments say; `counted` asks for the total too.
pub(crate) fn query(
    name: &str,
    collection: Option<&Collection>,
    arguments: &Arguments,
    counted: bool,
) -> Result<Query, LowerError> {
    let mut query = Query::all(name);
    if let Some(argument) = given(arguments, "where") {
        query.filter = filter(collection, argument)?;
    }
    if let Some(argument) = given(arguments, "orderBy") {
        query.order = orders(collection, argument)?;
    }
    query.spaces = spaces(arguments)?;
    query.page = Page { limit: Some(first(arguments)?), after: after(arguments)?, count: counted };
    Ok(query)
}

/// How many documents are asked for.
pub(crate) fn first(arguments: &Arguments) -> Result<usize, LowerError> {
    let first = given(arguments, "first").map_or(Ok(DEFAULT_FIRST), |argument| count("first", argument))?;
    if first > MAX_FIRST {
        let (given, limit) = (first as u64, MAX_FIRST as u64);
        return Err(LowerError::Limit { at: "first".to_owned(), what: "the page", given, limit });
    }
    Ok(first)
}

/// The cursor as text.
pub(crate) fn cursor_text(cursor: &Cursor) -> String {
    BASE64URL_NOPAD.encode(&cursor.0)
}

fn after(arguments: &Arguments) -> Result<Option<Cursor>, LowerError> {
    let Some(argument) = given(arguments, "after") else { return Ok(None) };
    let characters = text("after", argument)?;
    if characters.len() > MAX_CURSOR_CHARACTERS {
        let (given, limit) = (characters.len() as u64, MAX_CURSOR_CHARACTERS as u64);
        return Err(LowerError::Limit { at: "after".to_owned(), what: "the cursor's length", given, limit });
    }
    let bytes = BASE64URL_NOPAD
        .decode(characters.as_bytes())
        .map_err(|_| LowerError::expected("after", "a cursor that an earlier page gave", argument))?;
    Ok(Some(Cursor(bytes)))
}

/// The spaces that `spaces` names.
pub(crate) fn spaces(arguments: &Arguments) -> Result<Option<Vec<SpaceId>>, LowerError> {
    let Some(argument) = given(arguments, "spaces") else { return Ok(None) };
    elements(argument).iter().map(|argument| space_id("spaces", argument)).collect::<Result<_, _>>().map(Some)
}

/// The space that `space` names.
pub(crate) fn space(arguments: &Arguments) -> Result<Option<SpaceId>, LowerError> {
    given(arguments, "space").map(|argument| space_id("space", argument)).transpose()
}

fn space_id(at: &str, argument: &Argument) -> Result<SpaceId, LowerError> {
    text(at, argument)?.parse().map_err(|_| LowerError::expected(at, "a space's id", argument))
}

fn orders(collection: Option<&Collection>, argument: &Argument) -> Result<Vec<Order>, LowerError> {
    let keys = elements(argument);
    if keys.len() > MAX_ORDERS {
        let (given, limit) = (keys.len() as u64, MAX_ORDERS as u64);
        return Err(LowerError::Limit { at: "orderBy".to_owned(), what: "the number of keys", given, limit });
    }
    keys.iter().map(|key| order(collection, key)).collect()
}

fn order(collection: Option<&Collection>, key: &Argument) -> Result<Order, LowerError> {
    let at = "orderBy";
    let mut pairs = object(at, key)?.iter().filter(|(_, direction)| **direction != Argument::Null);
    let (Some((name, direction)), None) = (pairs.next(), pairs.next()) else {
        return Err(LowerError::expected(at, "an object with one field (a list of such gives the order of keys)", key));
    };
    let path = match collection {
        _ if name == "id" => "id".to_owned(),
        None => name.to_string(),
        Some(collection) => match collection.fields.get(name.as_str()) {
            Some(field) => field.path.clone(),
            None => return Err(LowerError::Unknown { at: at.to_owned(), what: "field", name: name.to_string() }),
        },
    };
    let (descending, nulls) = match item(at, direction)? {
        "ASC" => (false, Nulls::Least),
        "DESC" => (true, Nulls::Least),
        "ASC_NULLS_FIRST" => (false, Nulls::First),
        "ASC_NULLS_LAST" => (false, Nulls::Last),
        "DESC_NULLS_FIRST" => (true, Nulls::First),
        "DESC_NULLS_LAST" => (true, Nulls::Last),
        other => return Err(LowerError::Unknown { at: at.to_owned(), what: "direction", name: other.to_owned() }),
    };
    Ok(Order { path, descending, nulls })
}

#[cfg(test)]
mod tests {
    use async_graphql::{Name, value};

    use super::*;
    use crate::graphql::catalog::sample::notes;

    fn lower(argument: Argument) -> Result<Query, LowerError> {
        query("notes", Some(&notes()), object("test", &argument)?, false)
    }

    #[test]
    fn a_list_query_has_a_filter_an_order_and_a_page() {
        let query = lower(value!({
            "where": {"done": {"eq": false}},
            "orderBy": [{"title": (Argument::Enum(Name::new("DESC_NULLS_LAST")))}, {"id": "ASC"}],
            "first": 20,
            "after": "AQID",
            "spaces": "abababababababababababababababababababababababababababababababab",
        }))
        .unwrap();
        let by = |path: &str, descending, nulls| Order { path: path.to_owned(), descending, nulls };
        assert_eq!(query.order, [by("title", true, Nulls::Last), by("id", false, Nulls::Least)]);
        assert_eq!(query.page, Page { limit: Some(20), after: Some(Cursor(vec![1, 2, 3])), count: false });
        assert_eq!(query.spaces, Some(vec![SpaceId([0xab; 32])]));
        assert_eq!(cursor_text(&Cursor(vec![1, 2, 3])), "AQID");
    }

    #[test]
    fn a_page_has_a_default_and_a_limit() {
        assert_eq!(lower(value!({})).unwrap().page.limit, Some(DEFAULT_FIRST));
        assert!(matches!(lower(value!({"first": 1001})), Err(LowerError::Limit { given: 1001, .. })));
        for wrong in
            [value!({"first": (-1)}), value!({"first": "x"}), value!({"after": "!"}), value!({"spaces": ["x"]})]
        {
            assert!(lower(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_order_names_one_known_field_a_key() {
        for wrong in [
            value!([{"title": "ASC", "done": "ASC"}]),
            value!([{"nope": "ASC"}]),
            value!([{"title": "UP"}]),
            value!([{}]),
        ] {
            assert!(lower(value!({"orderBy": wrong.clone()})).is_err(), "{wrong}");
        }
    }
}
