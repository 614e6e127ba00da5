//! The layout of the proof of a fork: `docs/spec/membership.md`, *Forks*.

use tidewater_engine::id::WriterId;
use tidewater_engine::log::tree::PROOF_HASHES_MAX;
use tidewater_engine::log::{Branch, Fork, Plane, Prefix};

use crate::codec::{Codec, Decoded, Reader, put_number};

impl Codec for Prefix {
    fn encode(&self, out: &mut Vec<u8>) {
        put_number(out, self.length);
        out.extend_from_slice(&self.root);
    }

    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Ok(Self { length: reader.number()?, root: reader.array()? })
    }
}

impl Codec for Branch {
    fn encode(&self, out: &mut Vec<u8>) {
        self.head.encode(out);
        out.extend_from_slice(&self.signature);
        put_hashes(out, &self.consistency);
        out.extend_from_slice(&self.leaf);
        put_hashes(out, &self.inclusion);
    }

    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Ok(Self {
            head: Prefix::decode(reader)?,
            signature: reader.array()?,
            consistency: hashes(reader)?,
            leaf: reader.array()?,
            inclusion: hashes(reader)?,
        })
    }
}

impl Codec for Fork {
    fn encode(&self, out: &mut Vec<u8>) {
        self.plane.encode(out);
        self.writer.encode(out);
        self.shared.encode(out);
        self.branches.iter().for_each(|branch| branch.encode(out));
    }

    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Ok(Self {
            plane: Plane::decode(reader)?,
            writer: WriterId::decode(reader)?,
            shared: Prefix::decode(reader)?,
            branches: [Branch::decode(reader)?, Branch::decode(reader)?],
        })
    }
}

fn put_hashes(out: &mut Vec<u8>, hashes: &[[u8; 32]]) {
    put_number(out, hashes.len() as u64);
    hashes.iter().for_each(|hash| out.extend_from_slice(hash));
}

fn hashes(reader: &mut Reader<'_>) -> Decoded<Vec<[u8; 32]>> {
    let count = reader.count(PROOF_HASHES_MAX)?;
    (0..count).map(|_| reader.array()).collect()
}
