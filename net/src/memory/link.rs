//! What the two ends of a connection share.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use tidewater_engine::id::DeviceId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use super::pipe::{Pipe, Reader, Writer};
use crate::transport::{ChannelBinding, CloseCode, CloseReason};

/// Streams that each side may have open at once.
pub(super) const MAX_STREAMS: usize = 256;

/// One end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Dialer = 0,
    Acceptor = 1,
}

impl Side {
    pub(super) fn other(self) -> Self {
        match self {
            Self::Dialer => Self::Acceptor,
            Self::Acceptor => Self::Dialer,
        }
    }
}

/// One side's half of a stream.
#[derive(Debug)]
pub(super) struct Half {
    pub(super) reader: Reader,
    pub(super) writer: Writer,
    /// Counts the stream against the opener's limit until both halves are gone.
    pub(super) permit: Arc<OwnedSemaphorePermit>,
}

/// How a connection ended.
#[derive(Debug, Clone)]
enum End {
    Closed { by: Side, code: CloseCode, text: String },
    Lost { text: String },
}

impl End {
    fn seen_from(&self, side: Side) -> CloseReason {
        match self {
            Self::Closed { by, code, text } if *by == side => CloseReason::local(*code, text),
            Self::Closed { code, text, .. } => CloseReason::peer(*code, text.as_bytes()),
            Self::Lost { text } => CloseReason::Lost { text: text.clone() },
        }
    }
}

/// A connection, seen from above.
#[derive(Debug)]
pub(super) struct Link {
    devices: [DeviceId; 2],
    binding: ChannelBinding,
    end: watch::Sender<Option<End>>,
    pipes: Mutex<Vec<(Side, Weak<Pipe>)>>,
    /// Streams that the other side opened, to be accepted by the side of this index.
    opened: [mpsc::Sender<Half>; 2],
    /// How many streams the side of this index may still open.
    may_open: [Arc<Semaphore>; 2],
}

impl Link {
    /// A link between a dialer and an acceptor, and the queue of opened streams for each.
    pub(super) fn new(number: u64, devices: [DeviceId; 2]) -> (Arc<Self>, [mpsc::Receiver<Half>; 2]) {
        // Within a process there is nobody to keep it from: it only has to differ from every other link's.
        let mut binding = [0; 32];
        binding[..8].copy_from_slice(&number.to_be_bytes());
        let [(to_dialer, dialer), (to_acceptor, acceptor)] = [(); 2].map(|()| mpsc::channel(MAX_STREAMS));
        let link = Self {
            devices,
            binding: ChannelBinding(binding),
            end: watch::Sender::new(None),
            pipes: Mutex::default(),
            opened: [to_dialer, to_acceptor],
            may_open: [(); 2].map(|()| Arc::new(Semaphore::new(MAX_STREAMS))),
        };
        (Arc::new(link), [dialer, acceptor])
    }

    pub(super) fn device(&self, side: Side) -> DeviceId {
        self.devices[side as usize]
    }

    pub(super) fn joins(&self, one: DeviceId, other: DeviceId) -> bool {
        self.devices == [one, other] || self.devices == [other, one]
    }

    pub(super) fn binding(&self) -> ChannelBinding {
        self.binding
    }

    pub(super) fn opened(&self, by: Side) -> &mpsc::Sender<Half> {
        &self.opened[by.other() as usize]
    }

    pub(super) fn may_open(&self, side: Side) -> Arc<Semaphore> {
        self.may_open[side as usize].clone()
    }

    /// Watches over a pipe: it fails with the connection. `reader` is the side that reads it.
    pub(super) fn watch(&self, reader: Side, pipe: &Arc<Pipe>) {
        let mut pipes = self.pipes.lock().unwrap_or_else(PoisonError::into_inner);
        pipes.retain(|(_, pipe)| pipe.strong_count() > 0);
        pipes.push((reader, Arc::downgrade(pipe)));
        let end = self.end.borrow().clone();
        if let Some(end) = end {
            pipe.fail(end.seen_from(reader));
        }
    }

    /// Closes the connection in good order. Only the first end counts.
    pub(super) fn close(&self, by: Side, code: CloseCode, text: &str) {
        self.finish(End::Closed { by, code, text: CloseReason::cut(text).to_owned() });
    }

    /// Breaks the connection; false when it was closed before.
    pub(super) fn lose(&self, text: &str) -> bool {
        self.finish(End::Lost { text: text.to_owned() })
    }

    fn finish(&self, end: End) -> bool {
        let first = self.end.send_if_modified(|current| {
            let first = current.is_none();
            if first {
                *current = Some(end.clone());
            }
            first
        });
        if first {
            for (reader, pipe) in self.pipes.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
                if let Some(pipe) = pipe.upgrade() {
                    pipe.fail(end.seen_from(reader));
                }
            }
        }
        first
    }

    /// How the connection ended, if it did, as it looks from `side`.
    pub(super) fn ended(&self, side: Side) -> Option<CloseReason> {
        self.end.borrow().as_ref().map(|end| end.seen_from(side))
    }

    /// Waits for the end, as it looks from `side`.
    pub(super) async fn closed(&self, side: Side) -> CloseReason {
        let mut end = self.end.subscribe();
        // The sender lives in `self`, so the channel cannot close before there is an end.
        let end = end.wait_for(Option::is_some).await.ok().and_then(|end| end.clone());
        end.map_or(CloseReason::Lost { text: String::new() }, |end| end.seen_from(side))
    }
}
