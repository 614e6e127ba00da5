//! Batches that no honest replica writes: well signed by a member, and wrong.

use ed25519_dalek::{Signer, SigningKey};

use super::world::{Replica, SPACE, converge, device, table};
use crate::id::{Incarnation, WriterId};
use crate::log::header::{BODY_BYTES_MAX, BODY_BYTES_MIN, ENTRY_BYTES_MAX, Moved};
use crate::log::seal::{EntryDraft, Sealer};
use crate::log::tree::leaf_hash;
use crate::log::{Frontier, Header, Place, Plane, Prefix, head_message};
use crate::operation::{Action, FieldOp, Operation, encode_commit};
use crate::space::{Authority, EffectiveTable, Rank, SecretKey};
use crate::store::receive::BATCH_ENTRIES_MAX;
use crate::store::{
    Durability, Edit, LogBatch, LoggedEntry, ReceiveError, SignedHead, TransactionError, VoidCommit, VoidReason,
    WriteError,
};
use crate::value::Value;

/// A member that writes its logs by hand.
struct Author {
    key: SigningKey,
    plane: Plane,
    writer: WriterId,
    frontier: Frontier,
    entries: Vec<LoggedEntry>,
}

impl Author {
    fn new(seed: u8, plane: Plane) -> Self {
        Self {
            key: SigningKey::from_bytes(&[seed; 32]),
            plane,
            writer: WriterId { device: device(seed), incarnation: Incarnation([0xab; 8]) },
            frontier: Frontier::default(),
            entries: Vec::new(),
        }
    }

    fn push(&mut self, header: Vec<u8>, body: Vec<u8>) {
        let sequence = self.frontier.length();
        let place = Place { space: SPACE, plane: self.plane, writer: self.writer, sequence };
        self.frontier.append(leaf_hash(&place, &header));
        self.entries.push(LoggedEntry { header, body });
    }

    fn commit(&mut self, first: bool, last: bool, dependencies: Moved, chunk: &[u8]) {
        let key = match self.plane {
            Plane::Control => table().control_key.unwrap(),
            Plane::Data => SecretKey::new([9; 32]),
        };
        let sequence = self.frontier.length();
        let place = Place { space: SPACE, plane: self.plane, writer: self.writer, sequence };
        let draft = EntryDraft { timestamp_ms: 5, first, last, dependencies, control: Moved::new() };
        let sealed = Sealer::new().seal(&place, draft, &key, [1; 16], chunk).unwrap();
        self.push(sealed.header, sealed.body);
    }

    /// A whole commit that was written in knowledge of control logs.
    fn commit_under(&mut self, control: Moved, chunk: &[u8]) {
        let sequence = self.frontier.length();
        let place = Place { space: SPACE, plane: self.plane, writer: self.writer, sequence };
        let draft = EntryDraft { timestamp_ms: 5, first: true, last: true, dependencies: Moved::new(), control };
        let sealed = Sealer::new().seal(&place, draft, &SecretKey::new([9; 32]), [1; 16], chunk).unwrap();
        self.push(sealed.header, sealed.body);
    }

    /// A commit whose body nobody opens before its dependencies are met.
    fn opaque(&mut self, bytes: usize, dependencies: Moved) {
        let mut body = vec![0; bytes];
        blake3::Hasher::new().update(&self.frontier.root()).finalize_xof().fill(&mut body);
        let header = Header {
            timestamp_ms: 5,
            first: true,
            last: true,
            epoch: SecretKey::new([9; 32]).epoch_id(),
            salt: [0; 8],
            dependencies,
            control: Moved::new(),
            body_length: bytes as u32,
            body_hash: *blake3::hash(&body).as_bytes(),
        };
        self.push(header.encode(), body);
    }

