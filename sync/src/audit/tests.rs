//! Exported trails: as they are, damaged, and edited by who knows the layout.

use std::path::PathBuf;

use tidewater_engine::id::{SpaceId, WriterId};
use tidewater_engine::log::Plane;
use tidewater_engine::space::Rank;

use super::format::{MAGIC_BYTES, RecordReader};
use super::{AuditAction, AuditEntry, AuditExportError, AuditFaultKind, AuditVerifyError, verify_audit};
use crate::membership::Verdict;
use crate::session::pair::Replica;
use crate::simulation::Person;

/// Ada takes Ben and Eve in, renames her space, gives it new keys and removes Ben.
fn ada() -> (Replica, SpaceId) {
    let ada = Replica::person(1, "Ada");
    let space = ada.home_space();
    let (ben, eve) = (Person::new(2, "Ben"), Person::new(3, "Eve"));
    ada.grant(&space, &ben.card(), Rank::Writer).unwrap();
    ada.host.advance(60_000);
    ada.grant(&space, &eve.card(), Rank::Relay).unwrap();
    ada.rename_space(&space, "Trips").unwrap();
    ada.rotate(&space).unwrap();
    ada.revoke(&space, &ben.id()).unwrap();
    (ada, space)
}

fn exported(database: &Replica, space: &SpaceId, sealed: bool) -> Vec<u8> {
    let mut file = Vec::new();
    let exported = database.export_audit(space, sealed, &mut file).unwrap();
    assert_eq!(exported.bytes, file.len() as u64);
    file
}

