//! Target: signed heads. Nothing but what the key signed passes.

use ed25519_dalek::{Signer, SigningKey};
use tidewater_engine::id::{DeviceId, Incarnation, SpaceId, WriterId};
use tidewater_engine::log::{Plane, Prefix, head_message, verify_head};

use super::script::Script;
use super::{Memory, Target};

pub(super) const TARGET: Target = Target {
    name: "head",
    run,
    seeds,
    input_bytes_max: 256,
    memory: Memory { fixed: 64 << 10, per_byte: 4 },
    executions: 2_000,
};

fn key(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[number; 32])
}

fn array<const N: usize>(script: &mut Script<'_>) -> [u8; N] {
    let mut array = [0; N];
    let bytes = script.bytes(N);
    array[..bytes.len()].copy_from_slice(bytes);
    array
}

/// Plane, writer, length, root, signature.
fn run(input: &[u8]) -> bool {
    let mut script = Script::new(input);
    let plane = Plane::from_byte(script.byte()).unwrap_or(Plane::Data);
    let writer = WriterId { device: DeviceId(array(&mut script)), incarnation: Incarnation(array(&mut script)) };
    let prefix = Prefix { length: u64::from_be_bytes(array(&mut script)), root: array(&mut script) };
    let signature = array(&mut script);
    let signed = verify_head(&SpaceId([7; 32]), plane, &writer, &prefix, &signature);
    let honest = (1..4).any(|number| {
        let message = head_message(&SpaceId([7; 32]), plane, &writer, &prefix);
        key(number).verifying_key().to_bytes() == writer.device.0 && key(number).sign(&message).to_bytes() == signature
    });
    assert_eq!(signed, honest && prefix.length > 0 && prefix.length <= i64::MAX as u64, "only what was signed passes");
    signed
}

fn seeds() -> Vec<Vec<u8>> {
    let seed = |number: u8| {
        let plane = if number == 1 { Plane::Control } else { Plane::Data };
        let device = DeviceId(key(number).verifying_key().to_bytes());
        let writer = WriterId { device, incarnation: Incarnation([number; 8]) };
        let prefix = Prefix { length: u64::from(number) << (8 * number), root: [number; 32] };
        let message = head_message(&SpaceId([7; 32]), plane, &writer, &prefix);
        let signature = key(number).sign(&message).to_bytes();
        [&[plane as u8][..], &writer.to_bytes(), &prefix.length.to_be_bytes(), &prefix.root, &signature].concat()
    };
    (1..4).map(seed).collect()
}
