//! The header of a sealed file: two records that say the same, each in a disk sector of its own, which wrap the database key.

use std::io;

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce, Tag};
use redb::StorageBackend;
use xxhash_rust::xxh3::xxh3_64;
use zeroize::Zeroizing;

use super::secret::{Cost, KEY_BYTES, Seal, SealKind};
use super::{HEADER_BYTES, UnsealError};
use crate::host::Host;
use crate::store::pages::read_within;

/// The version of the seal that this software writes, and the only one that it reads.
pub const SEAL_VERSION: u32 = 1;

/// How every sealed file starts, whatever its version.
const MAGIC: &[u8; 16] = b"tidesealed\x1A\x0A\xA9\x0D\x0A\0";
/// Of what says which seal it is: magic, version, four zero bytes, their hash.
const IDENTITY_BYTES: usize = 32;
/// What a disk writes whole or not at all, in bytes.
const DISK_SECTOR_BYTES: usize = 512;
/// Where the two records stand: far apart, so that one rotten place is not both.
const PLACES: [usize; 2] = [0, 2048];
const SALT_BYTES: usize = 32;
const TAG_BYTES: usize = 16;
/// Identity, number, kind and cost: with the salt what the wrapping key is bound to.
const SALT_AT: usize = IDENTITY_BYTES + 8 + 4 * 4;
const WRAPPED_AT: usize = SALT_AT + SALT_BYTES;
const HASH_AT: usize = WRAPPED_AT + KEY_BYTES + TAG_BYTES;
const RECORD_BYTES: usize = HASH_AT + 8;

const CONTEXT: &str = "tidewater seal 1 wrap";

type Sector = [u8; DISK_SECTOR_BYTES];

/// Who opens the file, and the database key for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Record {
    /// Counts changes, from 1.
    number: u64,
    /// `None`: a key file.
    cost: Option<Cost>,
    salt: [u8; SALT_BYTES],
    wrapped: [u8; KEY_BYTES],
    tag: [u8; TAG_BYTES],
}

/// The header of a file that is open.
#[derive(Debug)]
pub(super) struct Header {
    record: Record,
    /// The place where the record certainly stands.
    place: usize,
    /// It stands in both places.
    is_whole: bool,
}

/// What stands in one place.
enum Found {
    Nothing,
    Damaged(String),
    Newer(u32),
    Record(Record),
}

fn identity() -> [u8; IDENTITY_BYTES] {
    let mut identity = [0; IDENTITY_BYTES];
    identity[..MAGIC.len()].copy_from_slice(MAGIC);
    identity[MAGIC.len()..][..4].copy_from_slice(&SEAL_VERSION.to_le_bytes());
    let hash = xxh3_64(&identity[..IDENTITY_BYTES - 8]).to_le_bytes();
    identity[IDENTITY_BYTES - 8..].copy_from_slice(&hash);
    identity
}

impl Record {
    fn kind(&self) -> SealKind {
        if self.cost.is_some() { SealKind::Passphrase } else { SealKind::KeyFile }
    }

    fn sector(&self) -> Sector {
        let mut sector = [0; DISK_SECTOR_BYTES];
        sector[..IDENTITY_BYTES].copy_from_slice(&identity());
        sector[IDENTITY_BYTES..][..8].copy_from_slice(&self.number.to_le_bytes());
        let kind = match self.kind() {
            SealKind::Passphrase => 1_u32,
            SealKind::KeyFile => 2,
        };
        let cost = self.cost.map_or([0; 3], Cost::parts);
        let parts = sector[IDENTITY_BYTES + 8..SALT_AT].chunks_exact_mut(4);
        parts
            .zip(std::iter::once(kind).chain(cost))
            .for_each(|(place, part)| place.copy_from_slice(&part.to_le_bytes()));
        sector[SALT_AT..WRAPPED_AT].copy_from_slice(&self.salt);
        sector[WRAPPED_AT..][..KEY_BYTES].copy_from_slice(&self.wrapped);
        sector[WRAPPED_AT + KEY_BYTES..HASH_AT].copy_from_slice(&self.tag);
        let hash = xxh3_64(&sector[..HASH_AT]).to_le_bytes();
        sector[HASH_AT..RECORD_BYTES].copy_from_slice(&hash);
        sector
    }