fn fault(file: &[u8]) -> AuditFaultKind {
    match verify_audit(file, None) {
        Err(AuditVerifyError::Bad(fault)) => fault.kind,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_export_shows_what_its_database_shows() {
    let (ada, space) = ada();
    let report = verify_audit(&*exported(&ada, &space, false), Some(&space)).unwrap();
    assert_eq!((report.space, report.exporter), (space, ada.device()));
    assert_eq!(report.logs, ada.vector(&space, Plane::Control).unwrap());
    assert_eq!((report.entries, report.findings_count), (6, 0));
    let meaning = report.meaning.unwrap();
    assert_eq!(meaning.exporter.as_ref().map(|party| party.identity), ada.identity());
    assert_eq!(meaning.waiting, 0);
    let facts = |members: Vec<crate::Member>| -> Vec<_> {
        members.into_iter().map(|member| (member.identity, member.rank, member.devices)).collect()
    };
    assert_eq!(facts(meaning.members.clone()), facts(ada.members(&space).unwrap()));
    let told = |trail: Vec<AuditEntry>| -> Vec<_> {
        let of = |entry: &AuditEntry| entry.action.as_ref().map(AuditAction::name);
        trail.iter().map(|entry| (entry.place, entry.claimed_ms, of(entry), entry.verdict)).collect()
    };
    assert_eq!(told(meaning.trail.clone()), told(ada.audit(&space, None, 100).unwrap()));
    assert_eq!(meaning.verdicts(), [(Verdict::Effective, 6)].into());
    assert!(meaning.members.iter().all(|member| member.name.is_empty()), "names stay sealed");
}

#[test]
fn a_sealed_export_has_the_same_digest_and_shows_no_meaning() {
    let (ada, space) = ada();
    let open = verify_audit(&*exported(&ada, &space, false), None).unwrap();
    let sealed = exported(&ada, &space, true);
    let key = ada.effective(&space).unwrap().control_key.clone().unwrap();
    assert!(!sealed.windows(32).any(|bytes| bytes == key.expose()), "the key is not in it");
    let sealed = verify_audit(&*sealed, None).unwrap();
    assert_eq!((sealed.digest, sealed.entries, sealed.logs), (open.digest, open.entries, open.logs));
    assert_eq!(sealed.meaning, None);
}

#[test]
fn the_trail_of_another_space_is_told_apart() {
    let (ada, space) = ada();
    let other = ada.new_space("other").unwrap();
    let refused = verify_audit(&*exported(&ada, &other, false), Some(&space));
    assert!(
        matches!(refused, Err(AuditVerifyError::Foreign { found, expected }) if (found, expected) == (other, space))
    );
}

#[test]
fn what_does_not_begin_as_an_export_is_none_and_a_newer_one_asks_for_an_upgrade() {
    for other in [&b""[..], b"tidewater audit", b"{\"id\": \"n1\", \"title\": \"Milk\"}"] {
        assert!(matches!(verify_audit(other, None), Err(AuditVerifyError::NotAnExport)), "{other:?}");
    }
    let (ada, space) = ada();
    let mut newer = exported(&ada, &space, false);
    newer[MAGIC_BYTES - 1] = 2;
    assert!(matches!(verify_audit(&*newer, None), Err(AuditVerifyError::Newer { version: 2 })));
}

#[test]
fn a_file_that_ends_anywhere_else_is_cut_off_and_what_follows_the_end_is_found() {
    let (ada, space) = ada();
    let file = exported(&ada, &space, false);
    for length in MAGIC_BYTES..file.len() {
        assert_eq!(fault(&file[..length]), AuditFaultKind::Cut, "{length}");
    }
    assert_eq!(fault(&[&file[..], &[0]].concat()), AuditFaultKind::Layout("something follows the end"));
}

#[test]
fn damage_is_named_by_log_sequence_and_byte() {
    let (ada, space) = ada();
    let file = exported(&ada, &space, false);
    let mut reader = RecordReader::new(&*file).unwrap();
    let mut records = vec![reader.at()];
    while reader.next().is_ok() {
        records.push(reader.at());
    }
    // Start, log, then an entry and a head in turns.
    let third = records[2 + 2 * 2];
    let mut damaged = file.clone();
    damaged[third as usize + 40] ^= 1;
    let Err(AuditVerifyError::Bad(fault)) = verify_audit(&*damaged, None) else { panic!("it is taken") };
    let writer: WriterId = ada.writer();
    assert_eq!((fault.entry, fault.at, &fault.kind), (Some((writer, 2)), third, &AuditFaultKind::Altered));
    assert_eq!(
        fault.to_string(),
        format!("log {writer}, entry 2: it was changed after it was exported (at byte {third})")
    );
}

#[test]
fn nothing_is_exported_of_a_space_that_is_not_here_or_has_not_come() {
    let (ada, space) = ada();
    let unknown = ada.export_audit(&SpaceId([7; 32]), false, Vec::new());
    assert!(matches!(unknown, Err(AuditExportError::Space(_))), "{unknown:?}");
    let ben = Replica::person(2, "Ben");
    ada.grant(&space, &ben.card().unwrap(), Rank::Reader).unwrap();
    let invite = ada.invite_to(&ada.space_state(&space).unwrap(), &ben.device()).unwrap();
    assert_eq!(ben.accept_invite(&invite).unwrap(), Some(space));
    let early = ben.export_audit(&space, false, Vec::new());
    assert!(matches!(early, Err(AuditExportError::Empty { space: of }) if of == space), "{early:?}");
}

/// A change of this file is a change of the format: its version changes too. `TIDEWATER_BLESS=1` writes it anew.
#[test]
#[expect(clippy::disallowed_methods, reason = "a test writes the golden file when it is told to")]
fn the_golden_export_is_what_is_written_and_is_read() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/audit.v1.bin");
    let (ada, space) = ada();
    let file = exported(&ada, &space, false);
    if std::env::var_os("TIDEWATER_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &file).unwrap();
    }
    let golden = std::fs::read(&path).expect("TIDEWATER_BLESS=1 writes it");
    let report = verify_audit(&*golden, None).unwrap();
    assert_eq!((report.entries, report.findings_count), (6, 0));
    assert!(file == golden, "the export has changed");
}
