//! Frames on a stream: a length of four bytes, most significant first, and as many bytes.

use tidewater_sync::session::MAX_FRAME_BYTES;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Memory that a frame gets before its bytes are there: a claimed length costs the claimant.
const FIRST_CAPACITY_BYTES: usize = 64 << 10;

/// Why no frame came.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The peer announced an empty frame or one that is too large.
    #[error("the peer announced a frame of {length} bytes; frames have 1 to {MAX_FRAME_BYTES}")]
    Length {
        /// What it announced, in bytes.
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

/// Reads the next frame; `None` when the stream ended between frames.
pub(super) async fn read_frame(reader: &mut (impl AsyncRead + Unpin)) -> Result<Option<Vec<u8>>, FrameError> {
    let failed = |error: std::io::Error| FrameError::Stream { text: error.to_string() };
    let mut header = [0; 4];
    let mut filled = 0;
    while filled < header.len() {
        match reader.read(&mut header[filled..]).await.map_err(failed)? {
            0 if filled == 0 => return Ok(None),
            0 => return Err(FrameError::Truncated),
            length => filled += length,
        }
    }
    let length = u32::from_be_bytes(header);
    let bytes = length as usize;
    if bytes == 0 || bytes > MAX_FRAME_BYTES {
        return Err(FrameError::Length { length });
    }
    let mut frame = Vec::with_capacity(bytes.min(FIRST_CAPACITY_BYTES));
    reader.take(u64::from(length)).read_to_end(&mut frame).await.map_err(failed)?;
    if frame.len() < bytes { Err(FrameError::Truncated) } else { Ok(Some(frame)) }
}

/// Writes one frame of 1 to [`MAX_FRAME_BYTES`] bytes.
pub(super) async fn write_frame(writer: &mut (impl AsyncWrite + Unpin), frame: &[u8]) -> std::io::Result<()> {
    writer.write_all(&(frame.len() as u32).to_be_bytes()).await?;
    writer.write_all(frame).await
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read_all(mut bytes: &[u8]) -> (Vec<Vec<u8>>, Option<FrameError>) {
        let mut frames = Vec::new();
        loop {
            match read_frame(&mut bytes).await {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => return (frames, None),
                Err(error) => return (frames, Some(error)),
            }
        }
    }

    #[tokio::test]
    async fn frames_round_trip_up_to_the_largest() {
        let frames = vec![vec![1], vec![2; 100], vec![3; MAX_FRAME_BYTES]];
        let mut wire = Vec::new();
        for frame in &frames {
            write_frame(&mut wire, frame).await.unwrap();
        }
        assert_eq!(read_all(&wire).await, (frames, None));
    }

    #[tokio::test]
    async fn what_is_no_frame_is_refused() {
        let too_long = (MAX_FRAME_BYTES as u32 + 1).to_be_bytes();
        for (wire, error) in [
            (&[0, 0, 0, 0][..], FrameError::Length { length: 0 }),
            (&too_long, FrameError::Length { length: MAX_FRAME_BYTES as u32 + 1 }),
            (b"GET / HTTP/1.1\r\n\r\n", FrameError::Length { length: 0x4745_5420 }),
            (&[0, 0], FrameError::Truncated),
            (&[0, 0, 0, 5, 1, 2], FrameError::Truncated),
        ] {
            assert_eq!(read_all(wire).await, (vec![], Some(error)));
        }
    }
}
