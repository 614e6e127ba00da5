//! Target: every message of a session, as a stranger's first frame: it is read whole before it is found out of place.

use std::sync::OnceLock;

use tidewater_engine::id::DeviceId;
use tidewater_sync::{Database, Input, Output, Purpose, Role, Session, SessionConfig, SessionError};

use super::people::{open, people};
use super::{Memory, Target, armored, profile};

pub(super) const TARGET: Target = Target {
    name: "message",
    run,
    seeds,
    input_bytes_max: 8_192,
    memory: Memory { fixed: 64 << 10, per_byte: 40 },
    executions: 40_000,
};

fn run(input: &[u8]) -> bool {
    static DATABASE: OnceLock<Database> = OnceLock::new();
    let database = DATABASE.get_or_init(|| open(&people().ada, 9));
    let config = SessionConfig {
        role: Role::Acceptor,
        remote: DeviceId([5; 32]),
        binding: [6; 32],
        purpose: Purpose::Member,
        addresses: Vec::new(),
        anti_entropy_ms: 1_000,
    };
    let mut session = Session::new(database.clone(), config, 0);
    session.handle(0, Input::Frame(input.to_vec()));
    let outputs: Vec<Output> = std::iter::from_fn(|| session.poll()).collect();
    let closed = outputs.iter().find_map(|output| match output {
        Output::Close(error) => Some(error.clone()),
        _ => None,
    });
    match closed {
        Some(SessionError::Protocol { why }) => why.contains("a message that doesn't belong there"),
        Some(SessionError::ClosedByPeer { why }) => why.len() <= 200,
        Some(SessionError::Version { .. }) | None => true,
        Some(other) => panic!("a stranger's frame led to {other:?}"),
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> =
        vec![[&[11, 3][..], b"bye"].concat(), vec![4, 0], [13; 17].to_vec(), [14; 17].to_vec()];
    // Two of each kind, short ones first.
    let mut frames = people().frames.clone();
    frames.sort_by_key(Vec::len);
    for kind in 0..12 {
        seeds.extend(frames.iter().filter(|frame| frame[0] == kind).take(2).cloned());
    }
    seeds.extend(about_contacts());
    seeds
}

/// What two identities say to each other about being contacts.
fn about_contacts() -> Vec<Vec<u8>> {
    let honest = profile::honest();
    let card = armored::bytes("tidecard1", &people().cards[0].to_string());
    let request = [b"\x0f\x05hello".as_slice(), &honest[1].to_vec()].concat();
    let contact = [&[16], honest[2].to_vec().as_slice(), &card].concat();
    vec![request, contact, vec![17], vec![18], vec![19, 0], [&[19, 1][..], &[7; 32]].concat()]
}
