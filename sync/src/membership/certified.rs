//! Which devices belong to which identity, and from where on they don't any more.
//!
//! A certificate needs no authority in the space: a root key of the identity vouches for it wherever it stands. So it is with the
//! removal of a device. What a root key says whose place another one has taken counts only where it was known by then: a
//! thief of the old key says it too late.

use std::collections::{BTreeMap, BTreeSet};

use tidewater_engine::id::{DeviceId, WriterId};
use tidewater_engine::log::Plane;

use super::past::{History, Origin};
use crate::codec::Codec;
use crate::identity::{Certificate, IdentityGenesis, IdentityId, RootOrder};
use crate::space::{ControlOperation, Removal, SpaceGenesis};

/// Every certificate and every removal in the control plane that counts.
#[derive(Default)]
pub(super) struct Certified {
    by_device: BTreeMap<DeviceId, Vec<(IdentityId, Origin)>>,
    latest: BTreeMap<IdentityId, BTreeMap<DeviceId, Certificate>>,
    /// The geneses to which the recovery keys agreed.
    geneses: BTreeMap<IdentityId, IdentityGenesis>,
    /// The numbers of the commits whose certificates count.
    certificates: BTreeSet<usize>,
    /// The numbers of the commits that remove a device.
    removals: BTreeMap<(IdentityId, DeviceId), Vec<usize>>,
    /// The newest root key of each identity that signed anything.
    roots: BTreeMap<IdentityId, RootOrder>,
}

/// What was genuinely signed by a root key of an identity, and where it stands.
struct Signed<T> {
    identity: IdentityId,
    what: T,
    root: RootOrder,
    origin: Origin,
}

impl Certified {
    pub(super) fn collect(genesis: &SpaceGenesis, history: &History<'_>) -> Self {
        let mut certified = Self::default();
        let mut certificates: Vec<Signed<Certificate>> = Vec::new();
        let mut removals: Vec<Signed<DeviceId>> = Vec::new();
        // A certificate that was met before, as in every repeated grant, is not verified again.
        let mut known = BTreeSet::new();
        let mut add = |certified: &mut Self, genesis: &IdentityGenesis, listed: &[Certificate], origin| {
            let identity = genesis.id();
            certified.meet(identity, genesis, origin);
            for one in listed {
                let bytes = one.to_bytes();
                if known.contains(&(identity, bytes.clone())) || one.verify(genesis) {
                    known.insert((identity, bytes));
                    certificates.push(Signed { identity, what: *one, root: one.root(), origin });
                }
            }
        };
        for owner in &genesis.owners {
            add(&mut certified, &owner.genesis, &owner.certificates, Origin::Genesis);
        }
        let mut space = None;
        for (number, operation) in history.operations() {
            let origin = Origin::Commit(number);
            match operation {
                ControlOperation::Grant(grant) => add(&mut certified, &grant.genesis, &grant.certificates, origin),
                ControlOperation::AddDevice { genesis, certificate, .. } => {
                    add(&mut certified, genesis, std::slice::from_ref(certificate), origin);
                }
                ControlOperation::RemoveDevice(removal) => {
                    let space = *space.get_or_insert_with(|| genesis.space());
                    if removal.verify(&space) {
                        let (identity, root) = (removal.genesis.id(), removal.root());
                        removals.push(Signed { identity, what: removal.device, root, origin });
                    }
                }
                _ => {}
            }
        }
        let mut roots: BTreeMap<IdentityId, BTreeSet<(RootOrder, Origin)>> = BTreeMap::new();
        let signed = certificates.iter().map(|one| (one.identity, one.root, one.origin));
        for (identity, root, origin) in signed.chain(removals.iter().map(|one| (one.identity, one.root, one.origin))) {
            roots.entry(identity).or_default().insert((root, origin));
            let newest = certified.roots.entry(identity).or_default();
            *newest = root.max(*newest);
        }
        // What an older root key signed counts where it was known to whoever first showed a newer one.
        let counts = |identity: &IdentityId, root: RootOrder, origin: Origin| {
            let newer = roots.get(identity).into_iter().flatten().filter(|(other, _)| *other > root);
            newer.into_iter().all(|(_, shown)| match shown {
                Origin::Genesis => false,
                Origin::Commit(shown) => origin != Origin::Commit(*shown) && history.precedes(origin, *shown),
            })
        };
        for one in certificates.iter().filter(|one| counts(&one.identity, one.root, one.origin)) {
            certified.certify(one.identity, &one.what, one.origin);
        }
        for one in removals.iter().filter(|one| counts(&one.identity, one.root, one.origin)) {
            if let Origin::Commit(number) = one.origin {
                certified.removals.entry((one.identity, one.what)).or_default().push(number);
            }
        }
        certified
    }

    /// Notes an identity whose recovery key agreed to be that.
    fn meet(&mut self, identity: IdentityId, genesis: &IdentityGenesis, origin: Origin) {
        if self.geneses.contains_key(&identity) || genesis.verify() {
            self.geneses.insert(identity, *genesis);
            self.by_device.entry(genesis.recovery_device()).or_default().push((identity, origin));
        }
    }

    fn certify(&mut self, identity: IdentityId, certificate: &Certificate, origin: Origin) {
        self.by_device.entry(certificate.device).or_default().push((identity, origin));
        if let Origin::Commit(number) = origin {
            self.certificates.insert(number);
        }
        let latest = self.latest.entry(identity).or_default().entry(certificate.device).or_insert(*certificate);
        if latest.order() < certificate.order() {
            *latest = *certificate;
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

    /// The newest of its root keys that signed anything here.
    pub(super) fn root_of(&self, identity: &IdentityId) -> RootOrder {
        self.roots.get(identity).copied().unwrap_or_default()
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

    /// Whether the author of a commit was a device of `identity` by then.
    pub(super) fn belongs(&self, number: usize, identity: &IdentityId, history: &History<'_>) -> bool {
        let commit = history.commit(number);
        let mut said = self.identities(&commit.writer.device).iter().filter(|(of, _)| of == identity);
        said.any(|(_, origin)| history.precedes(*origin, number))
            && commit.sequence < self.control_length(identity, &commit.writer, history)
    }

    /// Whether the commit has a certificate that counts.
    pub(super) fn is_certificate(&self, number: usize) -> bool {
        self.certificates.contains(&number)
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
