//! The page of attacks and the tests that show them.

use super::{expect_none, tracked};

#[test]
fn every_attack_is_shown_by_a_test_and_told_of() {
    const PAGE: &str = "docs/security.md";
    let files = tracked();
    let mut tests: Vec<&str> = Vec::new();
    for file in files.iter().filter(|file| file.is_rust()) {
        let names = file.text().lines().filter_map(|line| {
            let line = line.trim_start();
            let name = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ")?;
            name.starts_with("attack_").then(|| name.split('(').next().unwrap_or_default())
        });
        tests.extend(names);
    }
    let page = files.iter().find(|file| file.path == PAGE).expect("the page of attacks");
    let told: Vec<&str> = page.text().split('`').filter(|word| word.starts_with("attack_") && word.len() > 7).collect();
    let untold = tests.iter().filter(|test| !told.contains(test)).map(|test| format!("{test} is not in {PAGE}"));
    let unshown = told.iter().filter(|name| !tests.contains(name)).map(|name| format!("{name} is no test"));
    let twice = told.iter().enumerate().filter(|(at, name)| told[..*at].contains(name));
    let twice = twice.map(|(_, name)| format!("{name} is told of twice"));
    expect_none("attacks", &untold.chain(unshown).chain(twice).collect::<Vec<_>>());
    assert!(tests.len() >= 70, "there are {} tests of attacks", tests.len());
}
