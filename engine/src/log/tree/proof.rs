//! Roots of prefixes, and proofs of consistency and inclusion: RFC 9162, sections 2.1.3 and 2.1.4.

use super::{EMPTY_ROOT, Frontier, LOG_LENGTH_MAX, NodeSource, node_hash};
use crate::log::vector::Prefix;

/// The most hashes that a proof has.
pub const PROOF_HASHES_MAX: usize = 65;

/// The root over the first `length` entries.
///
/// # Errors
/// Those of `source`.
pub fn root_at<S: NodeSource>(source: &S, length: u64) -> Result<[u8; 32], S::Error> {
    Frontier::at(source, length).map(|frontier| frontier.root())
}

/// The root over the entries `start..end`, which is not empty and is a node of some tree of this shape: `start` is a
/// multiple of every power of two that fits the range.
fn range_root<S: NodeSource>(source: &S, start: u64, end: u64) -> Result<[u8; 32], S::Error> {
    let mut peaks = Vec::new();
    let mut at = start;
    while at < end {
        let level = (end - at).ilog2();
        peaks.push(source.node(level, at >> level)?);
        at += 1 << level;
    }
    let smallest = peaks.pop().unwrap_or(EMPTY_ROOT);
    Ok(peaks.iter().rfold(smallest, |right, left| node_hash(left, &right)))
}

/// The largest power of two below `length`, which is at least 2.
fn split(length: u64) -> u64 {
    1 << (length - 1).ilog2()
}

