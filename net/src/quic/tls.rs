//! TLS 1.3 with the device key as a raw public key on both sides.

use std::fmt;
use std::sync::{Arc, OnceLock};

use ed25519_dalek::{Signature, VerifyingKey};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage};
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureAlgorithm, SignatureScheme};
use tidewater_engine::host::HeadSigner;
use tidewater_engine::id::DeviceId;

/// What both sides must speak, by ALPN.
pub(super) const PROTOCOL: &[u8] = b"tidewater/2";
/// quinn wants a server name; it is never sent.
pub(super) const NO_NAME: &str = "tidewater";
/// The exporter label that channel bindings are derived under (RFC 5705, RFC 8446 7.5).
const BINDING_LABEL: &[u8] = b"EXPORTER-tidewater-channel-binding-1";
/// What stands before the 32 key bytes in the SubjectPublicKeyInfo of an Ed25519 key (RFC 8410).
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// This device's key, as TLS needs it.
pub(super) struct Identity {
    device: DeviceId,
    key: Arc<CertifiedKey>,
    provider: Arc<CryptoProvider>,
}

impl Identity {
    pub(super) fn new(signer: Arc<dyn HeadSigner>) -> Self {
        let device = signer.device();
        let public_key = CertificateDer::from(spki(&device));
        Self {
            device,
            key: Arc::new(CertifiedKey::new(vec![public_key], Arc::new(DeviceKey(signer)))),
            provider: Arc::new(rustls::crypto::ring::default_provider()),
        }
    }

    pub(super) fn device(&self) -> DeviceId {
        self.device
    }

    /// A configuration for one dial. What the verifier finds out about the peer is left in `finding`.
    pub(super) fn client(
        &self,
        expect: Option<DeviceId>,
        finding: Arc<OnceLock<Finding>>,
    ) -> Result<Arc<QuicClientConfig>, Error> {
        let verifier = ExpectServer { oneself: self.device, expect, finding };
        let mut config = rustls::ClientConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(self.key.clone())));
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        config.enable_sni = false;
        config.resumption = Resumption::disabled();
        QuicClientConfig::try_from(config).map(Arc::new).map_err(|error| Error::General(error.to_string()))
    }

    /// The configuration of all listeners.
    pub(super) fn server(&self) -> Result<Arc<QuicServerConfig>, Error> {
        let mut config = rustls::ServerConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(Arc::new(AnyClient))
            .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(self.key.clone())));
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        QuicServerConfig::try_from(config).map(Arc::new).map_err(|error| Error::General(error.to_string()))
    }
}

/// Why a dialer's verifier refused the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finding {
    /// Another device than expected.
    WrongPeer(DeviceId),
    /// A small-order key.
    WeakKey,
    /// This device itself.
    Oneself,
}

/// The device that the peer of `connection` has proven to be.
pub(super) fn proven_peer(connection: &quinn::Connection) -> Option<DeviceId> {
    let identity = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    let [key] = identity.as_slice() else { return None };
    parse_spki(key)
}

/// The secret both ends of `connection`, and nobody else, can derive.
pub(super) fn export_binding(connection: &quinn::Connection) -> Option<[u8; 32]> {
    let mut binding = [0; 32];
    connection.export_keying_material(&mut binding, BINDING_LABEL, b"").ok()?;
    Some(binding)
}

fn spki(device: &DeviceId) -> Vec<u8> {
    [&SPKI_PREFIX[..], &device.0].concat()
}

fn parse_spki(der: &[u8]) -> Option<DeviceId> {
    der.strip_prefix(&SPKI_PREFIX)?.try_into().ok().map(DeviceId)
}

/// Why a key is no device key.
enum KeyError {
    Malformed,
    Weak,
}

impl From<KeyError> for Error {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Malformed => CertificateError::BadEncoding.into(),
            // A point of small order: anybody can make signatures that it verifies.
            KeyError::Weak => CertificateError::ApplicationVerificationFailure.into(),
        }
    }
}

