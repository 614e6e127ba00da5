//! The command itself starts. This also makes every build of the tests build `tide`, which the end-to-end tests run.

use std::process::Command;

#[test]
fn it_says_its_version_and_refuses_what_it_does_not_know() {
    let tide = || Command::new(env!("CARGO_BIN_EXE_tide"));
    let output = tide().arg("--version").output().expect("it runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), format!("tide {}", env!("CARGO_PKG_VERSION")));
    let output = tide().arg("fly").output().expect("it runs");
    assert_eq!(output.status.code(), Some(2));
}
