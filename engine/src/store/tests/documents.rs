//! How documents merge.

use super::world::{Replica, SPACE, converge};
use crate::document::Conflict;
use crate::id::{DocumentId, SpaceId};
use crate::query::{Filter, Query};
use crate::store::{Edit, PathSegment};
use crate::value::{Fields, Value};

fn text(value: &str) -> Value {
    Value::String(value.to_owned())
}

fn id(text: &str) -> DocumentId {
    DocumentId::new(text).unwrap()
}

#[test]
fn concurrent_writes_of_a_register_stay_as_siblings_until_one_that_saw_both() {
    let (a, b) = (Replica::new(1), Replica::new(2));
    a.insert("n", &[("title", text("start"))]);
    b.pull(&a);
    b.host.now_ms.store(2_000, std::sync::atomic::Ordering::Relaxed);
    a.edit("n", "title", Edit::Set(text("from a")));
    b.edit("n", "title", Edit::Set(text("from b")));
    converge(&a, &b);
    assert_eq!(a.field("n", "title"), Some(text("from b")), "the later timestamp wins");
    let conflicts = a.store.snapshot().unwrap().conflicts(Some(&SPACE), "notes", &id("n")).unwrap();
    let [Conflict::Siblings { field, values, .. }] = conflicts.as_slice() else { panic!("{conflicts:?}") };
    assert_eq!(field, "title");
    assert_eq!(
        values.iter().map(|sibling| sibling.value.clone()).collect::<Vec<_>>(),
        [text("from b"), text("from a")]
    );
    a.edit("n", "title", Edit::Set(text("settled")));
    converge(&a, &b);
    assert_eq!(b.field("n", "title"), Some(text("settled")));
    assert!(b.store.snapshot().unwrap().conflicts(None, "notes", &id("n")).unwrap().is_empty());
}

#[test]
fn counters_add_up_and_sets_let_add_win() {
    let (a, b) = (Replica::new(1), Replica::new(2));
    a.insert("n", &[]);
    a.edit("n", "views", Edit::Increment(5));
    a.edit("n", "tags", Edit::Add(vec![text("x"), text("y")]));
    b.pull(&a);
    a.edit("n", "views", Edit::Increment(2));
    b.edit("n", "views", Edit::Increment(-1));
    a.edit("n", "tags", Edit::Remove(vec![text("x"), text("y")]));
    b.edit("n", "tags", Edit::Add(vec![text("x")]));
    converge(&a, &b);
    assert_eq!(a.field("n", "views"), Some(Value::Int(6)));
    assert_eq!(a.field("n", "tags"), Some(Value::List(vec![text("x")])));
}

