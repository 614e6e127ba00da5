//! The audit trail of a space, at every door.

use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use ed25519_dalek::SigningKey;
use serde_json::{Value as Json, json};
use tidewater_engine::id::SpaceId;
use tidewater_engine::log::Plane;
use tidewater_engine::space::Rank;
use tidewater_engine::store::Location;
use tidewater_sync::{
    AuditFaultKind, AuditFinding, AuditMeaning, AuditReport, AuditVerifyError, CreateOptions, Database, OpenOptions,
    Purpose, Verdict, verify_audit,
};
use tidewater_tests::conversation::converse;
use tidewater_tests::host::SimulatedHost;
use tidewater_tests::program::Desk;
use tidewater_tests::trail::{END, ENTRY, HEAD, LOG, Record, Trail};

fn create(at: Location, name: &str, seed: u64) -> Database {
    let open = OpenOptions { host: Arc::new(SimulatedHost::new(seed)), mirror: None, cache_bytes: 1 << 20 };
    let options = CreateOptions { open, identity: Some(name.to_owned()), home: true };
    Database::create(at, options).expect("a database")
}

/// Ada makes a space, takes Ben in as an admin, renames the space and removes Ben, who renamed it unheard. All of it stands
/// in her database at `at`.
fn story(at: Location) -> (Database, Database, SpaceId) {
    let (ada, ben) = (create(at, "Ada", 1), create(Location::Memory, "Ben", 2));
    let space = ada.new_space("Plans").expect("a space");
    let ticket = ada.share_ticket(&space, Rank::Admin, vec!["memory:ada".into()], 3_600_000).expect("a ticket");
    converse(&ben, &ada, Purpose::Join(Box::new(ticket)), 10);
    converse(&ben, &ada, Purpose::Member, 11);
    ada.rename_space(&space, "Trips").expect("Ada owns it");
    ben.rename_space(&space, "Ben's").expect("Ben is an admin");
    ada.revoke(&space, &ben.identity().expect("Ben")).expect("Ada owns it");
    converse(&ben, &ada, Purpose::Member, 12);
    (ada, ben, space)
}

#[test]
fn the_trail_tells_who_did_what_and_what_became_of_it_at_every_door() {
    let desk = Desk::new();
    let (ada, ben, space) = story(Location::File(desk.path("a.db")));
    let trail = ada.audit(&space, None, 100).expect("a trail");
    let told: Vec<_> = trail
        .iter()
        .map(|entry| {
            let who = entry.author.as_ref().map_or("nobody", |party| party.name.as_str());
            (who, entry.action.as_ref().map_or("unreadable", |action| action.name()), entry.verdict.name())
        })
        .collect();
    let expected = [("Ada", "genesis", "effective"), ("Ada", "grant", "effective")];
    assert_eq!(told[..2], expected, "{told:?}");
    let mut rest = told[2..].to_vec();
    rest.sort_unstable();
    assert_eq!(
        rest,
        [("Ada", "rename", "effective"), ("Ada", "revoke", "effective"), ("Ben", "rename", "void")],
        "{told:?}"
    );
    let (mut pages, mut after) = (Vec::new(), None);
    loop {
        let page = ada.audit(&space, after.as_ref(), 2).expect("a page");
        let Some(last) = page.last() else { break };
        after = Some(last.place);
        pages.extend(page);
    }
    assert_eq!(pages, trail, "pages join to the whole");
    let ben_id = ben.identity().expect("Ben").to_string();
    drop(ada);

    let space = space.to_string();
    let listed = desk.run("a", &["audit", "list", "--space", &space, "--json"]).json();
    let of = |action: &str| -> Json {
        let mut entries = listed.as_array().expect("a list").iter();
        entries.rfind(|entry| entry["action"] == action).cloned().unwrap_or_default()
    };
    assert_eq!(listed.as_array().map(Vec::len), Some(trail.len()));
    let grant = of("grant");
    assert_eq!((&grant["name"], &grant["subject"], &grant["rank"]), (&json!("Ada"), &json!(ben_id), &json!("admin")));
    assert_eq!(of("revoke")["what"], "removed Ben with 0 cuts, and started new keys");
    assert_eq!(of("genesis")["what"], "made the space; owned by Ada, history open to newcomers");
    let table = desk.run("a", &["audit", "list", "--space", &space]).out;
    assert!(table.contains("gave Ben rank admin (1 device)") && table.contains("void"), "{table}");

    let cursor = grant["cursor"].as_str().expect("a cursor");
    let rest = desk.run("a", &["audit", "list", "--space", &space, "--after", cursor, "--first", "1", "--json"]).json();
    assert_eq!(rest, json!([listed[2]]));
    let fields = "action what verdict why claimed identity name device subject rank writer sequence cursor";
    let query = format!("{{ audit(space: \"{space}\") {{ {fields} }} }}");
    let answer = desk.run("a", &["query", &query, "--json"]).json()["data"]["audit"].clone();
    assert_eq!(answer.as_array().map(Vec::len), Some(trail.len()));
    for (answered, entry) in answer.as_array().expect("a list").iter().zip(listed.as_array().expect("a list")) {
        for field in fields.split(' ') {
            assert_eq!(answered[field], entry[field], "{field}");
        }
    }
    let page = format!("{{ audit(space: \"{space}\", first: 1, after: \"{cursor}\") {{ cursor }} }}");
    let page = desk.run("a", &["query", &page, "--json"]).json()["data"]["audit"].clone();
    assert_eq!(page, json!([{ "cursor": listed[2]["cursor"] }]));
}

