//! An allocator that counts what it hands out, while it is asked to.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};

static COUNTS: AtomicBool = AtomicBool::new(false);
static BYTES: AtomicI64 = AtomicI64::new(0);
static CALLS: AtomicU64 = AtomicU64::new(0);

/// What happened between two moments.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tally {
    /// Bytes taken, as they were asked for, less bytes given back.
    pub(crate) bytes: i64,
    /// How often memory was asked for.
    pub(crate) calls: u64,
}

/// Does something and counts meanwhile.
pub(crate) fn counted<T>(act: impl FnOnce() -> T) -> (T, Tally) {
    BYTES.store(0, Relaxed);
    CALLS.store(0, Relaxed);
    COUNTS.store(true, Relaxed);
    let done = act();
    COUNTS.store(false, Relaxed);
    (done, Tally { bytes: BYTES.load(Relaxed), calls: CALLS.load(Relaxed) })
}

/// The system's allocator, counted. Nothing is written while nobody counts, so that time can be
/// measured under it.
pub(crate) struct Counting;

fn size(layout: Layout) -> i64 {
    i64::try_from(layout.size()).unwrap_or(i64::MAX)
}

fn taken(bytes: i64) {
    if COUNTS.load(Relaxed) {
        BYTES.fetch_add(bytes, Relaxed);
        CALLS.fetch_add(1, Relaxed);
    }
}

fn given_back(bytes: i64) {
    if COUNTS.load(Relaxed) {
        BYTES.fetch_sub(bytes, Relaxed);
    }
}

#[expect(unsafe_code, reason = "an allocator cannot be written without; it only passes on")]
// SAFETY: every call goes to the system's allocator unchanged, so its promises are ours.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        taken(size(layout));
        // SAFETY: the caller keeps what is asked of it.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, new: usize) -> *mut u8 {
        given_back(size(layout));
        taken(i64::try_from(new).unwrap_or(i64::MAX));
        // SAFETY: `place` came from this allocator with this layout, which is the system's.
        unsafe { System.realloc(place, layout, new) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        given_back(size(layout));
        // SAFETY: `place` came from this allocator with this layout, which is the system's.
        unsafe { System.dealloc(place, layout) }
    }
}
