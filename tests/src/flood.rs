//! Frames that cost whoever takes them as much as they can: `docs/spec/session.md` says what they mean.

use tidewater_engine::id::{DeviceId, SpaceId};
use tidewater_sync::session::MAX_FRAME_BYTES;

use crate::random::Random;

/// A space that nobody has.
pub const NO_SPACE: SpaceId = SpaceId([0xee; 32]);

const INVITE: u8 = 6;
const VECTORS: u8 = 7;
const BATCH: u8 = 8;
const ADDRESSES: u8 = 10;
/// An entry with an epoch and dependencies, and one with both kinds of lists.
const WITH_DEPENDENCIES: u8 = 4 + 8;

/// One kind of flood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flood {
    /// Spaces without end, none of which the receiver knows.
    Spaces,
    /// Vectors of one space that never end.
    Vectors,
    /// Vectors that are whole, and name as many logs as they can: all made up.
    MadeUpLogs,
    /// Questions for vectors, whose answers nobody reads.
    Questions,
    /// Batches that name many logs.
    Names,
    /// Batches whose few bytes stand for long headers.
    ShortForLong,
    /// Batches that are never finished, of the largest entries.
    Unfinished,
    /// Whole batches without a right signature.
    Unsigned,
    /// Small messages that are each answered.
    Small,
    /// Invitations to spaces that don't exist.
    Invitations,
    /// The largest frames, of noise.
    Noise,
}

impl Flood {
    /// Every kind.
    pub const ALL: [Self; 11] = [
        Self::Spaces,
        Self::Vectors,
        Self::MadeUpLogs,
        Self::Questions,
        Self::Names,
        Self::ShortForLong,
        Self::Unfinished,
        Self::Unsigned,
        Self::Small,
        Self::Invitations,
        Self::Noise,
    ];

    /// The frame of that number of a flood over `space` by `device`.
    #[must_use]
    pub fn frame(self, space: &SpaceId, device: &DeviceId, number: u64) -> Vec<u8> {
        let mut random = Random::new(number ^ (self as u64) << 56);
        match self {
            Self::Spaces => listing(&mut random, number),
            Self::Vectors => vectors(space, device, &mut random, [true, false], VECTOR_LOGS),
            Self::MadeUpLogs => vectors(space, device, &mut random, [false, false], VECTOR_LOGS),
            Self::Questions => vectors(space, device, &mut random, [false, true], 0),
            Self::Names => names(space, &mut random, number),
            Self::ShortForLong => short_for_long(space, &mut random, number),
            Self::Unfinished => body(space, &mut random, number, false),
            Self::Unsigned => body(space, &mut random, number, true),
            Self::Small => vec![ADDRESSES, 0],
            Self::Invitations => invitation(&mut random),
            Self::Noise => {
                let mut frame = bytes(&mut random, MAX_FRAME_BYTES);
                frame[0] = BATCH;
                frame
            }
        }
    }
}

/// Frames that a session takes, and keeps as much of as it can: in all of them nothing is wrong.
#[must_use]
pub fn worst(space: &SpaceId, device: &DeviceId) -> Vec<Vec<u8>> {
    let frame = |flood: Flood, number| flood.frame(space, device, number);
    let questions = (0..200).map(|number| frame(Flood::Questions, number));
    let kept =
        [(Flood::MadeUpLogs, 0), (Flood::Spaces, 0), (Flood::Names, 0), (Flood::Names, 1), (Flood::Unfinished, 0)];
    questions.chain(kept.map(|(flood, number)| frame(flood, number))).chain([frame(Flood::Unfinished, 1)]).collect()
}

/// Logs that one frame of a vector may name.
const VECTOR_LOGS: usize = 2_048;
/// Spaces that one frame may list.
const LISTED_SPACES: usize = 2_048;
/// From so many on the numbers of all logs are forgotten.
const NUMBERED_LOGS: u64 = 256;
/// Logs that one list of a header may name.
const LIST_LOGS: u64 = 256;

fn bytes(random: &mut Random, count: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..count.div_ceil(8)).flat_map(|_| random.number().to_le_bytes()).collect();
    bytes.truncate(count);
    bytes
}

fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn listing(random: &mut Random, number: u64) -> Vec<u8> {
    let mut frame = vec![5, u8::from(number.is_multiple_of(2))];
    put_number(&mut frame, LISTED_SPACES as u64);
    frame.extend(bytes(random, LISTED_SPACES * 48));
    frame
}

/// Logs of lives of `device` that never were.
fn vectors(space: &SpaceId, device: &DeviceId, random: &mut Random, flags: [bool; 2], logs: usize) -> Vec<u8> {
    let mut frame = vec![VECTORS];
    frame.extend_from_slice(&space.0);
    frame.extend(flags.map(u8::from));
    put_number(&mut frame, logs as u64);
    for _ in 0..logs {
        frame.push(1);
        frame.extend_from_slice(&device.0);
        frame.extend(bytes(random, 8));
        put_number(&mut frame, u64::MAX);
        frame.extend(bytes(random, 32));
    }
    frame
}

/// The beginning of a batch of a log that has no number yet.
fn batch_of_new_log(space: &SpaceId, random: &mut Random, number: u64, head: bool) -> Vec<u8> {
    let mut frame = vec![BATCH];
    put_number(&mut frame, number << 2 | u64::from(head));
    frame.extend_from_slice(&space.0);
    frame.push(1);
    frame.extend(bytes(random, 40));
    if head {
        frame.extend(bytes(random, 64));
    }
    frame
}

fn put_entry(frame: &mut Vec<u8>, random: &mut Random, shape: u8, first: bool) {
    frame.push(if first { shape } else { shape & !4 });
    frame.push(0);
    if first {
        frame.extend(bytes(random, 32));
    }
    frame.extend(bytes(random, 8));
}

/// How many logs have numbers when a batch of that number begins: every other names almost as many as are kept, the rest
/// as many as a batch may.
fn numbered_before(number: u64) -> u64 {
    if number.is_multiple_of(2) { 0 } else { NUMBERED_LOGS - 1 }
}

fn names(space: &SpaceId, random: &mut Random, number: u64) -> Vec<u8> {
    let mut numbered = numbered_before(number);
    let lists: &[u64] = if numbered == 0 { &[NUMBERED_LOGS - 2] } else { &[LIST_LOGS, LIST_LOGS, NUMBERED_LOGS - 1] };
    let mut frame = batch_of_new_log(space, random, numbered, true);
    numbered += 1;
    for (entry, list) in lists.iter().enumerate() {
        put_entry(&mut frame, random, WITH_DEPENDENCIES, entry == 0);
        put_number(&mut frame, *list);
        for _ in 0..*list {
            put_number(&mut frame, numbered << 1);
            frame.extend(bytes(random, 40));
            put_number(&mut frame, 1);
            numbered += 1;
        }
        frame.push(17);
        frame.extend(bytes(random, 17));
    }
    frame
}

/// After the first entries, each dependency of three bytes stands for eighty.
fn short_for_long(space: &SpaceId, random: &mut Random, number: u64) -> Vec<u8> {
    let mut frame = names(space, random, number);
    for _ in 3..1_024 {
        put_entry(&mut frame, random, WITH_DEPENDENCIES, false);
        put_number(&mut frame, NUMBERED_LOGS - 2);
        for log in 0..NUMBERED_LOGS - 2 {
            put_number(&mut frame, (numbered_before(number) + 1 + log) << 1);
            put_number(&mut frame, 1);
        }
        frame.push(17);
        frame.extend(bytes(random, 17));
        if frame.len() + 2_048 > MAX_FRAME_BYTES {
            break;
        }
    }
    frame
}

fn body(space: &SpaceId, random: &mut Random, number: u64, head: bool) -> Vec<u8> {
    let mut frame = if number == 0 || head {
        batch_of_new_log(space, random, number % NUMBERED_LOGS, head)
    } else {
        // The log of the batch that was begun goes on.
        vec![BATCH, 0]
    };
    put_entry(&mut frame, random, 4, number == 0 || head);
    put_number(&mut frame, BODY_BYTES as u64);
    frame.extend(bytes(random, BODY_BYTES));
    frame
}

/// A large body.
const BODY_BYTES: usize = 200_000;

fn invitation(random: &mut Random) -> Vec<u8> {
    let mut frame = vec![INVITE];
    put_number(&mut frame, 60_000);
    frame.extend(bytes(random, 60_000));
    frame
}
