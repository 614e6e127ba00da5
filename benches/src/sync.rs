//! Two databases of one identity on this machine, over QUIC on the loopback interface.

use std::path::Path;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tidewater_engine::id::SpaceId;
use tidewater_engine::query::Query;
use tidewater_engine::store::{Durability, Edit, WriteError};
use tidewater_engine::value::{Fields, Value};
use tidewater_net::node::{Node, NodeConfig};
use tidewater_net::transport::Addr;
use tidewater_sync::Database;
use tokio::runtime::Runtime;

use crate::contender::Outcome;
use crate::machine::database;
use crate::measure::{measure, percentile};
use crate::report::{Row, TIDEWATER};

mod again;

/// How long a step may take before the run is given up.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long a ticket is valid.
pub(crate) const TICKET_MS: i64 = 3_600_000;
/// How many small writes the latency is measured over.
const LIVE_WRITES: usize = 300;
/// The collection of the small writes.
const LIVE: &str = "live";
/// How many small writes one commit has.
const BULK_WRITES: i64 = 1_000;
/// The collection of small writes that share a commit.
const BULK: &str = "bulk";
/// What an Ed25519 signature takes.
const SIGNATURE_BYTES: f64 = 64.0;

/// What is synced: a database that holds it, and how much it is.
pub(crate) struct Payload<'a> {
    /// Fills the first database.
    pub(crate) load: &'a dyn Fn(&Database) -> Outcome<()>,
    pub(crate) collection: &'a str,
    pub(crate) records: u64,
    pub(crate) ndjson_bytes: u64,
}

/// Links an empty database to a full one, then measures live writes and a second meeting.
pub(crate) fn rows(payload: &Payload<'_>) -> Outcome<Vec<Row>> {
    let (one, two) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let runtime = Runtime::new()?;
    let first = database(one.path(), true)?;
    (payload.load)(&first)?;
    let home = first.home().ok_or("the first database has no home")?;
    let second = database(two.path(), false)?;
    eprintln!("first sync of {} records", payload.records);
    let address: Addr = "quic://127.0.0.1:0".parse()?;
    let listening = runtime.block_on(Node::start(first.clone(), NodeConfig::quic(&first, vec![address])))?;
    let addresses = listening.advertised_addresses().iter().map(Addr::to_string).collect();
    let ticket = first.link_ticket(addresses, TICKET_MS)?;

    let usable = Arc::new(Mutex::new(None));
    let (outcome, cost) = measure(|| -> Outcome<Node> {
        let started = Instant::now();
        let dialing = runtime.block_on(Node::start(second.clone(), NodeConfig::quic(&second, Vec::new())))?;
        runtime.block_on(dialing.join(&ticket))?;
        let mut query = Query::all(payload.collection);
        query.page.limit = Some(10);
        wait(&second, || {
            let found = second.snapshot()?.find(&query)?;
            let mut usable = usable.lock().map_err(|_| "a thread panicked")?;
            if usable.is_none() && !found.documents.is_empty() {
                *usable = Some(started.elapsed());
            }
            holds(&second, &home, payload)
        })?;
        Ok(dialing)
    });
    let dialing = outcome?;
    if first.digest(&home)? != second.digest(&home)? {
        return Err("both replicas hold everything and differ".into());
    }
    let usable = usable.lock().map_err(|_| "a thread panicked")?.ok_or("nothing was ever readable")?;
    let wire = bytes(&dialing, &first);
    let mut rows = vec![
        Row::new("first sync, both sides, durable", "CPU µs/record")
            .figure(TIDEWATER, cost.cpu_us(payload.records))
            .goal("at most 15", |own, _| own <= 15.0),
        Row::new("first sync", "records/s").figure(TIDEWATER, cost.per_second(payload.records)),
        Row::new("first sync, on the wire", "bytes/NDJSON byte")
            .figure(TIDEWATER, wire as f64 / payload.ndjson_bytes as f64)
            .goal("at most 0.35", |own, _| own <= 0.35),
        Row::new("first sync, first usable result", "ms").figure(TIDEWATER, usable.as_secs_f64() * 1e3),
    ];
    rows.extend(live(&first, &second, || bytes(&dialing, &first))?);
    runtime.block_on(async {
        dialing.shutdown().await;
        listening.shutdown().await;
    });
    rows.extend(again::rows(&first, &second)?);
    Ok(rows)
}

/// Whether a database has all records.
fn holds(database: &Database, home: &SpaceId, payload: &Payload<'_>) -> Outcome<bool> {
    if !database.spaces().contains(home) {
        return Ok(false);
    }
    let report = database.snapshot()?.report(home)?;
    Ok(report.documents.iter().any(|(name, count)| name == payload.collection && *count >= payload.records))
}

