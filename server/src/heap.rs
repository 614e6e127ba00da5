//! The memory of the process.

/// How many cores share a heap.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const CORES_OF_A_HEAP: usize = 4;

/// Lets threads take their memory from few heaps: one for every four cores.
///
/// glibc makes up to eight for each core. Pages of the storage's cache are read by one thread and let go by another, so every
/// heap comes to be as large as its share of the cache ever was, and keeps what others use now: after long, several times
/// the cache. Small blocks are kept ready for each thread in any case, without a lock.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(crate) fn share() {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let heaps = i32::try_from(cores.div_ceil(CORES_OF_A_HEAP)).unwrap_or(i32::MAX);
    // SAFETY: it sets a number of the allocator, while the process has one thread.
    let taken = unsafe { libc::mallopt(libc::M_ARENA_MAX, heaps) };
    debug_assert_eq!(taken, 1, "the allocator knows the setting");
}

/// Other allocators have no such heaps.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn share() {}
