//! Device memory that TensorRT asks us for: weights and persistent memory of contexts.

use super::result::Owned;
use super::sys::{self, Table};
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Serves TensorRT's `IGpuAllocator`. Called from any thread.
pub trait DeviceAllocator: Send + Sync {
    /// `bytes` of device memory at a multiple of `alignment` (a power of two; 0 for any), as a
    /// device address. 0 refuses: TensorRT then reports that memory is out.
    fn allocate(&self, bytes: u64, alignment: u64) -> u64;

    /// Makes a block larger or smaller, moving it when it must; 0 refuses and leaves the block as
    /// it is.
    fn reallocate(&self, address: u64, alignment: u64, new_bytes: u64) -> u64 {
        let _ = (address, alignment, new_bytes);
        0
    }

    /// Gives a block back. `false` when the address is not the start of a block of ours.
    fn deallocate(&self, address: u64) -> bool;
}

/// The C++ object and what it calls; dropped in that order.
pub(super) struct AllocatorHook {
    object: Owned,
    _target: Box<Arc<dyn DeviceAllocator>>,
}

impl AllocatorHook {
    pub(super) fn new(
        table: &'static Table,
        target: Arc<dyn DeviceAllocator>,
    ) -> Result<Self, super::result::Refused> {
        let target = Box::new(target);
        let callbacks = sys::Allocator {
            user: std::ptr::from_ref::<Arc<dyn DeviceAllocator>>(&target)
                .cast_mut()
                .cast(),
            allocate,
            reallocate,
            deallocate,
        };
        // SAFETY: the shim copies the struct; `user` lives as long as `self` keeps the box.
        let object = unsafe {
            Owned::new(
                (table.allocator_new)(&raw const callbacks),
                table.allocator_free,
            )
        }?;
        Ok(Self {
            object,
            _target: target,
        })
    }

    pub(super) fn raw(&self) -> *mut c_void {
        self.object.raw()
    }
}

/// # Safety
/// `user` is the box of an [`AllocatorHook`] that lives.
unsafe fn target<'a>(user: *mut c_void) -> &'a dyn DeviceAllocator {
    // SAFETY: by the contract.
    unsafe { &**user.cast::<Arc<dyn DeviceAllocator>>() }
}

// A panic must not cross into C++: it counts as a refusal.
unsafe extern "C" fn allocate(user: *mut c_void, bytes: u64, alignment: u64) -> u64 {
    // SAFETY: the shim hands back what `new` gave it.
    let target = unsafe { target(user) };
    catch_unwind(AssertUnwindSafe(|| target.allocate(bytes, alignment))).unwrap_or(0)
}

unsafe extern "C" fn reallocate(
    user: *mut c_void,
    address: u64,
    alignment: u64,
    bytes: u64,
) -> u64 {
    // SAFETY: as above.
    let target = unsafe { target(user) };
    catch_unwind(AssertUnwindSafe(|| {
        target.reallocate(address, alignment, bytes)
    }))
    .unwrap_or(0)
}

unsafe extern "C" fn deallocate(user: *mut c_void, address: u64) -> i32 {
    // SAFETY: as above.
    let target = unsafe { target(user) };
    catch_unwind(AssertUnwindSafe(|| target.deallocate(address))).map_or(0, i32::from)
}
