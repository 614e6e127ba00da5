//! Texts with a checksum, made of any bytes: so that what is behind the checksum is reached.

use data_encoding::BASE32_NOPAD;

/// The text that carries `bytes` behind `prefix`.
pub(super) fn text(prefix: &str, bytes: &[u8]) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("tidewater 2026 armor check v1");
    let check = hasher.update(prefix.as_bytes()).update(bytes).finalize();
    let all = [bytes, &check.as_bytes()[..5]].concat();
    format!("{prefix}{}", BASE32_NOPAD.encode(&all).to_ascii_lowercase())
}

/// The bytes that an honest text carries.
pub(super) fn bytes(prefix: &str, text: &str) -> Vec<u8> {
    let digits = text.strip_prefix(prefix).unwrap_or_default().to_ascii_uppercase();
    let mut bytes = BASE32_NOPAD.decode(digits.as_bytes()).unwrap_or_default();
    bytes.truncate(bytes.len().saturating_sub(5));
    bytes
}