#[test]
fn a_transaction_sees_the_texts_and_json_that_it_has_just_made() {
    let a = Replica::new(1);
    a.insert("n", &[("title", text("x"))]);
    let path = vec![PathSegment::Key("a".into())];
    let splice = |at, insert: &str| ("body".to_owned(), Edit::Splice { at, delete: 0, insert: insert.to_owned() });
    a.write(|transaction| {
        transaction.update("notes", "n", vec![splice(0, "hello")])?;
        let put = Edit::Put { path: path.clone(), value: Value::Int(1) };
        transaction.update("notes", "n", vec![("deep".to_owned(), put)])?;
        let fields = transaction.get("notes", "n")?.unwrap().fields;
        assert_eq!((&fields["body"], fields["deep"].to_json().as_str()), (&text("hello"), r#"{"a":1}"#));
        let found = transaction.find(&Query { filter: Filter::parse("body^=hell").unwrap(), ..Query::all("notes") })?;
        assert_eq!(found.documents.len(), 1);
        // A look does not end the edits, and an edit that comes to nothing shows nothing.
        transaction.update(
            "notes",
            "n",
            vec![splice(5, "!"), ("none".to_owned(), Edit::Splice { at: 0, delete: 0, insert: String::new() })],
        )?;
        let fields = transaction.get("notes", "n")?.unwrap().fields;
        assert_eq!((&fields["body"], fields.contains_key("none")), (&text("hello!"), false));
        Ok(())
    })
    .unwrap();
    let committed = a.store.snapshot().unwrap().get(None, "notes", "n").unwrap().unwrap();
    assert_eq!(committed.fields.keys().collect::<Vec<_>>(), ["body", "deep", "title"]);
    assert_eq!(committed.fields["body"], text("hello!"));
    assert_eq!(a.problems(), Vec::<String>::new());
}

#[test]
fn an_element_of_a_list_in_json_is_replaced_where_it_stands() {
    let a = Replica::new(1);
    a.insert("n", &[]);
    let put = |path: Vec<PathSegment>, value| a.edit("n", "deep", Edit::Put { path, value });
    let within = |index| vec![PathSegment::Key("list".into()), PathSegment::Index(index)];
    put(vec![PathSegment::Key("list".into())], Value::List(vec![1.into(), 2.into(), 3.into()]));
    put(within(1), Value::Int(9));
    put(within(0), Value::List(vec![7.into()]));
    assert_eq!(a.field("n", "deep").unwrap().to_json(), r#"{"list":[[7],9,3]}"#);
}

#[test]
fn a_text_keeps_what_both_typed() {
    let (a, b) = (Replica::new(1), Replica::new(2));
    a.insert("n", &[]);
    a.edit("n", "body", Edit::Splice { at: 0, delete: 0, insert: "hello world".to_owned() });
    b.pull(&a);
    a.edit("n", "body", Edit::Splice { at: 0, delete: 5, insert: "HELLO".to_owned() });
    b.edit("n", "body", Edit::Splice { at: 11, delete: 0, insert: "!".to_owned() });
    converge(&a, &b);
    assert_eq!(a.field("n", "body"), Some(text("HELLO world!")));
}

#[test]
fn an_edit_that_a_delete_did_not_see_is_kept_and_comes_back_with_restore() {
    let (a, b) = (Replica::new(1), Replica::new(2));
    a.insert("n", &[("title", text("start")), ("other", Value::Int(1))]);
    b.pull(&a);
    a.write(|tx| tx.delete("notes", "n")).unwrap();
    b.edit("n", "title", Edit::Set(text("edited")));
    converge(&a, &b);
    assert!(!a.alive("n"));
    let conflicts = a.store.snapshot().unwrap().conflicts(Some(&SPACE), "notes", &id("n")).unwrap();
    let [Conflict::EditedWhileDeleted { generation: 1, field, value }] = conflicts.as_slice() else {
        panic!("{conflicts:?}")
    };
    assert_eq!((field.as_str(), value), ("title", &text("edited")));
    a.write(|tx| tx.restore("notes", "n")).unwrap();
    b.write(|tx| tx.restore("notes", "n")).unwrap();
    converge(&a, &b);
    assert_eq!(b.field("n", "title"), Some(text("edited")));
    assert_eq!(b.field("n", "other"), Some(Value::Int(1)));
}

#[test]
fn two_restores_do_not_count_twice() {
    let (a, b) = (Replica::new(1), Replica::new(2));
    a.insert("n", &[]);
    a.edit("n", "views", Edit::Increment(5));
    a.write(|tx| tx.delete("notes", "n")).unwrap();
    b.pull(&a);
    a.write(|tx| tx.restore("notes", "n")).unwrap();
    b.write(|tx| tx.restore("notes", "n")).unwrap();
    a.edit("n", "views", Edit::Increment(1));
    b.edit("n", "views", Edit::Increment(1));
    converge(&a, &b);
    assert_eq!(a.field("n", "views"), Some(Value::Int(7)));
}

#[test]
fn a_restored_text_goes_on_where_it_was_also_in_the_commit_that_restores_it() {
    let (a, b) = (Replica::new(1), Replica::new(2));
    a.insert("n", &[]);
    a.edit("n", "body", Edit::Splice { at: 0, delete: 0, insert: "one".to_owned() });
    b.pull(&a);
    a.write(|tx| tx.delete("notes", "n")).unwrap();
    // Not seen by the delete, and not by the restore.
    b.edit("n", "body", Edit::Splice { at: 0, delete: 0, insert: "zero ".to_owned() });
    a.write(|tx| {
        tx.restore("notes", "n")?;
        let splice = Edit::Splice { at: 3, delete: 0, insert: " two".to_owned() };
        tx.update("notes", "n", vec![("body".to_owned(), splice)])
    })
    .unwrap();
    a.edit("n", "body", Edit::Splice { at: 7, delete: 0, insert: " three".to_owned() });
    assert_eq!(a.field("n", "body"), Some(text("one two three")));
    converge(&a, &b);
    assert_eq!(b.field("n", "body"), Some(text("zero one two three")));
    b.edit("n", "body", Edit::Splice { at: 0, delete: 5, insert: String::new() });
    converge(&a, &b);
    assert_eq!(a.field("n", "body"), Some(text("one two three")));
}

#[test]
fn an_insert_after_a_delete_starts_afresh() {
    let a = Replica::new(1);
    a.insert("n", &[("title", text("old")), ("gone", Value::Int(1))]);
    a.write(|tx| tx.delete("notes", "n")).unwrap();
    a.insert("n", &[("title", text("new"))]);
    assert_eq!(a.field("n", "title"), Some(text("new")));
    assert_eq!(a.field("n", "gone"), None);
}

#[test]
fn a_field_of_two_kinds_shows_the_latest_and_lists_the_other() {
    let (a, b) = (Replica::new(1), Replica::new(2));
    a.insert("n", &[]);
    b.pull(&a);
    b.host.now_ms.store(2_000, std::sync::atomic::Ordering::Relaxed);
    a.edit("n", "f", Edit::Increment(3));
    b.edit("n", "f", Edit::Set(text("word")));
    converge(&a, &b);
    assert_eq!(a.field("n", "f"), Some(text("word")));
    let conflicts = a.store.snapshot().unwrap().conflicts(None, "notes", &id("n")).unwrap();
    assert!(matches!(conflicts.as_slice(), [Conflict::Kind { value: Value::Int(3), .. }]), "{conflicts:?}");
}

#[test]
fn a_failed_transaction_leaves_nothing() {
    let a = Replica::new(1);
    a.insert("n", &[("title", text("start"))]);
    let failed = a.write(|tx| {
        tx.update("notes", "n", vec![("title".to_owned(), Edit::Set(text("half")))])?;
        tx.insert("notes", Some("n"), crate::value::Fields::new())
    });
    assert!(failed.is_err());
    assert_eq!(a.field("n", "title"), Some(text("start")));
    assert_eq!(a.problems(), Vec::<String>::new());
}

#[test]
fn a_document_is_marked_as_conflicted_whatever_fields_are_selected() {
    let (a, b) = (Replica::new(1), Replica::new(2));
    a.insert("n", &[("title", text("start")), ("other", Value::Int(1))]);
    b.pull(&a);
    a.edit("n", "title", Edit::Set(text("from a")));
    b.edit("n", "title", Edit::Set(text("from b")));
    converge(&a, &b);
    let mut query = crate::query::Query::all("notes");
    query.select = Some(vec!["other".to_owned()]);
    let found = a.store.snapshot().unwrap().find(&query).unwrap();
    let fields: Vec<_> = found.documents[0].fields.keys().collect();
    assert_eq!(fields, ["other"]);
    assert!(found.documents[0].conflicted);
}

#[test]
fn later_edits_of_an_update_see_what_the_earlier_ones_of_their_field_left() {
    let a = Replica::new(1);
    a.insert("n", &[]);
    let update = |edits: &[(&str, Edit)]| {
        let edits = edits.iter().map(|(field, edit)| ((*field).to_owned(), edit.clone())).collect();
        a.write(|tx| tx.update("notes", "n", edits)).unwrap();
    };
    let list = |values: &[&str]| Value::List(values.iter().map(|value| text(value)).collect());
    update(&[("tags", Edit::Add(vec![text("x")])), ("views", Edit::Increment(1))]);
    update(&[("tags", Edit::Add(vec![text("y")])), ("tags", Edit::Set(list(&["z"])))]);
    assert_eq!(a.field("n", "tags"), Some(list(&["z"])), "y was added before, so it goes too");
    update(&[("views", Edit::Increment(3)), ("views", Edit::Set(Value::Int(10)))]);
    assert_eq!(a.field("n", "views"), Some(Value::Int(10)));
}

/// One commit may open several generations, and the first one has no past whose length would allow for them.
#[test]
fn what_was_deleted_and_restored_in_a_first_commit_counts_on_every_replica() {
    let (a, b) = (Replica::new(1), Replica::new(2));
    a.write(|tx| {
        tx.insert("notes", Some("n"), [("title".to_owned(), text("kept"))].into())?;
        for _ in 0..5 {
            tx.delete("notes", "n")?;
            tx.restore("notes", "n")?;
        }
        Ok(())
    })
    .unwrap();
    a.edit("n", "size", Edit::Set(Value::Int(3)));
    converge(&a, &b);
    assert_eq!(b.field("n", "title"), Some(text("kept")));
    assert_eq!(b.field("n", "size"), Some(Value::Int(3)));
}

#[test]
fn a_counter_that_is_set_to_nothing_shows_nothing_counted() {
    let a = Replica::new(1);
    let schema = crate::schema::Schema::from_json(br#"{"fields": {"views": {"kind": "counter"}}}"#).unwrap();
    a.write(|tx| tx.set_schema("notes", &schema)).unwrap();
    a.insert("n", &[]);
    a.edit("n", "views", Edit::Set(Value::Int(0)));
    assert_eq!(a.field("n", "views"), Some(Value::Int(0)));
}

#[test]
fn a_collection_in_a_space_is_read_and_written_there() {
    let a = Replica::new(1);
    let other = SpaceId([0x77; 32]);
    a.store.set_effective(other, super::world::table()).unwrap();
    let everywhere = a.store.collection("notes");
    let there = a.store.collection("notes").in_space(other);
    there.insert_as("n", Fields::new()).unwrap();
    assert_eq!(there.query().spaces, Some(vec![other]));
    assert_eq!(everywhere.query().spaces, None);
    let home = a.store.collection("notes").in_space(SPACE);
    assert!(there.get("n").unwrap().is_some() && home.get("n").unwrap().is_none());
}

#[test]
fn ids_that_a_transaction_changed_are_read_as_it_left_them() {
    let a = Replica::new(1);
    a.insert("stored", &[("x", Value::Int(1))]);
    a.insert("deleted", &[]);
    let found = a.write(|tx| {
        tx.insert("notes", Some("new"), [("x".to_owned(), Value::Int(1))].into())?;
        tx.delete("notes", "deleted")?;
        let ids = Filter::parse("id in (new, stored, deleted, never)").unwrap();
        let found = tx.find(&Query { filter: ids, ..Query::all("notes") })?;
        Ok(found.documents.iter().map(|document| document.id.to_string()).collect::<Vec<_>>())
    });
    assert_eq!(found.unwrap(), ["new", "stored"]);
}
