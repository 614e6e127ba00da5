//! Streams that break, and people who press Ctrl-C.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};

use tidewater_tests::program::{Desk, Ran};

/// Lines of about a thousand bytes, more of them than the pipes and readers before the import take.
const LINES: usize = 3_000;

fn line(number: usize) -> String {
    format!("{{\"id\":\"{number:04}\",\"text\":\"{}\"}}\n", "x".repeat(1_000))
}

fn lines(count: usize) -> String {
    (0..count).map(line).collect()
}

/// An import that has begun, whose input stays open.
fn begin_import(desk: &Desk, more: &[&str]) -> (Child, ChildStdin) {
    let arguments = [&["import", "-c", "r", "--no-schema", "--batch", "50"], more].concat();
    let mut child = desk.command("a", &arguments).stdin(Stdio::piped()).spawn().expect("tide runs");
    let mut input = child.stdin.take().expect("piped");
    input.write_all(lines(LINES).as_bytes()).expect("the import reads");
    (child, input)
}

fn interrupt(child: Child) -> Ran {
    let signalled = Command::new("kill").args(["-s", "INT", &child.id().to_string()]).status();
    assert!(signalled.expect("kill runs").success());
    Ran::of(child.wait_with_output().expect("it ends"))
}

/// How many records there are, and that they are the first ones.
fn imported(desk: &Desk) -> usize {
    let exported = desk.run("a", &["export", "-c", "r"]).out;
    assert!(lines(LINES).starts_with(&exported), "not the first records");
    exported.lines().count()
}

#[test]
fn an_interrupted_import_stops_at_a_commit_and_says_where_it_goes_on() {
    let desk = Desk::with_database();
    let (child, input) = begin_import(&desk, &[]);
    let ran = interrupt(child);
    drop(input);
    let held = imported(&desk);
    assert!(held > 0 && held <= LINES, "{held} records");
    ran.assert_refused(130, &format!("imported {held}: interrupted; go on with --from-line {}", held + 1));
    let from = (held + 1).to_string();
    let resumed = desk.run_with("a", &["import", "-c", "r", "--from-line", &from], lines(LINES).as_bytes());
    assert_eq!(resumed.code, 0, "{resumed:?}");
    assert_eq!(imported(&desk), LINES);
    assert_eq!(desk.run("a", &["verify"]).code, 0);
}

#[test]
fn an_interrupted_import_is_whole_or_nothing_when_it_is_atomic() {
    let desk = Desk::with_database();
    let digest = desk.run("a", &["digest"]).out;
    let (child, input) = begin_import(&desk, &["--atomic"]);
    interrupt(child).assert_refused(130, "interrupted; nothing was stored");
    drop(input);
    assert_eq!(desk.run("a", &["digest"]).out, digest);
    assert_eq!(desk.run_with("a", &["import", "-c", "r", "--atomic"], lines(LINES).as_bytes()).code, 0);
    assert_eq!(imported(&desk), LINES);
}

