//! Sealed storage beside plain storage, its header bit by bit, and power cuts in both.

use std::sync::{Arc, Mutex};
use std::{array, io};

use data_encoding::HEXLOWER;
use redb::StorageBackend;
use xxhash_rust::xxh3::xxh3_64;

use super::{Cost, Seal, Sealed, UnsealError};
use crate::host::Host;
use crate::value::sample::Sampler;

const DISK_SECTOR: usize = 512;
const HEADER: usize = 4096;
/// Where the records of a header stand, and how long each is: `docs/spec/file.md`.
const PLACES: [usize; 2] = [0, 2048];
const RECORD: usize = 144;

struct Numbers(Mutex<u8>);

impl Host for Numbers {
    fn now_ms(&self) -> i64 {
        0
    }

    fn fill_random(&self, out: &mut [u8]) {
        let mut next = self.0.lock().unwrap();
        out.fill_with(|| {
            *next = next.wrapping_add(1);
            *next
        });
    }
}

fn host() -> Numbers {
    Numbers(Mutex::new(0))
}

fn key(byte: u8) -> Seal {
    Seal::key(&[byte; 32]).unwrap()
}

fn passphrase(text: &str) -> Seal {
    Seal::passphrase(text).unwrap().with_cost(Cost::LEAST)
}

/// Storage that keeps what was done to it, and fails after so many calls.
#[derive(Debug, Clone, Default)]
struct Tape(Arc<Mutex<Medium>>);

#[derive(Debug, Clone, Default)]
struct Medium {
    now: Vec<u8>,
    calls: Vec<Call>,
    left: Option<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Call {
    SetLen(u64),
    Write(u64, Vec<u8>),
    Sync,
}

impl Tape {
    fn of(bytes: &[u8]) -> Self {
        Self(Arc::new(Mutex::new(Medium { now: bytes.to_vec(), ..Medium::default() })))
    }

    fn with<T>(&self, work: impl FnOnce(&mut Medium) -> T) -> T {
        work(&mut self.0.lock().unwrap())
    }

    fn bytes(&self) -> Vec<u8> {
        self.with(|medium| medium.now.clone())
    }

    fn opened(&self, seal: &Seal) -> Result<Sealed, UnsealError> {
        Sealed::open(Box::new(self.clone()), seal)
    }

    fn made(seal: &Seal) -> (Self, Sealed) {
        let tape = Self::default();
        let sealed = Sealed::create(Box::new(tape.clone()), seal, &host()).unwrap();
        (tape, sealed)
    }

