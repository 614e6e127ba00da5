//! Keys on their way: epoch keys wrapped for a device, and short texts sealed under an epoch.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::rand_core::{TryCryptoRng, TryRng};
use hpke::{Deserializable, OpModeR, OpModeS, Serializable};
use tidewater_engine::host::Host;
use tidewater_engine::id::{DeviceId, EpochId};
use tidewater_engine::space::SecretKey;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use crate::codec::{Codec, Decoded, Reader, put_bytes};
use crate::device::random_secret;

type Kem = X25519HkdfSha256;

/// The X25519 key with which a device receives secrets. It is never derived from the signing key.
pub(crate) struct AgreementKey(Zeroizing<[u8; 32]>);

impl AgreementKey {
    pub(crate) fn generate(host: &dyn Host) -> Self {
        Self(random_secret(host))
    }

    pub(crate) fn from_secret(secret: Zeroizing<[u8; 32]>) -> Self {
        Self(secret)
    }

    pub(crate) fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    pub(crate) fn public(&self) -> [u8; 32] {
        PublicKey::from(&StaticSecret::from(*self.0)).to_bytes()
    }
}

impl fmt::Debug for AgreementKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AgreementKey(..)")
    }
}

/// The host's randomness in the form that hpke takes.
struct HostRandom<'a>(&'a dyn Host);

impl TryRng for HostRandom<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.0.fill_random(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.0.fill_random(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill_random(out);
        Ok(())
    }
}

impl TryCryptoRng for HostRandom<'_> {}

/// A 32-byte key sealed for one device: the encapsulated key, then the ciphertext with its tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wrapped([u8; Self::BYTES]);

impl Wrapped {
    pub(crate) const BYTES: usize = 32 + 32 + 16;

    /// Seals `key` for the holder of `recipient`. `context` says what the key is for and must be the same when it is opened.
    /// `None`: `recipient` is not a usable X25519 key.
    pub(crate) fn seal(host: &dyn Host, recipient: &[u8; 32], context: &[u8], key: &SecretKey) -> Option<Self> {
        let recipient = <Kem as hpke::Kem>::PublicKey::from_bytes(recipient).ok()?;
        let (encapsulated, ciphertext) = hpke::single_shot_seal_with_rng::<AesGcm256, HkdfSha256, Kem>(
            &OpModeS::Base,
            &recipient,
            context,
            key.expose(),
            &[],
            &mut HostRandom(host),
        )
        .ok()?;
        let mut out = [0; Self::BYTES];
        out[..32].copy_from_slice(&encapsulated.to_bytes());
        out[32..].copy_from_slice(&ciphertext);
        Some(Self(out))
    }

    /// The key, if it was sealed for `recipient` in this `context`.
    pub(crate) fn open(&self, recipient: &AgreementKey, context: &[u8]) -> Option<SecretKey> {
        let secret = <Kem as hpke::Kem>::PrivateKey::from_bytes(recipient.expose()).ok()?;
        let encapsulated = <Kem as hpke::Kem>::EncappedKey::from_bytes(&self.0[..32]).ok()?;
        let plaintext = hpke::single_shot_open::<AesGcm256, HkdfSha256, Kem>(
            &OpModeR::Base,
            &secret,
            &encapsulated,
            context,
            &self.0[32..],
            &[],
        )
        .ok()
        .map(Zeroizing::new)?;
        Some(SecretKey::new(plaintext.as_slice().try_into().ok()?))
    }
}

impl Codec for Wrapped {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        reader.array().map(Self)
    }
}

/// What a wrapped epoch key is bound to: the epoch and the device.
pub(crate) fn epoch_context(epoch: &EpochId, device: &DeviceId) -> Vec<u8> {
    [b"tidewater 2026 epoch wrap v1".as_slice(), &epoch.0, &device.0].concat()
}

/// A short text, or an older epoch key, sealed under an epoch key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SealedNote {
    /// Whose key opens it.
    pub(crate) epoch: EpochId,
    salt: [u8; 16],
    ciphertext: Vec<u8>,
}

