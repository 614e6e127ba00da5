//! Durability, grouping, and who is told.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex};

use super::world::{Replica, SPACE};
use crate::log::Plane;
use crate::store::{Durability, TransactionError, WriteError};
use crate::value::{Fields, Value};

#[test]
fn a_buffered_commit_is_visible_at_once_and_leaves_only_when_durable() {
    let a = Replica::new(1);
    let told = Arc::new(Mutex::new(Vec::new()));
    let heard = told.clone();
    let _guard = a.store.on_change(Arc::new(move |change| heard.lock().unwrap().push(change.clone())));
    a.store
        .transaction(Durability::Buffered, |tx| tx.insert("notes", Some("n"), Fields::new()).map(|_| ()))
        .map_err(|error: TransactionError<WriteError>| error)
        .unwrap();
    assert!(a.alive("n"));
    assert!(a.store.vector(&SPACE, Plane::Data).unwrap().is_empty());
    a.store.flush().unwrap();
    assert_eq!(a.store.vector(&SPACE, Plane::Data).unwrap().total(), 1);
    let told = told.lock().unwrap();
    assert_eq!(told[0].collections, ["notes"]);
    assert!(told[0].spaces.is_empty());
    assert_eq!(told[1].spaces, [(SPACE, Plane::Data)]);
}

#[test]
fn writers_that_wait_share_a_storage_transaction() {
    const THREADS: u64 = 8;
    let a = Replica::new(1);
    let last = Arc::new(AtomicU64::new(0));
    let heard = last.clone();
    let _guard = a.store.on_change(Arc::new(move |change| heard.store(change.number, Ordering::SeqCst)));
    a.insert("first", &[]);
    let before = last.load(Ordering::SeqCst);
    let inside = Arc::new(Barrier::new(2));
    std::thread::scope(|scope| {
        let (holder, waiters) = (inside.clone(), &a.store.inner.waiting);
        let first = &a;
        scope.spawn(move || {
            first
                .write(|tx| {
                    holder.wait();
                    // The others queue up behind this transaction; all of them then end in one commit.
                    while waiters.load(Ordering::SeqCst) < (THREADS - 1) as usize {
                        std::thread::yield_now();
                    }
                    tx.insert("notes", Some("n0"), Fields::new()).map(|_| ())
                })
                .unwrap();
        });
        inside.wait();
        for number in 1..THREADS {
            let a = &a;
            scope.spawn(move || a.insert(&format!("n{number}"), &[("x", Value::Int(1))]));
        }
    });
    assert_eq!(last.load(Ordering::SeqCst) - before, 1, "eight transactions, one storage transaction");
    assert_eq!(a.store.vector(&SPACE, Plane::Data).unwrap().total(), 1 + THREADS);
    assert_eq!(a.problems(), Vec::<String>::new());
}

#[test]
fn a_closure_that_fails_or_panics_does_not_take_its_group_down() {
    let a = Replica::new(1);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        a.write(|tx| -> Result<(), WriteError> {
            tx.insert("notes", Some("half"), Fields::new())?;
            panic!("on purpose");
        })
    }));
    assert!(panicked.is_err());
    assert!(!a.alive("half"));
    a.insert("n", &[]);
    assert!(a.alive("n"));
    assert_eq!(a.problems(), Vec::<String>::new());
}

#[test]
fn a_write_inside_a_transaction_is_refused_instead_of_waiting_for_itself() {
    let a = Replica::new(1);
    let outcome = a.write(|_| {
        let inner = a.write(|tx| tx.insert("notes", Some("n"), Fields::new()).map(|_| ()));
        assert!(matches!(inner, Err(TransactionError::Write(WriteError::Invalid { .. }))), "{inner:?}");
        Ok(())
    });
    outcome.unwrap();
}

#[test]
fn a_transaction_reads_its_own_writes_and_finds_them() {
    let a = Replica::new(1);
    a.insert("old", &[("x", Value::Int(1))]);
    a.write(|tx| {
        tx.insert("notes", Some("new"), [("x".to_owned(), Value::Int(2))].into())?;
        tx.delete("notes", "old")?;
        assert!(tx.get("notes", "old")?.is_none());
        let found = tx.find(&crate::query::Query::all("notes"))?;
        let ids: Vec<_> = found.documents.iter().map(|document| document.id.to_string()).collect();
        assert_eq!(ids, ["new"]);
        Ok(())
    })
    .unwrap();
}