    fn done(&self, call: Call) -> io::Result<()> {
        self.with(|medium| {
            if let Some(left) = &mut medium.left {
                *left = left.checked_sub(1).ok_or_else(|| io::Error::other("no power"))?;
            }
            apply(&mut medium.now, &call, |_| true);
            medium.calls.push(call);
            Ok(())
        })
    }
}

/// Does to bytes what a call does, in those disk sectors that arrive.
fn apply(bytes: &mut Vec<u8>, call: &Call, mut arrives: impl FnMut(usize) -> bool) {
    match call {
        Call::SetLen(length) => bytes.resize(*length as usize, 0),
        Call::Write(offset, data) => {
            let mut at = 0;
            while at < data.len() {
                let place = *offset as usize + at;
                let length = (DISK_SECTOR - place % DISK_SECTOR).min(data.len() - at);
                if arrives(place / DISK_SECTOR) {
                    bytes[place..place + length].copy_from_slice(&data[at..at + length]);
                }
                at += length;
            }
        }
        Call::Sync => {}
    }
}

impl StorageBackend for Tape {
    fn len(&self) -> io::Result<u64> {
        Ok(self.with(|medium| medium.now.len() as u64))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.with(|medium| {
            let there = medium.now.get(offset as usize..).and_then(|bytes| bytes.get(..out.len()));
            out.copy_from_slice(there.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.done(Call::SetLen(length))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.done(Call::Sync)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        assert!(offset as usize + data.len() <= self.bytes().len(), "nobody writes beyond the end");
        self.done(Call::Write(offset, data.to_vec()))
    }
}

fn whole(backend: &dyn StorageBackend) -> Vec<u8> {
    let mut bytes = vec![0; backend.len().unwrap() as usize];
    backend.read(0, &mut bytes).unwrap();
    bytes
}

/// A call for a call, of the same length in the same place; and whichever disk sectors arrive of them, the sealed image opens to
/// the plain one, holes included.
#[test]
fn whatever_a_power_cut_leaves_opens_to_what_it_leaves_of_a_plain_file() {
    for seed in 0..150 {
        let mut sampler = Sampler::new(seed);
        let (tape, sealed) = Tape::made(&key(3));
        let plain = Tape::default();
        let header = tape.bytes();
        tape.with(|medium| medium.calls.clear());
        for step in 0..30 {
            let length = plain.len().unwrap() as usize;
            match sampler.below(6) {
                0 => {
                    let length = sampler.below(40) as u64 * 4096;
                    sealed.set_len(length).unwrap();
                    plain.set_len(length).unwrap();
                }
                1 => {
                    sealed.sync_data().unwrap();
                    plain.sync_data().unwrap();
                }
                _ if length == 0 => {}
                kind => {
                    let unit = [1, 16, 512, 4096][kind - 2];
                    let from = sampler.below(length / unit) * unit;
                    let to = from + (1 + sampler.below(((length - from) / unit).min(9 * 4096 / unit))) * unit;
                    // Blocks of zeros are written, too.
                    let is_dull = sampler.below(4) == 0;
                    let data: Vec<u8> =
                        (from..to).map(|_| if is_dull { 0 } else { sampler.below(256) as u8 }).collect();
                    sealed.write(from as u64, &data).unwrap();
                    plain.write(from as u64, &data).unwrap();
                    let mut out = vec![1; data.len()];
                    sealed.read(from as u64, &mut out).unwrap();
                    assert!(out == data, "seed {seed} step {step}");
                }
            }
        }
        assert!(whole(&sealed) == plain.bytes(), "seed {seed}");
        let (sealed_calls, calls) =
            (tape.with(|medium| medium.calls.clone()), plain.with(|medium| medium.calls.clone()));
        assert_eq!(sealed_calls.len(), calls.len(), "seed {seed}");
        let is_aligned = calls.iter().all(
            |call| !matches!(call, Call::Write(offset, data) if !(*offset as usize | data.len()).is_multiple_of(16)),
        );
        for _ in 0..if is_aligned { 4 } else { 0 } {
            let (mut torn, mut torn_plain) = (header.clone(), Vec::new());
            for (sealed_call, call) in sealed_calls.iter().zip(&calls) {
                let arrived: Vec<bool> = (0..2_000).map(|_| sampler.below(3) > 0).collect();
                apply(&mut torn, sealed_call, |sector| arrived[sector - HEADER / DISK_SECTOR]);
                apply(&mut torn_plain, call, |sector| arrived[sector]);
            }
            assert!(whole(&Tape::of(&torn).opened(&key(3)).unwrap()) == torn_plain, "seed {seed}");
        }
    }
}

#[test]
fn a_cut_file_ends_earlier() {
    let (tape, sealed) = Tape::made(&key(1));
    sealed.set_len(8192).unwrap();
    sealed.write(0, &[5; 8192]).unwrap();
    for length in [HEADER, HEADER + 15, HEADER + 16, HEADER + 4100] {
        let cut = Tape::of(&tape.bytes()[..length]).opened(&key(1)).unwrap();
        assert_eq!(cut.len().unwrap() as usize, (length - HEADER) / 16 * 16);
        assert!(whole(&cut).iter().all(|byte| *byte == 5));
    }
}

#[test]
fn equal_blocks_and_sectors_differ_in_the_file() {
    let (tape, sealed) = Tape::made(&key(1));
    sealed.set_len(8192).unwrap();
    sealed.write(0, &[5; 8192]).unwrap();
    let bytes = tape.bytes();
    let mut blocks: Vec<&[u8]> = bytes[HEADER..].chunks_exact(16).collect();
    blocks.sort_unstable();
    blocks.dedup();
    assert_eq!(blocks.len(), 512);
}

/// The header as `docs/spec/file.md` lays it out, byte for byte.
#[test]
fn a_header_is_laid_out_as_the_specification_says() {
    for (seal, golden) in [(key(7), GOLDEN_KEY), (passphrase("Ada's passphrase"), GOLDEN_PASSPHRASE)] {
        let (tape, _) = Tape::made(&seal);
        let header = tape.bytes();
        assert_eq!(HEXLOWER.encode(&header[..RECORD]), golden.concat());
        assert_eq!(header[..512], header[2048..2560], "twice the same");
        assert!(header.iter().enumerate().all(|(at, byte)| at % 2048 < RECORD || *byte == 0));
        assert_eq!(header.len(), HEADER);
    }
}

/// Identity; number, kind and cost; salt; wrapped key and tag; hash.
const GOLDEN_KEY: [&str; 5] = [
    "746964657365616c65641a0aa90d0a00010000000000000039490c969ae1ddaf",
    "010000000000000002000000000000000000000000000000",
    "2122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f40",
    "d419dc5b552d7d9fec207378d27b26e42527a47b831b008e60e05fc7a2e66b33fe08610232abfd37a9eca6679b53f71d",
    "9fac3d30a35ebe60",
];
const GOLDEN_PASSPHRASE: [&str; 5] = [
    "746964657365616c65641a0aa90d0a00010000000000000039490c969ae1ddaf",
    "010000000000000001000000002000000100000001000000",
    "2122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f40",
    "1fbd677e0db6675910b150e20aaebf1137081f612b61cc1d963640f3f1594230e6d3b04f2ac6beacaa9e6fd6595d524c",
    "fe2a8695f86be1a5",
];

fn damage(tape: &Tape, seal: &Seal) -> String {
    match tape.opened(seal) {
        Err(UnsealError::Damaged { why }) => why,
        other => panic!("{other:?}"),
    }
}

/// A flipped bit of one record costs nothing, and is mended by the next write; in both records it is told as damage, never as a wrong
/// secret.
#[test]
fn attack_flipped_bits_in_a_seals_header_are_told_as_damage() {
    let (tape, _) = Tape::made(&key(7));
    let sound = tape.bytes();
    for bit in 0..DISK_SECTOR * 8 {
        let flipped = |places: &[usize]| {
            let mut bytes = sound.clone();
            places.iter().for_each(|place| bytes[place + bit / 8] ^= 1 << (bit % 8));
            Tape::of(&bytes)
        };
        for place in PLACES {
            let tape = flipped(&[place]);
            let sealed = tape.opened(&key(7)).unwrap_or_else(|error| panic!("bit {bit} at {place}: {error}"));
            assert!(tape.bytes() != sound, "opening writes nothing");
            sealed.set_len(0).unwrap();
            assert!(tape.bytes() == sound, "bit {bit} at {place} is not mended");
        }
        match flipped(&PLACES).opened(&key(7)) {
            Err(UnsealError::Damaged { .. }) => {}
            // It doesn't look like a sealed file any more.
            Err(UnsealError::NotSealed) if bit / 8 < 16 => {}
            other => panic!("bit {bit} of both: {other:?}"),
        }
    }
}

/// Both records with a part changed, and the hashes put right, as whoever may write to the file can.
fn forged(sound: &[u8], change: impl Fn(&mut [u8])) -> Tape {
    let mut bytes = sound.to_vec();
    for place in PLACES {
        let record = &mut bytes[place..place + RECORD];
        change(record);
        let hash = xxh3_64(&record[..24]).to_le_bytes();
        record[24..32].copy_from_slice(&hash);
        let hash = xxh3_64(&record[..RECORD - 8]).to_le_bytes();
        record[RECORD - 8..].copy_from_slice(&hash);
    }
    Tape::of(&bytes)
}

/// A header that asks for much memory or time is refused before any is spent; one that asks for less than the file was sealed
/// with opens nothing, since the wrapped key is bound to all of it.
#[test]
fn attack_absurd_and_downgraded_parameters_of_a_passphrase_are_refused() {
    let seal = Seal::passphrase("p").unwrap().with_cost(Cost::new(9 << 10, 2, 2).unwrap());
    let (tape, _) = Tape::made(&seal);
    let sound = tape.bytes();
    let put =
        |at: usize, number: u32| move |record: &mut [u8]| record[at..at + 4].copy_from_slice(&number.to_le_bytes());
    let (kind, memory, passes, lanes) = (40, 44, 48, 52);
    for (at, number) in [
        (memory, u32::MAX),
        (memory, (1 << 20) + 1),
        (memory, (8 << 10) - 1),
        (memory, 0),
        (passes, 0),
        (passes, 17),
        (passes, u32::MAX),
        (lanes, 0),
        (lanes, 17),
    ] {
        let why = damage(&forged(&sound, put(at, number)), &seal);
        assert!(why.contains("Argon2id"), "{why}");
    }
    let work = forged(&sound, |record| {
        put(memory, 1 << 20)(record);
        put(passes, 5)(record);
    });
    assert!(damage(&work, &seal).contains("Argon2id"), "each is within its bound, both are not");
    for kind_number in [0, 2, 3] {
        assert!(!damage(&forged(&sound, put(kind, kind_number)), &seal).is_empty());
    }
    for (at, number) in [(memory, 8 << 10), (passes, 1), (lanes, 1)] {
        let opened = forged(&sound, put(at, number)).opened(&seal);
        assert!(matches!(opened, Err(UnsealError::Wrong { .. })), "{at}: {opened:?}");
    }
    let newer = forged(&sound, put(16, 2)).opened(&seal);
    assert!(matches!(newer, Err(UnsealError::Newer { found: 2 })), "{newer:?}");
    forged(&sound, |_| {}).opened(&seal).expect("nothing was forged");
}

#[test]
fn a_wrong_secret_is_told_with_what_would_open() {
    for (seal, wrong) in [
        (key(1), vec![key(2), passphrase("a")]),
        (passphrase("a"), vec![passphrase("A"), passphrase("a "), Seal::key(&[b'a'; 32]).unwrap()]),
    ] {
        let (tape, _) = Tape::made(&seal);
        let before = tape.bytes();
        for wrong in wrong {
            let opened = tape.opened(&wrong);
            assert!(matches!(opened, Err(UnsealError::Wrong { by }) if by == seal.kind()), "{opened:?}");
        }
        assert!(tape.bytes() == before);
        tape.opened(&seal).unwrap();
    }
}

/// After a change the old passphrase opens nothing, and nothing that it opened is left in the header.
#[test]
fn attack_old_secret_opens_nothing_after_a_change() {
    let (tape, sealed) = Tape::made(&passphrase("old"));
    sealed.set_len(4096).unwrap();
    sealed.write(0, &[9; 4096]).unwrap();
    let before = tape.bytes();
    sealed.change(&key(4), &host()).unwrap();
    assert_eq!(sealed.kind(), key(4).kind());
    assert!(tape.bytes()[HEADER..] == before[HEADER..], "only the header is written");
    let opened = tape.opened(&passphrase("old"));
    assert!(matches!(opened, Err(UnsealError::Wrong { .. })), "{opened:?}");
    assert!(whole(&tape.opened(&key(4)).unwrap()) == [9; 4096]);
    let old_wrap = &before[88..136];
    assert!(!tape.bytes().windows(old_wrap.len()).any(|window| window == old_wrap));
}

/// Cut at any call, with any of the disk sectors that were not synced: one of the two opens it, the new one if the change returned,
/// and then the old one does not once it was written to.
#[test]
fn a_power_cut_in_a_change_leaves_a_file_that_the_old_or_the_new_secret_opens() {
    for cut in 0..=4 {
        for arrives in [false, true] {
            for rotten in [None, Some(PLACES[0]), Some(PLACES[1])] {
                let what = format!("cut {cut} arrives {arrives} rotten {rotten:?}");
                let (tape, _) = Tape::made(&key(1));
                let mut before = tape.bytes();
                if let Some(place) = rotten {
                    before[place + 100] ^= 1;
                }
                let tape = Tape::of(&before);
                let sealed = tape.opened(&key(1)).unwrap();
                tape.with(|medium| medium.left = Some(cut));
                let changed = sealed.change(&key(2), &host()).is_ok();
                assert_eq!(changed, cut == 4, "{what}");
                let calls = tape.with(|medium| medium.calls.clone());
                let synced = calls.iter().rposition(|call| *call == Call::Sync).map_or(0, |last| last + 1);
                let mut left = before.clone();
                calls[..synced].iter().for_each(|call| apply(&mut left, call, |_| true));
                calls[synced..].iter().for_each(|call| apply(&mut left, call, |_| arrives));
                let left = Tape::of(&left);
                let opens: [bool; 2] = array::from_fn(|at| left.opened(&key(1 + at as u8)).is_ok());
                assert!(opens[0] != opens[1], "{what}: {opens:?}");
                assert!(opens[1] || !changed, "{what}");
                let seal = key(if opens[1] { 2 } else { 1 });
                left.opened(&seal).unwrap().set_len(0).unwrap();
                assert_eq!(left.bytes()[..512], left.bytes()[2048..2560], "{what}: it is mended");
                left.opened(&seal).unwrap();
            }
        }
    }
}

#[test]
fn secrets_have_bounds_and_are_never_shown() {
    assert!(Seal::passphrase("").is_err() && Seal::passphrase(&"p".repeat(1025)).is_err());
    assert!(Seal::passphrase(&"p".repeat(1024)).is_ok());
    assert!(Seal::key(&[1; 31]).is_err() && Seal::key(&[1; 33]).is_err());
    let (_, sealed) = Tape::made(&passphrase("hunter2"));
    for shown in
        [format!("{:?}", passphrase("hunter2")), format!("{sealed:?}").split("Medium").next().unwrap().to_owned()]
    {
        assert!(!shown.contains("hunter2") && !shown.contains("key: ["), "{shown}");
    }
}
