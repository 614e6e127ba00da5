//! The tree as RFC 9162 defines it: recursive, over all leaves, without a stored node. Tests compare with it.

use std::convert::Infallible;

use super::{EMPTY_ROOT, Frontier, NodeSource, node_hash};

/// Beside every entry, what [`Frontier::append`] returned.
pub struct Stored(Vec<Vec<[u8; 32]>>);

impl NodeSource for Stored {
    type Error = Infallible;

    fn node(&self, level: u32, index: u64) -> Result<[u8; 32], Infallible> {
        Ok(self.0[(((index + 1) << level) - 1) as usize][level as usize])
    }
}

pub fn stored(leaves: &[[u8; 32]]) -> Stored {
    let mut frontier = Frontier::default();
    Stored(leaves.iter().map(|leaf| frontier.append(*leaf)).collect())
}

fn split(length: usize) -> usize {
    let mut power = 1;
    while power * 2 < length {
        power *= 2;
    }
    power
}

pub fn root(leaves: &[[u8; 32]]) -> [u8; 32] {
    match leaves {
        [] => EMPTY_ROOT,
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            node_hash(&root(left), &root(right))
        }
    }
}

pub fn inclusion_proof(leaves: &[[u8; 32]], index: usize) -> Vec<[u8; 32]> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    let (mut proof, sibling) = if index < left.len() {
        (inclusion_proof(left, index), root(right))
    } else {
        (inclusion_proof(right, index - left.len()), root(left))
    };
    proof.push(sibling);
    proof
}

pub fn consistency_proof(leaves: &[[u8; 32]], old: usize) -> Vec<[u8; 32]> {
    subproof(leaves, old, true)
}

fn subproof(leaves: &[[u8; 32]], old: usize, known: bool) -> Vec<[u8; 32]> {
    if old == leaves.len() {
        return if known { Vec::new() } else { vec![root(leaves)] };
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    let (mut proof, sibling) = if old <= left.len() {
        (subproof(left, old, known), root(right))
    } else {
        (subproof(right, old - left.len(), false), root(left))
    };
    proof.push(sibling);
    proof
}
