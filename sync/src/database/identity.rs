//! The database's own identity.

use std::sync::Arc;

use super::records::{self, IdentityRecord};
use super::{Database, SpaceError, lock};
use crate::codec::Codec;
use crate::identity::{
    Certificate, IdentityCard, IdentityGenesis, IdentityId, IdentitySecrets, RecoveryWords, possession_of,
};
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

    /// Whether the identity has removed the device since, or has another root key now, by what this database knows of it.
    pub(crate) fn has_disowned(&self, identity: &IdentityId, certificate: &Certificate) -> bool {
        let own = self.identity_record().filter(|own| own.genesis.id() == *identity);
        let by_own =
            own.is_some_and(|own| own.removed.contains(&certificate.device) || certificate.root() < own.root());
        by_own
            || lock(&self.inner.spaces)
                .values()
                .filter_map(|state| state.membership.identities.get(identity))
                .any(|member| member.removed.contains(&certificate.device) || certificate.root() < member.root)
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
        let (name, secrets) = (name.to_owned(), Some(Arc::new(secrets)));
        self.set_identity(IdentityRecord { genesis, name, certificates, secrets, removed: Vec::new() }, &[])?;
        Ok(genesis.id())
    }

    /// What to give to others so that they can grant this identity a rank.
    ///
    /// # Errors
    /// [`SpaceError::NoIdentity`].
    pub fn card(&self) -> Result<IdentityCard, SpaceError> {
        self.identity_record().map(|record| record.card()).ok_or(SpaceError::NoIdentity)
    }

    /// The words from which the identity's recovery keys follow, until [`Database::forget_recovery_words`].
    ///
    /// # Errors
    /// [`SpaceError::NoIdentity`], [`SpaceError::NoWords`].
    pub fn recovery_words(&self) -> Result<RecoveryWords, SpaceError> {
        let identity = self.identity_record().ok_or(SpaceError::NoIdentity)?;
        let words = identity.secrets.as_ref().and_then(|secrets| secrets.words.clone());
        words.ok_or(SpaceError::NoWords)
    }

    /// Keeps the recovery words no more. `words` are those that a person has written down: a slip of the pen is noticed before
    /// it is too late.
    ///
    /// # Errors
    /// [`SpaceError::NoIdentity`], [`SpaceError::NoWords`], [`SpaceError::OtherWords`], [`SpaceError::Write`].
    pub fn forget_recovery_words(&self, words: &RecoveryWords) -> Result<(), SpaceError> {
        let _control = self.control();
        if self.recovery_words()? != *words {
            return Err(SpaceError::OtherWords);
        }
        self.change_identity(&[], |record| {
            let root = record.secrets.as_ref().map(|secrets| secrets.root.duplicate());
            record.secrets = root.map(|root| Arc::new(IdentitySecrets { root, words: None }));
        })
    }

    /// Adds devices to this identity, and writes `others` in the same storage transaction.
    pub(super) fn add_certificates(
        &self,
        news: &[Certificate],
        others: &[(&str, Option<&[u8]>)],
    ) -> Result<(), SpaceError> {
        self.change_identity(others, |record| record.add_certificates(news))
    }

    /// Changes the identity's record, and writes `others` in the same storage transaction.
    pub(super) fn change_identity(
        &self,
        others: &[(&str, Option<&[u8]>)],
        change: impl FnOnce(&mut IdentityRecord),
    ) -> Result<(), SpaceError> {
        let mut record = IdentityRecord::clone(&*self.identity_record().ok_or(SpaceError::NoIdentity)?);
        change(&mut record);
        self.set_identity(record, others)
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
