//! Several stores in memory that share one space by decree: the table of who may do what is made by hand, so that the engine is
//! tested alone, without membership and sessions.

use std::sync::Arc;

use ed25519_dalek::{Signer, SigningKey};
use tidewater_engine::host::HeadSigner;
use tidewater_engine::id::{DeviceId, SpaceId, WriterId};
use tidewater_engine::log::{Plane, VersionVector};
use tidewater_engine::space::{Authority, EffectiveTable, Rank, SecretKey};
use tidewater_engine::store::{Options, Store};

use crate::disk::Disk;
use crate::host::SimulatedHost;
use crate::random::Random;

/// redb's cache for one small store, in bytes.
const CACHE_BYTES: usize = 1 << 20;

struct SeededSigner(SigningKey);

impl HeadSigner for SeededSigner {
    fn device(&self) -> DeviceId {
        DeviceId(self.0.verifying_key().to_bytes())
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

/// The stores, and what they share.
pub struct SharedSpace {
    /// The space.
    pub space: SpaceId,
    /// The key that its entries are sealed with.
    pub epoch: SecretKey,
    /// Everybody's clock.
    pub host: Arc<SimulatedHost>,
    table: EffectiveTable,
    members: Vec<Member>,
}

struct Member {
    seed: [u8; 32],
    disk: Disk,
    store: Option<Store>,
}

impl SharedSpace {
    /// `count` stores. The first device is admin, the others are writers.
    #[must_use]
    pub fn new(seed: u64, count: usize) -> Self {
        let mut random = Random::new(seed);
        let mut bytes = || -> [u8; 32] { std::array::from_fn(|_| random.number() as u8) };
        let (space, epoch) = (SpaceId(bytes()), SecretKey::new(bytes()));
        let seeds: Vec<[u8; 32]> = (0..count).map(|_| bytes()).collect();
        let authority = |number| Authority::of(if number == 0 { Rank::Admin } else { Rank::Writer });
        let device = |seed| SeededSigner(SigningKey::from_bytes(seed)).device();
        let table = EffectiveTable {
            devices: seeds.iter().enumerate().map(|(number, seed)| (device(seed), authority(number))).collect(),
            epochs: [(epoch.epoch_id(), epoch.clone())].into(),
            write_epoch: Some(epoch.epoch_id()),
            ..EffectiveTable::default()
        };
        let members = seeds.into_iter().map(|seed| Member { seed, disk: Disk::default(), store: None }).collect();
        let host = Arc::new(SimulatedHost::new(seed));
        let mut shared = Self { space, epoch, host, table, members };
        (0..count).for_each(|member| shared.start(member));
        shared
    }

    /// How many stores there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.members.len()
    }

    /// A member's store.
    #[must_use]
    pub fn store(&self, member: usize) -> &Store {
        self.members[member].store.as_ref().expect("a member runs but within `restart`")
    }

    /// The key of a member's device, for those who sign what an honest store would not.
    #[must_use]
    pub fn device_key(&self, member: usize) -> SigningKey {
        SigningKey::from_bytes(&self.members[member].seed)
    }

    /// Closes a member's store and opens it again from its disk.
    pub fn restart(&mut self, member: usize) {
        self.members[member].store = None;
        self.start(member);
    }

    fn start(&mut self, number: usize) {
        let member = &mut self.members[number];
        let store =
            Store::open(member.disk.location(), options(member.seed, self.host.clone())).expect("the store opens");
        store.set_effective(self.space, self.table.clone()).expect("the table is taken");
        store.set_home(self.space).expect("the space is home");
        member.store = Some(store);
    }

    /// How a further store of a member's device is opened: it knows no space yet.
    #[must_use]
    pub fn options(&self, member: usize, host: Arc<SimulatedHost>) -> Options {
        options(self.members[member].seed, host)
    }

    /// Who may do what.
    #[must_use]
    pub fn table(&self) -> &EffectiveTable {
        &self.table
    }

    /// Brings one member up to another in one log, by at most so many bytes. True: something was new.
    pub fn deliver(&self, from: usize, to: usize, writer: &WriterId, max_bytes: usize) -> bool {
        deliver(&self.space, self.store(from), self.store(to), writer, max_bytes)
    }

    /// What a member holds.
    #[must_use]
    pub fn vector(&self, member: usize) -> VersionVector {
        self.store(member).vector(&self.space, Plane::Data).expect("a vector")
    }

    /// Gives everything to everybody.
    pub fn exchange_all(&self) {
        for from in 0..self.count() {
            let writers: Vec<WriterId> = self.vector(from).iter().map(|(writer, _)| *writer).collect();
            for to in (0..self.count()).filter(|to| *to != from) {
                for writer in &writers {
                    while self.deliver(from, to, writer, usize::MAX) {}
                }
            }
        }
        for member in 1..self.count() {
            assert_eq!(self.vector(member), self.vector(0), "after a full exchange all hold the same");
        }
    }
}

fn options(seed: [u8; 32], host: Arc<SimulatedHost>) -> Options {
    Options {
        host,
        signer: Box::new(move |_| Ok((Arc::new(SeededSigner(SigningKey::from_bytes(&seed))), vec![]))),
        create: true,
        exclusive: false,
        mirror: None,
        cache_bytes: CACHE_BYTES,
    }
}

/// Brings one store up to another in one data log, by at most so many bytes. True: something was new.
///
/// # Panics
/// When the log can't be read, or the batch is refused.
pub fn deliver(space: &SpaceId, from: &Store, to: &Store, writer: &WriterId, max_bytes: usize) -> bool {
    let held = to.vector(space, Plane::Data).expect("a vector").length(writer);
    let batch = from.read_log(space, Plane::Data, writer, held, max_bytes).expect("a log is read");
    let Some(batch) = batch else { return false };
    to.receive(&batch).expect("an honest batch is taken").stored > 0
}
