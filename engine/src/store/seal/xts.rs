//! AES-256-XTS (IEEE 1619) over sectors of 4096 bytes, of which any whole blocks are sealed and opened by themselves.

use aes::Aes256;
use aes::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use zeroize::Zeroizing;

use super::KEY_BYTES;

/// The unit with a number of its own, in bytes.
pub(super) const SECTOR_BYTES: usize = 4096;
/// What is sealed at once, in bytes.
pub(super) const BLOCK_BYTES: usize = 16;
const SECTOR_BLOCKS: usize = SECTOR_BYTES / BLOCK_BYTES;

const CONTEXT: &str = "tidewater seal 1 sectors";

type Block = aes::Block;

/// The two keys of the sectors.
pub(super) struct Xts {
    data: Aes256,
    tweak: Aes256,
}

impl Xts {
    /// With the keys that belong to a database key.
    pub fn new(database_key: &[u8; KEY_BYTES]) -> Self {
        let mut keys = Zeroizing::new([0; 64]);
        blake3::Hasher::new_derive_key(CONTEXT).update(database_key).finalize_xof().fill(&mut *keys);
        Self::of(&keys)
    }

    fn of(keys: &[u8; 64]) -> Self {
        let (data, tweak) = keys.split_at(32);
        let cipher = |key| Aes256::new_from_slice(key).expect("32 bytes");
        Self { data: cipher(data), tweak: cipher(tweak) }
    }

    /// What each block of a stretch within one sector is masked with.
    fn masks(&self, sector: u64, first: usize, out: &mut [Block]) {
        let mut mask = Array(u128::from(sector).to_le_bytes());
        self.tweak.encrypt_block(&mut mask);
        let mut mask = u128::from_le_bytes(mask.0);
        for _ in 0..first {
            mask = doubled(mask);
        }
        for place in out {
            *place = Array(mask.to_le_bytes());
            mask = doubled(mask);
        }
    }

    /// Seals whole blocks that start at an offset.
    pub fn seal(&self, offset: u64, bytes: &mut [u8]) {
        self.each_sector(offset, bytes, |blocks, masks| {
            mask(blocks, masks);
            self.data.encrypt_blocks(blocks);
            mask(blocks, masks);
        });
    }

    /// Opens whole blocks that start at an offset. A block of zeros was never written, and is one of zeros.
    pub fn open(&self, offset: u64, bytes: &mut [u8]) {
        self.each_sector(offset, bytes, |blocks, masks| {
            let mut is_hole = [false; SECTOR_BLOCKS];
            for (is_hole, block) in is_hole.iter_mut().zip(&*blocks) {
                *is_hole = u128::from_ne_bytes(block.0) == 0;
            }
            mask(blocks, masks);
            self.data.decrypt_blocks(blocks);
            mask(blocks, masks);
            for (_, block) in is_hole.iter().zip(blocks).filter(|(is_hole, _)| **is_hole) {
                *block = Block::default();
            }
        });
    }

    fn each_sector(&self, offset: u64, bytes: &mut [u8], work: impl Fn(&mut [Block], &[Block])) {
        let (blocks, rest) = Block::slice_as_chunks_mut(bytes);
        debug_assert!(rest.is_empty() && offset.is_multiple_of(BLOCK_BYTES as u64));
        let mut masks = [Block::default(); SECTOR_BLOCKS];
        let (mut sector, first) = (offset / SECTOR_BYTES as u64, (offset % SECTOR_BYTES as u64) as usize);
        let (mut blocks, mut first) = (blocks, first / BLOCK_BYTES);
        while !blocks.is_empty() {
            let (now, later) = blocks.split_at_mut(blocks.len().min(SECTOR_BLOCKS - first));
            let masks = &mut masks[..now.len()];
            self.masks(sector, first, masks);
            work(now, masks);
            (blocks, sector, first) = (later, sector + 1, 0);
        }
    }
}

fn mask(blocks: &mut [Block], masks: &[Block]) {
    for (block, mask) in blocks.iter_mut().zip(masks) {
        *block = Array((u128::from_ne_bytes(block.0) ^ u128::from_ne_bytes(mask.0)).to_ne_bytes());
    }
}

/// Times x in the field of 2^128 elements, as the standard numbers its bits.
fn doubled(mask: u128) -> u128 {
    (mask << 1) ^ (0x87 * (mask >> 127))
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;
    use crate::value::sample::Sampler;

    /// Vector 10 of IEEE 1619-2007: AES-256, a data unit of 512 bytes with number ff.
    #[test]
    fn a_sector_is_sealed_as_the_standard_says() {
        let key = "27182818284590452353602874713526624977572470936999595749669676273141592653589793238462643383279502884197169399375105820974944592";
        let keys: [u8; 64] = HEXLOWER.decode(key.as_bytes()).unwrap().try_into().unwrap();
        let xts = Xts::of(&keys);
        let mut bytes: Vec<u8> = (0..512).map(|at| at as u8).collect();
        xts.seal(0xff * SECTOR_BYTES as u64, &mut bytes);
        let first = "1c3b3a102f770386e4836c99e370cf9bea00803f5e482357a4ae12d414a3e63b";
        assert_eq!(HEXLOWER.encode(&bytes[..32]), first);
        xts.open(0xff * SECTOR_BYTES as u64, &mut bytes);
        assert!(bytes.iter().enumerate().all(|(at, byte)| *byte == at as u8));
    }

    /// The crate `xts-mode` knows whole sectors only, one block at a time.
    #[test]
    fn any_blocks_are_sealed_as_within_their_whole_sector_by_another_implementation() {
        for seed in 0..200 {
            let mut sampler = Sampler::new(seed);
            let mut keys = [0; 64];
            keys.fill_with(|| sampler.below(256) as u8);
            let cipher = |key| Aes256::new_from_slice(key).unwrap();
            let other = xts_mode::Xts128::new(cipher(&keys[..32]), cipher(&keys[32..]));
            let xts = Xts::of(&keys);
            let plain: Vec<u8> = (0..4 * SECTOR_BYTES).map(|_| sampler.below(256) as u8).collect();
            let sector = sampler.below(1 << 30) as u64;
            let mut expected = plain.clone();
            other.encrypt_area(&mut expected, SECTOR_BYTES, sector.into(), xts_mode::get_tweak_default);
            let from = sampler.below(4 * SECTOR_BLOCKS) * BLOCK_BYTES;
            let to = from + (sampler.below((plain.len() - from) / BLOCK_BYTES) + 1) * BLOCK_BYTES;
            let mut bytes = plain[from..to].to_vec();
            let offset = sector * SECTOR_BYTES as u64 + from as u64;
            xts.seal(offset, &mut bytes);
            assert!(bytes == expected[from..to], "seed {seed}: {from} to {to}");
            xts.open(offset, &mut bytes);
            assert!(bytes == plain[from..to], "seed {seed}: {from} to {to}");
        }
    }
}
