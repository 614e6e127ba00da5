//! `input`, `inputs` and `patch` arguments.

use async_graphql::Value as Argument;
use tidewater_engine::operation::FieldKind;
use tidewater_engine::store::{Edit, PathSegment};
use tidewater_engine::value::Fields;

use super::value::{int, json, value};
use super::{Arguments, LowerError, count, elements, given, id, object, text};
use crate::graphql::catalog::{Collection, Field};
use crate::graphql::shape::Shape;

/// How many documents one mutation may create.
pub(crate) const MAX_INPUTS: usize = 10_000;
/// How many edits one patch may hold.
pub(crate) const MAX_EDITS: usize = 10_000;

/// What an input object says: an id, if it has one, and the fields.
pub(crate) fn input(collection: &Collection, argument: &Argument) -> Result<(Option<String>, Fields), LowerError> {
    let mut fields = Fields::new();
    let mut given_id = None;
    for (name, argument) in object("input", argument)? {
        let at = format!("input.{name}");
        match name.as_str() {
            "id" if *argument == Argument::Null => {}
            "id" => given_id = Some(id(&at, argument)?),
            "_fields" => fields.extend(json_fields(&at, argument)?),
            name => {
                let field = known(collection, &at, name)?;
                fields.insert(field.path.clone(), value(&at, &field.shape, argument)?);
            }
        }
    }
    Ok((given_id, fields))
}

/// What `inputs` says.
pub(crate) fn inputs(
    collection: &Collection,
    argument: &Argument,
) -> Result<Vec<(Option<String>, Fields)>, LowerError> {
    let inputs = elements(argument);
    if inputs.len() > MAX_INPUTS {
        let (given, limit) = (inputs.len() as u64, MAX_INPUTS as u64);
        return Err(LowerError::Limit { at: "inputs".to_owned(), what: "the number of inputs", given, limit });
    }
    inputs.iter().map(|argument| input(collection, argument)).collect()
}

/// A JSON object as fields by their names in the database.
pub(crate) fn json_fields(at: &str, argument: &Argument) -> Result<Fields, LowerError> {
    match argument {
        Argument::Null => Ok(Fields::new()),
        Argument::Object(_) => crate::graphql::json::fields_from_argument(argument)
            .map_err(|why| LowerError::Json { at: at.to_owned(), why }),
        other => Err(LowerError::expected(at, "an object", other)),
    }
}

/// The edits that a patch says. Without a collection, fields go by their names in the database and may be of any kind.
pub(crate) fn patch(collection: Option<&Collection>, argument: &Argument) -> Result<Vec<(String, Edit)>, LowerError> {
    let mut edits = Vec::new();
    for (name, argument) in object("patch", argument)?.iter().filter(|(_, argument)| **argument != Argument::Null) {
        let at = format!("patch.{name}");
        match (name.as_str(), collection) {
            ("_fields", Some(_)) => edits.extend(patch(None, argument)?),
            (name, Some(collection)) => {
                let field = known(collection, &at, name)?;
                field_edits(&at, &field.path, field.kind, &field.shape, argument, &mut edits)?;
            }
            (path, None) => field_edits(&at, path, None, &Shape::Json, argument, &mut edits)?,
        }
    }
    if edits.len() > MAX_EDITS {
        let (given, limit) = (edits.len() as u64, MAX_EDITS as u64);
        return Err(LowerError::Limit { at: "patch".to_owned(), what: "the number of edits", given, limit });
    }
    Ok(edits)
}

fn known<'a>(collection: &'a Collection, at: &str, name: &str) -> Result<&'a Field, LowerError> {
    collection.fields.get(name).ok_or_else(|| LowerError::Unknown {
        at: at.to_owned(),
        what: "field",
        name: name.to_owned(),
    })
}

/// The edits of one field, in the order they are given in.
fn field_edits(
    at: &str,
    path: &str,
    kind: Option<FieldKind>,
    shape: &Shape,
    argument: &Argument,
    edits: &mut Vec<(String, Edit)>,
) -> Result<(), LowerError> {
    let element = match shape {
        Shape::List(element) => element,
        other => other,
    };
    // An undeclared field may hold anything, whatever the sample showed.
    let anything = if kind.is_some() { shape } else { &Shape::Json };
    let listed = |at: &str, argument: &Argument| {
        elements(argument).iter().map(|argument| value(at, element, argument)).collect::<Result<Vec<_>, _>>()
    };
    let mut push = |edit| edits.push((path.to_owned(), edit));
    for (name, argument) in object(at, argument)? {
        let at = format!("{at}.{name}");
        match name.as_str() {
            "set" => push(Edit::Set(value(&at, anything, argument)?)),
            _ if *argument == Argument::Null => {}
            "clear" if *argument == Argument::Boolean(true) => push(Edit::Clear),
            "clear" => {}
            "increment" => {
                let by = int(argument).ok_or_else(|| LowerError::expected(&at, "a whole number", argument))?;
                push(Edit::Increment(by));
            }
            "add" => push(Edit::Add(listed(&at, argument)?)),
            "remove" => push(Edit::Remove(listed(&at, argument)?)),
            "splice" => elements(argument).iter().try_for_each(|one| splice(&at, one).map(&mut push))?,
            "put" => elements(argument).iter().try_for_each(|one| at_path(&at, one, AtPath::Put).map(&mut push))?,
            "insert" => {
                elements(argument).iter().try_for_each(|one| at_path(&at, one, AtPath::Insert).map(&mut push))?
            }
            "cut" => elements(argument).iter().try_for_each(|one| at_path(&at, one, AtPath::Cut).map(&mut push))?,
            other => return Err(LowerError::Unknown { at, what: "edit", name: other.to_owned() }),
        }
    }
    Ok(())
}

