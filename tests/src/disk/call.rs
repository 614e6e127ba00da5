//! What is done to a disk.

use super::image::Image;

/// What a disk writes whole or not at all, in bytes.
const SECTOR_BYTES: usize = 512;

/// A file of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileName {
    /// The database.
    Database,
    /// Its mirror.
    Mirror,
}

/// One call that changes a file, or makes changes of it last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Of which file.
    pub file: FileName,
    /// What is done to it.
    pub what: What,
}

/// What is done to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Bytes are written at an offset.
    Write(u64, Vec<u8>),
    /// The length is set.
    SetLen(u64),
    /// What came before will survive a power cut.
    Sync,
}

impl Call {
    /// Does it to an image.
    pub(super) fn apply(&self, image: &mut Image) {
        self.apply_where(image, &mut |_| true);
    }

    /// Does it to an image, but only to the sectors that `arrives` says.
    pub(super) fn apply_where(&self, image: &mut Image, arrives: &mut dyn FnMut(usize) -> bool) {
        let bytes = image.file_mut(self.file);
        match &self.what {
            What::Sync => {}
            What::SetLen(length) => bytes.resize(usize::try_from(*length).expect("a disk in memory"), 0),
            What::Write(offset, data) => {
                let start = usize::try_from(*offset).expect("a disk in memory");
                // The call that made room may be lost, and this one not: then it makes the file longer itself.
                if bytes.len() < start + data.len() {
                    bytes.resize(start + data.len(), 0);
                }
                let mut at = 0;
                while at < data.len() {
                    let end = data.len().min(at + SECTOR_BYTES - (start + at) % SECTOR_BYTES);
                    if arrives((start + at) / SECTOR_BYTES) {
                        bytes[start + at..start + end].copy_from_slice(&data[at..end]);
                    }
                    at = end;
                }
            }
        }
    }
}
