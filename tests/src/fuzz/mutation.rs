//! Changing bytes at random, in the ways in which decoders go wrong.

use crate::random::Random;

/// Numbers at which lengths, counts and varints turn.
const EDGES: &[&[u8]] = &[
    &[0],
    &[1],
    &[0x7f],
    &[0x80],
    &[0xff],
    &[0x80, 0x00],
    &[0x80, 0x01],
    &[0xff, 0xff, 0x03],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
    &[0, 0, 0, 0, 0, 0, 0, 0],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    &[0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
];

/// One of `inputs`, changed in one to four places, and at most `most` bytes long.
pub(super) fn mutated(inputs: &[Vec<u8>], most: usize, random: &mut Random) -> Vec<u8> {
    let mut bytes = if inputs.is_empty() || random.one_in(50) { Vec::new() } else { random.pick(inputs).clone() };
    for _ in 0..1 + random.below(4) {
        change(&mut bytes, inputs, random);
    }
    bytes.truncate(most);
    bytes
}

fn change(bytes: &mut Vec<u8>, inputs: &[Vec<u8>], random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    let most = 1 << random.below(7);
    let length = 1 + random.below(most);
    let end = bytes.len().min(at + length);
    match random.below(11) {
        0 => xor(bytes, at, 1 << random.below(8)),
        1 => xor(bytes, at, random.number() as u8),
        2 => overwrite(bytes, at, EDGES[random.below(EDGES.len())]),
        3 => drop(bytes.splice(at..at, EDGES[random.below(EDGES.len())].iter().copied())),
        4 => drop(bytes.splice(at..at, (0..length).map(|_| random.number() as u8).collect::<Vec<_>>())),
        5 => drop(bytes.drain(at..end)),
        6 => bytes.truncate(at),
        7 => {
            let again = bytes[at..end].to_vec();
            drop(bytes.splice(at..at, again));
        }
        8 => {
            let moved: Vec<u8> = bytes.drain(at..end).collect();
            let to = random.below(bytes.len() + 1);
            drop(bytes.splice(to..to, moved));
        }
        9 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = byte.wrapping_add(if random.one_in(2) { 1 } else { u8::MAX });
            }
        }
        _ if inputs.is_empty() => {}
        _ => {
            let other = random.pick(inputs);
            let from = random.below(other.len() + 1);
            let part = &other[from..other.len().min(from + length * 4)];
            drop(bytes.splice(at..end, part.iter().copied()));
        }
    }
}

fn xor(bytes: &mut [u8], at: usize, with: u8) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= with;
    }
}

fn overwrite(bytes: &mut [u8], at: usize, with: &[u8]) {
    bytes.iter_mut().skip(at).zip(with).for_each(|(byte, new)| *byte = *new);
}
