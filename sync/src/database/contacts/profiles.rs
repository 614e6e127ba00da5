//! The own profile: what this identity says of itself, on all of its devices.

use std::collections::BTreeSet;

use tidewater_engine::id::SpaceId;
use tidewater_engine::store::Durability;
use tidewater_engine::value::{Fields, Value};

use super::ContactError;
use crate::codec::Codec;
use crate::contacts::{Audience, Profile, ProfileField, SignedProfile};
use crate::database::{Database, SpaceError};
use crate::identity::IdentityId;

const COLLECTION: &str = "tide_profile";
const DOCUMENT: &str = "own";

/// The form for everyone, that for contacts, and the public fields.
type StoredProfile = (SignedProfile, SignedProfile, BTreeSet<ProfileField>);

/// What this identity says of itself, and to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnProfile {
    /// What contacts see.
    pub profile: Profile,
    /// The fields that everyone sees; the name is always among them.
    pub public: BTreeSet<ProfileField>,
    /// How often it was edited, as far as this device knows.
    pub revision: u64,
}

impl Database {
    /// The identity that this device speaks for: the one that certifies it, and has not removed it.
    pub(crate) fn speaks_for(&self) -> Option<IdentityId> {
        let record = self.identity_record()?;
        record.own_certificate(self.device_key(), self.agreement()).map(|certificate| certificate.identity)
    }

    /// What this identity says of itself. Without an edit it is the name alone.
    ///
    /// # Errors
    /// [`SpaceError::NoIdentity`], [`SpaceError::Read`].
    pub fn profile(&self) -> Result<OwnProfile, ContactError> {
        let spaces = self.private_spaces()?;
        let contacts = self.signed_profile_in(&spaces, Audience::Contacts)?;
        let public = self.stored_profile(&spaces)?.map(|(_, _, public)| public).unwrap_or_default();
        Ok(OwnProfile { profile: contacts.profile, public, revision: contacts.revision })
    }

    /// Says something else of this identity from now on. Contacts get it in the next session with any of its devices.
    ///
    /// # Errors
    /// [`ContactError::Profile`] names what is over its limit; [`SpaceError::NoIdentity`], [`SpaceError::Write`].
    pub fn set_profile(&self, profile: &Profile, public: &BTreeSet<ProfileField>) -> Result<(), ContactError> {
        profile.check()?;
        let control = self.control();
        let space = self.private_spaces_or_new(&control)?[0];
        let spaces = self.private_spaces_under(&control)?;
        let revision = self.signed_profile_in(&spaces, Audience::Contacts)?.revision.saturating_add(1);
        let everyone = self.sign_profile(Audience::Everyone, revision, profile.with_only(public))?;
        let contacts = self.sign_profile(Audience::Contacts, revision, profile.clone())?;
        let names = public.iter().map(|field| Value::String(field.name().to_owned())).collect();
        let fields = Fields::from([
            ("everyone".to_owned(), Value::Bytes(everyone.to_bytes())),
            ("contacts".to_owned(), Value::Bytes(contacts.to_bytes())),
            ("public".to_owned(), Value::List(names)),
        ]);
        self.transaction(Durability::Local, |transaction| {
            transaction.in_space(space)?;
            transaction.upsert(COLLECTION, DOCUMENT, fields).map(|_| ())
        })?;
        Ok(())
    }

    /// What this identity says to everyone, or to contacts, signed.
    ///
    /// # Errors
    /// [`SpaceError::NoIdentity`], also for a device that its identity did not certify; [`SpaceError::Read`].
    pub fn signed_profile(&self, audience: Audience) -> Result<SignedProfile, ContactError> {
        self.signed_profile_in(&self.private_spaces()?, audience)
    }

    /// The same by these private spaces.
    pub(super) fn signed_profile_in(
        &self,
        spaces: &[SpaceId],
        audience: Audience,
    ) -> Result<SignedProfile, ContactError> {
        let name = || self.identity_record().map(|record| record.name.clone()).unwrap_or_default();
        let Some((everyone, contacts, _)) = self.stored_profile(spaces)? else {
            return self.sign_profile(audience, 0, Profile { name: name(), ..Profile::default() });
        };
        let stored = if audience == Audience::Everyone { everyone } else { contacts };
        let disowned = self.identity().is_none_or(|own| self.has_disowned(&own, stored.certificate()));
        if disowned {
            // Others don't believe a device that was removed: another one says the same, one later.
            return self.sign_profile(audience, stored.revision.saturating_add(1), stored.profile);
        }
        Ok(stored)
    }

    fn sign_profile(&self, audience: Audience, revision: u64, profile: Profile) -> Result<SignedProfile, ContactError> {
        let record = self.identity_record().ok_or(SpaceError::NoIdentity)?;
        let certificate = record.own_certificate(self.device_key(), self.agreement()).ok_or(SpaceError::NoIdentity)?;
        Ok(SignedProfile::sign(self.device_key(), record.genesis, certificate, (audience, revision), profile))
    }

    /// The newest profile that a device of this identity has stored.
    pub(super) fn stored_profile(&self, spaces: &[SpaceId]) -> Result<Option<StoredProfile>, ContactError> {
        let snapshot = self.snapshot()?;
        let mut newest: Option<StoredProfile> = None;
        for space in spaces {
            let Some(document) = snapshot.get(Some(space), COLLECTION, DOCUMENT)? else { continue };
            let form = |name: &str| match document.fields.get(name) {
                Some(Value::Bytes(bytes)) => SignedProfile::from_bytes(bytes).ok(),
                _ => None,
            };
            let (Some(everyone), Some(contacts)) = (form("everyone"), form("contacts")) else { continue };
            let names = match document.fields.get("public") {
                Some(Value::List(names)) => names.as_slice(),
                _ => &[],
            };
            let public = names.iter().filter_map(|name| match name {
                Value::String(name) => ProfileField::named(name),
                _ => None,
            });
            if newest.as_ref().is_none_or(|(_, held, _)| held.order() < contacts.order()) {
                newest = Some((everyone, contacts, public.collect()));
            }
        }
        Ok(newest)
    }
}
