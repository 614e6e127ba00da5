//! Storage that fails for a while: what can be read goes on, and writing too once it can, without opening the store again.

use std::io;
use std::sync::{Arc, Mutex};

use redb::StorageBackend;

use super::world::{Replica, SPACE, TestHost, options, table};
use crate::log::Plane;
use crate::store::{Durability, Edit, Location, OpenError, Store, TransactionError, WriteError};
use crate::value::Value;

/// What fails from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// Nothing can be written: no space.
    Full,
    /// The next sync fails, and what was written since the last one is lost.
    Sync,
    /// The next read fails.
    Read,
    /// The next write stops in the middle.
    Short,
}

#[derive(Debug)]
struct Medium {
    bytes: Vec<u8>,
    fault: Fault,
    /// So many syncs succeed, and none after them. `None`: all do.
    syncs_left: Option<u32>,
}

/// Storage in memory that fails when told.
#[derive(Debug, Clone)]
struct Frail(Arc<Mutex<Medium>>);

impl Frail {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Medium { bytes: Vec::new(), fault: Fault::None, syncs_left: None })))
    }

    fn set(&self, fault: Fault) {
        self.0.lock().unwrap().fault = fault;
    }

    fn set_syncs(&self, left: Option<u32>) {
        self.0.lock().unwrap().syncs_left = left;
    }

    fn open(&self) -> Replica {
        Replica::at(1, Location::Backend(Box::new(self.clone())), None).unwrap()
    }
}

impl Medium {
    /// Whether `fault` strikes now. All but a full disk strike once.
    fn strikes(&mut self, fault: Fault) -> bool {
        let strikes = self.fault == fault;
        if strikes && fault != Fault::Full {
            self.fault = Fault::None;
        }
        strikes
    }
}

impl StorageBackend for Frail {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut medium = self.0.lock().unwrap();
        if medium.strikes(Fault::Read) {
            return Err(io::Error::other("the disk does not answer"));
        }
        let start = usize::try_from(offset).unwrap();
        out.copy_from_slice(&medium.bytes[start..start + out.len()]);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut medium = self.0.lock().unwrap();
        if medium.strikes(Fault::Full) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        medium.bytes.resize(usize::try_from(length).unwrap(), 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut medium = self.0.lock().unwrap();
        let deaf = medium.syncs_left == Some(0);
        medium.syncs_left = medium.syncs_left.map(|left| left.saturating_sub(1));
        if deaf || medium.strikes(Fault::Sync) { Err(io::Error::other("the disk lost it")) } else { Ok(()) }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut medium = self.0.lock().unwrap();
        if medium.strikes(Fault::Full) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let start = usize::try_from(offset).unwrap();
        let length = if medium.strikes(Fault::Short) { data.len() / 2 } else { data.len() };
        medium.bytes[start..start + length].copy_from_slice(&data[..length]);
        if length < data.len() { Err(io::Error::other("a short write")) } else { Ok(()) }
    }
}

fn insert(replica: &Replica, id: &str) -> Result<(), WriteError> {
    let inserted = replica.write(|tx| tx.insert("notes", Some(id), [("x".to_owned(), Value::Int(1))].into()));
    inserted.map(drop).map_err(|error| match error {
        TransactionError::Aborted(error) | TransactionError::Write(error) => error,
    })
}

#[test]
fn a_full_disk_fails_writes_only_and_only_until_there_is_room() {
    let disk = Frail::new();
    let a = disk.open();
    a.insert("before", &[("x", Value::Int(1))]);
    let before = a.store.snapshot().unwrap();
    disk.set(Fault::Full);
    for attempt in 0..3 {
        let error = insert(&a, "lost").unwrap_err();
        assert!(matches!(error, WriteError::Full { .. }), "attempt {attempt}: {error:?}");
        assert!(a.alive("before") && !a.alive("lost"));
        assert!(before.get(None, "notes", "before").unwrap().is_some());
        let (writer, _) = a.store.vector(&SPACE, Plane::Data).unwrap().iter().next().map(|(w, p)| (*w, *p)).unwrap();
        assert!(a.store.read_log(&SPACE, Plane::Data, &writer, 0, 1 << 20).unwrap().is_some(), "sending goes on");
    }
    disk.set(Fault::None);
    a.insert("after", &[]);
    assert!(a.alive("before") && !a.alive("lost") && a.alive("after"));
    assert!(before.get(None, "notes", "before").unwrap().is_some());
    assert!(before.get(None, "notes", "after").unwrap().is_none(), "a snapshot stays as it was");
    assert_eq!(a.problems(), Vec::<String>::new());
    let digest = a.digest();
    drop(a);
    assert_eq!(disk.open().digest(), digest);
}

