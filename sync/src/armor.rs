//! Texts that people copy: a prefix, then base32 of a version, a body and a checksum.

use data_encoding::{BASE32_NOPAD, DecodeKind};

const CHECK_BYTES: usize = 5;
/// The longest text that is looked at, in bytes.
pub(crate) const MAX_TEXT_BYTES: usize = 16 * 1024;

/// Why a text was not taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ArmorError {
    Prefix,
    Character { found: char, at: usize },
    Checksum,
}

/// `prefix` and the armoured `body`, in lower case.
pub(crate) fn wrap(prefix: &str, body: &[u8]) -> String {
    let bytes = [body, &check(prefix, body)].concat();
    format!("{prefix}{}", BASE32_NOPAD.encode(&bytes).to_ascii_lowercase())
}

/// The body of a text made by [`wrap`]. Letter case and white space, inside too, don't matter.
pub(crate) fn unwrap(prefix: &str, text: &str) -> Result<Vec<u8>, ArmorError> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(ArmorError::Prefix);
    }
    let characters: Vec<(usize, char)> = text.chars().enumerate().filter(|(_, c)| !c.is_whitespace()).collect();
    let starts = characters.iter().map(|(_, c)| c.to_ascii_lowercase()).take(prefix.len()).eq(prefix.chars());
    if !starts {
        return Err(ArmorError::Prefix);
    }
    let digits = &characters[prefix.len()..];
    if let Some((at, found)) = digits.iter().find(|(_, c)| !matches!(c.to_ascii_uppercase(), 'A'..='Z' | '2'..='7')) {
        return Err(ArmorError::Character { found: *found, at: *at });
    }
    let digits: String = digits.iter().map(|(_, c)| c.to_ascii_uppercase()).collect();
    let bytes = BASE32_NOPAD.decode(digits.as_bytes()).map_err(|error| match error.kind {
        DecodeKind::Length | DecodeKind::Trailing | DecodeKind::Symbol | DecodeKind::Padding => ArmorError::Checksum,
    })?;
    let (body, sum) = bytes.split_at_checked(bytes.len().wrapping_sub(CHECK_BYTES)).ok_or(ArmorError::Checksum)?;
    if sum != check(prefix, body) { Err(ArmorError::Checksum) } else { Ok(body.to_vec()) }
}

fn check(prefix: &str, body: &[u8]) -> [u8; CHECK_BYTES] {
    let mut hasher = blake3::Hasher::new_derive_key("tidewater 2026 armor check v1");
    let hash = hasher.update(prefix.as_bytes()).update(body).finalize();
    hash.as_bytes()[..CHECK_BYTES].try_into().expect("5 of 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_survives_copying_and_names_what_is_wrong() {
        let text = wrap("tide1", b"some body");
        assert_eq!(unwrap("tide1", &text).unwrap(), b"some body");
        let copied = format!(" {}\n{} ", &text[..9].to_uppercase(), &text[9..]);
        assert_eq!(unwrap("tide1", &copied).unwrap(), b"some body");
        assert_eq!(unwrap("tide1", "hello"), Err(ArmorError::Prefix));
        assert_eq!(unwrap("tide1", ""), Err(ArmorError::Prefix));
        assert_eq!(unwrap("tide1", "tide1"), Err(ArmorError::Checksum));
        let padded = |length: usize| text.clone() + &" ".repeat(length - text.len());
        assert_eq!(unwrap("tide1", &padded(MAX_TEXT_BYTES)).unwrap(), b"some body");
        assert_eq!(unwrap("tide1", &padded(MAX_TEXT_BYTES + 1)), Err(ArmorError::Prefix));
        assert_eq!(unwrap("tide1", "tide1ab!c"), Err(ArmorError::Character { found: '!', at: 7 }));
        for at in 5..text.len() {
            let mut changed: Vec<char> = text.chars().collect();
            changed[at] = if changed[at] == 'a' { 'b' } else { 'a' };
            assert_eq!(unwrap("tide1", &changed.iter().collect::<String>()), Err(ArmorError::Checksum), "{at}");
            assert!(unwrap("tide1", &text[..at]).is_err(), "{at}");
        }
    }

    #[test]
    fn a_text_is_looked_at_up_to_its_limit() {
        let padded = |length: usize| format!("{:length$}", wrap("tide1", b"some body"));
        assert_eq!(unwrap("tide1", &padded(16 * 1024)).unwrap(), b"some body");
        assert_eq!(unwrap("tide1", &padded(16 * 1024 + 1)), Err(ArmorError::Prefix));
        assert_eq!(unwrap("tide1", &padded(17 * 1024)), Err(ArmorError::Prefix));
    }
}
