//! Database files: reopening, copies, foreign and damaged files, locks.

use super::world::{Replica, SPACE, TestHost, converge, device, options, table};
use crate::id::Incarnation;
use crate::log::Plane;
use crate::space::{Authority, Cut, Rank};
use crate::store::{Edit, Location, OpenError, ReadError, Store, TransactionError, WriteError};
use crate::value::Value;

fn at(seed: u8, path: &std::path::Path, mirror: &std::path::Path) -> Replica {
    Replica::at(seed, Location::File(path.to_owned()), Some(mirror)).unwrap()
}

#[test]
fn a_file_keeps_documents_writer_and_logs() {
    let folder = tempfile::tempdir().unwrap();
    let (path, mirror) = (folder.path().join("a.tide"), folder.path().join("mirror"));
    let a = at(1, &path, &mirror);
    a.insert("n", &[("x", Value::Int(1))]);
    let (writer, digest) = (a.store.writer(), a.digest());
    drop(a);
    let a = at(1, &path, &mirror);
    assert_eq!(a.store.writer(), writer);
    assert_eq!(a.digest(), digest);
    a.edit("n", "x", Edit::Set(Value::Int(2)));
    assert_eq!(a.problems(), Vec::<String>::new());
}

/// A copy of the file writes a log of its own, never the original's again, so it uses no place, and no key and nonce,
/// twice.
#[test]
fn attack_copied_file_becomes_another_writer() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy, mirror) =
        (folder.path().join("a.tide"), folder.path().join("b.tide"), folder.path().join("mirror"));
    let a = at(1, &path, &mirror);
    a.insert("n", &[("views", Value::Int(0))]);
    std::fs::copy(&path, &copy).unwrap();
    let b = at(1, &copy, &mirror);
    assert_ne!(a.store.writer(), b.store.writer());
    a.edit("n", "a", Edit::Set(Value::Int(1)));
    b.edit("n", "b", Edit::Set(Value::Int(2)));
    converge(&a, &b);
    let writer = b.store.writer();
    drop(b);
    assert_eq!(at(1, &copy, &mirror).store.writer(), writer, "the copy keeps its own incarnation");
}

/// An earlier state of the file that is put back writes a log of its own, and not over what had left the device since.
#[test]
fn attack_old_copy_put_back_becomes_another_writer() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy, mirror) =
        (folder.path().join("a.tide"), folder.path().join("old.tide"), folder.path().join("mirror"));
    let a = at(1, &path, &mirror);
    let writer = a.store.writer();
    drop(a);
    std::fs::copy(&path, &copy).unwrap();
    let a = at(1, &path, &mirror);
    a.insert("n", &[]);
    drop(a);
    std::fs::write(&path, std::fs::read(&copy).unwrap()).unwrap();
    assert_ne!(at(1, &path, &mirror).store.writer(), writer);
}

#[test]
fn a_file_that_was_copied_while_it_was_open_and_put_back_becomes_another_writer() {
    let folder = tempfile::tempdir().unwrap();
    let (path, mirror) = (folder.path().join("a.tide"), folder.path().join("mirror"));
    let a = at(1, &path, &mirror);
    a.insert("n", &[]);
    let writer = a.store.writer();
    let earlier = std::fs::read(&path).unwrap();
    a.insert("m", &[]);
    drop(a);
    std::fs::write(&path, earlier).unwrap();
    assert_ne!(at(1, &path, &mirror).store.writer(), writer, "the second entry may be with others");
}

#[test]
fn a_file_that_was_put_back_as_it_was_keeps_its_writer() {
    let folder = tempfile::tempdir().unwrap();
    let (path, mirror) = (folder.path().join("a.tide"), folder.path().join("mirror"));
    let a = at(1, &path, &mirror);
    a.insert("n", &[]);
    let (writer, earlier) = (a.store.writer(), std::fs::read(&path).unwrap());
    drop(a);
    std::fs::write(&path, earlier).unwrap();
    let a = at(1, &path, &mirror);
    assert_eq!(a.store.writer(), writer, "nothing was written since");
    assert!(a.alive("n"));
}

#[test]
fn a_writer_who_is_let_in_again_goes_on_with_a_new_log() {
    let folder = tempfile::tempdir().unwrap();
    let (path, mirror) = (folder.path().join("a.tide"), folder.path().join("mirror"));
    let a = at(1, &path, &mirror);
    a.insert("n", &[]);
    let writer = a.store.writer();
    let root = a.store.prefix_at(&SPACE, Plane::Data, &writer, 1).unwrap().unwrap().root;
    let mut again = table();
    let cuts = &mut again.devices.get_mut(&device(1)).unwrap().cuts;
    cuts.insert(writer.incarnation, Cut { length: 1, root });
    a.store.set_effective(SPACE, again).unwrap();
    let written = a.write(|tx| tx.insert("notes", Some("m"), [].into()));
    assert!(matches!(written, Err(TransactionError::Aborted(WriteError::Forbidden { .. }))), "void wherever it comes");
    drop(a);
    let a = at(1, &path, &mirror);
    assert_ne!(a.store.writer(), writer);
    a.insert("m", &[]);
}

