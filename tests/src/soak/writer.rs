//! Who writes: records through `tide import`, some of them again, and some are deleted.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Child, Stdio};
use std::thread::JoinHandle;

use crate::program::{Desk, Ran};
use crate::random::Random;

/// Records of one commit.
const BATCH: &str = "20";
/// How much of a record is noise, in bytes.
const NOISE_BYTES: usize = 1_024;
/// One in so many operations writes a record again.
const AGAIN: usize = 8;
/// So many records are deleted each time.
const DELETED: usize = 3;

pub(super) struct Writer {
    name: &'static str,
    space: String,
    random: Random,
    next: u64,
    operations: u64,
    live: BTreeMap<u64, usize>,
}

/// Writing that is under way.
pub(super) struct Writing {
    import: Child,
    feeding: JoinHandle<()>,
    records: u64,
    deleted: Vec<Ran>,
}

impl Writer {
    pub(super) fn new(name: &'static str, space: &str, seed: u64) -> Self {
        let random = Random::new(seed ^ u64::from(name.as_bytes()[0]) << 40);
        Self { name, space: space.to_owned(), random, next: 0, operations: 0, live: BTreeMap::new() }
    }

    pub(super) fn operations(&self) -> u64 {
        self.operations
    }

    pub(super) fn live_bytes(&self) -> u64 {
        self.live.values().map(|bytes| *bytes as u64).sum()
    }

    pub(super) fn live_records(&self) -> u64 {
        self.live.len() as u64
    }

    /// Begins to write so many records.
    pub(super) fn begin(&mut self, desk: &Desk, records: u64) -> Writing {
        let deleted = self.delete(desk);
        let mut lines = Vec::new();
        for _ in 0..records {
            let number = if self.random.one_in(AGAIN) { self.any() } else { None };
            let number = number.unwrap_or_else(|| {
                self.next += 1;
                self.next
            });
            let noise: String = (0..NOISE_BYTES / 16).map(|_| format!("{:016x}", self.random.number())).collect();
            let line = format!("{{\"id\":\"{}-{number}\",\"number\":{number},\"noise\":\"{noise}\"}}\n", self.name);
            self.live.insert(number, line.len());
            lines.push(line);
        }
        let arguments =
            ["import", "-c", "soak", "--no-schema", "--batch", BATCH, "--space", &self.space, "--json", "-"];
        let mut import = desk.command(self.name, &arguments).stdin(Stdio::piped()).spawn().expect("tide runs");
        let mut to = import.stdin.take().expect("piped");
        let feeding = std::thread::spawn(move || {
            lines.iter().for_each(|line| to.write_all(line.as_bytes()).expect("the import reads"));
        });
        Writing { import, feeding, records, deleted }
    }

    /// A record that is there.
    fn any(&mut self) -> Option<u64> {
        let from = 1 + self.random.number() % self.next.max(1);
        self.live.range(from..).next().map(|(number, _)| *number)
    }

    fn delete(&mut self, desk: &Desk) -> Vec<Ran> {
        let gone: Vec<u64> = (0..DELETED).filter_map(|_| self.any()).collect();
        gone.into_iter()
            .filter(|number| self.live.remove(number).is_some())
            .map(|number| {
                self.operations += 1;
                desk.run(self.name, &["delete", "soak", &format!("{}-{number}", self.name), "--space", &self.space])
            })
            .collect()
    }
}

impl Writing {
    /// Waits until all is written.
    pub(super) fn finish(self, writer: &mut Writer) {
        self.feeding.join().expect("the import reads everything");
        let imported = Ran::of(self.import.wait_with_output().expect("it ends"));
        assert_eq!(imported.code, 0, "{}: {imported:?}", writer.name);
        assert!(self.deleted.iter().all(|ran| ran.code == 0), "{:?}", self.deleted);
        writer.operations += self.records;
    }
}
