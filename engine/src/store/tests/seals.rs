//! Sealed files: what is in them, and who opens them.

use std::path::Path;

use super::world::{Replica, TestHost, options};
use crate::store::{Cost, Location, OpenError, Seal, SealError, SealKind, Store};
use crate::value::Value;

const TEXT: &str = "a sentence that stands nowhere in a sealed file";

fn passphrase(text: &str) -> Seal {
    Seal::passphrase(text).unwrap().with_cost(Cost::LEAST)
}

fn location(path: &Path, seal: Option<Seal>) -> Location {
    let file = Location::File(path.to_owned());
    match seal {
        Some(seal) => file.sealed(seal),
        None => file,
    }
}

fn open(path: &Path, seal: Option<Seal>) -> Result<Store, OpenError> {
    let mut options = options(1, TestHost::new(1), None);
    options.create = false;
    Store::open(location(path, seal), options)
}

fn made(path: &Path, seal: Option<Seal>) -> Replica {
    let replica = Replica::at(1, location(path, seal), None).unwrap();
    replica.insert("n", &[("text", Value::String(TEXT.to_owned()))]);
    replica.store.set_local(&[("secret", Some(&[0xA5; 40]))]).unwrap();
    replica.store.flush().unwrap();
    replica
}

fn holds(path: &Path, wanted: &[u8]) -> bool {
    std::fs::read(path).unwrap().windows(wanted.len()).any(|window| window == wanted)
}

/// A stolen file holds neither documents nor keys nor names as they are, while it is open or after; without the secret, or with a
/// wrong one, it is refused with a word on what opens it, and not touched.
#[test]
fn attack_stolen_sealed_file_tells_nothing_without_its_secret() {
    let folder = tempfile::tempdir().unwrap();
    let (path, plain) = (folder.path().join("a.tide"), folder.path().join("plain.tide"));
    let replica = made(&path, Some(passphrase("right")));
    let beside = made(&plain, None);
    let wanted = [TEXT.as_bytes(), &[0xA5; 40], b"notes", b"redb", b"tidewater"];
    let both = || {
        for wanted in wanted {
            assert!(holds(&plain, wanted), "{wanted:?} would be found");
            assert!(!holds(&path, wanted), "{wanted:?}");
        }
    };
    both();
    assert_eq!(replica.problems(), Vec::<String>::new());
    assert_eq!(replica.store.sealed_by(), Some(SealKind::Passphrase));
    drop((replica, beside));
    both();
    let before = std::fs::read(&path).unwrap();
    let refused = open(&path, None).unwrap_err();
    assert!(matches!(refused, OpenError::Sealed { by: SealKind::Passphrase, .. }), "{refused:?}");
    for wrong in [passphrase("Right"), Seal::key(&[1; 32]).unwrap()] {
        let refused = open(&path, Some(wrong)).unwrap_err();
        assert!(matches!(refused, OpenError::WrongSeal { by: SealKind::Passphrase, .. }), "{refused:?}");
    }
    assert!(std::fs::read(&path).unwrap() == before);
    let store = open(&path, Some(passphrase("right"))).unwrap();
    let note = store.snapshot().unwrap().get(None, "notes", "n").unwrap().unwrap();
    assert_eq!(note.fields["text"], Value::String(TEXT.to_owned()));
}

/// The header of a file that the attacker can open, before the pages of one that it can't: neither secret opens it, and it is told
/// as damage.
#[test]
fn attack_swapped_header_of_a_seal_opens_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (path, other) = (folder.path().join("a.tide"), folder.path().join("b.tide"));
    drop(made(&path, Some(passphrase("Ada's"))));
    drop(Replica::at(2, location(&other, Some(passphrase("Eve's"))), None).unwrap());
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[..4096].copy_from_slice(&std::fs::read(&other).unwrap()[..4096]);
    std::fs::write(&path, bytes).unwrap();
    let refused = open(&path, Some(passphrase("Ada's"))).unwrap_err();
    assert!(matches!(refused, OpenError::WrongSeal { .. }), "{refused:?}");
    let refused = open(&path, Some(passphrase("Eve's"))).unwrap_err();
    assert!(matches!(refused, OpenError::Damaged { .. }), "{refused:?}");
}