    /// Everything from `from` on, signed.
    fn batch(&self, from: usize) -> LogBatch {
        let prefix = self.frontier.prefix();
        let message = head_message(&SPACE, self.plane, &self.writer, &prefix);
        LogBatch {
            space: SPACE,
            plane: self.plane,
            writer: self.writer,
            from: from as u64,
            entries: self.entries[from..].to_vec(),
            head: SignedHead {
                length: prefix.length,
                root: Some(prefix.root),
                signature: self.key.sign(&message).to_bytes(),
            },
        }
    }
}

fn set(id: &str, value: i64) -> Vec<u8> {
    set_in(1, id, value)
}

fn set_in(generation: u64, id: &str, value: i64) -> Vec<u8> {
    let fields = vec![("x".to_owned(), FieldOp::Set(Value::Int(value)))];
    let id = crate::id::DocumentId::new(id).unwrap();
    let action = Action::Insert(fields);
    encode_commit(&[Operation { collection: "notes".to_owned(), id, generation, action }]).unwrap()
}

fn nowhere() -> Moved {
    let writer = WriterId { device: device(9), incarnation: Incarnation([9; 8]) };
    vec![(writer, Prefix { length: 1, root: [9; 32] })]
}

#[test]
fn a_restore_brings_back_what_was_written_after_one_that_turned_out_void() {
    let replica = Replica::new(1);
    let mut author = Author::new(2, Plane::Data);
    let id = || crate::id::DocumentId::new("n").unwrap();
    let counted = |by: i64| vec![("count".to_owned(), FieldOp::Add(by))];
    let acts = [(1, Action::Insert(counted(3))), (1, Action::Delete), (2, Action::Edit(counted(4)))];
    for (generation, action) in acts {
        let operation = Operation { collection: "notes".to_owned(), id: id(), generation, action };
        author.commit(true, true, Moved::new(), &encode_commit(&[operation]).unwrap());
    }
    assert_eq!(replica.store.receive(&author.batch(0)).unwrap().applied, 3);
    assert!(!replica.alive("n"), "nothing opened the second life");
    let restored = replica.store.transaction(Durability::Local, |transaction| transaction.restore("notes", "n"));
    restored.unwrap();
    assert_eq!(replica.field("n", "count"), Some(Value::Int(7)));
    // The next delete and restore take it along.
    let again = replica.store.transaction(Durability::Local, |transaction| {
        transaction.delete("notes", "n")?;
        transaction.restore("notes", "n")
    });
    again.unwrap();
    assert_eq!(replica.field("n", "count"), Some(Value::Int(7)));
}

fn void(replica: &Replica) -> u64 {
    replica.store.snapshot().unwrap().report(&SPACE).unwrap().void
}

#[test]
fn a_handmade_commit_counts_like_any_other() {
    let replica = Replica::new(1);
    let mut author = Author::new(2, Plane::Data);
    author.commit(true, true, Moved::new(), &set("n", 1));
    assert_eq!(replica.store.receive(&author.batch(0)).unwrap().applied, 1);
    assert_eq!(replica.field("n", "x"), Some(Value::Int(1)));
}

/// A commit that claims a generation which its past can't have reached is void, so nobody makes a document impossible
/// to delete or restore.
#[test]
fn attack_nobody_uses_up_a_documents_generations() {
    let replica = Replica::new(1);
    let mut author = Author::new(2, Plane::Data);
    let reach = crate::operation::MAX_OPERATIONS as u64;
    for (number, generation) in [reach + 1, 2 * reach, 3 * reach + 1, u64::MAX].into_iter().enumerate() {
        author.commit(true, true, Moved::new(), &set_in(generation, &format!("n{number}"), 1));
        replica.store.receive(&author.batch(number)).unwrap();
    }
    // The second commit has one entry in its past.
    let alive = [0, 1, 2, 3].map(|number| replica.alive(&format!("n{number}")));
    assert_eq!((alive, void(&replica)), ([false, true, false, false], 3));
}

