//! Why connections end.

use std::fmt;

/// What the side that closes a connection tells the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum CloseCode {
    /// The connection was dropped, or nothing is left to do.
    Done,
    /// The node shuts down; it may come back.
    ShuttingDown,
    /// Both devices dialled each other; the other connection is kept.
    Duplicate,
    /// A limit is reached; later may do.
    Busy,
    /// This device does not talk to that one.
    Refused,
    /// The peer broke the protocol.
    Protocol,
    /// This side failed, the peer is not to blame.
    Internal,
    /// A code this version does not know.
    Other(u32),
}

impl CloseCode {
    /// The code on the wire.
    #[must_use]
    pub fn to_wire(self) -> u32 {
        match self {
            Self::Done => 0,
            Self::ShuttingDown => 1,
            Self::Duplicate => 2,
            Self::Busy => 3,
            Self::Refused => 4,
            Self::Protocol => 5,
            Self::Internal => 6,
            Self::Other(code) => code,
        }
    }

    /// The inverse of [`CloseCode::to_wire`].
    #[must_use]
    pub fn from_wire(code: u32) -> Self {
        match code {
            0 => Self::Done,
            1 => Self::ShuttingDown,
            2 => Self::Duplicate,
            3 => Self::Busy,
            4 => Self::Refused,
            5 => Self::Protocol,
            6 => Self::Internal,
            code => Self::Other(code),
        }
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::ShuttingDown => f.write_str("shutting down"),
            Self::Duplicate => f.write_str("another connection is kept"),
            Self::Busy => f.write_str("busy"),
            Self::Refused => f.write_str("refused"),
            Self::Protocol => f.write_str("protocol broken"),
            Self::Internal => f.write_str("internal failure"),
            Self::Other(code) => write!(f, "code {code}"),
        }
    }
}

/// Why a connection is closed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// This side closed it.
    #[error("closed here: {code}{}", detail(.text))]
    Local {
        /// With this code.
        code: CloseCode,
        /// And this explanation.
        text: String,
    },
    /// The peer closed it.
    #[error("closed by the peer: {code}{}", detail(.text))]
    Peer {
        /// With this code.
        code: CloseCode,
        /// And this explanation: printable, at most [`CloseReason::MAX_TEXT_BYTES`].
        text: String,
    },
    /// Nothing was heard from the peer any more, or the path broke.
    #[error("connection lost: {text}")]
    Lost {
        /// What the transport knows about it.
        text: String,
    },
}

impl CloseReason {
    /// The longest explanation, in bytes of UTF-8.
    pub const MAX_TEXT_BYTES: usize = 256;

    /// What a peer gave as an explanation, made fit to be shown: cut, and without control characters.
    #[must_use]
    pub(crate) fn peer(code: CloseCode, text: &[u8]) -> Self {
        let text = String::from_utf8_lossy(&text[..text.len().min(Self::MAX_TEXT_BYTES)]);
        let text: String = text.chars().filter(|character| !character.is_control()).collect();
        Self::Peer { code, text: Self::cut(&text).to_owned() }
    }

    /// This side's own explanation, cut to what is sent.
    #[must_use]
    pub(crate) fn local(code: CloseCode, text: &str) -> Self {
        Self::Local { code, text: Self::cut(text).to_owned() }
    }

    /// The part of an explanation that is sent.
    #[must_use]
    pub(crate) fn cut(text: &str) -> &str {
        let mut end = text.len().min(Self::MAX_TEXT_BYTES);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        &text[..end]
    }
}

fn detail(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(" ({text})") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_round_trip() {
        for code in (0..10).chain([u32::MAX]) {
            assert_eq!(CloseCode::from_wire(code).to_wire(), code);
        }
    }

    #[test]
    fn a_peers_explanation_is_cut_and_cleaned() {
        let CloseReason::Peer { text, .. } = CloseReason::peer(CloseCode::Done, b"a\x1b[31m\nb\xff") else { panic!() };
        assert_eq!(text, "a[31mb\u{fffd}");
        let CloseReason::Peer { text, .. } = CloseReason::peer(CloseCode::Done, "\u{e4}".repeat(500).as_bytes()) else {
            panic!()
        };
        assert_eq!(text.len(), 256);
        let CloseReason::Peer { text, .. } = CloseReason::peer(CloseCode::Done, &[0xff; 256]) else { panic!() };
        assert!(text.len() <= CloseReason::MAX_TEXT_BYTES);
    }
}