/// Proves that the log at length `new` begins with the log at length `old`. Empty where `old` is 0 or not below `new`.
///
/// # Errors
/// Those of `source`.
pub fn consistency_proof<S: NodeSource>(source: &S, old: u64, new: u64) -> Result<Vec<[u8; 32]>, S::Error> {
    let mut proof = Vec::new();
    if old == 0 || old >= new {
        return Ok(proof);
    }
    // Walks down to the node where the old log ends; siblings are collected from the top and given from the bottom.
    let (mut start, mut end) = (0, new);
    let mut old_is_a_node = true;
    while end != old {
        let middle = start + split(end - start);
        if old <= middle {
            proof.push(range_root(source, middle, end)?);
            end = middle;
        } else {
            proof.push(range_root(source, start, middle)?);
            start = middle;
            old_is_a_node = false;
        }
    }
    // The verifier knows the old root; any other node where the old log ends it must be told.
    if !old_is_a_node {
        proof.push(range_root(source, start, end)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Whether `proof` shows that the log `new` begins with the log `old`.
#[must_use]
pub fn verify_consistency(old: &Prefix, new: &Prefix, proof: &[[u8; 32]]) -> bool {
    if new.length > LOG_LENGTH_MAX || old.length > new.length || proof.len() > PROOF_HASHES_MAX {
        return false;
    }
    if new.length == 0 && new.root != EMPTY_ROOT {
        return false;
    }
    if old.length == new.length {
        return proof.is_empty() && old.root == new.root;
    }
    if old.length == 0 {
        return proof.is_empty() && old.root == EMPTY_ROOT;
    }
    let mut hashes = proof.iter();
    let (mut node, mut last) = (old.length - 1, new.length - 1);
    let complete = node.trailing_ones();
    node >>= complete;
    last >>= complete;
    let start = if old.length.is_power_of_two() { Some(&old.root) } else { hashes.next() };
    let Some(start) = start else { return false };
    let (mut old_root, mut new_root) = (*start, *start);
    for hash in hashes {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            old_root = node_hash(hash, &old_root);
            new_root = node_hash(hash, &new_root);
            // Levels at which this node, the last of its row, has no sibling. It is not 0, since `last` is not.
            let alone = node.trailing_zeros();
            node >>= alone;
            last >>= alone;
        } else {
            new_root = node_hash(&new_root, hash);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && old_root == old.root && new_root == new.root
}

/// Proves that the entry with sequence number `index` is in the log at `length`. Empty where `index` is not below it.
///
/// # Errors
/// Those of `source`.
pub fn inclusion_proof<S: NodeSource>(source: &S, index: u64, length: u64) -> Result<Vec<[u8; 32]>, S::Error> {
    let mut proof = Vec::new();
    if index >= length {
        return Ok(proof);
    }
    let (mut start, mut end) = (0, length);
    while end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            proof.push(range_root(source, middle, end)?);
            end = middle;
        } else {
            proof.push(range_root(source, start, middle)?);
            start = middle;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// Whether `proof` shows that entry `index` of the log `log` has this [leaf hash](super::leaf_hash).
#[must_use]
pub fn verify_inclusion(leaf: &[u8; 32], index: u64, log: &Prefix, proof: &[[u8; 32]]) -> bool {
    if log.length > LOG_LENGTH_MAX || index >= log.length || proof.len() > PROOF_HASHES_MAX {
        return false;
    }
    let (mut node, mut last) = (index, log.length - 1);
    let mut root = *leaf;
    for hash in proof {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            root = node_hash(hash, &root);
            let alone = node.trailing_zeros();
            node >>= alone;
            last >>= alone;
        } else {
            root = node_hash(&root, hash);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && root == log.root
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::tree::naive::{self, stored};

    const LENGTH: usize = 130;

    fn leaves() -> Vec<[u8; 32]> {
        (0..LENGTH as u32).map(|number| *blake3::hash(&number.to_be_bytes()).as_bytes()).collect()
    }

    fn prefix(leaves: &[[u8; 32]], length: usize) -> Prefix {
        Prefix { length: length as u64, root: naive::root(&leaves[..length]) }
    }

    /// Every proof that differs from `proof` in one hash, lacks one, or has one too many.
    fn tampered(proof: &[[u8; 32]]) -> Vec<Vec<[u8; 32]>> {
        let mut out = Vec::new();
        for at in 0..proof.len() {
            let mut changed = proof.to_vec();
            changed[at][at % 32] ^= 1;
            out.push(changed);
            let mut shorter = proof.to_vec();
            shorter.remove(at);
            out.push(shorter);
            let mut longer = proof.to_vec();
            longer.insert(at, proof[at]);
            out.push(longer);
        }
        out.push([proof, &[[0; 32]]].concat());
        out
    }

    #[test]
    fn the_frontier_and_stored_nodes_give_the_naive_root_at_every_length() {
        let leaves = leaves();
        let stored = stored(&leaves);
        let mut frontier = Frontier::default();
        for length in 0..=LENGTH {
            let expected = naive::root(&leaves[..length]);
            assert_eq!(frontier.root(), expected, "{length}");
            assert_eq!(Frontier::at(&stored, length as u64), Ok(frontier.clone()), "{length}");
            assert_eq!(root_at(&stored, length as u64), Ok(expected), "{length}");
            assert_eq!(Frontier::decode(&frontier.encode()), Ok(frontier.clone()), "{length}");
            if length < LENGTH {
                frontier.append(leaves[length]);
            }
        }
    }

    #[test]
    fn every_consistency_proof_equals_the_naive_one_and_verifies() {
        let leaves = leaves();
        let stored = stored(&leaves);
        for new in 0..=LENGTH {
            for old in 0..=new {
                let proof = consistency_proof(&stored, old as u64, new as u64).unwrap();
                if old > 0 {
                    assert_eq!(proof, naive::consistency_proof(&leaves[..new], old), "{old} {new}");
                }
                assert!(verify_consistency(&prefix(&leaves, old), &prefix(&leaves, new), &proof), "{old} {new}");
                assert!(proof.len() <= PROOF_HASHES_MAX);
            }
        }
    }

    #[test]
    fn every_inclusion_proof_equals_the_naive_one_and_verifies() {
        let leaves = leaves();
        let stored = stored(&leaves);
        for length in 1..=LENGTH {
            assert_eq!(inclusion_proof(&stored, length as u64, length as u64), Ok(vec![]), "{length}");
            for index in 0..length {
                let proof = inclusion_proof(&stored, index as u64, length as u64).unwrap();
                assert_eq!(proof, naive::inclusion_proof(&leaves[..length], index), "{index} {length}");
                let log = prefix(&leaves, length);
                assert!(verify_inclusion(&leaves[index], index as u64, &log, &proof), "{index} {length}");
            }
        }
    }

    #[test]
    fn tampered_consistency_proofs_and_prefixes_are_refused() {
        let leaves = leaves();
        let stored = stored(&leaves);
        for new in 1..=40 {
            for old in 0..=new {
                let (before, after) = (prefix(&leaves, old), prefix(&leaves, new));
                let proof = consistency_proof(&stored, old as u64, new as u64).unwrap();
                for wrong in tampered(&proof) {
                    assert!(!verify_consistency(&before, &after, &wrong), "{old} {new}");
                }
                assert_eq!(verify_consistency(&before, &after, &[]), proof.is_empty(), "{old} {new}");
                let forked = |prefix: Prefix| Prefix { root: *blake3::hash(&prefix.root).as_bytes(), ..prefix };
                assert!(!verify_consistency(&forked(before), &after, &proof), "{old} {new}");
                if old > 0 {
                    assert!(!verify_consistency(&before, &forked(after), &proof), "{old} {new}");
                }
                if old < new {
                    assert!(!verify_consistency(&after, &before, &proof), "{old} {new}");
                }
            }
        }
        let endless = Prefix { length: u64::MAX, root: [0; 32] };
        assert!(!verify_consistency(&prefix(&leaves, 3), &endless, &[[0; 32]; 64]));
        assert!(!verify_consistency(&endless, &endless, &[]));
        let nothing = Prefix { length: 0, root: [7; 32] };
        assert!(!verify_consistency(&nothing, &nothing, &[]), "an empty log has one root");
        assert!(!verify_consistency(&nothing, &prefix(&leaves, 3), &[]));
    }

    #[test]
    fn a_proof_of_more_hashes_than_a_log_has_levels_is_refused() {
        let leaves = leaves();
        let longest = Prefix { length: LOG_LENGTH_MAX, root: [0; 32] };
        let proof = vec![[0; 32]; PROOF_HASHES_MAX + 1];
        assert!(!verify_consistency(&prefix(&leaves, 3), &longest, &proof));
        assert!(!verify_inclusion(&leaves[0], 0, &longest, &proof));
    }

    #[test]
    fn tampered_inclusion_proofs_are_refused() {
        let leaves = leaves();
        let stored = stored(&leaves);
        for length in 1..=40 {
            for index in 0..length {
                let log = prefix(&leaves, length);
                let proof = inclusion_proof(&stored, index as u64, length as u64).unwrap();
                for wrong in tampered(&proof) {
                    assert!(!verify_inclusion(&leaves[index], index as u64, &log, &wrong), "{index} {length}");
                }
                let endless = Prefix { length: LOG_LENGTH_MAX + 1, ..log };
                assert!(!verify_inclusion(&leaves[index], index as u64, &endless, &proof), "{index}");
                assert!(!verify_inclusion(&leaves[index], length as u64, &log, &proof), "{index} {length}");
                for other in (0..length + 2).filter(|other| *other != index) {
                    assert!(!verify_inclusion(&leaves[index], other as u64, &log, &proof), "{index} {other}");
                }
            }
        }
    }
}
