//! What strangers do to a QUIC listener, and what happens.

use std::sync::Arc;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tidewater_engine::host::HeadSigner;
use tidewater_engine::id::DeviceId;
use tidewater_net::quic::{QuicConfig, QuicTransport};
use tidewater_net::transport::{CloseCode, DialError, Listener, PermanentCause, TransientCause, Transport};
use tokio::net::UdpSocket;

use crate::quic_world::{Key, QuicWorld};
use crate::world::{World, check_alive, listen, pair, within_deadline};

/// A listener is well when the next device that comes is served.
async fn check_well(world: &QuicWorld, listener: &mut Box<dyn Listener>) {
    let address = listener.local_address().clone();
    let honest = world.transport(9);
    let (dialed, accepted) = tokio::join!(honest.dial(&address, None), listener.accept());
    let (dialed, accepted) = (dialed.expect("it listens"), accepted.expect("it dialled"));
    assert_eq!(accepted.peer(), world.device(9), "nobody came in before");
    check_alive(&*dialed, &*accepted).await;
}

/// Datagrams that are no QUIC leave the listener as it was.
#[tokio::test]
async fn attack_garbage_on_the_port_does_no_harm() {
    let world = QuicWorld::new();
    within_deadline(async {
        let mut listener = listen(&world, 2).await;
        let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        stranger.connect(listener.local_address().socket_address().unwrap()).await.unwrap();
        let http = b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n".to_vec();
        // The form of a QUIC long header of version 1, and then nothing that makes sense.
        let initial = [&[0xc3, 0, 0, 0, 1, 8][..], &[7; 1300]].concat();
        let unknown_version = [&[0xc3, 9, 9, 9, 9, 8][..], &[7; 1300]].concat();
        for datagram in [vec![], vec![0], vec![0xff; 1500], vec![0x40; 1200], http, initial, unknown_version] {
            for _ in 0..20 {
                stranger.send(&datagram).await.unwrap();
            }
        }
        check_well(&world, &mut listener).await;
    })
    .await;
}

/// A TLS client that shows no key is refused in the handshake.
#[tokio::test]
async fn attack_peer_without_a_key_never_comes_in() {
    let world = QuicWorld::new();
    within_deadline(async {
        let mut listener = listen(&world, 2).await;
        let mut tls =
            rustls_builder().dangerous().with_custom_certificate_verifier(Arc::new(Gullible)).with_no_client_auth();
        tls.alpn_protocols = vec![b"tidewater/1".to_vec()];
        let tls = QuicClientConfig::try_from(tls).unwrap();
        let endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
        let target = listener.local_address().socket_address().unwrap();
        let anonymous = endpoint.connect_with(quinn::ClientConfig::new(Arc::new(tls)), target, "x").unwrap().await;
        // A TLS client is done before the server has looked at it; the refusal follows.
        if let Ok(connection) = anonymous {
            connection.closed().await;
        }
        check_well(&world, &mut listener).await;
    })
    .await;
}

/// Claims a device key that it does not hold.
struct Impostor {
    claimed: DeviceId,
    held: Arc<Key>,
}

impl HeadSigner for Impostor {
    fn device(&self) -> DeviceId {
        self.claimed
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.held.sign(message)
    }
}

/// Who claims a device key that it does not hold is no peer, as dialer or as listener.
#[tokio::test]
async fn attack_wrong_pinned_key_never_comes_in_and_is_never_reached() {
    let world = QuicWorld::new();
    within_deadline(async {
        let mut listener = listen(&world, 2).await;
        let impostor = Arc::new(Impostor { claimed: world.device(3), held: Key::new(1) });
        let impostor = QuicTransport::new(impostor, QuicConfig::default());
        if let Ok(connection) = impostor.dial(listener.local_address(), None).await {
            connection.closed().await;
        }
        check_well(&world, &mut listener).await;
        let trap = impostor.listen(&world.anywhere()).await.unwrap();
        let error = world.transport(1).dial(trap.local_address(), Some(world.device(3))).await.unwrap_err();
        assert!(matches!(error, DialError::Permanent { cause: PermanentCause::Protocol { .. }, .. }), "{error}");
    })
    .await;
}

