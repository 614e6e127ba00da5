//! Sealing: what opens, and everything that must not.

use super::frame::Unpacker;
use super::*;
use crate::codec::put_varint;
use crate::id::{DeviceId, Incarnation, SpaceId, WriterId};
use crate::log::header::{BODY_BYTES_MAX, BODY_BYTES_MIN, ENTRY_BYTES_MAX};
use crate::log::{Plane, Prefix};
use zstd::zstd_safe;

fn place() -> Place {
    let writer = WriterId { device: DeviceId([2; 32]), incarnation: Incarnation([3; 8]) };
    Place { space: SpaceId([1; 32]), plane: Plane::Data, writer, sequence: 7 }
}

fn draft() -> EntryDraft {
    let other = WriterId { device: DeviceId([9; 32]), incarnation: Incarnation([9; 8]) };
    let dependencies = vec![(other, Prefix { length: 300, root: [8; 32] })];
    EntryDraft { timestamp_ms: 1_750_000_000_000, first: true, last: true, dependencies, control: Vec::new() }
}

fn key() -> SecretKey {
    SecretKey::new([5; 32])
}

fn seal(chunk: &[u8]) -> Sealed {
    Sealer::new().seal(&place(), draft(), &key(), [6; 16], chunk).unwrap()
}

fn open(place: &Place, sealed: &Sealed, key: &SecretKey) -> Result<Vec<u8>, OpenError> {
    let header = Header::decode(&sealed.header).unwrap();
    Opener::new().open(place, &header, &sealed.header, &sealed.body, key)
}

/// Bytes that do not compress.
fn noise(length: usize) -> Vec<u8> {
    let mut out = vec![0; length];
    blake3::Hasher::new().update(b"noise").finalize_xof().fill(&mut out);
    out
}

#[test]
fn chunks_of_every_size_open_to_themselves_within_the_limits() {
    let mut sizes: Vec<usize> = (0..300).collect();
    sizes.extend([1000, 4096, 65_537, CHUNK_BYTES_MAX - 1, CHUNK_BYTES_MAX]);
    let (mut sealer, mut opener) = (Sealer::new(), Opener::new());
    for size in sizes {
        for chunk in [vec![b'a'; size], noise(size)] {
            let sealed = sealer.seal(&place(), draft(), &key(), [6; 16], &chunk).unwrap();
            assert!((BODY_BYTES_MIN..=BODY_BYTES_MAX).contains(&sealed.body.len()), "{size}");
            assert!(sealed.header.len() + sealed.body.len() <= ENTRY_BYTES_MAX);
            let header = Header::decode(&sealed.header).unwrap();
            assert_eq!(header.encode(), sealed.header);
            let opened = opener.open(&place(), &header, &sealed.header, &sealed.body, &key());
            assert_eq!(opened.as_ref(), Ok(&chunk), "{size}");
        }
    }
    assert_eq!(seal(&[]).body.len(), BODY_BYTES_MIN);
    assert_eq!(seal(&noise(CHUNK_BYTES_MAX)).body.len(), BODY_BYTES_MAX);
    assert!(seal(&vec![b'a'; CHUNK_BYTES_MAX]).body.len() < 200);
}

#[test]
fn what_compresses_to_its_own_length_opens_to_itself() {
    let frame = |chunk: &[u8]| super::frame::Packer::default().pack(chunk, 0);
    let (mut as_it_is, mut compressed) = (0, 0);
    for zeros in 0..64 {
        let chunk = [noise(200), vec![0; zeros]].concat();
        let frame = frame(&chunk);
        if frame[0] & 1 == 0 {
            as_it_is += 1
        } else {
            compressed += 1
        }
        assert_eq!(unpack(&frame).as_deref(), Ok(chunk.as_slice()), "{zeros}");
    }
    assert!(as_it_is > 8 && compressed > 8, "{as_it_is} stored, {compressed} compressed");
}