/// What a note is, so that none can stand for another.
#[derive(Debug, Clone, Copy)]
pub(crate) enum NotePurpose {
    Label,
    Name,
    OlderEpoch,
}

impl NotePurpose {
    fn tag(self) -> &'static [u8] {
        match self {
            Self::Label => b"label",
            Self::Name => b"name",
            Self::OlderEpoch => b"older epoch",
        }
    }
}

impl SealedNote {
    /// The longest plaintext, in bytes.
    pub(crate) const MAX_BYTES: usize = 200;

    pub(crate) fn seal(host: &dyn Host, key: &SecretKey, purpose: NotePurpose, plaintext: &[u8]) -> Self {
        debug_assert!(plaintext.len() <= Self::MAX_BYTES, "callers check names and labels");
        let mut salt = [0; 16];
        host.fill_random(&mut salt);
        let (cipher, nonce) = note_cipher(key, &salt);
        let mut ciphertext = cipher
            .encrypt(&nonce, Payload { msg: plaintext, aad: purpose.tag() })
            .expect("AES-GCM seals anything this short");
        if planted!(NoteInPlain) {
            ciphertext[..plaintext.len()].copy_from_slice(plaintext);
        }
        Self { epoch: key.epoch_id(), salt, ciphertext }
    }

    /// The text, if one of the keys is that under which it was sealed, for this purpose.
    pub(crate) fn read(&self, epochs: &BTreeMap<EpochId, SecretKey>, purpose: NotePurpose) -> Option<String> {
        let plaintext = self.open(epochs.get(&self.epoch)?, purpose)?;
        Some(String::from_utf8_lossy(&plaintext).into_owned())
    }

    /// The plaintext, if `key` is the one it was sealed under, for this purpose.
    pub(crate) fn open(&self, key: &SecretKey, purpose: NotePurpose) -> Option<Zeroizing<Vec<u8>>> {
        if planted!(NoteInPlain) {
            return Some(Zeroizing::new(self.ciphertext[..self.ciphertext.len() - 16].to_vec()));
        }
        let (cipher, nonce) = note_cipher(key, &self.salt);
        cipher.decrypt(&nonce, Payload { msg: &self.ciphertext, aad: purpose.tag() }).ok().map(Zeroizing::new)
    }
}

/// A fresh cipher for every note: its key and its nonce come from the epoch key and a random salt.
fn note_cipher(key: &SecretKey, salt: &[u8; 16]) -> (Aes256Gcm, Nonce<aes_gcm::aead::consts::U12>) {
    let mut material = Zeroizing::new([0; 44]);
    let mut hasher = blake3::Hasher::new_derive_key("tidewater 2026 sealed note v1");
    hasher.update(key.expose()).update(salt).finalize_xof().fill(&mut *material);
    let cipher = Aes256Gcm::new_from_slice(&material[..32]).expect("32 bytes");
    let nonce: [u8; 12] = material[32..].try_into().expect("12 of 44 bytes");
    (cipher, nonce.into())
}

