//! Runs cases through a door, and says where one breaks.

use std::fmt;

use serde_json::Value as Json;
use tidewater_engine::value::{Fields, Value};

use super::{Case, Conflict, Find, Step};
use crate::door::{Door, ELSEWHERE, Failure, Found, fields};

/// Where a case broke.
#[derive(Debug)]
pub struct Broken {
    case: String,
    /// From 1.
    step: usize,
    why: String,
    elsewhere: bool,
}

impl Broken {
    /// Whether it broke only because the door doesn't offer what the case needs.
    #[must_use]
    pub fn is_elsewhere(&self) -> bool {
        self.elsewhere
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (step {}): {}", self.case, self.step, self.why)
    }
}

/// The replicas of one case, each behind a door.
pub trait Replicas {
    /// The door into the replica of that name; made empty when it is new.
    fn door(&mut self, name: &str) -> &mut dyn Door;

    /// Brings all replicas to the same operations.
    fn sync(&mut self);
}

/// Runs `case` on fresh `replicas`.
///
/// # Errors
/// The first step that didn't give what it must.
pub fn run(case: &Case, replicas: &mut dyn Replicas) -> Result<(), Broken> {
    let mut last = Last::default();
    for (number, step) in case.steps.iter().enumerate() {
        let broken = |why: String| {
            let elsewhere = why.contains(ELSEWHERE);
            Broken { case: case.name.clone(), step: number + 1, why, elsewhere }
        };
        one(step, replicas, &mut last).map_err(broken)?;
    }
    Ok(())
}

/// What later steps of a case go on from.
#[derive(Default)]
struct Last {
    /// The cursor of the last document that was found.
    cursor: Option<String>,
    /// The commit of the last resolution.
    resolution: Option<String>,
}

fn one(step: &Step, replicas: &mut dyn Replicas, last: &mut Last) -> Result<(), String> {
    match step {
        Step::Sync(_) => {
            replicas.sync();
            Ok(())
        }
        Step::Get(get) => {
            let Some(got) = expect(replicas.door(&get.on).get(&get.collection, &get.id), get.fails.as_deref())? else {
                return Ok(());
            };
            let expected = match get.gives.as_ref().ok_or("a `get` says what it gives")? {
                Json::Null => None,
                json => Some(fields(json.as_object().ok_or("`gives` is an object or null")?).map_err(text)?),
            };
            same(&got, &expected, || format!("{} instead of {}", show(&got), show(&expected)))
        }
        Step::Find(find) => {
            let after = last.cursor.as_deref().filter(|_| find.after_last);
            let Some(found) = expect(replicas.door(&find.on).find(find, after), find.fails.as_deref())? else {
                return Ok(());
            };
            check_found(find, &found)?;
            last.cursor = found.cursor.or(last.cursor.take());
            Ok(())
        }
        Step::Conflicts(conflicts) => {
            let listed = replicas.door(&conflicts.on).conflicts(&conflicts.collection, &conflicts.id);
            let Some(mut listed) = expect(listed, conflicts.fails.as_deref())? else { return Ok(()) };
            let mut expected = conflicts.gives.clone();
            let key = |conflict: &Conflict| {
                (conflict.field.clone(), conflict.because.clone(), format!("{:?}", conflict.values))
            };
            listed.sort_by_key(key);
            expected.sort_by_key(key);
            same(&listed, &expected, || format!("{listed:?} instead of {expected:?}"))
        }
        Step::Resolve(resolve) => {
            let resolved = expect(replicas.door(&resolve.on).resolve(resolve), resolve.fails.as_deref())?;
            let Some((commit, value)) = resolved else { return Ok(()) };
            last.resolution = Some(commit);
            let expected = resolve.gives.as_ref().unwrap_or(&value);
            same(&value, expected, || format!("{value} instead of {expected}"))
        }
        Step::Undo(undo) => {
            let commit = last.resolution.as_deref().ok_or("an `undo` comes after a `resolve`")?;
            let undone = replicas.door(&undo.on).undo(undo, commit);
            let Some(value) = expect(undone, undo.fails.as_deref())? else { return Ok(()) };
            let expected = undo.gives.as_ref().unwrap_or(&value);
            same(&value, expected, || format!("{value} instead of {expected}"))
        }
        Step::Conflicted(conflicted) => {
            let listed = replicas.door(&conflicted.on).conflicted(conflicted.collection.as_deref());
            let listed = expect(listed, conflicted.fails.as_deref())?.unwrap_or_default();
            same(&listed, &conflicted.gives, || format!("{listed:?} instead of {:?}", conflicted.gives))
        }
        Step::Collections(collections) => {
            let listed = expect(replicas.door(&collections.on).collections(), collections.fails.as_deref())?;
            let listed = listed.unwrap_or_default();
            same(&listed, &collections.gives, || format!("{listed:?} instead of {:?}", collections.gives))
        }
        Step::Transaction(transaction) => {
            let done = replicas.door(&transaction.on).write(&transaction.steps);
            expect(done, transaction.fails.as_deref()).map(drop)
        }
        write => {
            let (on, fails, gives) = written(write);
            let Some(done) = expect(replicas.door(on).write(std::slice::from_ref(write)), fails)? else {
                return Ok(());
            };
            same(&gives.unwrap_or(done[0]), &done[0], || format!("did something: {}, not as expected", done[0]))
        }
    }
}

