//! The disk of a simulated machine. It holds a database file and its mirror, outlives the store on them, knows what was
//! synced, fails when told, and writes down what is done to it when asked.

mod call;
mod fault;
mod image;

use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use redb::StorageBackend;
use tidewater_engine::store::{Location, MirrorLocation};

pub use self::call::{Call, FileName, What};
pub use self::fault::{Counts, Fault, Faults, Kind};
pub use self::image::{Image, Images, Loss};
use crate::random::Random;

/// A disk that clones share.
#[derive(Debug, Clone, Default)]
pub struct Disk(Arc<Mutex<Medium>>);

#[derive(Debug, Default)]
struct Medium {
    /// What reads see.
    now: Image,
    /// What the syncs left.
    synced: Image,
    /// What was done since, and is not synced.
    pending: Vec<Call>,
    /// All that was done, if it is written down.
    tape: Option<Vec<Call>>,
    /// Without power nothing is read or written any more.
    off: bool,
    faults: Faults,
    counts: Counts,
}

/// A file of a disk, as a database opens it.
#[derive(Debug)]
pub struct DiskFile {
    disk: Disk,
    name: FileName,
}

impl Disk {
    /// A disk with this on it, synced.
    #[must_use]
    pub fn holding(image: impl Into<Image>) -> Self {
        let now = image.into();
        Self(Arc::new(Mutex::new(Medium { synced: now.clone(), now, ..Medium::default() })))
    }

    /// It writes down what is done to it from now on.
    #[must_use]
    pub fn recording(self) -> Self {
        self.with(|medium| medium.tape = Some(Vec::new()));
        self
    }

    fn with<T>(&self, work: impl FnOnce(&mut Medium) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Its database file.
    #[must_use]
    pub fn database(&self) -> DiskFile {
        DiskFile { disk: self.clone(), name: FileName::Database }
    }

    /// Its database file, to be opened.
    #[must_use]
    pub fn location(&self) -> Location {
        Location::Backend(Box::new(self.database()))
    }

    /// The mirror of the database on it, to be opened.
    #[must_use]
    pub fn mirror(&self) -> Option<MirrorLocation> {
        Some(MirrorLocation::Backend(Box::new(DiskFile { disk: self.clone(), name: FileName::Mirror })))
    }

    /// What reads see.
    #[must_use]
    pub fn image(&self) -> Image {
        self.with(|medium| medium.now.clone())
    }

    /// What a power loss would leave of it if nothing that isn't synced were kept.
    #[must_use]
    pub fn durable(&self) -> Image {
        self.with(|medium| medium.synced.clone())
    }

    /// Changes the database file behind the back of whoever has it open.
    pub fn change<T>(&self, work: impl FnOnce(&mut [u8]) -> T) -> T {
        self.with(|medium| work(&mut medium.now.database))
    }

    /// How many calls are on the tape.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.with(|medium| medium.tape.as_ref().map_or(0, Vec::len))
    }

    /// The calls so far, in order; the tape begins anew.
    #[must_use]
    pub fn take_tape(&self) -> Vec<Call> {
        self.with(|medium| medium.tape.as_mut().map(std::mem::take).unwrap_or_default())
    }

    /// What goes wrong from now on; counts begin anew.
    pub fn set_faults(&self, faults: Faults) {
        self.with(|medium| (medium.faults, medium.counts) = (faults, Counts::default()));
    }

    /// Nothing goes wrong any more.
    pub fn mend(&self) {
        self.with(|medium| medium.faults = Faults::default());
    }

    /// What it has seen since its faults were set.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.with(|medium| medium.counts)
    }

    /// Whether it failed since its faults were set, or is about to.
    #[must_use]
    pub fn is_sick(&self) -> bool {
        self.with(|medium| {
            medium.faults.calls.is_some() || medium.faults.capacity.is_some() || medium.counts.failed() > 0
        })
    }

    /// Cuts the power, and gives the disk as it is when power comes back. This one stays off. Also says how many
    /// calls were not synced.
    #[must_use]
    pub fn lose_power(&self, loss: Loss, random: &mut Random) -> (Self, usize) {
        self.with(|medium| {
            medium.off = true;
            (Self::holding(loss.image(&medium.synced, &medium.pending, random)), medium.pending.len())
        })
    }
}

fn range(offset: u64, length: usize, total: usize) -> io::Result<Range<usize>> {
    let start = usize::try_from(offset).map_err(|_| io::ErrorKind::UnexpectedEof)?;
    let end = start.checked_add(length).filter(|end| *end <= total).ok_or(io::ErrorKind::UnexpectedEof)?;
    Ok(start..end)
}

