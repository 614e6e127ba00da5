//! A device with a database in memory and one space, whose owner it is.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ed25519_dalek::{Signer, SigningKey};
use tidewater_engine::host::{HeadSigner, Host};
use tidewater_engine::id::{DeviceId, SpaceId};
use tidewater_engine::log::Plane;
use tidewater_engine::port::{ExportOptions, ImportError, ImportOptions, ImportReport, export, import};
use tidewater_engine::space::{Authority, EffectiveTable, Rank, SecretKey};
use tidewater_engine::store::{Location, Options, Store};

struct Machine(AtomicU64);

impl Host for Machine {
    fn now_ms(&self) -> i64 {
        1_700_000_000_000 + self.0.fetch_add(1, Ordering::Relaxed) as i64
    }

    fn fill_random(&self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            let number = self.0.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            chunk.copy_from_slice(&number.to_le_bytes()[..chunk.len()]);
        }
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

pub const SPACE: SpaceId = SpaceId([5; 32]);

/// A store whose device has `rank` in its only space, which is home.
pub fn store_of(rank: Rank) -> Store {
    let options = Options {
        host: Arc::new(Machine(AtomicU64::new(1))),
        signer: Box::new(|_| Ok((Arc::new(Key(SigningKey::from_bytes(&[7; 32]))), vec![7; 32]))),
        create: true,
        exclusive: true,
        mirror: None,
        cache_bytes: 16 << 20,
    };
    let store = Store::open(Location::Memory, options).unwrap();
    let key = SecretKey::new([9; 32]);
    let authority = Authority::of(rank);
    let table = EffectiveTable {
        devices: [(store.writer().device, authority)].into(),
        control_key: Some(SecretKey::new([8; 32])),
        write_epoch: Some(key.epoch_id()),
        epochs: [(key.epoch_id(), key)].into(),
        ..EffectiveTable::default()
    };
    store.set_effective(SPACE, table).unwrap();
    store.set_home(SPACE).unwrap();
    store
}

pub fn store() -> Store {
    store_of(Rank::Owner)
}

/// Imports into the collection `notes`.
pub fn import_with(store: &Store, input: &str, options: &ImportOptions) -> Result<ImportReport, ImportError> {
    import(store, input.as_bytes(), options, &mut |_| ControlFlow::Continue(()))
}

pub fn notes() -> ImportOptions {
    ImportOptions::new("notes")
}

/// All of the collection `notes`.
pub fn exported(store: &Store) -> String {
    let options = ExportOptions { collection: "notes".to_owned(), spaces: None };
    let mut out = Vec::new();
    let snapshot = store.snapshot().unwrap();
    let done = export(&snapshot, &mut out, &options, &mut |_| ControlFlow::Continue(())).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert_eq!((done.exported, done.bytes), (text.lines().count() as u64, text.len() as u64));
    text
}

/// How many commits the space's data logs have.
pub fn commits(store: &Store) -> usize {
    store.applied_order(&SPACE, Plane::Data, 0, usize::MAX).unwrap().len()
}
