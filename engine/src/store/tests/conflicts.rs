//! Conflicts as people meet them: listed, looked at, resolved.

use std::sync::atomic::Ordering;

use super::world::{Replica, SPACE, converge, device, table};
use crate::document::{Conflict, ConflictPolicy, ConflictedDocument, Sibling};
use crate::id::{CommitId, ConflictVersion, DocumentId, SpaceId};
use crate::schema::Schema;
use crate::store::{Edit, Resolution, Resolved, TransactionError, WriteError};
use crate::value::Value;

fn text(value: &str) -> Value {
    Value::String(value.to_owned())
}

fn id(text: &str) -> DocumentId {
    DocumentId::new(text).unwrap()
}

/// Two replicas that wrote the same field of the same document apart, and met; the second one later.
fn apart(document: &str, one: Value, other: Value) -> (Replica, Replica) {
    let (a, b) = (Replica::new(1), Replica::new(2));
    a.insert(document, &[("title", text("start"))]);
    b.pull(&a);
    b.host.now_ms.store(2_000, Ordering::Relaxed);
    a.edit(document, "title", Edit::Set(one));
    b.edit(document, "title", Edit::Set(other));
    converge(&a, &b);
    (a, b)
}

/// The only conflict of a document.
fn siblings(replica: &Replica, document: &str) -> (Vec<Sibling>, Value, ConflictVersion) {
    let conflicts = replica.store.snapshot().unwrap().conflicts(Some(&SPACE), "notes", &id(document)).unwrap();
    let [Conflict::Siblings { values, shown, version, .. }] = conflicts.as_slice() else { panic!("{conflicts:?}") };
    (values.clone(), shown.clone(), *version)
}

fn resolve(replica: &Replica, document: &str, resolution: &Resolution) -> Result<Resolved, WriteError> {
    let resolved = replica.write(|transaction| transaction.resolve("notes", document, "title", resolution));
    resolved.map_err(|error| match error {
        TransactionError::Aborted(error) | TransactionError::Write(error) => error,
    })
}

fn listed(replica: &Replica) -> Vec<String> {
    let listed = replica.store.snapshot().unwrap().conflicted_documents(None, None, None, 100).unwrap();
    listed.into_iter().map(|one| format!("{}/{}", one.collection, one.id)).collect()
}

#[test]
fn a_picked_value_becomes_the_only_one_everywhere() {
    let (a, b) = apart("n", text("from a"), text("from b"));
    assert_eq!((listed(&a), listed(&b)), (vec!["notes/n".to_owned()], vec!["notes/n".to_owned()]));
    let (values, shown, version) = siblings(&a, "n");
    assert_eq!((siblings(&b, "n").0, siblings(&b, "n").2), (values.clone(), version), "the same on every replica");
    assert_eq!((shown, &values[1].value), (text("from b"), &text("from a")));
    let resolved = resolve(&a, "n", &Resolution::Pick { commit: values[1].commit, seen: version }).unwrap();
    assert_eq!(resolved.value, text("from a"));
    converge(&a, &b);
    assert_eq!(b.field("n", "title"), Some(text("from a")));
    assert_eq!((listed(&a), listed(&b)), (Vec::new(), Vec::new()));
}

#[test]
fn a_value_of_ones_own_or_of_a_policy_settles_a_conflict_too() {
    let cases = [
        (None, Value::Int(9)),
        (Some(ConflictPolicy::Latest), Value::Int(1)),
        (Some(ConflictPolicy::Max), Value::Int(2)),
        (Some(ConflictPolicy::Min), Value::Int(1)),
        (Some(ConflictPolicy::KeepAll), Value::List(vec![Value::Int(1), Value::Int(2)])),
    ];
    for (policy, expected) in cases {
        let (a, b) = apart("n", Value::Int(2), Value::Int(1));
        let merged = Resolution::Merge { value: expected.clone(), seen: siblings(&a, "n").2 };
        let resolution = policy.map_or(merged, Resolution::By);
        assert_eq!(resolve(&a, "n", &resolution).unwrap().value, expected, "{resolution:?}");
        converge(&a, &b);
        assert_eq!(b.field("n", "title"), Some(expected), "{resolution:?}");
        assert_eq!(listed(&b), Vec::<String>::new(), "{resolution:?}");
    }
}

