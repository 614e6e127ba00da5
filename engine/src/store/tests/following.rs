//! A collection at hand, and following a query.

use super::world::Replica;
use crate::query::{Delta, Filter, Order};
use crate::store::{Edit, WriteError};
use crate::value::Value;
use crate::{fields, id::DocumentId};

#[test]
fn a_collection_reads_and_writes_documents() {
    let notes = Replica::new(1).store.collection("notes");
    let made = notes.insert(fields! { "title" => "a", "size" => 2 }).unwrap();
    assert_eq!(made.as_str().len(), 26);
    notes.insert_as("n", fields! { "title" => "b", "size" => 1 }).unwrap();
    assert!(matches!(notes.insert_as("n", fields! {}), Err(WriteError::Exists { .. })));
    notes.update("n", [("title", Edit::Set("c".into())), ("views", Edit::Increment(2))]).unwrap();
    assert!(!notes.upsert("n", fields! { "done" => true }).unwrap());
    let read = notes.get("n").unwrap().unwrap();
    assert_eq!(read.fields, fields! { "title" => "c", "size" => 1, "views" => 2, "done" => true });
    let found = notes.find(&notes.query().order_by(Order::ascending("size")).limit(1).counted()).unwrap();
    assert_eq!((found.documents[0].id.as_str(), found.total), ("n", Some(2)));
    let titled = notes.query().filter(Filter::eq("size", 2.into())).filter(Filter::eq("title", "a".into()));
    assert_eq!(notes.find(&titled).unwrap().documents[0].id, made);
    assert!(notes.delete("n").unwrap());
    assert!(!notes.delete("n").unwrap());
    assert_eq!(notes.get("n").unwrap(), None);
}

#[test]
fn a_watch_tells_the_result_and_then_what_changes_until_it_is_stopped() {
    let replica = Replica::new(1);
    let notes = replica.store.collection("notes");
    let mut watch = notes.watch(Filter::eq("done", Value::Bool(false))).unwrap();
    assert_eq!(watch.next_changes().unwrap().unwrap(), []);
    let stopper = watch.stopper();
    let writer = std::thread::spawn(move || {
        notes.insert_as("other", fields! { "done" => true }).unwrap();
        notes.insert_as("n", fields! { "done" => false }).unwrap();
    });
    let changes = watch.next_changes().unwrap().unwrap();
    let [Delta::Added { document, index: 0 }] = changes.as_slice() else { panic!("{changes:?}") };
    assert_eq!(document.id, DocumentId::new("n").unwrap());
    writer.join().unwrap();
    stopper.stop();
    assert!(watch.next_changes().is_none());
}
