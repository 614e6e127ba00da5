//! What a relay holds of a space that it may not read: its file, and all that it sent and received, are searched for
//! plaintext. The same search finds it in the owner's file, which is a plain one: so it can find something. And what a sealed file
//! holds, searched the same way.

use std::sync::Arc;

use tidewater_engine::fields;
use tidewater_engine::schema::Schema;
use tidewater_engine::space::Rank;
use tidewater_engine::store::{Durability, Edit, Location, PathSegment, Seal};
use tidewater_engine::value::Value;
use tidewater_sync::{CreateOptions, Database, OpenOptions, Purpose, SessionEvent};

use crate::conversation::{Conversation, converse};
use crate::host::SimulatedHost;

/// One text of every kind of thing that a sealed space hides, which the owner's file holds in the clear.
const HIDDEN: &[(&str, &str)] = &[
    ("the name of a collection", "canary-collection"),
    ("the id of a document", "canary-document"),
    ("the id of a deleted document", "canary-deleted"),
    ("the name of a register", "canary_register"),
    ("the value of a register", "canary value of a register"),
    ("a name inside a value", "canary_inner"),
    ("the name of a counter", "canary_counter"),
    ("an element of a set", "canary element"),
    ("a text", "canary words of a text"),
    ("a name inside a json field", "canary_key"),
    ("a value inside a json field", "canary leaf"),
    ("the name of an index", "canary_index"),
    ("the name of the owner", "canary owner"),
    ("the label of the space", "canary label"),
];

/// What is sealed in the owner's file too.
const SEALED_EVERYWHERE: &[(&str, &str)] = &[("the name of another member", "canary member")];

const SCHEMA: &str = r#"{"fields": {"canary_counter": {"kind": "counter"}, "canary_set": {"kind": "set"},
    "canary_text": {"kind": "text"}, "canary_json": {"kind": "json"}},
    "indexes": {"canary_index": {"fields": ["canary_register"]}}}"#;

fn person(file: impl Into<Location>, seed: u64, name: &str) -> Database {
    let open = OpenOptions { host: Arc::new(SimulatedHost::new(seed)), mirror: None, cache_bytes: 1 << 20 };
    let options = CreateOptions { open, identity: Some(name.to_owned()), home: true };
    Database::create(file.into(), options).expect("a database is created")
}

/// Whether a text stands in bytes as it is.
#[must_use]
pub fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Everything that is written into the space.
fn write(owner: &Database) {
    let schema = Schema::from_json(SCHEMA.as_bytes()).expect("a schema");
    let path = |key: &str| vec![PathSegment::Key(key.into())];
    owner
        .transaction(Durability::Local, |transaction| transaction.set_schema("canary-collection", &schema))
        .expect("the schema is declared");
    let first = fields! { "canary_register" => "another value" };
    let collection = owner.collection("canary-collection");
    collection.insert_as("canary-document", first).expect("inserted");
    collection.insert_as("canary-deleted", fields! { "canary_register" => 1 }).expect("inserted");
    collection.delete("canary-deleted").expect("deleted");
    let inner = Value::Object([("canary_inner".to_owned(), Value::Int(1))].into());
    let splice = Edit::Splice { at: 0, delete: 0, insert: "canary words of a text".into() };
    let edits = [
        ("canary_register", Edit::Set("canary value of a register".into())),
        ("canary_object", Edit::Set(inner)),
        ("canary_counter", Edit::Increment(7)),
        ("canary_set", Edit::Add(vec!["canary element".into()])),
        ("canary_text", splice),
        ("canary_json", Edit::Put { path: path("canary_key"), value: "canary leaf".into() }),
    ];
    collection.update("canary-document", edits).expect("updated");
}

/// Joins by a ticket for the inviter's home space.
fn join(inviter: &Database, newcomer: &Database, rank: Rank, channel: u8) -> Conversation {
    let space = inviter.home().expect("a home");
    let ticket = inviter.share_ticket(&space, rank, Vec::new(), 60_000).expect("a ticket");
    let said = converse(newcomer, inviter, Purpose::Join(Box::new(ticket)), channel);
    let joined = said.events.iter().any(|event| matches!(event, SessionEvent::Joined { .. }));
    assert!(joined, "the ticket was honoured: {:?}", said.events);
    said
}