    /// Everything is checked here, before any of it costs anything.
    fn read(sector: &Sector) -> Found {
        let damaged = |why: &str| Found::Damaged(why.to_owned());
        if !sector.starts_with(MAGIC) {
            return if sector.iter().all(|byte| *byte == 0) {
                Found::Nothing
            } else {
                damaged("it does not start like one")
            };
        }
        let part = |at: usize| u32::from_le_bytes(*sector[at..].first_chunk().expect("it is within the sector"));
        let hash = |at: usize| sector[at..at + 8] == xxh3_64(&sector[..at]).to_le_bytes();
        let version = part(MAGIC.len());
        if !hash(IDENTITY_BYTES - 8) {
            return damaged("its first bytes do not match their hash");
        } else if version > SEAL_VERSION {
            return Found::Newer(version);
        } else if !hash(HASH_AT) {
            return damaged("it does not match its hash");
        }
        let [kind, memory, passes, lanes] = [0, 4, 8, 12].map(|at| part(IDENTITY_BYTES + 8 + at));
        let cost = match kind {
            1 => match Cost::new(memory, passes, lanes) {
                None => {
                    return Found::Damaged(format!(
                        "it asks for {memory} KiB, {passes} passes and {lanes} lanes of Argon2id, which nobody writes"
                    ));
                }
                cost => cost,
            },
            _ => None,
        };
        let array = |at: usize| &sector[at..];
        let record = Self {
            number: u64::from_le_bytes(*array(IDENTITY_BYTES).first_chunk().expect("it is within the sector")),
            cost,
            salt: *array(SALT_AT).first_chunk().expect("it is within the sector"),
            wrapped: *array(WRAPPED_AT).first_chunk().expect("it is within the sector"),
            tag: *array(WRAPPED_AT + KEY_BYTES).first_chunk().expect("it is within the sector"),
        };
        // There is one way to write a record, and its number has a next.
        if record.sector() == *sector && (1..u64::MAX).contains(&record.number) {
            Found::Record(record)
        } else {
            damaged("it is not written as any is")
        }
    }

    fn new(number: u64, seal: &Seal, key: &[u8; KEY_BYTES], host: &dyn Host) -> Self {
        let mut salt = [0; SALT_BYTES];
        host.fill_random(&mut salt);
        let mut record = Self { number, cost: seal.cost(), salt, wrapped: *key, tag: [0; TAG_BYTES] };
        let cipher = record.cipher(seal);
        // A key of its own for each record: it seals nothing else.
        let sealed = cipher.encrypt_inout_detached(&Nonce::default(), &[], record.wrapped.as_mut_slice().into());
        record.tag = sealed.expect("32 bytes are not too many").into();
        record
    }

    /// The wrapping key is bound to all that stands before the wrapped key.
    fn cipher(&self, seal: &Seal) -> Aes256Gcm {
        let stretched = seal.stretched(&self.salt, self.cost);
        let mut key = Zeroizing::new([0; 32]);
        let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
        hasher.update(&*stretched).update(&self.sector()[..WRAPPED_AT]).finalize_xof().fill(&mut *key);
        Aes256Gcm::new_from_slice(&*key).expect("32 bytes")
    }

    fn unwrap(&self, seal: &Seal) -> Result<Zeroizing<[u8; KEY_BYTES]>, UnsealError> {
        let wrong = UnsealError::Wrong { by: self.kind() };
        if seal.kind() != self.kind() {
            return Err(wrong);
        }
        let mut key = Zeroizing::new(self.wrapped);
        let tag = Tag::from(self.tag);
        let opened = self.cipher(seal).decrypt_inout_detached(&Nonce::default(), &[], key.as_mut_slice().into(), &tag);
        opened.map(|()| key).map_err(|_| wrong)
    }

