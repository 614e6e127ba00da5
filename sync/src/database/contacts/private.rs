//! Private spaces: where an identity keeps what is for its own devices alone.

use std::sync::Arc;

use tidewater_engine::id::SpaceId;

use crate::database::control::{Control, SpaceState};
use crate::database::{Database, SpaceError};
use crate::identity::IdentityId;

/// The label of a private space.
const LABEL: &str = "Private";
/// How many bytes of a genesis's nonce are random, and how many say that the space is private.
const HALF: usize = 8;

/// The nonce that makes a space of `owner` a private one.
fn private_nonce(owner: &IdentityId, random: [u8; HALF]) -> [u8; 2 * HALF] {
    let mark = blake3::derive_key("tidewater 2026 private space v1", &[owner.0.as_slice(), &random].concat());
    let mut nonce = [0; 2 * HALF];
    nonce[..HALF].copy_from_slice(&random);
    nonce[HALF..].copy_from_slice(&mark[..HALF]);
    nonce
}

/// The random half.
fn half(nonce: [u8; 2 * HALF]) -> [u8; HALF] {
    nonce[..HALF].try_into().expect("half of the nonce")
}

impl Database {
    /// Whether a space is for the devices of this identity alone: only they are ever given more than rank relay there.
    ///
    /// # Errors
    /// [`SpaceError::UnknownSpace`], [`SpaceError::Read`].
    pub fn is_private(&self, space: &SpaceId) -> Result<bool, SpaceError> {
        Ok(self.is_private_state(&*self.space_state(space)?))
    }

    pub(in crate::database) fn is_private_state(&self, state: &SpaceState) -> bool {
        let [owner] = state.genesis.owners.as_slice() else { return false };
        let (owner, nonce) = (owner.genesis.id(), state.genesis.nonce);
        nonce == private_nonce(&owner, half(nonce)) && self.identity() == Some(owner)
    }

    /// The private spaces of this identity. Two devices may each have made one before they met. Writes go to the first.
    pub(super) fn private_spaces(&self) -> Result<Vec<SpaceId>, SpaceError> {
        Ok(self.private_of(self.all_spaces()?))
    }

    /// [`Database::private_spaces`] for who holds the lock already.
    pub(super) fn private_spaces_under(&self, control: &Control) -> Result<Vec<SpaceId>, SpaceError> {
        Ok(self.private_of(self.all_spaces_under(control)?))
    }

    fn private_of(&self, spaces: Vec<(SpaceId, Arc<SpaceState>)>) -> Vec<SpaceId> {
        let private = spaces.into_iter().filter(|(_, state)| self.is_private_state(state)).map(|(space, _)| space);
        let mut private: Vec<SpaceId> = private.collect();
        private.sort();
        private
    }

    /// The private spaces. When there is none yet, it is made.
    pub(super) fn private_spaces_or_new(&self, control: &Control) -> Result<Vec<SpaceId>, SpaceError> {
        let mut private = self.private_spaces_under(control)?;
        if private.is_empty() {
            let record = self.draft_space_with(LABEL, |owner, random| private_nonce(owner, half(random)))?;
            private.push(self.add_space(control, &record, &[])?);
        }
        Ok(private)
    }
}
