//! What arrives, and what is refused.

use std::collections::BTreeMap;
use std::sync::Arc;

use tidewater_engine::host::Host;
use tidewater_engine::id::{DeviceId, Incarnation, SpaceId};

use super::*;
use crate::session::limits::MAX_NUMBERED_LOGS;
use crate::simulation::SimulatedHost;

fn writer(number: u64) -> WriterId {
    let mut device = [0; 32];
    device[..8].copy_from_slice(&number.to_be_bytes());
    WriterId { device: DeviceId(device), incarnation: Incarnation([1; 8]) }
}

fn log(number: u64) -> LogName {
    LogName { space: SpaceId([7; 32]), plane: Plane::Data, writer: writer(number) }
}

/// What both sides hold.
fn root_of(log: &LogName, length: u64) -> [u8; 32] {
    *blake3::hash(&[&log.to_bytes()[..], &length.to_be_bytes()].concat()).as_bytes()
}

fn entry(header: &Header, body: &[u8]) -> LoggedEntry {
    let (body_length, body_hash) = (body.len() as u32, *blake3::hash(body).as_bytes());
    LoggedEntry { header: Header { body_length, body_hash, ..header.clone() }.encode(), body: body.to_vec() }
}

fn header(timestamp_ms: i64) -> Header {
    Header {
        timestamp_ms,
        first: true,
        last: true,
        epoch: EpochId([3; 32]),
        salt: [4; 8],
        dependencies: Moved::new(),
        control: Moved::new(),
        body_length: 0,
        body_hash: [0; 32],
    }
}

fn head(length: u64) -> Option<SignedHead> {
    Some(SignedHead { length, root: None, signature: [9; 64] })
}

fn part(log: LogName, from: u64, entries: Vec<LoggedEntry>) -> BatchPart {
    let head = head(from + entries.len() as u64);
    BatchPart { log, from, entries, head }
}

/// Both ends of one direction.
#[derive(Default)]
struct Wire {
    sender: Numbers,
    receiver: Numbers,
}

impl Wire {
    /// Sends a part; logs of a writer with an even number are shared.
    fn pass(&mut self, part: &BatchPart) -> Result<(BatchPart, usize), SessionError> {
        let shares = |_, writer: &WriterId, _: &Prefix| writer.device.0[7].is_multiple_of(2);
        let bytes = BatchWriter { numbers: &mut self.sender, shares: &shares }.write(part);
        let root = |log: &LogName, length| Ok(root_of(log, length));
        let numbers = &mut self.receiver;
        let read = BatchReader { numbers, root: &root, wants: &|_| true, room: usize::MAX }.read(&bytes)?;
        Ok((read.part, bytes.len()))
    }
}

struct Draw(Arc<SimulatedHost>);

impl Draw {
    fn below(&self, bound: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill_random(&mut bytes);
        u64::from_be_bytes(bytes) % bound
    }

    fn moved(&self, log: &LogName, plane: Plane) -> Moved {
        let mut writers: Vec<u64> = (0..self.below(5)).map(|_| self.below(300)).collect();
        writers.sort_unstable();
        writers.dedup();
        let moved = writers.into_iter().map(|number| {
            let (writer, length) = (writer(number), 1 + self.below(1 << 40));
            (writer, Prefix { length, root: root_of(&LogName { writer, plane, ..*log }, length) })
        });
        moved.collect()
    }

    fn entry(&self, log: &LogName) -> LoggedEntry {
        let body = vec![self.below(256) as u8; self.below(300) as usize];
        if self.below(9) == 0 {
            // Of software that this one does not know.
            return LoggedEntry { header: vec![9; self.below(200) as usize], body };
        }
        let timestamp_ms = match self.below(6) {
            0 => i64::MIN,
            1 => i64::MAX,
            _ => 1_700_000_000_000 + self.below(1 << 20) as i64,
        };
        let drawn = Header {
            first: self.below(2) == 0,
            last: self.below(2) == 0,
            epoch: EpochId([self.below(2) as u8; 32]),
            dependencies: self.moved(log, log.plane),
            control: self.moved(log, Plane::Control),
            ..header(timestamp_ms)
        };
        entry(&drawn, &body)
    }
}

#[test]
fn whatever_is_sent_arrives_byte_for_byte() {
    for seed in 0..40 {
        let (draw, mut wire, mut ends) = (Draw(SimulatedHost::new(seed)), Wire::default(), BTreeMap::new());
        for _ in 0..40 {
            let log = LogName {
                space: SpaceId([draw.below(2) as u8; 32]),
                plane: if draw.below(2) == 0 { Plane::Control } else { Plane::Data },
                writer: writer(draw.below(4)),
            };
            let from = if draw.below(3) == 0 { draw.below(1 << 50) } else { *ends.entry(log).or_insert(0) };
            let entries: Vec<_> = (0..=draw.below(3)).map(|_| draw.entry(&log)).collect();
            let mut sent = part(log, from, entries);
            if draw.below(3) == 0 {
                sent.head = None;
            }
            let (arrived, _) = wire.pass(&sent).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            assert_eq!(arrived, sent, "seed {seed}");
            ends.insert(log, from + sent.entries.len() as u64);
        }
    }
}

