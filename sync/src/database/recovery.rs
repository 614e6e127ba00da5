//! From recovery words back to an identity and its spaces.
//!
//! The recovery key of an identity is a device in every space of it, whose secrets are on paper. A database in memory becomes that
//! device for a while: any member that holds the spaces, a relay too, brings them to it as to every other device. It
//! certifies a new device, which takes over, and is gone.

use std::sync::Arc;

use tidewater_engine::id::SpaceId;
use tidewater_engine::store::Location;
use zeroize::Zeroizing;

use super::control::{Control, SpaceState};
use super::records::IdentityRecord;
use super::{Database, DatabaseError, OpenOptions, SpaceError};
use crate::device::DeviceSecrets;
use crate::identity::{IdentityId, IdentitySecrets, RecoveryWords, RootKey};
use crate::membership::MemberState;

/// What [`Database::create`] calls the space that it makes home.
pub(super) const HOME_LABEL: &str = "home";

impl Database {
    /// A database in memory whose device is the recovery key that follows from `words`. It belongs to nobody until a session with a
    /// member of one of the identity's spaces has brought offers, and [`Database::recover_identity`] took them. Once all is there,
    /// [`Database::renew_root`] puts a new root key in the place of the lost one; then it removes lost devices with
    /// [`Database::remove_device`], links a new one with [`Database::link_ticket`], and gives it the root key with [`Database::hand_over`].
    ///
    /// # Errors
    /// [`DatabaseError::Open`] as [`tidewater_engine::store::Store::open`].
    pub fn recovering(words: &RecoveryWords, options: OpenOptions) -> Result<Self, DatabaseError> {
        let (signing, agreement) = (words.signing(), words.agreement());
        let secrets = DeviceSecrets { signing: Zeroizing::new(*signing.expose_seed()), agreement };
        Self::start(Location::Memory, options, true, Some(secrets))
    }

    /// Takes every space that was offered to the recovery key, and becomes a device of the identity whose key it is; to be called
    /// whenever a session brought something, until all is there. `None`: nobody has brought a space of such an identity so far;
    /// let a session go on, or ask another member. What a member says can't lead to another identity: its genesis is signed by
    /// the recovery key.
    ///
    /// The home space is lost with the devices that called it so; of the spaces that the identity owns alone, the oldest with that
    /// label becomes it.
    ///
    /// # Errors
    /// [`SpaceError::HasIdentity`] for a database that is not recovering, [`SpaceError::Read`], [`SpaceError::Write`].
    pub fn recover_identity(&self) -> Result<Option<IdentityId>, SpaceError> {
        let known = self.identity_record();
        if let Some(record) = known.as_ref().filter(|record| record.genesis.recovery_device() != self.device()) {
            return Err(SpaceError::HasIdentity { identity: record.genesis.id() });
        }
        for offer in self.space_offers()?.into_iter().filter(|offer| offer.rank.is_none()) {
            self.accept_space(&offer.space)?;
        }
        let control = self.control();
        let mut record = known.map(|record| IdentityRecord::clone(&record));
        let mut homes: Vec<(i64, SpaceId)> = Vec::new();
        for (space, state) in self.all_spaces_under(&control)? {
            for member in state.membership.identities.values() {
                self.recognise(&mut record, &state, member);
            }
            let owners = &state.genesis.owners;
            let own = record.as_ref().is_some_and(|own| owners.iter().all(|owner| owner.genesis == own.genesis));
            let commits = self.inner.store.control_commits(&space)?;
            let made_ms = commits.iter().map(|commit| commit.timestamp_ms).min();
            homes.extend(made_ms.filter(|_| own && state.table.label == HOME_LABEL).map(|made_ms| (made_ms, space)));
        }
        let Some(record) = record else { return Ok(None) };
        let identity = record.genesis.id();
        self.set_identity(record, &[])?;
        if let Some((_, home)) = homes.into_iter().min() {
            self.inner.store.set_home(home)?;
        }
        self.refresh_all(&control)?;
        Ok(Some(identity))
    }

    /// Notes what a space says of a member, if its recovery key is that of this database.
    fn recognise(&self, record: &mut Option<IdentityRecord>, state: &SpaceState, member: &MemberState) {
        let Some(genesis) = member.genesis.filter(|genesis| genesis.recovery_device() == self.device()) else { return };
        let found = record.get_or_insert_with(|| {
            let (name, certificates, removed) = (String::new(), Vec::new(), Vec::new());
            IdentityRecord { genesis, name, certificates, secrets: None, removed }
        });
        if found.genesis != genesis {
            return;
        }
        let name = member.name(&state.table.epochs);
        if !name.is_empty() {
            found.name = name;
        }
        found.add_certificates(member.devices.values());
        found.remove_devices(&member.removed);
    }

    /// Puts a new root key in the place of the one that is lost, and has it certify the devices that there are. To be called once
    /// everything that members hold is here: a device that nobody told of so far has to be linked again, since what the
    /// old root key signs from now on counts for nothing, whoever has it.
    ///
    /// # Errors
    /// [`SpaceError::NoIdentity`] before [`Database::recover_identity`] found it, [`SpaceError::HasIdentity`] for a database that is
    /// not recovering, [`SpaceError::Write`].
    pub fn renew_root(&self) -> Result<(), SpaceError> {
        let control = self.control();
        let record = self.identity_record().ok_or(SpaceError::NoIdentity)?;
        let identity = record.genesis.id();
        if record.genesis.recovery_device() != self.device() {
            return Err(SpaceError::HasIdentity { identity });
        }
        let root = RootKey::renewed(&*self.inner.host, self.device_key(), &identity, record.root());
        self.change_identity(&[], |record| {
            record.certificates.iter_mut().for_each(|one| *one = one.reissue(&root));
            record.secrets = Some(Arc::new(IdentitySecrets { root, words: None }));
        })?;
        self.refresh_all(&control)
    }

    /// Gives the root key to a device of the same identity, which can certify and remove devices from then on.
    ///
    /// # Errors
    /// [`SpaceError::NoIdentity`], [`SpaceError::NoRootKey`] when this database has none, [`SpaceError::HasIdentity`] when `to` is
    /// somebody else's, [`SpaceError::Write`].
    pub fn hand_over(&self, to: &Self) -> Result<(), SpaceError> {
        let own = self.identity_record().ok_or(SpaceError::NoIdentity)?;
        let theirs = to.identity_record().ok_or(SpaceError::NoIdentity)?;
        let secrets = own.secrets.as_ref().ok_or(SpaceError::NoRootKey)?;
        if theirs.genesis != own.genesis {
            return Err(SpaceError::HasIdentity { identity: theirs.genesis.id() });
        }
        let _control = to.control();
        let root = secrets.root.duplicate();
        to.change_identity(&[], |record| record.secrets = Some(Arc::new(IdentitySecrets { root, words: None })))
    }

    /// Draws the conclusions from every control plane.
    pub(super) fn refresh_all(&self, control: &Control) -> Result<(), SpaceError> {
        for space in self.inner.store.spaces() {
            self.refresh(control, &space)?;
        }
        Ok(())
    }
}