#[test]
fn what_is_no_conflict_an_unknown_value_and_one_that_changed_are_refused() {
    let (a, b) = apart("n", text("from a"), text("from b"));
    let (values, _, version) = siblings(&a, "n");
    let pick = |commit, seen| Resolution::Pick { commit, seen };
    let unknown = resolve(&a, "n", &pick(CommitId([1; 16]), version));
    assert!(matches!(unknown, Err(WriteError::UnknownSibling { commit: CommitId([1, ..]), .. })), "{unknown:?}");
    let missing = resolve(&a, "no", &Resolution::By(ConflictPolicy::Latest));
    assert!(matches!(missing, Err(WriteError::Missing { .. })), "{missing:?}");
    let c = Replica::new(3);
    c.pull(&a);
    c.edit("n", "other", Edit::Set(Value::Int(1)));
    let other = c.write(|tx| tx.resolve("notes", "n", "other", &Resolution::By(ConflictPolicy::Latest)));
    assert!(matches!(other, Err(TransactionError::Aborted(WriteError::NoConflict { .. }))), "{other:?}");
    let nowhere = c.write(|tx| tx.resolve("notes", "n", "nowhere", &Resolution::By(ConflictPolicy::Latest)));
    assert!(matches!(nowhere, Err(TransactionError::Aborted(WriteError::NoConflict { .. }))), "{nowhere:?}");
    // A third value comes between the look and the choice.
    let d = Replica::new(4);
    a.insert("m", &[("title", text("x"))]);
    d.pull(&a);
    d.edit("n", "title", Edit::Set(text("has seen both")));
    b.edit("n", "title", Edit::Set(text("has seen both, too")));
    converge(&b, &d);
    a.pull(&b);
    for late in [pick(values[0].commit, version), Resolution::Merge { value: text("x"), seen: version }] {
        let changed = resolve(&a, "n", &late);
        let Err(WriteError::ConflictChanged { seen, now, .. }) = &changed else { panic!("{changed:?}") };
        assert_eq!((*seen, *now), (version, siblings(&a, "n").2));
    }
    assert_eq!(siblings(&a, "n").0.len(), 2, "nothing was written");
    a.write(|tx| tx.delete("notes", "n")).unwrap();
    let gone = resolve(&a, "n", &Resolution::By(ConflictPolicy::Latest));
    assert!(matches!(gone, Err(WriteError::Missing { .. })), "{gone:?}");
}

#[test]
fn two_resolutions_at_once_are_a_conflict_of_their_values() {
    let (a, b) = apart("n", text("from a"), text("from b"));
    let (values, _, seen) = siblings(&a, "n");
    resolve(&a, "n", &Resolution::Pick { commit: values[1].commit, seen }).unwrap();
    resolve(&b, "n", &Resolution::Merge { value: text("from both"), seen }).unwrap();
    converge(&a, &b);
    let (values, ..) = siblings(&b, "n");
    assert_eq!(values.iter().map(|one| &one.value).collect::<Vec<_>>(), [&text("from both"), &text("from a")]);
    resolve(&b, "n", &Resolution::By(ConflictPolicy::Latest)).unwrap();
    converge(&a, &b);
    assert_eq!(listed(&a), Vec::<String>::new());
}

