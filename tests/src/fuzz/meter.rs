//! An allocator that counts, so that a target's memory can be held to what it declares.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    /// Bytes that this thread allocated and did not free. What another thread frees stays counted here.
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

/// The system's allocator, counting for every thread. A runner installs it as its global allocator.
#[derive(Debug)]
pub struct Meter;

fn count(bytes: isize) {
    // A thread that ends has no counters any more.
    let _ = LIVE.try_with(|live| {
        live.set(live.get() + bytes);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(live.get())));
    });
}

// SAFETY: every call is handed to the system's allocator as it is; counting allocates nothing.
unsafe impl GlobalAlloc for Meter {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promises are those of `System`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as isize - layout.size() as isize);
        // SAFETY: as above.
        unsafe { System.realloc(memory, layout, size) }
    }
}

/// What pieces of work on this thread hold together.
#[derive(Debug, Clone, Copy, Default)]
pub struct Account {
    held: isize,
    peak: isize,
}

impl Account {
    /// What `work` gives. What it allocates and frees is charged.
    pub fn charge<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let before = LIVE.get();
        PEAK.set(before);
        let done = work();
        self.peak = self.peak.max(self.held + PEAK.get() - before);
        self.held += LIVE.get() - before;
        done
    }

    /// The most bytes that were held at once, within a piece of work or between two.
    #[must_use]
    pub fn peak(&self) -> usize {
        usize::try_from(self.peak).unwrap_or(0)
    }

    /// The bytes that are held now.
    #[must_use]
    pub fn held(&self) -> usize {
        usize::try_from(self.held).unwrap_or(0)
    }
}

/// What `work` gives, and how many bytes this thread held more than before at most.
pub(super) fn peak_of<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let mut account = Account::default();
    let done = account.charge(work);
    (done, account.peak())
}

/// Whether allocations of this program are counted.
pub(super) fn is_installed() -> bool {
    peak_of(|| std::hint::black_box(vec![0u8; 4_096]).len()).1 >= 4_096
}
