//! The devices of the database's own identity.

use tidewater_engine::id::DeviceId;

use super::records::{self, IdentityRecord};
use super::{Database, SpaceError};

impl Database {
    /// Removes a device of this identity for good, in every space of this database: what it wrote counts as far as this database
    /// holds it, nothing later does, and new keys are given to everyone who stays. It keeps what it had read. Interrupted, opening
    /// the database goes on.
    ///
    /// # Errors
    /// [`SpaceError::NoIdentity`], [`SpaceError::NoRootKey`] on a device that can't sign for the identity, [`SpaceError::NoDevice`],
    /// [`SpaceError::OwnDevice`], [`SpaceError::Invalid`] when too many were removed before, [`SpaceError::Write`].
    pub fn remove_device(&self, device: &DeviceId) -> Result<(), SpaceError> {
        let control = self.control();
        let identity = self.identity_record().ok_or(SpaceError::NoIdentity)?;
        if *device == self.device() {
            return Err(SpaceError::OwnDevice);
        }
        if identity.certificate(device).is_none() {
            return Err(SpaceError::NoDevice { device: *device });
        }
        if identity.secrets.is_none() {
            return Err(SpaceError::NoRootKey);
        }
        if identity.removed.len() >= IdentityRecord::MAX_REMOVED {
            let why = format!("an identity removes at most {} devices", IdentityRecord::MAX_REMOVED);
            return Err(SpaceError::Invalid { why });
        }
        let removed = [*device].into();
        self.change_identity(&[(records::REMOVING, Some(&device.0))], |record| record.remove_devices(&removed))?;
        self.finish_removal(&control)
    }
}
