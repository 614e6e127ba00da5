//! Headers: golden bytes, every refusal, random round trips.

use super::*;
use crate::id::{DeviceId, Incarnation};

fn writer(byte: u8) -> WriterId {
    WriterId { device: DeviceId([byte; 32]), incarnation: Incarnation([byte; 8]) }
}

fn moved(byte: u8, length: u64) -> (WriterId, Prefix) {
    (writer(byte), Prefix { length, root: [byte; 32] })
}

fn header() -> Header {
    Header {
        timestamp_ms: -1,
        first: true,
        last: false,
        epoch: EpochId([1; 32]),
        salt: [2; 8],
        dependencies: vec![moved(3, 1), moved(4, 128)],
        control: vec![moved(3, LOG_LENGTH_MAX)],
        body_length: 100,
        body_hash: [5; 32],
    }
}

fn with(change: impl FnOnce(&mut Header)) -> Header {
    let mut header = header();
    change(&mut header);
    header
}

fn refused(header: &Header) -> &'static str {
    match Header::decode(&header.encode()) {
        Err(HeaderError::Malformed { what }) => what,
        other => panic!("{other:?}"),
    }
}

fn many(count: usize) -> Moved {
    let named = |number: usize| {
        let mut writer = writer(0);
        writer.device.0[..2].copy_from_slice(&(number as u16).to_be_bytes());
        (writer, Prefix { length: LOG_LENGTH_MAX, root: [7; 32] })
    };
    (0..count).map(named).collect()
}

#[test]
fn headers_round_trip_up_to_the_limits() {
    let largest = with(|header| {
        header.dependencies = many(MOVED_LOGS_MAX);
        header.control = many(MOVED_LOGS_MAX);
        header.body_length = BODY_BYTES_MAX as u32;
    });
    let bare = with(|header| {
        header.dependencies.clear();
        header.control.clear();
        header.timestamp_ms = i64::MIN;
    });
    assert_eq!(bare.encode().len(), BARE_BYTES);
    assert_eq!(BARE_BYTES, 89);
    assert!(largest.encode().len() <= HEADER_BYTES_MAX);
    assert!(largest.encode().len() + BODY_BYTES_MAX <= ENTRY_BYTES_MAX);
    for header in [header(), largest, bare] {
        assert_eq!(Header::decode(&header.encode()), Ok(header));
    }
}

#[test]
fn what_breaks_a_rule_is_refused() {
    assert_eq!(refused(&with(|header| header.dependencies.reverse())), "a list out of order");
    assert_eq!(refused(&with(|header| header.dependencies = vec![moved(3, 1); 2])), "a list out of order");
    assert_eq!(refused(&with(|header| header.control[0].1.length = 0)), "the length of a moved log");
    assert_eq!(refused(&with(|header| header.control[0].1.length += 1)), "the length of a moved log");
    assert_eq!(refused(&with(|header| header.control = many(257))), "a list of more than 256 logs");
    assert_eq!(refused(&with(|header| header.body_length = 16)), "body length");
    assert_eq!(refused(&with(|header| header.body_length = BODY_BYTES_MAX as u32 + 1)), "body length");
    assert_eq!(Header::decode(&vec![1; HEADER_BYTES_MAX + 1]), Err(malformed("over 64 KiB")));
}

#[test]
fn newer_software_is_told_apart_from_damage() {
    let decode = |at: usize, byte| {
        let mut bytes = header().encode();
        bytes[at] = byte;
        Header::decode(&bytes)
    };
    assert_eq!(decode(0, 3), Err(HeaderError::Newer { version: 3 }));
    assert_eq!(decode(1, 9), Err(HeaderError::Newer { version: 9 }));
    assert_eq!(decode(0, 0), Err(malformed("an old version")));
    assert_eq!(decode(0, 1), Err(malformed("an old version")));
    assert_eq!(decode(1, 0), Err(malformed("suite 0")));
    assert_eq!(decode(2, 4), Err(malformed("unknown flags")));
}

#[test]
fn bytes_cut_short_and_bytes_left_over_are_refused() {
    let bytes = header().encode();
    for length in 0..bytes.len() {
        assert!(Header::decode(&bytes[..length]).is_err(), "{length}");
    }
    assert_eq!(Header::decode(&[bytes.as_slice(), &[0]].concat()), Err(malformed("bytes after the end")));
}

#[test]
fn whatever_decodes_is_canonical() {
    const SEED: u64 = 0x6865_6164;
    let mut state = SEED;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    let sample = header().encode();
    for round in 0..20_000 {
        let mut bytes = sample.clone();
        for _ in 0..=random() % 3 {
            let at = random() % bytes.len();
            match random() % 4 {
                0 => bytes[at] ^= 1 << (random() % 8),
                1 => bytes[at] = random() as u8,
                2 => bytes.insert(at, random() as u8),
                _ => drop(bytes.remove(at)),
            }
        }
        if let Ok(header) = Header::decode(&bytes) {
            assert_eq!(header.encode(), bytes, "seed {SEED:#x}, round {round}");
        }
    }
}

#[test]
fn a_header_fits_its_place() {
    let place = |byte, plane| Place { space: SpaceId([0; 32]), plane, writer: writer(byte), sequence: 0 };
    assert_eq!(header().check_place(&place(9, Plane::Data)), Ok(()));
    assert_eq!(header().check_place(&place(4, Plane::Data)), Err(malformed("a dependency on its own log")));
    assert_eq!(header().check_place(&place(9, Plane::Control)), Err(malformed("a control delta on the control plane")));
    let own_control_log = with(|header| header.control = vec![moved(9, 1)]);
    assert_eq!(own_control_log.check_place(&place(9, Plane::Data)), Ok(()));
    let beyond = Place { sequence: LOG_LENGTH_MAX, ..place(9, Plane::Data) };
    assert_eq!(header().check_place(&beyond), Err(malformed("sequence number")));
}
