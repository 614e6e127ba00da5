//! Target: a hostile writer, who signs and seals whatever it likes. Two replicas that take its log in different portions come
//! to the same, stay sound, and go on.

use tidewater_engine::id::WriterId;
use tidewater_engine::log::header::SALT_BYTES;
use tidewater_engine::log::seal::EntryDraft;
use tidewater_engine::log::{Header, Moved, Plane, Prefix};
use tidewater_engine::operation::encode_commit;
use tidewater_engine::store::{Durability, Edit, LogBatch, LoggedEntry, ReceiveError, WriteError};

use super::script::{Script, put_block};
use super::{Memory, Target};
use crate::forger::{Forger, sealed_frame};
use crate::oracle::commits;
use crate::shared_space::SharedSpace;

pub(super) const TARGET: Target = Target {
    name: "writer",
    run,
    seeds,
    input_bytes_max: 4_096,
    memory: Memory { fixed: 64 << 20, per_byte: 64 << 10 },
    executions: 150,
};

/// The space is the same in every run: what a writer signs for one counts in no other.
const SEED: u64 = 7;
/// Who is hostile.
const HOSTILE: usize = 2;
/// Commits of one script at most.
const MAX_COMMITS: usize = 24;

/// For each commit: how it is sealed, what it depends on, its flags, its clock, and its bytes.
fn run(input: &[u8]) -> bool {
    let mut shared = SharedSpace::new(SEED, 3);
    note(&shared, 0, "before");
    shared.exchange_all();
    let writer = shared.store(HOSTILE).writer();
    let mut forger = Forger::new(shared.device_key(HOSTILE), shared.space, Plane::Data, writer);
    let mut script = Script::new(input);
    let mut taken = 0;
    for _ in 0..MAX_COMMITS {
        if script.is_over() {
            break;
        }
        commit(&mut script, &mut forger, &shared);
        if forger.length() == taken {
            continue;
        }
        match shared.store(0).receive(&forger.batch(taken)) {
            Ok(_) => taken = forger.length(),
            Err(refused) => {
                expect_a_verdict(&refused);
                // The same in one portion is refused as well.
                assert!(shared.store(1).receive(&forger.batch(0)).is_err(), "in one portion it is taken: {refused}");
                break;
            }
        }
    }
    if taken > 0 {
        expect_no_fork_and_no_gap(&shared, writer);
    }
    // What the first took in portions, the second takes at once.
    let mut held = shared.vector(1).length(&writer);
    while shared.deliver(0, 1, &writer, usize::MAX) {
        let now = shared.vector(1).length(&writer);
        assert!(now > held, "a portion that brings nothing");
        held = now;
    }
    assert_eq!(held as usize, taken);
    note(&shared, 0, "after");
    note(&shared, 1, "after");
    agree(&mut shared);
    taken > 0 && shared.store(0).snapshot().and_then(|now| now.report(&shared.space)).is_ok_and(|all| all.void == 0)
}

/// Another branch of the log is not taken where some of it is held, nor its second entry where nothing is.
fn expect_no_fork_and_no_gap(shared: &SharedSpace, writer: WriterId) {
    let mut other = Forger::new(shared.device_key(HOSTILE), shared.space, Plane::Data, writer);
    let mut add = || {
        let (dependencies, control) = (Moved::new(), Moved::new());
        let draft = EntryDraft { timestamp_ms: 1, first: true, last: true, dependencies, control };
        assert!(other.seal(draft, &shared.epoch, b"another branch"), "it is short");
        other.batch(0)
    };
    let (branch, longer) = (add(), add());
    let forked = shared.store(0).receive(&branch);
    assert!(matches!(forked, Err(ReceiveError::Fork { length: 1, .. })), "another branch comes to {forked:?}");
    let torn = shared.store(1).receive(&LogBatch { from: 1, entries: longer.entries[1..].to_vec(), ..longer });
    assert!(
        matches!(torn, Err(ReceiveError::Gap { from: 1, held: 0, .. })),
        "a log without its start comes to {torn:?}"
    );
}

fn expect_a_verdict(refused: &ReceiveError) {
    let verdict = matches!(refused, ReceiveError::Invalid { .. } | ReceiveError::Newer { .. });
    assert!(verdict, "a signed batch led to {refused:?}");
}

fn note(shared: &SharedSpace, member: usize, id: &str) {
    let written: Result<_, tidewater_engine::store::TransactionError<WriteError>> =
        shared.store(member).transaction(Durability::Local, |transaction| {
            if transaction.get("notes", id)?.is_none() {
                transaction.insert("notes", Some(id), [("title".to_owned(), "Milk".into())].into())?;
            }
            transaction.update("notes", id, vec![("views".to_owned(), Edit::Increment(1))])
        });
    // Whatever was made of the fields by others, an honest write is done or refused with a reason.
    if let Err(tidewater_engine::store::TransactionError::Write(error)) = written {
        panic!("an honest write failed: {error}");
    }
}

