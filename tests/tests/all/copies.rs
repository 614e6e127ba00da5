//! Copies of a database file that are used beside the original: each becomes a writer of its own, and they agree through
//! a third device.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tidewater_engine::fields;
use tidewater_engine::id::WriterId;
use tidewater_engine::log::Plane;
use tidewater_engine::store::{Durability, Edit, Location, MirrorLocation, TransactionError, WriteError};
use tidewater_sync::{CreateOptions, Database, OpenOptions, Purpose};
use tidewater_tests::conversation::converse;
use tidewater_tests::host::SimulatedHost;

/// How often all write and meet.
const ROUNDS: i64 = 4;

/// A machine: a folder with files, and the mirror of their nonces outside of them.
struct Machine {
    folder: tempfile::TempDir,
    host: Arc<SimulatedHost>,
    conversations: u8,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self { folder, host: Arc::new(SimulatedHost::new(1)), conversations: 0 }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn options(&self) -> OpenOptions {
        OpenOptions {
            host: self.host.clone(),
            mirror: Some(MirrorLocation::Folder(self.path("mirror"))),
            cache_bytes: 1 << 20,
        }
    }

    fn create(&self, name: &str, identity: Option<&str>) -> Database {
        let options =
            CreateOptions { open: self.options(), identity: identity.map(str::to_owned), home: identity.is_some() };
        Database::create(Location::File(self.path(name)), options).expect("a database is created")
    }

    fn open(&self, name: &str) -> Database {
        Database::open(Location::File(self.path(name)), self.options()).expect("the database opens")
    }

    fn converse(&mut self, dialer: &Database, acceptor: &Database, purpose: Purpose) {
        self.conversations += 1;
        converse(dialer, acceptor, purpose, self.conversations);
    }

    /// A database with a document, and a further device of the same identity.
    fn two_devices(&mut self) -> (Database, Database) {
        let (original, third) = (self.create("original", Some("Ada")), self.create("third", None));
        original.collection("notes").insert_as("n", fields! { "title" => "before" }).expect("inserted");
        let ticket = original.link_ticket(Vec::new(), 60_000).expect("a ticket");
        self.converse(&third, &original, Purpose::Join(Box::new(ticket)));
        (original, third)
    }

    /// The original and its copy write, beside each other, and meet the third device alone, again and again.
    fn agree(&mut self, original: &Database, copy: &Database, third: &Database) {
        assert_eq!(original.device(), copy.device());
        assert_ne!(original.writer(), copy.writer(), "the copy is another writer");
        for round in 0..ROUNDS {
            for (database, by) in [(original, "original"), (copy, "copy"), (third, "third")] {
                let notes = database.collection("notes");
                let edits = [
                    ("title", Edit::Set(format!("{by} {round}").as_str().into())),
                    ("views", Edit::Increment(1)),
                    ("tags", Edit::Add(vec![by.into()])),
                    ("body", Edit::Splice { at: 0, delete: 0, insert: format!("{by}.") }),
                ];
                notes.update("n", edits).expect("updated");
                notes.insert_as(&format!("{by}-{round}"), fields! { "by" => by }).expect("inserted");
            }
            let (first, second) = if round % 2 == 0 { (original, copy) } else { (copy, original) };
            self.converse(first, third, Purpose::Member);
            self.converse(third, second, Purpose::Member);
            self.converse(first, third, Purpose::Member);
        }
        let space = original.home().expect("a home");
        for database in [original, copy, third] {
            assert_eq!(database.digest(&space).expect("a digest"), third.digest(&space).expect("a digest"));
            assert_eq!(database.verify(&mut |_, _| {}).expect("a report").problems, Vec::<String>::new());
            let note = database.collection("notes").get("n").expect("a read").expect("the note");
            assert_eq!(note.fields["views"], (3 * ROUNDS).into(), "nobody's increment is lost");
            for writer in [original.writer(), copy.writer(), third.writer()] {
                let (held, theirs) = (prefix(database, &writer), prefix(third, &writer));
                assert!(held.is_some() && held == theirs, "{writer}: {held:?} and {theirs:?}");
            }
        }
    }
}

fn prefix(database: &Database, writer: &WriterId) -> Option<tidewater_engine::log::Prefix> {
    let vector = database.vector(&database.home()?, Plane::Data).expect("a vector");
    vector.iter().find(|(held, _)| *held == writer).map(|(_, prefix)| *prefix)
}

fn copy(from: &Path, to: &Path) {
    std::fs::copy(from, to).expect("the file is copied");
}

#[test]
fn a_closed_file_that_was_copied_agrees_with_its_original_through_a_third_device() {
    let mut machine = Machine::new();
    let (original, third) = machine.two_devices();
    let writer = original.writer();
    drop(original);
    copy(&machine.path("original"), &machine.path("copy"));
    let original = machine.open("original");
    assert_eq!(original.writer(), writer, "the original stays who it was");
    let copied = machine.open("copy");
    machine.agree(&original, &copied, &third);
}

/// A copy of an open file that is used beside it becomes a writer of its own; all agree through a third device.
#[test]
fn attack_copy_of_an_open_file_agrees_with_its_original_through_a_third_device() {
    let mut machine = Machine::new();
    let (original, third) = machine.two_devices();
    copy(&machine.path("original"), &machine.path("copy"));
    let copied = machine.open("copy");
    machine.agree(&original, &copied, &third);
}

#[test]
fn a_file_that_was_copied_within_a_transaction_agrees_with_its_original_through_a_third_device() {
    let mut machine = Machine::new();
    let (original, third) = machine.two_devices();
    let committed = original.transaction(Durability::Local, |transaction| {
        transaction.update("notes", "n", vec![("half".to_owned(), Edit::Set(true.into()))])?;
        copy(&machine.path("original"), &machine.path("copy"));
        Ok::<_, WriteError>(())
    });
    assert!(!matches!(committed, Err(TransactionError::Aborted(_) | TransactionError::Write(_))));
    let copied = machine.open("copy");
    let half = |database: &Database| {
        let note = database.collection("notes").get("n").expect("a read").expect("the note");
        note.fields.contains_key("half")
    };
    assert!(half(&original) && !half(&copied), "the copy was taken before the commit");
    machine.agree(&original, &copied, &third);
}

/// A backup that is put back, and written to, agrees with what the device had sent before: nothing is lost.
#[test]
fn attack_restored_backup_agrees_with_what_had_left_the_device_since() {
    let mut machine = Machine::new();
    let (original, third) = machine.two_devices();
    drop(original);
    copy(&machine.path("original"), &machine.path("old"));
    let original = machine.open("original");
    original.collection("notes").insert_as("since", fields! { "title" => "after the backup" }).expect("inserted");
    machine.converse(&original, &third, Purpose::Member);
    drop(original);
    copy(&machine.path("old"), &machine.path("original"));
    let restored = machine.open("original");
    restored.collection("notes").insert_as("restored", fields! { "title" => "after the restore" }).expect("inserted");
    machine.converse(&restored, &third, Purpose::Member);
    let space = third.home().expect("a home");
    assert_eq!(restored.digest(&space).expect("a digest"), third.digest(&space).expect("a digest"));
    assert!(restored.collection("notes").get("since").expect("a read").is_some(), "what had left comes back");
}
