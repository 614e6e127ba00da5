//! What a store keeps in memory: the state of every log and space, as of one storage transaction.
//!
//! It is small (it grows with writers and collections, not with documents), loaded when the file opens, and written
//! through at every commit.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::ReadError;
use super::names::Names;
use super::tables::{Tables, WriteTables, damaged};
use crate::codec::{self, DecodeError, Reader};
use crate::id::{DeviceId, EpochId, Incarnation, SpaceId, WriterId};
use crate::log::tree::Frontier;
use crate::log::{Plane, Prefix, VersionVector};
use crate::schema::Schema;
use crate::space::{Authority, Cut, EffectiveTable, Rank, SecretKey};

/// Everything, as of one storage transaction.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct State {
    pub names: Arc<Names>,
    pub spaces: BTreeMap<SpaceId, Arc<SpaceState>>,
    pub home: Option<SpaceId>,
}

/// One space.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SpaceState {
    pub id: SpaceId,
    pub slot: u32,
    pub table: Arc<EffectiveTable>,
    /// Logs by writer, of the control plane and of the data plane.
    pub logs: [BTreeMap<WriterId, LogState>; 2],
    /// How many commits of each plane are applied: the next application number.
    pub applied_commits: [u64; 2],
    /// Live documents by collection slot.
    pub counts: BTreeMap<u32, u64>,
    /// How many commits of the data plane count for nothing.
    pub voids: u64,
    /// Declared schemas by collection slot.
    pub schemas: BTreeMap<u32, Arc<DeclaredSchema>>,
}

/// A collection's schema with what the store needs to keep its indexes.
#[derive(Debug, PartialEq)]
pub(crate) struct DeclaredSchema {
    pub schema: Arc<Schema>,
    /// The slot of each index by its name: the slot of the name `collection`, a zero byte, and the fields joined by commas.
    pub index_slots: BTreeMap<String, u32>,
}

/// One log.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct LogState {
    /// The writer's slot.
    pub slot: u32,
    /// Length and peaks of what is held.
    pub frontier: Frontier,
    /// The length of the last signed head.
    pub head: u64,
    /// Bytes of entries after the last head. Only of this writer's own logs.
    pub unsigned_bytes: u64,
    /// How many entries are applied.
    pub applied: u64,
    /// Where the run begins that has not ended yet; the log's length when there is none.
    pub open_run: u64,
    /// Bytes of entries that are held but not applied.
    pub parked_bytes: u64,
    /// The causal past of the applied prefix in other logs of its plane: writer slot → length.
    pub past: BTreeMap<u32, u64>,
    /// The control vector of the applied prefix: writer slot → length. Only on the data plane.
    pub control: BTreeMap<u32, u64>,
}

impl LogState {
    pub fn length(&self) -> u64 {
        self.frontier.length()
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        codec::put_bytes(&mut out, &self.frontier.encode());
        for number in [self.head, self.unsigned_bytes, self.applied, self.open_run, self.parked_bytes] {
            codec::put_varint(&mut out, number);
        }
        put_lengths(&mut out, &self.past);
        put_lengths(&mut out, &self.control);
        out
    }

    fn decode(slot: u32, bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let log = Self {
            slot,
            frontier: Frontier::decode(reader.bytes()?)
                .map_err(|_| DecodeError::NotCanonical { why: "a log's peaks" })?,
            head: reader.varint()?,
            unsigned_bytes: reader.varint()?,
            applied: reader.varint()?,
            open_run: reader.varint()?,
            parked_bytes: reader.varint()?,
            past: read_lengths(&mut reader)?,
            control: read_lengths(&mut reader)?,
        };
        reader.finish()?;
        let in_order = log.applied <= log.open_run && log.open_run <= log.length() && log.head <= log.length();
        if in_order { Ok(log) } else { Err(DecodeError::NotCanonical { why: "a log's lengths" }) }
    }
}

