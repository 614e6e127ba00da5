//! What a disk may hold after a power cut: all that was synced, and anything of what was not.

use super::disk::Call;
use crate::random::Random;

/// What a disk writes as a whole or not at all, in bytes.
const SECTOR: usize = 512;

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

/// Plays a tape, call by call, and gives the images that a cut after the last call may leave.
#[derive(Debug)]
pub struct Images<'t> {
    tape: &'t [Call],
    played: usize,
    synced: Vec<u8>,
    pending: Vec<&'t Call>,
}

impl<'t> Images<'t> {
    /// Starts before the first call, with what the disk held then.
    #[must_use]
    pub fn new(start: Vec<u8>, tape: &'t [Call]) -> Self {
        Self { tape, played: 0, synced: start, pending: Vec::new() }
    }

    /// How many calls have been played.
    #[must_use]
    pub fn played(&self) -> usize {
        self.played
    }

    /// Whether calls wait for a sync.
    #[must_use]
    pub fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Plays one more call. False: there is none.
    pub fn play(&mut self) -> bool {
        let Some(call) = self.tape.get(self.played) else { return false };
        self.played += 1;
        match call {
            Call::Sync => self.pending.drain(..).for_each(|call| apply(&mut self.synced, call, &mut |_| true)),
            call => self.pending.push(call),
        }
        true
    }

    /// What the disk holds if the power goes now.
    #[must_use]
    pub fn image(&self, loss: Loss, random: &mut Random) -> Vec<u8> {
        let mut image = self.synced.clone();
        for call in &self.pending {
            match (loss, random.below(3)) {
                (Loss::All, _) | (Loss::Some, 0) => {}
                (Loss::Nothing, _) | (Loss::Some, 1) => apply(&mut image, call, &mut |_| true),
                (Loss::Some, _) => apply(&mut image, call, &mut |_| random.one_in(2)),
            }
        }
        image
    }
}

/// Does to `bytes` what a call did, but only to the sectors that `arrives` says.
fn apply(bytes: &mut Vec<u8>, call: &Call, arrives: &mut dyn FnMut(usize) -> bool) {
    match call {
        Call::Sync => {}
        Call::SetLen(length) => bytes.resize(usize::try_from(*length).expect("a disk in memory"), 0),
        Call::Write(offset, data) => {
            let start = usize::try_from(*offset).expect("a disk in memory");
            // The call that made room may be lost, and this one not: then it makes the file longer itself.
            if bytes.len() < start + data.len() {
                bytes.resize(start + data.len(), 0);
            }
            let mut at = 0;
            while at < data.len() {
                let end = data.len().min(at + SECTOR - (start + at) % SECTOR);
                if arrives((start + at) / SECTOR) {
                    bytes[start + at..start + end].copy_from_slice(&data[at..end]);
                }
                at = end;
            }
        }
    }
}
