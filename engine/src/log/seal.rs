//! Sealing: a chunk of a commit becomes a body that only holders of the epoch key can open, at its place only.
//! See `docs/spec/log.md`, *Sealing*.

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit};
use zeroize::Zeroizing;

use super::header::{Header, MOVED_LOGS_MAX, Moved, Place, SALT_BYTES, sealed_part, set_salt};
use crate::id::EpochId;
use crate::space::SecretKey;

mod frame;

pub use frame::{CHUNK_BYTES_MAX, ZSTD_LEVEL, padme};
use frame::{Packer, Unpacker};

const TAG_BYTES: usize = 16;
const NONCE_BYTES: usize = 12;
const SALT_CONTEXT: &str = "tidewater 2026 entry salt v1";
const SEAL_CONTEXT: &str = "tidewater 2026 entry seal v1";

/// What an author decides about an entry. The key gives the epoch id, the sealing everything else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryDraft {
    /// The writer's clock, milliseconds since 1970-01-01 UTC. The same over a run.
    pub timestamp_ms: i64,
    /// Whether a commit begins here.
    pub first: bool,
    /// Whether a commit ends here.
    pub last: bool,
    /// The other logs of the same plane that moved, ascending by writer, at most [`MOVED_LOGS_MAX`].
    pub dependencies: Moved,
    /// The control logs that moved, ascending by writer, at most [`MOVED_LOGS_MAX`]; empty on the control plane.
    pub control: Moved,
}

/// A sealed entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The canonical header.
    pub header: Vec<u8>,
    /// The sealed body.
    pub body: Vec<u8>,
}

/// Why an entry was not sealed: its author went over a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The chunk has more than [`CHUNK_BYTES_MAX`] bytes.
    #[error("a chunk of {length} bytes, at most {CHUNK_BYTES_MAX} fit one entry; cut it with `run::cut`")]
    ChunkTooLarge {
        /// Its length in bytes.
        length: usize,
    },
    /// A list has more than [`MOVED_LOGS_MAX`] logs, does not ascend, or may not stand at this place.
    #[error("the lists of moved logs do not fit one entry; cut them with `run::cut`")]
    Moved,
}

/// Why a body was not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The body is not the one the header was signed with. Whoever sent it is at fault.
    #[error("the body does not match its header")]
    Body,
    /// The key is not the header's epoch.
    #[error("sealed under epoch {epoch}, the key is of another; ask a member for that epoch's key")]
    WrongKey {
        /// The epoch that is needed.
        epoch: EpochId,
    },
    /// Not sealed with this key at this place. The author, or whoever moved the entry here, is at fault.
    #[error("the body was not sealed for this place")]
    Refused,
    /// The opened bytes are not a well-formed frame: the author is at fault, and the commit has no effect anywhere.
    #[error("malformed body: {what}")]
    Malformed {
        /// The part that is wrong.
        what: &'static str,
    },
}

/// Seals entries. Keep one for many: it holds a compression context, which is costly to make.
#[derive(Default)]
pub struct Sealer {
    packer: Packer,
    associated: Vec<u8>,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer")
    }
}

impl Sealer {
    /// Makes the contexts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Compresses, pads and seals `chunk` as the entry at `place`.
    ///
    /// `random` is 16 fresh random bytes; where they are not fresh, the salt still differs for every other entry.
    /// The same arguments give the same bytes.
    ///
    /// # Errors
    /// [`SealError`], when a limit is exceeded; what [`run::cut`](super::run::cut) gives is within them.
    pub fn seal(
        &mut self,
        place: &Place,
        draft: EntryDraft,
        key: &SecretKey,
        random: [u8; 16],
        chunk: &[u8],
    ) -> Result<Sealed, SealError> {
        if chunk.len() > CHUNK_BYTES_MAX {
            return Err(SealError::ChunkTooLarge { length: chunk.len() });
        }
        let mut header = Header {
            timestamp_ms: draft.timestamp_ms,
            first: draft.first,
            last: draft.last,
            epoch: key.epoch_id(),
            salt: [0; SALT_BYTES],
            dependencies: draft.dependencies,
            control: draft.control,
            body_length: 0,
            body_hash: [0; 32],
        };
        let lists_fit = fits(&header.dependencies) && fits(&header.control) && header.check_place(place).is_ok();
        if !lists_fit {
            return Err(SealError::Moved);
        }
        let mut sealed_header = header.encode_sealed();
        let mut body = self.packer.pack(chunk, TAG_BYTES);
        header.salt = salt(place, key, &random, &sealed_header, &body);
        if planted!(SaltConstant) {
            header.salt = [7; SALT_BYTES];
        }
        if planted!(SaltUnhedged) {
            header.salt = salt(place, key, &random, &[], &[]);
        }
        set_salt(&mut sealed_header, &header.salt);
        associate(&mut self.associated, place, &sealed_header);
        let tag = cipher_of(place, &header, key, |cipher, nonce| {
            if planted!(BodyInPlain) {
                return Ok(Default::default());
            }
            cipher.encrypt_inout_detached(nonce.into(), &self.associated, body.as_mut_slice().into())
        });
        // AES-GCM refuses only what is larger than 64 GiB.
        let tag = tag.map_err(|_| SealError::ChunkTooLarge { length: chunk.len() })?;
        body.extend_from_slice(&tag);
        sealed_header.extend_from_slice(&(body.len() as u32).to_be_bytes());
        sealed_header.extend_from_slice(blake3::hash(&body).as_bytes());
        Ok(Sealed { header: sealed_header, body })
    }
}

