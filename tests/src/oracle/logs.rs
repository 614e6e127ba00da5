//! Commits out of a store's logs, with full pasts instead of deltas.

use std::collections::BTreeMap;

use tidewater_engine::id::{SpaceId, WriterId};
use tidewater_engine::log::run::join;
use tidewater_engine::log::seal::Opener;
use tidewater_engine::log::{Header, Place, Plane};
use tidewater_engine::operation::{Operation, decode_commit};
use tidewater_engine::space::EffectiveTable;
use tidewater_engine::store::Store;

/// One commit, opened.
#[derive(Debug, Clone)]
pub struct Commit {
    /// Who wrote it.
    pub writer: WriterId,
    /// The number of its first entry.
    pub sequence: u64,
    /// The length of its log with it.
    pub end: u64,
    /// The writer's clock.
    pub timestamp_ms: i64,
    /// How much of every log its writer had seen.
    pub past: BTreeMap<WriterId, u64>,
    /// What it does, in order.
    pub operations: Vec<Operation>,
}

impl Commit {
    /// What names it.
    #[must_use]
    pub fn dot(&self) -> (WriterId, u64) {
        (self.writer, self.sequence)
    }

    /// Whether the other commit was seen by this one's writer before.
    #[must_use]
    pub fn saw(&self, other: &Commit) -> bool {
        self.past.get(&other.writer).is_some_and(|length| *length > other.sequence)
    }
}

/// Every applied commit of the data plane that a store can read, by writer and sequence, void ones among them.
///
/// # Panics
/// When a log of the store can't be read.
#[must_use]
pub fn commits(store: &Store, space: &SpaceId) -> Vec<Commit> {
    let table = store.effective(space).expect("a space");
    let applied = store.applied(space, Plane::Data).expect("a vector");
    applied.iter().flat_map(|(writer, prefix)| of_writer(store, space, &table, *writer, prefix.length)).collect()
}

fn of_writer(store: &Store, space: &SpaceId, table: &EffectiveTable, writer: WriterId, length: u64) -> Vec<Commit> {
    let (mut opener, mut past) = (Opener::new(), BTreeMap::new());
    let (mut found, mut chunks, mut sequence) = (Vec::new(), Vec::new(), 0);
    let mut next = 0;
    while next < length {
        let batch = store.read_log(space, Plane::Data, &writer, next, usize::MAX).expect("a log is read");
        // A batch ends where a head stands, which may be beyond what is applied.
        let left = (length - next) as usize;
        for entry in batch.expect("the vector says there is more").entries.into_iter().take(left) {
            let header = Header::decode(&entry.header).expect("a header");
            let place = Place { space: *space, plane: Plane::Data, writer, sequence: next };
            if header.first {
                sequence = next;
                chunks.clear();
            }
            for (other, prefix) in &header.dependencies {
                past.insert(*other, prefix.length);
            }
            let key = table.epochs.get(&header.epoch);
            chunks.push(key.and_then(|key| opener.open(&place, &header, &entry.header, &entry.body, key).ok()));
            next += 1;
            if header.last {
                let chunks: Option<Vec<Vec<u8>>> = std::mem::take(&mut chunks).into_iter().collect();
                let operations = chunks.and_then(|chunks| decode_commit(&join(Plane::Data, chunks).ok()?).ok());
                let mut past = past.clone();
                past.insert(writer, sequence);
                let timestamp_ms = header.timestamp_ms;
                found.extend(operations.map(|operations| Commit {
                    writer,
                    sequence,
                    end: next,
                    timestamp_ms,
                    past,
                    operations,
                }));
            }
        }
    }
    found
}
