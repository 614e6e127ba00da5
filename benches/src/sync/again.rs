//! What it costs two equal replicas to find out that they are equal: sessions without a network, so that bytes and round trips are
//! counted exactly.

use std::collections::VecDeque;

use tidewater_sync::{Database, Input, Output, Purpose, Role, Session, SessionConfig, SessionEvent};

use crate::contender::Outcome;
use crate::measure::measure;
use crate::report::{Row, TIDEWATER};

/// A meeting of equal replicas that takes more flights has gone wrong.
const MAX_FLIGHTS: usize = 100;

pub(super) fn rows(first: &Database, second: &Database) -> Outcome<Vec<Row>> {
    let (met, cost) = measure(|| meet(first, second));
    let (bytes, flights) = met?;
    Ok(vec![
        Row::new("two equal replicas meet: bytes", "bytes")
            .figure(TIDEWATER, bytes as f64)
            .goal("under 10 KB", |own, _| own < 10_000.0),
        Row::new("two equal replicas meet: round trips", "")
            .figure(TIDEWATER, flights.div_ceil(2) as f64)
            .goal("at most 3", |own, _| own <= 3.0),
        Row::new("two equal replicas meet: CPU, both", "ms")
            .figure(TIDEWATER, cost.cpu.as_secs_f64() * 1e3)
            .goal("under 1 ms", |own, _| own < 1.0),
    ])
}

/// Bytes of all frames, and how many flights of frames followed each other until both said that they are in sync.
fn meet(first: &Database, second: &Database) -> Outcome<(usize, usize)> {
    let now = first.host().now_ms();
    let config = |role, remote: &Database| SessionConfig {
        role,
        remote: remote.device(),
        binding: [1; 32],
        purpose: Purpose::Member,
        addresses: Vec::new(),
        anti_entropy_ms: 3_600_000,
    };
    let mut sides = [
        Session::new(first.clone(), config(Role::Dialer, second), now),
        Session::new(second.clone(), config(Role::Acceptor, first), now),
    ];
    let mut in_sync = [false; 2];
    let (mut bytes, mut flights) = (0, 0);
    while flights < MAX_FLIGHTS {
        // Both sides send at once what they have to say; that is one flight.
        let mut flight = [VecDeque::new(), VecDeque::new()];
        for side in 0..2 {
            while let Some(output) = sides[side].poll() {
                match output {
                    Output::Frame(frame) => {
                        bytes += frame.len();
                        flight[1 - side].push_back(frame);
                    }
                    Output::Event(SessionEvent::InSync { .. }) => in_sync[side] = true,
                    Output::Close(error) => return Err(format!("a meeting ended: {error}").into()),
                    _ => {}
                }
            }
        }
        if in_sync == [true; 2] {
            return Ok((bytes, flights));
        }
        if flight.iter().all(VecDeque::is_empty) {
            return Err("two equal replicas fell silent before they agreed".into());
        }
        flights += 1;
        for (side, frames) in flight.into_iter().enumerate() {
            for frame in frames {
                sides[side].handle(now, Input::Frame(frame));
            }
        }
    }
    Err("two equal replicas never came to an end".into())
}
