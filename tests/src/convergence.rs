//! Any operations on any replicas, exchanged in any order, end in the same state everywhere, and it is the one that the
//! naive fold of [`oracle`](crate::oracle) gives.
//!
//! A run prints nothing and is repeated by its seed: a failure names it.

use std::collections::{BTreeMap, BTreeSet};

use crate::edits::{IDS, SCHEMA, Write, is_refusal};
use crate::oracle::{DECLARED, Oracle, Seen, commits, see};
use crate::random::Random;
use crate::shared_space::SharedSpace;
use tidewater_engine::id::WriterId;
use tidewater_engine::query::Query;
use tidewater_engine::schema::Schema;
use tidewater_engine::store::{Durability, Store, TransactionError};

/// Replicas that write. One more writes nothing and receives everything at the end.
const WRITERS: usize = 3;
/// Steps of one run.
const STEPS: usize = 120;

/// Lets replicas write and exchange, and compares them all. Counts what was reached.
///
/// # Panics
/// When they do not agree: the message names the seed.
pub fn converge(seed: u64, reached: &mut BTreeMap<&'static str, usize>) {
    let mut random = Random::new(seed);
    let mut shared = SharedSpace::new(seed, WRITERS + 1);
    let schema = Schema::from_json(SCHEMA.as_bytes()).expect("a schema");
    let declared =
        shared.store(0).transaction(Durability::Local, |transaction| transaction.set_schema("declared", &schema));
    declared.expect("the schema is declared");
    shared.exchange_all();
    let mut deliver = |shared: &SharedSpace, random: &mut Random, to: usize| {
        let from = random.below(WRITERS);
        let writers: Vec<WriterId> = shared.vector(from).iter().map(|(writer, _)| *writer).collect();
        let (writer, max_bytes) = (*random.pick(&writers), 1 + random.below(4_000));
        if from != to && shared.deliver(from, to, &writer, max_bytes) {
            let complete = shared.vector(to).length(&writer) == shared.vector(from).length(&writer);
            *reached.entry(if complete { "delivery" } else { "partial delivery" }).or_default() += 1;
        }
    };
    let mut restarts = 0;
    for _ in 0..STEPS {
        let member = random.below(WRITERS);
        shared.host.advance_ms(random.below(2_000) as i64 - 500);
        match random.below(40) {
            0..26 => edit(shared.store(member), &mut random, seed.is_multiple_of(3)),
            26..39 => (0..=random.below(4)).for_each(|_| deliver(&shared, &mut random, member)),
            _ => {
                shared.restart(member);
                restarts += 1;
            }
        }
    }
    // The last replica learns everything at the end, in bits and in any order.
    (0..30).for_each(|_| deliver(&shared, &mut random, WRITERS));
    shared.exchange_all();
    *reached.entry("restart").or_default() += restarts;

    check(&mut shared, seed, reached);
}

/// One transaction of one to three random writes. What the database refuses, it refuses whole.
/// With `one`, all are of one document, so that more commits touch it than its record lists.
fn edit(store: &Store, random: &mut Random, one: bool) {
    let writes = if random.one_in(3) { 1 + random.below(3) } else { 1 };
    let outcome = store.transaction(Durability::Local, |transaction| {
        (0..writes).try_for_each(|_| {
            let mut write = Write::random(random);
            if one {
                write.id = IDS[0];
            }
            write.run(transaction)
        })
    });
    match outcome {
        Ok(()) => {}
        Err(TransactionError::Aborted(error)) => assert!(is_refusal(&error), "an honest write failed: {error}"),
        Err(TransactionError::Write(error)) => panic!("a commit failed: {error}"),
    }
}

fn check(shared: &mut SharedSpace, seed: u64, reached: &mut BTreeMap<&'static str, usize>) {
    let space = shared.space;
    let commits = commits(shared.store(0), &space);
    let oracle = Oracle::new(&commits, DECLARED);
    let digest = shared.store(0).digest(&space).expect("a digest");
    for member in 0..shared.count() {
        let store = shared.store(member);
        let report = store.snapshot().expect("a snapshot").report(&space).expect("a report");
        assert_eq!((report.void, report.parked), (0, 0), "seed {seed}: replica {member}");
        let mut alive = BTreeSet::new();
        for (collection, id) in oracle.names().filter(|(collection, _)| !collection.starts_with('$')) {
            let expected = oracle.see(collection, id);
            let seen = see(&store.snapshot().expect("a snapshot"), None, collection, id);
            assert_eq!(seen, expected, "seed {seed}: {collection}/{id} on replica {member}");
            if member == 0 {
                count(&expected, reached);
            }
            alive.extend(expected.live.map(|_| (collection.to_owned(), id.to_owned())));
        }
        let listed = ["declared", "free"].iter().flat_map(|collection| {
            store.snapshot().expect("a snapshot").find(&Query::all(*collection)).expect("a result").documents
        });
        let listed: BTreeSet<_> = listed.map(|document| (document.collection, document.id.to_string())).collect();
        assert_eq!(listed, alive, "seed {seed}: what replica {member} lists");
        assert_eq!(
            conflicted(store),
            expected_conflicted(&oracle),
            "seed {seed}: what replica {member} lists as conflicted"
        );
        assert_eq!(store.digest(&space).expect("a digest"), digest, "seed {seed}: replica {member} differs from 0");
        let verified = store.verify(&mut |_, _| {}).expect("a report");
        assert!(verified.problems.is_empty(), "seed {seed}: replica {member}: {:?}", verified.problems);
    }
    for member in 0..shared.count() {
        shared.restart(member);
        let again = shared.store(member).digest(&space).expect("a digest");
        assert_eq!(again, digest, "seed {seed}: replica {member} differs after a restart");
    }
}

/// The documents that a replica lists as conflicted.
pub(crate) fn conflicted(store: &Store) -> BTreeSet<(String, String)> {
    let snapshot = store.snapshot().expect("a snapshot");
    let listed = snapshot.conflicted_documents(None, None, None, usize::MAX).expect("a list");
    listed.into_iter().map(|one| (one.collection, one.id.to_string())).collect()
}

/// Those that it must list.
pub(crate) fn expected_conflicted(oracle: &Oracle<'_>) -> BTreeSet<(String, String)> {
    let names = oracle.names().filter(|(collection, _)| !collection.starts_with('$'));
    let conflicted = names.filter(|(collection, id)| oracle.see(collection, id).is_conflicted());
    conflicted.map(|(collection, id)| (collection.to_owned(), id.to_owned())).collect()
}

fn count(seen: &Seen, reached: &mut BTreeMap<&'static str, usize>) {
    let mut add = |what, times| *reached.entry(what).or_default() += times;
    add(if seen.live.is_some() { "alive" } else { "not alive" }, 1);
    add("siblings", seen.siblings.len());
    add("kinds", seen.kinds.len());
    add("deleted", seen.deleted.len());
}
