//! What sharing costs: a space of many documents and members, of which one is removed; somebody who is offered a space; and the
//! sealing of one commit.

use std::sync::Arc;
use std::time::Instant;

use tidewater_engine::id::{DeviceId, Incarnation, SpaceId, WriterId};
use tidewater_engine::log::seal::{EntryDraft, Opener, Sealed, Sealer};
use tidewater_engine::log::{Header, Place, Plane};
use tidewater_engine::query::Query;
use tidewater_engine::space::{Rank, SecretKey};
use tidewater_engine::store::Location;
use tidewater_net::host::SystemHost;
use tidewater_net::node::{Node, NodeConfig};
use tidewater_net::transport::Addr;
use tidewater_sync::{CreateOptions, Database, OpenOptions};
use tokio::runtime::Runtime;

use crate::contender::Outcome;
use crate::contender::tidewater::{COLLECTION, fill};
use crate::machine::{CACHE_BYTES, database};
use crate::measure::{Cost, measure};
use crate::records::Record;
use crate::report::{Row, TIDEWATER};
use crate::sync::{TICKET_MS, wait};

/// The smaller space, to which the removal in the larger one is compared.
const FEW_DOCUMENTS: u64 = 1_000;
/// How many commits are sealed and opened.
const SEALS: u64 = 20_000;

/// The costs in a space of `documents` and `members`.
pub(crate) fn rows(documents: u64, members: usize) -> Outcome<Vec<Row>> {
    let few = removal(FEW_DOCUMENTS, members)?;
    let many = removal(documents, members)?;
    let ms = |cost: &Cost| cost.wall.as_secs_f64() * 1e3;
    let removal = format!("remove one of {members} members, {documents} documents");
    let mut rows = vec![
        Row::new(format!("give one of {members} a rank"), "ms").figure(TIDEWATER, ms(&many.grants) / members as f64),
        Row::new(removal, "ms").figure(TIDEWATER, ms(&many.removal)).goal("under 1,000 ms", |own, _| own < 1_000.0),
        Row::new("the same beside that with 1,000 documents", "x")
            .figure(TIDEWATER, ms(&many.removal) / ms(&few.removal))
            .goal("at most 2x", |own, _| own <= 2.0),
    ];
    rows.push(Row::new("from the offer to its first document, over QUIC", "ms").figure(TIDEWATER, offer()?));
    rows.extend(seal()?);
    Ok(rows)
}

struct Removal {
    grants: Cost,
    removal: Cost,
}

/// Fills a space, gives ranks to many, and takes one away.
fn removal(documents: u64, members: usize) -> Outcome<Removal> {
    eprintln!("a space of {documents} documents and {members} members");
    let folder = tempfile::tempdir()?;
    let owner = database(folder.path(), true)?;
    fill(&owner, documents)?;
    let home = owner.home().ok_or("the database has no home")?;
    let people: Vec<Database> = (0..members).map(|_| person()).collect::<Outcome<_>>()?;
    let cards = people.iter().map(Database::card).collect::<Result<Vec<_>, _>>()?;
    let (granted, grants) = measure(|| cards.iter().try_for_each(|card| owner.grant(&home, card, Rank::Writer)));
    granted?;
    let gone = cards.last().ok_or("a space without members")?.identity();
    let (removed, removal) = measure(|| owner.revoke(&home, &gone));
    removed?;
    if owner.members(&home)?.iter().any(|member| member.identity == gone) {
        return Err("who was removed is still a member".into());
    }
    Ok(Removal { grants, removal })
}

/// Somebody with a database in memory.
fn person() -> Outcome<Database> {
    let open = OpenOptions { host: Arc::new(SystemHost), mirror: None, cache_bytes: CACHE_BYTES / 64 };
    let create = CreateOptions { open, identity: Some("member".into()), home: false };
    Ok(Database::create(Location::Memory, create)?)
}

/// Milliseconds from the moment a ticket is used until its first document is read on the other side.
fn offer() -> Outcome<f64> {
    eprintln!("an offer");
    let runtime = Runtime::new()?;
    let (one, two) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let owner = database(one.path(), true)?;
    fill(&owner, FEW_DOCUMENTS)?;
    let home = owner.home().ok_or("the database has no home")?;
    let other = database(two.path(), true)?;
    let address: Addr = "quic://127.0.0.1:0".parse()?;
    let listening = runtime.block_on(Node::start(owner.clone(), NodeConfig::quic(&owner, vec![address])))?;
    let dialing = runtime.block_on(Node::start(other.clone(), NodeConfig::quic(&other, Vec::new())))?;
    let addresses = listening.advertised_addresses().iter().map(Addr::to_string).collect();
    let ticket = owner.share_ticket(&home, Rank::Reader, addresses, TICKET_MS)?;
    let started = Instant::now();
    runtime.block_on(dialing.join(&ticket))?;
    wait(&other, || reads(&other, home))?;
    let took = started.elapsed().as_secs_f64() * 1e3;
    runtime.block_on(async {
        dialing.shutdown().await;
        listening.shutdown().await;
    });
    Ok(took)
}

fn reads(database: &Database, space: SpaceId) -> Outcome<bool> {
    let mut query = Query { spaces: Some(vec![space]), ..Query::all(COLLECTION) };
    query.page.limit = Some(1);
    Ok(database.spaces().contains(&space) && !database.snapshot()?.find(&query)?.documents.is_empty())
}

/// CPU time of sealing and of opening one commit with one record.
fn seal() -> Outcome<Vec<Row>> {
    let key = SecretKey::new([7; 32]);
    let writer = WriterId { device: DeviceId([1; 32]), incarnation: Incarnation([2; 8]) };
    let place = |sequence| Place { space: SpaceId([3; 32]), plane: Plane::Data, writer, sequence };
    let chunks: Vec<Vec<u8>> = (0..SEALS).map(|n| Record::numbered(n).to_json().into_bytes()).collect();
    let mut sealer = Sealer::new();
    let (sealed, sealing) = measure(|| {
        let seal = |(sequence, chunk): (u64, &Vec<u8>)| {
            let draft =
                EntryDraft { timestamp_ms: 0, first: true, last: true, dependencies: Vec::new(), control: Vec::new() };
            let mut random = [0; 16];
            random[..8].copy_from_slice(&sequence.to_le_bytes());
            sealer.seal(&place(sequence), draft, &key, random, chunk)
        };
        (0..).zip(&chunks).map(seal).collect::<Result<Vec<_>, _>>()
    });
    let sealed = sealed?;
    let headers = sealed.iter().map(|one| Header::decode(&one.header)).collect::<Result<Vec<_>, _>>()?;
    let mut opener = Opener::new();
    let (opened, opening) = measure(|| {
        let entries = (0..).zip(sealed.iter().zip(&headers));
        let open = |(sequence, (one, header)): (u64, (&Sealed, &Header))| {
            opener.open(&place(sequence), header, &one.header, &one.body, &key)
        };
        entries.map(open).collect::<Result<Vec<_>, _>>()
    });
    if opened? != chunks {
        return Err("what was opened is not what was sealed".into());
    }
    Ok(vec![
        Row::new("seal a commit of one record", "CPU µs").figure(TIDEWATER, sealing.cpu_us(SEALS)),
        Row::new("open a commit of one record", "CPU µs").figure(TIDEWATER, opening.cpu_us(SEALS)),
    ])
}
