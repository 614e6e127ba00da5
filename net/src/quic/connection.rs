//! A QUIC connection to a proven device.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::OnceLock;

use futures_util::future::BoxFuture;
use quinn::{ConnectionError, VarInt};
use tidewater_engine::id::DeviceId;
use tokio::sync::OwnedSemaphorePermit;

use super::{SCHEME, tls};
use crate::transport::{Addr, ChannelBinding, CloseCode, CloseReason, Connection, PathInfo, PathKind, Stream};

/// A QUIC connection whose peer is proven.
pub(super) struct QuicConnection {
    connection: quinn::Connection,
    peer: DeviceId,
    binding: ChannelBinding,
    /// What it may have in flight or unread once it is wide, in bytes.
    wide_bytes: u32,
    /// What this side closed it with: quinn does not keep it.
    closed_here: OnceLock<CloseReason>,
    /// Counts an accepted connection against the limit.
    _permit: Option<OwnedSemaphorePermit>,
}

impl QuicConnection {
    fn reason(&self, error: ConnectionError) -> CloseReason {
        match error {
            ConnectionError::LocallyClosed => {
                self.closed_here.get().cloned().unwrap_or_else(|| CloseReason::local(CloseCode::Done, ""))
            }
            other => reason(other),
        }
    }

    /// Takes over a connection whose handshake is done; `None` when it proves no device.
    pub(super) fn new(
        connection: quinn::Connection,
        wide_bytes: u32,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Option<Self> {
        let peer = tls::proven_peer(&connection)?;
        let binding = ChannelBinding(tls::export_binding(&connection)?);
        Some(Self { connection, peer, binding, wide_bytes, closed_here: OnceLock::new(), _permit: permit })
    }
}

impl Connection for QuicConnection {
    fn peer(&self) -> DeviceId {
        self.peer
    }

    fn path(&self) -> PathInfo {
        let remote = self.connection.remote_address();
        PathInfo {
            kind: kind_of(remote.ip()),
            remote: Addr::from_place(SCHEME, SocketAddr::new(remote.ip().to_canonical(), remote.port())),
            round_trip: Some(self.connection.rtt()),
        }
    }

    fn binding(&self) -> ChannelBinding {
        self.binding
    }

    fn open(&self) -> BoxFuture<'_, Result<Stream, CloseReason>> {
        Box::pin(async { self.connection.open_bi().await.map(stream).map_err(|error| self.reason(error)) })
    }

    fn accept(&self) -> BoxFuture<'_, Result<Stream, CloseReason>> {
        Box::pin(async { self.connection.accept_bi().await.map(stream).map_err(|error| self.reason(error)) })
    }

    fn widen(&self) {
        self.connection.set_receive_window(VarInt::from_u32(self.wide_bytes));
        self.connection.set_send_window(self.wide_bytes.into());
    }

    fn close(&self, code: CloseCode, text: &str) {
        let text = CloseReason::cut(text);
        if self.closed_here.set(CloseReason::local(code, text)).is_ok() {
            self.connection.close(VarInt::from_u32(code.to_wire()), text.as_bytes());
        }
    }

    fn closed(&self) -> BoxFuture<'_, CloseReason> {
        Box::pin(async { self.reason(self.connection.closed().await) })
    }
}

impl fmt::Debug for QuicConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QuicConnection({} at {})", self.peer, self.connection.remote_address())
    }
}

fn stream((writer, reader): (quinn::SendStream, quinn::RecvStream)) -> Stream {
    Stream { reader: Box::new(reader), writer: Box::new(writer) }
}

/// Why quinn says that a connection ended, in the words of all transports.
pub(super) fn reason(error: ConnectionError) -> CloseReason {
    match error {
        ConnectionError::ApplicationClosed(close) => {
            let code = u32::try_from(close.error_code.into_inner()).unwrap_or(u32::MAX);
            CloseReason::peer(CloseCode::from_wire(code), &close.reason)
        }
        ConnectionError::LocallyClosed => CloseReason::local(CloseCode::Done, ""),
        ConnectionError::TimedOut => CloseReason::Lost { text: "nothing was heard from the peer any more".to_owned() },
        ConnectionError::Reset => CloseReason::Lost { text: "the peer has restarted".to_owned() },
        other => CloseReason::Lost { text: other.to_string() },
    }
}

/// How far away an address is.
fn kind_of(address: IpAddr) -> PathKind {
    let local = match address.to_canonical() {
        address if address.is_loopback() => return PathKind::Loopback,
        IpAddr::V4(address) => address.is_private() || address.is_link_local(),
        IpAddr::V6(address) => address.is_unique_local() || address.is_unicast_link_local(),
    };
    if local { PathKind::Lan } else { PathKind::Wan }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_told_apart_by_address() {
        for (address, kind) in [
            ("127.0.0.1", PathKind::Loopback),
            ("::1", PathKind::Loopback),
            ("::ffff:127.0.0.1", PathKind::Loopback),
            ("192.168.1.5", PathKind::Lan),
            ("10.1.2.3", PathKind::Lan),
            ("169.254.0.7", PathKind::Lan),
            ("fe80::1", PathKind::Lan),
            ("fd00::1", PathKind::Lan),
            ("192.0.2.1", PathKind::Wan),
            ("2001:db8::1", PathKind::Wan),
        ] {
            assert_eq!(kind_of(address.parse().unwrap()), kind, "{address}");
        }
    }
}
