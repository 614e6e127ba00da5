//! The database with nobody to talk to.

mod devices;
mod spaces;
mod tickets;

use std::path::Path;

use tidewater_engine::id::EpochId;
use tidewater_engine::log::Plane;
use tidewater_engine::space::Rank;
use tidewater_engine::store::{Location, OpenError, Store};
use tidewater_engine::value::Fields;

use super::records::{self, SpaceRecord};
use super::{AuditAccess, CreateOptions, Database, DatabaseError, MAX_ACCESSES, OpenOptions, SpaceError};
use crate::codec::Codec;
use crate::session::pair::Replica;
use crate::simulation::{Person, SimulatedHost};
use crate::space::{ControlOperation, EpochStart, SpaceGenesis};

fn options(seed: u64) -> OpenOptions {
    OpenOptions { host: SimulatedHost::new(seed), mirror: None, cache_bytes: 1 << 20 }
}

fn create(path: &Path) -> Database {
    let options = CreateOptions { open: options(1), identity: Some("Ada".into()), home: true };
    Database::create(Location::File(path.to_owned()), options).unwrap()
}

fn open(path: &Path) -> Result<Database, DatabaseError> {
    Database::open(Location::File(path.to_owned()), options(2))
}

#[test]
fn identity_spaces_members_and_keys_outlive_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ada.tide");
    let before = create(&path);
    let ben = Person::new(9, "Ben");
    before.grant(&before.home().unwrap(), &ben.card(), Rank::Writer).unwrap();
    let home = before.home().unwrap();
    let facts = |database: &Database| {
        let state = database.effective(&home).unwrap();
        let members = database.members(&home).unwrap();
        (database.device(), database.identity(), database.spaces_info().unwrap(), members, state.write_epoch)
    };
    let then = facts(&before);
    assert_eq!(then.2[0].label, "home");
    drop(before);
    let after = open(&path).unwrap();
    assert_eq!(facts(&after), then);
    after.rotate(&home).unwrap();
    after.rename_space(&home, "renamed").unwrap();
    assert_eq!(after.spaces_info().unwrap()[0].label, "renamed");
}

#[test]
fn a_space_that_was_recorded_before_the_process_died_is_made_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ada.tide");
    let database = create(&path);
    let draft: SpaceRecord = database.draft_space("interrupted").unwrap();
    let space = SpaceGenesis::space_of(&draft.genesis);
    database.set_local(&[(&records::space(&space), Some(&draft.to_bytes()))]).unwrap();
    drop(database);
    let database = open(&path).unwrap();
    let info = database.spaces_info().unwrap();
    assert_eq!(info.iter().find(|info| info.space == space).unwrap().label, "interrupted");
    assert_eq!(database.control_commits(&space).unwrap().len(), 1, "the genesis is said once");
    drop(database);
    assert_eq!(open(&path).unwrap().control_commits(&space).unwrap().len(), 1);
}

#[test]
fn creating_and_opening_say_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ada.tide");
    assert!(matches!(open(&path), Err(DatabaseError::Open(OpenError::NotFound { .. }))));
    let nobody = CreateOptions { open: options(1), identity: None, home: true };
    let refused = Database::create(Location::File(path.clone()), nobody);
    assert!(matches!(refused, Err(DatabaseError::Space(SpaceError::NoIdentity))));
    let nameless = CreateOptions { open: options(1), identity: Some(String::new()), home: false };
    let refused = Database::create(Location::File(path.clone()), nameless);
    assert!(matches!(refused, Err(DatabaseError::Space(SpaceError::Invalid { .. }))));
    assert!(!path.exists(), "nothing was made");
    drop(create(&path));
    let again = CreateOptions { open: options(1), identity: None, home: false };
    let refused = Database::create(Location::File(path), again);
    assert!(matches!(refused, Err(DatabaseError::Open(OpenError::Exists { .. }))));
}

#[test]
fn records_that_cant_be_read_are_named() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["identity", "device"] {
        let path = folder.path().join(name);
        let database = create(&path);
        database.set_local(&[(name, Some(b"garbage"))]).unwrap();
        drop(database);
        let error = open(&path).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
}