#[test]
fn who_fetched_what_is_listed_at_every_door() {
    let desk = Desk::new();
    let (ada, ben, space) = story(Location::File(desk.path("a.db")));
    let held = ben.vector(&space, Plane::Control).expect("a vector").total() - 1;
    let (device, identity) = (ben.device().to_string(), ben.identity().expect("Ben").to_string());
    drop(ada);
    let space = space.to_string();
    let listed = desk.run("a", &["audit", "access", "--space", &space, "--json"]).json();
    let control: Vec<&Json> =
        listed.as_array().expect("a list").iter().filter(|access| access["plane"] == "control").collect();
    let entries: u64 = control.iter().filter_map(|access| access["entries"].as_u64()).sum();
    // Who joins is told some of it twice: before it says what it has, and after.
    assert!(entries >= held, "all that Ben has but his own: {listed}");
    assert!(control.iter().all(|access| access["device"] == *device && access["identity"] == *identity), "{listed}");
    assert_eq!(desk.run("a", &["audit", "access", "--json"]).json(), listed, "nobody fetched anything else");
    let one = desk.run("a", &["audit", "access", "--first", "1", "--json"]).json();
    assert_eq!(one, json!([listed[0]]));
    let query = "{ accesses(first: 1) { device identity space plane entries first last } }";
    assert_eq!(desk.run("a", &["query", query, "--json"]).json()["data"]["accesses"], one);
    let home = desk.run("a", &["space", "list", "--json"]).json()[0]["space"].as_str().expect("a home").to_owned();
    let query = format!("{{ accesses(space: \"{home}\") {{ device }} }}");
    assert_eq!(desk.run("a", &["query", &query, "--json"]).json()["data"]["accesses"], json!([]));
    desk.run("a", &["audit", "access", "--space", "nowhere"]).assert_refused(3, "no space is called");
    assert!(desk.run("a", &["audit", "access"]).out.starts_with("LAST"));
}

