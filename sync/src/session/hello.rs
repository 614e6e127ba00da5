//! The hello: versions and nonces, then a proof over both sides, both keys and the channel.

use subtle::ConstantTimeEq;
use tidewater_engine::host::Host;
use tidewater_engine::id::{DeviceId, SpaceId};
use tidewater_engine::log::{Plane, VersionVector};
use tidewater_engine::space::SecretKey;

use super::message::{Hello, Proof};
use super::{Role, SessionConfig, SessionError};
use crate::codec::{Codec, put_option};
use crate::database::Database;
use crate::device::verify;
use crate::identity::IdentityGenesis;
use crate::ticket::OfferId;

/// The protocol version that this software speaks.
const VERSION: u64 = 5;
/// Ed25519, X25519, HKDF-SHA256, AES-256-GCM and BLAKE3.
const SUITE: u64 = 1;

pub(super) fn new_hello(host: &dyn Host) -> Hello {
    let mut nonce = [0; 32];
    host.fill_random(&mut nonce);
    Hello { versions: (VERSION, VERSION), suites: SUITE, nonce }
}

/// Whether both sides can talk to each other.
pub(super) fn check_hello(theirs: &Hello) -> Result<(), SessionError> {
    if theirs.versions.0 > VERSION || theirs.versions.1 < VERSION {
        let theirs = u16::try_from(theirs.versions.1).unwrap_or(u16::MAX);
        return Err(SessionError::Version { ours: VERSION as u16, theirs });
    }
    if theirs.suites & SUITE == 0 {
        return Err(SessionError::Protocol { why: "no cipher suite in common".into() });
    }
    Ok(())
}

/// What both sides agree on once the hellos are exchanged. Everything later is bound to it.
pub(super) struct Channel {
    role: Role,
    transcript: [u8; 32],
    /// For hashes that only the two ends can compute.
    secret: [u8; 32],
}

impl Channel {
    pub(super) fn new(config: &SessionConfig, device: DeviceId, ours: &Hello, theirs: &Hello) -> Self {
        let (dialer, acceptor) = match config.role {
            Role::Dialer => ((device, ours), (config.remote, theirs)),
            Role::Acceptor => ((config.remote, theirs), (device, ours)),
        };
        let mut hasher = blake3::Hasher::new_derive_key("tidewater 2026 session transcript v1");
        hasher.update(&config.binding);
        for (device, hello) in [dialer, acceptor] {
            hasher.update(&device.0).update(&hello.to_bytes());
        }
        let transcript = *hasher.finalize().as_bytes();
        let secret = blake3::derive_key("tidewater 2026 session secret v1", &[config.binding, transcript].concat());
        Self { role: config.role, transcript, secret }
    }

    /// Proves this device and its identity to the other side.
    pub(super) fn prove(&self, database: &Database) -> Proof {
        let identity = database.identity_record().and_then(|record| {
            Some((record.genesis, record.own_certificate(database.device_key(), database.agreement())?))
        });
        let mut proof = Proof { signature: [0; 64], identity };
        proof.signature = database.device_key().sign(&self.proof_message(self.role, &proof));
        proof
    }

    /// Checks the other side's proof; gives the genesis of its identity. `None` for a device of nobody, and for one that the
    /// identity has removed, or whose root key it has replaced, as far as this database knows.
    pub(super) fn check(
        &self,
        remote: &DeviceId,
        proof: &Proof,
        database: &Database,
    ) -> Result<Option<IdentityGenesis>, SessionError> {
        let theirs = match self.role {
            Role::Dialer => Role::Acceptor,
            Role::Acceptor => Role::Dialer,
        };
        if !verify(&remote.0, &self.proof_message(theirs, proof), &proof.signature) {
            return Err(SessionError::Unproven { why: "the device's signature doesn't fit this channel" });
        }
        let Some((genesis, certificate)) = &proof.identity else { return Ok(None) };
        let genuine = || database.has_verified(genesis, certificate) || certificate.verify(genesis);
        if certificate.device != *remote || !genuine() {
            return Err(SessionError::Unproven { why: "the identity didn't certify the device" });
        }
        // A device that was removed keeps its certificate, and who stole a root key makes more of them.
        Ok(Some(*genesis).filter(|_| !database.has_disowned(&genesis.id(), certificate)))
    }

    fn proof_message(&self, role: Role, proof: &Proof) -> Vec<u8> {
        let mut message = b"tidewater 2026 session proof v1\0".to_vec();
        message.push(role as u8);
        message.extend_from_slice(&self.transcript);
        put_option(&mut message, proof.identity.as_ref());
        message
    }

