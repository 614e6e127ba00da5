//! The policy of this device, and the one place where it is asked.

use tidewater_engine::id::DeviceId;

use super::ContactError;
use crate::codec::Codec;
use crate::contacts::{Decision, DeviceKind, MAX_POLICY_RULES, Policy, Proposal, Relationship, Status};
use crate::database::{Database, records};
use crate::identity::IdentityId;

const POLICY: &str = "policy";

impl Database {
    /// What this device accepts without asking.
    ///
    /// # Errors
    /// [`SpaceError::Read`](crate::database::SpaceError), [`SpaceError::Record`](crate::database::SpaceError).
    pub fn policy(&self) -> Result<Policy, ContactError> {
        Ok(records::read(&self.inner.store, POLICY)?.unwrap_or_default())
    }

    /// Decides what this device accepts without asking, from now on.
    ///
    /// # Errors
    /// [`ContactError::Invalid`] for more than [`MAX_POLICY_RULES`] rules; [`SpaceError::Write`](crate::database::SpaceError).
    pub fn set_policy(&self, policy: &Policy) -> Result<(), ContactError> {
        if policy.rules.len() > MAX_POLICY_RULES {
            let why = format!("a policy has at most {MAX_POLICY_RULES} rules, this one has {}", policy.rules.len());
            return Err(ContactError::Invalid { why });
        }
        Ok(self.inner.store.set_local(&[(POLICY, Some(&policy.to_bytes()))])?)
    }

    /// What becomes of a space that another device offers, which holds so many entries as it says.
    pub(crate) fn decide_on_space(
        &self,
        from: &IdentityId,
        device: &DeviceId,
        entries: u64,
    ) -> Result<Decision, ContactError> {
        let (who, kinds) = if self.identity() == Some(*from) {
            let stored = self.stored_profile(&self.private_spaces()?)?;
            (Relationship::OwnDevice, stored.map(|(_, contacts, _)| contacts.profile))
        } else {
            let relation = self.relation(from)?;
            let who = match relation.status(self.host().now_ms()) {
                Status::Blocked => return Ok(Decision::Refuse),
                Status::Contact { .. } if relation.verified => Relationship::VerifiedContact,
                Status::Contact { .. } => Relationship::Contact,
                _ => Relationship::Stranger,
            };
            (who, relation.profile.map(|signed| signed.profile))
        };
        let kind = kinds.and_then(|profile| profile.devices.get(device).copied()).unwrap_or(DeviceKind::Other);
        Ok(self.policy()?.decide(Proposal::Space, who, kind, entries))
    }
}
