//! Waiting for connections.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::BoxFuture;
use quinn::{Endpoint, EndpointConfig, Incoming, ServerConfig, ValidationTokenConfig, VarInt};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::{AbortHandle, JoinSet};
use tracing::Instrument;

use super::admission::Verdict;
use super::connection::QuicConnection;
use super::{SCHEME, Shared, socket};
use crate::transport::{Addr, CloseCode, Connection, ListenError, Listener};

/// Connections that are proven and that nobody has taken yet; handshakes wait when it is full.
const READY_CONNECTIONS: usize = 16;
/// Bytes that a stranger may send before its handshake is looked at.
const UNACCEPTED_BYTES: u64 = 16 << 10;

/// Listens at one address.
struct QuicListener {
    local: Addr,
    endpoint: Endpoint,
    ready: mpsc::Receiver<Arc<dyn Connection>>,
    accepting: AbortHandle,
}

/// Starts to listen.
pub(super) fn listen(shared: &Arc<Shared>, address: &Addr) -> Result<Box<dyn Listener>, ListenError> {
    if address.scheme() != SCHEME {
        return Err(ListenError::Scheme { address: address.clone(), known: SCHEME.to_owned() });
    }
    let socket_address = address.socket_address()?;
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AddrInUse => ListenError::InUse { address: address.clone() },
        _ => ListenError::Io { address: address.clone(), source },
    };
    let endpoint = open(shared, socket_address).map_err(failed)?;
    let local = Addr::from_place(SCHEME, endpoint.local_addr().map_err(failed)?);
    let (sender, ready) = mpsc::channel(READY_CONNECTIONS);
    let span = tracing::info_span!("listen", address = %local);
    let accepting = tokio::spawn(accept(shared.clone(), endpoint.clone(), sender).instrument(span)).abort_handle();
    Ok(Box::new(QuicListener { local, endpoint, ready, accepting }))
}

fn open(shared: &Shared, address: SocketAddr) -> io::Result<Endpoint> {
    let socket = socket::bind(address, shared.config.socket_buffer_bytes)?;
    // Tokens for later visits would let a network tell that it sees the same device again.
    let mut tokens = ValidationTokenConfig::default();
    tokens.sent(0);
    let mut server = ServerConfig::with_crypto(shared.identity.server().map_err(io::Error::other)?);
    server
        .transport_config(shared.config.transport())
        .validation_token_config(tokens)
        .max_incoming(shared.config.max_handshakes)
        .incoming_buffer_size(UNACCEPTED_BYTES)
        .incoming_buffer_size_total(UNACCEPTED_BYTES * shared.config.max_handshakes as u64);
    Endpoint::new(EndpointConfig::default(), Some(server), socket, Arc::new(shared.tasks.clone()))
}

/// Admits handshakes and lets them run beside each other, until the listener is dropped.
async fn accept(shared: Arc<Shared>, endpoint: Endpoint, ready: mpsc::Sender<Arc<dyn Connection>>) {
    let mut handshakes = JoinSet::new();
    loop {
        let incoming = tokio::select! {
            incoming = endpoint.accept() => incoming,
            Some(_) = handshakes.join_next() => continue,
        };
        let Some(incoming) = incoming else { return };
        let from = incoming.remote_address();
        match shared.admission.judge(from.ip(), incoming.remote_address_validated(), Instant::now()) {
            Verdict::Accept { handshake, connection } => {
                let ready = ready.clone();
                let span = tracing::debug_span!("handshake", %from);
                let wide_bytes = shared.config.connection_window_bytes;
                handshakes.spawn(shake_hands(incoming, wide_bytes, handshake, connection, ready).instrument(span));
            }
            Verdict::Validate => {
                if let Err(error) = incoming.retry() {
                    error.into_incoming().refuse();
                }
            }
            Verdict::Refuse => {
                tracing::debug!(%from, "no room for another connection");
                incoming.refuse();
            }
        }
    }
}

async fn shake_hands(
    incoming: Incoming,
    wide_bytes: u32,
    handshake: OwnedSemaphorePermit,
    permit: OwnedSemaphorePermit,
    ready: mpsc::Sender<Arc<dyn Connection>>,
) {
    let connection = match incoming.await {
        Ok(connection) => connection,
        Err(error) => return tracing::debug!(%error, "a handshake failed"),
    };
    drop(handshake);
    match QuicConnection::new(connection.clone(), wide_bytes, Some(permit)) {
        // The listener may be gone; the connection then closes.
        Some(proven) => drop(ready.send(Arc::new(proven)).await),
        None => connection.close(VarInt::from_u32(CloseCode::Protocol.to_wire()), b"no device key"),
    }
}

impl Listener for QuicListener {
    fn local_address(&self) -> &Addr {
        &self.local
    }

    fn accept(&mut self) -> BoxFuture<'_, Option<Arc<dyn Connection>>> {
        Box::pin(self.ready.recv())
    }
}

impl Drop for QuicListener {
    fn drop(&mut self) {
        self.accepting.abort();
        // Connections may keep the socket open; nobody new gets in.
        self.endpoint.set_server_config(None);
    }
}

impl fmt::Debug for QuicListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QuicListener({})", self.local)
    }
}
