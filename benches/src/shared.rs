//! Stores that share a space by decree: no membership, no sessions, only logs.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ed25519_dalek::{Signer, SigningKey};
use tidewater_engine::host::HeadSigner;
use tidewater_engine::id::{DeviceId, SpaceId};
use tidewater_engine::space::{Authority, EffectiveTable, Rank, SecretKey};
use tidewater_engine::store::{Location, Options, Store};
use tidewater_net::host::SystemHost;

use crate::contender::Outcome;
use crate::machine::CACHE_BYTES;

/// Stores of one space, each in its own file.
pub(crate) struct Shared {
    pub(crate) space: SpaceId,
    pub(crate) stores: Vec<Store>,
    paths: Vec<PathBuf>,
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

impl Shared {
    /// So many stores in `folder`. All may do everything.
    pub(crate) fn new(count: usize, folder: &Path) -> Outcome<Self> {
        let key = |number: usize| Key(SigningKey::from_bytes(&[number as u8 + 1; 32]));
        let epoch = SecretKey::new([7; 32]);
        let authority = Authority::of(Rank::Admin);
        let table = EffectiveTable {
            devices: (0..count).map(|number| (key(number).device(), authority.clone())).collect(),
            write_epoch: Some(epoch.epoch_id()),
            epochs: [(epoch.epoch_id(), epoch)].into(),
            ..EffectiveTable::default()
        };
        let space = SpaceId([9; 32]);
        let paths: Vec<PathBuf> = (0..count).map(|number| folder.join(format!("{number}.tide"))).collect();
        let open = |(number, path): (usize, &PathBuf)| -> Outcome<Store> {
            let signer: Arc<dyn HeadSigner> = Arc::new(key(number));
            let options = Options {
                host: Arc::new(SystemHost),
                signer: Box::new(move |_| Ok((signer, Vec::new()))),
                create: true,
                exclusive: true,
                mirror: None,
                cache_bytes: CACHE_BYTES,
            };
            let store = Store::open(Location::File(path.clone()), options)?;
            store.set_effective(space, table.clone())?;
            store.set_home(space)?;
            Ok(store)
        };
        let stores = paths.iter().enumerate().map(open).collect::<Outcome<_>>()?;
        Ok(Self { space, stores, paths })
    }

    /// The size of a store's file.
    pub(crate) fn file_bytes(&self, number: usize) -> Outcome<u64> {
        Ok(fs::metadata(&self.paths[number])?.len())
    }
}
