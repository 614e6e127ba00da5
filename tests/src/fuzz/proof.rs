//! Target: consistency and inclusion proofs, and frontiers. Nothing false is proven of a log.

use std::sync::OnceLock;

use tidewater_engine::log::tree::{consistency_proof, inclusion_proof, root_at, verify_consistency, verify_inclusion};
use tidewater_engine::log::{Frontier, NodeSource, Prefix};

use super::script::Script;
use super::{Memory, Target};

pub(super) const TARGET: Target = Target {
    name: "proof",
    run,
    seeds,
    input_bytes_max: 4_096,
    memory: Memory { fixed: 16 << 10, per_byte: 4 },
    executions: 60_000,
};

/// How many entries the log has.
const LENGTH: u64 = 37;

/// The log that is proven about: every complete node.
struct Log {
    /// The hashes that end with an entry, level 0 first.
    ends: Vec<Vec<[u8; 32]>>,
    roots: Vec<[u8; 32]>,
}

impl NodeSource for Log {
    type Error = std::convert::Infallible;

    fn node(&self, level: u32, index: u64) -> Result<[u8; 32], Self::Error> {
        let last = ((index + 1) << level) - 1;
        Ok(self.ends[last as usize][level as usize])
    }
}

fn leaf(number: u64) -> [u8; 32] {
    *blake3::hash(&number.to_be_bytes()).as_bytes()
}

fn log() -> &'static Log {
    static LOG: OnceLock<Log> = OnceLock::new();
    LOG.get_or_init(|| {
        let mut frontier = Frontier::default();
        let mut log = Log { ends: Vec::new(), roots: vec![frontier.root()] };
        for number in 0..LENGTH {
            log.ends.push(frontier.append(leaf(number)));
            log.roots.push(frontier.root());
        }
        log
    })
}

/// A kind; then for a proof two numbers, a root and hashes; for a frontier its bytes.
fn run(input: &[u8]) -> bool {
    let log = log();
    let mut script = Script::new(input);
    let kind = script.byte();
    if kind % 3 == 2 {
        let bytes = script.bytes(usize::MAX);
        let Ok(mut frontier) = Frontier::decode(bytes) else { return false };
        assert_eq!(frontier.encode(), bytes, "a frontier has one encoding");
        if frontier.length() < i64::MAX as u64 {
            frontier.append([1; 32]);
        }
        return frontier.root() == frontier.prefix().root;
    }
    let number = |script: &mut Script<'_>| {
        let bytes = script.bytes(8);
        bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
    };
    let (first, second) = (number(&mut script), number(&mut script));
    let mut root = [0; 32];
    let given = script.bytes(32);
    root[..given.len()].copy_from_slice(given);
    let hashes: Vec<[u8; 32]> = script.bytes(usize::MAX).as_chunks::<32>().0.to_vec();
    let truth = usize::try_from(second).ok().and_then(|second| log.roots.get(second));
    let whole = Prefix { length: second, root: truth.copied().unwrap_or([0; 32]) };
    if kind.is_multiple_of(3) {
        let proven = verify_consistency(&Prefix { length: first, root }, &whole, &hashes);
        let holds = usize::try_from(first).ok().and_then(|first| log.roots.get(first)) == Some(&root);
        assert!(!proven || truth.is_none() || (holds && first <= second), "a prefix that is none was proven");
        proven
    } else {
        let proven = verify_inclusion(&root, first, &whole, &hashes);
        assert!(!proven || truth.is_none() || (first < second && root == leaf(first)), "a foreign entry was proven");
        proven
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let log = log();
    let mut seeds = Vec::new();
    for (first, second) in [(0, 5), (1, 2), (8, 8), (16, 37), (21, 32)] {
        let Ok(old) = root_at(log, first);
        let Ok(proof) = consistency_proof(log, first, second);
        seeds.push([&[0][..], &first.to_be_bytes(), &second.to_be_bytes(), &old, &proof.concat()].concat());
        let Ok(proof) = inclusion_proof(log, first, second.max(first + 1));
        let size = second.max(first + 1);
        seeds.push([&[1][..], &first.to_be_bytes(), &size.to_be_bytes(), &leaf(first), &proof.concat()].concat());
    }
    for length in [0, 1, 7, 32] {
        let mut frontier = Frontier::default();
        (0..length).for_each(|number| drop(frontier.append(leaf(number))));
        seeds.push([&[2][..], &frontier.encode()].concat());
    }
    seeds
}