fn written(write: &Step) -> (&str, Option<&str>, Option<bool>) {
    match write {
        Step::Declare(step) => (&step.on, step.fails.as_deref(), None),
        Step::Create(step) => (&step.on, step.fails.as_deref(), None),
        Step::Update(step) => (&step.on, step.fails.as_deref(), None),
        Step::Upsert(step) => (&step.on, step.fails.as_deref(), None),
        Step::Delete(step) => (&step.on, step.fails.as_deref(), step.gives),
        Step::Restore(step) => (&step.on, step.fails.as_deref(), None),
        _ => ("a", None, None),
    }
}

/// What was given, unless an error was expected and came.
fn expect<T>(outcome: Result<T, Failure>, fails: Option<&str>) -> Result<Option<T>, String> {
    match (outcome, fails) {
        (Ok(given), None) => Ok(Some(given)),
        (Ok(_), Some(code)) => Err(format!("succeeded, but must fail with {code:?}")),
        (Err(failure), Some(code)) if failure.code == code => Ok(None),
        (Err(failure), Some(code)) => Err(format!("failed with {} instead of {code:?}", text(failure))),
        (Err(failure), None) => Err(format!("failed with {}", text(failure))),
    }
}

fn check_found(find: &Find, found: &Found) -> Result<(), String> {
    if let Some(expected) = &find.gives {
        let ids: Vec<&String> = found.documents.iter().map(|(id, _)| id).collect();
        same(&ids, &expected.iter().collect(), || format!("{ids:?} instead of {expected:?}"))?;
    }
    if let Some(expected) = &find.documents {
        let expected = expected.iter().map(|one| fields(one).map_err(text)).collect::<Result<Vec<_>, _>>()?;
        let documents: Vec<&Fields> = found.documents.iter().map(|(_, fields)| fields).collect();
        same(&documents, &expected.iter().collect(), || format!("{documents:?} instead of {expected:?}"))?;
    }
    if let Some(more) = find.more {
        same(&found.more, &more, || format!("more is {}", found.more))?;
    }
    match find.total {
        Some(total) => same(&found.total, &Some(total), || format!("total is {:?} instead of {total}", found.total)),
        None => Ok(()),
    }
}

fn same<T: PartialEq>(found: &T, expected: &T, why: impl FnOnce() -> String) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(why()) }
}

fn text(failure: Failure) -> String {
    format!("{:?}: {}", failure.code, failure.message)
}

fn show(fields: &Option<Fields>) -> String {
    fields.as_ref().map_or("nothing".into(), |fields| Value::Object(fields.clone()).to_json())
}