/// An entry of which any one bit was changed does not open, even where the hash of its body was forged to fit.
#[test]
fn attack_every_flipped_bit_of_an_entry_is_refused() {
    let sealed = seal(b"one small document");
    let head = Header::decode(&sealed.header).unwrap();
    for bit in 0..sealed.header.len() * 8 {
        let mut header_bytes = sealed.header.clone();
        header_bytes[bit / 8] ^= 1 << (bit % 8);
        let Ok(header) = Header::decode(&header_bytes) else { continue };
        assert!(
            Opener::new().open(&place(), &header, &header_bytes, &sealed.body, &key()).is_err(),
            "header bit {bit}"
        );
    }
    for bit in 0..sealed.body.len() * 8 {
        let mut body = sealed.body.clone();
        body[bit / 8] ^= 1 << (bit % 8);
        let flipped = Opener::new().open(&place(), &head, &sealed.header, &body, &key());
        assert_eq!(flipped, Err(OpenError::Body), "body bit {bit}");
        // A sender who also forges the hash meets the tag.
        let header = Header { body_hash: *blake3::hash(&body).as_bytes(), ..head.clone() };
        let forged = Opener::new().open(&place(), &header, &header.encode(), &body, &key());
        assert_eq!(forged, Err(OpenError::Refused), "body bit {bit}");
    }
}

/// An entry that is put into another space, plane, log or place does not open there, whoever holds the key.
#[test]
fn attack_entry_replayed_into_another_space_or_plane_does_not_open() {
    let sealed = seal(b"one small document");
    assert!(open(&place(), &sealed, &key()).is_ok());
    let mut elsewhere = vec![
        Place { space: SpaceId([0; 32]), ..place() },
        Place { plane: Plane::Control, ..place() },
        Place { sequence: 8, ..place() },
        Place { sequence: 0, ..place() },
    ];
    let writer = place().writer;
    elsewhere.push(Place { writer: WriterId { device: DeviceId([4; 32]), ..writer }, ..place() });
    elsewhere.push(Place { writer: WriterId { incarnation: Incarnation([4; 8]), ..writer }, ..place() });
    for place in elsewhere {
        assert_eq!(open(&place, &sealed, &key()), Err(OpenError::Refused), "{place:?}");
    }
}

#[test]
fn another_key_is_told_apart_from_a_bad_body() {
    let wanted = OpenError::WrongKey { epoch: key().epoch_id() };
    assert_eq!(open(&place(), &seal(b"x"), &SecretKey::new([0; 32])), Err(wanted));
}

/// One ciphertext has one key: the header names it by its hash, and an entry that is relabelled opens under neither.
#[test]
fn attack_one_ciphertext_under_two_keys_opens_under_one() {
    let (one, two) = (key(), SecretKey::new([0; 32]));
    let sealed = seal(b"x");
    let header = Header { epoch: two.epoch_id(), ..Header::decode(&sealed.header).unwrap() };
    let relabelled = Sealed { header: header.encode(), body: sealed.body.clone() };
    let wrong = |key: &SecretKey| Err(OpenError::WrongKey { epoch: key.epoch_id() });
    assert_eq!(open(&place(), &sealed, &one).as_deref(), Ok(&b"x"[..]));
    assert_eq!(open(&place(), &sealed, &two), wrong(&one));
    assert_eq!(open(&place(), &relabelled, &one), wrong(&two));
    assert_eq!(open(&place(), &relabelled, &two), Err(OpenError::Refused));
}

/// Without any randomness the salt, and so key and nonce, still differs for every other place, header or plaintext.
#[test]
fn attack_dead_random_generator_gives_no_salt_twice() {
    let salt_of = |place: &Place, draft: EntryDraft, random, chunk: &[u8]| {
        let sealed = Sealer::new().seal(place, draft, &key(), random, chunk).unwrap();
        Header::decode(&sealed.header).unwrap().salt
    };
    let salts = [
        salt_of(&place(), draft(), [0; 16], b"x"),
        salt_of(&place(), draft(), [0; 16], b"y"),
        salt_of(&place(), draft(), [1; 16], b"x"),
        salt_of(&Place { sequence: 8, ..place() }, draft(), [0; 16], b"x"),
        salt_of(&place(), EntryDraft { timestamp_ms: 0, ..draft() }, [0; 16], b"x"),
        salt_of(&place(), EntryDraft { last: false, ..draft() }, [0; 16], b"x"),
        salt_of(&place(), EntryDraft { dependencies: Vec::new(), ..draft() }, [0; 16], b"x"),
    ];
    for (number, salt) in salts.iter().enumerate() {
        assert!(!salts[..number].contains(salt), "{number}");
    }
    assert_eq!(seal(b"x"), seal(b"x"), "the same arguments give the same bytes");
}

