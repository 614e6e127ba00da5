//! What the resolvers of one operation share: the database, one consistent view of it, and what may still be read.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_graphql::Error;
use async_graphql::dynamic::ResolverContext;
use tidewater_engine::id::SpaceId;
use tidewater_engine::store::{Durability, Snapshot, Transaction, WriteError};
use tidewater_net::node::Node;
use tidewater_sync::Database;

use super::catalog::Catalog;
use super::error::{self, Code};

/// How many documents one operation may resolve.
pub(crate) const MAX_NODES: usize = 10_000;

/// Shared by the resolvers of one operation.
pub(crate) struct Scope {
    pub(crate) database: Database,
    pub(crate) node: Option<Node>,
    pub(crate) catalog: Arc<Catalog>,
    snapshot: Mutex<Option<Arc<Snapshot>>>,
    nodes_left: AtomicUsize,
}

impl Scope {
    pub(crate) fn new(database: Database, node: Option<Node>, catalog: Arc<Catalog>) -> Self {
        Self { database, node, catalog, snapshot: Mutex::new(None), nodes_left: AtomicUsize::new(MAX_NODES) }
    }

    /// The scope of the operation that a resolver runs in.
    pub(crate) fn of(context: &ResolverContext<'_>) -> Result<Arc<Self>, Error> {
        context.data::<Arc<Self>>().cloned()
    }

    /// Takes `count` documents off what the operation may resolve.
    pub(crate) fn spend(&self, count: usize) -> Result<(), Error> {
        self.nodes_left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(count))
            .map(drop)
            .map_err(|_| {
                Code::LimitExceeded.error(format!("one operation may resolve {MAX_NODES} documents; ask for fewer"))
            })
    }

    /// Starts an event of a subscription: with an operation's worth of documents, and on the state as of now.
    pub(crate) fn begin_event(&self) {
        self.nodes_left.store(MAX_NODES, Ordering::Relaxed);
        self.forget_snapshot();
    }

    fn forget_snapshot(&self) {
        *self.snapshot.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Runs a read on the operation's snapshot, away from the threads that serve connections.
    pub(crate) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&Self, &Snapshot) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let scope = Arc::clone(self);
        blocking(move || {
            let snapshot = scope.snapshot()?;
            read(&scope, &snapshot)
        })
        .await
    }

    /// Runs a transaction in `space` or home; reads that follow see it.
    pub(crate) async fn write<T: Send + 'static>(
        self: &Arc<Self>,
        space: Option<SpaceId>,
        body: impl FnOnce(&mut Transaction<'_>) -> Result<T, WriteError> + Send + 'static,
    ) -> Result<T, Error> {
        let scope = Arc::clone(self);
        blocking(move || {
            let written = scope.database.transaction(Durability::Local, |transaction| {
                space.map_or(Ok(()), |space| transaction.in_space(space))?;
                body(transaction)
            });
            scope.forget_snapshot();
            written.map_err(error::transaction)
        })
        .await
    }

    /// Runs something else that blocks; reads that follow see what it did.
    pub(crate) async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Database) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let scope = Arc::clone(self);
        blocking(move || {
            let done = work(&scope.database);
            scope.forget_snapshot();
            done
        })
        .await
    }

    fn snapshot(&self) -> Result<Arc<Snapshot>, Error> {
        let mut held = self.snapshot.lock().unwrap_or_else(PoisonError::into_inner);
        match &*held {
            Some(snapshot) => Ok(Arc::clone(snapshot)),
            None => {
                let snapshot = Arc::new(self.database.snapshot().map_err(error::read)?);
                *held = Some(Arc::clone(&snapshot));
                Ok(snapshot)
            }
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|_| Err(Code::StorageFailed.error("the operation stopped unexpectedly; see the server's log")))
}
