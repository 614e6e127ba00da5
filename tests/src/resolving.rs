//! Replicas that write the same registers apart, resolve the conflicts in different ways and at once, and undo that, agree, and on
//! what the naive fold of [`oracle`](crate::oracle) gives.
//!
//! A run prints nothing and is repeated by its seed: a failure names it.

use std::collections::BTreeMap;

use tidewater_engine::document::{Conflict, ConflictPolicy};
use tidewater_engine::id::CommitId;
use tidewater_engine::schema::Schema;
use tidewater_engine::store::{Durability, Edit, Resolution, Store, TransactionError, WriteError};
use tidewater_engine::value::Value;

use crate::convergence::{conflicted, expected_conflicted};
use crate::oracle::{Oracle, commits, see};
use crate::random::Random;
use crate::shared_space::SharedSpace;

/// Replicas.
const REPLICAS: usize = 3;
/// Steps of one run.
const STEPS: usize = 60;
const COLLECTION: &str = "notes";
const IDS: &[&str] = &["n1", "n2"];
/// The fields; what each declares.
const FIELDS: &[(&str, ConflictPolicy)] = &[
    ("latest", ConflictPolicy::Latest),
    ("max", ConflictPolicy::Max),
    ("min", ConflictPolicy::Min),
    ("all", ConflictPolicy::KeepAll),
];

/// A resolution that was made.
struct Made {
    id: String,
    field: String,
    commit: CommitId,
    /// What the field showed before.
    before: Value,
}

