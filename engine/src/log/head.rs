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
    if planted!(SignatureUnchecked) {
        return true;
    }
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

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer, SigningKey};

    use super::*;
    use crate::id::{DeviceId, Incarnation};

    const SPACE: SpaceId = SpaceId([1; 32]);
    const PREFIX: Prefix = Prefix { length: 3, root: [4; 32] };

    fn key() -> SigningKey {
        SigningKey::from_bytes(&[7; 32])
    }

    fn writer(device: [u8; 32]) -> WriterId {
        WriterId { device: DeviceId(device), incarnation: Incarnation([2; 8]) }
    }

    fn sign(prefix: &Prefix) -> (WriterId, [u8; 64]) {
        let writer = writer(key().verifying_key().to_bytes());
        let signature = key().sign(&head_message(&SPACE, Plane::Data, &writer, prefix)).to_bytes();
        (writer, signature)
    }

    #[test]
    fn a_head_vouches_for_one_prefix_of_one_log() {
        let (writer, signature) = sign(&PREFIX);
        assert_eq!(head_message(&SPACE, Plane::Data, &writer, &PREFIX).len(), HEAD_MESSAGE_BYTES);
        assert_eq!(HEAD_MESSAGE_BYTES, 130);
        let verify = |space: &SpaceId, plane, writer: &WriterId, prefix: &Prefix| {
            verify_head(space, plane, writer, prefix, &signature)
        };
        assert!(verify(&SPACE, Plane::Data, &writer, &PREFIX));
        assert!(!verify(&SpaceId([0; 32]), Plane::Data, &writer, &PREFIX));
        assert!(!verify(&SPACE, Plane::Control, &writer, &PREFIX));
        assert!(!verify(&SPACE, Plane::Data, &WriterId { incarnation: Incarnation([0; 8]), ..writer }, &PREFIX));
        assert!(!verify(&SPACE, Plane::Data, &WriterId { device: DeviceId([0; 32]), ..writer }, &PREFIX));
        assert!(!verify(&SPACE, Plane::Data, &writer, &Prefix { length: 4, ..PREFIX }));
        assert!(!verify(&SPACE, Plane::Data, &writer, &Prefix { root: [0; 32], ..PREFIX }));
        for bit in 0..512 {
            let mut flipped = signature;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(!verify_head(&SPACE, Plane::Data, &writer, &PREFIX, &flipped), "bit {bit}");
        }
    }

    #[test]
    fn an_empty_log_and_an_endless_one_have_no_head() {
        for length in [0, LOG_LENGTH_MAX + 1, u64::MAX] {
            let prefix = Prefix { length, ..PREFIX };
            let (writer, signature) = sign(&prefix);
            assert!(!verify_head(&SPACE, Plane::Data, &writer, &prefix, &signature), "{length}");
        }
    }

    /// With a key of small order, R = A·k and s = 0 would verify for one message in a few under the loose equation.
    #[test]
    fn attack_keys_of_small_order_sign_nothing() {
        let order_8 = [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf,
            0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
        ];
        let mut identity = [0; 32];
        identity[0] = 1;
        let mut order_2 = [0xff; 32];
        order_2[0] = 0xec;
        order_2[31] = 0x7f;
        for device in [identity, order_2, [0; 32], order_8] {
            let loose = VerifyingKey::from_bytes(&device).unwrap();
            assert!(loose.is_weak());
            let writer = writer(device);
            let mut forged_loosely = false;
            for length in 1..64 {
                let prefix = Prefix { length, ..PREFIX };
                let mut signature = [0; 64];
                signature[..32].copy_from_slice(&identity);
                let message = head_message(&SPACE, Plane::Data, &writer, &prefix);
                forged_loosely |=
                    ed25519_dalek::Verifier::verify(&loose, &message, &Signature::from_bytes(&signature)).is_ok();
                assert!(!verify_head(&SPACE, Plane::Data, &writer, &prefix, &signature));
            }
            assert!(forged_loosely, "the loose check accepts what the strict one refuses");
        }
    }

    #[test]
    fn a_second_spelling_of_a_key_is_refused() {
        // y = p + 3 spells the point with y = 3, which is not of small order.
        let mut reduced = [0; 32];
        reduced[0] = 3;
        let mut unreduced = [0xff; 32];
        unreduced[0] = 0xed + 3;
        unreduced[31] = 0x7f;
        let point = |bytes| VerifyingKey::from_bytes(bytes).unwrap().to_edwards();
        assert_eq!(point(&reduced), point(&unreduced));
        assert!(is_reduced(&reduced) && !is_reduced(&unreduced));
        assert!(!is_reduced(&[0xff; 32]));
        assert!(!verify_head(&SPACE, Plane::Data, &writer(unreduced), &PREFIX, &sign(&PREFIX).1));
        // The prime differs from what is below it in any byte.
        for at in 1..31 {
            let mut below = unreduced;
            below[at] = 0xfe;
            assert!(is_reduced(&below), "{at}");
        }
    }

    #[test]
    fn a_device_that_is_no_point_of_the_curve_signs_nothing() {
        let no_point = |byte: &u8| VerifyingKey::from_bytes(&[*byte; 32]).is_err();
        let found: Vec<u8> = (0..0x7f).filter(no_point).collect();
        assert!(found.len() > 30, "half of all numbers are not the coordinate of a point: {found:?}");
        for byte in found {
            assert!(!verify_head(&SPACE, Plane::Data, &writer([byte; 32]), &PREFIX, &sign(&PREFIX).1), "{byte}");
        }
    }

    #[test]
    fn a_key_is_reduced_up_to_the_prime() {
        let key = |first, middle, last| {
            let mut key = [middle; 32];
            (key[0], key[31]) = (first, last);
            key
        };
        // The prime is ed ff … ff 7f, the lowest byte first; the highest bit is the sign of x.
        for reduced in
            [key(0xec, 0xff, 0x7f), key(0xec, 0xff, 0xff), key(0xff, 0xff, 0), key(0xff, 0, 0x7f), key(0xff, 0, 0)]
        {
            assert!(is_reduced(&reduced), "{reduced:x?}");
        }
        for unreduced in [key(0xed, 0xff, 0x7f), key(0xed, 0xff, 0xff), key(0xee, 0xff, 0x7f), key(0xff, 0xff, 0xff)] {
            assert!(!is_reduced(&unreduced), "{unreduced:x?}");
        }
    }

    #[test]
    fn the_longest_log_has_a_head() {
        let prefix = Prefix { length: LOG_LENGTH_MAX, ..PREFIX };
        let (writer, signature) = sign(&prefix);
        assert!(verify_head(&SPACE, Plane::Data, &writer, &prefix, &signature));
    }
}
