//! Exported trails: as they are, damaged, and edited by who knows the layout.

use std::path::PathBuf;

use tidewater_engine::id::{DeviceId, Incarnation, SpaceId, WriterId};
use tidewater_engine::log::seal::{EntryDraft, Sealed, Sealer};
use tidewater_engine::log::tree::leaf_hash;
use tidewater_engine::log::{Frontier, Place, Plane, Prefix, head_message};
use tidewater_engine::space::{Rank, SecretKey};
use tidewater_engine::store::{LogBatch, LoggedEntry, SignedHead};

use super::format::{MAGIC_BYTES, RecordReader};
use super::{AuditAction, AuditEntry, AuditExportError, AuditFaultKind, AuditFinding, AuditVerifyError, verify_audit};
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

/// A log that a member writes by hand: one entry, signed.
fn said_by(ben: &Person, space: SpaceId, draft: EntryDraft, key: &SecretKey, body: &[u8]) -> LogBatch {
    let device = &ben.devices[0].0;
    let writer = WriterId { device: device.device(), incarnation: Incarnation([7; 8]) };
    let place = Place { space, plane: Plane::Control, writer, sequence: 0 };
    let Sealed { header, body } = Sealer::new().seal(&place, draft, key, [1; 16], body).unwrap();
    let mut frontier = Frontier::default();
    frontier.append(leaf_hash(&place, &header));
    let prefix = frontier.prefix();
    let signature = device.sign(&head_message(&space, Plane::Control, &writer, &prefix));
    LogBatch {
        space,
        plane: Plane::Control,
        writer,
        from: 0,
        entries: vec![LoggedEntry { header, body }],
        head: SignedHead { length: 1, root: Some(prefix.root), signature },
    }
}

#[test]
fn what_a_hostile_member_says_is_told_offline_as_every_replica_judges_it() {
    let whole = EntryDraft { timestamp_ms: 5, first: true, last: true, dependencies: vec![], control: vec![] };
    let half = EntryDraft { last: false, ..whole.clone() };
    let nobody = WriterId { device: DeviceId([1; 32]), incarnation: Incarnation([1; 8]) };
    let too_early = EntryDraft { dependencies: vec![(nobody, Prefix { length: 3, root: [3; 32] })], ..whole.clone() };
    let another_key = SecretKey::new([5; 32]);
    for (draft, other_key, verdict, waiting) in [
        (whole.clone(), None, Some(Verdict::Malformed), 0),
        (whole, Some(&another_key), Some(Verdict::Malformed), 0),
        (half, None, None, 1),
        (too_early, None, None, 1),
    ] {
        let (ada, space) = ada();
        let ben = Person::new(2, "Ben");
        let key = ada.effective(&space).unwrap().control_key.clone().unwrap();
        let batch = said_by(&ben, space, draft.clone(), other_key.unwrap_or(&key), b"gibberish");
        ada.receive(&batch).unwrap();
        let report = verify_audit(&*exported(&ada, &space, false), None).unwrap();
        let finding = match (draft.last, draft.dependencies.is_empty()) {
            (false, _) => vec![AuditFinding::Unfinished { writer: batch.writer, length: 1 }],
            (_, true) => vec![],
            (_, false) => {
                vec![AuditFinding::Missing { writer: nobody, held: 0, length: 3, by: (batch.writer, 0) }]
            }
        };
        assert_eq!((&report.findings, report.findings_count), (&finding, finding.len() as u64));
        let meaning = report.meaning.unwrap();
        assert_eq!(meaning.waiting, waiting);
        let online = ada.audit(&space, None, 100).unwrap();
        let of_ben = |trail: &[AuditEntry]| trail.iter().find(|entry| entry.place.writer == batch.writer).cloned();
        let (online, offline) = (of_ben(&online), of_ben(&meaning.trail));
        assert_eq!(offline.as_ref().map(|entry| entry.verdict), verdict);
        let judged = |entry: Option<AuditEntry>| entry.map(|entry| (entry.place, entry.verdict, entry.why));
        assert_eq!(judged(offline), judged(online));
        let sealed = verify_audit(&*exported(&ada, &space, true), None).unwrap();
        assert_eq!(sealed.findings, finding, "the same is found without the key");
    }
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
