//! Passphrases and key files, as people use them.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tidewater_tests::program::{Desk, Ran};
use tidewater_tests::sealed::holds;

/// A command where nothing is said about seals but by its arguments.
fn run(desk: &Desk, arguments: &[&str]) -> Ran {
    run_in(desk, arguments, &[])
}

fn run_in(desk: &Desk, arguments: &[&str], environment: &[(&str, &Path)]) -> Ran {
    let mut command = desk.command("a", arguments);
    command.env_remove("TIDE_PLAIN_FILE").envs(environment.iter().copied());
    Ran::of(command.output().expect("tide runs"))
}

fn key(desk: &Desk, name: &str) -> String {
    assert_eq!(run(desk, &["key", "new", name]).code, 0);
    desk.path(name).to_str().expect("UTF-8").to_owned()
}

/// A file that its owner alone may read.
fn secret(desk: &Desk, name: &str, text: &str) -> PathBuf {
    let file = desk.file(name, text);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("mine");
    file
}

#[test]
fn a_new_database_is_sealed_or_plain_as_somebody_says() {
    let desk = Desk::new();
    run(&desk, &["init"]).assert_refused(2, "--passphrase-file FILE, --key-file FILE");
    assert!(!desk.path("a.db").exists());
    let (one, passphrase) = (key(&desk, "one.key"), secret(&desk, "passphrase", "correct horse\n"));
    let passphrase = passphrase.to_str().expect("UTF-8");
    run(&desk, &["init", "--key-file", &one, "--passphrase-file", passphrase]).assert_refused(2, "give one");
    run(&desk, &["init", "--key-file", &one, "--plain-file"]).assert_refused(2, "either sealed or plain");
    run(&desk, &["init", "--key-file", "none.key"]).assert_refused(3, "none.key");
    let short = secret(&desk, "short.key", "short");
    run(&desk, &["init", "--key-file", short.to_str().expect("UTF-8")]).assert_refused(2, "has 32 bytes, this one 5");
    let empty = secret(&desk, "empty", "\n");
    run(&desk, &["init", "--passphrase-file", empty.to_str().expect("UTF-8")]).assert_refused(2, "empty");
    assert!(!desk.path("a.db").exists());
    assert_eq!(run(&desk, &["init", "--plain-file"]).code, 0);
    assert_eq!(run(&desk, &["status", "--json"]).json()["sealed"], serde_json::Value::Null);
    run(&desk, &["status", "--key-file", &one]).assert_refused(7, "not sealed");
    run(&desk, &["key", "change", "--new-key-file", &one]).assert_refused(2, "not sealed");
}