/// Writes everything that a space can hide, and passes it through a relay.
///
/// # Panics
/// When the relay's file, or a frame to it or from it, holds any of it: the message says what.
pub fn search_a_relay() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name);
    let owner = person(file("owner"), 1, "canary owner");
    let member = person(file("member"), 2, "canary member");
    let relay = person(file("relay"), 3, "the relay");
    let space = owner.home().expect("a home");
    owner.rename_space(&space, "another label").expect("renamed");
    join(&owner, &member, Rank::Writer, 1);
    let mut frames = join(&owner, &relay, Rank::Relay, 2).frames;
    write(&owner);
    owner.rename_space(&space, "canary label").expect("renamed");
    owner.rotate(&space).expect("a new key");
    owner.collection("canary-collection").update("canary-document", [("more", Edit::Set(1.into()))]).expect("updated");
    frames.extend(converse(&owner, &relay, Purpose::Member, 3).frames);
    // The member gets everything from the relay, and answers through it.
    frames.extend(converse(&member, &relay, Purpose::Member, 4).frames);
    let answer = member.transaction(Durability::Local, |transaction| {
        transaction.in_space(space)?;
        let answer = Edit::Set("canary value of a register".into());
        transaction.update("canary-collection", "canary-document", vec![("canary_register".to_owned(), answer)])
    });
    answer.expect("updated");
    frames.extend(converse(&relay, &member, Purpose::Member, 5).frames);
    frames.extend(converse(&owner, &relay, Purpose::Member, 6).frames);
    let digest = |database: &Database| database.digest(&space).expect("a digest");
    assert_eq!(digest(&owner), digest(&member), "everything went through the relay");
    drop((owner, member, relay));

    let read = |name: &str| std::fs::read(file(name)).expect("the file");
    let (owned, relayed) = (read("owner"), read("relay"));
    assert!(holds(&relayed, "the relay"), "the relay's own name is in its file, where the search finds it");
    for (what, text) in HIDDEN {
        assert!(holds(&owned, text), "the search does not find {what} in the owner's file");
    }
    for (what, text) in SEALED_EVERYWHERE {
        assert!(!holds(&owned, text), "{what} is in the owner's file");
    }
    for (what, text) in HIDDEN.iter().chain(SEALED_EVERYWHERE) {
        assert!(!holds(&relayed, text), "{what} is in the relay's file");
        assert!(!frames.iter().any(|frame| holds(frame, text)), "{what} went to or from the relay");
    }
}

/// Writes everything that a database can hold into a plain file and into a sealed one, and searches both for it: documents, names, every
/// local record, which are the keys and the words, and the way any database starts. While the files are open, and after.
///
/// # Panics
/// When the sealed file holds any of it, or the plain one does not: the message says what.
pub fn search_a_sealed_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name);
    let seal = Seal::key(&[0x5E; 32]).expect("32 bytes");
    let plain = person(file("plain"), 1, "canary owner");
    let sealed = person(Location::from(file("sealed")).sealed(seal), 1, "canary owner");
    let wanted = [&plain, &sealed].map(|database| {
        let space = database.home().expect("a home");
        write(database);
        database.rename_space(&space, "canary label").expect("renamed");
        database.flush().expect("flushed");
        let mut wanted: Vec<(String, Vec<u8>)> =
            HIDDEN.iter().map(|(what, text)| ((*what).to_owned(), text.as_bytes().to_vec())).collect();
        // Each has keys of its own.
        let records = database.locals("").expect("local records");
        assert!(records.iter().any(|(name, _)| name == "device") && records.len() > 1, "the keys are among them");
        wanted.extend(records.into_iter().filter(|(_, record)| record.len() >= 16));
        wanted.push(("the start of a database".to_owned(), b"tidewater".to_vec()));
        wanted
    });
    let search = |when: &str| {
        let read = |name: &str| std::fs::read(file(name)).expect("the file");
        let (plain, sealed) = (read("plain"), read("sealed"));
        let finds = |bytes: &[u8], wanted: &[u8]| bytes.windows(wanted.len()).any(|window| window == wanted);
        for (what, wanted) in &wanted[0] {
            assert!(finds(&plain, wanted), "{when}: the search does not find {what} in the plain file");
        }
        for (what, wanted) in &wanted[1] {
            // Pieces of it would do for a thief. Zeros are no secret.
            let mut pieces = wanted
                .chunks(16)
                .filter(|piece| piece.len() >= 8 && piece.iter().filter(|byte| **byte > 0).count() > 4);
            assert!(!pieces.any(|piece| finds(&sealed, piece)), "{when}: {what} is in the sealed file");
        }
    };
    search("open");
    drop((plain, sealed));
    search("closed");
}
