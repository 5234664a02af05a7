//! The C library's heap, as rten needs it.
//!
//! The runtime takes memory for an operator's result and frees it a few operators later, hundreds of
//! MiB a frame. glibc gives blocks of that size back to the kernel at once, which has to clear every
//! page again before the next operator writes to it. Not here: any memory that this project plans;
//! that is in the arena.

/// Addresses for which large pages are asked.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const ASKED: usize = 1 << 30;

/// Has the C library keep what is freed, in one heap, for the rest of the process, and asks the kernel
/// for large pages there. The resident set is as large as the process needed at its peak, as without.
///
/// It concerns the whole process, so it is for programs, not for libraries, and does nothing where the
/// C library is not glibc. Source: mallopt(3), madvise(2).
pub fn keep_heap() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: `mallopt` takes any number; the block is advised on inside its own bounds, in whole pages,
    // while it is ours.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_MMAP_MAX, 0);
        libc::mallopt(libc::M_TRIM_THRESHOLD, -1);
        let block = libc::malloc(ASKED);
        if block.is_null() {
            return;
        }
        let page = libc::sysconf(libc::_SC_PAGESIZE).max(1) as usize;
        let start = (block as usize).next_multiple_of(page);
        let whole = (block as usize + ASKED - start) / page * page;
        // Refused where the kernel has no large pages; small ones do.
        libc::madvise(start as *mut libc::c_void, whole, libc::MADV_HUGEPAGE);
        // Nothing was touched, so this costs addresses and no memory.
        libc::free(block);
    }
}
