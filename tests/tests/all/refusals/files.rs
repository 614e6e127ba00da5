//! Files that are no database of this version, or can't be used.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use tidewater_tests::http::post;
use tidewater_tests::program::{Desk, Ran};
use xxhash_rust::xxh3::xxh3_64;

/// A number that is nobody's: root leaves its rights behind by taking it.
const NOBODY: u32 = 65_534;
const OTHER_TABLE: redb::TableDefinition<'_, &str, &str> = redb::TableDefinition::new("accounts");

/// A database with enough in it to have pages of every kind.
fn filled() -> Desk {
    let desk = Desk::with_database();
    let lines: String = (0..400).map(|n| format!("{{\"id\": \"{n}\", \"tags\": [\"a\", \"b\"]}}\n")).collect();
    assert_eq!(desk.run_with("a", &["import", "-c", "r"], lines.as_bytes()).code, 0);
    desk
}

/// Every command that opens a database refuses this one, and leaves it as it is.
fn assert_refused(desk: &Desk, path: &Path, said: &str) {
    let before = path.metadata().expect("it is there");
    let content = if before.is_file() { std::fs::read(path).expect("the file") } else { Vec::new() };
    for arguments in [&["get", "notes", "n"][..], &["put", "notes", "n", "{}"], &["verify"], &["serve"]] {
        let mut command = desk.command("a", arguments);
        let ran = Ran::of(command.arg("--db").arg(path).output().expect("tide runs"));
        ran.assert_refused(5, said);
    }
    if before.is_file() {
        assert!(std::fs::read(path).expect("the file") == content, "{} was touched", path.display());
    }
}

