//! Loaded cells, the least recently used let go first, within a budget of bytes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::cell::CellName;
use super::document::RichCell;
use super::rows::Version;

/// How much memory loaded cells may take by default, in bytes.
pub const DEFAULT_BUDGET_BYTES: u64 = 64 << 20;

/// Loaded cells by name and version: a reader of an older version never meets newer content.
#[derive(Debug)]
pub struct Cache {
    budget_bytes: u64,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    cells: BTreeMap<(CellName, Version), Slot>,
    by_use: BTreeMap<u64, (CellName, Version)>,
    uses: u64,
    weight_bytes: u64,
}

#[derive(Debug)]
struct Slot {
    cell: Arc<RichCell>,
    used: u64,
    weight_bytes: u64,
}

impl Default for Cache {
    fn default() -> Self {
        Self::new(DEFAULT_BUDGET_BYTES)
    }
}

impl Cache {
    /// An empty cache of at most `budget_bytes`; with 0 it keeps nothing.
    #[must_use]
    pub fn new(budget_bytes: u64) -> Self {
        Self { budget_bytes, held: Mutex::default() }
    }

    /// The cell, for reading.
    #[must_use]
    pub fn get(&self, name: &CellName, version: Version) -> Option<Arc<RichCell>> {
        let key = (name.clone(), version);
        self.with(|held| {
            held.uses += 1;
            let slot = held.cells.get_mut(&key)?;
            held.by_use.remove(&std::mem::replace(&mut slot.used, held.uses));
            held.by_use.insert(held.uses, key);
            Some(slot.cell.clone())
        })
    }

    /// The cell, for changing: it leaves the cache. It is copied when a reader still holds it.
    #[must_use]
    pub fn take(&self, name: &CellName, version: Version) -> Option<RichCell> {
        let cell = self.with(|held| held.remove(&(name.clone(), version)))?;
        Some(Arc::unwrap_or_clone(cell))
    }

    /// Keeps `cell` under its present version, which names its content: a version that is never committed is never asked
    /// for. A cell with an open transaction does not belong here.
    pub fn put(&self, name: CellName, cell: Arc<RichCell>) {
        let weight_bytes = cell.weight_bytes();
        if weight_bytes > self.budget_bytes {
            return;
        }
        let key = (name, cell.version());
        self.with(|held| {
            held.remove(&key);
            held.uses += 1;
            held.by_use.insert(held.uses, key.clone());
            held.cells.insert(key, Slot { cell, used: held.uses, weight_bytes });
            held.weight_bytes += weight_bytes;
            while held.weight_bytes > self.budget_bytes {
                let Some((_, oldest)) = held.by_use.first_key_value() else { break };
                let oldest = oldest.clone();
                held.remove(&oldest);
            }
        });
    }

    /// About how much memory the held cells take, in bytes.
    #[must_use]
    pub fn weight_bytes(&self) -> u64 {
        self.with(|held| held.weight_bytes)
    }

    fn with<T>(&self, work: impl FnOnce(&mut Held) -> T) -> T {
        work(&mut self.held.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Held {
    fn remove(&mut self, key: &(CellName, Version)) -> Option<Arc<RichCell>> {
        let slot = self.cells.remove(key)?;
        self.by_use.remove(&slot.used);
        self.weight_bytes -= slot.weight_bytes;
        Some(slot.cell)
    }
}
