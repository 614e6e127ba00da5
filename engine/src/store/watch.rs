//! Following a query: a live query that wakes its reader.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::{Change, ChangeGuard, ReadError, Store};
use crate::query::{Delta, LiveError, LiveQuery, Query};

/// A query that is followed. The first changes are the whole result, as added.
pub struct Watch {
    store: Store,
    live: LiveQuery,
    bell: Arc<Bell>,
    is_first: bool,
    _listening: ChangeGuard,
}

/// Rung by the committing thread, or by who wants the reader to stop.
#[derive(Default)]
struct Bell {
    rung: Mutex<Rung>,
    woken: Condvar,
}

#[derive(Default)]
struct Rung {
    changed: bool,
    stopped: bool,
}

impl Bell {
    fn ring(&self, how: impl FnOnce(&mut Rung)) {
        how(&mut self.rung.lock().unwrap_or_else(PoisonError::into_inner));
        self.woken.notify_all();
    }
}

/// Ends a [`Watch`] from another thread.
#[derive(Clone)]
pub struct WatchStopper(Arc<Bell>);

impl WatchStopper {
    /// Makes [`Watch::next_changes`] return `None`, now and from then on.
    pub fn stop(&self) {
        self.0.ring(|rung| rung.stopped = true);
    }
}

impl Store {
    /// Follows a query.
    ///
    /// # Errors
    /// [`ReadError::Query`] for a query that is not valid.
    pub fn watch(&self, query: Query) -> Result<Watch, ReadError> {
        let live = LiveQuery::new(query)?;
        let bell = Arc::new(Bell::default());
        bell.ring(|rung| rung.changed = true);
        let (watched, rings) = (live.clone(), Arc::clone(&bell));
        let listening = self.on_change(Arc::new(move |change: &Change| {
            if watched.affected_by(change) {
                rings.ring(|rung| rung.changed = true);
            }
        }));
        Ok(Watch { store: self.clone(), live, bell, is_first: true, _listening: listening })
    }
}

impl Watch {
    /// Waits until the result changes, and says how. The first call gives the first result without waiting, even an empty
    /// one. `None`: it was stopped.
    ///
    /// # Errors
    /// As the query fails; the last result stays, and the next call waits for the next change.
    pub fn next_changes(&mut self) -> Option<Result<Vec<Delta>, LiveError>> {
        loop {
            let mut rung = self.bell.rung.lock().unwrap_or_else(PoisonError::into_inner);
            while !rung.changed && !rung.stopped {
                rung = self.bell.woken.wait(rung).unwrap_or_else(PoisonError::into_inner);
            }
            if rung.stopped {
                return None;
            }
            rung.changed = false;
            drop(rung);
            match self.refresh() {
                Ok(deltas) if deltas.is_empty() && !self.is_first => {}
                changed => {
                    self.is_first = false;
                    return Some(changed);
                }
            }
        }
    }

    /// The result as of the last changes.
    #[must_use]
    pub fn documents(&self) -> &[crate::document::Document] {
        self.live.documents()
    }

    /// What ends it from another thread.
    #[must_use]
    pub fn stopper(&self) -> WatchStopper {
        WatchStopper(Arc::clone(&self.bell))
    }

    fn refresh(&mut self) -> Result<Vec<Delta>, LiveError> {
        self.store.snapshot()?.refresh(&mut self.live)
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("query", self.live.query()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for WatchStopper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WatchStopper(..)")
    }
}
