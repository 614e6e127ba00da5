//! The declarative corpus through every door.

use std::collections::BTreeMap;
use std::path::Path;

use tidewater_tests::corpus::{Replicas, load, run};
use tidewater_tests::door::Door;
use tidewater_tests::door::rust::RustDoor;
use tidewater_tests::shared_space::SharedSpace;

/// More replicas than any case names.
const REPLICAS: usize = 3;

/// Stores that share a space, each behind the Rust API.
struct Stores {
    shared: SharedSpace,
    doors: BTreeMap<String, RustDoor>,
}

impl Stores {
    fn new() -> Self {
        Self { shared: SharedSpace::new(1, REPLICAS), doors: BTreeMap::new() }
    }
}

impl Replicas for Stores {
    fn door(&mut self, name: &str) -> &mut dyn Door {
        // A later step has a later time, so that cases can say which of two concurrent writes is shown.
        self.shared.host.advance_ms(1_000);
        let number = self.doors.len();
        self.doors.entry(name.to_owned()).or_insert_with(|| RustDoor::new(self.shared.store(number).clone()))
    }

    fn sync(&mut self) {
        self.shared.exchange_all();
    }
}

#[test]
fn every_case_holds_through_the_rust_api() {
    every_case_holds(|| Box::new(Stores::new()));
}

fn every_case_holds(fresh: impl Fn() -> Box<dyn Replicas>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let cases = load(&folder).expect("the corpus is readable");
    assert!(cases.len() >= 60, "only {} cases were found", cases.len());
    let broken: Vec<String> =
        cases.iter().filter_map(|case| run(case, &mut *fresh()).err()).map(|broken| broken.to_string()).collect();
    assert!(broken.is_empty(), "{} of {} cases broke:\n{}", broken.len(), cases.len(), broken.join("\n"));
    println!("{} cases hold", cases.len());
}