fn refusal(path: &std::path::Path, create: bool) -> OpenError {
    let mut options = options(1, TestHost::new(1), None);
    options.create = create;
    Store::open(Location::File(path.to_owned()), options).unwrap_err()
}

#[test]
fn what_is_not_a_database_is_refused_untouched() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(refusal(&folder.path().join("none"), false), OpenError::NotFound { .. }));
    assert!(matches!(refusal(folder.path(), true), OpenError::Foreign { .. }));
    let path = folder.path().join("file");
    for content in [&b""[..], b"x", b"SQLite format 3\0 and more", b"redb\x1A\x0A\xA9\x0D\x0Agarbage"] {
        std::fs::write(&path, content).unwrap();
        let error = refusal(&path, false);
        assert!(
            matches!(error, OpenError::Foreign { .. } | OpenError::Damaged { .. } | OpenError::Io { .. }),
            "{error:?}"
        );
        assert_eq!(std::fs::read(&path).unwrap(), content);
    }
}

#[test]
fn a_file_in_use_names_who_uses_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tide");
    let _open = at(1, &path, folder.path());
    let error = refusal(&path, true);
    let OpenError::Locked { owner, .. } = &error else { panic!("{error:?}") };
    assert_eq!(owner, "this process");
}

#[test]
fn a_file_of_another_format_version_is_refused_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let newer = written(folder.path());
    let last = folder.path().join("last.tide");
    let mut bytes = std::fs::read(&newer).unwrap();
    for (path, version) in [(&newer, 99u32), (&last, 4)] {
        bytes[16..20].copy_from_slice(&version.to_le_bytes());
        let hash = xxhash_rust::xxh3::xxh3_64(&bytes[..24]);
        bytes[24..32].copy_from_slice(&hash.to_le_bytes());
        std::fs::write(path, &bytes).unwrap();
    }
    // Up to version 2 a database was a plain redb file.
    let older = folder.path().join("older.tide");
    let redb = redb::Database::create(&older).unwrap();
    let transaction = redb.begin_write().unwrap();
    let mut meta = transaction.open_table(redb::TableDefinition::<&[u8], &[u8]>::new("meta")).unwrap();
    meta.insert(&b"format"[..], &[0, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8][..]).unwrap();
    drop(meta);
    transaction.commit().unwrap();
    drop(redb);
    for path in [newer, last, older] {
        let before = std::fs::read(&path).unwrap();
        for create in [false, true] {
            let error = refusal(&path, create);
            let is_right = matches!(
                error,
                OpenError::Newer { found: 99, supported: 5, .. } | OpenError::Older { found: 2 | 4, supported: 5, .. }
            );
            assert!(is_right, "{error:?}");
            assert!(std::fs::read(&path).unwrap() == before);
        }
    }
}

/// A file with some documents, closed.
fn written(folder: &std::path::Path) -> std::path::PathBuf {
    let path = folder.join("a.tide");
    let a = at(1, &path, folder);
    (0..20).for_each(|number| a.insert(&format!("n{number}"), &[("x", Value::Int(number))]));
    path
}

#[test]
fn truncated_files_are_refused_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let whole = std::fs::read(written(folder.path())).unwrap();
    let cut = folder.path().join("cut.tide");
    for length in (0..whole.len()).step_by(512) {
        std::fs::write(&cut, &whole[..length]).unwrap();
        let error = refusal(&cut, false);
        assert!(matches!(error, OpenError::Foreign { .. } | OpenError::Damaged { .. }), "{length} bytes: {error:?}");
        assert!(std::fs::read(&cut).unwrap() == whole[..length], "{length} bytes: it was changed");
    }
}

#[test]
fn a_redb_file_of_another_program_is_refused_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.redb");
    let redb = redb::Database::create(&path).unwrap();
    let transaction = redb.begin_write().unwrap();
    drop(transaction.open_table(redb::TableDefinition::<u64, u64>::new("theirs")).unwrap());
    transaction.commit().unwrap();
    drop(redb);
    let before = std::fs::read(&path).unwrap();
    for create in [false, true] {
        let error = refusal(&path, create);
        assert!(matches!(error, OpenError::Foreign { .. }), "{error:?}");
        assert!(std::fs::read(&path).unwrap() == before, "it was changed");
    }
}

#[test]
fn a_terabyte_of_nothing_is_refused_and_after_a_database_does_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("zeros");
    std::fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
    assert!(matches!(refusal(&path, true), OpenError::Foreign { .. }));
    let path = written(folder.path());
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(1 << 40).unwrap();
    let a = at(1, &path, folder.path());
    assert!(a.alive("n7"));
    assert_eq!(a.problems(), Vec::<String>::new());
}

