//! Batches on the wire, without what the receiver can restore: `docs/spec/session.md`, *Batches*.

use tidewater_engine::id::{EpochId, WriterId};
use tidewater_engine::log::header::MOVED_LOGS_MAX;
use tidewater_engine::log::{Header, Moved, Plane, Prefix};
use tidewater_engine::store::{LoggedEntry, SignedHead};

use super::SessionError;
use super::limits::{MAX_BATCH_ENTRIES, MAX_BODY_BYTES, MAX_HEADER_BYTES};
use super::numbers::{LogName, Numbers};
use crate::codec::{Codec, Decoded, Malformed, Reader, put_bytes, put_number};

const HEAD: u64 = 1;
const FROM: u64 = 2;

const FIRST: u8 = 1;
const LAST: u8 = 2;
const EPOCH: u8 = 4;
const DEPENDENCIES: u8 = 8;
const CONTROL: u8 = 16;
const WHOLE: u8 = 32;

/// What a message of the wire says: the part, and how long it is when nobody wants its entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ReadPart {
    pub(super) part: BatchPart,
    /// How many entries the message has. They are left out of the part when they are not wanted.
    pub(super) count: usize,
    /// What the entries take, in bytes.
    pub(super) bytes: usize,
}

/// Consecutive entries of one log. A batch is one part or several, and the last part has the head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BatchPart {
    pub(super) log: LogName,
    pub(super) from: u64,
    pub(super) entries: Vec<LoggedEntry>,
    pub(super) head: Option<SignedHead>,
}

/// Writes batches of one direction.
pub(super) struct BatchWriter<'a> {
    pub(super) numbers: &'a mut Numbers,
    /// Whether both sides hold this prefix of a log.
    pub(super) shares: &'a dyn Fn(Plane, &WriterId, &Prefix) -> bool,
}

impl BatchWriter<'_> {
    pub(super) fn write(&mut self, part: &BatchPart) -> Vec<u8> {
        self.numbers.begin();
        let mut out = Vec::new();
        let (number, new) = self.numbers.of(part.log);
        let from_given = self.numbers.memory(number).end != part.from;
        let flags = if part.head.is_some() { HEAD } else { 0 } | if from_given { FROM } else { 0 };
        put_number(&mut out, (number as u64) << 2 | flags);
        if new {
            part.log.encode(&mut out);
        }
        if from_given {
            put_number(&mut out, part.from);
        }
        if let Some(head) = &part.head {
            out.extend_from_slice(&head.signature);
        }
        part.entries.iter().for_each(|entry| self.put_entry(&mut out, number, &part.log, entry));
        self.numbers.memory(number).end = part.from + part.entries.len() as u64;
        out
    }

    fn put_entry(&mut self, out: &mut Vec<u8>, number: usize, log: &LogName, entry: &LoggedEntry) {
        match Header::decode(&entry.header) {
            Ok(header) => self.put_header(out, number, log, &header),
            Err(_) => {
                out.push(WHOLE);
                put_bytes(out, &entry.header);
            }
        }
        put_bytes(out, &entry.body);
    }

    fn put_header(&mut self, out: &mut Vec<u8>, number: usize, log: &LogName, header: &Header) {
        let memory = self.numbers.memory(number);
        let new_epoch = memory.epoch != Some(header.epoch);
        let shape = [
            (header.first, FIRST),
            (header.last, LAST),
            (new_epoch, EPOCH),
            (!header.dependencies.is_empty(), DEPENDENCIES),
            (!header.control.is_empty(), CONTROL),
        ];
        out.push(shape.iter().fold(0, |shape, (is, bit)| if *is { shape | bit } else { shape }));
        put_number(out, zigzag(header.timestamp_ms.wrapping_sub(memory.timestamp_ms)));
        if new_epoch {
            header.epoch.encode(out);
        }
        out.extend_from_slice(&header.salt);
        memory.timestamp_ms = header.timestamp_ms;
        memory.epoch = Some(header.epoch);
        self.put_moved(out, log, &header.dependencies);
        self.put_moved(out, &LogName { plane: Plane::Control, ..*log }, &header.control);
    }

    fn put_moved(&mut self, out: &mut Vec<u8>, log: &LogName, moved: &Moved) {
        if moved.is_empty() {
            return;
        }
        put_number(out, moved.len() as u64);
        for (writer, prefix) in moved {
            let root_given = !(self.shares)(log.plane, writer, prefix);
            let (number, new) = self.numbers.of(LogName { writer: *writer, ..*log });
            put_number(out, (number as u64) << 1 | u64::from(root_given));
            if new {
                writer.encode(out);
            }
            put_number(out, prefix.length);
            if root_given {
                out.extend_from_slice(&prefix.root);
            }
        }
    }
}

