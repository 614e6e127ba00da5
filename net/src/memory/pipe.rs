//! One direction of a stream: a bounded queue of bytes.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::transport::CloseReason;

/// How many bytes a writer is ahead of its reader at most.
const CAPACITY_BYTES: usize = 256 << 10;

/// What reader and writer share.
#[derive(Debug)]
pub(super) struct Pipe {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    bytes: VecDeque<u8>,
    ended: bool,
    reader_gone: bool,
    failed: Option<CloseReason>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl State {
    fn wake(&mut self) {
        for waker in [self.reader.take(), self.writer.take()].into_iter().flatten() {
            waker.wake();
        }
    }
}

impl Pipe {
    /// Makes a pipe, its reader and its writer.
    pub(super) fn open() -> (Arc<Self>, Reader, Writer) {
        let pipe = Arc::new(Self { state: Mutex::default() });
        (pipe.clone(), Reader(pipe.clone()), Writer(pipe))
    }

    /// Lets reads and writes fail from now on. Bytes that are not read yet are lost.
    pub(super) fn fail(&self, reason: CloseReason) {
        let mut state = self.state();
        state.bytes.clear();
        state.failed = Some(reason);
        state.wake();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The reading end.
#[derive(Debug)]
pub(super) struct Reader(Arc<Pipe>);

impl AsyncRead for Reader {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut state = self.0.state();
        if let Some(reason) = &state.failed {
            return Poll::Ready(Err(crate::transport::closed_io(reason)));
        }
        if state.bytes.is_empty() {
            if state.ended || out.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            state.reader = Some(context.waker().clone());
            return Poll::Pending;
        }
        let (front, _) = state.bytes.as_slices();
        let length = front.len().min(out.remaining());
        out.put_slice(&front[..length]);
        state.bytes.drain(..length);
        state.wake();
        Poll::Ready(Ok(()))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.reader_gone = true;
        state.bytes = VecDeque::new();
        state.wake();
    }
}

/// The writing end.
#[derive(Debug)]
pub(super) struct Writer(Arc<Pipe>);

impl AsyncWrite for Writer {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = self.0.state();
        if let Some(reason) = &state.failed {
            return Poll::Ready(Err(crate::transport::closed_io(reason)));
        }
        if state.ended || state.reader_gone {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let length = bytes.len().min(CAPACITY_BYTES - state.bytes.len());
        if length == 0 && !bytes.is_empty() {
            state.writer = Some(context.waker().clone());
            return Poll::Pending;
        }
        state.bytes.extend(&bytes[..length]);
        state.wake();
        Poll::Ready(Ok(length))
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.0.state();
        state.ended = true;
        state.wake();
        Poll::Ready(Ok(()))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.ended = true;
        state.wake();
    }
}
