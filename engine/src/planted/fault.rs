//! The faults, and the one that is planted.

use std::cell::Cell;

thread_local! {
    static CHOSEN: Cell<Option<Fault>> = const { Cell::new(None) };
}

/// What can be wrong on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The storage is never asked to sync.
    SyncSkipped,
    /// A counter's increment counts twice in every generation but the first.
    CounterTwice,
    /// A listing says nothing of the data plane.
    ListingStale,
}

/// A fault stays planted for as long as this lives.
#[derive(Debug)]
#[must_use = "the fault is taken out again when this is dropped"]
pub struct Planted {
    /// It belongs to the thread that planted it.
    _of_this_thread: std::marker::PhantomData<*const ()>,
}

/// Plants a fault, for what this thread does.
///
/// # Panics
/// When one is planted already.
pub fn plant(fault: Fault) -> Planted {
    let before = CHOSEN.replace(Some(fault));
    assert_eq!(before, None, "one fault at a time");
    Planted { _of_this_thread: std::marker::PhantomData }
}

impl Drop for Planted {
    fn drop(&mut self) {
        CHOSEN.set(None);
    }
}

/// Whether this fault is planted.
#[must_use]
pub fn is_planted(fault: Fault) -> bool {
    CHOSEN.get() == Some(fault)
}
