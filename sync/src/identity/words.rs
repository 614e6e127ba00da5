//! Recovery words: 24 words on paper from which an identity's recovery keys follow.

use std::fmt;
use std::str::FromStr;

use bip39::{Language, Mnemonic};
use tidewater_engine::host::Host;
use zeroize::Zeroizing;

use crate::device::{DeviceKey, random_secret};
use crate::keys::AgreementKey;

/// 24 English words of BIP 39 that stand for 256 random bits. The identity's recovery keys follow from them: an Ed25519 key, which may
/// certify and remove the identity's devices, and an X25519 key, to which every key of a space is wrapped that the
/// identity may read. `Debug` prints none of them.
///
/// ```
/// use tidewater_sync::RecoveryWords;
/// let words: RecoveryWords = ["abandon"; 23].join(" ").parse::<RecoveryWords>().unwrap_or_else(|error| {
///     assert_eq!(error.to_string(), "recovery words are 24 words, these are 23");
///     format!("{} art", ["abandon"; 23].join(" ")).parse().unwrap()
/// });
/// assert!(words.expose().starts_with("abandon abandon"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct RecoveryWords(Zeroizing<[u8; 32]>);

impl RecoveryWords {
    /// How many words.
    pub const WORDS: usize = 24;
    const SIGNING: &str = "tidewater 2026 recovery signing key v1";
    const AGREEMENT: &str = "tidewater 2026 recovery agreement key v1";

    pub(crate) fn generate(host: &dyn Host) -> Self {
        Self(random_secret(host))
    }

    pub(crate) fn from_entropy(entropy: Zeroizing<[u8; 32]>) -> Self {
        Self(entropy)
    }

    pub(crate) fn entropy(&self) -> &[u8; 32] {
        &self.0
    }

    /// The words, in lower case, with one space between them: for a person to write down, and for nothing else.
    ///
    /// # Panics
    /// Never: 256 bits have words.
    #[must_use]
    pub fn expose(&self) -> Zeroizing<String> {
        let mnemonic = Mnemonic::from_entropy(&*self.0).expect("256 bits are 24 words");
        let mut text = Zeroizing::new(String::with_capacity(Self::WORDS * 9));
        for word in mnemonic.words() {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(word);
        }
        text
    }

    /// The recovery key of an identity.
    pub(crate) fn signing(&self) -> DeviceKey {
        DeviceKey::from_seed(self.derived(Self::SIGNING))
    }

    /// Under which the identity gets its spaces' keys once more.
    pub(crate) fn agreement(&self) -> AgreementKey {
        AgreementKey::from_secret(self.derived(Self::AGREEMENT))
    }

    fn derived(&self, context: &str) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(blake3::derive_key(context, &*self.0))
    }
}

impl fmt::Debug for RecoveryWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryWords(..)")
    }
}

/// Why a text is not recovery words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WordsError {
    /// There are too few or too many.
    #[error("recovery words are 24 words, these are {found}")]
    Count {
        /// How many there are.
        found: usize,
    },
    /// A word is none of the list.
    #[error("word {place} is none of the 2048 English words; look for a slip of the pen")]
    Unknown {
        /// Which word, counted from 1.
        place: usize,
    },
    /// The last word doesn't fit the others.
    #[error(
        "every word is one of the list, but together they are not recovery words; look for words that are swapped or misread"
    )]
    Checksum,
}

impl FromStr for RecoveryWords {
    type Err = WordsError;

    /// Words in any case, with any white space between them.
    fn from_str(text: &str) -> Result<Self, WordsError> {
        let found = text.split_whitespace().count();
        if found != Self::WORDS {
            return Err(WordsError::Count { found });
        }
        let lower = Zeroizing::new(text.to_lowercase());
        let mnemonic = Mnemonic::parse_in_normalized(Language::English, &lower).map_err(|error| match error {
            bip39::Error::UnknownWord(index) => WordsError::Unknown { place: index + 1 },
            _ => WordsError::Checksum,
        })?;
        let (mut entropy, _) = mnemonic.to_entropy_array();
        let mut secret = Zeroizing::new([0; 32]);
        secret.copy_from_slice(&entropy[..32]);
        zeroize::Zeroize::zeroize(&mut entropy);
        Ok(Self(secret))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::SimulatedHost;

    #[test]
    fn words_stand_for_their_bits_and_are_read_as_people_write_them() {
        let words = RecoveryWords::generate(&*SimulatedHost::new(1));
        let text = words.expose();
        assert_eq!(text.split(' ').count(), RecoveryWords::WORDS);
        assert_eq!(text.parse(), Ok(words.clone()));
        let scrawled = format!("  {}\n", text.to_uppercase().replace(' ', "\n\t"));
        assert_eq!(scrawled.parse(), Ok(words));
    }

    #[test]
    fn the_words_of_bip_39_are_these() {
        // From the test vectors of BIP 39.
        let words = RecoveryWords::from_entropy(Zeroizing::new([0x7f; 32]));
        let text = words.expose();
        assert!(text.starts_with("legal winner thank year wave sausage worth useful legal winner"), "a vector");
        assert!(text.ends_with("thank year wave sausage worth title"), "a vector");
    }

    #[test]
    fn what_is_wrong_with_words_is_said() {
        let good = RecoveryWords::generate(&*SimulatedHost::new(2)).expose();
        let mut words: Vec<&str> = good.split(' ').collect();
        assert_eq!(words[..23].join(" ").parse::<RecoveryWords>(), Err(WordsError::Count { found: 23 }));
        assert_eq!("".parse::<RecoveryWords>(), Err(WordsError::Count { found: 0 }));
        words.swap(0, 23);
        assert_eq!(words.join(" ").parse::<RecoveryWords>(), Err(WordsError::Checksum));
        words[4] = "tidewater";
        assert_eq!(words.join(" ").parse::<RecoveryWords>(), Err(WordsError::Unknown { place: 5 }));
        words.push("zoo");
        assert_eq!(words.join(" ").parse::<RecoveryWords>(), Err(WordsError::Count { found: 25 }));
    }

    #[test]
    fn the_recovery_keys_of_given_words_never_change() {
        let words = RecoveryWords::from_entropy(Zeroizing::new([7; 32]));
        assert_ne!(words.signing().expose_seed(), words.agreement().expose(), "one key for each purpose");
        let keys = [words.signing().device().0, words.agreement().public()].concat();
        let shown: String = keys.iter().map(|byte| format!("{byte:02x}")).collect();
        let signing = "4f6b30cf0c301f59721a041ec1333febaf2e3cd527625d0b70f62b4b99e20c1d";
        let agreement = "ecd8f5c737afeea40fa244562eabcae045a49eca858ce6285d9185cea248a402";
        assert_eq!(shown, [signing, agreement].concat());
    }

    #[test]
    fn debug_shows_no_word() {
        let words = RecoveryWords::from_entropy(Zeroizing::new([7; 32]));
        assert_eq!(format!("{words:?}"), "RecoveryWords(..)");
    }
}