#[test]
fn what_is_something_else_is_refused_untouched() {
    let desk = Desk::with_database();
    for (name, content) in [
        ("sqlite", &b"SQLite format 3\0\x10\0\x01\x01\0\x40\x20\x20"[..]),
        ("text", b"Dear diary"),
        ("byte", b"r"),
        ("zeroes", &[0; 10_000]),
    ] {
        assert_refused(
            &desk,
            &desk.file(name, content),
            "not a Tidewater database (it starts like another kind of file)",
        );
    }
    assert_refused(&desk, &desk.file("empty", ""), "not a Tidewater database (an empty file)");
    let other = desk.path("other");
    let redb = redb::Database::create(&other).expect("a redb file");
    let transaction = redb.begin_write().expect("a transaction");
    transaction.open_table(OTHER_TABLE).expect("a table").insert("a", "b").expect("a row");
    transaction.commit().expect("committed");
    drop(redb);
    assert_refused(&desk, &other, "not a Tidewater database (a redb file of another program)");
    let fifo = desk.path("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().expect("mkfifo runs").success());
    assert_refused(&desk, &fifo, "not a Tidewater database (not a regular file)");
    assert_refused(&desk, Path::new("/dev/zero"), "not a Tidewater database (not a regular file)");
    assert_refused(&desk, desk.folder(), "not a Tidewater database (a directory)");
}

#[test]
fn a_file_of_a_newer_version_is_refused_untouched() {
    let desk = Desk::with_database();
    let mut bytes = std::fs::read(desk.path("a.db")).expect("the file");
    // With its hash, as the specification has it: a damaged version is no newer one.
    bytes[16..20].copy_from_slice(&99u32.to_le_bytes());
    let hash = xxh3_64(&bytes[..24]);
    bytes[24..32].copy_from_slice(&hash.to_le_bytes());
    desk.file("a.db", bytes);
    assert_refused(&desk, &desk.path("a.db"), "version 99");
}

#[test]
fn a_file_that_was_cut_short_is_refused_at_every_length() {
    let desk = filled();
    let whole = std::fs::read(desk.path("a.db")).expect("the file");
    let lengths = (0..20).map(|part| whole.len() / 20 * part + part).chain([1, 8, 9, 511, 4_096, whole.len() - 1]);
    for length in lengths {
        desk.file("b.db", &whole[..length]);
        let ran = desk.run("b", &["verify"]);
        assert!(ran.code == 5 || ran.code == 1, "{length} of {}: {ran:?}", whole.len());
        assert!(!ran.err.contains("panicked") && ran.err.starts_with("tide: "), "{length}: {ran:?}");
    }
}

#[test]
fn a_file_of_which_a_part_was_changed_is_whole_or_an_error() {
    let desk = filled();
    let whole = std::fs::read(desk.path("a.db")).expect("the file");
    let exported = desk.run("a", &["export", "-c", "r"]).out;
    let mut found = 0;
    // Every byte is changed in one of the files; most pages hold nothing that is still in use.
    for (part, range) in (0..whole.len()).collect::<Vec<_>>().chunks(whole.len() / 25 + 1).enumerate() {
        let mut garbled = whole.clone();
        range.iter().for_each(|at| garbled[*at] ^= 0x55);
        desk.file("b.db", garbled);
        let ran = desk.run("b", &["verify"]);
        assert!(!ran.err.contains("panicked"), "{part}: {ran:?}");
        match ran.code {
            0 => assert_eq!(desk.run("b", &["export", "-c", "r"]).out, exported, "part {part} was changed, silently"),
            5 => found += 1,
            _ => panic!("{part}: {ran:?}"),
        }
    }
    assert!(found > 0, "no change was found");
}

#[test]
fn a_file_in_use_names_the_process() {
    let desk = Desk::with_database();
    let mut import =
        desk.command("a", &["import", "-c", "r", "--batch", "1"]).stdin(Stdio::piped()).spawn().expect("tide runs");
    let mut input = import.stdin.take().expect("piped");
    // More than the pipes take: part of it was imported, so the file is open.
    let line = format!("{{\"a\":\"{}\"}}\n", "x".repeat(1 << 20));
    (0..4).for_each(|_| std::io::Write::write_all(&mut input, line.as_bytes()).expect("the import reads"));
    let ran = desk.run("a", &["status"]);
    ran.assert_refused(4, &format!("in use by process {} (tide import); stop it", import.id()));
    drop(input);
    assert!(import.wait().expect("it ends").success());
}

#[test]
fn a_path_need_not_be_text() {
    let desk = Desk::new();
    let path = desk.folder().join(OsStr::from_bytes(b"\xff\xfe.db"));
    let run =
        |arguments: &[&str]| Ran::of(desk.command("a", arguments).arg("--db").arg(&path).output().expect("tide runs"));
    assert_eq!(run(&["init", "--name", "Ada"]).code, 0);
    assert_eq!(run(&["put", "notes", "n", r#"{"a": 1}"#]).code, 0);
    assert_eq!(run(&["get", "notes", "n", "--json"]).json()["a"], 1);
    assert!(path.exists());
}

#[test]
fn what_the_system_does_not_allow_is_told() {
    let desk = Desk::with_database();
    let by_nobody = |arguments: &[&str]| {
        let mut command = Command::new(desk.path("tide"));
        command.args(arguments).current_dir(desk.folder()).env_clear().env("TIDE_DB", desk.path("a.db"));
        command.env("TIDE_PLAIN_FILE", "1");
        if std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0) {
            command.uid(NOBODY).gid(NOBODY);
        }
        Ran::of(command.stdin(Stdio::null()).output().expect("tide runs"))
    };
    std::fs::copy(Desk::program(), desk.path("tide")).expect("the program is copied");
    let mode = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("mine");
    let input = desk.file("input", "{}");
    desk.file("read-only", "");
    mode(desk.folder(), 0o555);
    mode(&desk.path("a.db"), 0);
    mode(&input, 0);
    by_nobody(&["get", "notes", "n"]).assert_refused(1, "a.db: Permission denied");
    by_nobody(&["init", "--db", "new.db"]).assert_refused(1, "new.db: Permission denied");
    by_nobody(&["get", "notes", "n", "--db", "a.db/b.db"]).assert_refused(1, "a.db/b.db: Not a directory");
    mode(&desk.path("a.db"), 0o444);
    by_nobody(&["get", "notes", "n"]).assert_refused(1, "a.db: Permission denied");
    mode(&desk.path("a.db"), 0o666);
    by_nobody(&["import", "-c", "r", "input"]).assert_refused(1, "input: Permission denied");
    mode(desk.folder(), 0o755);
}

#[test]
fn a_terabyte_of_nothing_is_told_at_once() {
    let desk = filled();
    let sparse = |name: &str| {
        let file = std::fs::File::options().write(true).create(true).truncate(false).open(desk.path(name));
        file.and_then(|file| file.set_len(1 << 40))
    };
    if sparse("zeroes").is_err() {
        println!("skipped: the file system of the temporary folder has no sparse files");
        return;
    }
    assert_refused_untouched_in_length(
        &desk,
        "zeroes",
        "not a Tidewater database (it starts like another kind of file)",
    );
    // A database that grew holes at its end is still one, or is damaged: it is not read from end to end to find that out.
    std::fs::copy(desk.path("a.db"), desk.path("grown")).expect("a copy");
    sparse("grown").expect("as above");
    let mut command = desk.command("a", &["get", "r", "7"]);
    let ran = Ran::of(command.arg("--db").arg(desk.path("grown")).output().expect("tide runs"));
    println!("{ran:?}");
    assert!(ran.code == 0 || ran.code == 5, "{ran:?}");
}

/// Like [`assert_refused`], for what is too long to be compared.
fn assert_refused_untouched_in_length(desk: &Desk, name: &str, said: &str) {
    let mut command = desk.command("a", &["verify"]);
    Ran::of(command.arg("--db").arg(desk.path(name)).output().expect("tide runs")).assert_refused(5, said);
    assert_eq!(desk.path(name).metadata().expect("it is there").len(), 1 << 40);
}

#[test]
fn a_file_that_is_deleted_while_it_is_served_takes_no_further_write() {
    let desk = filled();
    let serving = desk.serve("a");
    assert_eq!(desk.run("a", &["put", "notes", "n", r#"{"title": "before"}"#]).code, 0);
    std::fs::remove_file(desk.path("a.db")).expect("it is there");
    desk.run("a", &["put", "notes", "m", "{}"]).assert_refused(3, "a.db: no such database");
    // Who has the server's address writes to no file that is not there either, and reads what was.
    let update = r#"{"query": "mutation { updateNote(id: \"n\", patch: {title: {set: \"after\"}}) { id } }"}"#;
    let refused = post(serving.text("http"), update).json;
    let said = refused["errors"][0]["message"].as_str().unwrap_or_default();
    assert!(said.contains("the database file was deleted or replaced while it was open"), "{refused}");
    let read = post(serving.text("http"), r#"{"query": "{ note(id: \"n\") { title } }"}"#).json;
    assert_eq!(read["data"]["note"]["title"], "before", "{read}");
    let _ = serving.stop();
}
