//! A clock and randomness for tests: the same seed gives the same run.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use tidewater_engine::host::Host;
use tidewater_engine::id::{DeviceId, SpaceId};

use crate::device::DeviceKey;
use crate::identity::{
    Certificate, IdentityCard, IdentityGenesis, IdentityId, IdentitySecrets, RecoveryWords, RootKey, possession_of,
};
use crate::keys::AgreementKey;
use crate::space::{ControlOperation, CutRecord, EpochStart, Removal};

/// A host whose time stands still until a test moves it.
pub(crate) struct SimulatedHost {
    now_ms: AtomicI64,
    random: Mutex<blake3::OutputReader>,
}

impl SimulatedHost {
    pub(crate) fn new(seed: u64) -> Arc<Self> {
        let random = blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof();
        Arc::new(Self { now_ms: AtomicI64::new(1_800_000_000_000), random: Mutex::new(random) })
    }

    pub(crate) fn advance(&self, by_ms: i64) {
        self.now_ms.fetch_add(by_ms, Ordering::SeqCst);
    }

    /// A number below `bound`.
    pub(crate) fn below(&self, bound: usize) -> usize {
        let mut bytes = [0; 8];
        self.fill_random(&mut bytes);
        (u64::from_le_bytes(bytes) % bound as u64) as usize
    }
}

impl Host for SimulatedHost {
    fn now_ms(&self) -> i64 {
        self.now_ms.load(Ordering::SeqCst)
    }

    fn fill_random(&self, out: &mut [u8]) {
        self.random.lock().expect("no test panics while holding it").fill(out);
    }
}

/// An identity with devices, without a database.
pub(crate) struct Person {
    pub(crate) genesis: IdentityGenesis,
    pub(crate) name: String,
    pub(crate) devices: Vec<(DeviceKey, AgreementKey, Certificate)>,
    secrets: IdentitySecrets,
    host: Arc<SimulatedHost>,
}

impl Person {
    /// A person with one device.
    pub(crate) fn new(seed: u64, name: &str) -> Self {
        let host = SimulatedHost::new(seed);
        let (secrets, genesis) = IdentitySecrets::generate(&*host);
        let mut person = Self { genesis, name: name.into(), devices: Vec::new(), secrets, host };
        person.add_device();
        person
    }

    pub(crate) fn id(&self) -> IdentityId {
        self.genesis.id()
    }

    pub(crate) fn add_device(&mut self) -> Certificate {
        let (key, agreement) = (DeviceKey::generate(&*self.host), AgreementKey::generate(&*self.host));
        let certificate = self.certify(&key, agreement.public(), self.host.now_ms());
        self.devices.push((key, agreement, certificate));
        certificate
    }

    /// A certificate for a device, which may be somebody else's, or have others.
    pub(crate) fn certify(&self, key: &DeviceKey, agreement: [u8; 32], issued_ms: i64) -> Certificate {
        let possession = possession_of(key, &self.id(), &agreement);
        Certificate::issue(&self.secrets.root, self.id(), key.device(), agreement, possession, issued_ms)
    }

    /// Says in a space that a device is this person's no more.
    pub(crate) fn remove(
        &self,
        space: &SpaceId,
        device: DeviceId,
        cuts: Vec<CutRecord>,
        rotation: EpochStart,
    ) -> ControlOperation {
        let removal = Removal::sign(&self.secrets.root, self.genesis, space, device, cuts, rotation);
        ControlOperation::RemoveDevice(removal)
    }

    /// Another root key takes the place of this person's. Gives the one before it, which a thief may have.
    pub(crate) fn renew_root(&mut self) -> RootKey {
        let recovery = self.words().signing();
        let renewed = RootKey::renewed(&*self.host, &recovery, &self.genesis.id(), self.secrets.root.order());
        std::mem::replace(&mut self.secrets.root, renewed)
    }

    /// The words from which the recovery keys follow.
    pub(crate) fn words(&self) -> &RecoveryWords {
        self.secrets.words.as_ref().expect("they were not given away")
    }

    pub(crate) fn card(&self) -> IdentityCard {
        let certificates = self.devices.iter().map(|(_, _, certificate)| *certificate).collect();
        IdentityCard { genesis: self.genesis, name: self.name.clone(), certificates }
    }
}