#[test]
fn what_no_trail_has_is_refused_with_a_word() {
    let desk = Desk::with_database();
    desk.run("a", &["audit", "list", "--after", "no cursor"]).assert_refused(2, "--after takes the cursor");
    let foreign = format!("control.{}.{}.0", "07".repeat(32), "09".repeat(8));
    desk.run("a", &["audit", "list", "--after", &foreign]).assert_refused(1, "begin with the first page");
    desk.run("a", &["audit", "list", "--space", "nowhere"]).assert_refused(3, "no space is called");
    desk.run("a", &["query", "{ audit(after: \"x\") { what } }"]).assert_refused(1, "a cursor of an earlier list");
    let after = format!("{{ audit(after: \"{foreign}\") {{ what }} }}");
    desk.run("a", &["query", &after]).assert_refused(1, "begin with the first page");
}

/// Mallory, who edits files and signs them.
fn mallory() -> SigningKey {
    SigningKey::from_bytes(&[66; 32])
}

fn exported(database: &Database, space: &SpaceId, sealed: bool) -> Vec<u8> {
    let mut file = Vec::new();
    database.export_audit(space, sealed, &mut file).expect("an export");
    file
}

fn verified(file: &[u8]) -> Result<AuditReport, AuditVerifyError> {
    verify_audit(file, None)
}

/// The beginnings of the contents of a file's records, in bytes from its start, with their ends and kinds.
fn contents(file: &[u8]) -> Vec<(Range<usize>, u8)> {
    let mut at = 16;
    let content = |(kind, content): &Record| {
        let start = at + 5;
        at = start + content.len() + 8;
        (start..start + content.len(), *kind)
    };
    Trail::of(file).records.iter().map(content).collect()
}

/// Whoever edits an export makes every check right again, and signs the whole: what is left is that the entries are not
/// those that their authors signed.
#[test]
fn attack_edited_audit_log() {
    let (ada, _, space) = story(Location::Memory);
    for sealed in [false, true] {
        let file = exported(&ada, &space, sealed);
        let honest = verified(&file).expect("what was exported");
        assert_eq!(honest.findings_count, 0);
        let within = contents(&file);
        let (mut refused, mut placed) = (0, 0);
        for at in 0..file.len() {
            for change in [1, 1 << (at % 8), 0xff] {
                let mut edited = file.clone();
                edited[at] ^= change;
                assert!(verified(&edited).is_err(), "byte {at} ^ {change:#x} is taken as it is");
                let inner = within.iter().find(|(content, kind)| content.contains(&at) && *kind != END);
                match verified(&Trail::of(&edited).signed_by(&mallory())) {
                    Err(error) => {
                        refused += 1;
                        placed += usize::from(matches!(error, AuditVerifyError::Bad(fault) if fault.entry.is_some()));
                    }
                    Ok(report) => {
                        assert!(inner.is_none(), "byte {at} ^ {change:#x} of what was signed is taken, signed anew");
                        assert_eq!((report.digest, report.meaning), (honest.digest, renamed(&honest)), "byte {at}");
                        assert_ne!(report.exporter, honest.exporter, "Mallory vouches for it, and not Ada's device");
                    }
                }
            }
        }
        // Most of a file is entries, and what is wrong with them has a place.
        assert!(refused > file.len() && placed > file.len(), "{refused} refused, {placed} of them placed");
    }
}

/// What an honest trail means when a stranger exported it.
fn renamed(honest: &AuditReport) -> Option<AuditMeaning> {
    honest.meaning.clone().map(|meaning| AuditMeaning { exporter: None, ..meaning })
}