/// Bytes of frames in both directions between this node and `peer`, QUIC's own not counted.
fn bytes(node: &Node, peer: &Database) -> u64 {
    let status = node.status();
    let connections = status.peers.get(&peer.device()).map_or([].as_slice(), |peer| peer.connections.as_slice());
    connections.iter().map(|connection| connection.received.bytes + connection.sent.bytes).sum()
}

/// Looks again after every change of `database`, until `done`.
pub(crate) fn wait(database: &Database, mut done: impl FnMut() -> Outcome<bool>) -> Outcome<()> {
    let (changed, changes) = mpsc::channel();
    let _guard = database.on_change(Arc::new(move |_| {
        // Nobody waits any more once the receiver is gone.
        let _ = changed.send(());
    }));
    let deadline = Instant::now() + PATIENCE;
    while !done()? {
        let left = deadline.saturating_duration_since(Instant::now());
        changes.recv_timeout(left).map_err(|_| "a sync did not come to its end")?;
        while changes.try_recv().is_ok() {}
    }
    Ok(())
}

/// Small writes on one side, until each can be read on the other.
fn live(first: &Database, second: &Database, wire: impl Fn() -> u64) -> Outcome<Vec<Row>> {
    first.transaction(Durability::Local, |transaction| {
        transaction.insert(LIVE, Some("one"), Fields::from([("n".to_owned(), Value::Int(-1))])).map(drop)
    })?;
    let sees = |n: i64| -> Outcome<bool> {
        let document = second.snapshot()?.get(None, LIVE, "one")?;
        Ok(document.is_some_and(|document| document.fields.get("n") == Some(&Value::Int(n))))
    };
    wait(second, || sees(-1))?;
    let before = wire();
    let mut waits = Vec::with_capacity(LIVE_WRITES);
    for n in 0..LIVE_WRITES as i64 {
        let started = Instant::now();
        first.transaction(Durability::Local, |transaction| {
            transaction.update(LIVE, "one", vec![("n".into(), Edit::Set(Value::Int(n)))])?;
            Ok::<(), WriteError>(())
        })?;
        wait(second, || sees(n))?;
        waits.push(started.elapsed().as_secs_f64() * 1e3);
    }
    let bytes = (wire() - before) as f64 / LIVE_WRITES as f64;
    let in_bulk = bulk(first, second, &wire)?;
    waits.sort_by(f64::total_cmp);
    Ok(vec![
        Row::new("live: from a write's call to readable there, median", "ms")
            .figure(TIDEWATER, percentile(&waits, 0.5)),
        Row::new("live: the same, 99th of 100", "ms").figure(TIDEWATER, percentile(&waits, 0.99)),
        Row::new("live: a small register write, both directions", "bytes")
            .figure(TIDEWATER, bytes)
            .goal("at most 64", |own, _| own <= 64.0),
        Row::new("live: the same, without the head's signature", "bytes")
            .figure(TIDEWATER, bytes - SIGNATURE_BYTES)
            .goal("at most 64", |own, _| own <= 64.0),
        Row::new("live: small register writes, 1,000 a commit", "bytes/write")
            .figure(TIDEWATER, in_bulk)
            .goal("at most 16", |own, _| own <= 16.0),
    ])
}

/// Bytes in both directions for each of many small writes in one commit.
fn bulk(first: &Database, second: &Database, wire: impl Fn() -> u64) -> Outcome<f64> {
    let write = |value: i64| {
        first.transaction(Durability::Local, |transaction| {
            (0..BULK_WRITES).try_for_each(|number| {
                let fields = Fields::from([("n".to_owned(), Value::Int(value + number))]);
                transaction.upsert(BULK, &number.to_string(), fields).map(drop)
            })
        })
    };
    let sees = |value: i64| -> Outcome<bool> {
        let document = second.snapshot()?.get(None, BULK, "0")?;
        Ok(document.is_some_and(|document| document.fields.get("n") == Some(&Value::Int(value))))
    };
    write(1_000_000)?;
    wait(second, || sees(1_000_000))?;
    let before = wire();
    write(2_000_000)?;
    wait(second, || sees(2_000_000))?;
    Ok((wire() - before) as f64 / BULK_WRITES as f64)
}

/// The size of a text file, and how many lines that aren't blank it has.
pub(crate) fn size(path: &Path) -> Outcome<(u64, u64)> {
    let text = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).count();
    Ok((text.len() as u64, lines as u64))
}
