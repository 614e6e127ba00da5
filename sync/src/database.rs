//! A database that knows whose it is: the store, the device's keys, the identity and its spaces.

use std::fmt;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;

use tidewater_engine::host::Host;
use tidewater_engine::id::{DeviceId, SpaceId};
use tidewater_engine::space::Rank;
use tidewater_engine::store::{Location, OpenError, ReadError, Store, WriteError};

use crate::device::DeviceKey;
use crate::identity::{IdentityCard, IdentityId};
use crate::status::SyncStatus;
use crate::ticket::Ticket;

/// How to open a database.
pub struct OpenOptions {
    /// The clock and the randomness.
    pub host: Arc<dyn Host>,
    /// Where the nonces of file databases are mirrored, outside the file: see [`tidewater_engine::store::Options::mirror`].
    pub mirror: Option<PathBuf>,
    /// The storage's page cache, in bytes.
    pub cache_bytes: usize,
}

/// How to create a database.
pub struct CreateOptions {
    /// What opening needs.
    pub open: OpenOptions,
    /// The name of the identity to make. `None`: the database has no identity until it is linked by a ticket or
    /// [`Database::create_identity`] is called.
    pub identity: Option<String>,
    /// Whether to make a home space, labelled `home`. Needs an identity.
    pub home: bool,
}

/// An open database. Cheap to clone. It dereferences to its [`Store`], for everything about documents.
#[derive(Clone)]
pub struct Database {
    store: Store,
    key: Arc<DeviceKey>,
}

/// Why a database could not be created or opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// The store did not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Making or reading identity or home space failed.
    #[error(transparent)]
    Space(#[from] SpaceError),
}

/// Why something about identities, spaces or members was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpaceError {
    /// The store failed.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A read failed.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The database has no identity.
    #[error("this database has no identity yet; make one, or link it with a ticket")]
    NoIdentity,
    /// The database has an identity.
    #[error("this database belongs to identity {identity} already")]
    HasIdentity {
        /// Whose it is.
        identity: IdentityId,
    },
    /// No such space here.
    #[error("no space {space} in this database")]
    UnknownSpace {
        /// The space.
        space: SpaceId,
    },
    /// This device's rank doesn't allow it.
    #[error("this needs rank {needed:?} in space {space}, this device has {}", held.map_or("none".into(), |rank| format!("{rank:?}")))]
    Forbidden {
        /// The space.
        space: SpaceId,
        /// The least rank that may.
        needed: Rank,
        /// The rank held.
        held: Option<Rank>,
    },
    /// Grants and revocations act strictly downward.
    #[error("{held:?} may only grant and revoke ranks below its own, not {rank:?}")]
    NotBelow {
        /// The rank that was to be granted or revoked.
        rank: Rank,
        /// The rank held.
        held: Rank,
    },
    /// The identity has no rank in the space.
    #[error("{identity} is no member of space {space}")]
    NoMember {
        /// The space.
        space: SpaceId,
        /// The identity.
        identity: IdentityId,
    },
    /// Only the device that holds the identity's root key can certify further devices.
    #[error("this device doesn't hold the identity's root key; make the ticket on the first device")]
    NoRootKey,
    /// A name, label or list that is too long or empty.
    #[error("{why}")]
    Invalid {
        /// What is wrong and what is allowed.
        why: String,
    },
    /// A stored record of the database's own is damaged or of a newer version.
    #[error("local record {name} can't be read: {why}")]
    Record {
        /// Which.
        name: String,
        /// What is wrong.
        why: &'static str,
    },
}

/// A space, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpaceInfo {
    /// Its id.
    pub space: SpaceId,
    /// Its label; empty when this device can't read it.
    pub label: String,
    /// Whether it is the home space.
    pub home: bool,
    /// This device's rank; `None` once it was removed.
    pub rank: Option<Rank>,
    /// How many identities have a rank.
    pub members: usize,
}

/// A member of a space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub identity: IdentityId,
    /// The name it was granted under; empty when this device can't read it.
    pub name: String,
    /// Its rank.
    pub rank: Rank,
    /// Its devices.
    pub devices: Vec<MemberDevice>,
}

/// A device of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberDevice {
    /// Its id.
    pub device: DeviceId,
    /// When its identity certified it, in milliseconds since 1970 UTC.
    pub certified_ms: i64,
}

/// A device this database knows how to reach, or was reached by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerRecord {
    /// The device.
    pub device: DeviceId,
    /// Whose it is, if it said so in a hello.
    pub identity: Option<IdentityId>,
    /// Where to dial it, best first.
    pub addresses: Vec<String>,
    /// When a session with it was last ready, in milliseconds since 1970 UTC.
    pub seen_ms: Option<i64>,
}

impl Deref for Database {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("device", &self.key.device()).finish_non_exhaustive()
    }
}

impl Database {
    /// Creates a database. Fails when there is one.
    ///
    /// The device's and the identity's secret keys are kept in the database's local records, unsealed: whoever can read
    /// the file (mode 0600) has them.
    ///
    /// # Errors
    /// [`DatabaseError::Open`] as [`Store::open`]; [`DatabaseError::Space`] when `home` is asked for without an identity.
    pub fn create(_location: Location, _options: CreateOptions) -> Result<Self, DatabaseError> {
        todo!()
    }