impl Medium {
    fn check_power(&self) -> io::Result<()> {
        if self.off { Err(io::Error::other("the power is off")) } else { Ok(()) }
    }

    /// Counts down to the power loss.
    fn check_change(&mut self) -> io::Result<()> {
        if let Some(left) = &mut self.faults.power {
            self.off |= *left == 0;
            *left = left.saturating_sub(1);
        }
        self.check_power()
    }

    /// Says how the call with that number of its kinds fails, if it does.
    fn strikes(&mut self, kinds: &[(Kind, usize)]) -> Option<Kind> {
        let Fault { kind, at, times } = self.faults.calls?;
        let (_, call) = kinds.iter().find(|(of, _)| *of == kind)?;
        (at..at.saturating_add(times)).contains(call).then_some(kind)
    }

    fn strikes_write(&mut self) -> Option<Kind> {
        let Counts { writes, syncs, .. } = self.counts;
        self.counts.writes += 1;
        let kinds =
            [(Kind::Full, writes), (Kind::Write, writes), (Kind::Short, writes), (Kind::Change, writes + syncs)];
        let kind = self.strikes(&kinds)?;
        *(if kind == Kind::Full { &mut self.counts.full } else { &mut self.counts.failed_writes }) += 1;
        Some(kind)
    }

    /// Whether there is room for a file of that length.
    fn check_room(&mut self, name: FileName, length: usize) -> io::Result<()> {
        let size = self.now.size() - self.now.file(name).len() + length;
        if self.faults.capacity.is_some_and(|capacity| size > capacity) {
            self.counts.full += 1;
            return Err(fault::no_space());
        }
        Ok(())
    }

    fn done(&mut self, call: Call) {
        call.apply(&mut self.now);
        if let Some(tape) = &mut self.tape {
            tape.push(call.clone());
        }
        if call.what == What::Sync {
            let synced = self.pending.extract_if(.., |pending| pending.file == call.file);
            synced.for_each(|call| call.apply(&mut self.synced));
        } else {
            self.pending.push(call);
        }
    }
}

impl StorageBackend for DiskFile {
    fn len(&self) -> io::Result<u64> {
        self.disk.with(|medium| {
            medium.check_power()?;
            Ok(medium.now.file(self.name).len() as u64)
        })
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.disk.with(|medium| {
            medium.check_power()?;
            let reads = medium.counts.reads;
            medium.counts.reads += 1;
            if let Some(kind) = medium.strikes(&[(Kind::Read, reads)]) {
                medium.counts.failed_reads += 1;
                return Err(kind.error());
            }
            let bytes = medium.now.file(self.name);
            out.copy_from_slice(&bytes[range(offset, out.len(), bytes.len())?]);
            Ok(())
        })
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let bytes = usize::try_from(length).map_err(|_| io::ErrorKind::StorageFull)?;
        self.disk.with(|medium| {
            medium.check_change()?;
            if let Some(kind) = medium.strikes_write() {
                return Err(kind.error());
            }
            medium.check_room(self.name, bytes)?;
            medium.done(Call { file: self.name, what: What::SetLen(length) });
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.with(|medium| {
            medium.check_change()?;
            let Counts { writes, syncs, .. } = medium.counts;
            medium.counts.syncs += 1;
            let Some(kind) =
                medium.strikes(&[(Kind::Sync, syncs), (Kind::Loss, syncs), (Kind::Change, writes + syncs)])
            else {
                medium.done(Call { file: self.name, what: What::Sync });
                return Ok(());
            };
            medium.counts.failed_writes += 1;
            if kind == Kind::Loss {
                medium.pending.retain(|call| call.file != self.name);
                medium.now.file_mut(self.name).clone_from(medium.synced.file(self.name));
            }
            Err(kind.error())
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.disk.with(|medium| {
            let length = medium.now.file(self.name).len();
            let end = range(offset, data.len(), length)?.end;
            medium.check_change()?;
            let struck = medium.strikes_write();
            let arriving = match struck {
                None => data,
                Some(Kind::Short) => data.split_at(data.len() / 2).0,
                Some(kind) => return Err(kind.error()),
            };
            if struck.is_none() {
                medium.check_room(self.name, end.max(length))?;
            }
            medium.done(Call { file: self.name, what: What::Write(offset, arriving.to_vec()) });
            struck.map_or(Ok(()), |kind| Err(kind.error()))
        })
    }
}
