//! Changes that no honest writer makes.

use automerge::legacy::{ElementId, Key, ObjectId, Op, OpId, OpType};
use automerge::{ActorId, Change, ChangeHash, ExpandedChange, ObjType, ScalarValue};

use crate::codec::{put_bytes, put_varint};
use crate::operation::FieldKind;
use crate::rich::change::{Frame, sha256};
use crate::rich::genesis;

/// The parts of a change chunk, each of which can be bent.
#[derive(Debug, Clone)]
pub(super) struct Forge {
    pub deps: Vec<ChangeHash>,
    pub actor: Vec<u8>,
    pub seq: u64,
    pub start_op: u64,
    /// Signed LEB128 of the time.
    pub time: Vec<u8>,
    pub message: Vec<u8>,
    pub others: Vec<Vec<u8>>,
    pub columns: Vec<(u32, Vec<u8>)>,
    pub extra: Vec<u8>,
    pub chunk_type: u8,
}

impl Forge {
    /// The parts of an honest change.
    pub fn of(bytes: &[u8]) -> Self {
        let frame = Frame::parse(bytes).unwrap();
        Self {
            deps: frame.deps.clone(),
            actor: frame.actor.to_bytes().to_vec(),
            seq: frame.seq,
            start_op: frame.start_op,
            time: vec![frame.time as u8],
            message: frame.message.to_vec(),
            others: frame.other_actors.iter().map(|actor| actor.to_bytes().to_vec()).collect(),
            columns: frame.columns.iter().map(|(spec, data)| (*spec, data.to_vec())).collect(),
            extra: frame.extra.to_vec(),
            chunk_type: 1,
        }
    }

    /// Sets a column; empty data removes it.
    pub fn column(mut self, spec: u32, data: &[u8]) -> Self {
        self.columns.retain(|(found, _)| *found != spec);
        if !data.is_empty() {
            self.columns.push((spec, data.to_vec()));
            self.columns.sort_by_key(|(spec, _)| *spec & !8);
        }
        self
    }

    pub fn with(mut self, bend: impl FnOnce(&mut Self)) -> Self {
        bend(&mut self);
        self
    }

    /// The chunk, with the right length and checksum.
    pub fn bytes(&self) -> Vec<u8> {
        let mut content = Vec::new();
        put_varint(&mut content, self.deps.len() as u64);
        self.deps.iter().for_each(|dep| content.extend_from_slice(&dep.0));
        put_bytes(&mut content, &self.actor);
        put_varint(&mut content, self.seq);
        put_varint(&mut content, self.start_op);
        content.extend_from_slice(&self.time);
        put_bytes(&mut content, &self.message);
        put_varint(&mut content, self.others.len() as u64);
        self.others.iter().for_each(|actor| put_bytes(&mut content, actor));
        put_varint(&mut content, self.columns.len() as u64);
        for (spec, data) in &self.columns {
            put_varint(&mut content, u64::from(*spec));
            put_varint(&mut content, data.len() as u64);
        }
        self.columns.iter().for_each(|(_, data)| content.extend_from_slice(data));
        content.extend_from_slice(&self.extra);
        let mut hashed = vec![self.chunk_type];
        put_bytes(&mut hashed, &content);
        [&[0x85, 0x6f, 0x4a, 0x83], &sha256(&hashed).0[..4], &hashed].concat()
    }
}

/// Repairs the checksum of mutated bytes, so that more than the checksum is tested.
pub(super) fn with_checksum(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.len() > 8 {
        let hash = sha256(&bytes[8..]);
        bytes[4..8].copy_from_slice(&hash.0[..4]);
    }
    bytes
}

/// An honest change, bent and then canonically encoded by automerge itself.
pub(super) fn bent(honest: &[u8], bend: impl FnOnce(&mut ExpandedChange)) -> Vec<u8> {
    let mut expanded = Change::from_bytes(honest.to_vec()).unwrap().decode();
    bend(&mut expanded);
    Change::from(expanded).raw_bytes().to_vec()
}

/// An honest change with other operations.
pub(super) fn with_operations(honest: &[u8], operations: Vec<Op>) -> Vec<u8> {
    bent(honest, |change| change.operations = operations)
}

/// The object that the genesis change makes.
pub(super) fn root_object() -> ObjectId {
    ObjectId::Id(OpId(1, ActorId::from(genesis::ACTOR)))
}

pub(super) fn element(counter: u64, actor: &ActorId) -> Key {
    Key::Seq(ElementId::Id(OpId(counter, actor.clone())))
}

pub(super) fn op(obj: ObjectId, key: Key, insert: bool, action: OpType, pred: Vec<OpId>) -> Op {
    Op { action, obj, key, pred: pred.into(), insert }
}

pub(super) fn put(value: impl Into<ScalarValue>) -> OpType {
    OpType::Put(value.into())
}

pub(super) fn make(object: ObjType) -> OpType {
    OpType::Make(object)
}

/// The hash that every first change of a cell depends on.
pub(super) fn genesis_hash(kind: FieldKind) -> ChangeHash {
    genesis::hash(kind)
}
