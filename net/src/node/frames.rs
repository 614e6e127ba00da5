//! Frames on a stream: a length, and as many bytes.

use std::sync::Arc;

use tidewater_sync::session::MAX_FRAME_BYTES;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What a frame takes beside its bytes, at most: so many bytes are charged for it.
pub(super) const FRAME_OVERHEAD_BYTES: usize = 64;

/// Memory that a frame gets before its bytes are there: a claimed length costs the claimant.
const FIRST_CAPACITY_BYTES: usize = 64 << 10;
/// The longest spelling of a length: seven bits a byte.
const LENGTH_BYTES_MAX: usize = 3;

/// Why no frame came.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The peer announced an empty frame, one that is too large, or one in another than the shortest spelling.
    #[error(
        "the peer announced a frame of {length} bytes, or spelled it at length; frames have 1 to {MAX_FRAME_BYTES}"
    )]
    Length {
        /// What it announced, in bytes. 4,294,967,295: more than it takes to say.
        length: u32,
    },
    /// The stream ended in the middle of a frame.
    #[error("the stream ended in the middle of a frame")]
    Truncated,
    /// The stream failed.
    #[error("the stream failed: {text}")]
    Stream {
        /// What the transport says.
        text: String,
    },
}

/// A frame that was read.
#[derive(Debug)]
pub(super) struct ReadFrame {
    pub bytes: Vec<u8>,
    /// How many bytes it had on the stream.
    pub on_stream: usize,
    /// What is held of the room for frames until nobody needs its bytes any more.
    pub charge: OwnedSemaphorePermit,
}

/// Reads the next frame as soon as there is `room` for it, in bytes; `None` when the stream ended between frames.
pub(super) async fn read_frame(
    reader: &mut (impl AsyncRead + Unpin),
    room: &Arc<Semaphore>,
) -> Result<Option<ReadFrame>, FrameError> {
    let Some((bytes, spelled)) = read_length(reader).await? else { return Ok(None) };
    let charge = room.clone().acquire_many_owned((bytes + FRAME_OVERHEAD_BYTES) as u32).await;
    let charge = charge.map_err(|_| FrameError::Stream { text: "nobody takes frames any more".to_owned() })?;
    let mut frame = Vec::with_capacity(bytes.min(FIRST_CAPACITY_BYTES));
    reader.take(bytes as u64).read_to_end(&mut frame).await.map_err(failed)?;
    if frame.len() < bytes {
        return Err(FrameError::Truncated);
    }
    Ok(Some(ReadFrame { bytes: frame, on_stream: spelled + bytes, charge }))
}

/// Reads a length, and how many bytes spelled it.
async fn read_length(reader: &mut (impl AsyncRead + Unpin)) -> Result<Option<(usize, usize)>, FrameError> {
    let mut length = 0u32;
    for at in 0..LENGTH_BYTES_MAX {
        let mut byte = [0];
        if reader.read(&mut byte).await.map_err(failed)? == 0 {
            return if at == 0 { Ok(None) } else { Err(FrameError::Truncated) };
        }
        length |= u32::from(byte[0] & 0x7f) << (7 * at);
        if byte[0] & 0x80 == 0 {
            let frame = 1..=MAX_FRAME_BYTES as u32;
            let shortest = byte[0] != 0 || at == 0;
            let valid = shortest && frame.contains(&length);
            return if valid { Ok(Some((length as usize, at + 1))) } else { Err(FrameError::Length { length }) };
        }
    }
    Err(FrameError::Length { length: u32::MAX })
}

fn failed(error: std::io::Error) -> FrameError {
    FrameError::Stream { text: error.to_string() }
}

/// Writes one frame of 1 to [`MAX_FRAME_BYTES`] bytes. Gives how many bytes it had on the stream.
pub(super) async fn write_frame(writer: &mut (impl AsyncWrite + Unpin), frame: &[u8]) -> std::io::Result<usize> {
    let (mut spelled, mut at, mut rest) = ([0; LENGTH_BYTES_MAX], 0, frame.len());
    while rest >= 0x80 {
        spelled[at] = rest as u8 | 0x80;
        rest >>= 7;
        at += 1;
    }
    spelled[at] = rest as u8;
    writer.write_all(&spelled[..=at]).await?;
    writer.write_all(frame).await?;
    Ok(at + 1 + frame.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read_all(mut bytes: &[u8]) -> (Vec<Vec<u8>>, Option<FrameError>) {
        let room = Arc::new(Semaphore::new(MAX_FRAME_BYTES + FRAME_OVERHEAD_BYTES));
        let mut frames = Vec::new();
        loop {
            match read_frame(&mut bytes, &room).await {
                Ok(Some(frame)) => frames.push(frame.bytes),
                Ok(None) => return (frames, None),
                Err(error) => return (frames, Some(error)),
            }
        }
    }

    #[tokio::test]
    async fn frames_round_trip_up_to_the_largest() {
        let frames = vec![vec![1], vec![2; 127], vec![2; 128], vec![2; 16_384], vec![3; MAX_FRAME_BYTES]];
        let mut wire = Vec::new();
        for (frame, spelled) in frames.iter().zip([1, 1, 2, 3, 3]) {
            assert_eq!(write_frame(&mut wire, frame).await.unwrap(), spelled + frame.len());
        }
        assert_eq!(read_all(&wire).await, (frames, None));
    }

    #[tokio::test]
    async fn what_is_no_frame_is_refused() {
        for (wire, error) in [
            (&[0][..], FrameError::Length { length: 0 }),
            (&[0x81, 0x80, 0x18], FrameError::Length { length: MAX_FRAME_BYTES as u32 + 1 }),
            (&[0xff, 0xff, 0xff, 1], FrameError::Length { length: u32::MAX }),
            (&[0x82, 0, 1, 2], FrameError::Length { length: 2 }),
            (&[0x80], FrameError::Truncated),
            (&[5, 1, 2], FrameError::Truncated),
        ] {
            assert_eq!(read_all(wire).await, (vec![], Some(error)));
        }
    }
}