fn splice(at: &str, argument: &Argument) -> Result<Edit, LowerError> {
    let arguments = object(at, argument)?;
    let number = |name: &str| given(arguments, name).map_or(Ok(0), |argument| count(&format!("{at}.{name}"), argument));
    let insert = given(arguments, "insert").map_or(Ok(""), |argument| text(&format!("{at}.insert"), argument))?;
    Ok(Edit::Splice { at: number("at")?, delete: number("delete")?, insert: insert.to_owned() })
}

enum AtPath {
    Put,
    Insert,
    Cut,
}

fn at_path(at: &str, argument: &Argument, edit: AtPath) -> Result<Edit, LowerError> {
    let arguments = object(at, argument)?;
    let path = json_path(at, arguments)?;
    let value = || json(&format!("{at}.value"), arguments.get("value").unwrap_or(&Argument::Null));
    Ok(match edit {
        AtPath::Put => Edit::Put { path, value: value()? },
        AtPath::Insert => Edit::Insert { path, value: value()? },
        AtPath::Cut => Edit::Cut { path },
    })
}

fn json_path(at: &str, arguments: &Arguments) -> Result<Vec<PathSegment>, LowerError> {
    let at = format!("{at}.path");
    let segments = given(arguments, "path").map(elements).unwrap_or_default();
    let segment = |argument: &Argument| match argument {
        Argument::String(key) => Ok(PathSegment::Key(key.clone())),
        position => count(&at, position).map(PathSegment::Index),
    };
    segments.iter().map(segment).collect()
}

#[cfg(test)]
mod tests {
    use async_graphql::value;
    use tidewater_engine::value::Value;

    use super::*;
    use crate::graphql::catalog::sample::notes;

    fn string(text: &str) -> Value {
        Value::String(text.to_owned())
    }

    #[test]
    fn a_patch_has_an_edit_for_every_kind_of_field() {
        let argument = value!({
            "title": {"set": "x"},
            "views": {"increment": 1},
            "tags": {"add": ["a", "b"], "remove": "c"},
            "body": {"splice": [{"at": 2, "delete": 1, "insert": "Hi"}, {"insert": "!"}]},
            "extra": {"put": {"path": ["a", 0], "value": {"b": 1}}, "cut": {"path": "c"}},
            "done": {"clear": true},
        });
        let object: Fields = [("b".to_owned(), Value::Int(1))].into();
        let path = vec![PathSegment::Key("a".into()), PathSegment::Index(0)];
        let splice = |at, delete, insert: &str| Edit::Splice { at, delete, insert: insert.to_owned() };
        let expected = [
            ("title", Edit::Set(string("x"))),
            ("views", Edit::Increment(1)),
            ("tags", Edit::Add(vec![string("a"), string("b")])),
            ("tags", Edit::Remove(vec![string("c")])),
            ("body", splice(2, 1, "Hi")),
            ("body", splice(0, 0, "!")),
            ("extra", Edit::Put { path, value: Value::Object(object) }),
            ("extra", Edit::Cut { path: vec![PathSegment::Key("c".into())] }),
            ("done", Edit::Clear),
        ];
        let expected: Vec<_> = expected.into_iter().map(|(path, edit)| (path.to_owned(), edit)).collect();
        assert_eq!(patch(Some(&notes()), &argument), Ok(expected));
    }

    #[test]
    fn absent_and_null_change_nothing_but_set_null_sets() {
        let argument =
            value!({"title": null, "views": {"increment": null}, "done": {"clear": false}, "score": {"set": null}});
        assert_eq!(patch(Some(&notes()), &argument), Ok(vec![("score".to_owned(), Edit::Set(Value::Null))]));
    }

    #[test]
    fn an_undeclared_field_can_be_set_to_anything() {
        let argument = value!({"a_b": {"set": "text"}, "_fields": {"brand new": {"set": [1]}}});
        let expected = vec![
            ("a b".to_owned(), Edit::Set(string("text"))),
            ("brand new".to_owned(), Edit::Set(Value::List(vec![Value::Int(1)]))),
        ];
        assert_eq!(patch(Some(&notes()), &argument), Ok(expected));
    }

    #[test]
    fn an_input_has_typed_fields_and_others() {
        let argument = value!({"id": 7, "title": "x", "tags": ["a"], "a_b": 1, "_fields": {"brand new": 2}});
        let (id, fields) = input(&notes(), &argument).unwrap();
        assert_eq!(id.as_deref(), Some("7"));
        let expected: Fields = [
            ("title".to_owned(), string("x")),
            ("tags".to_owned(), Value::List(vec![string("a")])),
            ("a b".to_owned(), Value::Int(1)),
            ("brand new".to_owned(), Value::Int(2)),
        ]
        .into();
        assert_eq!(fields, expected);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let error = |argument| patch(Some(&notes()), &argument).unwrap_err().to_string();
        assert_eq!(
            error(value!({"views": {"increment": "x"}})),
            "patch.views.increment: expected a whole number, found \"x\""
        );
        assert_eq!(
            error(value!({"body": {"splice": {"at": (-1)}}})),
            "patch.body.splice.at: expected a whole number from 0 on, found -1"
        );
        assert_eq!(error(value!({"body": {"shout": 1}})), "patch.body.shout: unknown edit \"shout\"");
        assert_eq!(error(value!({"nope": {"set": 1}})), "patch.nope: unknown field \"nope\"");
        assert!(inputs(&notes(), &Argument::List(vec![value!({}); MAX_INPUTS + 1])).is_err());
    }
}
