//! A connection between two replicas: a session on either side, and frames on the way.

use std::collections::VecDeque;

use tidewater_sync::Session;

/// How many bytes of frames may be on the way before the session is asked for no more.
pub(super) const OUTBOX_BYTES: usize = 256 << 10;

/// How many kinds of messages there may be.
pub(super) const KINDS: usize = 32;

pub(super) struct Connection {
    /// The smaller and the greater number of its replicas.
    pub(super) pair: (usize, usize),
    /// The dialer's end, then the acceptor's.
    pub(super) ends: [End; 2],
    /// Frames reach the sessions damaged.
    pub(super) damaged: bool,
}

/// One side of a connection.
pub(super) struct End {
    pub(super) replica: usize,
    /// `None`: not accepted yet, or over.
    pub(super) session: Option<Session>,
    /// The replica's clock and the world's when the session began: the session's own clock never goes back.
    pub(super) began: (i64, i64),
    /// Frames that the session was not ready for yet.
    pub(super) inbox: VecDeque<Vec<u8>>,
    /// Bytes of frames on the way from here.
    pub(super) sent_bytes: usize,
    /// When the last of them comes.
    pub(super) last_arrival_ms: i64,
    /// When the session wants to be woken, by the world's clock.
    pub(super) wake_ms: i64,
    /// A frame from here did not come through, and so no later one does.
    pub(super) stuck: bool,
    /// The end is known to be over.
    pub(super) lost: bool,
    /// Frames sent, by kind of message.
    pub(super) sent_kinds: [u64; KINDS],
}

impl End {
    pub(super) fn new(replica: usize, now_ms: i64) -> Self {
        Self {
            replica,
            session: None,
            began: (0, 0),
            inbox: VecDeque::new(),
            sent_bytes: 0,
            last_arrival_ms: now_ms,
            wake_ms: i64::MAX,
            stuck: false,
            lost: false,
            sent_kinds: [0; KINDS],
        }
    }

    /// The session's own time.
    pub(super) fn session_ms(&self, now_ms: i64) -> i64 {
        self.began.0.saturating_add(now_ms - self.began.1)
    }

    /// The world's time for a time of the session.
    pub(super) fn world_ms(&self, session_ms: i64) -> i64 {
        self.began.1.saturating_add(session_ms.saturating_sub(self.began.0))
    }
}