#[test]
fn what_does_not_fit_an_entry_is_not_sealed() {
    let seal = |place: &Place, draft, chunk: &[u8]| Sealer::new().seal(place, draft, &key(), [0; 16], chunk);
    let too_large = vec![0; CHUNK_BYTES_MAX + 1];
    assert_eq!(seal(&place(), draft(), &too_large), Err(SealError::ChunkTooLarge { length: CHUNK_BYTES_MAX + 1 }));
    let moved = draft().dependencies[0];
    let own = (place().writer, moved.1);
    let empty = (moved.0, Prefix { length: 0, root: [0; 32] });
    for dependencies in [vec![moved; 2], vec![moved, own], vec![own], vec![empty]] {
        assert_eq!(seal(&place(), EntryDraft { dependencies, ..draft() }, b""), Err(SealError::Moved));
    }
    let control = Place { plane: Plane::Control, ..place() };
    let with_delta = EntryDraft { control: vec![own], dependencies: Vec::new(), ..draft() };
    assert!(seal(&place(), with_delta.clone(), b"").is_ok());
    assert_eq!(seal(&control, with_delta, b""), Err(SealError::Moved));
    let twice = EntryDraft { control: vec![own; 2], dependencies: Vec::new(), ..draft() };
    assert_eq!(seal(&place(), twice, b""), Err(SealError::Moved));
    let many = |count: u16| {
        let named = |number: u16| {
            let mut writer = moved.0;
            writer.device.0[..2].copy_from_slice(&number.to_be_bytes());
            (writer, moved.1)
        };
        EntryDraft { dependencies: (0..count).map(named).collect(), ..draft() }
    };
    assert!(seal(&place(), many(MOVED_LOGS_MAX as u16), b"").is_ok());
    assert_eq!(seal(&place(), many(MOVED_LOGS_MAX as u16 + 1), b""), Err(SealError::Moved));
}

#[test]
fn a_body_shorter_than_its_tag_does_not_open() {
    let header = Header::decode(&seal(b"x").header).unwrap();
    for length in 0..TAG_BYTES {
        let body = vec![7; length];
        let header =
            Header { body_length: length as u32, body_hash: *blake3::hash(&body).as_bytes(), ..header.clone() };
        let opened = Opener::new().open(&place(), &header, &header.encode(), &body, &key());
        assert_eq!(opened, Err(OpenError::Body), "{length}");
    }
}

#[test]
fn padding_follows_padme() {
    let expected =
        [(0, 0), (1, 1), (2, 2), (3, 3), (8, 8), (9, 10), (17, 18), (65, 72), (1000, 1024), (196_615, 200_704)];
    for (length, padded) in expected {
        assert_eq!(padme(length), padded, "{length}");
    }
    for length in 1..100_000 {
        let padded = padme(length);
        assert!(padded >= length && padded <= length + length / 8 && padme(padded) == padded, "{length}");
    }
}

fn stored(payload: &[u8]) -> Vec<u8> {
    padded(payload.len() as u64 * 2, &[], payload)
}

fn compressed(raw_length: u64, payload: &[u8]) -> Vec<u8> {
    let mut length = Vec::new();
    put_varint(&mut length, payload.len() as u64);
    padded(raw_length * 2 + 1, &length, payload)
}

fn padded(first: u64, length: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(&mut out, first);
    out.extend_from_slice(length);
    out.extend_from_slice(payload);
    out.resize(padme(out.len()), 0);
    out
}

fn unpack(frame: &[u8]) -> Result<Vec<u8>, &'static str> {
    Unpacker::default().unpack(frame)
}