fn put_lengths(out: &mut Vec<u8>, lengths: &BTreeMap<u32, u64>) {
    codec::put_varint(out, lengths.len() as u64);
    for (slot, length) in lengths {
        codec::put_varint(out, u64::from(*slot));
        codec::put_varint(out, *length);
    }
}

fn read_lengths(reader: &mut Reader<'_>) -> Result<BTreeMap<u32, u64>, DecodeError> {
    let mut lengths = BTreeMap::new();
    for _ in 0..reader.varint()? {
        lengths.insert(read_slot(reader)?, reader.varint()?);
    }
    Ok(lengths)
}

fn read_slot(reader: &mut Reader<'_>) -> Result<u32, DecodeError> {
    u32::try_from(reader.varint()?).map_err(|_| DecodeError::NotCanonical { why: "a slot exceeds 32 bits" })
}

impl SpaceState {
    pub fn new(id: SpaceId, slot: u32) -> Self {
        Self {
            id,
            slot,
            table: Arc::default(),
            logs: Default::default(),
            applied_commits: [0; 2],
            counts: BTreeMap::new(),
            voids: 0,
            schemas: BTreeMap::new(),
        }
    }

    pub fn logs(&self, plane: Plane) -> &BTreeMap<WriterId, LogState> {
        &self.logs[plane as usize]
    }

    pub fn log(&self, plane: Plane, writer: &WriterId) -> Option<&LogState> {
        self.logs(plane).get(writer)
    }

    /// Entries and bytes that are held but not applied.
    pub fn parked(&self, plane: Plane) -> (u64, u64) {
        self.logs(plane)
            .values()
            .fold((0, 0), |(entries, bytes), log| (entries + log.length() - log.applied, bytes + log.parked_bytes))
    }

    /// The held prefixes of one plane. A log that has not reached its first head is not there.
    pub fn vector(&self, plane: Plane) -> VersionVector {
        self.logs(plane)
            .iter()
            .map(|(writer, log)| (*writer, Prefix { length: log.length(), root: log.frontier.root() }))
            .collect()
    }

    /// The counters and schema-independent facts that change with commits.
    pub fn encode_counters(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.applied_commits.iter().for_each(|count| codec::put_varint(&mut out, *count));
        codec::put_varint(&mut out, self.voids);
        put_lengths(&mut out, &self.counts);
        out
    }

    fn decode_counters(&mut self, bytes: &[u8], names: &Names) -> Result<(), DecodeError> {
        let mut reader = Reader::new(bytes);
        self.applied_commits = [reader.varint()?, reader.varint()?];
        self.voids = reader.varint()?;
        self.counts = read_lengths(&mut reader)?;
        if self.counts.keys().any(|slot| *slot as usize >= names.slots().names) {
            return Err(DecodeError::NotCanonical { why: "a collection's slot" });
        }
        reader.finish()
    }
}

const TABLE: u8 = 0;
const COUNTERS: u8 = 1;

fn space_key(slot: u32, part: u8) -> [u8; 5] {
    let mut key = [part; 5];
    key[..4].copy_from_slice(&slot.to_be_bytes());
    key
}

/// The key of a log's state, and the prefix of the keys of its entries.
pub(crate) fn log_key(space: u32, plane: Plane, writer: u32) -> [u8; 9] {
    let mut key = [0; 9];
    key[..4].copy_from_slice(&space.to_be_bytes());
    key[4] = plane as u8;
    key[5..].copy_from_slice(&writer.to_be_bytes());
    key
}

/// The key of something at a sequence number or length of a log.
pub(crate) fn entry_key(log: [u8; 9], sequence: u64) -> [u8; 17] {
    let mut key = [0; 17];
    key[..9].copy_from_slice(&log);
    key[9..].copy_from_slice(&sequence.to_be_bytes());
    key
}

/// The key of an application number.
pub(crate) fn order_key(space: u32, plane: Plane, number: u64) -> [u8; 13] {
    let mut key = [0; 13];
    key[..4].copy_from_slice(&space.to_be_bytes());
    key[4] = plane as u8;
    key[5..].copy_from_slice(&number.to_be_bytes());
    key
}