    fn store(&self, backend: &dyn StorageBackend, place: usize) -> io::Result<()> {
        backend.write(PLACES[place] as u64, &self.sector())?;
        backend.sync_data()
    }
}

/// Whether nothing was ever written to a file, or no more than a creation that was cut short leaves: a page of zeros.
pub(crate) fn is_blank(backend: &dyn StorageBackend) -> io::Result<bool> {
    let mut page = [0; HEADER_BYTES as usize];
    read_within(backend, 0, &mut page)?;
    Ok(backend.len()? <= HEADER_BYTES && page.iter().all(|byte| *byte == 0))
}

impl Header {
    /// The record that counts: the newer one, of those that are right.
    pub fn load(backend: &dyn StorageBackend) -> Result<Self, UnsealError> {
        let mut page = [0; HEADER_BYTES as usize];
        read_within(backend, 0, &mut page)?;
        if !PLACES.iter().any(|place| page[*place..].starts_with(MAGIC)) {
            return Err(UnsealError::NotSealed);
        }
        let found = PLACES.map(|place| Record::read(page[place..].first_chunk().expect("it is within the page")));
        let (mut best, mut damage, mut newer): (Option<Self>, String, _) = (None, String::new(), None);
        for (place, found) in found.into_iter().enumerate() {
            match found {
                Found::Record(record) => match &mut best {
                    Some(best) if best.record == record => best.is_whole = true,
                    Some(best) if best.record.number >= record.number => {}
                    best => *best = Some(Self { record, place, is_whole: false }),
                },
                Found::Newer(version) => newer = Some(version),
                Found::Damaged(why) if damage.is_empty() => damage = why,
                Found::Damaged(_) | Found::Nothing => {}
            }
        }
        match (best, newer) {
            (_, Some(found)) => Err(UnsealError::Newer { found }),
            (Some(header), None) => Ok(header),
            (None, None) => Err(UnsealError::Damaged { why: damage }),
        }
    }

    pub fn create(
        backend: &dyn StorageBackend,
        seal: &Seal,
        key: &[u8; KEY_BYTES],
        host: &dyn Host,
    ) -> io::Result<Self> {
        let record = Record::new(1, seal, key, host);
        let mut page = [0; HEADER_BYTES as usize];
        for place in PLACES {
            page[place..][..DISK_SECTOR_BYTES].copy_from_slice(&record.sector());
        }
        backend.set_len(HEADER_BYTES)?;
        backend.write(0, &page)?;
        backend.sync_data()?;
        Ok(Self { record, place: 0, is_whole: true })
    }

    pub fn kind(&self) -> SealKind {
        self.record.kind()
    }

    pub fn unwrap(&self, seal: &Seal) -> Result<Zeroizing<[u8; KEY_BYTES]>, UnsealError> {
        self.record.unwrap(seal)
    }

    /// Writes the next record, first where the present one does not certainly stand, then over it.
    pub fn change(
        &mut self,
        backend: &dyn StorageBackend,
        seal: &Seal,
        key: &[u8; KEY_BYTES],
        host: &dyn Host,
    ) -> io::Result<()> {
        let record = Record::new(self.record.number + 1, seal, key, host);
        let other = 1 - self.place;
        self.is_whole = false;
        let stored = record.store(backend, other);
        if let Ok(now) = Self::load(backend) {
            *self = now;
        }
        stored?;
        self.heal(backend)
    }

    /// Makes both places say what counts. The old secret opens nothing after it.
    pub fn heal(&mut self, backend: &dyn StorageBackend) -> io::Result<()> {
        if !self.is_whole {
            self.record.store(backend, 1 - self.place)?;
            self.is_whole = true;
        }
        Ok(())
    }
}