/// Records left out, repeated, exchanged, or taken from another trail, with every check right and the whole signed anew.
#[test]
fn attack_rearranged_audit_log() {
    let (ada, ben, space) = story(Location::Memory);
    let file = exported(&ada, &space, false);
    let honest = verified(&file).expect("what was exported");
    let trail = Trail::of(&file);
    let count = trail.records.len();
    let differs = |edited: Trail, how: &str| match verified(&edited.signed_by(&mallory())) {
        Err(_) => true,
        Ok(report) => {
            // A tail that nothing was written after may be left out; so may a head that is not the last.
            assert!(report.digest != honest.digest || how.starts_with("without head"), "{how}: the same history");
            assert_ne!(report.exporter, honest.exporter, "{how}: Ada's device did not sign it");
            report.findings_count > 0
        }
    };
    for at in 0..count {
        let without = |many: usize| {
            let mut edited = trail.clone();
            edited.records.drain(at..(at + many).min(count));
            edited
        };
        let head = trail.records[at].0 == HEAD;
        differs(without(1), &format!("without {} {at}", if head { "head" } else { "record" }));
        differs(without(2), &format!("without records {at} and {}", at + 1));
        let mut repeated = trail.clone();
        repeated.records.insert(at, trail.records[at].clone());
        assert!(differs(repeated, "repeated"), "record {at} twice");
        for other in at + 1..count {
            let mut exchanged = trail.clone();
            exchanged.records.swap(at, other);
            let alike = exchanged == trail;
            assert!(alike || differs(exchanged, "exchanged"), "records {at} and {other} exchanged");
        }
        let mut cut = trail.clone();
        cut.records.truncate(at);
        assert!(differs(cut, "cut"), "cut before record {at}");
    }
    let mut extended = trail.clone();
    extended.records.push(trail.records[count - 1].clone());
    assert!(differs(extended, "extended"), "a second end");
    let foreign = Trail::of(&exported(&ben, &ben.home().expect("a home"), false));
    for (at, record) in foreign.records.iter().enumerate().filter(|(_, (kind, _))| *kind != END) {
        let mut mixed = trail.clone();
        mixed.records[at.min(count - 1)] = record.clone();
        assert!(mixed == trail || differs(mixed, "foreign"), "record {at} of another space");
    }
}

/// What a member can do that no check can tell: leave out what nothing was written after. What something was written after is
/// missed.
#[test]
fn what_is_left_out_is_missed_where_anything_was_written_after_it() {
    let (ada, ben, space) = story(Location::Memory);
    let file = exported(&ada, &space, false);
    let (honest, trail) = (verified(&file).expect("what was exported"), Trail::of(&file));
    let logs: Vec<usize> = (0..trail.records.len()).filter(|at| trail.records[*at].0 == LOG).collect();
    assert_eq!(logs.len(), 2, "Ada's log and Ben's");
    for (begins, ends) in [(logs[0], logs[1]), (logs[1], trail.records.len() - 1)] {
        let mut edited = trail.clone();
        edited.records.drain(begins..ends);
        let left_out = &trail.records[begins].1[..32];
        let report = verified(&edited.signed_by(&mallory()));
        if left_out == ada.device().0 {
            // Without the genesis the key proves nothing.
            let kind = match report {
                Err(AuditVerifyError::Bad(fault)) => fault.kind,
                other => panic!("{other:?}"),
            };
            assert_eq!(kind, AuditFaultKind::ControlKey);
        } else {
            assert_eq!(left_out, ben.device().0);
            let report = report.expect("a withheld tail can't be seen");
            assert_eq!(report.findings_count, 0);
            assert_ne!(report.digest, honest.digest, "the digest tells it from another member's export");
        }
    }
    let sealed = Trail::of(&exported(&ada, &space, true));
    let of_ada = sealed.records.iter().position(|(kind, content)| *kind == LOG && content[..32] == ada.device().0);
    let of_ada = of_ada.expect("Ada's log");
    let ends = (of_ada + 1..).find(|at| [LOG, END].contains(&sealed.records[*at].0)).expect("an end");
    let mut edited = sealed.clone();
    edited.records.drain(of_ada..ends);
    let report = verified(&edited.signed_by(&mallory())).expect("what is there was signed");
    assert!(
        matches!(report.findings[0], AuditFinding::Missing { writer, held: 0, .. } if writer == ada.writer()),
        "{:?}",
        report.findings
    );
}