#[test]
fn documents_with_conflicts_are_listed_by_pages_deleted_ones_too() {
    let (a, b) = (Replica::new(1), Replica::new(2));
    for document in ["n1", "n2", "n3", "n4", "n5"] {
        a.insert(document, &[("title", text("start"))]);
    }
    a.write(|tx| tx.insert("cards", Some("c"), [("title".to_owned(), text("x"))].into())).unwrap();
    b.pull(&a);
    for (replica, value) in [(&a, "a"), (&b, "b")] {
        for document in ["n1", "n3", "n5"] {
            replica.edit(document, "title", Edit::Set(text(value)));
        }
        let edits = || vec![("title".to_owned(), Edit::Set(text(value)))];
        replica.write(|tx| tx.update("cards", "c", edits())).unwrap();
    }
    a.write(|tx| tx.delete("notes", "n2")).unwrap();
    b.edit("n2", "title", Edit::Set(text("edited")));
    converge(&a, &b);
    assert_eq!(listed(&a), ["cards/c", "notes/n1", "notes/n2", "notes/n3", "notes/n5"]);
    let snapshot = b.store.snapshot().unwrap();
    let mut paged: Vec<ConflictedDocument> = Vec::new();
    loop {
        let page = snapshot.conflicted_documents(Some(&SPACE), None, paged.last(), 2).unwrap();
        if page.is_empty() {
            break;
        }
        paged.extend(page);
    }
    assert_eq!(paged, snapshot.conflicted_documents(None, None, None, 100).unwrap());
    let of = |collection| snapshot.conflicted_documents(None, Some(collection), None, 100).unwrap().len();
    assert_eq!((of("notes"), of("cards"), of("nothing")), (4, 1, 0));
    assert!(snapshot.conflicted_documents(Some(&SpaceId([9; 32])), None, None, 1).is_err());
    // An edit that a delete missed comes back with a restore, or goes for good with the next delete.
    a.write(|tx| tx.restore("notes", "n2")).unwrap();
    assert!(!listed(&a).contains(&"notes/n2".to_owned()));
    a.write(|tx| tx.delete("notes", "n2")).unwrap();
    assert_eq!(listed(&a).len(), 4);
    // A conflict goes with its document.
    a.write(|tx| tx.delete("notes", "n1")).unwrap();
    assert_eq!(listed(&a).len(), 3);
    converge(&a, &b);
}

#[test]
fn a_conflict_goes_with_the_authority_of_who_wrote_a_value() {
    let (a, _) = apart("n", text("from a"), text("from b"));
    let mut without = table();
    without.devices.remove(&device(2));
    a.store.set_effective(SPACE, without).unwrap();
    assert_eq!((a.field("n", "title"), listed(&a)), (Some(text("from a")), Vec::new()));
    assert_eq!(a.problems(), Vec::<String>::new());
    a.store.set_effective(SPACE, table()).unwrap();
    assert_eq!((a.field("n", "title"), listed(&a)), (Some(text("from b")), vec!["notes/n".to_owned()]));
    assert_eq!(a.problems(), Vec::<String>::new());
}

#[test]
fn verifying_finds_a_document_that_is_listed_wrongly() {
    let (a, _) = apart("n", text("from a"), text("from b"));
    a.insert("quiet", &[]);
    for (document, is_conflicted, says) in [
        ("n", false, "1 documents with conflicts are not listed, 0 without are"),
        ("quiet", true, "1 documents with conflicts are not listed, 1 without are"),
        ("n", true, "0 documents with conflicts are not listed, 1 without are"),
    ] {
        let changed = a.store.inner.write(true, |mut work| {
            let collection = work.state.names.slot("notes").unwrap();
            let mut changes = crate::store::conflicts::ConflictChanges::default();
            let key = crate::store::records::document_key(collection, work.space(&SPACE)?.slot, document);
            changes.note(key, is_conflicted);
            *work.dirty = true;
            changes.store(&mut work).map_err(WriteError::from)
        });
        changed.unwrap();
        assert!(a.problems().iter().any(|problem| problem.contains(says)), "{document}: {:?}", a.problems());
    }
}

