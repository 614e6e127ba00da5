//! Many hostile peers at once against one real `tide serve`, over QUIC, while honest devices use it.

mod besieger;
mod path;

use std::sync::Arc;

use tidewater_engine::id::SpaceId;
use tidewater_engine::store::Location;
use tidewater_net::node::{Node, NodeConfig};
use tidewater_net::transport::Addr;
use tidewater_sync::{CreateOptions, Database, OpenOptions, Ticket};

use self::besieger::{Besieger, Weapon};
use crate::host::SimulatedHost;
use crate::program::Desk;

/// redb's cache for a besieger's database, in bytes.
const CACHE_BYTES: usize = 256 << 10;
/// Requests after which a process must have let go of the handles of what ended before.
const REQUESTS_TO_REST: usize = 30;

/// How a siege goes.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Peers at once.
    pub peers: usize,
    /// How many messages, or datagrams, each sends in all.
    pub messages: u64,
    /// Of what is random.
    pub seed: u64,
}

/// What a siege came to.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// What the besieged process had in memory when it began, in KiB.
    pub before_kib: u64,
    /// The most that it had in memory, in KiB.
    pub peak_kib: u64,
    /// Its open handles, before and after.
    pub handles: (usize, usize),
    /// How often the honest devices came to hold the same meanwhile.
    pub rounds: usize,
    /// Connections that were still open after all had assembled, each with its worst: so many at once.
    pub at_once: u64,
    /// Messages that were sent.
    pub sent: u64,
    /// Connections whose handshake came to an end.
    pub connected: u64,
    /// Kinds of besiegers that got something across.
    pub weapons: Vec<String>,
}

/// A number of the system about a process, in KiB.
///
/// # Panics
/// When the process is gone.
#[must_use]
pub fn memory_kib(process: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = status.lines().find(|line| line.starts_with(name)).expect("the system says it");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

/// How many handles a process has open.
///
/// # Panics
/// When the process is gone.
#[must_use]
pub fn handles(process: u32) -> usize {
    std::fs::read_dir(format!("/proc/{process}/fd")).expect("it runs").count()
}

/// How many handles a served `a` has open at rest: what a command leaves is let go of by and by, so the count is the least
/// after each of some requests, until it is no greater than `enough`.
fn handles_at_rest(desk: &Desk, process: u32, enough: usize) -> usize {
    let mut least = handles(process);
    for _ in 0..REQUESTS_TO_REST {
        if least <= enough {
            break;
        }
        let _ = desk.run("a", &["status", "--json"]).json();
        least = least.min(handles(process));
    }
    least
}

/// Besieges a served database, `a`, that `b` is linked to, and checks that both are well at the end.
///
/// # Panics
/// When the honest devices don't come to agree.
#[must_use]
pub fn besiege(plan: Plan) -> Outcome {
    let desk = Desk::with_database();
    let a = desk.serve("a");
    desk.link("a", "b");
    let b = desk.serve("b");
    desk.await_each_other("a", "b", "before");
    let target: std::net::SocketAddr = a.p2p().parse().expect("an address");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let space: SpaceId = desk.run("a", &["status", "--json"]).json()["spaces"][0]["space"]
        .as_str()
        .expect("a home")
        .parse()
        .expect("an id");
    // One in five is a member.
    let members: Vec<Database> = (0..plan.peers.div_ceil(5)).map(|number| member(&desk, &runtime, number)).collect();
    desk.await_each_other("a", "b", "joined");
    let process = a.process();
    let mut outcome = Outcome {
        before_kib: memory_kib(process, "VmRSS:"),
        handles: (handles_at_rest(&desk, process, 0), 0),
        ..Outcome::default()
    };
    let assembly = Arc::new(tokio::sync::Barrier::new(plan.peers + 1));
    let besiegers: Vec<Besieger> = (0..plan.peers)
        .map(|number| {
            let weapon = Weapon::ALL[number % Weapon::ALL.len()];
            let database = match members.get(number / Weapon::ALL.len() % members.len().max(1)) {
                Some(member) if weapon.is_a_members() => member.clone(),
                _ => person(&format!("besieger {number}"), plan.seed << 32 | number as u64),
            };
            let Plan { messages, seed, .. } = plan;
            Besieger { number, weapon, database, space, target, messages, seed, assembly: assembly.clone() }
        })
        .collect();
    let siege: Vec<_> =
        besiegers.into_iter().map(|besieger| (besieger.weapon, runtime.spawn(besieger.run()))).collect();
    let all_there = runtime.spawn({
        let assembly = assembly.clone();
        async move { assembly.wait().await }
    });
    let mut there = false;
    while !there {
        // One round more with all of them there.
        there = all_there.is_finished();
        desk.await_each_other("a", "b", &format!("during-{}", outcome.rounds));
        outcome.rounds += 1;
    }
    runtime.block_on(assembly.wait());
    for (weapon, besieger) in siege {
        let done = runtime.block_on(besieger).expect("a besieger does not panic");
        outcome.sent += done.sent;
        outcome.connected += done.connected;
        outcome.at_once += u64::from(done.stayed);
        let name = format!("{weapon:?}");
        if done.sent > 0 && !outcome.weapons.contains(&name) {
            outcome.weapons.push(name);
        }
    }
    drop(members);
    runtime.shutdown_background();
    desk.await_each_other("a", "b", "after");
    outcome.peak_kib = memory_kib(process, "VmHWM:");
    outcome.handles.1 = handles_at_rest(&desk, process, outcome.handles.0);
    assert_eq!((a.stop(), b.stop()), (0, 0), "both end in good order");
    assert_eq!(desk.run("a", &["digest"]).out, desk.run("b", &["digest"]).out, "both hold the same");
    for name in ["a", "b"] {
        assert_eq!(desk.run(name, &["verify", "--json"]).json()["problems"], serde_json::json!([]), "{name} is sound");
    }
    outcome
}

fn person(name: &str, seed: u64) -> Database {
    let open = OpenOptions { host: Arc::new(SimulatedHost::new(seed)), mirror: None, cache_bytes: CACHE_BYTES };
    let options = CreateOptions { open, identity: Some(name.to_owned()), home: true };
    Database::create(Location::Memory, options).expect("a database is created")
}

/// A database that has become a member of the home of `a`.
fn member(desk: &Desk, runtime: &tokio::runtime::Runtime, number: usize) -> Database {
    let open = OpenOptions { cache_bytes: CACHE_BYTES, mirror: None, ..tidewater_net::host::open_options() };
    let options = CreateOptions { open, identity: Some(format!("member {number}")), home: false };
    let database = Database::create(Location::Memory, options).expect("a database is created");
    let share = desk.run("a", &["share", "--json"]).json();
    let ticket: Ticket = share["ticket"].as_str().expect("a ticket").parse().expect("it is one");
    runtime.block_on(async {
        let listen: Vec<Addr> = Vec::new();
        let node = Node::start(database.clone(), NodeConfig::quic(&database, listen)).await.expect("a node");
        node.join(&ticket).await.expect("a fresh ticket");
        node.shutdown().await;
    });
    database
}
