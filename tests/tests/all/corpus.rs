//! The declarative corpus through every door.

use std::collections::BTreeMap;
use std::path::Path;

use tidewater_sync::Database;
use tidewater_tests::corpus::{Broken, Replicas, load, run};
use tidewater_tests::door::Door;
use tidewater_tests::door::graphql::GraphqlDoor;
use tidewater_tests::door::rust::RustDoor;
use tidewater_tests::linked::Linked;

/// How many cases need what GraphQL leaves out; `tests/corpus/README.md` says what and why.
const GRAPHQL_ELSEWHERE: usize = 4;

/// Linked databases, each behind a door.
struct Databases<D> {
    linked: Linked,
    doors: BTreeMap<String, D>,
    open: fn(Database) -> D,
}

impl<D: Door> Databases<D> {
    fn new(open: fn(Database) -> D) -> Self {
        Self { linked: Linked::new(1), doors: BTreeMap::new(), open }
    }
}

impl<D: Door> Replicas for Databases<D> {
    fn door(&mut self, name: &str) -> &mut dyn Door {
        // A later step has a later time, so that cases can say which of two concurrent writes is shown.
        self.linked.host.advance_ms(1_000);
        self.doors.entry(name.to_owned()).or_insert_with(|| (self.open)(self.linked.database(name)))
    }

    fn sync(&mut self) {
        // Cases that sync talk about two replicas at least, named or not yet.
        self.linked.database("b");
        self.linked.sync();
    }
}

#[test]
fn every_case_holds_through_the_rust_api() {
    let elsewhere = every_case_holds(|| Box::new(Databases::new(RustDoor::new)));
    assert_eq!(elsewhere, 0, "the Rust API offers everything");
}

#[test]
fn every_case_holds_through_graphql() {
    let elsewhere = every_case_holds(|| Box::new(Databases::new(GraphqlDoor::new)));
    assert_eq!(elsewhere, GRAPHQL_ELSEWHERE, "cases need what GraphQL does not offer");
}

/// Runs every case. Gives the number of those that need what the door doesn't offer.
fn every_case_holds(fresh: impl Fn() -> Box<dyn Replicas>) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let cases = load(&folder).expect("the corpus is readable");
    assert!(cases.len() >= 60, "only {} cases were found", cases.len());
    let (elsewhere, broken): (Vec<_>, Vec<_>) =
        cases.iter().filter_map(|case| run(case, &mut *fresh()).err()).partition(Broken::is_elsewhere);
    let broken: Vec<String> = broken.iter().map(Broken::to_string).collect();
    assert!(broken.is_empty(), "{} of {} cases broke:\n{}", broken.len(), cases.len(), broken.join("\n"));
    println!("{} cases hold, {} can't be told through this door", cases.len() - elsewhere.len(), elsewhere.len());
    elsewhere.len()
}