#[test]
fn void_commits_are_listed_with_their_reasons_page_by_page() {
    let replica = Replica::new(1);
    let mut author = Author::new(2, Plane::Data);
    author.commit(true, true, Moved::new(), &set("n", 1));
    author.commit(true, true, Moved::new(), b"no operations");
    author.commit(true, true, Moved::new(), &set_in(u64::MAX, "far", 1));
    let text = vec![("t".to_owned(), FieldOp::Text(b"no change".to_vec()))];
    let id = crate::id::DocumentId::new("n").unwrap();
    let change = Operation { collection: "notes".to_owned(), id, generation: 1, action: Action::Edit(text) };
    author.commit(true, true, Moved::new(), &encode_commit(&[change]).unwrap());
    replica.store.receive(&author.batch(0)).unwrap();
    let mut stranger = Author::new(20, Plane::Data);
    stranger.commit(true, true, Moved::new(), &set("n", 2));
    assert_eq!(replica.store.receive(&stranger.batch(0)).unwrap().stored, 1);
    let snapshot = replica.store.snapshot().unwrap();
    let mut listed = Vec::new();
    loop {
        let page = snapshot.void_commits(&SPACE, listed.last().map(|last: &VoidCommit| &last.place), 2).unwrap();
        assert!(page.len() <= 2);
        if page.is_empty() {
            break;
        }
        listed.extend(page);
    }
    let reasons = [VoidReason::Unreadable, VoidReason::Operation, VoidReason::Change];
    let mut expected: Vec<_> = (1..).zip(reasons).map(|(at, reason)| (author.writer, at, reason)).collect();
    expected.push((stranger.writer, 0, VoidReason::Rank));
    expected.sort_by_key(|(writer, at, _)| (*writer, *at));
    let listed: Vec<_> = listed.iter().map(|void| (void.place.writer, void.place.sequence, void.reason)).collect();
    assert_eq!(listed, expected);
    assert_eq!(void(&replica), 4);
}

#[test]
fn a_batch_of_another_shape_is_refused_for_what_it_is() {
    let replica = Replica::new(1);
    let refused = |batch: &LogBatch| match replica.store.receive(batch) {
        Err(ReceiveError::Invalid { why, .. }) => why,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(&Author::new(3, Plane::Data).batch(0)), "0 entries");
    let mut author = Author::new(2, Plane::Data);
    (0..BATCH_ENTRIES_MAX).for_each(|_| author.opaque(BODY_BYTES_MIN, nowhere()));
    let largest = author.batch(0);
    let cut = LogBatch { entries: largest.entries[..9].to_vec(), ..largest.clone() };
    let beyond = LogBatch { from: u64::MAX, ..largest.clone() };
    for batch in [cut, beyond] {
        assert_eq!(refused(&batch), "it does not end at its head");
    }
    author.opaque(BODY_BYTES_MIN, nowhere());
    assert_eq!(refused(&author.batch(0)), "1025 entries");
    for (body, why) in [(ENTRY_BYTES_MAX - 9, false), (ENTRY_BYTES_MAX - 8, true), (ENTRY_BYTES_MAX, true)] {
        let mut author = Author::new(2, Plane::Data);
        author.push(vec![0; 9], vec![0; body]);
        assert_eq!(refused(&author.batch(0)) == "an entry is over 256 KiB", why, "{body}");
    }
    assert_eq!(replica.store.receive(&largest).unwrap().stored, 1_024);
}

#[test]
fn flags_that_make_no_run_are_refused() {
    let replica = Replica::new(1);
    let flags: [&[(bool, bool)]; 3] =
        [&[(false, true)], &[(true, false), (true, true)], &[(true, true), (false, true)]];
    for flags in flags {
        let mut author = Author::new(2, Plane::Data);
        flags.iter().for_each(|(first, last)| author.commit(*first, *last, Moved::new(), &set("n", 1)));
        assert!(matches!(replica.store.receive(&author.batch(0)), Err(ReceiveError::Invalid { .. })), "{flags:?}");
    }
    // The same over two batches, the run begun in the first.
    let mut author = Author::new(2, Plane::Data);
    author.commit(true, false, Moved::new(), b"");
    replica.store.receive(&author.batch(0)).unwrap();
    author.commit(true, true, Moved::new(), &set("n", 1));
    assert!(matches!(replica.store.receive(&author.batch(1)), Err(ReceiveError::Invalid { .. })));
    assert_eq!(replica.store.vector(&SPACE, Plane::Data).unwrap().length(&author.writer), 1);
}