#[test]
fn a_live_entry_costs_its_signature_its_salt_its_body_and_six_bytes() {
    let mut wire = Wire::default();
    let first = part(log(1), 0, vec![entry(&header(1_700_000_000_000), &[5; 36])]);
    wire.pass(&first).unwrap();
    let next = part(log(1), 1, vec![entry(&header(1_700_000_005_000), &[5; 36])]);
    let (read, bytes) = wire.pass(&next).unwrap();
    assert_eq!(read, next);
    assert_eq!(bytes, 1 + 64 + 1 + 2 + 8 + 1 + 36, "log and flags, signature, shape, time, salt, body with its length");

    // In answer to an entry of a log that both hold: three bytes more, once that log has a number.
    let answers = |at, length| {
        let shared = LogName { writer: writer(2), ..log(1) };
        let dependencies = vec![(shared.writer, Prefix { length, root: root_of(&shared, length) })];
        part(log(1), at, vec![entry(&Header { dependencies, ..header(1_700_000_005_010) }, &[5; 36])])
    };
    wire.pass(&answers(2, 9)).unwrap();
    let (read, again) = wire.pass(&answers(3, 10)).unwrap();
    assert_eq!(read, answers(3, 10));
    assert_eq!(again, bytes - 1 + 3, "one byte less of time; count, number, length");
}

fn read(numbers: &mut Numbers, bytes: &[u8]) -> Result<BatchPart, String> {
    let root = |_: &LogName, _| Ok([0; 32]);
    let reader = BatchReader { numbers, root: &root, wants: &|_| true, room: usize::MAX }.read(bytes);
    reader.map(|read| read.part).map_err(|error| error.to_string())
}

/// An entry with an epoch, a salt and a body of one byte; `shape` is added, `lists` go before the body.
fn plain(shape: u8, lists: &[u8]) -> Vec<u8> {
    [&[FIRST | LAST | EPOCH | shape, 0][..], &[3; 32], &[4; 8], lists, &[1, 5]].concat()
}

#[test]
fn hostile_numbers_are_refused() {
    let name = log(1).to_bytes();
    let fresh = |bytes: &[&[u8]]| read(&mut Numbers::default(), &bytes.concat());
    assert!(fresh(&[&[0], &name, &plain(0, &[])]).is_ok());
    for number in [1u64, 5, u64::MAX >> 2] {
        let mut bytes = Vec::new();
        put_number(&mut bytes, number << 2);
        let error = fresh(&[&bytes, &name, &plain(0, &[])]).unwrap_err();
        assert!(error.contains("the number of a log that has none"), "{error}");
    }
    let mut numbers = Numbers::default();
    read(&mut numbers, &[&[0][..], &name, &plain(0, &[])].concat()).unwrap();
    let error = read(&mut numbers, &[&[1 << 2][..], &name, &plain(0, &[])].concat()).unwrap_err();
    assert!(error.contains("a second number for one log"), "{error}");

    let one_moved = |number: u8, more: &[u8]| plain(DEPENDENCIES, &[&[1, number << 1][..], more, &[7]].concat());
    let error = fresh(&[&[0], &name, &one_moved(2, &[])]).unwrap_err();
    assert!(error.contains("the number of a log that has none"), "{error}");
    let own = writer(1).to_bytes();
    let error = fresh(&[&[0], &name, &one_moved(1, &own)]).unwrap_err();
    assert!(error.contains("a second number for one log"), "{error}");
    let mut numbers = Numbers::default();
    let elsewhere = LogName { space: SpaceId([8; 32]), ..log(2) }.to_bytes();
    read(&mut numbers, &[&[0][..], &elsewhere, &plain(0, &[])].concat()).unwrap();
    let error = read(&mut numbers, &[&[1 << 2][..], &name, &one_moved(0, &[])].concat()).unwrap_err();
    assert!(error.contains("a moved log of another space or plane"), "{error}");
}

#[test]
fn what_is_not_in_order_is_refused() {
    let name = log(1).to_bytes();
    let fresh = |bytes: &[&[u8]]| read(&mut Numbers::default(), &bytes.concat());
    let last = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
    let without_epoch = [&[FIRST | LAST, 0][..], &[4; 8], &[1, 5]].concat();
    let many = plain(DEPENDENCIES, &[0x81, 2]);
    for (bytes, why) in [
        (vec![&[0][..], &name], "a batch without entries"),
        (vec![&[FROM as u8], &name, &last, &plain(0, &[])], "beyond the last number"),
        (vec![&[0], &name, &without_epoch], "a first entry without an epoch"),
        (vec![&[0], &name, &[64]], "an entry of an unknown shape"),
        (vec![&[0], &name, &[WHOLE | FIRST]], "an entry of an unknown shape"),
        (vec![&[0], &name, &plain(CONTROL, &[0])], "an empty list"),
        (vec![&[0], &name, &many], "a length is over its limit"),
        (vec![&[HEAD as u8], &name, &[9; 63]], "it ends too early"),
    ] {
        let error = fresh(&bytes).unwrap_err();
        assert!(error.contains(why), "{error} instead of {why}");
    }
    let entry = plain(0, &[]);
    let entries: Vec<&[u8]> = std::iter::repeat_n(&entry[..], MAX_BATCH_ENTRIES + 1).collect();
    let error = fresh(&[&[0], &name, &entries.concat()]).unwrap_err();
    assert!(error.contains("more than 1,024 entries"), "{error}");
}

#[test]
fn both_ends_forget_all_numbers_together_before_there_are_too_many() {
    let mut wire = Wire::default();
    for number in 0..2 * MAX_NUMBERED_LOGS as u64 + 10 {
        for number in [number, number / 2] {
            let sent = part(log(number), 3, vec![entry(&header(5), b"x")]);
            assert_eq!(wire.pass(&sent).unwrap().0, sent, "{number}");
        }
        assert!(wire.receiver.count() <= MAX_NUMBERED_LOGS);
        assert_eq!(wire.receiver.count(), wire.sender.count());
    }
}
