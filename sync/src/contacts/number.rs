//! The number that two people compare to know that nobody stands between them.

use std::fmt;

use subtle::ConstantTimeEq;

use crate::armor;
use crate::identity::IdentityId;

/// What two identities compare: 60 digits, or the text of a QR code. It is the same on both sides.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct VerificationNumber {
    digits: [u8; Self::DIGITS],
    hash: [u8; 32],
}

impl VerificationNumber {
    /// How many digits it has.
    pub const DIGITS: usize = 60;
    const GROUP: usize = 5;
    const PREFIX: &str = "tidesame1";

    /// The number of two identities, in any order.
    #[must_use]
    pub fn of(one: &IdentityId, other: &IdentityId) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("tidewater 2026 verification number v1");
        hasher.update(&one.min(other).0).update(&one.max(other).0);
        let mut output = hasher.finalize_xof();
        let mut bytes = [0; Self::DIGITS];
        output.fill(&mut bytes);
        let mut digits = [0; Self::DIGITS];
        for (digits, bytes) in digits.chunks_exact_mut(Self::GROUP).zip(bytes.chunks_exact(Self::GROUP)) {
            let number = bytes.iter().fold(0, |number: u64, byte| number << 8 | u64::from(*byte)) % 100_000;
            digits.copy_from_slice(format!("{number:05}").as_bytes());
        }
        Self { digits, hash: *hasher.finalize().as_bytes() }
    }

    /// The text of the QR code.
    #[must_use]
    pub fn code(&self) -> String {
        armor::wrap(Self::PREFIX, &self.hash)
    }

    /// Whether `text` says this number: its digits, with or without blanks, or the text of the QR code. Takes as long for
    /// every text of its length.
    #[must_use]
    pub fn is_said_by(&self, text: &str) -> bool {
        if let Ok(hash) = armor::unwrap(Self::PREFIX, text) {
            return self.hash[..].ct_eq(&hash).into();
        }
        let said: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        self.digits[..].ct_eq(&said).into()
    }
}

/// 12 groups of 5 digits.
impl fmt::Display for VerificationNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, group) in self.digits.chunks_exact(Self::GROUP).enumerate() {
            let group = std::str::from_utf8(group).expect("digits are ASCII");
            write!(f, "{}{group}", if number == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

impl fmt::Debug for VerificationNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerificationNumber({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_see_the_same_number_and_take_it_in_either_form() {
        let (ada, ben, eve) = (IdentityId([1; 32]), IdentityId([2; 32]), IdentityId([3; 32]));
        let number = VerificationNumber::of(&ada, &ben);
        assert_eq!(number, VerificationNumber::of(&ben, &ada));
        let text = number.to_string();
        assert_eq!((text.len(), text.split(' ').count()), (71, 12));
        assert!(text.chars().all(|c| c.is_ascii_digit() || c == ' '));
        assert_eq!(text, "21089 23251 38374 82142 56494 20044 70788 92355 36372 58431 25862 90298");
        for said in
            [text.clone(), text.replace(' ', ""), text.replace(' ', "\n"), number.code(), number.code().to_uppercase()]
        {
            assert!(number.is_said_by(&said), "{said}");
        }
        assert!(!number.is_said_by("") && !number.is_said_by(&text[1..]) && !number.is_said_by(&format!("{text}0")));
        let others = VerificationNumber::of(&ada, &eve);
        assert!(!number.is_said_by(&others.to_string()) && !number.is_said_by(&others.code()));
    }

    /// One changed digit, wherever it stands, and one changed character of the code make it another number.
    #[test]
    fn attack_number_with_a_changed_digit_verifies_nobody() {
        let number = VerificationNumber::of(&IdentityId([4; 32]), &IdentityId([5; 32]));
        for said in [number.to_string(), number.code()] {
            for (at, found) in said.char_indices().filter(|(_, found)| *found != ' ') {
                let other = if found == '3' { "4" } else { "3" };
                let mut changed = said.clone();
                changed.replace_range(at..=at, other);
                assert!(!number.is_said_by(&changed), "{changed}");
            }
        }
    }
}
