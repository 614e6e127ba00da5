//! Eras of a store: from one opening of redb to the failure that ends it. The next era starts from what is stored; readers
//! of an earlier one go on with what they see.

use std::sync::Arc;

use redb::ReadableDatabase;

use super::group::WriterSide;
use super::lease::{Failure, Lease, Lessee};
use super::spaces::HOME_KEY;
use super::state::State;
use super::tables::{ReadTables, Tables, failed, storage};
use super::{Change, Inner, Published, ReadError, schemas, state};
use crate::contain::contain;
use crate::id::SpaceId;

/// So many earlier eras are kept for their readers; those of older ones fail.
const EARLIER_ERAS_MAX: usize = 4;

/// redb, open.
pub(crate) struct Era {
    redb: Option<redb::Database>,
    lease: Lease,
    reading: Arc<Reading>,
}

/// Held by everything that reads in an era, which keeps it open.
pub(crate) struct Reading(Arc<Lessee>);

impl Reading {
    /// Whether nothing can be read in this era any more.
    pub fn is_lost(&self) -> bool {
        self.0.is_lost()
    }
}

/// Opens redb over a lease. It can panic on a damaged file; that is the file's fault, not a reason to end the process.
pub(super) fn open_redb(lease: &Lease, cache_bytes: usize) -> Result<redb::Database, redb::DatabaseError> {
    let mut builder = redb::Database::builder();
    builder.set_cache_size(cache_bytes);
    contain(|| builder.create_with_backend(lease.clone())).unwrap_or_else(|said| {
        let why = format!("the storage could not be read: {said}");
        Err(redb::DatabaseError::Storage(redb::StorageError::Corrupted(why)))
    })
}

impl Era {
    pub fn new(redb: redb::Database, lease: Lease) -> Self {
        let reading = Arc::new(Reading(lease.lessee().clone()));
        Self { redb: Some(redb), lease, reading }
    }

    /// Opens the storage anew.
    fn open(inner: &Inner) -> Result<Self, ReadError> {
        let lease = inner.storage.lease();
        Ok(Self::new(open_redb(&lease, inner.cache_bytes).map_err(failed)?, lease))
    }

    pub fn redb(&self) -> &redb::Database {
        self.redb.as_ref().expect("it is taken only when dropped")
    }

    pub fn lease(&self) -> &Lease {
        &self.lease
    }

    pub fn lessee(&self) -> &Arc<Lessee> {
        self.lease.lessee()
    }

    pub fn reading(&self) -> &Arc<Reading> {
        &self.reading
    }

    /// Everything as it is stored.
    pub fn load(&self) -> Result<Published, ReadError> {
        contain(|| {
            let tables = self.tables()?;
            let mut loaded: State = state::load(&*tables)?;
            schemas::load(&*tables, &mut loaded)?;
            if let Some(home) = tables.meta().get(HOME_KEY)? {
                loaded.home = home[..].try_into().ok().map(SpaceId);
            }
            let loaded = Arc::new(loaded);
            Ok(Published { state: loaded.clone(), durable: loaded, tables, reading: self.reading.clone() })
        })
        .unwrap_or_else(|said| Err(storage(said)))
    }

    /// Whether somebody reads in it.
    pub fn is_read(&self) -> bool {
        Arc::strong_count(&self.reading) > 1
    }

    /// The tables as last committed.
    pub fn tables(&self) -> Result<Arc<ReadTables>, ReadError> {
        let read = self.redb().begin_read().map_err(failed)?;
        ReadTables::open(&read, self.lessee()).map(Arc::new)
    }
}

impl Drop for Era {
    fn drop(&mut self) {
        // redb writes when it is closed, and so can meet damaged pages.
        if contain(|| drop(self.redb.take())).is_err() {
            tracing::warn!("the storage could not be closed; it is repaired when it is opened");
        }
    }
}

impl Inner {
    /// Begins the next era unless this one is well. Says what readers find changed.
    ///
    /// # Errors
    /// When the storage still fails. Then readers go on as before, where they can.
    pub(super) fn renew(&self, side: &mut WriterSide) -> Result<Option<Change>, Failure> {
        if side.era.lessee().is_well() {
            return Ok(None);
        }
        // Nothing that redb does when it is closed may reach the storage.
        if side.era.lease.detach().is_err() {
            side.era.lessee().lose();
        }
        let era = Era::open(self).map_err(|error| Failure::from(&error))?;
        let mut published = era.load().map_err(|error| Failure::from(&error))?;
        let failure = era.lessee().failure();
        if let Some(failure) = &failure {
            if !side.era.lessee().is_lost() {
                return Err(failure.clone());
            }
            // It can be read, and nothing vouches that it lasts.
            published.durable = self.latest().durable.clone();
        }
        self.publish(published);
        let earlier = std::mem::replace(&mut side.era, era);
        side.earlier.push(earlier);
        side.close_unread();
        let surplus = side.earlier.len().saturating_sub(EARLIER_ERAS_MAX);
        side.earlier.drain(..surplus);
        failure.map_or_else(|| Ok(Some(side.rolled_back())), Err)
    }

    /// As [`Inner::renew`], for a reader. While somebody writes, that is the writer's affair.
    pub(super) fn recover(&self) {
        let mut side = match self.writer_side.try_lock() {
            Ok(side) => side,
            Err(std::sync::TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(std::sync::TryLockError::WouldBlock) => return,
        };
        let renewed = self.renew(&mut side);
        drop(side);
        match renewed {
            Ok(change) => change.iter().for_each(|change| self.tell(change)),
            Err(failure) => tracing::warn!(why = failure.why, "the storage could not be opened again"),
        }
    }
}
