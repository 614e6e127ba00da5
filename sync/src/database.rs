//! A database that knows whose it is: the store, the device's keys, the identity and its spaces.

mod accesses;
mod audit;
mod contacts;
mod control;
mod devices;
mod error;
mod identity;
mod info;
mod leaving;
mod offered;
mod offers;
mod peers;
mod records;
mod recovery;
mod spaces;
mod tickets;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use accesses::MAX_ACCESSES;
pub use contacts::{Contact, ContactError, ContactRequest, MAX_RELATIONS, MAX_WAITING_REQUESTS, OwnProfile};
pub(crate) use control::{Control, SpaceState};
pub use error::{DatabaseError, SpaceError};
pub use info::{AuditAccess, Author, Member, MemberDevice, PeerRecord, SpaceInfo, SpaceOffer};
pub use leaving::MAX_DEPARTURES;
pub(crate) use offers::Delivery;
pub use offers::{MAX_FINISHED_OFFERS, Offer, OfferState};
pub use peers::MAX_PEER_ADDRESSES;
pub(crate) use records::MAX_GENESIS_BYTES;
pub use spaces::MAX_SPACE_OFFERS;
pub(crate) use spaces::{Invite, members_of};
pub use tickets::MAX_PENDING_TICKETS;
pub(crate) use tickets::{Enrolment, RedeemError, Welcome};
use tidewater_engine::host::{HeadSigner, Host};
use tidewater_engine::id::{DeviceId, SpaceId};
use tidewater_engine::store::{Location, MirrorLocation, Options, Store};

use crate::codec::{Codec, Malformed};
use crate::database::records::IdentityRecord;
use crate::device::{DeviceKey, DeviceSecrets};
use crate::identity::IdentityId;
use crate::keys::AgreementKey;
use crate::status::SyncStatus;

/// How to open a database.
pub struct OpenOptions {
    /// The clock and the randomness.
    pub host: Arc<dyn Host>,
    /// Where the database's mirror is kept, outside of its file: see [`Options::mirror`].
    pub mirror: Option<MirrorLocation>,
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
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    host: Arc<dyn Host>,
    key: Arc<DeviceKey>,
    agreement: AgreementKey,
    /// Held by whoever changes a control plane or what is concluded from it. Never taken while another lock is held.
    control: Mutex<Control>,
    identity: Mutex<Option<Arc<IdentityRecord>>>,
    spaces: Mutex<BTreeMap<SpaceId, Arc<SpaceState>>>,
    /// What was forgotten since this database was opened: it comes back with another writer only.
    forgotten: Mutex<BTreeSet<SpaceId>>,
    status: Mutex<SyncStatus>,
    /// How many sessions are open with each device that the status tells about.
    sessions: Mutex<BTreeMap<DeviceId, usize>>,
    /// The number of the next access to remember, once it is known.
    next_access: Mutex<Option<u64>>,
}

impl Deref for Database {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.inner.store
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("device", &self.device()).finish_non_exhaustive()
    }
}

impl Database {
    /// Creates a database. Fails when there is one.
    ///
    /// The device's and the identity's secret keys are kept in the database's local records. Only [`Location::sealed`] keeps them, and everything
    /// else in it, from whoever can read the file: a plain one is protected by its permissions (0600) alone.
    ///
    /// # Errors
    /// [`DatabaseError::Open`] as [`Store::open`]; [`DatabaseError::Space`] with [`SpaceError::NoIdentity`] when `home` is
    /// asked for without an identity, before anything is made.
    pub fn create(location: Location, options: CreateOptions) -> Result<Self, DatabaseError> {
        if options.home && options.identity.is_none() {
            return Err(SpaceError::NoIdentity.into());
        }
        if let Some(name) = &options.identity {
            identity::check_name(name)?;
        }
        let database = Self::start(location, options.open, true, None)?;
        if let Some(name) = &options.identity {
            database.create_identity(name)?;
        }
        if options.home {
            let home = database.new_space(recovery::HOME_LABEL)?;
            database.set_home(home).map_err(SpaceError::from)?;
        }
        Ok(database)
    }

    /// Opens an existing database.
    ///
    /// # Errors
    /// [`DatabaseError::Open`] as [`Store::open`]; [`DatabaseError::Space`] when its own records can't be read.
    pub fn open(location: Location, options: OpenOptions) -> Result<Self, DatabaseError> {
        let database = Self::start(location, options, false, None)?;
        database.resume_spaces()?;
        Ok(database)
    }

    /// `secrets` are those of a new database; without any it gets its own.
    fn start(
        location: Location,
        options: OpenOptions,
        create: bool,
        secrets: Option<DeviceSecrets>,
    ) -> Result<Self, DatabaseError> {
        let host = options.host.clone();
        let signer_host = options.host.clone();
        let store = Store::open(
            location,
            Options {
                host: options.host,
                signer: Box::new(move |record| find_or_make_signer(&*signer_host, record, secrets)),
                create,
                exclusive: create,
                mirror: options.mirror,
                cache_bytes: options.cache_bytes,
            },
        )?;
        let secrets: DeviceSecrets = records::read(&store, DEVICE_RECORD)?
            .ok_or(SpaceError::Record { name: DEVICE_RECORD.into(), why: "it is missing" })?;
        let identity = records::read(&store, records::IDENTITY)?.map(Arc::new);
        Ok(Self {
            inner: Arc::new(Inner {
                store,
                host,
                key: Arc::new(DeviceKey::from_seed(secrets.signing)),
                agreement: secrets.agreement,
                control: Mutex::default(),
                identity: Mutex::new(identity),
                spaces: Mutex::default(),
                forgotten: Mutex::default(),
                status: Mutex::default(),
                sessions: Mutex::default(),
                next_access: Mutex::default(),
            }),
        })
    }

    /// The clock and the randomness it was opened with.
    #[must_use]
    pub fn host(&self) -> &Arc<dyn Host> {
        &self.inner.host
    }

    /// This device.
    #[must_use]
    pub fn device(&self) -> DeviceId {
        self.inner.key.device()
    }

    /// This device's signing key.
    #[must_use]
    pub fn device_key(&self) -> &DeviceKey {
        &self.inner.key
    }

    /// Whose database it is. `None`: it waits to be linked, or for [`Database::create_identity`].
    #[must_use]
    pub fn identity(&self) -> Option<IdentityId> {
        self.identity_record().map(|record| record.genesis.id())
    }

    /// What is in sync with whom, since this database was opened.
    #[must_use]
    pub fn status(&self) -> SyncStatus {
        lock(&self.inner.status).clone()
    }

    pub(crate) fn agreement(&self) -> &AgreementKey {
        &self.inner.agreement
    }

    pub(crate) fn identity_record(&self) -> Option<Arc<IdentityRecord>> {
        lock(&self.inner.identity).clone()
    }
}

/// The record under which the engine hands the device's secrets to the signer.
const DEVICE_RECORD: &str = "device";

fn find_or_make_signer(
    host: &dyn Host,
    record: Option<&[u8]>,
    secrets: Option<DeviceSecrets>,
) -> Result<(Arc<dyn HeadSigner>, Vec<u8>), String> {
    let secrets = match record {
        None => secrets.unwrap_or_else(|| DeviceSecrets::generate(host)),
        Some(bytes) => {
            DeviceSecrets::from_bytes(bytes).map_err(|Malformed(why)| format!("the device record: {why}"))?
        }
    };
    let record = secrets.to_bytes();
    Ok((Arc::new(DeviceKey::from_seed(secrets.signing)), record))
}

/// A poisoned lock means that a panic passed by; what it guards here is replaced whole or not at all.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