/// Looks up the root of a log at a length.
pub(super) type RootOf<'a> = dyn Fn(&LogName, u64) -> Result<[u8; 32], SessionError> + 'a;

/// Reads batches of one direction.
pub(super) struct BatchReader<'a> {
    pub(super) numbers: &'a mut Numbers,
    /// The root of a log at a length, as this side holds it.
    pub(super) root: &'a RootOf<'a>,
    /// Whether the entries of a log are wanted. Others are read, because later messages rest on what they say.
    pub(super) wants: &'a dyn Fn(&LogName) -> bool,
    /// How many bytes of entries may come.
    pub(super) room: usize,
}

impl BatchReader<'_> {
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<ReadPart, SessionError> {
        self.numbers.begin();
        let mut reader = Reader::new(bytes);
        let first = reader.number()?;
        let (number, log) = self.numbers.log(first >> 2, || LogName::decode(&mut reader))?;
        let expected = self.numbers.memory(number).end;
        let from = if first & FROM == 0 { expected } else { reader.number()? };
        let signature = if first & HEAD == 0 { None } else { Some(reader.array()?) };
        let wanted = (self.wants)(&log);
        let (mut entries, mut count, mut bytes) = (Vec::new(), 0, 0);
        while !reader.is_empty() {
            if count == MAX_BATCH_ENTRIES {
                return Err(Malformed("a batch of more than 1,024 entries").into());
            }
            count += 1;
            let (header, body) = self.entry(&mut reader, number, &log)?;
            bytes += header.len() + body.len();
            if bytes > self.room {
                return Err(Malformed("a batch of more than 512 KiB").into());
            }
            if wanted {
                entries.push(LoggedEntry { header, body: body.to_vec() });
            }
        }
        let length = from.checked_add(count as u64).filter(|length| *length > from);
        let length = length.ok_or(Malformed("a batch without entries, or beyond the last number"))?;
        self.numbers.memory(number).end = length;
        let head = signature.map(|signature| SignedHead { length, root: None, signature });
        Ok(ReadPart { part: BatchPart { log, from, entries, head }, count, bytes })
    }

    /// The header, restored, and the body where it lies.
    fn entry<'r>(
        &mut self,
        reader: &mut Reader<'r>,
        number: usize,
        log: &LogName,
    ) -> Result<(Vec<u8>, &'r [u8]), SessionError> {
        let shape = reader.byte()?;
        if shape == WHOLE {
            return Ok((reader.bytes(MAX_HEADER_BYTES)?.to_vec(), reader.bytes(MAX_BODY_BYTES)?));
        }
        if shape >= WHOLE {
            return Err(Malformed("an entry of an unknown shape").into());
        }
        let memory = self.numbers.memory(number);
        memory.timestamp_ms = memory.timestamp_ms.wrapping_add(unzigzag(reader.number()?));
        if shape & EPOCH != 0 {
            memory.epoch = Some(EpochId::decode(reader)?);
        }
        let timestamp_ms = memory.timestamp_ms;
        let epoch = memory.epoch.ok_or(Malformed("a first entry without an epoch"))?;
        let salt = reader.array()?;
        let dependencies = self.moved(reader, shape & DEPENDENCIES != 0, log)?;
        let control = self.moved(reader, shape & CONTROL != 0, &LogName { plane: Plane::Control, ..*log })?;
        let body = reader.bytes(MAX_BODY_BYTES)?;
        let header = Header {
            timestamp_ms,
            first: shape & FIRST != 0,
            last: shape & LAST != 0,
            epoch,
            salt,
            dependencies,
            control,
            body_length: body.len() as u32,
            body_hash: *blake3::hash(body).as_bytes(),
        };
        Ok((header.encode(), body))
    }

    fn moved(&mut self, reader: &mut Reader<'_>, given: bool, log: &LogName) -> Result<Moved, SessionError> {
        let count = if given { reader.count(MOVED_LOGS_MAX)? } else { 0 };
        if given && count == 0 {
            return Err(Malformed("an empty list of moved logs").into());
        }
        let mut moved = Moved::new();
        for _ in 0..count {
            let first = reader.number()?;
            let name = || -> Decoded<LogName> { Ok(LogName { writer: WriterId::decode(reader)?, ..*log }) };
            let (_, other) = self.numbers.log(first >> 1, name)?;
            if (other.space, other.plane) != (log.space, log.plane) {
                return Err(Malformed("a moved log of another space or plane").into());
            }
            let length = reader.number()?;
            let root = if first & 1 == 0 { (self.root)(&other, length)? } else { reader.array()? };
            moved.push((other.writer, Prefix { length, root }));
        }
        Ok(moved)
    }
}

fn zigzag(number: i64) -> u64 {
    (number << 1 ^ number >> 63) as u64
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

#[cfg(test)]
mod tests;
