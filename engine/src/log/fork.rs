//! Forks: proof that a writer signed two histories of one log. See `docs/spec/log.md`, *Forks*.

use super::head::verify_head;
use super::tree::{verify_consistency, verify_inclusion};
use super::{Plane, Prefix};
use crate::id::{SpaceId, WriterId};

/// One of the histories: a head beyond what all of them begin with, and proof of where it parts from the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    /// What the writer signed.
    pub head: Prefix,
    /// The signature of the writer's device.
    pub signature: [u8; 64],
    /// Leads from what the histories share to the head: [`consistency_proof`](super::tree::consistency_proof).
    pub consistency: Vec<[u8; 32]>,
    /// The hash of the first entry that the histories don't share.
    pub leaf: [u8; 32],
    /// Shows that this entry is there: [`inclusion_proof`](super::tree::inclusion_proof).
    pub inclusion: Vec<[u8; 32]>,
}

impl Branch {
    /// Whether the writer signed it, and it begins with `shared` and goes on with the entry that it names.
    #[must_use]
    pub fn verify(&self, space: &SpaceId, plane: Plane, writer: &WriterId, shared: &Prefix) -> bool {
        // From cheap to dear.
        self.head.length > shared.length
            && verify_consistency(shared, &self.head, &self.consistency)
            && verify_inclusion(&self.leaf, shared.length, &self.head, &self.inclusion)
            && verify_head(space, plane, writer, &self.head, &self.signature)
    }
}

/// Proof of a fork: two branches of one log that share a prefix and differ in the entry after it. It needs nothing else, so
/// whoever holds it can show it to anyone. An honest device never signs two histories; a copy of its disk that runs beside it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fork {
    /// The plane of the log.
    pub plane: Plane,
    /// The log's owner.
    pub writer: WriterId,
    /// All that the branches have in common.
    pub shared: Prefix,
    /// The two histories, by the hash of the entry in which they differ.
    pub branches: [Branch; 2],
}

impl Fork {
    /// Puts the two branches into their order.
    #[must_use]
    pub fn new(plane: Plane, writer: WriterId, shared: Prefix, mut branches: [Branch; 2]) -> Self {
        branches.sort_by_key(|branch| branch.leaf);
        Self { plane, writer, shared, branches }
    }

    /// Whether both branches are genuine and differ where it says.
    #[must_use]
    pub fn verify(&self, space: &SpaceId) -> bool {
        let [first, second] = &self.branches;
        first.leaf < second.leaf
            && self.branches.iter().all(|branch| branch.verify(space, self.plane, &self.writer, &self.shared))
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer, SigningKey};

    use super::*;
    use crate::id::{DeviceId, Incarnation};
    use crate::log::head::head_message;
    use crate::log::tree::naive::stored;
    use crate::log::tree::{consistency_proof, inclusion_proof, root_at};

    const SPACE: SpaceId = SpaceId([1; 32]);

    fn key() -> SigningKey {
        SigningKey::from_bytes(&[7; 32])
    }

    fn writer() -> WriterId {
        WriterId { device: DeviceId(key().verifying_key().to_bytes()), incarnation: Incarnation([2; 8]) }
    }

    /// A log of `length` entries, those from `parts` on of their own kind, as a branch that parts from others at `claimed`.
    fn branch(kind: u8, parts: u64, length: u64, claimed: u64) -> (Prefix, Branch) {
        let leaf = |at| *blake3::hash(&[if at < parts { 0 } else { kind }, at as u8]).as_bytes();
        let log = stored(&(0..length).map(leaf).collect::<Vec<_>>());
        let prefix = |length| Prefix { length, root: root_at(&log, length).unwrap() };
        let head = prefix(length);
        let branch = Branch {
            head,
            signature: key().sign(&head_message(&SPACE, Plane::Data, &writer(), &head)).to_bytes(),
            consistency: consistency_proof(&log, claimed, length).unwrap(),
            leaf: leaf(claimed),
            inclusion: inclusion_proof(&log, claimed, length).unwrap(),
        };
        (prefix(claimed), branch)
    }

    fn fork(parts: u64, lengths: [u64; 2], claimed: u64) -> Fork {
        let (shared, first) = branch(1, parts, lengths[0], claimed);
        let (_, second) = branch(2, parts, lengths[1], claimed);
        Fork::new(Plane::Data, writer(), shared, [first, second])
    }

    #[test]
    fn two_signed_histories_are_a_fork_wherever_they_part() {
        for parts in 0..9 {
            for lengths in [[parts + 1, parts + 1], [parts + 1, parts + 6], [parts + 4, parts + 3]] {
                assert!(fork(parts, lengths, parts).verify(&SPACE), "{parts} {lengths:?}");
            }
        }
    }

    /// Nobody makes a log look forked that is not, or forked earlier than it is: that would take entries that count.
    #[test]
    fn attack_fork_that_is_none_or_an_earlier_one_is_not_proved() {
        let (shared, one) = branch(1, 5, 9, 5);
        let (_, longer) = branch(1, 5, 12, 5);
        assert!(!Fork::new(Plane::Data, writer(), shared, [one.clone(), longer]).verify(&SPACE), "one log grew");
        assert!(!Fork::new(Plane::Data, writer(), shared, [one.clone(), one]).verify(&SPACE));
        for claimed in 0..5 {
            assert!(!fork(5, [7, 8], claimed).verify(&SPACE), "it is claimed at {claimed}");
        }
        assert!(!fork(5, [8, 8], 6).verify(&SPACE), "later than it is");
    }

    #[test]
    fn attack_changed_proof_of_a_fork_proves_nothing() {
        let genuine = fork(5, [9, 13], 5);
        assert!(genuine.verify(&SPACE));
        assert!(!genuine.verify(&SpaceId([2; 32])));
        let mut other = WriterId { incarnation: Incarnation([3; 8]), ..writer() };
        for (plane, writer) in [(Plane::Control, writer()), (Plane::Data, other)] {
            assert!(!Fork { plane, writer, ..genuine.clone() }.verify(&SPACE));
        }
        other.device = DeviceId([9; 32]);
        assert!(!Fork { writer: other, ..genuine.clone() }.verify(&SPACE));
        let changes: [fn(&mut Fork); 10] = [
            |fork| fork.branches.reverse(),
            |fork| fork.shared.length += 1,
            |fork| fork.shared.root[0] ^= 1,
            |fork| fork.branches[0].head.length += 1,
            |fork| fork.branches[0].head.root[0] ^= 1,
            |fork| fork.branches[1].signature[0] ^= 1,
            |fork| fork.branches[1].leaf[0] ^= 1,
            |fork| fork.branches[1].consistency[0][0] ^= 1,
            |fork| fork.branches[0].inclusion[0][0] ^= 1,
            |fork| fork.branches[0].inclusion.clear(),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut changed = genuine.clone();
            change(&mut changed);
            assert!(!changed.verify(&SPACE), "change {number}");
        }
    }
}