#[cfg(unix)]
#[test]
fn a_file_without_write_permission_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path());
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o400)).unwrap();
    let may_write = std::fs::OpenOptions::new().write(true).open(&path).is_ok();
    let mut options = options(1, TestHost::new(1), None);
    options.create = false;
    match Store::open(Location::File(path), options) {
        // The system's administrator may write whatever the mode says.
        Ok(_) => assert!(may_write),
        Err(OpenError::Io { source, .. }) => assert_eq!(source.kind(), std::io::ErrorKind::PermissionDenied),
        Err(error) => panic!("{error:?}"),
    }
}

#[cfg(unix)]
#[test]
fn a_file_that_is_deleted_or_replaced_while_open_takes_no_more_writes() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path());
    let a = at(1, &path, folder.path());
    let copy = folder.path().join("copy.tide");
    std::fs::copy(&path, &copy).unwrap();
    std::fs::rename(&copy, &path).unwrap();
    let refused = a.write(|tx| tx.insert("notes", Some("lost"), [].into()));
    assert!(matches!(&refused, Err(TransactionError::Write(WriteError::Storage { .. }))), "{refused:?}");
    assert!(a.alive("n7") && !a.alive("lost"), "readers go on");
    drop(a);
    let a = at(1, &path, folder.path());
    assert!(a.alive("n7"));
    assert_eq!(a.problems(), Vec::<String>::new());
}

#[test]
fn who_insists_on_a_new_file_does_not_get_an_existing_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tide");
    let open = || {
        let mut exclusive = options(1, TestHost::new(1), None);
        exclusive.exclusive = true;
        Store::open(Location::File(path.clone()), exclusive)
    };
    drop(open().unwrap());
    assert!(matches!(open(), Err(OpenError::Exists { .. })));
}

#[test]
fn a_table_outlives_the_process_with_every_authority_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let (path, mirror) = (folder.path().join("a.tide"), folder.path().join("mirror"));
    let a = at(1, &path, &mirror);
    let mut changed = table();
    let cut = Cut { length: 3, root: [7; 32] };
    for (seed, now) in [(2, None), (3, Some(Rank::Reader)), (4, Some(Rank::Relay))] {
        let cuts = [(Incarnation([seed; 8]), cut)].into();
        changed.devices.insert(device(seed), Authority { now, rank: Rank::Writer, cuts, closed: true });
    }
    a.store.set_effective(SPACE, changed.clone()).unwrap();
    drop(a);
    let host = TestHost::new(1);
    let store = Store::open(Location::File(path), options(1, host, Some(&mirror))).unwrap();
    assert_eq!(store.effective(&SPACE).as_deref(), Some(&changed));
}

/// Nothing of a forgotten space is left in the file, what else is there stays, and the space comes back from others under
/// another writer.
#[test]
fn a_space_is_forgotten_and_comes_back_from_others() {
    let folder = tempfile::tempdir().unwrap();
    let (path, mirror) = (folder.path().join("a.tide"), folder.path().join("mirror"));
    let (a, b) = (at(1, &path, &mirror), Replica::new(2));
    let other = crate::id::SpaceId([8; 32]);
    a.store.set_effective(other, table()).unwrap();
    let in_other = |replica: &Replica, id: &str| {
        let kept = replica.store.snapshot().unwrap().get(Some(&other), "notes", id).unwrap();
        kept.map(|document| document.fields.get("x").cloned())
    };
    let write_other = |replica: &Replica, id: &str| {
        let written = replica.write(|tx| {
            tx.in_space(other)?;
            tx.insert("notes", Some(id), [("x".to_owned(), Value::Int(7))].into()).map(drop)
        });
        written.unwrap();
    };
    a.insert("n", &[("x", Value::Int(1))]);
    write_other(&a, "kept");
    converge(&a, &b);
    let writer = a.store.writer();
    a.store.forget_space(SPACE, &[("note", Some(b"forgotten"))]).unwrap();
    assert!(matches!(a.store.forget_space(SPACE, &[]), Err(WriteError::Read(ReadError::UnknownSpace { .. }))));
    assert_eq!((a.store.spaces(), a.store.home()), (vec![other], None));
    assert_eq!(a.store.local("note").unwrap().as_deref(), Some(&b"forgotten"[..]));
    assert!(a.store.snapshot().unwrap().get(Some(&SPACE), "notes", "n").is_err());
    assert_eq!(in_other(&a, "kept"), Some(Some(Value::Int(7))));
    assert_eq!(a.problems(), Vec::<String>::new());
    drop(a);
    // Opened again, it is empty of the space until it is added, and holds what the others bring.
    let a = at(1, &path, &mirror);
    assert_ne!(a.store.writer(), writer);
    assert!(!a.alive("n"));
    assert_eq!(in_other(&a, "kept"), Some(Some(Value::Int(7))));
    converge(&a, &b);
    assert_eq!(a.field("n", "x"), Some(Value::Int(1)));
    write_other(&a, "later");
    a.edit("n", "x", Edit::Set(Value::Int(2)));
    converge(&a, &b);
    assert_eq!(b.field("n", "x"), Some(Value::Int(2)));
}
