//! One device of the world: its disk, its clock, and the database while it runs.

use std::sync::{Arc, Mutex, PoisonError};

use tidewater_engine::host::Host;
use tidewater_engine::id::{DeviceId, SpaceId, WriterId};
use tidewater_engine::space::Rank;
use tidewater_engine::store::{Change, ChangeGuard};
use tidewater_sync::{CreateOptions, Database, DatabaseError, IdentityId, Member, OpenOptions};

use super::follow::Follower;
use super::model::Model;
use crate::disk::Disk;
use crate::host::SimulatedHost;

/// redb's cache for one small database, in bytes.
const CACHE_BYTES: usize = 1 << 20;

pub(super) struct Replica {
    pub(super) host: Arc<SimulatedHost>,
    pub(super) disk: Disk,
    pub(super) device: DeviceId,
    pub(super) identity: IdentityId,
    /// `None` while it is down.
    pub(super) running: Option<Running>,
    /// An old state of the database file.
    pub(super) backup: Option<Vec<u8>>,
    /// Who it was when it last started, if its disk was well then.
    pub(super) writer: Option<WriterId>,
    /// Whether the next start goes on as the same writer, if its log stays open.
    pub(super) keeps_writer: bool,
    /// Whether it keeps to the rules.
    pub(super) honest: bool,
}

/// A database that is open, and what is remembered until it closes.
pub(super) struct Running {
    pub(super) database: Database,
    pub(super) model: Model,
    pub(super) follower: Follower,
    changes: Arc<Mutex<Vec<Change>>>,
    _listener: ChangeGuard,
}

impl Running {
    fn new(database: Database) -> Self {
        let changes = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&changes);
        let listener = database.on_change(Arc::new(move |change: &Change| {
            heard.lock().unwrap_or_else(PoisonError::into_inner).push(change.clone());
        }));
        Self { database, model: Model::default(), follower: Follower::default(), changes, _listener: listener }
    }

    /// What changed since it was last asked.
    pub(super) fn take_changes(&self) -> Vec<Change> {
        std::mem::take(&mut self.changes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn options(host: &Arc<SimulatedHost>, disk: &Disk) -> OpenOptions {
    OpenOptions { host: host.clone(), mirror: disk.mirror(), cache_bytes: CACHE_BYTES }
}

impl Replica {
    /// A new device; with a name, one of a new identity, with a home space if asked for.
    pub(super) fn create(seed: u64, identity: Option<&str>, home: bool) -> Result<Self, DatabaseError> {
        let (host, disk) = (Arc::new(SimulatedHost::new(seed)), Disk::default());
        let create = CreateOptions { open: options(&host, &disk), identity: identity.map(str::to_owned), home };
        let database = Database::create(disk.location(), create)?;
        let (device, identity) = (database.device(), database.identity().unwrap_or(IdentityId([0; 32])));
        let writer = Some(database.writer());
        let running = Some(Running::new(database));
        Ok(Self { host, disk, device, identity, running, backup: None, writer, keeps_writer: true, honest: true })
    }

    /// The same device on another disk, not yet running.
    pub(super) fn twin(&self, host: SimulatedHost, disk: Disk) -> Self {
        let Self { device, identity, honest, .. } = *self;
        let host = Arc::new(host);
        Self { host, disk, device, identity, running: None, backup: None, writer: None, keeps_writer: false, honest }
    }

    /// Opens the database on the disk.
    pub(super) fn open(&mut self) -> Result<&Database, DatabaseError> {
        let database = Database::open(self.disk.location(), options(&self.host, &self.disk))?;
        Ok(&self.running.insert(Running::new(database)).database)
    }

    pub(super) fn database(&self) -> Option<&Database> {
        self.running.as_ref().map(|running| &running.database)
    }

    /// Whether its disk failed since it was opened, or is about to: then nothing that it says can be counted on.
    pub(super) fn is_sick(&self) -> bool {
        self.disk.is_sick()
    }

    /// The database, if what it says can be counted on.
    pub(super) fn healthy(&self) -> Option<&Database> {
        self.database().filter(|_| !self.is_sick())
    }

    pub(super) fn now_ms(&self) -> i64 {
        self.host.now_ms()
    }

    /// The rank that it has in a space now, as some database knows it.
    pub(super) fn rank_in(&self, space: &SpaceId, database: &Database) -> Option<Rank> {
        let members = database.members(space).ok()?;
        let acts = |member: &&Member| member.devices.iter().any(|one| one.device == self.device);
        members.iter().filter(acts).map(|member| member.rank).max()
    }

    /// Whether it takes part in a space now, as far as it knows itself.
    pub(super) fn follows(&self, space: &SpaceId) -> bool {
        self.database().is_some_and(|database| database.effective(space).is_some())
    }
}