#[test]
fn frames_have_one_spelling() {
    assert_eq!(unpack(&stored(b"document!")), Ok(b"document!".to_vec()));
    let mut longer = stored(b"document!");
    longer.push(0);
    assert_eq!(unpack(&longer), Err("the padding's length"));
    let mut unpadded = stored(b"needs one");
    unpadded.extend_from_slice(b"two");
    assert_eq!(unpack(&unpadded), Err("the padding's length"));
    let mut marked = stored(b"needs 1 more");
    assert_eq!((marked.len(), marked.last()), (14, Some(&0)), "a byte of padding");
    *marked.last_mut().unwrap() = 1;
    assert_eq!(unpack(&marked), Err("the padding's bytes"));
    for raw_length in [0, 8, 9] {
        assert_eq!(unpack(&compressed(raw_length, b"document!")), Err("a payload that is not shorter"));
    }
    assert_eq!(unpack(&padded(2 * (CHUNK_BYTES_MAX as u64 + 1), &[], b"")), Err("the chunk's length"));
    assert_eq!(unpack(&compressed(CHUNK_BYTES_MAX as u64 + 1, b"")), Err("the chunk's length"));
    for cut_short in [&[][..], &[0x80], &[0x80, 0], &[6, 1, 2], &[7], &[7, 2, 1]] {
        assert_eq!(unpack(cut_short), Err("the frame is cut short"), "{cut_short:?}");
    }
}

/// What would inflate beyond the length that it names, or beyond a chunk, is refused before it is written anywhere.
#[test]
fn attack_inflate_bomb_and_other_zstd_frames_are_refused() {
    let plain = zstd::bulk::compress(&[7; 1000], ZSTD_LEVEL).unwrap();
    assert_eq!(unpack(&compressed(1000, &plain)), Ok(vec![7; 1000]));
    let header = Err("the compressed payload's header");
    assert_eq!(unpack(&compressed(999, &plain)), header);
    assert_eq!(unpack(&compressed(1001, &plain)), header);
    // A gigabyte of zeros that calls itself small: nothing beyond the announced length is ever written.
    let bomb = zstd::bulk::compress(&vec![0; 64 << 20], ZSTD_LEVEL).unwrap();
    assert!(bomb.len() < CHUNK_BYTES_MAX);
    assert_eq!(unpack(&compressed(CHUNK_BYTES_MAX as u64, &bomb)), header);
    // Blocks of 1000 bytes under a header that announces 40: descriptor 0x20 has one byte of content size.
    let mut lying = zstd::bulk::compress(&[7; 200], ZSTD_LEVEL).unwrap();
    assert_eq!(lying[4..6], [0x20, 200]);
    for announced in [40, 201, 255] {
        lying[5] = announced;
        assert_eq!(unpack(&compressed(announced.into(), &lying)), Err("the compressed payload"), "{announced}");
    }
    let twice = [plain.as_slice(), plain.as_slice()].concat();
    assert_eq!(unpack(&compressed(1000, &twice)), header);
    let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0][..], &plain].concat();
    assert_eq!(unpack(&compressed(1000, &skippable)), header);
    let mut checksummed = zstd::bulk::Compressor::new(ZSTD_LEVEL).unwrap();
    checksummed.set_parameter(zstd_safe::CParameter::ChecksumFlag(true)).unwrap();
    assert_eq!(unpack(&compressed(1000, &checksummed.compress(&[7; 1000]).unwrap())), header);
    // A streamed frame announces a window and no content size.
    let streamed = zstd::stream::encode_all(&[7; 1000][..], ZSTD_LEVEL).unwrap();
    assert_eq!(unpack(&compressed(1000, &streamed)), header);
}

#[test]
fn mutated_frames_never_panic_and_never_exceed_the_limit() {
    const SEED: u64 = 0x7469_6465;
    let mut state = SEED;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    let text: Vec<u8> = (0..2000).map(|number: u32| b'a' + (number % 7 * number % 11) as u8).collect();
    let packed = zstd::bulk::compress(&text, ZSTD_LEVEL).unwrap();
    let samples = [stored(b"document!"), compressed(text.len() as u64, &packed)];
    let mut unpacker = Unpacker::default();
    for round in 0..20_000 {
        let mut bytes = samples[round % 2].clone();
        for _ in 0..=random() % 3 {
            let at = random() % bytes.len();
            match random() % 3 {
                0 => bytes[at] ^= 1 << (random() % 8),
                1 => bytes[at] = random() as u8,
                _ => bytes.truncate(at + 1),
            }
        }
        if let Ok(chunk) = unpacker.unpack(&bytes) {
            assert!(chunk.len() <= CHUNK_BYTES_MAX, "seed {SEED:#x}, round {round}");
        }
    }
}
