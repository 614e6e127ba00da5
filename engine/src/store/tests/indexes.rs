//! Queries through indexes of a real store.

use super::world::Replica;
use crate::query::{Access, Comparison, Filter, Query};
use crate::schema::{Index, Schema};
use crate::store::Edit;
use crate::value::Value;

fn indexed(fields: &[&str]) -> Schema {
    let fields = fields.iter().map(|field| (*field).to_owned()).collect();
    Schema { indexes: [("by".to_owned(), Index { fields })].into(), ..Schema::default() }
}

/// The ids that a filter finds, by the index.
fn found(replica: &Replica, filter: Filter) -> Vec<String> {
    let found = replica.store.snapshot().unwrap().find(&Query { filter, ..Query::all("notes") }).unwrap();
    assert!(matches!(found.plan.access, Access::Index { .. }), "{:?}", found.plan);
    found.documents.iter().map(|document| document.id.to_string()).collect()
}

#[test]
fn an_index_follows_writes_deletes_and_its_own_declaration() {
    let replica = Replica::new(1);
    replica.insert("before", &[("n", Value::Int(1))]);
    replica.write(|tx| tx.set_schema("notes", &indexed(&["n", "tags"]))).unwrap();
    replica.insert("after", &[("n", Value::Float(1.0))]);
    replica.insert("other", &[("n", Value::Int(2))]);
    let ones = || found(&replica, Filter::eq("n", Value::Int(1)));
    assert_eq!(ones(), ["after", "before"]);
    replica.edit("other", "n", Edit::Set(Value::Int(1)));
    replica.edit("after", "n", Edit::Clear);
    replica.write(|tx| tx.delete("notes", "before")).unwrap();
    assert_eq!(ones(), ["other"]);
    assert_eq!(found(&replica, Filter::eq("n", Value::Null)), ["after"]);
    let mine = replica.write(|tx| {
        tx.update("notes", "after", vec![("n".to_owned(), Edit::Set(Value::Int(1)))])?;
        let query = Query { filter: Filter::eq("n", Value::Int(1)), ..Query::all("notes") };
        Ok(tx.find(&query)?.documents.len())
    });
    assert_eq!(mine.unwrap(), 2, "a transaction reads its own writes");
    assert_eq!(replica.problems(), Vec::<String>::new());
}

#[test]
fn an_index_finds_documents_whose_field_is_text() {
    let replica = Replica::new(1);
    replica.write(|tx| tx.set_schema("notes", &indexed(&["body"]))).unwrap();
    replica.insert("register", &[("body", Value::from("hello"))]);
    replica.insert("text", &[]);
    replica.edit("text", "body", Edit::Splice { at: 0, delete: 0, insert: "hello".to_owned() });
    replica.insert("neither", &[]);
    assert_eq!(found(&replica, Filter::eq("body", Value::from("hello"))), ["register", "text"]);
    assert_eq!(found(&replica, Filter::eq("body", Value::Null)), ["neither"]);
    let starting = Comparison::StartsWith("he".to_owned());
    assert_eq!(found(&replica, Filter::compare("body", starting)), ["register", "text"]);
    assert_eq!(replica.problems(), Vec::<String>::new());
}
