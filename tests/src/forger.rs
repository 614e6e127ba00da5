//! A member that writes its logs by hand: every signature is right, whatever is signed.

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit};
use ed25519_dalek::{Signer, SigningKey};
use tidewater_engine::id::{DeviceId, SpaceId, WriterId};
use tidewater_engine::log::header::SALT_BYTES;
use tidewater_engine::log::seal::{EntryDraft, Sealer};
use tidewater_engine::log::tree::leaf_hash;
use tidewater_engine::log::{Frontier, Header, Place, Plane, head_message};
use tidewater_engine::space::SecretKey;
use tidewater_engine::store::{LogBatch, LoggedEntry, SignedHead};

/// Body length and body hash: the end of a header, which is not sealed with the body.
const HEADER_TAIL_BYTES: usize = 4 + 32;

/// One log, written by hand.
pub(crate) struct Forger {
    key: SigningKey,
    space: SpaceId,
    plane: Plane,
    writer: WriterId,
    sealer: Sealer,
    frontier: Frontier,
    entries: Vec<LoggedEntry>,
}

impl Forger {
    /// An empty log of `writer`, whose device signs with `key`.
    pub fn new(key: SigningKey, space: SpaceId, plane: Plane, writer: WriterId) -> Self {
        assert_eq!(writer.device, DeviceId(key.verifying_key().to_bytes()), "the key is the writer's");
        let sealer = Sealer::new();
        Self { key, space, plane, writer, sealer, frontier: Frontier::default(), entries: Vec::new() }
    }

    /// How many entries the log has.
    pub fn length(&self) -> usize {
        self.entries.len()
    }

    /// The place of the next entry.
    pub fn place(&self) -> Place {
        Place { space: self.space, plane: self.plane, writer: self.writer, sequence: self.frontier.length() }
    }

    /// Adds an entry as it is.
    pub fn push(&mut self, entry: LoggedEntry) {
        self.frontier.append(leaf_hash(&self.place(), &entry.header));
        self.entries.push(entry);
    }

    /// Adds an entry that is sealed as an honest one. False: it is over a limit, and nothing was added.
    pub fn seal(&mut self, draft: EntryDraft, key: &SecretKey, chunk: &[u8]) -> bool {
        let sealed = self.sealer.seal(&self.place(), draft, key, [1; 16], chunk);
        let Ok(sealed) = sealed else { return false };
        self.push(LoggedEntry { header: sealed.header, body: sealed.body });
        true
    }

    /// Everything from `from` on under a head.
    pub fn batch(&self, from: usize) -> LogBatch {
        let prefix = self.frontier.prefix();
        let message = head_message(&self.space, self.plane, &self.writer, &prefix);
        LogBatch {
            space: self.space,
            plane: self.plane,
            writer: self.writer,
            from: from as u64,
            entries: self.entries[from..].to_vec(),
            head: SignedHead {
                length: prefix.length,
                root: Some(prefix.root),
                signature: self.key.sign(&message).to_bytes(),
            },
        }
    }
}

/// An entry whose body opens to `frame`, whatever that is: `docs/spec/log.md`, *Sealing*, once more.
pub(crate) fn sealed_frame(place: &Place, draft: EntryDraft, key: &SecretKey, frame: &[u8]) -> LoggedEntry {
    let EntryDraft { timestamp_ms, first, last, dependencies, control } = draft;
    let (epoch, salt) = (key.epoch_id(), [3; SALT_BYTES]);
    let (body_length, body_hash) = (0, [0; 32]);
    let mut header = Header { timestamp_ms, first, last, epoch, salt, dependencies, control, body_length, body_hash };
    let mut associated = place.to_bytes().to_vec();
    let bytes = header.encode();
    associated.extend_from_slice(&bytes[..bytes.len() - HEADER_TAIL_BYTES]);
    let mut hasher = blake3::Hasher::new_derive_key("tidewater 2026 entry seal v1");
    hasher.update(key.expose()).update(&place.to_bytes()).update(epoch.as_bytes()).update(&salt);
    let (mut entry_key, mut nonce) = ([0; 32], [0; 12]);
    let mut derived = hasher.finalize_xof();
    derived.fill(&mut entry_key);
    derived.fill(&mut nonce);
    let mut body = frame.to_vec();
    let cipher = Aes256Gcm::new((&entry_key).into());
    let tag = cipher.encrypt_inout_detached((&nonce).into(), &associated, body.as_mut_slice().into());
    body.extend_from_slice(&tag.expect("a frame is short"));
    header.body_length = body.len() as u32;
    header.body_hash = *blake3::hash(&body).as_bytes();
    LoggedEntry { header: header.encode(), body }
}
