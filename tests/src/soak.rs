//! Real devices for long: three served databases over QUIC, of which two write, restart, are killed and cut off again and again,
//! while others join and are removed. What each takes is recorded, plotted, and held to limits.

mod chart;
mod device;
mod judgement;
mod writer;

use std::io;
use std::path::PathBuf;

use serde_json::json;

use self::device::{Device, Sample};
use self::writer::Writer;
use crate::namespace::Namespace;
use crate::program::Desk;
use crate::random::Random;

/// Parts of a soak, each with a disturbance and a look at what the devices take.
const PHASES: u64 = 20;
/// Phases in which somebody joins and is removed: each gets everything.
const NEWCOMERS_UNTIL: u64 = 12;

/// How a soak goes.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Records that are written, written again or deleted, all devices together.
    pub operations: u64,
    /// Of what is random.
    pub seed: u64,
    /// Where `soak.csv` and `soak.svg` are put.
    pub folder: PathBuf,
}

/// Runs a soak. What is wrong with it, if anything.
///
/// # Errors
/// When the record can't be written.
///
/// # Panics
/// When a command fails, or the devices don't come to agree.
pub fn soak(plan: &Plan) -> io::Result<Vec<String>> {
    std::fs::create_dir_all(&plan.folder)?;
    let mut soak = Soak::new(plan.seed);
    for phase in 0..PHASES {
        soak.phase(phase, plan.operations / PHASES);
        // Should it not come to its end, there is what it took until then.
        std::fs::write(plan.folder.join("soak.csv"), chart::csv(&soak.samples))?;
        std::fs::write(plan.folder.join("soak.svg"), chart::svg(&soak.samples))?;
        let last = soak.samples.last().expect("a phase looks");
        println!("phase {phase}: {} operations, {} MiB live", last.operations, last.live_bytes >> 20);
    }
    soak.part();
    Ok(judgement::judge(&soak.samples))
}

struct Soak {
    random: Random,
    desk: Desk,
    /// Between the first device and the others, if this machine gives networks.
    cable: Option<[Namespace; 2]>,
    /// The first is never disturbed, the second is a device of the same identity, the third another identity's.
    devices: [Device; 3],
    writers: [Writer; 3],
    space: String,
    operations: u64,
    samples: Vec<Sample>,
}

impl Soak {
    fn new(seed: u64) -> Self {
        let desk = Desk::with_database();
        let cable = Namespace::new().and_then(|one| Ok([one, Namespace::new()?]));
        let cable = cable.inspect_err(|why| println!("the link is not cut: {why}")).ok();
        let (desks, addresses) = match &cable {
            Some([one, other]) => {
                one.connect("10.78.0.1/24", other, "10.78.0.2/24");
                let desks = [desk.within(one), desk.within(other), desk.within(other)];
                (desks, ["10.78.0.1:7400", "10.78.0.2:7401", "10.78.0.2:7402"])
            }
            None => ([desk.clone(), desk.clone(), desk.clone()], ["127.0.0.1:0"; 3]),
        };
        let space =
            desk.run("a", &["status", "--json"]).json()["spaces"][0]["space"].as_str().expect("a space").to_owned();
        let [at_a, at_b, at_c] = desks;
        let a = Device::start("a", at_a, addresses[0]);
        let ticket =
            |kind: &str| desk.run("a", &[kind, "--json"]).json()["ticket"].as_str().expect("a ticket").to_owned();
        let joined = at_b.run("b", &["join", &ticket("link"), "--p2p", addresses[1]]);
        assert_eq!(joined.code, 0, "{joined:?}");
        let b = Device::start("b", at_b, addresses[1]);
        let joined = at_c.run("c", &["join", &ticket("share"), "--name", "Carl", "--p2p", addresses[2]]);
        assert_eq!(joined.code, 0, "{joined:?}");
        let c = Device::start("c", at_c, addresses[2]);
        let writers = ["a", "b", "c"].map(|name| Writer::new(name, &space, seed));
        let random = Random::new(seed);
        Self { random, desk, cable, devices: [a, b, c], writers, space, operations: 0, samples: Vec::new() }
    }

