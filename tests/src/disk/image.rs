//! What a disk holds, and what it may hold after a power cut: all that was synced, and anything of what was not.

use super::call::{Call, FileName, What};
use crate::random::Random;

/// The bytes of both files of a disk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    /// The database file.
    pub database: Vec<u8>,
    /// What is kept outside of it.
    pub mirror: Vec<u8>,
}

impl From<Vec<u8>> for Image {
    /// A database file alone: what is on another machine, or in a backup.
    fn from(database: Vec<u8>) -> Self {
        Self { database, mirror: Vec::new() }
    }
}

impl Image {
    pub(super) fn file(&self, name: FileName) -> &Vec<u8> {
        match name {
            FileName::Database => &self.database,
            FileName::Mirror => &self.mirror,
        }
    }

    pub(super) fn file_mut(&mut self, name: FileName) -> &mut Vec<u8> {
        match name {
            FileName::Database => &mut self.database,
            FileName::Mirror => &mut self.mirror,
        }
    }

    /// Both files together, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.database.len() + self.mirror.len()
    }
}

/// What becomes of the calls after the last sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// None of them arrived.
    All,
    /// All of them did: the process died, not the machine.
    Nothing,
    /// Any of them, each whole, torn at sectors, or not.
    Some,
}

impl Loss {
    /// What a disk holds when the power goes, of what was synced and of the calls since.
    pub(super) fn image<'c>(
        self,
        synced: &Image,
        pending: impl IntoIterator<Item = &'c Call>,
        random: &mut Random,
    ) -> Image {
        let mut image = synced.clone();
        for call in pending {
            match (self, random.below(3)) {
                (Self::All, _) | (Self::Some, 0) => {}
                (Self::Nothing, _) | (Self::Some, 1) => call.apply(&mut image),
                (Self::Some, _) => call.apply_where(&mut image, &mut |_| random.one_in(2)),
            }
        }
        image
    }
}

/// Plays a tape, call by call, and gives the images that a cut after the last call may leave.
#[derive(Debug)]
pub struct Images<'t> {
    tape: &'t [Call],
    played: usize,
    synced: Image,
    pending: Vec<&'t Call>,
}

impl<'t> Images<'t> {
    /// Starts before the first call, with what the disk held then.
    #[must_use]
    pub fn new(start: Image, tape: &'t [Call]) -> Self {
        Self { tape, played: 0, synced: start, pending: Vec::new() }
    }

    /// How many calls have been played.
    #[must_use]
    pub fn played(&self) -> usize {
        self.played
    }

    /// Plays one more call. False: there is none.
    pub fn play(&mut self) -> bool {
        let Some(call) = self.tape.get(self.played) else { return false };
        self.played += 1;
        if call.what == What::Sync {
            let synced = self.pending.extract_if(.., |pending| pending.file == call.file);
            synced.for_each(|call| call.apply(&mut self.synced));
        } else {
            self.pending.push(call);
        }
        true
    }

    /// What the disk holds if the power goes now.
    #[must_use]
    pub fn image(&self, loss: Loss, random: &mut Random) -> Image {
        loss.image(&self.synced, self.pending.iter().copied(), random)
    }
}
