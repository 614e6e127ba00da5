//! Connecting to other devices.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use quinn::{ClientConfig, ConnectError, ConnectionError, Endpoint, EndpointConfig, TransportErrorCode, VarInt};
use tidewater_engine::id::DeviceId;

use super::connection::{QuicConnection, reason};
use super::tls::{self, Finding};
use super::{SCHEME, Shared, socket};
use crate::transport::{Addr, CloseCode, CloseReason, Connection, DialError, PermanentCause, TransientCause};

/// How many of the addresses that a host name resolves to are tried.
const MAX_RESOLVED: usize = 4;
/// QUIC carries TLS alerts as codes from 0x100 to 0x1ff (RFC 9001 4.8).
const CRYPTO_ERRORS: std::ops::Range<u64> = 0x100..0x200;

/// The sockets that dials go out from: one a family, opened when first needed, shared by all dials.
#[derive(Debug, Default)]
pub(super) struct Dialers {
    v4: Mutex<Option<Endpoint>>,
    v6: Mutex<Option<Endpoint>>,
}

impl Dialers {
    fn get(&self, shared: &Shared, target: SocketAddr) -> io::Result<Endpoint> {
        let (slot, from) = match target {
            SocketAddr::V4(_) => (&self.v4, SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))),
            SocketAddr::V6(_) => (&self.v6, SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))),
        };
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(endpoint) = &*slot {
            return Ok(endpoint.clone());
        }
        let socket = socket::bind(from, shared.config.socket_buffer_bytes)?;
        let endpoint = Endpoint::new(EndpointConfig::default(), None, socket, Arc::new(shared.tasks.clone()))?;
        Ok(slot.insert(endpoint).clone())
    }

    /// Closes the sockets, and what still uses them.
    pub(super) fn close(&self) {
        for slot in [&self.v4, &self.v6] {
            if let Some(endpoint) = slot.lock().unwrap_or_else(PoisonError::into_inner).take() {
                endpoint.close(VarInt::from_u32(CloseCode::ShuttingDown.to_wire()), b"");
            }
        }
    }
}

/// Dials every address that `address` resolves to, one after the other, until one answers.
pub(super) async fn dial(
    shared: &Shared,
    address: &Addr,
    expect: Option<DeviceId>,
) -> Result<Arc<dyn Connection>, DialError> {
    let attempt = Attempt { shared, address, expect };
    if address.scheme() != SCHEME {
        return Err(attempt.permanent(PermanentCause::Scheme { known: SCHEME.to_owned() }));
    }
    let mut failure = None;
    for target in attempt.resolve().await? {
        match attempt.connect(target).await {
            Ok(connection) => return Ok(Arc::new(connection)),
            // A wrong or broken peer says more than silence at another of its addresses.
            Err(error) if failure.is_none() || !error.is_transient() => failure = Some(error),
            Err(_) => {}
        }
    }
    let nothing = TransientCause::NoSuchHost { text: "it has no address".to_owned() };
    Err(failure.unwrap_or_else(|| attempt.transient(nothing)))
}

struct Attempt<'a> {
    shared: &'a Shared,
    address: &'a Addr,
    expect: Option<DeviceId>,
}

impl Attempt<'_> {
    async fn resolve(&self) -> Result<Vec<SocketAddr>, DialError> {
        let (host, port) = self.address.host_and_port().map_err(|error| self.permanent(error.into()))?;
        let resolving = tokio::time::timeout(self.shared.config.dial_timeout, tokio::net::lookup_host((host, port)));
        match resolving.await {
            Ok(Ok(found)) => Ok(found.take(MAX_RESOLVED).collect()),
            Ok(Err(error)) => Err(self.transient(TransientCause::NoSuchHost { text: error.to_string() })),
            Err(_) => Err(self.no_answer()),
        }
    }

    async fn connect(&self, target: SocketAddr) -> Result<QuicConnection, DialError> {
        let finding = Arc::new(OnceLock::new());
        let system = |text: String| self.transient(TransientCause::System { text });
        let tls =
            self.shared.identity.client(self.expect, finding.clone()).map_err(|error| system(error.to_string()))?;
        let mut config = ClientConfig::new(tls);
        config.transport_config(self.shared.config.transport()).token_store(Arc::new(quinn::NoneTokenStore));
        let endpoint = self.shared.dialers.get(self.shared, target).map_err(|error| system(error.to_string()))?;
        let connecting = endpoint.connect_with(config, target, tls::NO_NAME).map_err(|error| match error {
            ConnectError::InvalidRemoteAddress(_) => {
                self.permanent(crate::transport::AddrError::HostPort { address: self.address.clone() }.into())
            }
            other => system(other.to_string()),
        })?;
        let connection = match tokio::time::timeout(self.shared.config.dial_timeout, connecting).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return Err(self.failure(error, finding.get().copied())),
            Err(_) => return Err(self.no_answer()),
        };
        QuicConnection::new(connection, self.shared.config.connection_window_bytes, None)
            .ok_or_else(|| self.permanent(PermanentCause::Protocol { text: "no device key".to_owned() }))
    }

    fn failure(&self, error: ConnectionError, finding: Option<Finding>) -> DialError {
        match (finding, self.expect) {
            (Some(Finding::WrongPeer(found)), Some(expected)) => {
                return DialError::WrongPeer { address: self.address.clone(), expected, found };
            }
            (Some(Finding::WeakKey), _) => return self.permanent(PermanentCause::WeakKey),
            (Some(Finding::Oneself), _) => return self.permanent(PermanentCause::Oneself),
            _ => {}
        }
        let incompatible = |text: String| self.permanent(PermanentCause::Protocol { text });
        match error {
            ConnectionError::TimedOut => self.no_answer(),
            ConnectionError::VersionMismatch => incompatible(error.to_string()),
            ConnectionError::TransportError(error) if CRYPTO_ERRORS.contains(&u64::from(error.code)) => {
                incompatible(error.to_string())
            }
            ConnectionError::ConnectionClosed(close) if CRYPTO_ERRORS.contains(&u64::from(close.error_code)) => {
                incompatible(close.to_string())
            }
            ConnectionError::ConnectionClosed(close) if close.error_code == TransportErrorCode::CONNECTION_REFUSED => {
                self.transient(TransientCause::Busy)
            }
            other => match reason(other) {
                CloseReason::Peer { code: CloseCode::Busy, .. } => self.transient(TransientCause::Busy),
                reason => self.transient(TransientCause::Closed(reason)),
            },
        }
    }

    fn no_answer(&self) -> DialError {
        self.transient(TransientCause::NoAnswer { after: self.shared.config.dial_timeout })
    }

    fn transient(&self, cause: TransientCause) -> DialError {
        DialError::Transient { address: self.address.clone(), cause }
    }

    fn permanent(&self, cause: PermanentCause) -> DialError {
        DialError::Permanent { address: self.address.clone(), cause }
    }
}
