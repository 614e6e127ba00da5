//! What one peer makes a session hold at most: 1 MiB a stranger, 8 MiB a member, whatever it sends and does not read. What
//! carries frames has its share of both: `net/src/node/conversation.rs`.

use std::sync::Arc;

use tidewater_engine::id::SpaceId;
use tidewater_engine::space::Rank;
use tidewater_engine::store::Location;
use tidewater_sync::{CreateOptions, Database, Input, OpenOptions, Output, Purpose, Role, Session, SessionConfig};
use tidewater_tests::conversation::converse;
use tidewater_tests::flood::{Flood, NO_SPACE};
use tidewater_tests::fuzz::Account;
use tidewater_tests::host::SimulatedHost;

/// Frames of one flood.
const FRAMES: u64 = 200;
/// Frames of a member that a node hands in together: it holds about a mebibyte of them at most.
const FRAMES_TOGETHER: u64 = 4;
/// What a session may hold for a stranger, in bytes: 1 MiB, less what the channel may.
const STRANGER_BYTES: usize = 640 << 10;
/// What a session may hold for a member, in bytes: 8 MiB, less what the channel may.
const MEMBER_BYTES: usize = 3 << 20;

fn person(name: &str, seed: u64) -> Database {
    let open = OpenOptions { host: Arc::new(SimulatedHost::new(seed)), mirror: None, cache_bytes: 1 << 20 };
    let options = CreateOptions { open, identity: Some(name.to_owned()), home: true };
    Database::create(Location::Memory, options).expect("a database is created")
}

/// A session under watch with another that opens it honestly.
struct Watched {
    session: Session,
    account: Account,
    closed: bool,
}

impl Watched {
    /// Both are past everything that an honest beginning says.
    fn open(honest: &Database, hostile: &Database) -> Self {
        let config = |role, remote: &Database| SessionConfig {
            role,
            remote: remote.device(),
            binding: [1; 32],
            purpose: Purpose::Member,
            addresses: Vec::new(),
            anti_entropy_ms: 3_600_000,
        };
        let mut other = Session::new(hostile.clone(), config(Role::Dialer, honest), 0);
        let mut account = Account::default();
        let mut session = account.charge(|| Session::new(honest.clone(), config(Role::Acceptor, hostile), 0));
        loop {
            let theirs = frames(&mut other);
            let ours = account.charge(|| {
                theirs.iter().for_each(|frame| session.handle(0, Input::Frame(frame.clone())));
                frames(&mut session)
            });
            if theirs.is_empty() && ours.is_empty() {
                break;
            }
            ours.iter().for_each(|frame| other.handle(0, Input::Frame(frame.clone())));
            // They were charged above, and are freed here.
            account.charge(|| drop(ours));
        }
        Self { session, account, closed: false }
    }

    /// Takes frames that came together, and says what they lead to, unless the peer does not read.
    fn take(&mut self, frames: &[Vec<u8>], reads: bool) {
        let Self { session, account, closed } = self;
        account.charge(|| {
            session.handle_all(0, frames.iter().cloned().map(Input::Frame));
            while reads && let Some(output) = session.poll() {
                *closed |= matches!(output, Output::Close(_));
            }
        });
    }
}

fn frames(session: &mut Session) -> Vec<Vec<u8>> {
    let outputs = std::iter::from_fn(|| session.poll());
    let frames = outputs.filter_map(|output| match output {
        Output::Frame(frame) => Some(frame),
        Output::Close(error) => panic!("an honest beginning ended: {error}"),
        _ => None,
    });
    frames.collect()
}

/// Every flood, to a peer that is read and to one that is not. What it makes a session hold.
fn flood(honest: &Database, hostile: &Database, space: &SpaceId, most: usize) {
    let mut peaks = Vec::new();
    for flood in Flood::ALL {
        for reads in [true, false] {
            let mut watched = Watched::open(honest, hostile);
            let together = if watched.session.is_stranger() { 1 } else { FRAMES_TOGETHER };
            let mut taken = 0;
            while taken < FRAMES && !watched.closed && watched.session.wants_frames() {
                let numbers = taken..taken + together;
                let frames: Vec<_> = numbers.map(|number| flood.frame(space, &hostile.device(), number)).collect();
                watched.take(&frames, reads);
                taken += together;
            }
            let (peak, held) = (watched.account.peak(), watched.account.held());
            println!("{flood:?}, reads {reads}: {taken} frames, {} KiB at once, {} KiB after", peak >> 10, held >> 10);
            peaks.push((peak, flood, reads));
        }
    }
    let worst = peaks.iter().max_by_key(|(peak, _, _)| *peak).expect("some flood");
    assert!(worst.0 <= most, "{worst:?} of {most} bytes");
}

/// A stranger, whatever it sends and does not read, costs less than 1 MiB.
#[test]
fn attack_stranger_makes_a_session_hold_less_than_a_mebibyte() {
    let (ada, eve) = (person("Ada", 1), person("Eve", 2));
    flood(&ada, &eve, &NO_SPACE, STRANGER_BYTES);
    // Knowing the name of a space is not being a member.
    flood(&ada, &eve, &ada.home().expect("a home"), STRANGER_BYTES);
}

/// A member, whatever it sends and does not read, costs less than 8 MiB.
#[test]
fn attack_member_makes_a_session_hold_less_than_eight_mebibytes() {
    let (ada, eve) = (person("Ada", 3), person("Eve", 4));
    let space = ada.home().expect("a home");
    let ticket = ada.share_ticket(&space, Rank::Writer, vec!["memory:ada".into()], 3_600_000).expect("a ticket");
    converse(&eve, &ada, Purpose::Join(Box::new(ticket)), 7);
    converse(&eve, &ada, Purpose::Member, 8);
    flood(&ada, &eve, &space, MEMBER_BYTES);
}
