//! Which devices belong to which identity, and from where on they don't any more.
//!
//! A certificate needs no authority in the space: the identity's root key, or its recovery key, vouches for it wherever it stands.
//! So it is with the removal of a device.

use std::collections::{BTreeMap, BTreeSet};

use tidewater_engine::id::{DeviceId, WriterId};
use tidewater_engine::log::Plane;

use super::past::{History, Origin};
use crate::identity::{Certificate, IdentityGenesis, IdentityId};
use crate::space::{ControlOperation, Removal, SpaceGenesis};

/// Every genuine certificate and every genuine removal in the control plane.
#[derive(Default)]
pub(super) struct Certified {
    by_device: BTreeMap<DeviceId, Vec<(IdentityId, Origin)>>,
    latest: BTreeMap<IdentityId, BTreeMap<DeviceId, Certificate>>,
    /// The geneses to which the recovery keys agreed.
    geneses: BTreeMap<IdentityId, IdentityGenesis>,
    /// The numbers of the commits that remove a device.
    removals: BTreeMap<(IdentityId, DeviceId), Vec<usize>>,
}

impl Certified {
    pub(super) fn collect(genesis: &SpaceGenesis, history: &History<'_>) -> Self {
        let mut certified = Self::default();
        for owner in &genesis.owners {
            certified.add(&owner.genesis, &owner.certificates, Origin::Genesis);
        }
        let mut space = None;
        for (number, operation) in history.operations() {
            match operation {
                ControlOperation::Grant(grant) => {
                    certified.add(&grant.genesis, &grant.certificates, Origin::Commit(number));
                }
                ControlOperation::AddDevice { genesis, certificate, .. } => {
                    certified.add(genesis, std::slice::from_ref(certificate), Origin::Commit(number));
                }
                ControlOperation::RemoveDevice(removal) => {
                    let space = *space.get_or_insert_with(|| genesis.space());
                    if removal.verify(&space) {
                        let removed = (removal.genesis.id(), removal.device);
                        certified.removals.entry(removed).or_default().push(number);
                    }
                }
                _ => {}
            }
        }
        certified
    }

    fn add(&mut self, genesis: &IdentityGenesis, certificates: &[Certificate], origin: Origin) {
        let identity = genesis.id();
        if self.geneses.contains_key(&identity) || genesis.verify() {
            self.geneses.insert(identity, *genesis);
            self.by_device.entry(genesis.recovery_device()).or_default().push((identity, origin));
        }
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

    /// The identities a device belongs to now.
    pub(super) fn identities_now(&self, device: &DeviceId) -> impl Iterator<Item = IdentityId> + '_ {
        let device = *device;
        let ever = self.identities(&device).iter().map(|(identity, _)| *identity);
        ever.filter(move |identity| !self.removals.contains_key(&(*identity, device)))
    }

    /// The latest certificate of each device of an identity that it has not removed.
    pub(super) fn of(&self, identity: &IdentityId) -> BTreeMap<DeviceId, Certificate> {
        let mut devices = self.latest.get(identity).cloned().unwrap_or_default();
        devices.retain(|device, _| !self.removals.contains_key(&(*identity, *device)));
        devices
    }

    pub(super) fn removed_by(&self, identity: &IdentityId) -> BTreeSet<DeviceId> {
        self.removals.keys().filter(|(by, _)| by == identity).map(|(_, device)| *device).collect()
    }

    /// Its genesis, if its recovery key agreed to it.
    pub(super) fn genesis_of(&self, identity: &IdentityId) -> Option<IdentityGenesis> {
        self.geneses.get(identity).copied()
    }

    /// The commits by which an identity removed a device.
    pub(super) fn removals(&self, identity: &IdentityId, device: &DeviceId) -> &[usize] {
        self.removals.get(&(*identity, *device)).map_or(&[], Vec::as_slice)
    }

    /// How much of a control log its device wrote for an identity: up to the lowest cut, and nothing that no cut names.
    pub(super) fn control_length(&self, identity: &IdentityId, writer: &WriterId, history: &History<'_>) -> u64 {
        let removals = self.removals(identity, &writer.device).iter();
        let lengths = removals.filter_map(|number| removal_at(history, *number)).map(|removal| {
            let cuts = removal.cuts.iter().filter(|cut| cut.plane == Plane::Control && cut.writer == *writer);
            cuts.map(|cut| cut.length).min().unwrap_or(0)
        });
        lengths.min().unwrap_or(u64::MAX)
    }

    /// Whether the commit is a genuine removal.
    pub(super) fn is_removal(&self, number: usize, removal: &Removal) -> bool {
        self.removals(&removal.genesis.id(), &removal.device).contains(&number)
    }
}

/// What a commit says, if it removes a device.
pub(super) fn removal_at<'a>(history: &'a History<'_>, number: usize) -> Option<&'a Removal> {
    match history.operation(number) {
        Ok(ControlOperation::RemoveDevice(removal)) => Some(removal),
        _ => None,
    }
}
