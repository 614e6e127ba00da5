//! A disk in memory that writes down what is done to it.

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
}

impl Disk {
    /// A disk that holds these bytes; its tape is empty.
    #[must_use]
    pub fn of(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(Medium { bytes, tape: Vec::new() })))
    }

    fn with<T>(&self, work: impl FnOnce(&mut Medium) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What it holds.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.with(|medium| medium.bytes.clone())
    }

    /// How many calls are on the tape.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.with(|medium| medium.tape.len())
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

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.with(|medium| medium.bytes.len() as u64))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.with(|medium| {
            out.copy_from_slice(&medium.bytes[range(offset, out.len(), medium.bytes.len())?]);
            Ok(())
        })
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let bytes = usize::try_from(length).map_err(|_| io::ErrorKind::StorageFull)?;
        self.with(|medium| {
            medium.bytes.resize(bytes, 0);
            medium.tape.push(Call::SetLen(length));
        });
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.with(|medium| medium.tape.push(Call::Sync));
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.with(|medium| {
            let range = range(offset, data.len(), medium.bytes.len())?;
            medium.bytes[range].copy_from_slice(data);
            medium.tape.push(Call::Write(offset, data.to_vec()));
            Ok(())
        })
    }
}
