//! One session between two databases without a network, until neither side has anything to say.

use std::collections::VecDeque;

use tidewater_sync::session::MAX_FRAME_BYTES;
use tidewater_sync::{Database, Input, Output, Purpose, Role, Session, SessionConfig, SessionError, SessionEvent};

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
    /// Why the dialer and the acceptor ended the session, if they did.
    pub ended: [Option<SessionError>; 2],
}

/// What lies between two sessions: it is given every frame with the side that sent it (0: the dialer), and says which frames
/// arrive instead. When all is quiet it is asked once for each side, without a frame.
pub type Channel<'a> = dyn FnMut(usize, Option<Vec<u8>>) -> Vec<Vec<u8>> + 'a;

/// Lets two databases talk. `channel` is different for every conversation of the same two.
///
/// # Panics
/// When a session fails, or finds no end.
pub fn converse(dialer: &Database, acceptor: &Database, purpose: Purpose, channel: u8) -> Conversation {
    let said = converse_through(dialer, acceptor, purpose, channel, &mut |_, frame| frame.into_iter().collect());
    if let Some(error) = said.ended.iter().flatten().next() {
        panic!("a session between honest databases ended: {error}");
    }
    said
}

/// Lets two databases talk through what lies `between` them.
///
/// # Panics
/// When the sessions find no end, or make a frame that is too long.
pub fn converse_through(
    dialer: &Database,
    acceptor: &Database,
    purpose: Purpose,
    channel: u8,
    between: &mut Channel<'_>,
) -> Conversation {
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
                    Output::Frame(frame) => {
                        assert!(frame.len() <= MAX_FRAME_BYTES, "a frame of {} bytes", frame.len());
                        inboxes[1 - side].extend(between(side, Some(frame)));
                    }
                    Output::Event(event) if side == 0 => said.events.push(event),
                    Output::Close(error) => said.ended[side] = Some(error),
                    _ => {}
                }
            }
        }
        if inboxes.iter().all(VecDeque::is_empty) {
            (0..2).for_each(|side| inboxes[1 - side].extend(between(side, None)));
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