#[test]
fn an_unknown_operation_is_void_unless_the_feature_level_it_was_written_under_is_not_known() {
    let mut unknown = set("n", 1);
    unknown[0] = 99;
    let raiser = WriterId { device: device(1), incarnation: Incarnation([1; 8]) };
    for (raised, parked) in [(vec![], false), (vec![(raiser, 1)], true), (vec![(raiser, 2)], false)] {
        let replica = Replica::new(3);
        let mut author = Author::new(1, Plane::Control);
        author.writer = raiser;
        author.commit(true, true, Moved::new(), b"what raises the level");
        replica.store.receive(&author.batch(0)).unwrap();
        let known = replica.store.applied(&SPACE, Plane::Control).unwrap();
        let control = vec![(raiser, *known.get(&raiser).unwrap())];
        replica.store.set_effective(SPACE, EffectiveTable { control: known, raised, ..table() }).unwrap();
        let mut author = Author::new(2, Plane::Data);
        author.commit_under(control, &unknown);
        author.commit(true, true, Moved::new(), &set("later", 1));
        replica.store.receive(&author.batch(0)).unwrap();
        assert_eq!((replica.alive("later"), void(&replica)), (!parked, u64::from(!parked)));
    }
}

#[test]
fn an_entry_of_newer_software_is_nobodys_fault() {
    let replica = Replica::new(1);
    for at in [0, 1] {
        let mut author = Author::new(2, Plane::Data);
        author.commit(true, true, Moved::new(), &set("n", 1));
        let mut entry = author.entries.remove(0);
        author.frontier = Frontier::default();
        entry.header[at] = 9;
        author.push(entry.header, entry.body);
        let refused = replica.store.receive(&author.batch(0));
        assert!(matches!(refused, Err(ReceiveError::Newer { version: 9, .. })), "{refused:?}");
    }
}

/// A commit whose dependencies contradict its own log is void; the log and everybody else go on.
#[test]
fn attack_dependencies_that_move_back_make_a_commit_void_and_the_log_goes_on() {
    let (a, b) = (Replica::new(1), Replica::new(3));
    a.insert("other", &[]);
    a.edit("other", "x", Edit::Set(Value::Int(1)));
    let prefix = |length| a.store.prefix_at(&SPACE, Plane::Data, &a.store.writer(), length).unwrap().unwrap();
    let on = |length| vec![(a.store.writer(), prefix(length))];
    let mut author = Author::new(2, Plane::Data);
    author.commit(true, true, on(2), &set("n", 1));
    author.commit(true, true, on(2), &set("repeated", 1));
    author.commit(true, true, on(1), &set("moved-back", 1));
    author.commit(true, false, Moved::new(), &set("once", 1));
    author.commit(false, true, on(2), b"");
    author.commit(true, true, Moved::new(), &set("m", 1));
    b.pull(&a);
    b.store.receive(&author.batch(0)).unwrap();
    assert!(b.alive("n") && b.alive("m"));
    assert!(!b.alive("repeated") && !b.alive("moved-back") && !b.alive("once"));
    assert_eq!(void(&b), 3);
    // Another order of arrival, the same state.
    a.store.receive(&author.batch(0)).unwrap();
    converge(&a, &b);
}