#[test]
fn an_interrupted_import_into_a_served_database_stops_at_a_commit_too() {
    let desk = Desk::with_database();
    let serving = desk.serve("a");
    let (child, input) = begin_import(&desk, &[]);
    let ran = interrupt(child);
    drop(input);
    let held = imported(&desk);
    ran.assert_refused(130, &format!("imported {held}: interrupted; go on with --from-line {}", held + 1));
    assert_eq!(serving.stop(), 0);
    assert_eq!(imported(&desk), held);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error_worth_a_word() {
    let desk = Desk::with_database();
    assert_eq!(desk.run_with("a", &["import", "-c", "r"], lines(LINES).as_bytes()).code, 0);
    let served = desk.serve("a");
    let enough = || {
        let mut child = desk.command("a", &["export", "-c", "r"]).spawn().expect("tide runs");
        let mut first = [0; 10];
        child.stdout.take().expect("piped").read_exact(&mut first).expect("it writes");
        let ran = Ran::of(child.wait_with_output().expect("it ends"));
        assert_eq!((ran.code, ran.err.as_str()), (1, ""));
    };
    enough();
    assert_eq!(served.stop(), 0);
    enough();
}

#[test]
fn an_output_that_takes_nothing_is_told() {
    let desk = Desk::with_database();
    assert_eq!(desk.run_with("a", &["import", "-c", "r"], line(1).as_bytes()).code, 0);
    for arguments in [&["export", "-c", "r"][..], &["status"], &["digest"], &["verify"]] {
        let full = File::options().write(true).open("/dev/full").expect("the system has it");
        let output = desk.command("a", arguments).stdout(full).output().expect("tide runs");
        Ran::of(output).assert_refused(1, "the output failed: No space left on device");
    }
    desk.run("a", &["export", "-c", "r", "/dev/full"]).assert_refused(1, "No space left on device");
    desk.run("a", &["export", "-c", "r", "none/out"]).assert_refused(1, "No such file or directory");
}

#[test]
fn an_input_that_gives_nothing_is_told() {
    let desk = Desk::with_database();
    let from_folder = |arguments: &[&str]| {
        let folder = File::open(desk.folder()).expect("a folder");
        Ran::of(desk.command("a", arguments).stdin(folder).output().expect("tide runs"))
    };
    from_folder(&["put", "notes", "n", "-"]).assert_refused(1, "standard input: Is a directory");
    from_folder(&["import", "-c", "r"]).assert_refused(1, "imported 0, line 1: the input failed: Is a directory");
    desk.run("a", &["put", "notes", "n", "-"]).assert_refused(2, "the text ends inside a value");
    desk.run("a", &["query", "-"]).assert_refused(2, "GraphQL: ");
    let empty = desk.run("a", &["import", "-c", "r", "--json"]).json();
    assert_eq!(empty["imported"], 0);
}

#[test]
fn an_input_without_an_end_is_refused_after_one_line() {
    let desk = Desk::with_database();
    let ran = desk.run("a", &["import", "-c", "r", "/dev/zero"]);
    ran.assert_refused(1, "imported 0, line 1: the line has more than 16777216 bytes");
}

#[test]
fn streams_that_are_closed_are_not_taken_for_the_database() {
    let desk = Desk::with_database();
    assert_eq!(desk.run_with("a", &["import", "-c", "r"], lines(10).as_bytes()).code, 0);
    // The files that a process opens first get the numbers of the streams, unless those are taken.
    let closed = |arguments: &[&str]| {
        let mut command = Command::new("sh");
        command.args(["-c", "exec \"$@\" <&- >&- 2>&-", "sh"]).arg(Desk::program()).args(arguments);
        command.env_clear().env("TIDE_DB", desk.path("a.db")).env("XDG_STATE_HOME", desk.path("state"));
        command.status().expect("a shell").code()
    };
    assert_eq!(closed(&["export", "-c", "r"]), Some(0));
    assert_eq!(closed(&["status"]), Some(0));
    assert_eq!(closed(&["import", "-c", "r"]), Some(0));
    assert_eq!(closed(&["get", "notes", "none"]), Some(3));
    assert_eq!(closed(&["put", "notes", "n", "{}"]), Some(0));
    assert_eq!(desk.run("a", &["get", "notes", "n", "--json"]).code, 0);
    assert_eq!(desk.run("a", &["export", "-c", "r"]).out, lines(10));
    assert_eq!(desk.run("a", &["verify", "--json"]).json()["problems"], serde_json::json!([]));
}

#[test]
fn a_database_needs_no_home() {
    let desk = Desk::new();
    for arguments in [&["init", "--name", "Ada"][..], &["put", "notes", "n", "{}"], &["get", "notes", "n"]] {
        let mut command = desk.command("a", arguments);
        let ran = Ran::of(command.env_remove("XDG_STATE_HOME").output().expect("tide runs"));
        assert_eq!(ran.code, 0, "{ran:?}");
    }
}
