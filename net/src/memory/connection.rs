//! One end of a connection within the process.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use tidewater_engine::id::DeviceId;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{Mutex, OwnedSemaphorePermit, mpsc};

use super::link::{Half, Link, Side};
use super::pipe::Pipe;
use crate::transport::{
    Addr, ChannelBinding, CloseCode, CloseReason, Connection, PathInfo, PathKind, Stream, closed_io,
};

pub(super) struct MemoryConnection {
    alive: Arc<Alive>,
    remote: Addr,
    opened: Mutex<mpsc::Receiver<Half>>,
}

/// Held by a connection and its streams; closes the connection when the last is gone.
struct Alive {
    link: Arc<Link>,
    side: Side,
}

impl Alive {
    fn ended(&self) -> Option<CloseReason> {
        self.link.ended(self.side)
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.link.close(self.side, CloseCode::Done, "");
    }
}

impl MemoryConnection {
    /// One end of `link`, whose other end is at `remote`.
    pub(super) fn new(link: Arc<Link>, side: Side, remote: Addr, opened: mpsc::Receiver<Half>) -> Self {
        Self { alive: Arc::new(Alive { link, side }), remote, opened: Mutex::new(opened) }
    }

    fn stream(&self, half: Half) -> Stream {
        let alive = (self.alive.clone(), half.permit);
        Stream {
            reader: Box::new(Kept { end: half.reader, alive: alive.clone() }),
            writer: Box::new(Kept { end: half.writer, alive }),
        }
    }
}

impl Connection for MemoryConnection {
    fn peer(&self) -> DeviceId {
        self.alive.link.device(self.alive.side.other())
    }

    fn path(&self) -> PathInfo {
        PathInfo { kind: PathKind::Memory, remote: self.remote.clone(), round_trip: None }
    }

    fn binding(&self) -> ChannelBinding {
        self.alive.link.binding()
    }

    fn open(&self) -> BoxFuture<'_, Result<Stream, CloseReason>> {
        Box::pin(async {
            let Alive { link, side } = &*self.alive;
            let open = async {
                let permit = Arc::new(link.may_open(*side).acquire_owned().await.ok()?);
                let (here, reader, their_writer) = Pipe::open();
                let (there, their_reader, writer) = Pipe::open();
                link.watch(*side, &here);
                link.watch(side.other(), &there);
                let theirs = Half { reader: their_reader, writer: their_writer, permit: permit.clone() };
                link.opened(*side).send(theirs).await.ok()?;
                Some(self.stream(Half { reader, writer, permit }))
            };
            tokio::select! {
                biased;
                reason = link.closed(*side) => Err(reason),
                Some(stream) = open => Ok(stream),
            }
        })
    }

    fn accept(&self) -> BoxFuture<'_, Result<Stream, CloseReason>> {
        Box::pin(async {
            let next = async { self.opened.lock().await.recv().await };
            tokio::select! {
                biased;
                reason = self.closed() => Err(reason),
                Some(half) = next => Ok(self.stream(half)),
            }
        })
    }

    /// Pipes within the process are narrow for everybody.
    fn widen(&self) {}

    fn close(&self, code: CloseCode, text: &str) {
        self.alive.link.close(self.alive.side, code, text);
    }

    fn closed(&self) -> BoxFuture<'_, CloseReason> {
        Box::pin(self.alive.link.closed(self.alive.side))
    }
}

impl fmt::Debug for MemoryConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryConnection({})", self.peer())
    }
}

/// The end of a pipe; it keeps its connection open.
struct Kept<End> {
    end: End,
    alive: (Arc<Alive>, Arc<OwnedSemaphorePermit>),
}

impl<End: AsyncRead + Unpin> AsyncRead for Kept<End> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = out.filled().len();
        let read = Pin::new(&mut self.end).poll_read(context, out);
        let ended = matches!(read, Poll::Ready(Ok(()))) && out.filled().len() == before && out.remaining() > 0;
        match self.alive.0.ended().filter(|_| ended) {
            // A connection that is lost takes writers with it, one after the other: that is no good order.
            Some(reason) => Poll::Ready(Err(closed_io(&reason))),
            None => read,
        }
    }
}

impl<End: AsyncWrite + Unpin> AsyncWrite for Kept<End> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.end).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.end).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.end).poll_shutdown(context)
    }
}
