//! Heads: a writer's signature over a log's length and root. See `docs/spec/log.md`, *Heads*.

use ed25519_dalek::{Signature, VerifyingKey};

use super::vector::Prefix;
use super::{LOG_LENGTH_MAX, Plane};
use crate::id::{SpaceId, WriterId};

const CONTEXT: &[u8; 17] = b"tidewater head v1";

/// How many bytes a head's message has.
pub const HEAD_MESSAGE_BYTES: usize = CONTEXT.len() + SpaceId::BYTES + 1 + WriterId::BYTES + 8 + 32;

/// What the writer's device signs to vouch for the whole prefix.
#[must_use]
pub fn head_message(space: &SpaceId, plane: Plane, writer: &WriterId, prefix: &Prefix) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD_MESSAGE_BYTES);
    out.extend_from_slice(CONTEXT);
    out.extend_from_slice(space.as_bytes());
    out.push(plane as u8);
    out.extend_from_slice(&writer.to_bytes());
    out.extend_from_slice(&prefix.length.to_be_bytes());
    out.extend_from_slice(&prefix.root);
    out
}

/// Whether `signature` is the head of `writer`'s log at `prefix`. No head exists for an empty log.
///
/// Public keys and signatures in another than their canonical encoding, and those of small order, are refused.
#[must_use]
pub fn verify_head(space: &SpaceId, plane: Plane, writer: &WriterId, prefix: &Prefix, signature: &[u8; 64]) -> bool {
    if prefix.length == 0 || prefix.length > LOG_LENGTH_MAX || !is_reduced(writer.device.as_bytes()) {
        return false;
    }
    let Ok(key) = VerifyingKey::from_bytes(writer.device.as_bytes()) else { return false };
    let message = head_message(space, plane, writer, prefix);
    // Strict: no small-order key or nonce point, no scalar that is not reduced.
    key.verify_strict(&message, &Signature::from_bytes(signature)).is_ok()
}

/// Whether a key's y coordinate is below the field's prime, 2^255 - 19: one point, one device id.
fn is_reduced(key: &[u8; 32]) -> bool {
    key[31] & 0x7f != 0x7f || key[1..31].iter().any(|byte| *byte != 0xff) || key[0] < 0xed
}