/// Opens bodies. Keep one for many: it holds a decompression context.
#[derive(Default)]
pub struct Opener {
    unpacker: Unpacker,
    associated: Vec<u8>,
}

impl std::fmt::Debug for Opener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Opener")
    }
}

impl Opener {
    /// Makes the contexts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The chunk that was sealed as `body` at `place`. `header` is what `header_bytes` decode to.
    ///
    /// # Errors
    /// [`OpenError`], cheap checks first. It depends on the arguments only, so every replica with the key agrees.
    pub fn open(
        &mut self,
        place: &Place,
        header: &Header,
        header_bytes: &[u8],
        body: &[u8],
        key: &SecretKey,
    ) -> Result<Vec<u8>, OpenError> {
        if !header.fits_body(body) {
            return Err(OpenError::Body);
        }
        // The header commits to the key; AES-GCM alone would let one body open under two.
        if key.epoch_id() != header.epoch {
            return Err(OpenError::WrongKey { epoch: header.epoch });
        }
        let Some((ciphertext, tag)) = body.split_last_chunk::<TAG_BYTES>() else { return Err(OpenError::Body) };
        associate(&mut self.associated, place, sealed_part(header_bytes));
        let mut frame = Zeroizing::new(ciphertext.to_vec());
        cipher_of(place, header, key, |cipher, nonce| {
            if planted!(BodyInPlain) {
                return Ok(());
            }
            cipher.decrypt_inout_detached(nonce.into(), &self.associated, frame.as_mut_slice().into(), tag.into())
        })
        .map_err(|_| OpenError::Refused)?;
        self.unpacker.unpack(&frame).map_err(|what| OpenError::Malformed { what })
    }
}

fn fits(moved: &Moved) -> bool {
    moved.len() <= MOVED_LOGS_MAX
        && moved.iter().all(|(_, prefix)| (1..=super::LOG_LENGTH_MAX).contains(&prefix.length))
        && moved.is_sorted_by(|(one, _), (next, _)| one < next)
}

/// With good randomness unpredictable; without, another one for every other entry of a place, but for a chance of 2^-64.
fn salt(place: &Place, key: &SecretKey, random: &[u8; 16], unsalted: &[u8], frame: &[u8]) -> [u8; SALT_BYTES] {
    let mut hasher = blake3::Hasher::new_derive_key(SALT_CONTEXT);
    hasher.update(key.expose()).update(random).update(&place.to_bytes()).update(unsalted).update(frame);
    let mut salt = [0; SALT_BYTES];
    hasher.finalize_xof().fill(&mut salt);
    salt
}

fn associate(out: &mut Vec<u8>, place: &Place, sealed_header: &[u8]) {
    out.clear();
    out.extend_from_slice(&place.to_bytes());
    out.extend_from_slice(sealed_header);
}

/// Derives the entry's own key and nonce and lends them.
fn cipher_of<T>(
    place: &Place,
    header: &Header,
    key: &SecretKey,
    work: impl FnOnce(&Aes256Gcm, &[u8; NONCE_BYTES]) -> T,
) -> T {
    let mut hasher = blake3::Hasher::new_derive_key(SEAL_CONTEXT);
    hasher.update(key.expose()).update(&place.to_bytes()).update(header.epoch.as_bytes()).update(&header.salt);
    let mut derived = Zeroizing::new([0; 32 + NONCE_BYTES]);
    hasher.finalize_xof().fill(&mut *derived);
    let mut entry_key = Zeroizing::new([0; 32]);
    let mut nonce = [0; NONCE_BYTES];
    entry_key.copy_from_slice(&derived[..32]);
    nonce.copy_from_slice(&derived[32..]);
    work(&Aes256Gcm::new((&*entry_key).into()), &nonce)
}

#[cfg(test)]
mod tests;
