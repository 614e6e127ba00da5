//! Limits and timers of QUIC.

use std::sync::Arc;
use std::time::Duration;

use quinn::congestion::BbrConfig;
use quinn::{IdleTimeout, TransportConfig, VarInt};

/// How QUIC behaves. The defaults were measured to fill a gigabit path and to survive 1 % loss.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct QuicConfig {
    /// What one stream may have in flight or unread, in bytes: 1.5 MiB. Less than a connection, so that a stream that nobody
    /// reads holds up no other.
    pub stream_window_bytes: u32,
    /// What one connection of a member may have unread, and as much in flight, in bytes: 2 MiB.
    pub connection_window_bytes: u32,
    /// The same of a connection whose peer is a stranger, so far: 128 KiB.
    pub stranger_window_bytes: u32,
    /// The socket buffers asked of the system, in bytes each way: 4 MiB. The system may give less.
    pub socket_buffer_bytes: usize,
    /// Streams that a peer may have open at once: 256.
    pub max_streams: u32,
    /// A quiet connection is probed after this: 5 s.
    pub keep_alive: Duration,
    /// A silent peer is given up after this: 15 s.
    pub idle_timeout: Duration,
    /// A dial is given up after this: 5 s for each address a name resolves to.
    pub dial_timeout: Duration,
    /// Handshakes of strangers that run at once, over all listeners: 64.
    pub max_handshakes: usize,
    /// Accepted connections that are open at once, over all listeners: 100.
    pub max_accepted: usize,
    /// Handshakes that one network address (an IPv4 address, an IPv6 /64) may start in a burst: 64.
    pub handshake_burst: u32,
    /// Handshakes that one network address may start per second after its burst: 8.
    pub handshakes_per_second: u32,
    /// How long [`QuicTransport::shutdown`](super::QuicTransport) waits for peers to hear of it: 500 ms.
    pub shutdown_timeout: Duration,
}

impl Default for QuicConfig {
    fn default() -> Self {
        Self {
            stream_window_bytes: 3 << 19,
            connection_window_bytes: 2 << 20,
            stranger_window_bytes: 128 << 10,
            socket_buffer_bytes: 4 << 20,
            max_streams: 256,
            keep_alive: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(15),
            dial_timeout: Duration::from_secs(5),
            max_handshakes: 64,
            max_accepted: 100,
            handshake_burst: 64,
            handshakes_per_second: 8,
            shutdown_timeout: Duration::from_millis(500),
        }
    }
}

impl QuicConfig {
    /// The same in quinn's words.
    pub(super) fn transport(&self) -> Arc<TransportConfig> {
        // More than 2^62 ms does not fit the wire; nobody waits that long.
        let idle = IdleTimeout::try_from(self.idle_timeout).unwrap_or(IdleTimeout::from(VarInt::MAX));
        let mut transport = TransportConfig::default();
        transport
            .stream_receive_window(self.stream_window_bytes.into())
            .receive_window(self.stranger_window_bytes.into())
            .send_window(self.stranger_window_bytes.into())
            .max_concurrent_bidi_streams(self.max_streams.into())
            .max_concurrent_uni_streams(0u32.into())
            .datagram_receive_buffer_size(None)
            .keep_alive_interval(Some(self.keep_alive))
            .max_idle_timeout(Some(idle))
            // CUBIC, quinn's default, collapses at 1 % random loss; BBR does not.
            .congestion_controller_factory(Arc::new(BbrConfig::default()));
        Arc::new(transport)
    }
}
