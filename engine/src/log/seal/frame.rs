//! The plaintext of a body: a chunk, compressed where that helps, padded to a length that says little about it.

use zstd::zstd_safe::{self, CCtx, CParameter, DCtx};

use crate::codec::{Reader, put_varint};

/// The largest chunk, in bytes, before compression.
pub const CHUNK_BYTES_MAX: usize = 192 * 1024;
/// The compression level that entries are written with. Not part of the format. On chunks of package records level 1 took
/// 1.3 µs for a record and left 23 % of its bytes; level 3 took 1.8 µs and left 24 %.
pub const ZSTD_LEVEL: i32 = 1;

/// Set in the first number of a frame whose payload is compressed.
const ZSTD: u64 = 1;
/// A chunk this short is stored: it hardly compresses, and trying costs more than everything else of a small commit.
const STORED_BYTES_MAX: usize = 128;
/// Two varints of at most three bytes.
const FRAME_HEAD_BYTES_MAX: usize = 6;
/// Of a zstd frame header's descriptor: all but the size of the content size.
const DESCRIPTOR_MASK: u8 = 0b0011_1111;
/// One segment, no checksum, no dictionary: decoders need no window, so all of them agree on what they accept.
const DESCRIPTOR: u8 = 0b0010_0000;

/// The PADMÉ length of `length` bytes: reveals O(log log) bits of it and adds at most 12 %.
#[must_use]
pub fn padme(length: usize) -> usize {
    if length < 2 {
        return length;
    }
    let exponent = length.ilog2();
    let kept_bits = exponent.ilog2() + 1;
    let unit = 1usize << (exponent - kept_bits);
    length.saturating_add(unit - 1) & !(unit - 1)
}

/// Makes frames. The context is costly to make and is kept.
pub(super) struct Packer {
    context: CCtx<'static>,
    compressed: Vec<u8>,
}

impl Default for Packer {
    fn default() -> Self {
        let mut context = CCtx::create();
        // Every build of zstd has this level; one that had not would use its own, and the format does not mind.
        let _ = context.set_parameter(CParameter::CompressionLevel(ZSTD_LEVEL));
        Self { context, compressed: vec![0; CHUNK_BYTES_MAX] }
    }
}

impl Packer {
    /// The frame of `chunk`, which has at most [`CHUNK_BYTES_MAX`] bytes, with room for `spare` more bytes.
    pub fn pack(&mut self, chunk: &[u8], spare: usize) -> Vec<u8> {
        let compressed = self.compress(chunk);
        let payload = compressed.unwrap_or(chunk);
        let mut frame = Vec::with_capacity(padme(payload.len() + FRAME_HEAD_BYTES_MAX) + spare);
        put_varint(&mut frame, (chunk.len() as u64) << 1 | if compressed.is_some() { ZSTD } else { 0 });
        if compressed.is_some() {
            put_varint(&mut frame, payload.len() as u64);
        }
        frame.extend_from_slice(payload);
        frame.resize(padme(frame.len()), 0);
        frame
    }

    /// The compressed bytes, if they are fewer.
    fn compress(&mut self, chunk: &[u8]) -> Option<&[u8]> {
        if chunk.len() <= STORED_BYTES_MAX {
            return None;
        }
        let room = self.compressed.get_mut(..chunk.len() - 1)?;
        let length = self.context.compress2(room, chunk).ok()?;
        let payload = self.compressed.get(..length)?;
        is_plain_zstd_frame(payload, chunk.len()).then_some(payload)
    }
}

/// Reads frames. The context is costly to make and is kept.
pub(super) struct Unpacker {
    context: DCtx<'static>,
}

impl Default for Unpacker {
    fn default() -> Self {
        Self { context: DCtx::create() }
    }
}

impl Unpacker {
    /// The chunk in `frame`, or what is wrong with it.
    pub fn unpack(&mut self, frame: &[u8]) -> Result<Vec<u8>, &'static str> {
        let mut reader = Reader::new(frame);
        let cut_short = |_| "the frame is cut short";
        let first = reader.varint().map_err(cut_short)?;
        let (raw_length, compressed) = (first >> 1, first & ZSTD != 0);
        if raw_length > CHUNK_BYTES_MAX as u64 && !planted!(BombInflated) {
            return Err("the chunk's length");
        }
        let payload_length = if compressed { reader.varint().map_err(cut_short)? } else { raw_length };
        if compressed && payload_length >= raw_length {
            return Err("a payload that is not shorter");
        }
        let (raw_length, payload_length) = (raw_length as usize, payload_length as usize);
        let payload = reader.take(payload_length).map_err(cut_short)?;
        if frame.len() != padme(reader.position()) {
            return Err("the padding's length");
        }
        if frame[reader.position()..].iter().any(|byte| *byte != 0) {
            return Err("the padding's bytes");
        }
        if compressed { self.decompress(payload, raw_length) } else { Ok(payload.to_vec()) }
    }

    fn decompress(&mut self, payload: &[u8], raw_length: usize) -> Result<Vec<u8>, &'static str> {
        if !is_plain_zstd_frame(payload, raw_length) {
            return Err("the compressed payload's header");
        }
        let mut chunk = vec![0; raw_length];
        // A frame that holds more or less than it announces is an error of zstd.
        self.context.decompress(chunk.as_mut_slice(), payload).map_err(|_| "the compressed payload")?;
        Ok(chunk)
    }
}

/// Whether `payload` is exactly one zstd frame of one segment, without checksum and dictionary, that announces `raw_length`.
fn is_plain_zstd_frame(payload: &[u8], raw_length: usize) -> bool {
    payload.get(4).is_some_and(|descriptor| descriptor & DESCRIPTOR_MASK == DESCRIPTOR)
        && matches!(zstd_safe::get_frame_content_size(payload), Ok(Some(length)) if length == raw_length as u64)
        && zstd_safe::find_frame_compressed_size(payload) == Ok(payload.len())
}
