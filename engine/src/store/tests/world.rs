//! Replicas that share a space, with a clock and randomness that a test controls.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use ed25519_dalek::{Signer, SigningKey};

use crate::host::{HeadSigner, Host};
use crate::id::{DeviceId, SpaceId};
use crate::log::Plane;
use crate::space::{Authority, EffectiveTable, Rank, SecretKey};
use crate::store::{
    Durability, Edit, Location, MirrorLocation, OpenError, Options, Store, TransactionError, WriteError,
};
use crate::value::{Fields, Value};

pub(super) const SPACE: SpaceId = SpaceId([7; 32]);

/// A clock that moves when told, and a counter that passes for randomness.
pub(super) struct TestHost {
    pub now_ms: AtomicI64,
    seed: u8,
    drawn: AtomicU64,
}

impl TestHost {
    pub fn new(seed: u8) -> Arc<Self> {
        Arc::new(Self { now_ms: AtomicI64::new(1_000), seed, drawn: AtomicU64::new(0) })
    }
}

impl Host for TestHost {
    fn now_ms(&self) -> i64 {
        self.now_ms.load(Ordering::Relaxed)
    }

    fn fill_random(&self, out: &mut [u8]) {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&[self.seed]).update(&self.drawn.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        hasher.finalize_xof().fill(out);
    }
}

struct Key(SigningKey);

impl HeadSigner for Key {
    fn device(&self) -> DeviceId {
        DeviceId(self.0.verifying_key().to_bytes())
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

pub(super) fn device(seed: u8) -> DeviceId {
    Key(SigningKey::from_bytes(&[seed; 32])).device()
}

pub(super) fn options(seed: u8, host: Arc<TestHost>, mirror: Option<&Path>) -> Options {
    Options {
        host,
        signer: Box::new(move |_| Ok((Arc::new(Key(SigningKey::from_bytes(&[seed; 32]))), vec![seed]))),
        create: true,
        exclusive: false,
        mirror: mirror.map(|folder| MirrorLocation::Folder(folder.to_owned())),
        cache_bytes: 8 << 20,
    }
}

/// A table in which devices 1 to 9 are writers, and 1 is the owner.
pub(super) fn table() -> EffectiveTable {
    let key = SecretKey::new([9; 32]);
    let authority = |seed| Authority::of(if seed == 1 { Rank::Owner } else { Rank::Writer });
    EffectiveTable {
        devices: (1..10).map(|seed| (device(seed), authority(seed))).collect(),
        control_key: Some(SecretKey::new([8; 32])),
        write_epoch: Some(key.epoch_id()),
        epochs: [(key.epoch_id(), key)].into(),
        ..EffectiveTable::default()
    }
}

pub(super) struct Replica {
    pub store: Store,
    pub host: Arc<TestHost>,
}

impl Replica {
    pub fn new(seed: u8) -> Self {
        Self::at(seed, Location::Memory, None).unwrap()
    }

    pub fn at(seed: u8, location: Location, mirror: Option<&Path>) -> Result<Self, OpenError> {
        let host = TestHost::new(seed);
        let store = Store::open(location, options(seed, host.clone(), mirror))?;
        store.set_effective(SPACE, table()).unwrap();
        store.set_home(SPACE).unwrap();
        Ok(Self { store, host })
    }

    pub fn insert(&self, id: &str, fields: &[(&str, Value)]) {
        let fields: Fields = fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        self.write(|tx| tx.insert("notes", Some(id), fields.clone()).map(|_| ())).unwrap();
    }

    pub fn edit(&self, id: &str, field: &str, edit: Edit) {
        self.write(|tx| tx.update("notes", id, vec![(field.to_owned(), edit.clone())])).unwrap();
    }

    pub fn write<T>(
        &self,
        body: impl FnOnce(&mut crate::store::Transaction<'_>) -> Result<T, WriteError>,
    ) -> Result<T, TransactionError<WriteError>> {
        self.store.transaction(Durability::Local, body)
    }

    pub fn field(&self, id: &str, field: &str) -> Option<Value> {
        self.store.snapshot().unwrap().get(None, "notes", id).unwrap()?.fields.get(field).cloned()
    }

    pub fn alive(&self, id: &str) -> bool {
        self.store.snapshot().unwrap().get(None, "notes", id).unwrap().is_some()
    }

    /// Takes everything that `other` has.
    pub fn pull(&self, other: &Replica) {
        for plane in [Plane::Control, Plane::Data] {
            for (writer, prefix) in other.store.vector(&SPACE, plane).unwrap().iter() {
                let mut held = self.store.vector(&SPACE, plane).unwrap().length(writer);
                while held < prefix.length {
                    let batch = other.store.read_log(&SPACE, plane, writer, held, 1 << 20).unwrap().unwrap();
                    self.store.receive(&batch).unwrap();
                    held = batch.head.length;
                }
            }
        }
    }

    pub fn digest(&self) -> [u8; 32] {
        self.store.digest(&SPACE).unwrap()
    }

    pub fn problems(&self) -> Vec<String> {
        self.store.verify(&mut |_, _| {}).unwrap().problems
    }
}

/// Both take what the other has, and must be equal and sound after it.
pub(super) fn converge(a: &Replica, b: &Replica) {
    a.pull(b);
    b.pull(a);
    assert_eq!(a.store.applied(&SPACE, Plane::Data).unwrap(), b.store.applied(&SPACE, Plane::Data).unwrap());
    assert_eq!(a.digest(), b.digest());
    assert_eq!(a.problems(), Vec::<String>::new());
    assert_eq!(b.problems(), Vec::<String>::new());
}
