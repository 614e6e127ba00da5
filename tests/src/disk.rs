//! A disk in memory that outlives the store on it: it knows what was synced, and can fail.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

use crate::random::Random;

/// What a disk writes whole or not at all, in bytes.
const SECTOR_BYTES: usize = 512;

/// Bytes that clones share.
#[derive(Debug, Clone, Default)]
pub struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// What reads see.
    bytes: Vec<u8>,
    /// What the last sync left.
    durable: Vec<u8>,
    /// Sectors that were written since.
    dirty: BTreeSet<usize>,
    /// Without power nothing is read or written any more.
    off: bool,
    faults: Faults,
}

/// What goes wrong with the next calls.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// So many reads fail.
    pub reads: u32,
    /// So many writes and syncs fail.
    pub writes: u32,
    /// After so many writes and syncs the power goes.
    pub power: Option<u32>,
    /// The disk holds no more than this, in bytes.
    pub capacity: Option<usize>,
    /// How many reads failed.
    pub failed_reads: u64,
    /// How many writes and syncs failed.
    pub failed_writes: u64,
    /// How many calls found no room.
    pub full: u64,
}

/// What becomes of the sectors that were not synced when the power goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsynced {
    /// All are lost.
    Lost,
    /// Each is lost or kept, as chance will have it: pages are torn.
    Torn,
    /// All are kept.
    Kept,
}

impl Faults {
    /// Whether anything failed.
    #[must_use]
    pub fn struck(&self) -> bool {
        self.failed_reads + self.failed_writes + self.full > 0
    }
}

impl Disk {
    /// A disk with these bytes on it, synced.
    #[must_use]
    pub fn holding(bytes: Vec<u8>) -> Self {
        let state = State { durable: bytes.clone(), bytes, ..State::default() };
        Self(Arc::new(Mutex::new(state)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a power loss would leave of it if nothing that isn't synced were kept.
    #[must_use]
    pub fn durable(&self) -> Vec<u8> {
        self.state().durable.clone()
    }

    /// What goes wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.state().faults = faults;
    }

    /// What still goes wrong, and what went wrong since it was set.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.state().faults
    }

    /// How large it is, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.state().bytes.len()
    }

    /// Cuts the power, and gives the disk as it is when power comes back. This one stays off. Also says how many
    /// sectors were not synced.
    #[must_use]
    pub fn lose_power(&self, unsynced: Unsynced, random: &mut Random) -> (Self, usize) {
        let mut state = self.state();
        state.off = true;
        let mut image = state.durable.clone();
        let keeps = |random: &mut Random| match unsynced {
            Unsynced::Lost => false,
            Unsynced::Kept => true,
            Unsynced::Torn => random.one_in(2),
        };
        if state.bytes.len() != image.len() && keeps(random) {
            image.resize(state.bytes.len(), 0);
        }
        for sector in &state.dirty {
            let start = sector * SECTOR_BYTES;
            let end = (start + SECTOR_BYTES).min(state.bytes.len()).min(image.len());
            if start < end && keeps(random) {
                image[start..end].copy_from_slice(&state.bytes[start..end]);
            }
        }
        (Self::holding(image), state.dirty.len())
    }
}

impl State {
    fn check_power(&self) -> io::Result<()> {
        if self.off { Err(io::Error::other("the power is off")) } else { Ok(()) }
    }

    fn check_write(&mut self, length: usize) -> io::Result<()> {
        if let Some(left) = &mut self.faults.power {
            self.off |= *left == 0;
            *left = left.saturating_sub(1);
        }
        self.check_power()?;
        if self.faults.writes > 0 {
            self.faults.writes -= 1;
            self.faults.failed_writes += 1;
            return Err(io::Error::other("the disk fails to write"));
        }
        if self.faults.capacity.is_some_and(|capacity| length > capacity) {
            self.faults.full += 1;
            // What the system calls it: `No space left on device (os error 28)`.
            return Err(io::Error::from_raw_os_error(28));
        }
        Ok(())
    }

    fn touch(&mut self, range: std::ops::Range<usize>) {
        if !range.is_empty() {
            self.dirty.extend(range.start / SECTOR_BYTES..=(range.end - 1) / SECTOR_BYTES);
        }
    }
}

fn range(offset: u64, length: usize, total: usize) -> io::Result<std::ops::Range<usize>> {
    let start = usize::try_from(offset).map_err(|_| io::ErrorKind::UnexpectedEof)?;
    let end = start.checked_add(length).filter(|end| *end <= total).ok_or(io::ErrorKind::UnexpectedEof)?;
    Ok(start..end)
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        let state = self.state();
        state.check_power()?;
        Ok(state.bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut state = self.state();
        state.check_power()?;
        if state.faults.reads > 0 {
            state.faults.reads -= 1;
            state.faults.failed_reads += 1;
            return Err(io::Error::other("the disk fails to read"));
        }
        let range = range(offset, out.len(), state.bytes.len())?;
        out.copy_from_slice(&state.bytes[range]);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).map_err(|_| io::ErrorKind::StorageFull)?;
        let mut state = self.state();
        state.check_write(length)?;
        let from = state.bytes.len().min(length);
        state.touch(from..length);
        state.bytes.resize(length, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state();
        state.check_write(0)?;
        let State { bytes, durable, dirty, .. } = &mut *state;
        durable.resize(bytes.len(), 0);
        for sector in std::mem::take(dirty) {
            let start = (sector * SECTOR_BYTES).min(bytes.len());
            let end = (start + SECTOR_BYTES).min(bytes.len());
            durable[start..end].copy_from_slice(&bytes[start..end]);
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        let range = range(offset, data.len(), state.bytes.len())?;
        state.check_write(range.end)?;
        state.bytes[range.clone()].copy_from_slice(data);
        state.touch(range);
        Ok(())
    }
}