/// Lets replicas write, resolve, undo and exchange, and compares them. Counts what was reached.
///
/// # Panics
/// When they do not agree: the message names the seed.
pub fn resolve_apart(seed: u64, reached: &mut BTreeMap<&'static str, usize>) {
    let mut random = Random::new(seed);
    let shared = SharedSpace::new(seed, REPLICAS);
    let fields: Vec<_> =
        FIELDS.iter().map(|(field, policy)| format!("\"{field}\": {{\"conflict\": \"{}\"}}", policy.name())).collect();
    let schema = format!(r#"{{"fields": {{{}}}, "indexes": {{"by_max": {{"fields": ["max"]}}}}}}"#, fields.join(", "));
    let schema = Schema::from_json(schema.as_bytes()).expect("a schema");
    let begun = shared.store(0).transaction(Durability::Local, |transaction| {
        transaction.set_schema(COLLECTION, &schema)?;
        IDS.iter().try_for_each(|id| transaction.insert(COLLECTION, Some(id), [].into()).map(drop))
    });
    begun.expect("a schema and documents");
    shared.exchange_all();
    let mut resolutions = Vec::new();
    for _ in 0..STEPS {
        let member = random.below(REPLICAS);
        shared.host.advance_ms(random.below(2_000) as i64 - 500);
        match random.below(12) {
            0..4 => write(shared.store(member), &mut random),
            4..7 => resolutions.extend(resolve(shared.store(member), &mut random, reached, seed)),
            7..9 => undo(shared.store(member), &resolutions, &mut random, reached, seed),
            _ => {
                let from = random.below(REPLICAS);
                let writers: Vec<_> = shared.vector(from).iter().map(|(writer, _)| *writer).collect();
                for writer in writers.iter().filter(|_| from != member) {
                    shared.deliver(from, member, writer, 1 << 20);
                }
            }
        }
    }
    shared.exchange_all();
    check(&shared, seed, reached);
}

fn write(store: &Store, random: &mut Random) {
    let (id, (field, _)) = (*random.pick(IDS), *random.pick(FIELDS));
    let number = |random: &mut Random| Value::Int(random.below(6) as i64);
    let value = if random.one_in(4) { Value::List(vec![number(random), number(random)]) } else { number(random) };
    let edit = if random.one_in(10) { Edit::Clear } else { Edit::Set(value) };
    let written = store.transaction(Durability::Local, |transaction| {
        transaction.update(COLLECTION, id, vec![(field.to_owned(), edit)])
    });
    written.expect("a document that nobody deletes");
}

/// Resolves a conflict in one way or another. When the look was at other values than are there, that is refused.
fn resolve(store: &Store, random: &mut Random, reached: &mut BTreeMap<&'static str, usize>, seed: u64) -> Option<Made> {
    let snapshot = store.snapshot().expect("a snapshot");
    let listed = snapshot.conflicted_documents(None, None, None, 10).expect("a list");
    if listed.is_empty() {
        return None;
    }
    let document = random.pick(&listed);
    let conflicts = snapshot.conflicts(Some(&document.space), &document.collection, &document.id).expect("conflicts");
    let Conflict::Siblings { field, values, version, shown: before, .. } = random.pick(&conflicts) else {
        panic!("seed {seed}: only registers were written: {conflicts:?}")
    };
    let own = Value::Int(100 + random.below(100) as i64);
    let resolution = match random.below(3) {
        0 => Resolution::Pick { commit: random.pick(values).commit, seen: *version },
        1 => Resolution::Merge { value: own, seen: *version },
        _ => Resolution::By(*random.pick(&ConflictPolicy::ALL)),
    };
    let resolve = || {
        store.transaction(Durability::Local, |transaction| {
            transaction.resolve(COLLECTION, document.id.as_str(), field, &resolution)
        })
    };
    let resolved = resolve().expect("a conflict that was just seen");
    *reached.entry("resolution").or_default() += 1;
    let now = store.snapshot().expect("a snapshot").conflicts(None, COLLECTION, &document.id).expect("conflicts");
    let is_left = now.iter().any(|left| matches!(left, Conflict::Siblings { field: of, .. } if of == field));
    assert!(!is_left, "seed {seed}: {field} is resolved: {now:?}");
    let shown = store.snapshot().expect("a snapshot").get(None, COLLECTION, document.id.as_str()).expect("a read");
    assert_eq!(shown.expect("alive").fields.get(field), Some(&resolved.value), "seed {seed}: {field}");
    let again = resolve();
    assert!(
        matches!(again, Err(TransactionError::Aborted(WriteError::NoConflict { .. }))),
        "seed {seed}: resolved twice: {again:?}"
    );
    let (id, field, before) = (document.id.to_string(), field.clone(), before.clone());
    Some(Made { id, field, commit: resolved.commit, before })
}

/// Undoes a resolution of any replica, if it arrived here and the field was not written since: then what was shown before is
/// shown again.
fn undo(
    store: &Store,
    resolutions: &[Made],
    random: &mut Random,
    reached: &mut BTreeMap<&'static str, usize>,
    seed: u64,
) {
    if resolutions.is_empty() {
        return;
    }
    let Made { id, field, commit, before } =
        &resolutions[resolutions.len() - 1 - random.below(resolutions.len().min(6))];
    let undone =
        store.transaction(Durability::Local, |transaction| transaction.undo_resolution(COLLECTION, id, field, *commit));
    match undone {
        Ok(undone) => {
            assert_eq!(undone.value, *before, "seed {seed}: {id}.{field} before commit {commit}");
            *reached.entry("undo").or_default() += 1;
        }
        Err(TransactionError::Aborted(WriteError::ChangedSince { .. })) => {
            *reached.entry("undo refused").or_default() += 1;
        }
        Err(other) => panic!("seed {seed}: {id}.{field}: {other:?}"),
    }
}

fn check(shared: &SharedSpace, seed: u64, reached: &mut BTreeMap<&'static str, usize>) {
    let space = shared.space;
    let commits = commits(shared.store(0), &space);
    let oracle = FIELDS
        .iter()
        .fold(Oracle::new(&commits, &[]), |oracle, (field, policy)| oracle.with_policy(COLLECTION, field, *policy));
    let digest = shared.store(0).digest(&space).expect("a digest");
    for member in 0..REPLICAS {
        let store = shared.store(member);
        assert_eq!(store.digest(&space).expect("a digest"), digest, "seed {seed}: replica {member} differs from 0");
        for id in IDS {
            let expected = oracle.see(COLLECTION, id);
            let seen = see(&store.snapshot().expect("a snapshot"), None, COLLECTION, id);
            assert_eq!(seen, expected, "seed {seed}: {id} on replica {member}");
            *reached.entry("conflict").or_default() += expected.siblings.len();
        }
        assert_eq!(conflicted(store), expected_conflicted(&oracle), "seed {seed}: replica {member}");
        let verified = store.verify(&mut |_, _| {}).expect("a report");
        assert!(verified.problems.is_empty(), "seed {seed}: replica {member}: {:?}", verified.problems);
    }
}
