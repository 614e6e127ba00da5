//! A page of the file that is damaged: what lies on it is an error that names it, and all else goes on.

use std::io;
use std::sync::{Arc, Mutex};

use redb::StorageBackend;

use super::world::{Replica, TestHost, options};
use crate::store::pages::PAGE_BYTES;
use crate::store::{Durability, Location, OpenError, ReadError, Store, TransactionError, WriteError};
use crate::value::Value;

/// How many documents there are: enough for many pages.
const DOCUMENTS: i64 = 200;

/// Storage in memory, of which pages can be damaged.
#[derive(Debug, Clone, Default)]
struct Disk(Arc<Mutex<Vec<u8>>>);

impl Disk {
    fn damage(&self, page: usize) {
        self.0.lock().unwrap()[page * PAGE_BYTES + 77] ^= 1;
    }

    fn open(&self) -> Result<Replica, OpenError> {
        let host = TestHost::new(1);
        // No cache: what is read is read from the disk.
        let mut options = options(1, host.clone(), None);
        options.cache_bytes = 0;
        let store = Store::open(Location::Backend(Box::new(self.clone())), options)?;
        Ok(Replica { store, host })
    }

    /// A database with documents, closed.
    fn filled() -> Self {
        let disk = Self::default();
        let a = Replica::at(1, Location::Backend(Box::new(disk.clone())), None).unwrap();
        for number in 0..DOCUMENTS {
            a.insert(&id(number), &[("text", Value::String(text(number)))]);
        }
        disk
    }

    /// Damages every page that holds the text of a document.
    fn damage_text(&self, number: i64) {
        let text = text(number);
        let holds = |page: &[u8]| page.windows(text.len()).any(|window| window == text.as_bytes());
        let found: Vec<usize> = {
            let bytes = self.0.lock().unwrap();
            bytes.chunks(PAGE_BYTES).enumerate().filter(|(_, page)| holds(page)).map(|(page, _)| page).collect()
        };
        assert!(!found.is_empty(), "the text is stored as it is");
        found.into_iter().for_each(|page| self.damage(page));
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let bytes = self.0.lock().unwrap();
        let start = usize::try_from(offset).unwrap();
        let end = start + out.len();
        out.copy_from_slice(bytes.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.0.lock().unwrap().resize(usize::try_from(length).unwrap(), 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap();
        self.0.lock().unwrap()[start..start + data.len()].copy_from_slice(data);
        Ok(())
    }
}

fn id(number: i64) -> String {
    format!("n{number:04}")
}

fn text(number: i64) -> String {
    format!("text of {number:04} ").repeat(20)
}

fn get(a: &Replica, number: i64) -> Result<Option<Value>, ReadError> {
    let found = a.store.snapshot()?.get(None, "notes", &id(number))?;
    Ok(found.and_then(|found| found.fields.get("text").cloned()))
}

#[test]
fn documents_on_other_pages_are_read_and_written_as_often_as_one_likes() {
    let disk = Disk::filled();
    disk.damage_text(100);
    let a = disk.open().unwrap();
    let before = a.store.snapshot().unwrap();
    let mut unread = 0;
    for round in 0..3 {
        for number in (0..DOCUMENTS).step_by(7).chain([100]) {
            match get(&a, number) {
                Ok(found) => assert_eq!(found, Some(Value::String(text(number))), "round {round}"),
                Err(ReadError::DamagedPage { page }) => {
                    assert!(page > 2, "the page is named as the file has it");
                    unread += 1;
                }
                Err(error) => panic!("round {round}: {error:?}"),
            }
        }
        assert!(matches!(get(&a, 100), Err(ReadError::DamagedPage { .. })), "round {round}");
        a.insert(&format!("z{round}"), &[("x", Value::Int(round))]);
        assert!(a.alive(&format!("z{round}")), "round {round}");
    }
    assert!((3..30).contains(&unread), "{unread} reads of one page of many failed");
    assert!(before.get(None, "notes", &id(5)).is_err(), "a snapshot ends with the page that it could not read");
    let update = a.write(|tx| tx.update("notes", &id(100), vec![("x".to_owned(), crate::store::Edit::Set(1.into()))]));
    assert!(
        matches!(
            update,
            Err(TransactionError::Aborted(WriteError::Read(ReadError::DamagedPage { .. }))
                | TransactionError::Write(WriteError::Read(ReadError::DamagedPage { .. })))
        ),
        "{update:?}"
    );
    a.insert("last", &[]);
    let problems = a.problems();
    assert!(problems.iter().any(|problem| problem.contains("of the file is damaged")), "{problems:?}");
    drop(a);
    let a = disk.open().unwrap();
    assert!(a.alive("z0") && a.alive("z2") && a.alive("last"));
    assert!(matches!(get(&a, 100), Err(ReadError::DamagedPage { .. })));
}

#[test]
fn what_is_acknowledged_before_and_after_a_damaged_page_is_met_stays() {
    let disk = Disk::filled();
    disk.damage_text(50);
    let a = disk.open().unwrap();
    a.insert("before", &[]);
    let buffered = a.store.transaction(Durability::Buffered, |tx| tx.insert("notes", Some("zz"), [].into()));
    buffered.unwrap();
    get(&a, 50).unwrap_err();
    // What was only buffered is gone, and the next write says so.
    let told = a.write(|tx| tx.insert("notes", Some("zzz"), [].into()));
    assert!(matches!(told, Err(TransactionError::Write(WriteError::Storage { .. }))), "{told:?}");
    assert!(!a.alive("zz"));
    a.insert("after", &[]);
    drop(a);
    let a = disk.open().unwrap();
    assert!(a.alive("before") && a.alive("after"));
}

#[test]
fn every_page_that_is_in_use_is_verified_and_every_other_does_not_matter() {
    let filled = Disk::filled();
    // Closing it trims the file.
    let digest = filled.open().unwrap().digest();
    let length = filled.0.lock().unwrap().len() / PAGE_BYTES;
    let (mut refused, mut found, mut unused) = (0, 0, 0);
    for page in 0..length {
        let disk = Disk(Arc::new(Mutex::new(filled.0.lock().unwrap().clone())));
        disk.damage(page);
        let a = match disk.open() {
            Ok(a) => a,
            Err(OpenError::Damaged { why, .. }) => {
                assert!(why.contains("of the file is damaged"), "page {page}: {why}");
                refused += 1;
                continue;
            }
            Err(error) => panic!("page {page}: {error:?}"),
        };
        match a.store.verify(&mut |_, _| {}) {
            Ok(report) if report.problems.is_empty() => {
                assert_eq!(a.digest(), digest, "page {page}");
                unused += 1;
            }
            Ok(_) | Err(ReadError::DamagedPage { .. }) => found += 1,
            Err(error) => panic!("page {page}: {error:?}"),
        }
    }
    assert!(refused > 2 && found > 20 && unused > 20, "{refused} {found} {unused}");
}