#[tokio::test]
async fn another_protocol_on_the_port_is_told_apart() {
    within_deadline(async {
        let key = rustls::crypto::ring::sign::any_eddsa_type(&pkcs8()).unwrap();
        let spki = key.public_key().unwrap().to_vec();
        let key = rustls::sign::CertifiedKey::new(vec![CertificateDer::from(spki)], key);
        let mut tls = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(rustls::server::AlwaysResolvesServerRawPublicKeys::new(Arc::new(key))));
        tls.alpn_protocols = vec![b"h3".to_vec()];
        let server = quinn::ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls).unwrap()));
        let endpoint = quinn::Endpoint::server(server, "127.0.0.1:0".parse().unwrap()).unwrap();
        let address = format!("quic://{}", endpoint.local_addr().unwrap()).parse().unwrap();
        let serve = async { endpoint.accept().await.unwrap().await };
        let transport = QuicWorld.transport(1);
        let (error, served) = tokio::join!(transport.dial(&address, None), serve);
        assert!(served.is_err());
        let error = error.unwrap_err();
        assert!(matches!(error, DialError::Permanent { cause: PermanentCause::Protocol { .. }, .. }), "{error}");
    })
    .await;
}

#[tokio::test]
async fn connections_beyond_the_limit_are_turned_away_for_now() {
    let world = QuicWorld::new();
    within_deadline(async {
        let mut config = QuicConfig::default();
        config.max_accepted = 1;
        let hub = QuicTransport::new(Key::new(2), config);
        let mut listener = hub.listen(&world.anywhere()).await.unwrap();
        let address = listener.local_address().clone();
        let (first, second) = (world.transport(1), world.transport(3));
        let (dialed, accepted) = tokio::join!(first.dial(&address, None), listener.accept());
        let error = second.dial(&address, None).await.unwrap_err();
        assert!(matches!(error, DialError::Transient { cause: TransientCause::Busy, .. }), "{error}");
        let accepted = accepted.unwrap();
        accepted.close(CloseCode::Done, "");
        drop((dialed, accepted));
        let (dialed, accepted) = tokio::join!(second.dial(&address, None), listener.accept());
        check_alive(&*dialed.expect("there is room again"), &*accepted.unwrap()).await;
    })
    .await;
}

#[tokio::test]
async fn a_host_name_is_resolved_and_an_unknown_one_may_come_to_be_known() {
    let world = QuicWorld::new();
    within_deadline(async {
        let pair = pair(&world).await;
        let port = pair.listener.local_address().socket_address().unwrap().port();
        let named = format!("quic://localhost:{port}").parse().unwrap();
        world.transport(3).dial(&named, Some(world.device(2))).await.expect("localhost is this machine");
        let unknown = "quic://no-such-host.invalid:4711".parse().unwrap();
        let error = world.transport(1).dial(&unknown, None).await.unwrap_err();
        assert!(error.is_transient(), "{error}");
        for senseless in ["quic://nowhere", "quic://127.0.0.1:0", "quic://127.0.0.1:x"] {
            let error = world.transport(1).dial(&senseless.parse().unwrap(), None).await.unwrap_err();
            assert!(matches!(error, DialError::Permanent { cause: PermanentCause::Address(_), .. }), "{error}");
        }
    })
    .await;
}

fn rustls_builder() -> rustls::ConfigBuilder<rustls::ClientConfig, rustls::WantsVerifier> {
    rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
}

/// An Ed25519 key in PKCS #8 version 1 (RFC 8410): a fixed prefix and the seed.
fn pkcs8() -> rustls::pki_types::PrivatePkcs8KeyDer<'static> {
    let prefix = [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
    rustls::pki_types::PrivatePkcs8KeyDer::from([&prefix[..], &[5; 32]].concat())
}

/// Believes every server.
#[derive(Debug)]
struct Gullible;

impl rustls::client::danger::ServerCertVerifier for Gullible {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        vec![rustls::SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
