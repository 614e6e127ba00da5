//! Frames of the control door.

use std::io::{self, Read, Write};

/// The largest frame, in bytes.
pub(super) const MAX_FRAME_BYTES: usize = 1 << 20;
/// How much of a stream goes into one frame, in bytes.
pub(super) const CHUNK_BYTES: usize = 64 * 1024;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// Client: the arguments and the folder, as JSON. The first frame.
    Command = 1,
    /// Client: a part of its standard input; empty: its end.
    Input = 2,
    /// Client: stop, please.
    Interrupt = 3,
    /// Server: a part of standard output.
    Output = 4,
    /// Server: send your input.
    WantInput = 5,
    /// Server: a line for standard error, with the exit code before it. The last frame.
    Exit = 6,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        [Self::Command, Self::Input, Self::Interrupt, Self::Output, Self::WantInput, Self::Exit]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// Writes a frame.
pub(super) fn write(mut to: impl Write, kind: Kind, content: &[u8]) -> io::Result<()> {
    let length = u32::try_from(content.len()).map_err(io::Error::other)?;
    let mut frame = Vec::with_capacity(5 + content.len());
    frame.push(kind as u8);
    frame.extend(length.to_be_bytes());
    frame.extend(content);
    to.write_all(&frame)
}

/// Reads a frame; `None` at the end.
pub(super) fn read(mut from: impl Read) -> io::Result<Option<(Kind, Vec<u8>)>> {
    let mut head = [0; 5];
    match from.read_exact(&mut head) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let wrong = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why);
    let kind = Kind::from_byte(head[0]).ok_or_else(|| wrong("an unknown frame"))?;
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
    if length > MAX_FRAME_BYTES {
        return Err(wrong("a frame is too long"));
    }
    let mut content = vec![0; length];
    from.read_exact(&mut content)?;
    Ok(Some((kind, content)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_round_trip_and_nonsense_is_refused() {
        let mut bytes = Vec::new();
        write(&mut bytes, Kind::Output, b"abc").unwrap();
        write(&mut bytes, Kind::Interrupt, b"").unwrap();
        let mut from = bytes.as_slice();
        assert_eq!(read(&mut from).unwrap(), Some((Kind::Output, b"abc".to_vec())));
        assert_eq!(read(&mut from).unwrap(), Some((Kind::Interrupt, Vec::new())));
        assert_eq!(read(&mut from).unwrap(), None);
        assert!(read([9, 0, 0, 0, 0].as_slice()).is_err());
        assert!(read([4, 255, 255, 255, 255].as_slice()).is_err());
        assert!(read([4, 0, 0, 0, 2, 1].as_slice()).is_err());
    }
}