/// Writes the state of a log.
pub(crate) fn save_log(
    tables: &mut WriteTables<'_>,
    space: u32,
    plane: Plane,
    log: &LogState,
) -> Result<(), ReadError> {
    tables.logs.insert(&log_key(space, plane, log.slot), &log.encode())
}

/// Writes a space's counters.
pub(crate) fn save_counters(tables: &mut WriteTables<'_>, space: &SpaceState) -> Result<(), ReadError> {
    tables.spaces.insert(&space_key(space.slot, COUNTERS), &space.encode_counters())
}

/// Writes a space's id and effective table.
pub(crate) fn save_table(tables: &mut WriteTables<'_>, space: &SpaceState) -> Result<(), ReadError> {
    let mut out = space.id.as_bytes().to_vec();
    encode_table(&mut out, &space.table);
    tables.spaces.insert(&space_key(space.slot, TABLE), &out)
}

/// Loads everything but the schemas, which are documents: `super::schemas` adds them.
pub(crate) fn load(tables: &impl Tables) -> Result<State, ReadError> {
    let names = Names::load(tables)?;
    let mut spaces: BTreeMap<u32, SpaceState> = BTreeMap::new();
    for row in tables.spaces().range(..)? {
        let row = row?;
        let wrong = || damaged("spaces", row.key());
        let (slot, part) = row.key().split_first_chunk::<4>().ok_or_else(wrong)?;
        let slot = u32::from_be_bytes(*slot);
        let value = row.value()?;
        match part {
            [TABLE] => {
                let (id, rest) = value.split_first_chunk::<32>().ok_or_else(wrong)?;
                let mut space = SpaceState::new(SpaceId(*id), slot);
                space.table = Arc::new(decode_table(rest).map_err(|_| wrong())?);
                spaces.insert(slot, space);
            }
            [COUNTERS] => {
                let space = spaces.get_mut(&slot).ok_or_else(wrong)?;
                space.decode_counters(value, &names).map_err(|_| wrong())?;
            }
            _ => return Err(wrong()),
        }
    }
    for row in tables.logs().range(..)? {
        let row = row?;
        let wrong = || damaged("logs", row.key());
        let key: &[u8; 9] = row.key().try_into().map_err(|_| wrong())?;
        let (space, rest) = key.split_first_chunk::<4>().ok_or_else(wrong)?;
        let space = spaces.get_mut(&u32::from_be_bytes(*space)).ok_or_else(wrong)?;
        let slot = u32::from_be_bytes([rest[1], rest[2], rest[3], rest[4]]);
        let writer = *names.writer_at(slot).ok_or_else(wrong)?;
        let log = LogState::decode(slot, row.value()?).map_err(|_| wrong())?;
        space.logs.get_mut(usize::from(rest[0])).ok_or_else(wrong)?.insert(writer, log);
    }
    let spaces = spaces.into_values().map(|space| (space.id, Arc::new(space))).collect();
    Ok(State { names: Arc::new(names), spaces, home: None })
}

