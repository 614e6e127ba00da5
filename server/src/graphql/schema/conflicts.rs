//! Conflicts: of one document, the list of the documents that have any, resolving them and undoing that.

use std::sync::Arc;

use async_graphql::dynamic::{Enum, Field, FieldFuture, FieldValue, Object, TypeRef};
use async_graphql::{Error, Value as Answer};
use tidewater_engine::document::{Conflict, ConflictPolicy, ConflictedDocument, Document, Sibling};
use tidewater_engine::id::{DocumentId, SpaceId};
use tidewater_engine::store::{Resolution, Resolved, Snapshot, WriteError};
use tidewater_engine::value::Value;
use tidewater_sync::Author;

use super::operator::{flag, optional, text};
use super::{Answered, Call, Parts, document, generic, plain, root};
use crate::graphql::lower::{self, Arguments, LowerError, page, value};
use crate::graphql::scope::Scope;
use crate::graphql::{conflict_cursor, error, instant, json};

/// The items of the enum, with what they mean.
const POLICIES: &[(&str, ConflictPolicy, &str)] = &[
    ("LATEST", ConflictPolicy::Latest, "The one that was written last, by the clocks of its writers."),
    ("MAX", ConflictPolicy::Max, "The greatest."),
    ("MIN", ConflictPolicy::Min, "The least."),
    ("KEEP_ALL", ConflictPolicy::KeepAll, "A list of them all, each once."),
];

const HEX: &str = "an id of 32 hexadecimal digits, as a conflict or a resolution shows it";

/// A conflict with the authors of its values.
struct Told {
    conflict: Conflict,
    authors: Vec<Option<Author>>,
}

/// One of the concurrent values of a field.
struct ToldSibling {
    sibling: Sibling,
    author: Option<Author>,
    shown: bool,
}

/// What a resolution did.
struct Settled {
    resolved: Resolved,
    document: Option<Document>,
}

pub(super) fn register(parts: &mut Parts) {
    let policy = Enum::new("ConflictPolicy").description("Which of concurrent values of a field is taken.");
    parts.register(POLICIES.iter().fold(policy, |policy, (name, _, meaning)| {
        policy.item(async_graphql::dynamic::EnumItem::new(*name).description(*meaning))
    }));
    parts.register(conflict_type());
    parts.register(sibling_type());
    parts.register(listed_type());
    parts.register(resolution_type());
    parts.queries.push(list());
    parts.mutations.push(resolve());
    parts.mutations.push(undo());
}

fn policy_name(policy: ConflictPolicy) -> &'static str {
    POLICIES.iter().find(|(_, known, _)| *known == policy).map_or("LATEST", |(name, ..)| name)
}

