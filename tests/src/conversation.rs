//! One session between two databases without a network, until neither side has anything to say.

use std::collections::VecDeque;

use tidewater_sync::{Database, Input, Output, Purpose, Role, Session, SessionConfig, SessionEvent};

/// Frames that two databases exchange in one conversation at most: more means that they never come to an end.
const MAX_FRAMES: usize = 10_000;
/// Long enough that no conversation compares vectors once more.
const ANTI_ENTROPY_MS: i64 = 3_600_000;

/// What was said.
#[derive(Debug, Default)]
pub struct Conversation {
    /// What happened on the dialer's side.
    pub events: Vec<SessionEvent>,
    /// Every frame of both sides, in the order they were taken.
    pub frames: Vec<Vec<u8>>,
}

/// Lets two databases talk. `channel` is different for every conversation of the same two.
///
/// # Panics
/// When a session fails, or finds no end.
pub fn converse(dialer: &Database, acceptor: &Database, purpose: Purpose, channel: u8) -> Conversation {
    let config = |role, remote: &Database, purpose| SessionConfig {
        role,
        remote: remote.device(),
        binding: [channel; 32],
        purpose,
        addresses: Vec::new(),
        anti_entropy_ms: ANTI_ENTROPY_MS,
    };
    let now = dialer.host().now_ms();
    let mut sides = [
        Session::new(dialer.clone(), config(Role::Dialer, acceptor, purpose), now),
        Session::new(acceptor.clone(), config(Role::Acceptor, dialer, Purpose::Member), now),
    ];
    let mut inboxes = [VecDeque::new(), VecDeque::new()];
    let (mut said, mut quiet) = (Conversation::default(), false);
    loop {
        for side in 0..2 {
            while let Some(output) = sides[side].poll() {
                match output {
                    Output::Frame(frame) => inboxes[1 - side].push_back(frame),
                    Output::Event(event) if side == 0 => said.events.push(event),
                    Output::Close(error) => panic!("a session between honest databases ended: {error}"),
                    _ => {}
                }
            }
        }
        let next = (0..2).find_map(|side| Some((side, inboxes[side].pop_front()?)));
        match next {
            Some((side, frame)) => {
                said.frames.push(frame.clone());
                sides[side].handle(now, Input::Frame(frame));
                assert!(said.frames.len() < MAX_FRAMES, "two databases never come to an end");
                quiet = false;
            }
            None if quiet => return said,
            None => {
                sides.iter_mut().for_each(|side| side.handle(now, Input::StoreChanged));
                quiet = true;
            }
        }
    }
}