#[test]
fn a_list_that_names_one_log_twice_within_a_run_is_void() {
    let (a, b) = (Replica::new(1), Replica::new(3));
    a.insert("other", &[]);
    let on = vec![(a.store.writer(), a.store.prefix_at(&SPACE, Plane::Data, &a.store.writer(), 1).unwrap().unwrap())];
    let mut author = Author::new(2, Plane::Data);
    author.commit(true, false, on.clone(), &set("n", 1));
    author.commit(false, true, on, b"");
    b.pull(&a);
    b.store.receive(&author.batch(0)).unwrap();
    assert!(!b.alive("n"));
    assert_eq!(void(&b), 1);
}

#[test]
fn a_void_control_commit_is_not_listed() {
    let (a, b) = (Replica::new(1), Replica::new(3));
    let mut other = Author::new(4, Plane::Control);
    other.commit(true, false, Moved::new(), b"one ");
    let middle = other.frontier.prefix();
    other.commit(false, true, Moved::new(), b"commit");
    let mut author = Author::new(2, Plane::Control);
    author.commit(true, true, vec![(other.writer, middle)], b"depends on half of it");
    author.commit(true, true, vec![(other.writer, other.frontier.prefix())], b"depends on all of it");
    for replica in [&a, &b] {
        replica.store.receive(&other.batch(0)).unwrap();
        replica.store.receive(&author.batch(0)).unwrap();
        let bodies: Vec<_> =
            replica.store.control_commits(&SPACE).unwrap().into_iter().map(|commit| commit.body).collect();
        assert_eq!(bodies, [b"one commit".to_vec(), b"depends on all of it".to_vec()]);
        let voids: Vec<_> = replica.store.control_history(&SPACE).unwrap();
        let voids: Vec<_> = voids.iter().filter_map(|record| Some((&record.commit, record.void.as_ref()?))).collect();
        let [(commit, void)] = voids[..] else { panic!("{voids:?}") };
        assert_eq!((void.reason, void.place.writer), (VoidReason::Past, author.writer));
        assert_eq!(commit.body, b"depends on half of it", "the history shows what was said in vain");
    }
}

/// What comes from outside never continues this device's own log: a clone of it is told as a fork.
#[test]
fn attack_nobody_else_extends_this_devices_own_log() {
    let (a, clone, b) = (Replica::new(1), Replica::new(1), Replica::new(2));
    assert_eq!(a.store.writer(), clone.store.writer(), "one seed draws one incarnation");
    a.insert("n", &[]);
    b.pull(&a);
    let from_itself = b.store.read_log(&SPACE, Plane::Data, &a.store.writer(), 0, 1 << 20).unwrap().unwrap();
    let refused = clone.store.receive(&from_itself);
    assert!(matches!(refused, Err(ReceiveError::Fork { length: 1, .. })), "{refused:?}");
    assert!(clone.store.vector(&SPACE, Plane::Data).unwrap().is_empty());
    let mut forged = from_itself;
    forged.head.signature[0] ^= 1;
    assert!(matches!(clone.store.receive(&forged), Err(ReceiveError::Invalid { .. })));
}

