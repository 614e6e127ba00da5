//! Which devices belong to which identity.
//!
//! A certificate needs no authority in the space: the identity's root key vouches for it wherever it stands.

use std::collections::BTreeMap;

use tidewater_engine::id::DeviceId;

use super::past::{History, Origin};
use crate::identity::{Certificate, IdentityGenesis, IdentityId};
use crate::space::{ControlOperation, SpaceGenesis};

/// Every genuine certificate in the control plane.
#[derive(Default)]
pub(super) struct Certified {
    by_device: BTreeMap<DeviceId, Vec<(IdentityId, Origin)>>,
    latest: BTreeMap<IdentityId, BTreeMap<DeviceId, Certificate>>,
}

impl Certified {
    pub(super) fn collect(genesis: &SpaceGenesis, history: &History<'_>) -> Self {
        let mut certified = Self::default();
        for owner in &genesis.owners {
            certified.add(&owner.genesis, &owner.certificates, Origin::Genesis);
        }
        for (number, operation) in history.operations() {
            match operation {
                ControlOperation::Grant(grant) => {
                    certified.add(&grant.genesis, &grant.certificates, Origin::Commit(number));
                }
                ControlOperation::AddDevice { genesis, certificate, .. } => {
                    certified.add(genesis, std::slice::from_ref(certificate), Origin::Commit(number));
                }
                _ => {}
            }
        }
        certified
    }

    fn add(&mut self, genesis: &IdentityGenesis, certificates: &[Certificate], origin: Origin) {
        let identity = genesis.id();
        for certificate in certificates {
            let known = self.latest.get(&identity).and_then(|devices| devices.get(&certificate.device));
            // A certificate that was met before, as in every repeated grant, is not verified again.
            if known != Some(certificate) && !certificate.verify(genesis) {
                continue;
            }
            self.by_device.entry(certificate.device).or_default().push((identity, origin));
            // Of two with one time, the greater bytes count: any rule would do that every replica shares.
            let rank = |one: &Certificate| (one.issued_ms, one.agreement);
            if known.is_none_or(|known| rank(known) < rank(certificate)) {
                self.latest.entry(identity).or_default().insert(certificate.device, *certificate);
            }
        }
    }

    pub(super) fn devices(&self) -> impl Iterator<Item = &DeviceId> {
        self.by_device.keys()
    }

    /// The identities a device ever belonged to, and where each was said.
    pub(super) fn identities(&self, device: &DeviceId) -> &[(IdentityId, Origin)] {
        self.by_device.get(device).map_or(&[], Vec::as_slice)
    }

    /// The latest certificate of each device of an identity.
    pub(super) fn of(&self, identity: &IdentityId) -> BTreeMap<DeviceId, Certificate> {
        self.latest.get(identity).cloned().unwrap_or_default()
    }
}