#[test]
fn a_snapshot_outlives_failures_and_what_overwrites_its_pages() {
    let disk = Frail::new();
    let a = disk.open();
    (0..50).for_each(|number| a.insert(&format!("n{number}"), &[("x", Value::String("old ".repeat(300)))]));
    let before = a.store.snapshot().unwrap();
    for round in 0..3 {
        disk.set(Fault::Full);
        insert(&a, "lost").unwrap_err();
        disk.set(Fault::None);
        for number in 0..50 {
            a.edit(&format!("n{number}"), "x", Edit::Set(Value::String(format!("new {round} ").repeat(300))));
        }
    }
    for number in 0..50 {
        let document = before.get(None, "notes", &format!("n{number}")).unwrap().unwrap();
        assert_eq!(document.fields["x"], Value::String("old ".repeat(300)));
    }
    assert_eq!(a.problems(), Vec::<String>::new());
}

#[test]
fn calls_that_fail_once_cost_one_write_at_most() {
    for fault in [Fault::Sync, Fault::Short, Fault::Read] {
        let disk = Frail::new();
        let a = disk.open();
        a.insert("before", &[]);
        disk.set(fault);
        let stored = match insert(&a, "during") {
            Ok(()) => true,
            Err(WriteError::Storage { .. } | WriteError::Full { .. }) => a.alive("during"),
            Err(error) => panic!("{fault:?}: {error:?}"),
        };
        disk.set(Fault::None);
        a.insert("after", &[]);
        assert!(a.alive("before") && a.alive("after"), "{fault:?}");
        assert_eq!(a.alive("during"), stored, "{fault:?}: what was found out stays so");
        assert_eq!(a.problems(), Vec::<String>::new(), "{fault:?}");
    }
}

#[test]
fn a_read_that_fails_does_not_end_all_reading() {
    let disk = Frail::new();
    let host = TestHost::new(1);
    drop(disk.open());
    let mut small = options(1, host.clone(), None);
    small.cache_bytes = 0;
    let store = Store::open(Location::Backend(Box::new(disk.clone())), small).unwrap();
    let a = Replica { store, host };
    (0..100).for_each(|number| a.insert(&format!("n{number}"), &[("x", Value::String("x".repeat(300)))]));
    let mut failed = 0;
    for number in 0..100 {
        let get = || a.store.snapshot().unwrap().get(None, "notes", &format!("n{number}"));
        disk.set(Fault::Read);
        failed += u64::from(get().is_err());
        assert!(get().unwrap().is_some());
    }
    assert!(failed > 0, "the disk was never asked");
    disk.set(Fault::None);
    a.insert("after", &[]);
    assert_eq!(a.problems(), Vec::<String>::new());
}

#[test]
fn what_no_sync_vouches_for_is_not_sent_though_readers_see_it() {
    let mut seen = 0;
    for syncs in 0..6 {
        let disk = Frail::new();
        let a = disk.open();
        a.insert("before", &[]);
        let sent = a.store.vector(&SPACE, Plane::Data).unwrap();
        a.store.transaction(Durability::Buffered, |tx| tx.insert("notes", Some("buffered"), [].into())).unwrap();
        disk.set_syncs(Some(syncs));
        if insert(&a, "during").is_ok() {
            continue;
        }
        // The storage was opened again to find out what became of it, which can't be synced either.
        seen += u32::from(a.alive("during"));
        assert_eq!(a.store.vector(&SPACE, Plane::Data).unwrap(), sent, "after {syncs} syncs");
        disk.set_syncs(None);
        // The first write says that what was buffered is gone, if it is.
        insert(&a, "after").or_else(|_| insert(&a, "after")).unwrap();
        assert_ne!(a.store.vector(&SPACE, Plane::Data).unwrap(), sent);
        assert_eq!(a.problems(), Vec::<String>::new());
    }
    assert!(seen > 0, "what was not synced was never seen");
}

#[test]
fn what_was_only_buffered_when_the_disk_failed_is_gone_and_its_sequence_free() {
    let disk = Frail::new();
    let a = disk.open();
    a.insert("before", &[]);
    let buffered = a.store.transaction(Durability::Buffered, |tx| tx.insert("notes", Some("buffered"), [].into()));
    buffered.unwrap();
    disk.set(Fault::Sync);
    assert!(a.store.flush().is_err());
    assert!(a.alive("before") && !a.alive("buffered"));
    a.insert("after", &[]);
    assert_eq!(a.problems(), Vec::<String>::new());
}

#[test]
fn a_database_that_can_not_be_written_does_not_open_as_if_it_could() {
    let disk = Frail::new();
    disk.open().insert("before", &[]);
    disk.set(Fault::Full);
    let refused =
        Store::open(Location::Backend(Box::new(disk.clone())), options(1, TestHost::new(1), None)).unwrap_err();
    assert!(
        matches!(&refused, OpenError::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull),
        "{refused:?}"
    );
    disk.set(Fault::None);
    let a = disk.open();
    assert!(a.alive("before"));
    assert_eq!(a.store.effective(&SPACE).as_deref(), Some(&table()));
}
