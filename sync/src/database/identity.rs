//! The database's own identity.

use std::sync::Arc;

use super::records::{self, IdentityRecord};
use super::{Database, SpaceError, lock};
use crate::codec::Codec;
use crate::identity::{Certificate, IdentityCard, IdentityGenesis, IdentityId, IdentitySecrets, possession_of};
use crate::keys::SealedNote;

/// Checks the length of a person's name.
pub(super) fn check_name(name: &str) -> Result<(), SpaceError> {
    let limit = SealedNote::MAX_BYTES;
    if name.is_empty() || name.len() > limit {
        return Err(SpaceError::Invalid { why: format!("a name has 1 to {limit} bytes, this one has {}", name.len()) });
    }
    Ok(())
}

impl Database {
    /// Whether the certificate is one that this database has verified before, because a space of it names the device. False
    /// says nothing.
    pub(crate) fn has_verified(&self, genesis: &IdentityGenesis, certificate: &Certificate) -> bool {
        let identity = genesis.id();
        lock(&self.inner.spaces).values().any(|state| {
            let member = state.membership.identities.get(&identity);
            member.and_then(|member| member.devices.get(&certificate.device)) == Some(certificate)
        })
    }

    /// Makes an identity for a database that has none. `name` has 1 to 200 bytes.
    ///
    /// # Errors
    /// [`SpaceError::HasIdentity`], [`SpaceError::Invalid`] for the name, [`SpaceError::Write`].
    pub fn create_identity(&self, name: &str) -> Result<IdentityId, SpaceError> {
        check_name(name)?;
        let _control = self.control();
        if let Some(identity) = self.identity() {
            return Err(SpaceError::HasIdentity { identity });
        }
        let host = &*self.inner.host;
        let (secrets, genesis) = IdentitySecrets::generate(host);
        let agreement = self.inner.agreement.public();
        let possession = possession_of(&self.inner.key, &genesis.id(), &agreement);
        let certificate =
            Certificate::issue(&secrets.root, genesis.id(), self.device(), agreement, possession, host.now_ms());
        let certificates = vec![certificate];
        self.set_identity(
            IdentityRecord { genesis, name: name.to_owned(), certificates, secrets: Some(Arc::new(secrets)) },
            &[],
        )?;
        Ok(genesis.id())
    }

    /// What to give to others so that they can grant this identity a rank.
    ///
    /// # Errors
    /// [`SpaceError::NoIdentity`].
    pub fn card(&self) -> Result<IdentityCard, SpaceError> {
        self.identity_record().map(|record| record.card()).ok_or(SpaceError::NoIdentity)
    }

    /// Adds devices to this identity, and writes `others` in the same storage transaction.
    pub(super) fn add_certificates(
        &self,
        news: &[Certificate],
        others: &[(&str, Option<&[u8]>)],
    ) -> Result<(), SpaceError> {
        let record = self.identity_record().ok_or(SpaceError::NoIdentity)?;
        let mut certificates = record.certificates.clone();
        certificates.extend_from_slice(news);
        // The card's limit holds here too; a device beyond it can still act where a grant names it.
        certificates.truncate(IdentityCard::MAX_DEVICES);
        let (genesis, name, secrets) = (record.genesis, record.name.clone(), record.secrets.clone());
        self.set_identity(IdentityRecord { genesis, name, certificates, secrets }, others)
    }

    pub(super) fn set_identity(
        &self,
        record: IdentityRecord,
        others: &[(&str, Option<&[u8]>)],
    ) -> Result<(), SpaceError> {
        let bytes = record.to_bytes();
        let mut writes = vec![(records::IDENTITY, Some(bytes.as_slice()))];
        writes.extend_from_slice(others);
        self.inner.store.set_local(&writes)?;
        *lock(&self.inner.identity) = Some(Arc::new(record));
        Ok(())
    }
}