/// Commits that depend on what never comes wait within a bound; those that can be applied go through beside them.
#[test]
fn attack_flood_of_waiting_commits_does_not_keep_ready_ones_out() {
    let (replica, honest) = (Replica::new(1), Replica::new(3));
    let mut flood = Author::new(2, Plane::Data);
    flood.opaque(100, nowhere());
    replica.store.receive(&flood.batch(0)).unwrap();
    let mut full = false;
    for _ in 0..5 {
        let from = flood.entries.len();
        (0..80).for_each(|_| flood.opaque(BODY_BYTES_MAX, Moved::new()));
        match replica.store.receive(&flood.batch(from)) {
            Ok(outcome) => assert_eq!(outcome.applied, 0),
            Err(ReceiveError::ParkingFull { .. }) => {
                full = true;
                break;
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert!(full, "what waits is bounded");
    // To the last batch of an ordinary size.
    let held = |store: &crate::store::Store| store.vector(&SPACE, Plane::Data).unwrap().length(&flood.writer) as usize;
    flood.entries.truncate(held(&replica.store));
    flood.frontier = flood.entries.iter().enumerate().fold(Frontier::default(), |mut frontier, (sequence, entry)| {
        let sequence = sequence as u64;
        let place = Place { space: SPACE, plane: Plane::Data, writer: flood.writer, sequence };
        frontier.append(leaf_hash(&place, &entry.header));
        frontier
    });
    loop {
        let from = flood.entries.len();
        flood.opaque(BODY_BYTES_MAX, Moved::new());
        if replica.store.receive(&flood.batch(from)).is_err() {
            break;
        }
    }
    let mut noise = vec![0; 200_000];
    for number in 0..3 {
        blake3::Hasher::new().update(&[number]).finalize_xof().fill(&mut noise);
        honest.insert(&format!("n{number}"), &[("data", Value::Bytes(noise.clone()))]);
    }
    honest.insert("n", &[("x", Value::Int(1))]);
    replica.pull(&honest);
    assert_eq!(replica.field("n", "x"), Some(Value::Int(1)));
}

#[test]
fn a_void_commit_waits_for_all_of_its_dependencies() {
    // Void for one reason, it still says that its writer saw the rest: what comes after it builds on that.
    let (a, b, late) = (Replica::new(1), Replica::new(3), Replica::new(4));
    a.insert("n", &[("x", Value::Int(1))]);
    late.pull(&a);
    late.edit("n", "x", Edit::Set(Value::Int(2)));
    let prefix = |of: &Replica| of.store.prefix_at(&SPACE, Plane::Data, &of.store.writer(), 1).unwrap().unwrap();
    let mut on = vec![(a.store.writer(), Prefix { root: [0; 32], ..prefix(&a) }), (late.store.writer(), prefix(&late))];
    on.sort_by_key(|(writer, _)| *writer);
    let mut author = Author::new(2, Plane::Data);
    author.commit(true, true, on, b"void");
    author.commit(true, true, Moved::new(), &set("n", 3));
    b.pull(&a);
    assert_eq!(b.store.receive(&author.batch(0)).unwrap().applied, 0);
    b.pull(&late);
    assert_eq!(void(&b), 1);
    a.pull(&late);
    a.store.receive(&author.batch(0)).unwrap();
    converge(&a, &b);
}

fn relay_table() -> EffectiveTable {
    let mut table = table();
    table.epochs.clear();
    table.write_epoch = None;
    table.devices.insert(device(2), Authority::of(Rank::Relay));
    table
}

#[test]
fn a_relay_passes_on_what_it_cannot_open_and_reads_it_once_it_may() {
    let (a, relay, c) = (Replica::new(1), Replica::new(2), Replica::new(3));
    relay.store.set_effective(SPACE, relay_table()).unwrap();
    a.insert("n", &[("x", Value::Int(1))]);
    c.pull(&a);
    c.edit("n", "x", Edit::Set(Value::Int(2)));
    relay.pull(&c);
    assert!(!relay.alive("n"));
    assert_eq!(relay.store.applied(&SPACE, Plane::Data).unwrap(), c.store.applied(&SPACE, Plane::Data).unwrap());
    let order = relay.store.applied_order(&SPACE, Plane::Data, 0, 10).unwrap();
    assert_eq!(order, [(0, a.store.writer(), 0), (1, c.store.writer(), 0)]);
    assert_eq!((void(&relay), relay.problems()), (0, Vec::new()));
    relay.store.set_effective(SPACE, table()).unwrap();
    assert_eq!(relay.field("n", "x"), Some(Value::Int(2)));
    converge(&relay, &c);
}

#[test]
fn the_order_of_application_names_the_last_entries() {
    let replica = Replica::new(1);
    let mut author = Author::new(2, Plane::Data);
    author.commit(true, false, Moved::new(), &set("n", 1));
    author.commit(false, true, Moved::new(), b"");
    author.commit(true, true, Moved::new(), &set("m", 1));
    replica.store.receive(&author.batch(0)).unwrap();
    let order = replica.store.applied_order(&SPACE, Plane::Data, 0, 10).unwrap();
    assert_eq!(order, [(0, author.writer, 1), (1, author.writer, 2)]);
}

#[test]
fn a_relay_stores_more_than_may_wait() {
    let relay = Replica::new(2);
    relay.store.set_effective(SPACE, relay_table()).unwrap();
    let mut author = Author::new(3, Plane::Data);
    for _ in 0..5 {
        let from = author.entries.len();
        (0..80).for_each(|_| author.opaque(BODY_BYTES_MAX, Moved::new()));
        relay.store.receive(&author.batch(from)).unwrap();
    }
}

#[test]
fn a_device_whose_own_commits_wait_for_a_key_does_not_write_over_them() {
    let replica = Replica::new(1);
    replica.insert("n", &[("x", Value::Int(1))]);
    let mut other = table();
    let key = SecretKey::new([77; 32]);
    other.write_epoch = Some(key.epoch_id());
    other.epochs = [(key.epoch_id(), key)].into();
    // A change of validity refolds, and the first commit can't be opened any more.
    other.devices.insert(device(1), Authority::of(Rank::Admin));
    replica.store.set_effective(SPACE, other.clone()).unwrap();
    let written = replica.write(|tx| tx.insert("notes", Some("m"), [].into()).map(|_| ()));
    assert!(matches!(written, Err(TransactionError::Write(WriteError::Forbidden { .. }))), "{written:?}");
    let mut both = other;
    both.epochs.extend(table().epochs);
    replica.store.set_effective(SPACE, both).unwrap();
    assert_eq!(replica.field("n", "x"), Some(Value::Int(1)));
    assert!(!replica.alive("m"));
    assert_eq!(replica.problems(), Vec::<String>::new());
}

#[test]
fn buffered_commits_are_no_damage() {
    let replica = Replica::new(1);
    replica.insert("n", &[]);
    let body = |tx: &mut crate::store::Transaction<'_>| -> Result<(), WriteError> {
        tx.insert("notes", Some("m"), [].into()).map(|_| ())
    };
    replica.store.transaction(Durability::Buffered, body).unwrap();
    assert_eq!(replica.problems(), Vec::<String>::new());
    let writer = replica.store.writer();
    let batch = replica.store.read_log(&SPACE, Plane::Data, &writer, 0, 1 << 20).unwrap().unwrap();
    assert_eq!(batch.entries.len(), 1, "what is not durable does not leave the device");
    replica.store.flush().unwrap();
    assert_eq!(replica.store.vector(&SPACE, Plane::Data).unwrap().length(&writer), 2);
    assert_eq!(replica.problems(), Vec::<String>::new());
}

#[test]
fn what_was_taken_of_a_writer_who_turns_out_to_be_a_reader_is_void_and_stays() {
    let (a, b) = (Replica::new(1), Replica::new(2));
    b.insert("n", &[("x", Value::Int(1))]);
    a.pull(&b);
    assert!(a.alive("n"));
    let mut table = table();
    table.devices.insert(device(2), Authority::of(Rank::Reader));
    a.store.set_effective(SPACE, table).unwrap();
    assert!(!a.alive("n"));
    let void = a.store.snapshot().unwrap().void_commits(&SPACE, None, 10).unwrap();
    let [VoidCommit { reason: VoidReason::Rank, place, .. }] = void.as_slice() else { panic!("{void:?}") };
    assert_eq!((place.writer.device, place.sequence), (device(2), 0));
    assert_eq!(a.problems(), Vec::<String>::new());
    a.store.set_effective(SPACE, super::world::table()).unwrap();
    assert!(a.alive("n"), "what is void is kept: it counts again when news says so");
}
