//! People whose databases hostile bytes reach: Ada with two devices, Ben, whom she made an admin, and Eve, a writer.
//!
//! They are made once; every run works on copies of their disks, so that no run knows of another.

use std::sync::{Arc, OnceLock};

use tidewater_engine::id::SpaceId;
use tidewater_engine::schema::Schema;
use tidewater_engine::space::Rank;
use tidewater_engine::store::{Durability, Edit, Transaction, WriteError};
use tidewater_engine::value::{Fields, Value};
use tidewater_sync::{CreateOptions, Database, IdentityCard, OpenOptions, Purpose};

use crate::conversation::converse;
use crate::disk::Disk;
use crate::host::SimulatedHost;

/// redb's cache for one small database, in bytes.
const CACHE_BYTES: usize = 1 << 20;
/// How long a ticket is valid.
const TICKET_MS: i64 = 3_600_000;

/// Their files, and what passed between them.
pub(super) struct People {
    /// Ada's first device, which owns the space.
    pub ada: Vec<u8>,
    /// Ada's second device. It wrote what no other has seen.
    pub laptop: Vec<u8>,
    /// An admin of Ada's space. He wrote what no other has seen.
    pub ben: Vec<u8>,
    /// A writer of Ada's space.
    pub eve: Vec<u8>,
    /// Ada's home.
    pub space: SpaceId,
    /// Ada's and Ben's cards.
    pub cards: Vec<IdentityCard>,
    /// Every frame that anybody sent, none twice.
    pub frames: Vec<Vec<u8>>,
}

pub(super) fn people() -> &'static People {
    static PEOPLE: OnceLock<People> = OnceLock::new();
    PEOPLE.get_or_init(meet)
}

/// Opens a disk.
pub(super) fn open_on(disk: &Disk, seed: u64) -> Database {
    Database::open(disk.location(), options(seed)).expect("a database opens")
}

pub(super) fn options(seed: u64) -> OpenOptions {
    OpenOptions { host: Arc::new(SimulatedHost::new(seed)), mirror: None, cache_bytes: CACHE_BYTES }
}

/// Opens a copy of a file: a new incarnation, as every copy.
pub(super) fn open(file: &[u8], seed: u64) -> Database {
    open_on(&Disk::holding(file.to_vec()), seed)
}

fn create(disk: &Disk, seed: u64, name: Option<&str>) -> Database {
    let options = CreateOptions { open: options(seed), identity: name.map(str::to_owned), home: name.is_some() };
    Database::create(disk.location(), options).expect("a database is created")
}

fn write(database: &Database, body: impl FnOnce(&mut Transaction<'_>) -> Result<(), WriteError>) {
    database.transaction(Durability::Local, body).expect("an honest write");
}

fn meet() -> People {
    let [ada_disk, laptop_disk, ben_disk, eve_disk] = std::array::from_fn(|_| Disk::default());
    let ada = create(&ada_disk, 1, Some("Ada"));
    let laptop = create(&laptop_disk, 2, None);
    let ben = create(&ben_disk, 3, Some("Ben"));
    let eve = create(&eve_disk, 4, Some("Eve"));
    let space = ada.home().expect("a home");
    write(&ada, fill);
    let mut frames = Vec::new();
    let addresses = vec!["memory:ada".to_owned()];
    let link = ada.link_ticket(addresses.clone(), TICKET_MS).expect("a ticket");
    frames.extend(converse(&laptop, &ada, Purpose::Join(Box::new(link)), 1).frames);
    for (person, rank, channel) in [(&ben, Rank::Admin, 2), (&eve, Rank::Writer, 3)] {
        let share = ada.share_ticket(&space, rank, addresses.clone(), TICKET_MS).expect("a ticket");
        frames.extend(converse(person, &ada, Purpose::Join(Box::new(share)), channel).frames);
    }
    for (person, channel) in [(&laptop, 4), (&ben, 5), (&eve, 6)] {
        frames.extend(converse(person, &ada, Purpose::Member, channel).frames);
    }
    for (person, id) in [(&ada, "by-ada"), (&laptop, "by-laptop"), (&ben, "by-ben")] {
        write(person, |transaction| {
            transaction.in_space(space)?;
            transaction.insert("notes", Some(id), fields(&[("title", id.into()), ("size", Value::Int(7))])).map(|_| ())
        });
    }
    frames.sort();
    frames.dedup();
    let cards = vec![ada.card().expect("a card"), ben.card().expect("a card")];
    drop((ada, laptop, ben, eve));
    let [ada, laptop, ben, eve] = [ada_disk, laptop_disk, ben_disk, eve_disk].map(|disk| disk.durable().database);
    People { ada, laptop, ben, eve, space, cards, frames }
}

pub(super) fn fields(fields: &[(&str, Value)]) -> Fields {
    fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

/// What collections, schemas, indexes and kinds of fields a database can have.
pub(super) const SCHEMA: &str = r#"{"type_name": "Note", "fields": {"title": {"type": "string", "required": true},
    "size": {"type": "int"}, "views": {"kind": "counter"}, "tags": {"kind": "set"}, "body": {"kind": "text"},
    "tree": {"kind": "json"}}, "indexes": {"by_size": {"fields": ["size", "title"]}}}"#;

/// A schema, and [`fill_as_writer`].
pub(super) fn fill(transaction: &mut Transaction<'_>) -> Result<(), WriteError> {
    transaction.set_schema("notes", &Schema::from_json(SCHEMA.as_bytes()).expect("a schema"))?;
    fill_as_writer(transaction)
}

/// A few documents with fields of every kind, one of them deleted and one restored.
pub(super) fn fill_as_writer(transaction: &mut Transaction<'_>) -> Result<(), WriteError> {
    for number in 0..4 {
        let (id, title) = (format!("n{number}"), Value::String(format!("Note {number}")));
        transaction.insert("notes", Some(&id), fields(&[("title", title), ("size", Value::Int(number * 10))]))?;
    }
    let edits = [
        ("views", Edit::Increment(3)),
        ("tags", Edit::Add(vec!["home".into(), Value::Int(4)])),
        ("body", Edit::Set("Some text".into())),
        ("tree", Edit::Set(Value::Object(fields(&[("list", Value::List(vec![Value::Int(1), Value::Null]))])))),
    ];
    transaction.update("notes", "n1", edits.map(|(field, edit)| (field.to_owned(), edit)).to_vec())?;
    transaction.delete("notes", "n2")?;
    transaction.delete("notes", "n3")?;
    transaction.restore("notes", "n3")?;
    let all = super::value::samples().into_iter().enumerate();
    transaction.insert("free", Some("all"), all.map(|(n, value)| (format!("f{n}"), value)).collect()).map(|_| ())
}