    /// Opens an existing database.
    ///
    /// # Errors
    /// [`DatabaseError::Open`] as [`Store::open`].
    pub fn open(_location: Location, _options: OpenOptions) -> Result<Self, DatabaseError> {
        todo!()
    }

    /// The clock and the randomness it was opened with.
    #[must_use]
    pub fn host(&self) -> &Arc<dyn Host> {
        todo!()
    }

    /// This device.
    #[must_use]
    pub fn device(&self) -> DeviceId {
        self.key.device()
    }

    /// This device's signing key.
    #[must_use]
    pub fn device_key(&self) -> &DeviceKey {
        &self.key
    }

    /// Whose database it is. `None`: it waits to be linked.
    #[must_use]
    pub fn identity(&self) -> Option<IdentityId> {
        todo!()
    }

    /// Makes an identity for a database that has none. `name` has 1 to 200 bytes.
    ///
    /// # Errors
    /// [`SpaceError::HasIdentity`], [`SpaceError::Invalid`] for the name, [`SpaceError::Write`].
    pub fn create_identity(&self, _name: &str) -> Result<IdentityId, SpaceError> {
        todo!()
    }

    /// What to give to others so that they can grant this identity a rank.
    ///
    /// # Errors
    /// [`SpaceError::NoIdentity`].
    pub fn card(&self) -> Result<IdentityCard, SpaceError> {
        todo!()
    }

    /// Makes a space owned by this identity. `label` has at most 200 bytes.
    ///
    /// # Errors
    /// [`SpaceError::NoIdentity`], [`SpaceError::Invalid`] for the label, [`SpaceError::Write`].
    pub fn new_space(&self, _label: &str) -> Result<SpaceId, SpaceError> {
        todo!()
    }

    /// The spaces of this database, home first, then by label.
    ///
    /// # Errors
    /// [`SpaceError::Read`].
    pub fn spaces_info(&self) -> Result<Vec<SpaceInfo>, SpaceError> {
        todo!()
    }

    /// The members of a space, highest rank first.
    ///
    /// # Errors
    /// [`SpaceError::UnknownSpace`], [`SpaceError::Read`].
    pub fn members(&self, _space: &SpaceId) -> Result<Vec<Member>, SpaceError> {
        todo!()
    }

    /// Gives an identity a rank, and its devices the keys that come with it.
    ///
    /// # Errors
    /// [`SpaceError::Forbidden`] below admin, [`SpaceError::NotBelow`] for a rank not below one's own,
    /// [`SpaceError::UnknownSpace`], [`SpaceError::Write`].
    pub fn grant(&self, _space: &SpaceId, _card: &IdentityCard, _rank: Rank) -> Result<(), SpaceError> {
        todo!()
    }

    /// Takes an identity's rank: what its devices wrote counts as far as this database holds it, nothing later does, and
    /// new keys are given to everyone who stays.
    ///
    /// # Errors
    /// As [`Database::grant`], and [`SpaceError::NoMember`].
    pub fn revoke(&self, _space: &SpaceId, _identity: &IdentityId) -> Result<(), SpaceError> {
        todo!()
    }

    /// Starts a new epoch: new entries are sealed under a fresh key that every current reader gets.
    ///
    /// # Errors
    /// [`SpaceError::Forbidden`] below writer, [`SpaceError::UnknownSpace`], [`SpaceError::Write`].
    pub fn rotate(&self, _space: &SpaceId) -> Result<(), SpaceError> {
        todo!()
    }

    /// A ticket for a further device of this identity. It is honoured once, within `valid_ms` milliseconds, by this device.
    ///
    /// # Errors
    /// [`SpaceError::NoIdentity`], [`SpaceError::NoRootKey`], [`SpaceError::Invalid`] for the addresses, [`SpaceError::Write`].
    pub fn link_ticket(&self, _addresses: Vec<String>, _valid_ms: i64) -> Result<Ticket, SpaceError> {
        todo!()
    }

    /// A ticket that gives whoever uses it `rank` in `space`. It is honoured once, within `valid_ms` milliseconds, by this device.
    ///
    /// # Errors
    /// As [`Database::grant`], and [`SpaceError::Invalid`] for the addresses.
    pub fn share_ticket(
        &self,
        _space: &SpaceId,
        _rank: Rank,
        _addresses: Vec<String>,
        _valid_ms: i64,
    ) -> Result<Ticket, SpaceError> {
        todo!()
    }

    /// The devices this database knows how to reach or was reached by, by id.
    ///
    /// # Errors
    /// [`SpaceError::Read`].
    pub fn peers(&self) -> Result<Vec<PeerRecord>, SpaceError> {
        todo!()
    }

    /// Adds addresses of a device, in front of those known; at most [`MAX_PEER_ADDRESSES`] are kept.
    ///
    /// # Errors
    /// [`SpaceError::Write`].
    pub fn remember_peer(&self, _device: &DeviceId, _addresses: &[String]) -> Result<(), SpaceError> {
        todo!()
    }

    /// Removes what is known about a device. Its ranks stay as they are.
    ///
    /// # Errors
    /// [`SpaceError::Write`].
    pub fn forget_peer(&self, _device: &DeviceId) -> Result<(), SpaceError> {
        todo!()
    }

    /// What is in sync with whom, since this database was opened.
    #[must_use]
    pub fn status(&self) -> SyncStatus {
        todo!()
    }
}

/// How many addresses of one peer are kept.
pub const MAX_PEER_ADDRESSES: usize = 16;