/// The conflicts of the document that a resolver's parent is.
pub(super) fn of_document() -> Field {
    Field::new("conflicts", TypeRef::named_nn_list_nn("Conflict"), |context| {
        FieldFuture::new(async move {
            let scope = Scope::of(&context)?;
            let document = Arc::clone(context.parent_value.try_downcast_ref::<Arc<Document>>()?);
            if !document.conflicted {
                return Ok(Some(FieldValue::list(Vec::<FieldValue<'_>>::new())));
            }
            conflicts(&scope, document.space, document.collection.clone(), document.id.clone()).await
        })
    })
}

async fn conflicts(scope: &Arc<Scope>, space: SpaceId, collection: String, id: DocumentId) -> Answered {
    let told = scope.read(move |scope, snapshot| tell(scope, snapshot, &space, &collection, &id)).await?;
    Ok(Some(FieldValue::list(told.into_iter().map(FieldValue::owned_any))))
}

fn tell(
    scope: &Scope,
    snapshot: &Snapshot,
    space: &SpaceId,
    collection: &str,
    id: &DocumentId,
) -> Result<Vec<Told>, Error> {
    let conflicts = snapshot.conflicts(Some(space), collection, id).map_err(error::read)?;
    let author = |sibling: &Sibling| scope.database.author(space, &sibling.writer.device).map_err(error::space);
    let told = conflicts.into_iter().map(|conflict| {
        let authors = match &conflict {
            Conflict::Siblings { values, .. } => values.iter().map(author).collect::<Result<_, _>>()?,
            _ => Vec::new(),
        };
        Ok(Told { conflict, authors })
    });
    told.collect()
}

fn conflict_type() -> Object {
    let field = |told: &Told| match &told.conflict {
        Conflict::Siblings { field, .. }
        | Conflict::Kind { field, .. }
        | Conflict::EditedWhileDeleted { field, .. } => field.clone(),
        _ => String::new(),
    };
    let reason = |told: &Told| match &told.conflict {
        Conflict::Siblings { .. } => "SIBLINGS",
        Conflict::Kind { .. } => "KIND",
        Conflict::EditedWhileDeleted { .. } => "EDITED_WHILE_DELETED",
        _ => "OTHER",
    };
    let values = |told: &Told| -> Vec<Value> {
        match &told.conflict {
            Conflict::Siblings { values, .. } => values.iter().map(|sibling| sibling.value.clone()).collect(),
            Conflict::Kind { value, .. } | Conflict::EditedWhileDeleted { value, .. } => vec![value.clone()],
            _ => Vec::new(),
        }
    };
    Object::new("Conflict")
        .description("Something about a document that people should look at.")
        .field(text("field", field))
        .field(text("reason", move |told| reason(told).to_owned()).description(
            "SIBLINGS: concurrent writes left several values. KIND: the field was also written as another kind. EDITED_WHILE_DELETED: an edit that a concurrent delete did not see.",
        ))
        .field(
            plain("values", TypeRef::named_nn_list_nn("JSON"), move |told: &Told| {
                Ok(Some(FieldValue::list(values(told).iter().map(|value| FieldValue::value(json::to_answer(value))))))
            })
            .description("For SIBLINGS all values, the one that reads show first; else the hidden one."),
        )
        .field(
            plain("siblings", TypeRef::named_nn_list_nn("Sibling"), |told: &Told| {
                Ok(Some(FieldValue::list(siblings(told).into_iter().map(FieldValue::owned_any))))
            })
            .description("For SIBLINGS the values with their authors, the one that reads show first."),
        )
        .field(
            optional("version", TypeRef::ID, |told: &Told| match &told.conflict {
                Conflict::Siblings { version, .. } => Some(Answer::from(version.to_string())),
                _ => None,
            })
            .description("For SIBLINGS: what `seen` takes when the conflict is resolved."),
        )
        .field(
            optional("policy", "ConflictPolicy", |told: &Told| match &told.conflict {
                Conflict::Siblings { policy, .. } => Some(Answer::Enum(async_graphql::Name::new(policy_name(*policy)))),
                _ => None,
            })
            .description("For SIBLINGS: which value reads show."),
        )
}

fn siblings(told: &Told) -> Vec<ToldSibling> {
    let Conflict::Siblings { values, policy, .. } = &told.conflict else { return Vec::new() };
    let one = |(at, (sibling, author)): (usize, (&Sibling, &Option<Author>))| ToldSibling {
        sibling: sibling.clone(),
        author: author.clone(),
        shown: at == 0 || *policy == ConflictPolicy::KeepAll,
    };
    values.iter().zip(&told.authors).enumerate().map(one).collect()
}

fn sibling_type() -> Object {
    Object::new("Sibling")
        .description("One of several concurrent values of a field.")
        .field(
            plain("commit", TypeRef::named_nn(TypeRef::ID), |one: &ToldSibling| {
                Ok(Some(FieldValue::value(one.sibling.commit.to_string())))
            })
            .description("The commit that it is from: what `pick` takes when the conflict is resolved."),
        )
        .field(plain("value", TypeRef::named("JSON"), |one: &ToldSibling| {
            Ok(Some(FieldValue::value(json::to_answer(&one.sibling.value))))
        }))
        .field(flag("shown", |one: &ToldSibling| one.shown).description("Whether reads show it."))
        .field(text("writer", |one: &ToldSibling| one.sibling.writer.to_string()))
        .field(text("device", |one: &ToldSibling| one.sibling.writer.device.to_string()))
        .field(
            optional("identity", TypeRef::ID, |one: &ToldSibling| {
                one.author.as_ref().map(|author| Answer::from(author.identity.to_string()))
            })
            .description("Whose device it is; null when the space does not know."),
        )
        .field(
            optional("author", TypeRef::STRING, |one: &ToldSibling| {
                one.author.as_ref().map(|author| Answer::from(author.name.as_str()))
            })
            .description("The name that this identity has in the space."),
        )
        .field(
            text("time", |one: &ToldSibling| instant::format(one.sibling.timestamp_ms))
                .description("When, by the writer's own clock."),
        )
}

fn listed_type() -> Object {
    let id = |name: &str, of: fn(&ConflictedDocument) -> String| {
        plain(name, TypeRef::named_nn(TypeRef::ID), move |one: &ConflictedDocument| {
            Ok(Some(FieldValue::value(of(one))))
        })
    };
    Object::new("ConflictedDocument")
        .description("A document with conflicts, alive or not.")
        .field(id("space", |one| one.space.to_string()))
        .field(text("collection", |one: &ConflictedDocument| one.collection.clone()))
        .field(id("id", |one| one.id.to_string()))
        .field(text("cursor", conflict_cursor::text))
        .field(Field::new("conflicts", TypeRef::named_nn_list_nn("Conflict"), |context| {
            FieldFuture::new(async move {
                let scope = Scope::of(&context)?;
                let ConflictedDocument { space, collection, id } =
                    context.parent_value.try_downcast_ref::<ConflictedDocument>()?.clone();
                conflicts(&scope, space, collection, id).await
            })
        }))
}

fn list() -> Field {
    let arguments = [
        ("collection", TypeRef::named(TypeRef::STRING)),
        ("space", TypeRef::named(TypeRef::ID)),
        ("first", TypeRef::named(TypeRef::INT)),
        ("after", TypeRef::named(TypeRef::STRING)),
    ];
    root("conflicts", TypeRef::named_nn_list_nn("ConflictedDocument"), &arguments, |call| async move {
        let wanted = || -> Result<_, LowerError> {
            let after = lower::given(&call.arguments, "after").map(|argument| {
                let expected = || LowerError::expected("after", "a cursor of an earlier list", argument);
                conflict_cursor::parse(lower::text("after", argument)?).ok_or_else(expected)
            });
            let collection = lower::given(&call.arguments, "collection");
            let collection = collection.map(|argument| lower::text("collection", argument).map(str::to_owned));
            Ok((
                page::space(&call.arguments)?,
                collection.transpose()?,
                page::first(&call.arguments)?,
                after.transpose()?,
            ))
        };
        let (space, collection, first, after) = wanted().map_err(error::lowering)?;
        let listed = call
            .scope
            .read(move |_, snapshot| {
                let (collection, after) = (collection.as_deref(), after.as_ref());
                snapshot.conflicted_documents(space.as_ref(), collection, after, first).map_err(error::read)
            })
            .await?;
        call.scope.spend(listed.len())?;
        Ok(Some(FieldValue::list(listed.into_iter().map(FieldValue::owned_any))))
    })
    .description(
        "Documents with conflicts, deleted ones too, 100 when nothing is said, `after` the cursor of an earlier one.",
    )
}

fn resolution_type() -> Object {
    Object::new("Resolution")
        .description("What resolving a conflict wrote.")
        .field(plain("commit", TypeRef::named_nn(TypeRef::ID), |settled: &Settled| {
            Ok(Some(FieldValue::value(settled.resolved.commit.to_string())))
        }))
        .field(plain("value", TypeRef::named("JSON"), |settled: &Settled| {
            Ok(Some(FieldValue::value(json::to_answer(&settled.resolved.value))))
        }))
        .field(plain("document", TypeRef::named("Document"), |settled: &Settled| {
            Ok(settled.document.clone().map(document::node))
        }))
}

fn resolve() -> Field {
    let arguments = [
        ("collection", TypeRef::named_nn(TypeRef::STRING)),
        ("id", TypeRef::named_nn(TypeRef::ID)),
        ("field", TypeRef::named_nn(TypeRef::STRING)),
        ("pick", TypeRef::named(TypeRef::ID)),
        ("value", TypeRef::named("JSON")),
        ("by", TypeRef::named("ConflictPolicy")),
        ("seen", TypeRef::named(TypeRef::ID)),
        ("space", TypeRef::named(TypeRef::ID)),
    ];
    root("resolveConflict", TypeRef::named_nn("Resolution"), &arguments, |call| async move {
        let resolution = resolution(&call.arguments).map_err(error::lowering)?;
        settle(call, move |transaction, collection, id, field| transaction.resolve(collection, id, field, &resolution))
            .await
    })
    .description(
        "Settles a conflict between concurrent values of a field: `pick` takes the value of a commit, `value` one of your own, both with the version of the conflict that you have `seen`; `by` takes what a policy makes of the values.",
    )
}

fn undo() -> Field {
    let arguments = [
        ("collection", TypeRef::named_nn(TypeRef::STRING)),
        ("id", TypeRef::named_nn(TypeRef::ID)),
        ("field", TypeRef::named_nn(TypeRef::STRING)),
        ("commit", TypeRef::named_nn(TypeRef::ID)),
        ("space", TypeRef::named(TypeRef::ID)),
    ];
    root("undoResolution", TypeRef::named_nn("Resolution"), &arguments, |call| async move {
        let argument = call.arguments.get("commit").unwrap_or(&Answer::Null);
        let commit = lower::text("commit", argument).map_err(error::lowering)?.parse();
        let commit = commit.map_err(|_| error::lowering(LowerError::expected("commit", HEX, argument)))?;
        settle(call, move |transaction, collection, id, field| transaction.undo_resolution(collection, id, field, commit))
            .await
    })
    .description(
        "Writes what a field showed before the resolution `commit`; refused when the field was written since. The values that were in conflict do not come back beside it.",
    )
}

async fn settle(
    call: Call,
    body: impl FnOnce(&mut tidewater_engine::store::Transaction<'_>, &str, &str, &str) -> Result<Resolved, WriteError>
    + Send
    + 'static,
) -> Answered {
    let (collection, id) = (generic::named(&call)?, generic::id(&call)?);
    let field = lower::text("field", call.arguments.get("field").unwrap_or(&Answer::Null));
    let field = field.map_err(error::lowering)?.to_owned();
    let space = page::space(&call.arguments).map_err(error::lowering)?;
    call.scope.spend(1)?;
    let settled = call
        .scope
        .write(space, move |transaction| {
            let resolved = body(transaction, &collection, &id, &field)?;
            Ok(Settled { resolved, document: transaction.get(&collection, &id)? })
        })
        .await?;
    Ok(Some(FieldValue::owned_any(settled)))
}

/// What `pick`, `value`, `by` and `seen` say. The value may be null, when it is given and nothing else is.
fn resolution(arguments: &Arguments) -> Result<Resolution, LowerError> {
    let seen = || {
        let argument = arguments.get("seen").unwrap_or(&Answer::Null);
        let seen = lower::text("seen", argument).map(str::parse);
        seen.and_then(|seen| seen.map_err(|_| LowerError::expected("seen", HEX, argument)))
    };
    let (pick, by) = (lower::given(arguments, "pick"), lower::given(arguments, "by"));
    let is_value = |argument: &&Answer| **argument != Answer::Null || (pick.is_none() && by.is_none());
    let given_value = arguments.get("value").filter(is_value);
    match (pick, given_value, by) {
        (Some(pick), None, None) => {
            let commit = lower::text("pick", pick)?.parse();
            let commit = commit.map_err(|_| LowerError::expected("pick", HEX, pick))?;
            Ok(Resolution::Pick { commit, seen: seen()? })
        }
        (None, Some(argument), None) => Ok(Resolution::Merge { value: value::json("value", argument)?, seen: seen()? }),
        (None, None, Some(by)) => {
            let name = lower::item("by", by)?;
            let policy = POLICIES.iter().find(|(known, ..)| *known == name).map(|(_, policy, _)| *policy);
            let unknown = || LowerError::Unknown { at: "by".to_owned(), what: "policy", name: name.to_owned() };
            Ok(Resolution::By(policy.ok_or_else(unknown)?))
        }
        _ => {
            Err(LowerError::Json { at: "resolveConflict".to_owned(), why: "give one of pick, value and by".to_owned() })
        }
    }
}