#[test]
fn an_identity_is_made_once() {
    let blank = Replica::blank(1);
    assert!(matches!(blank.new_space("x"), Err(SpaceError::NoIdentity)));
    assert!(matches!(blank.card(), Err(SpaceError::NoIdentity)));
    let identity = blank.create_identity("Ada").unwrap();
    assert_eq!(blank.identity(), Some(identity));
    assert_eq!(blank.card().unwrap().identity(), identity);
    assert!(matches!(blank.create_identity("Eve"), Err(SpaceError::HasIdentity { .. })));
    blank.new_space("x").unwrap();
}

#[test]
fn what_the_rank_does_not_allow_is_refused_with_what_is_needed() {
    let ada = Replica::person(1, "Ada");
    let home = ada.home_space();
    let (ben, eve) = (Person::new(2, "Ben"), Person::new(3, "Eve"));
    assert!(matches!(ada.grant(&home, &ben.card(), Rank::Owner), Err(SpaceError::NotBelow { .. })));
    ada.grant(&home, &ben.card(), Rank::Admin).unwrap();
    assert!(matches!(ada.revoke(&home, &eve.id()), Err(SpaceError::NoMember { .. })));
    assert!(matches!(ada.revoke(&home, &ada.identity().unwrap()), Err(SpaceError::NotBelow { .. })));
    ada.revoke(&home, &ben.id()).unwrap();
    assert!(matches!(ada.revoke(&home, &ben.id()), Err(SpaceError::NoMember { .. })));
    let mut forged = ben.card();
    forged.genesis = eve.genesis;
    assert!(matches!(ada.grant(&home, &forged, Rank::Reader), Err(SpaceError::Card(_))));
    let nowhere = tidewater_engine::id::SpaceId([0; 32]);
    assert!(matches!(ada.members(&nowhere), Err(SpaceError::UnknownSpace { .. })));
    assert!(matches!(ada.rename_space(&home, &"x".repeat(201)), Err(SpaceError::Invalid { .. })));
}

#[test]
fn granting_again_says_nothing_new_and_a_higher_rank_counts() {
    let ada = Replica::person(1, "Ada");
    let home = ada.home_space();
    let ben = Person::new(2, "Ben");
    let commits = |store: &Store| store.control_commits(&home).unwrap().len();
    ada.grant(&home, &ben.card(), Rank::Writer).unwrap();
    let before = commits(&ada);
    ada.grant(&home, &ben.card(), Rank::Reader).unwrap();
    assert_eq!(commits(&ada), before);
    ada.grant(&home, &ben.card(), Rank::Admin).unwrap();
    assert_eq!(ada.members(&home).unwrap()[1].rank, Rank::Admin);
}

#[test]
fn only_a_certificate_that_a_space_names_counts_as_verified() {
    let (ada, ben) = (Replica::person(1, "Ada"), Person::new(2, "Ben"));
    let certificate = ben.devices[0].2;
    assert!(!ada.has_verified(&ben.genesis, &certificate), "a stranger's");
    ada.grant(&ada.home_space(), &ben.card(), Rank::Reader).unwrap();
    assert!(ada.has_verified(&ben.genesis, &certificate));
    let mut other = certificate;
    other.issued_ms += 1;
    assert!(!ada.has_verified(&ben.genesis, &other));
    assert!(!ada.has_verified(&Person::new(3, "Eve").genesis, &certificate));
}

#[test]
fn peers_are_remembered_newest_address_first_and_within_bounds() {
    let ada = Replica::person(1, "Ada");
    let device = Person::new(2, "Ben").devices[0].0.device();
    for number in 0..super::MAX_PEER_ADDRESSES + 5 {
        ada.remember_peer(&device, &[format!("memory:{number}"), "x".repeat(1000)]).unwrap();
    }
    ada.remember_peer(&device, &["memory:7".into()]).unwrap();
    let peers = ada.peers().unwrap();
    assert_eq!(peers.len(), 1);
    assert_eq!(peers[0].addresses.len(), super::MAX_PEER_ADDRESSES);
    assert_eq!(&peers[0].addresses[..2], ["memory:7", "memory:20"]);
    ada.report_failure(&device, "nobody answers");
    assert_eq!(ada.status().peers[&device].last_error.as_deref(), Some("nobody answers"));
    ada.forget_peer(&device).unwrap();
    assert!(ada.peers().unwrap().is_empty() && ada.status().peers.is_empty());
}

