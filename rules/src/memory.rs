//! Memory, counted where it is allocated: what a run takes shows as the difference on its thread.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    /// Bytes that this thread has allocated, less those that it has freed, whoever allocated them.
    static HELD: Cell<i64> = const { Cell::new(0) };
}

/// The allocator of the system, which notes what each thread takes. A program makes it its own, so that
/// [`Limits::run_memory_bytes_max`](crate::Limits::run_memory_bytes_max) holds:
///
/// ```
/// #[global_allocator]
/// static ALLOCATOR: pointsman_rules::CountingAllocator = pointsman_rules::CountingAllocator;
/// # fn main() {}
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct CountingAllocator;

// SAFETY: every call is passed on to the system's allocator as it came, and counting allocates nothing: the counter needs
// neither set-up nor tear-down.
#[expect(unsafe_code, reason = "there is no other way to count allocations")]
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller keeps to what `GlobalAlloc::alloc` asks.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller keeps to what `GlobalAlloc::alloc_zeroed` asks.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: the caller keeps to what `GlobalAlloc::dealloc` asks, and `block` is one of the system's.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size, layout.size());
        // SAFETY: the caller keeps to what `GlobalAlloc::realloc` asks, and `block` is one of the system's.
        unsafe { System.realloc(block, layout, size) }
    }
}

fn count(taken: usize, given: usize) {
    // No allocation is larger than `isize::MAX`, so nothing is cut off.
    HELD.set(HELD.get().wrapping_add_unsigned(taken as u64).wrapping_sub_unsigned(given as u64));
}

/// What this thread holds, from wherever the count began; always the same where no [`CountingAllocator`] counts.
pub(crate) fn held() -> i64 {
    HELD.get()
}