fn agree(shared: &mut SharedSpace) {
    let logs: Vec<WriterId> = [0, 1].map(|member| shared.store(member).writer()).into();
    for (from, to) in [(0, 1), (1, 0)] {
        logs.iter().for_each(|writer| while shared.deliver(from, to, writer, usize::MAX) {});
    }
    let space = shared.space;
    let digest = |shared: &SharedSpace, member| shared.store(member).digest(&space).expect("a digest");
    let expected = digest(shared, 0);
    assert_eq!(digest(shared, 1), expected, "the same logs, and different states");
    for member in [0, 1] {
        let report = shared.store(member).verify(&mut |_, _| {}).expect("a report");
        assert!(report.problems.is_empty(), "replica {member}: {:?}", report.problems);
    }
    shared.restart(0);
    assert_eq!(digest(shared, 0), expected, "another state after a restart");
}

fn commit(script: &mut Script<'_>, forger: &mut Forger, shared: &SharedSpace) {
    let (kind, depends, flags, clock) = (script.byte(), script.byte(), script.byte(), script.byte());
    let bytes = script.block();
    let timestamp_ms = [1_790_000_000_000, 0, i64::MIN, i64::MAX][usize::from(clock) % 4];
    let dependencies = dependencies(depends, shared, forger);
    let draft =
        |first, last, dependencies| EntryDraft { timestamp_ms, first, last, dependencies, control: Moved::new() };
    let (first, last) = if flags < 192 { (true, true) } else { (flags & 1 != 0, flags & 2 != 0) };
    match kind % 8 {
        0..=3 => drop(forger.seal(draft(first, last, dependencies), &shared.epoch, bytes)),
        4 => {
            let (front, back) = bytes.split_at(bytes.len() / 2);
            if forger.seal(draft(true, false, dependencies), &shared.epoch, front) {
                forger.seal(draft(false, true, Moved::new()), &shared.epoch, back);
            }
        }
        5 => forger.push(sealed_frame(&forger.place(), draft(first, last, dependencies), &shared.epoch, bytes)),
        6 => {
            let mut entry = sealed_frame(&forger.place(), draft(first, last, dependencies), &shared.epoch, b"\0\0\0");
            entry.header = bytes.to_vec();
            forger.push(entry);
        }
        _ => forger.push(unopened(draft(first, last, dependencies), shared, bytes)),
    }
}

/// An entry whose body opens under no key.
fn unopened(draft: EntryDraft, shared: &SharedSpace, body: &[u8]) -> LoggedEntry {
    let EntryDraft { timestamp_ms, first, last, dependencies, control } = draft;
    let (epoch, salt) = (shared.epoch.epoch_id(), [0; SALT_BYTES]);
    let (body_length, body_hash) = (body.len() as u32, *blake3::hash(body).as_bytes());
    let header = Header { timestamp_ms, first, last, epoch, salt, dependencies, control, body_length, body_hash };
    LoggedEntry { header: header.encode(), body: body.to_vec() }
}

/// Nothing; what the first replica wrote; a lie about it; what nobody wrote.
fn dependencies(choice: u8, shared: &SharedSpace, forger: &Forger) -> Moved {
    let vector = shared.vector(0);
    let other = shared.store(0).writer();
    let prefix = vector.get(&other).copied().expect("the first replica wrote");
    match choice % 8 {
        0..=3 => Moved::new(),
        4 => vec![(other, prefix)],
        5 => vec![(other, Prefix { root: [4; 32], ..prefix })],
        6 => vec![(other, Prefix { length: prefix.length + u64::from(choice), ..prefix })],
        _ => vec![(forger.place().writer, prefix)],
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = vec![Vec::new()];
    // What an honest member would have written in its place.
    let shared = SharedSpace::new(SEED, 3);
    let store = shared.store(HOSTILE);
    store.transaction(Durability::Local, super::people::fill_as_writer).expect("an honest write");
    for text in ["Some text", "Some more text", "Text"] {
        let edit = vec![("body".to_owned(), Edit::Set(text.into())), ("tree".to_owned(), Edit::Set(text.into()))];
        let written = store.transaction(Durability::Local, |transaction| transaction.update("notes", "n1", edit));
        written.expect("an honest write");
    }
    let mut all = Vec::new();
    for commit in commits(store, &shared.space) {
        let bytes = encode_commit(&commit.operations).expect("a commit");
        for head in [[0, 0, 0, 0], [4, 4, 0, 1], [5, 0, 0, 0]] {
            let mut seed = head.to_vec();
            put_block(&mut seed, &bytes);
            if head[0] == 0 {
                all.extend_from_slice(&seed);
            }
            seeds.push(seed);
        }
    }
    seeds.push(all);
    for operation in super::commit::samples() {
        let mut seed = vec![0, 0, 0, 0];
        put_block(&mut seed, &encode_commit(&[operation]).expect("a commit"));
        seeds.push(seed);
    }
    seeds
}