    /// Proves that this side knows a ticket's secret, on this channel only.
    pub(super) fn ticket_proof(&self, secret: &SecretKey, offer: &OfferId) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(secret.expose());
        hasher.update(b"tidewater 2026 ticket proof v1").update(&self.transcript).update(&offer.0);
        *hasher.finalize().as_bytes()
    }

    pub(super) fn proves_ticket(&self, secret: &SecretKey, offer: &OfferId, proof: &[u8; 32]) -> bool {
        self.ticket_proof(secret, offer).ct_eq(proof).into()
    }

    /// How `side` names a space to those who know it.
    pub(super) fn tag(&self, side: Role, space: &SpaceId) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new_keyed(&self.secret);
        hasher.update(&[0, side as u8]).update(&space.0);
        hasher.finalize().as_bytes()[..16].try_into().expect("16 of 32 bytes")
    }

    /// One hash over what a side holds of a space. Equal logs give equal hashes on both sides.
    pub(super) fn summary(&self, space: &SpaceId, planes: &[(Plane, VersionVector); 2]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(&self.secret);
        hasher.update(&[1]).update(&space.0);
        for (plane, vector) in planes {
            hasher.update(&[*plane as u8]).update(&(vector.writers() as u64).to_be_bytes());
            for (writer, prefix) in vector.iter() {
                hasher.update(&writer.to_bytes()).update(&prefix.length.to_be_bytes()).update(&prefix.root);
            }
        }
        *hasher.finalize().as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Certificate;
    use crate::session::Purpose;
    use crate::session::pair::{Replica, config, linked};
    use crate::simulation::SimulatedHost;

    fn hello(versions: (u64, u64), suites: u64) -> Hello {
        Hello { versions, suites, ..new_hello(&*SimulatedHost::new(1)) }
    }

    #[test]
    fn who_speaks_our_version_among_others_is_talked_to() {
        for versions in [(VERSION, VERSION), (1, VERSION), (VERSION, 9), (1, 9)] {
            assert_eq!(check_hello(&hello(versions, SUITE)), Ok(()), "{versions:?}");
        }
        for versions in [(1, VERSION - 1), (VERSION + 1, 9), (0, 0), (VERSION + 1, VERSION + 1)] {
            let refused = SessionError::Version { ours: VERSION as u16, theirs: versions.1 as u16 };
            assert_eq!(check_hello(&hello(versions, SUITE)), Err(refused), "{versions:?}");
        }
        assert_eq!(check_hello(&hello((VERSION, VERSION), SUITE | 2)), Ok(()));
        for suites in [0, 2, 4] {
            let checked = check_hello(&hello((VERSION, VERSION), suites));
            assert!(matches!(checked, Err(SessionError::Protocol { .. })), "{suites}");
        }
    }

    /// What the dialer makes of a proof by the acceptor's device that shows this identity.
    fn checked(
        ours: &Replica,
        theirs: &Replica,
        identity: Option<(IdentityGenesis, Certificate)>,
    ) -> Result<Option<IdentityGenesis>, SessionError> {
        let hello = hello((VERSION, VERSION), SUITE);
        let channel = |role, of: &Replica, remote: &Replica| {
            Channel::new(&config(role, remote, 7, Purpose::Member), of.device(), &hello, &hello)
        };
        let (dialer, acceptor) = (channel(Role::Dialer, ours, theirs), channel(Role::Acceptor, theirs, ours));
        let mut proof = Proof { signature: [0; 64], identity };
        proof.signature = theirs.device_key().sign(&acceptor.proof_message(Role::Acceptor, &proof));
        dialer.check(&theirs.device(), &proof, ours)
    }

    #[test]
    fn only_the_certificate_of_the_very_device_proves_an_identity() {
        let (ours, (first, second)) = (Replica::person(1, "Ben"), linked(10));
        let shown = |of: &Replica| {
            let record = first.identity_record().unwrap();
            (record.genesis, *record.certificate(&of.device()).unwrap())
        };
        let (genesis, own) = shown(&first);
        assert_eq!(checked(&ours, &first, Some((genesis, own))), Ok(Some(genesis)));
        assert_eq!(checked(&ours, &first, None), Ok(None));
        let refused = Err(SessionError::Unproven { why: "the identity didn't certify the device" });
        assert_eq!(checked(&ours, &first, Some(shown(&second))), refused, "genuine, and of another device");
        let mut bytes = own.to_bytes();
        *bytes.last_mut().unwrap() ^= 1;
        let forged = Certificate::from_bytes(&bytes).unwrap();
        assert_eq!(checked(&ours, &first, Some((genesis, forged))), refused, "of the device, and not genuine");
    }
}
