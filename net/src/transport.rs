//! What a transport is: authenticated connections of streams between devices, whatever carries them.
//!
//! A [`Transport`] listens and dials; both give [`Connection`]s whose peer has *proven* its device key. A connection
//! carries any number of [`Stream`]s and names its channel by a [`ChannelBinding`] that both ends, and nobody else,
//! know: the session's hello signs it, so nothing can be relayed or replayed.
//!
//! Every transport passes the one suite in `tests/conformance.rs`; what is promised here is what that suite checks.

pub mod address;
pub mod close;
pub mod error;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tidewater_engine::id::DeviceId;
use tokio::io::{AsyncRead, AsyncWrite};

pub use address::{Addr, AddrError};
pub use close::{CloseCode, CloseReason};
pub use error::{DialError, ListenError, PermanentCause, TransientCause};

/// A way to reach other devices. One value serves a whole node; it holds the device's key as a signer, never as bytes.
pub trait Transport: fmt::Debug + Send + Sync + 'static {
    /// The address schemes it understands, without `://`.
    fn schemes(&self) -> &'static [&'static str];

    /// Waits for connections at `address`.
    ///
    /// # Errors
    /// [`ListenError`] when the address is not this transport's, is taken, or cannot be had.
    fn listen<'a>(&'a self, address: &'a Addr) -> BoxFuture<'a, Result<Box<dyn Listener>, ListenError>>;

    /// Connects to `address`. With `expect`, a peer with any other key is refused before this device has told it who
    /// it is.
    ///
    /// # Errors
    /// [`DialError`]: it says whether trying again can help.
    fn dial<'a>(
        &'a self,
        address: &'a Addr,
        expect: Option<DeviceId>,
    ) -> BoxFuture<'a, Result<Arc<dyn Connection>, DialError>>;

    /// Ends everything that this transport made: waits, for a bounded time, until peers have been told, and closes all
    /// sockets. Drop listeners and connections first: what is left is cut off, and keeps its address until it is dropped.
    fn shutdown(&self) -> BoxFuture<'_, ()>;
}

/// Waits for connections; dropping it frees the address. Connections that it gave out live on.
pub trait Listener: fmt::Debug + Send + 'static {
    /// Where it can be reached: the actual port where port 0 was asked for.
    fn local_address(&self) -> &Addr;

    /// The next connection whose peer is proven, or `None` when the address is gone for good. Handshakes run beside
    /// each other, so a slow stranger delays nobody. Cancel-safe.
    fn accept(&mut self) -> BoxFuture<'_, Option<Arc<dyn Connection>>>;
}

/// A connection to one proven device. It closes when the last reference to it and to its streams is gone.
pub trait Connection: fmt::Debug + Send + Sync + 'static {
    /// The device at the other end. It has proven that it holds this key.
    fn peer(&self) -> DeviceId;

    /// How the peer is reached, as of now.
    fn path(&self) -> PathInfo;

    /// Names this channel: equal at both ends, different for every connection.
    fn binding(&self) -> ChannelBinding;

    /// Opens a stream. The peer learns of it with the first byte that is written. Waits while the peer allows no more.
    ///
    /// # Errors
    /// The reason why the connection is closed.
    fn open(&self) -> BoxFuture<'_, Result<Stream, CloseReason>>;

    /// The next stream the peer opened. Cancel-safe.
    ///
    /// # Errors
    /// The reason why the connection is closed.
    fn accept(&self) -> BoxFuture<'_, Result<Stream, CloseReason>>;

    /// The peer is no stranger: it may have as much in flight and unread as a member, no longer as little as at first. Until
    /// then a stream that nobody reads may hold up the others.
    fn widen(&self);

    /// Closes the connection and all of its streams; the peer is told `code` and `reason`, cut to
    /// [`CloseReason::MAX_TEXT_BYTES`]. What was written and not yet delivered may be lost: to end in good order, shut
    /// the writers down and let the peer close.
    fn close(&self, code: CloseCode, reason: &str);

    /// Waits until the connection is closed, and says why. Cancel-safe.
    fn closed(&self) -> BoxFuture<'_, CloseReason>;
}

/// One ordered, reliable stream of bytes in both directions, with back-pressure: a reader that stops holds the writer.
///
/// Shutting the writer down, or dropping it, ends its direction; the other goes on. Dropping the reader makes the
/// peer's writes fail. When the connection is lost, reads and writes fail.
pub struct Stream {
    /// What the peer writes.
    pub reader: Box<dyn AsyncRead + Send + Unpin>,
    /// What the peer reads.
    pub writer: Box<dyn AsyncWrite + Send + Unpin>,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stream")
    }
}

/// Names one channel between two devices: a secret of that channel, derived by the transport.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ChannelBinding(pub [u8; 32]);

impl fmt::Debug for ChannelBinding {
    /// Prints no byte of it: it keys the search for common spaces.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChannelBinding(..)")
    }
}

/// How a peer is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathInfo {
    /// What kind of path.
    pub kind: PathKind,
    /// The peer's end of it.
    pub remote: Addr,
    /// The round trip as last estimated, when the transport knows.
    pub round_trip: Option<Duration>,
}

/// Kinds of paths, from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum PathKind {
    /// Within this process.
    Memory,
    /// Within this machine.
    Loopback,
    /// Within the local network: private or link-local addresses.
    Lan,
    /// Straight through the internet.
    Wan,
}

impl fmt::Display for PathKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory",
            Self::Loopback => "loopback",
            Self::Lan => "lan",
            Self::Wan => "wan",
        })
    }
}

/// The error that reads and writes give once a connection is closed.
pub(crate) fn closed_io(reason: &CloseReason) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, reason.clone())
}