#[test]
fn a_sealed_database_opens_with_its_passphrase_alone() {
    let desk = Desk::new();
    let (right, wrong) = (secret(&desk, "right", "correct horse\n"), secret(&desk, "wrong", "Correct horse"));
    let with = |file: &Path, arguments: &[&str]| run_in(&desk, arguments, &[("TIDE_PASSPHRASE_FILE", file)]);
    assert_eq!(with(&right, &["init", "--name", "Ada"]).code, 0);
    assert_eq!(with(&right, &["put", "notes", "n", r#"{"title": "canary"}"#]).code, 0);
    assert!(!holds(&std::fs::read(desk.path("a.db")).expect("the file"), "canary"));
    run(&desk, &["get", "notes", "n"]).assert_refused(7, "--passphrase-file FILE, or set TIDE_PASSPHRASE_FILE");
    with(&wrong, &["get", "notes", "n"]).assert_refused(7, "another passphrase");
    assert_eq!(with(&right, &["get", "notes", "n", "--json"]).json()["title"], "canary");
    assert_eq!(with(&right, &["status", "--json"]).json()["sealed"], "passphrase");
    std::fs::set_permissions(&right, std::fs::Permissions::from_mode(0o640)).expect("mine");
    let warned = with(&right, &["verify"]);
    assert!(warned.code == 0 && warned.err.contains("chmod 600"), "{warned:?}");
    std::fs::set_permissions(&right, std::fs::Permissions::from_mode(0o600)).expect("mine");
    // A backup is a copy, which the same passphrase opens.
    std::fs::copy(desk.path("a.db"), desk.path("backup.db")).expect("a copy");
    assert_eq!(with(&right, &["verify", "--db", "backup.db"]).code, 0);
    // The end of a line may be missing, or be that of another system.
    for text in ["correct horse", "correct horse\r\n"] {
        assert_eq!(with(&secret(&desk, "again", text), &["verify"]).code, 0);
    }
    with(&secret(&desk, "again", "correct horse\n\n"), &["verify"]).assert_refused(7, "another passphrase");
}

#[test]
fn the_key_file_of_a_database_is_changed() {
    let desk = Desk::new();
    let (one, two) = (key(&desk, "one.key"), key(&desk, "two.key"));
    let mode = std::fs::metadata(&one).expect("the key file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_ne!(std::fs::read(&one).expect("a key"), std::fs::read(&two).expect("a key"));
    run(&desk, &["key", "new", "one.key"]).assert_refused(1, "one.key");
    assert_eq!(run(&desk, &["init", "--key-file", &one]).code, 0);
    assert_eq!(run(&desk, &["put", "notes", "n", "{}", "--key-file", &one]).code, 0);
    run(&desk, &["key", "change", "--key-file", &one]).assert_refused(2, "--new-passphrase-file FILE");
    assert_eq!(run(&desk, &["key", "change", "--key-file", &one, "--new-key-file", &two]).code, 0);
    run(&desk, &["get", "notes", "n", "--key-file", &one]).assert_refused(7, "another key file");
    assert_eq!(run(&desk, &["get", "notes", "n", "--key-file", &two]).code, 0);
    let passphrase = secret(&desk, "passphrase", "correct horse");
    let passphrase = passphrase.to_str().expect("UTF-8");
    assert_eq!(run(&desk, &["key", "change", "--key-file", &two, "--new-passphrase-file", passphrase]).code, 0);
    assert_eq!(run(&desk, &["verify", "--passphrase-file", passphrase]).code, 0);
    run(&desk, &["verify", "--key-file", &two]).assert_refused(7, "another passphrase");
}

#[test]
fn a_sealed_database_that_is_served_takes_commands_and_links_a_sealed_device() {
    let desk = Desk::new();
    let (one, two) = (key(&desk, "one.key"), key(&desk, "two.key"));
    assert_eq!(run(&desk, &["init", "--name", "Ada", "--key-file", &one]).code, 0);
    let serving = desk.start("a", &["serve", "--http", "127.0.0.1:0", "--p2p", "127.0.0.1:0", "--key-file", &one]);
    // The process that serves has the file open: who may use its door needs no key.
    assert_eq!(run(&desk, &["put", "notes", "n", r#"{"title": "canary"}"#]).code, 0);
    run(&desk, &["key", "change", "--key-file", &one, "--new-key-file", &two]).assert_refused(4, "in use by");
    let ticket = run(&desk, &["link", "--json"]).json();
    let ticket = ticket["ticket"].as_str().expect("a ticket");
    let join = ["join", ticket, "--p2p", "127.0.0.1:0", "--db", "b.db"];
    run(&desk, &join).assert_refused(2, "--plain-file");
    let joined = run(&desk, &[&join[..], &["--key-file", &two]].concat());
    assert_eq!(joined.code, 0, "{joined:?}");
    assert_eq!(serving.stop(), 0);
    let there = run(&desk, &["get", "notes", "n", "--db", "b.db", "--key-file", &two, "--json"]).json();
    assert_eq!(there["title"], "canary");
    assert!(!holds(&std::fs::read(desk.path("b.db")).expect("the file"), "canary"));
}
