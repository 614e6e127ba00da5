//! Target: what is inside a sealed body: frames, their padding, and what they decompress to.

use std::cell::RefCell;

use tidewater_engine::codec::{put_bytes, put_varint};
use tidewater_engine::id::{DeviceId, Incarnation, SpaceId, WriterId};
use tidewater_engine::log::seal::{CHUNK_BYTES_MAX, EntryDraft, OpenError, Opener, Sealer, padme};
use tidewater_engine::log::{Header, Moved, Place, Plane};
use tidewater_engine::space::SecretKey;

use super::{Memory, Target};
use crate::forger::sealed_frame;

pub(super) const TARGET: Target = Target {
    name: "body",
    run,
    seeds,
    input_bytes_max: 8_192,
    memory: Memory { fixed: 512 << 10, per_byte: 8 },
    executions: 20_000,
};

thread_local! {
    /// Both hold contexts that are costly to make.
    static SEALING: RefCell<(Sealer, Opener)> = RefCell::new((Sealer::new(), Opener::new()));
}

fn key() -> SecretKey {
    SecretKey::new([9; 32])
}

fn place() -> Place {
    let writer = WriterId { device: DeviceId([1; 32]), incarnation: Incarnation([2; 8]) };
    Place { space: SpaceId([7; 32]), plane: Plane::Data, writer, sequence: 4 }
}

fn draft() -> EntryDraft {
    EntryDraft { timestamp_ms: 5, first: true, last: true, dependencies: Moved::new(), control: Moved::new() }
}

fn run(input: &[u8]) -> bool {
    let key = key();
    let entry = sealed_frame(&place(), draft(), &key, input);
    let Ok(header) = Header::decode(&entry.header) else { return false };
    SEALING.with_borrow_mut(|(sealer, opener)| {
        let mut other = place();
        other.sequence += 1;
        let elsewhere = opener.open(&other, &header, &entry.header, &entry.body, &key);
        assert_eq!(elsewhere, Err(OpenError::Refused), "a body opens at its place only");
        let chunk = match opener.open(&place(), &header, &entry.header, &entry.body, &key) {
            Ok(chunk) => chunk,
            Err(OpenError::Malformed { .. }) => return false,
            Err(error) => panic!("sealed as the specification says, and not opened: {error}"),
        };
        assert!(chunk.len() <= CHUNK_BYTES_MAX && input.len() == padme(input.len()));
        let sealed = sealer.seal(&place(), draft(), &key, [1; 16], &chunk).expect("a chunk that was sealed before");
        let header = Header::decode(&sealed.header).expect("a header of an honest entry");
        let again = opener.open(&place(), &header, &sealed.header, &sealed.body, &key);
        assert_eq!(again.as_ref(), Ok(&chunk), "a chunk is opened as it was sealed");
        true
    })
}

fn seeds() -> Vec<Vec<u8>> {
    let padded = |first: usize, rest: &[u8]| {
        let mut frame = Vec::new();
        put_varint(&mut frame, first as u64);
        frame.extend_from_slice(rest);
        frame.resize(padme(frame.len()), 0);
        frame
    };
    let stored = |chunk: &[u8]| padded(chunk.len() << 1, chunk);
    // A zstd frame of one segment that announces its content.
    let compressed = |raw: u32, blocks: &[u8]| {
        let payload = [&[0x28, 0xb5, 0x2f, 0xfd, 0xa0][..], &raw.to_le_bytes(), blocks].concat();
        let mut rest = Vec::new();
        put_bytes(&mut rest, &payload);
        padded((raw as usize) << 1 | 1, &rest)
    };
    let run = |length: u32| {
        let block = 1 | 1 << 1 | length << 3;
        [&block.to_le_bytes()[..3], &[7]].concat()
    };
    let bomb: Vec<u8> = {
        let blocks = [(131_072u32, 0), (65_536, 1)];
        blocks
            .iter()
            .flat_map(|(length, last)| [&(last | 1 << 1 | length << 3).to_le_bytes()[..3], &[0]].concat())
            .collect()
    };
    vec![
        stored(b""),
        stored(b"a chunk"),
        stored(&[5; 100]),
        compressed(1_000, &run(1_000)),
        compressed(CHUNK_BYTES_MAX as u32, &bomb),
        // Refused by the length that it announces, before there is room for that.
        compressed(64 << 20, &run(1_000)),
    ]
}
