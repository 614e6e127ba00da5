//! A disk in memory that writes down what is done to it, and fails when told.

use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use redb::StorageBackend;

/// One call that changes a disk, or makes changes last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// Bytes were written at an offset.
    Write(u64, Vec<u8>),
    /// The length was set.
    SetLen(u64),
    /// What came before will survive a power cut.
    Sync,
}

/// Bytes and what was done to them. Clones share both.
#[derive(Debug, Clone, Default)]
pub struct Disk(Arc<Mutex<Medium>>);

#[derive(Debug, Default)]
struct Medium {
    bytes: Vec<u8>,
    tape: Vec<Call>,
    /// What the last sync left; kept only for a fault that goes back to it.
    synced: Option<Vec<u8>>,
    fault: Option<Fault>,
    /// Calls by kind.
    counts: Counts,
}

/// How many calls a disk has seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Reads.
    pub reads: usize,
    /// Writes and changes of length.
    pub writes: usize,
    /// Syncs.
    pub syncs: usize,
    /// Calls that failed.
    pub failed: usize,
}

/// What fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A read.
    Read,
    /// A write: there is no space.
    Full,
    /// A write, and nothing of it arrives.
    Write,
    /// A write, and a part of it arrives.
    Short,
    /// A sync, and what it was for may arrive nevertheless.
    Sync,
    /// A sync, and what it was for is lost.
    Loss,
}

/// A call that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// What fails.
    pub kind: Kind,
    /// Which call of that kind, from 0.
    pub at: usize,
    /// Whether all of that kind fail from then on.
    pub lasts: bool,
}

impl Disk {
    /// A disk that holds these bytes; its tape is empty.
    #[must_use]
    pub fn of(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(Medium { bytes, ..Medium::default() })))
    }

    fn with<T>(&self, work: impl FnOnce(&mut Medium) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What it holds.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.with(|medium| medium.bytes.clone())
    }

    /// Changes what it holds behind the back of whoever has it open.
    pub fn change<T>(&self, work: impl FnOnce(&mut [u8]) -> T) -> T {
        self.with(|medium| work(&mut medium.bytes))
    }

    /// How many calls are on the tape.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.with(|medium| medium.tape.len())
    }

    /// What fails from now on; counts begin anew.
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.with(|medium| {
            medium.counts = Counts::default();
            medium.synced = fault.filter(|fault| fault.kind == Kind::Loss).map(|_| medium.bytes.clone());
            medium.fault = fault;
        });
    }

    /// Nothing fails any more.
    pub fn mend(&self) {
        self.with(|medium| medium.fault = None);
    }

    /// What it has seen since the last fault was set.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.with(|medium| medium.counts)
    }

    /// The calls so far, in order; the tape begins anew.
    #[must_use]
    pub fn take_tape(&self) -> Vec<Call> {
        self.with(|medium| std::mem::take(&mut medium.tape))
    }
}

fn range(offset: u64, length: usize, total: usize) -> io::Result<Range<usize>> {
    let start = usize::try_from(offset).map_err(|_| io::ErrorKind::UnexpectedEof)?;
    let end = start.checked_add(length).filter(|end| *end <= total).ok_or(io::ErrorKind::UnexpectedEof)?;
    Ok(start..end)
}

impl Medium {
    /// Counts a call that fails with any of `kinds`, and says whether this one does.
    fn strikes(&mut self, kinds: &[Kind], call: usize) -> Option<Kind> {
        let fault = self.fault.filter(|fault| kinds.contains(&fault.kind))?;
        let strikes = if fault.lasts { call >= fault.at } else { call == fault.at };
        self.counts.failed += usize::from(strikes);
        strikes.then_some(fault.kind)
    }

    fn strikes_write(&mut self) -> Option<Kind> {
        self.counts.writes += 1;
        self.strikes(&[Kind::Full, Kind::Write, Kind::Short], self.counts.writes - 1)
    }
}

fn failure(kind: Kind) -> io::Error {
    match kind {
        Kind::Full => io::ErrorKind::StorageFull.into(),
        // What the system says of a device that fails.
        _ => io::Error::from_raw_os_error(5),
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.with(|medium| medium.bytes.len() as u64))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.with(|medium| {
            medium.counts.reads += 1;
            if let Some(kind) = medium.strikes(&[Kind::Read], medium.counts.reads - 1) {
                return Err(failure(kind));
            }
            out.copy_from_slice(&medium.bytes[range(offset, out.len(), medium.bytes.len())?]);
            Ok(())
        })
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let bytes = usize::try_from(length).map_err(|_| io::ErrorKind::StorageFull)?;
        self.with(|medium| {
            if let Some(kind) = medium.strikes_write() {
                return Err(failure(kind));
            }
            medium.bytes.resize(bytes, 0);
            medium.tape.push(Call::SetLen(length));
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.with(|medium| {
            medium.counts.syncs += 1;
            let struck = medium.strikes(&[Kind::Sync, Kind::Loss], medium.counts.syncs - 1);
            if let Some(kind) = struck {
                if let Some(synced) = &medium.synced {
                    medium.bytes.clone_from(synced);
                }
                return Err(failure(kind));
            }
            if let Some(synced) = &mut medium.synced {
                synced.clone_from(&medium.bytes);
            }
            medium.tape.push(Call::Sync);
            Ok(())
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.with(|medium| {
            let range = range(offset, data.len(), medium.bytes.len())?;
            match medium.strikes_write() {
                None => {
                    medium.bytes[range].copy_from_slice(data);
                    medium.tape.push(Call::Write(offset, data.to_vec()));
                    Ok(())
                }
                Some(kind) => {
                    if kind == Kind::Short {
                        let (some, _) = data.split_at(data.len() / 2);
                        medium.bytes[range][..some.len()].copy_from_slice(some);
                    }
                    Err(failure(kind))
                }
            }
        })
    }
}