fn device_key(
    certificate: &CertificateDer<'_>,
    more: &[CertificateDer<'_>],
) -> Result<(DeviceId, VerifyingKey), KeyError> {
    let device = parse_spki(certificate).filter(|_| more.is_empty()).ok_or(KeyError::Malformed)?;
    let key = VerifyingKey::from_bytes(&device.0).map_err(|_| KeyError::Malformed)?;
    if key.is_weak() {
        return Err(KeyError::Weak);
    }
    Ok((device, key))
}

fn verify_signature(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    let (_, key) = device_key(certificate, &[])?;
    let signature = Signature::from_slice(signed.signature()).map_err(|_| CertificateError::BadSignature)?;
    if signed.scheme != SignatureScheme::ED25519 || key.verify_strict(message, &signature).is_err() {
        return Err(CertificateError::BadSignature.into());
    }
    Ok(HandshakeSignatureValid::assertion())
}

/// What both verifiers have in common: raw Ed25519 keys, and no TLS but 1.3.
macro_rules! raw_ed25519_only {
    () => {
        fn verify_tls12_signature(
            &self,
            _message: &[u8],
            _cert: &CertificateDer<'_>,
            _dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Err(CertificateError::BadSignature.into())
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_signature(message, cert, dss)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            vec![SignatureScheme::ED25519]
        }

        fn requires_raw_public_keys(&self) -> bool {
            true
        }
    };
}

/// Checks the listener's key, before the dialer sends its own.
#[derive(Debug)]
struct ExpectServer {
    oneself: DeviceId,
    expect: Option<DeviceId>,
    finding: Arc<OnceLock<Finding>>,
}

impl ExpectServer {
    fn refuse(&self, finding: Finding) -> Error {
        // Set once: a handshake verifies one key.
        let _ = self.finding.set(finding);
        CertificateError::ApplicationVerificationFailure.into()
    }
}

impl ServerCertVerifier for ExpectServer {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let device = match device_key(end_entity, intermediates) {
            Ok((device, _)) => device,
            Err(KeyError::Weak) => return Err(self.refuse(Finding::WeakKey)),
            Err(error @ KeyError::Malformed) => return Err(error.into()),
        };
        if device == self.oneself {
            return Err(self.refuse(Finding::Oneself));
        }
        if self.expect.is_some_and(|expected| expected != device) {
            return Err(self.refuse(Finding::WrongPeer(device)));
        }
        Ok(ServerCertVerified::assertion())
    }

    raw_ed25519_only!();
}

/// Takes any device that proves its key: who may do what is decided above, by the hello.
#[derive(Debug)]
struct AnyClient;

impl ClientCertVerifier for AnyClient {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        device_key(end_entity, intermediates)?;
        Ok(ClientCertVerified::assertion())
    }

    raw_ed25519_only!();
}

/// Signs handshakes with the device's key, which stays with its owner. TLS prefixes what is signed with its own
/// context (RFC 8446 4.4.3), so such a signature is never one over a log.
struct DeviceKey(Arc<dyn HeadSigner>);

impl fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeviceKey({})", self.0.device())
    }
}

impl SigningKey for DeviceKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered.contains(&SignatureScheme::ED25519).then(|| Box::new(Self(self.0.clone())) as Box<dyn Signer>)
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(SubjectPublicKeyInfoDer::from(spki(&self.0.device())))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ED25519
    }
}

impl Signer for DeviceKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(self.0.sign(message).to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A transport key of small order, or that is no key, opens no connection.
    #[test]
    fn attack_small_order_and_malformed_transport_keys_are_refused() {
        let certificate = |bytes: Vec<u8>| CertificateDer::from(bytes);
        let mut identity_point = [0; 32];
        identity_point[0] = 1;
        for weak in [[0; 32], identity_point] {
            assert!(matches!(device_key(&certificate(spki(&DeviceId(weak))), &[]), Err(KeyError::Weak)));
            let finding = Arc::new(OnceLock::new());
            let verifier = ExpectServer { oneself: DeviceId([9; 32]), expect: None, finding: finding.clone() };
            let name = ServerName::try_from(NO_NAME).unwrap();
            let weak = certificate(spki(&DeviceId(weak)));
            assert!(verifier.verify_server_cert(&weak, &[], &name, &[], UnixTime::now()).is_err());
            assert_eq!(finding.get(), Some(&Finding::WeakKey));
            assert!(AnyClient.verify_client_cert(&weak, &[], UnixTime::now()).is_err());
        }
        let good = ed25519_dalek::SigningKey::from_bytes(&[7; 32]).verifying_key().to_bytes();
        let spki = spki(&DeviceId(good));
        assert!(AnyClient.verify_client_cert(&certificate(spki.clone()), &[], UnixTime::now()).is_ok());
        for wrong in [vec![], spki[..43].to_vec(), [&spki[..], &[0]].concat(), vec![0; 44]] {
            assert!(AnyClient.verify_client_cert(&certificate(wrong), &[], UnixTime::now()).is_err());
        }
        let two = [certificate(spki.clone())];
        assert!(AnyClient.verify_client_cert(&certificate(spki), &two, UnixTime::now()).is_err());
    }
}