/// Ben's device signs two histories of its log. Each is sound by itself; in a trail with what others wrote after the first,
/// the second is contradicted.
#[test]
fn a_log_that_its_own_device_wrote_anew_is_contradicted_by_what_was_written_after_it() {
    let ada = create(Location::Memory, "Ada", 1);
    let space = ada.new_space("Plans").expect("a space");
    // One seed, one device: the twin is a clone of Ben's machine.
    let [ben, twin] = [("One", 10), ("Two", 20)].map(|(label, channel)| {
        let ben = create(Location::Memory, "Ben", 2);
        let ticket = ada.share_ticket(&space, Rank::Admin, vec!["memory:ada".into()], 3_600_000).expect("a ticket");
        converse(&ben, &ada, Purpose::Join(Box::new(ticket)), channel);
        converse(&ben, &ada, Purpose::Member, channel + 1);
        ben.rename_space(&space, label).expect("Ben is an admin");
        ben
    });
    assert_eq!(ben.writer(), twin.writer());
    converse(&ben, &ada, Purpose::Member, 30);
    ada.rename_space(&space, "Three").expect("Ada owns it");
    let log_of_ben = |trail: &Trail| {
        let begins = trail.records.iter().position(|(kind, content)| *kind == LOG && content[..32] == ben.device().0);
        let begins = begins.expect("Ben's log");
        let ends = (begins + 1..).find(|at| [LOG, END].contains(&trail.records[*at].0)).expect("an end");
        begins..ends
    };
    let mut trail = Trail::of(&exported(&ada, &space, false));
    let other = Trail::of(&exported(&twin, &space, false));
    let (here, there) = (log_of_ben(&trail), log_of_ben(&other));
    trail.records.splice(here, other.records[there].iter().cloned());
    let report = verified(&trail.signed_by(&mallory())).expect("every signature is right");
    let expected = AuditFinding::Contradicted { writer: ben.writer(), length: 1, by: (ada.writer(), 2) };
    assert_eq!(report.findings, [expected]);
    let voids = report.meaning.expect("it has the key").verdicts();
    assert_eq!(voids.get(&Verdict::Void), Some(&1), "what was written after the other history counts for nothing");
}

#[test]
fn an_export_is_verified_by_the_command_without_a_database() {
    let desk = Desk::new();
    let (ada, ben, space) = story(Location::File(desk.path("a.db")));
    let expected = verified(&exported(&ada, &space, false)).expect("an export");
    drop(ada);
    let (space, file) = (space.to_string(), desk.path("trail").display().to_string());
    let written = desk.run("a", &["audit", "export", "--space", &space, &file, "--json"]).json();
    assert_eq!((&written["entries"], &written["sealed"]), (&json!(expected.entries), &json!(false)), "{written}");
    let mode = std::fs::metadata(&file).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    desk.run("a", &["audit", "export", "--space", &space, &file]).assert_refused(1, "it exists already");
    assert!(desk.run("a", &["audit", "export", "--space", &space, &format!("{file}.2")]).out.contains("control key"));

    // A database of that name is not there, and none is made.
    let shown = desk.run("none", &["audit", "verify", &file, "--space", &space, "--json", "--list"]).json();
    assert!(!desk.path("none.db").exists());
    assert_eq!(shown["digest"], SpaceId(expected.digest).to_string());
    assert_eq!((&shown["void"], &shown["waiting"], &shown["findings"]), (&json!(1), &json!(0), &json!([])), "{shown}");
    assert_eq!(shown["members"].as_array().map(Vec::len), Some(1), "Ben was removed: {shown}");
    let listed = desk.run("a", &["audit", "list", "--space", &space, "--json"]).json();
    for (offline, online) in shown["trail"].as_array().expect("a list").iter().zip(listed.as_array().expect("a list")) {
        for field in ["action", "verdict", "identity", "subject", "rank", "claimed", "writer", "sequence"] {
            assert_eq!(offline[field], online[field], "{field}");
        }
    }
    let table = desk.run("none", &["audit", "verify", &file]);
    assert!(table.code == 0 && table.out.contains("Nothing was changed"), "{table:?}");

    let sealed = desk.path("sealed").display().to_string();
    let said = desk.run("a", &["audit", "export", "--space", &space, "--sealed", &sealed]).out;
    assert!(said.contains("Without the control key"), "{said}");
    let sealed = desk.run("none", &["audit", "verify", &sealed, "--json"]).json();
    assert_eq!(
        (&sealed["digest"], &sealed["sealed"], &sealed["members"]),
        (&shown["digest"], &json!(true), &Json::Null)
    );
    drop(ben);
}