#[test]
fn a_peer_is_connected_while_any_session_with_it_is_open() {
    let ada = Replica::person(1, "Ada");
    let device = Person::new(2, "Ben").devices[0].0.device();
    let connected = || ada.status().peers[&device].connected;
    (0..2).for_each(|_| ada.join_status(&device, None));
    assert!(connected());
    ada.leave_status(&device);
    assert!(connected(), "another session is open");
    ada.leave_status(&device);
    assert!(!connected());
    ada.join_status(&device, None);
    assert!(connected());
    ada.leave_status(&device);
    assert!(!connected());
}

#[test]
fn the_newest_accesses_are_remembered_and_older_ones_make_room() {
    let ada = Replica::person(1, "Ada");
    let access = |entries: u64, last_ms: i64| AuditAccess {
        device: Person::new(2, "Ben").devices[0].0.device(),
        identity: None,
        space: ada.home_space(),
        plane: Plane::Data,
        entries,
        first_ms: 0,
        last_ms,
    };
    for number in 0..MAX_ACCESSES {
        assert_eq!(ada.note_access(None, &access(1, number as i64)).unwrap(), number);
    }
    assert_eq!(ada.note_access(Some(7), &access(2, 9_000)).unwrap(), 7, "one that goes on keeps its place");
    assert_eq!(ada.accesses(None, 1).unwrap(), [access(2, 9_000)]);
    assert_eq!(ada.note_access(None, &access(3, 9_001)).unwrap(), MAX_ACCESSES);
    let all = ada.accesses(Some(&ada.home_space()), usize::MAX).unwrap();
    assert_eq!(all.len() as u64, MAX_ACCESSES);
    assert_eq!(all.last(), Some(&access(1, 1)), "the oldest made room");
    assert_eq!(ada.note_access(Some(0), &access(4, 9_002)).unwrap(), MAX_ACCESSES + 1, "driven out, it begins anew");
    assert_eq!(ada.accesses(None, usize::MAX).unwrap().len() as u64, MAX_ACCESSES);
    let elsewhere = tidewater_engine::id::SpaceId([0; 32]);
    assert_eq!(ada.accesses(Some(&elsewhere), usize::MAX).unwrap(), []);
}

#[test]
fn accesses_are_counted_on_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ada.tide");
    let database = create(&path);
    let space = database.home().unwrap();
    let (device, plane) = (database.device(), Plane::Control);
    let access = AuditAccess { device, identity: None, space, plane, entries: 1, first_ms: 1, last_ms: 2 };
    assert_eq!(database.note_access(None, &access).unwrap(), 0);
    drop(database);
    let database = open(&path).unwrap();
    assert_eq!(database.note_access(None, &access).unwrap(), 1);
    assert_eq!(database.accesses(None, 9).unwrap(), [access.clone(), access]);
}

#[test]
fn no_secret_shows_in_what_is_printed() {
    let ada = Replica::person(1, "Ada");
    let shown = format!("{:?} {:?}", ada.database, ada.device_key());
    let secret: String = ada.device_key().expose_seed().iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(!shown.contains(&secret) && !shown.contains(&secret[..16]));
}

#[test]
fn an_epoch_whose_key_was_kept_from_a_writer_is_followed_by_another() {
    let options = CreateOptions { open: options(5), identity: Some("Ada".into()), home: true };
    let database = Database::create(Location::Memory, options).unwrap();
    let home = database.home().unwrap();
    // As any writer might say it: nobody gets the key, so every recipient may read.
    let kept = EpochStart { number: 2, id: EpochId([0xff; 32]), wraps: vec![], older: vec![] };
    database.append(&database.control(), &home, &ControlOperation::Rotate(kept)).unwrap();
    let epoch = database.effective(&home).unwrap().write_epoch;
    assert!(epoch.is_some_and(|epoch| epoch != EpochId([0xff; 32])), "{epoch:?}");
    database.collection("notes").insert_as("n", Fields::new()).unwrap();
}