fn encode_table(out: &mut Vec<u8>, table: &EffectiveTable) {
    codec::put_varint(out, table.control.writers() as u64);
    for (writer, prefix) in table.control.iter() {
        out.extend_from_slice(&writer.to_bytes());
        codec::put_varint(out, prefix.length);
        out.extend_from_slice(&prefix.root);
    }
    codec::put_varint(out, table.devices.len() as u64);
    for (device, authority) in &table.devices {
        out.extend_from_slice(device.as_bytes());
        out.push(authority.rank as u8);
        // 0 is open; above it, what a device whose logs are closed may still do.
        out.push(if authority.closed { 1 + authority.now.map_or(0, |now| now as u8) } else { 0 });
        codec::put_varint(out, authority.cuts.len() as u64);
        for (incarnation, cut) in &authority.cuts {
            out.extend_from_slice(incarnation.as_bytes());
            codec::put_varint(out, cut.length);
            out.extend_from_slice(&cut.root);
        }
    }
    codec::put_bytes(out, table.control_key.as_ref().map_or(&[][..], |key| &key.expose()[..]));
    codec::put_varint(out, table.epochs.len() as u64);
    for (id, key) in &table.epochs {
        out.extend_from_slice(id.as_bytes());
        out.extend_from_slice(key.expose());
    }
    codec::put_bytes(out, table.write_epoch.as_ref().map_or(&[][..], |id| &id.0[..]));
    codec::put_bytes(out, table.label.as_bytes());
    codec::put_varint(out, table.raised.len() as u64);
    for (writer, length) in &table.raised {
        out.extend_from_slice(&writer.to_bytes());
        codec::put_varint(out, *length);
    }
    codec::put_varint(out, table.forks.len() as u64);
    for ((plane, writer), shared) in &table.forks {
        out.push(*plane as u8);
        out.extend_from_slice(&writer.to_bytes());
        codec::put_varint(out, shared.length);
        out.extend_from_slice(&shared.root);
    }
}

fn decode_table(bytes: &[u8]) -> Result<EffectiveTable, DecodeError> {
    let malformed = |why| DecodeError::NotCanonical { why };
    let mut reader = Reader::new(bytes);
    let mut table = EffectiveTable::default();
    for _ in 0..reader.varint()? {
        let writer = WriterId::from_bytes(&reader.array()?);
        table.control.set(writer, Prefix { length: reader.varint()?, root: reader.array()? });
    }
    for _ in 0..reader.varint()? {
        let device = DeviceId(reader.array()?);
        let rank = Rank::from_tag(reader.byte()?).ok_or(malformed("an unknown rank"))?;
        let closed = reader.byte()?;
        let now = match closed {
            0 => Some(rank),
            1 => None,
            tag => Some(Rank::from_tag(tag - 1).ok_or(malformed("an unknown rank"))?),
        };
        let mut cuts = BTreeMap::new();
        for _ in 0..reader.varint()? {
            cuts.insert(Incarnation(reader.array()?), Cut { length: reader.varint()?, root: reader.array()? });
        }
        table.devices.insert(device, Authority { now, rank, cuts, closed: closed > 0 });
    }
    table.control_key = match reader.bytes()? {
        [] => None,
        key => Some(SecretKey::new(key.try_into().map_err(|_| malformed("the control key's length"))?)),
    };
    for _ in 0..reader.varint()? {
        table.epochs.insert(EpochId(reader.array()?), SecretKey::new(reader.array()?));
    }
    table.write_epoch = match reader.bytes()? {
        [] => None,
        id => Some(EpochId(id.try_into().map_err(|_| malformed("the write epoch's length"))?)),
    };
    table.label = reader.text()?.to_owned();
    for _ in 0..reader.varint()? {
        table.raised.push((WriterId::from_bytes(&reader.array()?), reader.varint()?));
    }
    for _ in 0..reader.varint()? {
        let plane = Plane::from_byte(reader.byte()?).ok_or(malformed("an unknown plane"))?;
        let writer = WriterId::from_bytes(&reader.array()?);
        table.forks.insert((plane, writer), Prefix { length: reader.varint()?, root: reader.array()? });
    }
    reader.finish()?;
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_is_applied_beyond_its_end_is_damaged() {
        let mut log = LogState::default();
        log.frontier.append([1; 32]);
        (log.head, log.applied, log.open_run) = (1, 1, 1);
        assert!(LogState::decode(0, &log.encode()).is_ok());
        for (head, applied, open_run) in [(2, 1, 1), (1, 2, 2), (1, 1, 0), (1, 0, 2)] {
            (log.head, log.applied, log.open_run) = (head, applied, open_run);
            assert!(LogState::decode(0, &log.encode()).is_err(), "{head} {applied} {open_run}");
        }
    }
}
