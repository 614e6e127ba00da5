//! A document names every commit that touched it.

use std::collections::{BTreeMap, BTreeSet};

use super::world::{Replica, SPACE, converge};
use crate::id::WriterId;
use crate::log::Plane;
use crate::store::Edit;
use crate::store::records::document_key;
use crate::store::tables::Tables;
use crate::store::touches::of_document;
use crate::value::Value;
use crate::value::sample::Sampler;

type Commits = BTreeSet<(WriterId, u64)>;

fn touches(replica: &Replica, id: &str) -> Commits {
    let published = replica.store.inner.published();
    let names = &published.state.names;
    let key = document_key(names.slot("notes").unwrap(), published.state.spaces[&SPACE].slot, id);
    let record = published.tables.documents().get(&key).unwrap().unwrap();
    let touches = of_document(&*published.tables, names.slots(), &key, &record).unwrap();
    touches.into_iter().map(|dot| (*names.writer_at(dot.writer).unwrap(), dot.sequence)).collect()
}

/// Notes which documents each commit names, as who reads the log would.
fn write(replica: &Replica, sampler: &mut Sampler, named: &mut BTreeMap<String, Commits>) {
    let writer = replica.store.writer();
    let dot = (writer, replica.store.vector(&SPACE, Plane::Data).unwrap().length(&writer));
    let ids: Vec<String> = (0..1 + sampler.below(2)).map(|_| sampler.below(3).to_string()).collect();
    replica
        .write(|tx| {
            for id in &ids {
                let (field, edit) = match sampler.below(9) {
                    0 => {
                        tx.delete("notes", id)?;
                        tx.restore("notes", id)?;
                        continue;
                    }
                    1 => ("count", Edit::Increment(1)),
                    2 => ("set", Edit::Add(vec![Value::Int(sampler.below(3) as i64)])),
                    3 => ("set", Edit::Remove(vec![Value::Int(1)])),
                    4 => ("text", Edit::Splice { at: 0, delete: 0, insert: "a".to_owned() }),
                    5 => ("x", Edit::Clear),
                    _ => ("x", Edit::Set(Value::Int(sampler.below(100) as i64))),
                };
                tx.update("notes", id, vec![(field.to_owned(), edit)])?;
            }
            Ok(())
        })
        .unwrap();
    for id in ids {
        named.entry(id).or_default().insert(dot);
    }
}

#[test]
fn a_document_names_every_commit_that_touched_it() {
    for seed in 0..6 {
        let mut sampler = Sampler::new(seed);
        let mut named = BTreeMap::new();
        let (a, b) = (Replica::new(1), Replica::new(2));
        for id in ["0", "1", "2"] {
            let writer = a.store.writer();
            let dot = (writer, a.store.vector(&SPACE, Plane::Data).unwrap().length(&writer));
            a.insert(id, &[("x", Value::Int(0)), ("y", Value::Int(0))]);
            named.insert(id.to_owned(), Commits::from([dot]));
        }
        b.pull(&a);
        for step in 0..80 {
            write(if sampler.below(2) == 0 { &a } else { &b }, &mut sampler, &mut named);
            if step % 9 == 0 {
                converge(&a, &b);
            }
        }
        converge(&a, &b);
        for (id, commits) in &named {
            assert!(commits.len() > 24, "too few for rows of their own");
            assert_eq!(touches(&a, id), *commits, "seed {seed}, document {id}");
            assert_eq!(touches(&b, id), *commits, "seed {seed}, document {id}");
        }
    }
}