    fn phase(&mut self, phase: u64, operations: u64) {
        let share = operations / 3;
        let running = self.writers[0].begin(&self.desk, share);
        self.write_both(share / 2);
        match phase % 4 {
            0 => self.devices[1].restart("TERM"),
            1 => self.devices[2].restart("KILL"),
            2 => {
                self.cut(true);
                self.write_both(share / 4);
                self.cut(false);
            }
            _ if phase < NEWCOMERS_UNTIL => self.newcomer(phase),
            _ => self.devices[1].restart("KILL"),
        }
        self.write_both(share - share / 2);
        running.finish(&mut self.writers[0]);
        self.agree(&format!("phase-{phase}"));
        self.operations = self.writers.iter().map(Writer::operations).sum();
        let live_bytes = self.writers.iter().map(Writer::live_bytes).sum();
        let operations = self.operations;
        self.samples.extend(self.devices.iter().map(|device| device.sample(operations, live_bytes)));
    }

    /// The two that are disturbed write at once.
    fn write_both(&mut self, operations: u64) {
        let running = [1, 2].map(|number| (number, self.writers[number].begin(&self.desk, operations)));
        for (number, running) in running {
            running.finish(&mut self.writers[number]);
        }
    }

    fn cut(&self, down: bool) {
        if let Some([_, other]) = &self.cable {
            other.set_link(!down);
        }
    }

    /// Somebody joins, gets everything, and is removed.
    fn newcomer(&mut self, phase: u64) {
        let name = format!("newcomer-{phase}-{}", self.random.below(1_000));
        let ticket = self.desk.run("a", &["share", "--json"]).json()["ticket"].as_str().expect("a ticket").to_owned();
        let at = self.devices[2].desk();
        let p2p = if self.cable.is_some() { "10.78.0.2:0" } else { "127.0.0.1:0" };
        let joined = at.run(&name, &["join", &ticket, "--name", &name, "--p2p", p2p]);
        assert_eq!(joined.code, 0, "{joined:?}");
        let identity =
            at.run(&name, &["status", "--json"]).json()["identity"].as_str().expect("an identity").to_owned();
        let revoked = self.desk.run("a", &["revoke", &identity]);
        assert_eq!(revoked.code, 0, "{revoked:?}");
    }

    /// Waits until all hold what any holds now.
    fn agree(&self, news: &str) {
        for (from, to) in [("b", "a"), ("c", "a"), ("a", "b"), ("a", "c")] {
            let id = format!("{news}-{from}-{to}");
            let put = self.desk.run(from, &["put", "news", &id, "{}", "--space", &self.space]);
            assert_eq!(put.code, 0, "{put:?}");
            let seen = self.desk.start(to, &["watch", "news", &format!("id={id:?}")]);
            assert_eq!(seen.said["added"]["id"], id);
            assert_eq!(seen.stop(), 0);
        }
    }

    /// Everybody stops, holds the same, and is sound.
    fn part(&mut self) {
        self.devices.iter_mut().for_each(Device::stop);
        let digests = ["a", "b", "c"].map(|name| self.desk.run(name, &["digest", "--space", &self.space]).out);
        assert!(digests.iter().all(|digest| *digest == digests[0]), "they hold the same: {digests:?}");
        for name in ["a", "b", "c"] {
            assert_eq!(self.desk.run(name, &["verify", "--json"]).json()["problems"], json!([]), "{name} is sound");
        }
        let documents = self.desk.run("a", &["query", "soak", "--first", "1", "--count", "--json"]).json();
        let live: u64 = self.writers.iter().map(Writer::live_records).sum();
        assert_eq!(documents["total"], live, "what was written is there");
    }
}