impl Codec for SealedNote {
    fn encode(&self, out: &mut Vec<u8>) {
        self.epoch.encode(out);
        out.extend_from_slice(&self.salt);
        put_bytes(out, &self.ciphertext);
    }

    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        let epoch = EpochId::decode(reader)?;
        let salt = reader.array()?;
        Ok(Self { epoch, salt, ciphertext: reader.bytes(Self::MAX_BYTES + 16)?.to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Malformed;
    use crate::simulation::SimulatedHost;

    #[test]
    fn a_wrapped_key_opens_for_its_device_and_context_only() {
        let host = SimulatedHost::new(1);
        let (ours, theirs) = (AgreementKey::generate(&*host), AgreementKey::generate(&*host));
        let key = SecretKey::new([9; 32]);
        let wrapped = Wrapped::seal(&*host, &ours.public(), b"context", &key).unwrap();
        assert_eq!(wrapped.open(&ours, b"context"), Some(key));
        assert_eq!(wrapped.open(&theirs, b"context"), None);
        assert_eq!(wrapped.open(&ours, b"another"), None);
        let mut damaged = wrapped;
        damaged.0[40] ^= 1;
        assert_eq!(damaged.open(&ours, b"context"), None);
    }

    /// No secret is wrapped for an X25519 key of low order, which everybody could open.
    #[test]
    fn attack_low_order_agreement_key_gets_no_secret() {
        let host = SimulatedHost::new(2);
        assert_eq!(Wrapped::seal(&*host, &[0; 32], b"context", &SecretKey::new([9; 32])), None);
    }

    #[test]
    fn a_note_opens_for_its_key_and_purpose_only() {
        let host = SimulatedHost::new(3);
        let key = SecretKey::new([9; 32]);
        let note = SealedNote::seal(&*host, &key, NotePurpose::Label, b"home");
        assert_eq!(note.open(&key, NotePurpose::Label).unwrap().as_slice(), b"home");
        assert!(note.open(&key, NotePurpose::Name).is_none());
        assert!(note.open(&SecretKey::new([8; 32]), NotePurpose::Label).is_none());
        assert_eq!(SealedNote::from_bytes(&note.to_bytes()), Ok(note));
    }

    #[test]
    fn every_form_of_randomness_is_the_hosts() {
        let (host, same) = (SimulatedHost::new(4), SimulatedHost::new(4));
        let (mut random, mut expected) = (HostRandom(&*host), [0; 36]);
        same.fill_random(&mut expected);
        let mut drawn = random.try_next_u32().unwrap().to_le_bytes().to_vec();
        drawn.extend(random.try_next_u64().unwrap().to_le_bytes());
        let mut rest = [0; 24];
        random.try_fill_bytes(&mut rest).unwrap();
        drawn.extend(rest);
        assert_eq!(drawn, expected);
    }

    #[test]
    fn nothing_is_sealed_twice_alike() {
        let host = SimulatedHost::new(5);
        let (ours, key) = (AgreementKey::generate(&*host), SecretKey::new([9; 32]));
        let wrapped = || Wrapped::seal(&*host, &ours.public(), b"context", &key).unwrap();
        let (one, other) = (wrapped(), wrapped());
        assert_ne!(one.0[..32], other.0[..32], "the encapsulated keys");
        assert_ne!(one.0[32..], other.0[32..], "the ciphertexts");
        let note = || SealedNote::seal(&*host, &key, NotePurpose::Label, b"home");
        let (one, other) = (note(), note());
        assert_ne!((one.salt, one.ciphertext), (other.salt, other.ciphertext));
    }

    /// A wrapped key that is passed off as another epoch's or device's does not open.
    #[test]
    fn attack_wrap_moved_to_another_epoch_or_device_does_not_open() {
        let host = SimulatedHost::new(6);
        let ours = AgreementKey::generate(&*host);
        let key = SecretKey::new([9; 32]);
        let (epoch, device) = (key.epoch_id(), DeviceId([1; 32]));
        let wrapped = Wrapped::seal(&*host, &ours.public(), &epoch_context(&epoch, &device), &key).unwrap();
        assert_eq!(wrapped.open(&ours, &epoch_context(&epoch, &device)), Some(key));
        assert_eq!(wrapped.open(&ours, &epoch_context(&EpochId([2; 32]), &device)), None);
        assert_eq!(wrapped.open(&ours, &epoch_context(&epoch, &DeviceId([2; 32]))), None);
    }

    #[test]
    fn a_note_is_read_up_to_its_limit() {
        let (host, key) = (SimulatedHost::new(7), SecretKey::new([9; 32]));
        let longest = SealedNote::seal(&*host, &key, NotePurpose::Name, &[b'x'; SealedNote::MAX_BYTES]);
        assert_eq!(SealedNote::from_bytes(&longest.to_bytes()), Ok(longest.clone()));
        let longer = SealedNote { ciphertext: [&longest.ciphertext[..], &[0]].concat(), ..longest };
        assert_eq!(SealedNote::from_bytes(&longer.to_bytes()), Err(Malformed("a length is over its limit")));
    }
}