#[test]
fn the_list_follows_declared_kinds() {
    let (a, b) = (Replica::new(1), Replica::new(2));
    a.insert("n", &[]);
    b.pull(&a);
    a.edit("n", "x", Edit::Increment(2));
    b.edit("n", "x", Edit::Set(text("two")));
    converge(&a, &b);
    assert_eq!(listed(&a), ["notes/n"]);
    // Of several kinds the declared one is shown; a set is not there, so nothing is hidden behind it.
    for (kind, expected) in [("set", 0), ("counter", 1), ("set", 0), ("register", 1)] {
        let schema = Schema::from_json(format!(r#"{{"fields": {{"x": {{"kind": "{kind}"}}}}}}"#).as_bytes()).unwrap();
        a.write(|tx| tx.set_schema("notes", &schema)).unwrap();
        converge(&a, &b);
        assert_eq!((listed(&a).len(), listed(&b).len()), (expected, expected), "{kind}");
    }
    a.edit("n", "x", Edit::Set(text("settled")));
    assert_eq!(listed(&a), Vec::<String>::new());
    converge(&a, &b);
}

#[test]
fn a_policy_decides_what_is_shown_and_indexed_and_drops_nothing() {
    let (a, b) = apart("n", Value::Int(2), Value::Int(1));
    let find = |replica: &Replica, number: i64| {
        let filter = crate::query::Filter::parse(&format!("title={number}")).unwrap();
        let query = crate::query::Query { filter, ..crate::query::Query::all("notes") };
        replica.store.snapshot().unwrap().find(&query).unwrap().documents.len()
    };
    let list = Value::List(vec![Value::Int(1), Value::Int(2)]);
    for (policy, shown) in [
        ("max", Value::Int(2)),
        ("min", Value::Int(1)),
        ("max", Value::Int(2)),
        ("keepAll", list),
        ("latest", Value::Int(1)),
    ] {
        let json = format!(
            r#"{{"fields": {{"title": {{"conflict": "{policy}"}}}}, "indexes": {{"by_title": {{"fields": ["title"]}}}}}}"#
        );
        let schema = Schema::from_json(json.as_bytes()).unwrap();
        a.write(|tx| tx.set_schema("notes", &schema)).unwrap();
        converge(&a, &b);
        for replica in [&a, &b] {
            assert_eq!(replica.field("n", "title"), Some(shown.clone()), "{policy}");
            let found = [1, 2].map(|number| find(replica, number));
            assert_eq!(found, [1, 2].map(|number| usize::from(shown == Value::Int(number))), "{policy}");
            let (values, told, _) = siblings(replica, "n");
            assert_eq!((values.len(), told), (2, shown.clone()), "{policy}");
            assert_eq!(listed(replica), ["notes/n"], "{policy}");
        }
    }
}

fn undo(replica: &Replica, resolution: CommitId) -> Result<Resolved, WriteError> {
    let undone = replica.write(|transaction| transaction.undo_resolution("notes", "n", "title", resolution));
    undone.map_err(|error| match error {
        TransactionError::Aborted(error) | TransactionError::Write(error) => error,
    })
}

#[test]
fn undoing_a_resolution_puts_back_what_was_shown_here_and_elsewhere() {
    for elsewhere in [false, true] {
        let (a, b) = apart("n", text("from a"), text("from b"));
        let (values, _, seen) = siblings(&a, "n");
        let resolved = resolve(&a, "n", &Resolution::Pick { commit: values[1].commit, seen }).unwrap();
        converge(&a, &b);
        let (undoer, other) = if elsewhere { (&b, &a) } else { (&a, &b) };
        assert_eq!(undo(undoer, resolved.commit).unwrap().value, text("from b"));
        converge(&a, &b);
        assert_eq!(other.field("n", "title"), Some(text("from b")));
        assert_eq!(listed(other), Vec::<String>::new(), "the values do not become concurrent again");
        // The undo settled no conflict itself.
        let again = undo(undoer, resolved.commit);
        assert!(matches!(again, Err(WriteError::ChangedSince { .. })), "{again:?}");
    }
}

#[test]
fn an_undo_finds_what_was_shown_among_many_commits_and_by_the_policy() {
    let (a, b) = (Replica::new(1), Replica::new(2));
    let schema = Schema::from_json(br#"{"fields": {"title": {"conflict": "keepAll"}}}"#).unwrap();
    a.write(|tx| tx.set_schema("notes", &schema)).unwrap();
    a.insert("n", &[("title", Value::Int(0))]);
    b.pull(&a);
    // More commits than a record lists, some without the field, and some of other documents between them.
    for round in 0..40 {
        a.edit("n", "other", Edit::Set(Value::Int(round)));
        b.edit("n", "title", Edit::Set(Value::Int(round)));
        b.insert(&format!("m{round}"), &[]);
        if round % 10 == 0 {
            converge(&a, &b);
        }
    }
    a.edit("n", "title", Edit::Set(Value::Int(100)));
    converge(&a, &b);
    let resolved = resolve(&a, "n", &Resolution::By(ConflictPolicy::Max)).unwrap();
    assert_eq!(resolved.value, Value::Int(100));
    // What is written apart to other fields does not matter.
    b.edit("n", "other", Edit::Set(text("x")));
    converge(&a, &b);
    let undone = undo(&b, resolved.commit).unwrap();
    assert_eq!(undone.value, Value::List(vec![Value::Int(39), Value::Int(100)]));
    converge(&a, &b);
}

#[test]
fn an_undo_is_refused_when_the_field_changed_since_or_nothing_was_resolved() {
    let (a, b) = apart("n", text("from a"), text("from b"));
    let (_, _, seen) = siblings(&a, "n");
    let unresolved = undo(&a, siblings(&a, "n").0[0].commit);
    assert!(matches!(unresolved, Err(WriteError::ChangedSince { .. })), "several values: {unresolved:?}");
    let resolved = resolve(&a, "n", &Resolution::By(ConflictPolicy::Latest)).unwrap();
    let wrong = undo(&a, CommitId([0; 16]));
    assert!(matches!(wrong, Err(WriteError::ChangedSince { commit: CommitId([0, ..]), .. })), "{wrong:?}");
    // Another resolution of the same conflict, at the same time.
    resolve(&b, "n", &Resolution::Merge { value: text("both"), seen }).unwrap();
    converge(&a, &b);
    let beside = undo(&a, resolved.commit);
    assert!(matches!(beside, Err(WriteError::ChangedSince { .. })), "{beside:?}");
    // An ordinary write that saw one value settles nothing.
    a.edit("n", "title", Edit::Set(text("written")));
    a.edit("n", "title", Edit::Set(text("written again")));
    let commit = {
        // The commit of the only value is told once another one stands beside it.
        converge(&a, &b);
        a.edit("n", "title", Edit::Set(text("one")));
        b.edit("n", "title", Edit::Set(text("other")));
        let (ahead, c) = (a.digest(), Replica::new(3));
        c.pull(&a);
        assert_eq!(c.digest(), ahead);
        c.pull(&b);
        siblings(&c, "n").0.into_iter().find(|one| one.value == text("one")).unwrap().commit
    };
    let ordinary = undo(&a, commit);
    assert!(matches!(ordinary, Err(WriteError::NoResolution { .. })), "{ordinary:?}");
    let missing = a.write(|tx| tx.undo_resolution("notes", "no", "title", commit));
    assert!(matches!(missing, Err(TransactionError::Aborted(WriteError::Missing { .. }))), "{missing:?}");
    // Within the transaction that resolves there is nothing to undo yet.
    converge(&a, &b);
    let at_once = a.write(|tx| {
        let resolved = tx.resolve("notes", "n", "title", &Resolution::By(ConflictPolicy::Latest))?;
        tx.undo_resolution("notes", "n", "title", resolved.commit)
    });
    assert!(matches!(at_once, Err(TransactionError::Aborted(WriteError::ChangedSince { .. }))), "{at_once:?}");
}