/// A plain file in the place of a sealed one is not written to by who expects a sealed one.
#[test]
fn attack_plain_file_in_the_place_of_a_sealed_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tide");
    drop(made(&path, None));
    let refused = open(&path, Some(passphrase("p"))).unwrap_err();
    assert!(matches!(refused, OpenError::NotSealed { .. }), "{refused:?}");
    let store = open(&path, None).unwrap();
    assert_eq!(store.sealed_by(), None);
    assert!(matches!(store.change_seal(&passphrase("p")), Err(SealError::NotSealed)));
    let text = folder.path().join("text");
    std::fs::write(&text, "not a database").unwrap();
    assert!(matches!(open(&text, Some(passphrase("p"))), Err(OpenError::Foreign { .. })));
}

#[test]
fn the_seal_of_an_open_file_is_changed_and_writing_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tide");
    let replica = made(&path, Some(passphrase("old")));
    let new = Seal::key(&[6; 32]).unwrap();
    replica.store.change_seal(&new).unwrap();
    replica.insert("m", &[]);
    drop(replica);
    assert!(matches!(open(&path, Some(passphrase("old"))), Err(OpenError::WrongSeal { by: SealKind::KeyFile, .. })));
    let store = open(&path, Some(new)).unwrap();
    assert_eq!(store.verify(&mut |_, _| {}).unwrap().problems, Vec::<String>::new());
    assert!(store.snapshot().unwrap().get(None, "notes", "m").unwrap().is_some());
}

#[test]
fn a_sealed_file_in_use_is_told_as_that_before_its_secret_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tide");
    let replica = made(&path, Some(passphrase("p")));
    for seal in [None, Some(passphrase("wrong")), Some(passphrase("p"))] {
        assert!(matches!(open(&path, seal), Err(OpenError::Locked { .. })));
    }
    drop(replica);
    open(&path, Some(passphrase("p"))).unwrap();
}

#[test]
fn rot_of_a_sealed_file_is_told_as_damage() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tide");
    let replica = made(&path, Some(Seal::key(&[6; 32]).unwrap()));
    for number in 0..400 {
        replica.insert(&format!("n{number}"), &[("text", Value::String(TEXT.repeat(5)))]);
    }
    drop(replica);
    let sound = std::fs::read(&path).unwrap();
    let (mut refused, mut found, mut harmless) = (0, 0, 0);
    for page in (1..sound.len() / 4096).step_by(5) {
        let mut bytes = sound.clone();
        bytes[page * 4096 + 100] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        match open(&path, Some(Seal::key(&[6; 32]).unwrap())) {
            Err(OpenError::Damaged { .. }) => refused += 1,
            Err(error) => panic!("page {page}: {error:?}"),
            Ok(store) => match store.verify(&mut |_, _| {}) {
                Ok(report) if report.problems.is_empty() => harmless += 1,
                _ => found += 1,
            },
        }
    }
    assert!(refused > 0 && found > 0, "refused {refused}, found {found}, harmless {harmless}");
}

#[test]
fn a_creation_that_was_cut_short_is_begun_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tide");
    for left in [vec![], vec![0; 4096]] {
        std::fs::write(&path, &left).unwrap();
        assert!(
            matches!(open(&path, Some(passphrase("p"))), Err(OpenError::Foreign { .. })),
            "nobody asked for a new one"
        );
        drop(Replica::at(1, location(&path, Some(passphrase("p"))), None).unwrap());
        open(&path, Some(passphrase("p"))).unwrap();
    }
    // The header was written, and nothing behind it.
    let header = std::fs::read(&path).unwrap()[..4096].to_vec();
    std::fs::write(&path, header).unwrap();
    drop(Replica::at(1, location(&path, Some(passphrase("p"))), None).unwrap());
    open(&path, Some(passphrase("p"))).unwrap();
}
