//! Exported audit trails taken apart and put together again by who knows the layout: `docs/spec/audit.md` once more. Every
//! check is right again, and the end is signed, whatever stands between.

use ed25519_dalek::{Signer, SigningKey};

/// What stands before the first record.
const MAGIC_BYTES: usize = 16;
const CHECK_BYTES: usize = 8;
/// The kind of a record that begins a log.
pub const LOG: u8 = 2;
/// The kind of an entry.
pub const ENTRY: u8 = 3;
/// The kind of a head.
pub const HEAD: u8 = 4;
/// The kind of the end.
pub const END: u8 = 5;
/// Device, time, signature.
const END_BYTES: usize = 32 + 8 + 64;

/// Kind and content.
pub type Record = (u8, Vec<u8>);

/// A file without its checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trail {
    /// What it begins with.
    pub magic: Vec<u8>,
    /// Its records.
    pub records: Vec<Record>,
    /// What follows the last whole record.
    pub rest: Vec<u8>,
}

impl Trail {
    /// Takes a file apart, as far as it is laid out in records.
    #[must_use]
    pub fn of(file: &[u8]) -> Self {
        let (magic, mut rest) = file.split_at(MAGIC_BYTES.min(file.len()));
        let mut records = Vec::new();
        while let Some((record, left)) = record(rest) {
            records.push(record);
            rest = left;
        }
        Self { magic: magic.to_vec(), records, rest: rest.to_vec() }
    }

    /// The file, with right checks, exported by `exporter`.
    #[must_use]
    pub fn signed_by(&self, exporter: &SigningKey) -> Vec<u8> {
        let mut file = self.magic.clone();
        for (kind, content) in &self.records {
            file.push(*kind);
            file.extend_from_slice(&(content.len() as u32).to_be_bytes());
            if *kind == END && content.len() == END_BYTES {
                file.extend_from_slice(exporter.verifying_key().as_bytes());
                file.extend_from_slice(&content[32..40]);
                let message = [&b"tidewater audit export v1\0"[..], blake3::hash(&file).as_bytes()].concat();
                file.extend_from_slice(&exporter.sign(&message).to_bytes());
            } else {
                file.extend_from_slice(content);
            }
            let check = *blake3::hash(&file).as_bytes();
            file.extend_from_slice(&check[..CHECK_BYTES]);
        }
        file.extend_from_slice(&self.rest);
        file
    }
}

/// The first record, and what follows it.
fn record(bytes: &[u8]) -> Option<(Record, &[u8])> {
    let (kind, rest) = bytes.split_first()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (content, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    let (_check, rest) = rest.split_at_checked(CHECK_BYTES)?;
    Some(((*kind, content.to_vec()), rest))
}
