//! Frames that are not what their sender's session made: damaged on the way, or spoiled by a hostile member.

use tidewater_sync::session::MAX_FRAME_BYTES;

use super::fault::Fault;
use super::world::World;
use crate::random::Random;

/// So many frames are kept for sending them again.
const KEPT_FRAMES: usize = 64;
/// The kinds of messages, as the first byte of a frame says: `docs/spec/session.md`.
const SPACES: u8 = 5;
const VECTORS: u8 = 7;

/// What a hostile member remembers.
#[derive(Debug, Default)]
pub(super) struct Mischief {
    kept: Vec<Vec<u8>>,
    pub(super) contrived: super::contrived::Contrived,
    stopped: bool,
}

impl Mischief {
    pub(super) fn stop(&mut self) {
        self.stopped = true;
    }
}

impl World {
    /// What a bad line does to frames that nobody checks: some come changed, twice, not at all or in another order.
    pub(super) fn damage(&mut self, frames: &mut Vec<Vec<u8>>) {
        if !self.chance.one_in(8) {
            return;
        }
        self.faults.note(Fault::Damaged);
        match self.chance.below(4) {
            0 => frames.clear(),
            1 => frames.extend_from_within(..),
            _ => frames.iter_mut().for_each(|frame| change(frame, &mut self.chance)),
        }
    }

    /// What a hostile member makes of the frames of its session.
    pub(super) fn spoil(&mut self, _from: usize, _to: usize, frames: &mut Vec<Vec<u8>>) {
        if self.mischief.stopped {
            return;
        }
        let original = frames.clone();
        for fault in [Fault::Forged, Fault::Replayed, Fault::Oversized, Fault::Lying] {
            if !self.faults.strikes(fault, 10, &mut self.chance) {
                continue;
            }
            match fault {
                Fault::Forged => frames.iter_mut().for_each(|frame| change(frame, &mut self.chance)),
                Fault::Replayed if !self.mischief.kept.is_empty() => {
                    frames.push(self.chance.pick(&self.mischief.kept).clone());
                }
                Fault::Oversized => {
                    let bytes = MAX_FRAME_BYTES + 1 - self.chance.below(2);
                    let kind = self.chance.below(13) as u8;
                    frames.push([vec![kind], vec![0xff; bytes - 1]].concat());
                }
                Fault::Lying if frames.iter().any(|frame| [SPACES, VECTORS].contains(&frame[0])) => {
                    frames.iter_mut().for_each(|frame| lie(frame, &mut self.chance));
                }
                _ => continue,
            }
            self.faults.note(fault);
        }
        for frame in original {
            if self.mischief.kept.len() < KEPT_FRAMES {
                self.mischief.kept.push(frame);
            } else {
                let at = self.chance.below(KEPT_FRAMES);
                self.mischief.kept[at] = frame;
            }
        }
    }
}

/// Flips bits, overwrites, cuts, lengthens.
fn change(frame: &mut Vec<u8>, random: &mut Random) {
    if frame.is_empty() {
        return;
    }
    let at = random.below(frame.len());
    match random.below(5) {
        0 => frame.truncate(at),
        1 => frame.push(random.number() as u8),
        2 => frame[at] = *random.pick(&[0, 1, 0x7f, 0x80, 0xff]),
        3 => frame[0] = random.below(14) as u8,
        _ => frame[at] ^= 1 << random.below(8),
    }
    if frame.is_empty() {
        frame.push(0);
    }
}

/// Says something else about what is held: other hashes in a listing, other lengths and roots in vectors.
fn lie(frame: &mut [u8], random: &mut Random) {
    if ![SPACES, VECTORS].contains(&frame[0]) || frame.len() < 40 {
        return;
    }
    // Past the kind, the space and the flags; a listing has no space, but then what comes first there is a tag.
    for _ in 0..=random.below(4) {
        let at = 36 + random.below(frame.len() - 36);
        frame[at] = random.number() as u8;
    }
}