#[test]
fn a_file_that_is_no_whole_trail_is_refused_with_what_is_wrong_and_where() {
    let desk = Desk::new();
    let (ada, ben, space) = story(Location::Memory);
    let bytes = exported(&ada, &space, false);
    let verify = |name: &str, bytes: &[u8]| {
        let file = desk.file(name, bytes).display().to_string();
        desk.run("none", &["audit", "verify", &file])
    };
    let entry = contents(&bytes).into_iter().find(|(_, kind)| *kind == ENTRY).expect("an entry").0;
    let writer = Trail::of(&bytes).records.into_iter().find(|(kind, _)| *kind == LOG).expect("a log").1;
    let device: String = writer[..32].iter().map(|byte| format!("{byte:02x}")).collect();
    let mut damaged = bytes.clone();
    damaged[entry.start + 50] ^= 4;
    verify("damaged", &damaged).assert_refused(5, &format!("log {device}"));
    verify("damaged", &damaged).assert_refused(5, "entry 0: it was changed after it was exported");
    let forged = Trail::of(&damaged).signed_by(&mallory());
    verify("forged", &forged).assert_refused(5, "entry 0: ");
    verify("cut", &bytes[..bytes.len() - 20]).assert_refused(5, "the file was cut off");
    verify("longer", &[&bytes[..], b"\n"].concat()).assert_refused(5, "something follows the end");
    verify("empty", b"").assert_refused(5, "no exported audit trail");
    verify("other", b"{\"id\": \"n1\"}\n").assert_refused(5, "no exported audit trail");
    let mut newer = bytes.clone();
    newer[15] = 9;
    verify("newer", &newer).assert_refused(5, "newer than this software reads; upgrade");
    let of_ben = ben.home().expect("a home").to_string();
    let file = desk.file("trail", &bytes).display().to_string();
    desk.run("none", &["audit", "verify", &file, "--space", &of_ben]).assert_refused(1, "not of");
    desk.run("none", &["audit", "verify", &file, "--space", "x"]).assert_refused(2, "the space's id");
    desk.run("none", &["audit", "verify", &desk.path("nowhere").display().to_string()])
        .assert_refused(3, "no such file");
    desk.run("none", &["audit", "verify", &desk.path("").display().to_string()]).assert_refused(1, "a directory");

    // Without Ada's log, what Ben wrote after it hangs in the air.
    let mut partial = Trail::of(&exported(&ada, &space, true));
    let ada_device = ada.device();
    let of_ada = partial.records.iter().position(|(kind, content)| *kind == LOG && content[..32] == ada_device.0);
    let of_ada = of_ada.expect("Ada's log");
    let ends = (of_ada + 1..).find(|at| [LOG, END].contains(&partial.records[*at].0)).expect("an end");
    partial.records.drain(of_ada..ends);
    verify("partial", &partial.signed_by(&mallory())).assert_refused(1, "the trail is not whole: log");

    let desk = Desk::with_database();
    desk.run("a", &["audit", "export", "--space", "nowhere", "x"]).assert_refused(3, "no space is called");
    let nowhere = desk.path("no/such/folder").display().to_string();
    desk.run("a", &["audit", "export", &nowhere]).assert_refused(1, "no/such/folder");
    desk.run("a", &["audit", "export", "-"]).assert_refused(2, "name a file to make");
    desk.run("none", &["audit", "export", "x"]).assert_refused(3, "none.db");
}
