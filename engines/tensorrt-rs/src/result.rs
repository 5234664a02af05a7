//! The shim's functions with refusals as `Err` and owned objects that free themselves. Thin: no
//! policy, no messages; those are the safe layer's.

use super::sys::{self, Table};
use std::ffi::{CStr, c_char, c_void};
use std::ptr::NonNull;

/// TensorRT said no; why stands in its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused;

/// Addresses below this are not objects: with no driver the lean runtime returns such a value
/// instead of null.
const LOWEST_ADDRESS: usize = 0x1_0000;

/// An object of TensorRT's or of the shim's, freed on drop.
#[derive(Debug)]
pub struct Owned {
    pointer: NonNull<c_void>,
    free: unsafe extern "C" fn(*mut c_void),
}

// SAFETY: TensorRT's objects may be used from any thread, one at a time; every `&self` use in the
// safe layer is a read-only query or stands behind `&mut`.
unsafe impl Send for Owned {}
// SAFETY: as above.
unsafe impl Sync for Owned {}

impl Owned {
    /// Takes ownership.
    ///
    /// # Errors
    /// [`Refused`] for null and for what cannot be an address.
    ///
    /// # Safety
    /// - `pointer` is null, garbage below `LOWEST_ADDRESS`, or an object that `free` frees.
    /// - Nobody else frees it.
    pub unsafe fn new(
        pointer: *mut c_void,
        free: unsafe extern "C" fn(*mut c_void),
    ) -> Result<Self, Refused> {
        match NonNull::new(pointer) {
            Some(pointer) if pointer.addr().get() >= LOWEST_ADDRESS => Ok(Self { pointer, free }),
            _ => Err(Refused),
        }
    }

    /// The raw pointer, valid while `self` lives.
    pub fn raw(&self) -> *mut c_void {
        self.pointer.as_ptr()
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: by the contract of `new`, and this runs once.
        unsafe { (self.free)(self.raw()) }
    }
}

/// 1 is yes.
pub fn accepted(answer: i32) -> Result<(), Refused> {
    if answer == 1 { Ok(()) } else { Err(Refused) }
}

/// A C string as text; null is empty.
///
/// # Safety
/// `text` is null or a C string that lives through the call.
pub unsafe fn text(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: by the contract.
    unsafe { CStr::from_ptr(text) }
        .to_string_lossy()
        .into_owned()
}

/// The bytes of an `IHostMemory`, copied.
///
/// # Safety
/// `memory` is an `IHostMemory` of this table's library.
pub unsafe fn bytes(table: &Table, memory: &Owned) -> Vec<u8> {
    // SAFETY: by the contract; data and size describe one block that lives as long as `memory`.
    unsafe {
        let data = (table.memory_data)(memory.raw());
        let size = (table.memory_size)(memory.raw());
        if data.is_null() || size == 0 {
            return Vec::new();
        }
        std::slice::from_raw_parts(data.cast::<u8>(), size).to_vec()
    }
}

/// Fills a tensor description through `fill`.
///
/// # Errors
/// [`Refused`] when there is no such tensor.
pub fn tensor(fill: impl FnOnce(*mut sys::Tensor) -> i32) -> Result<sys::Tensor, Refused> {
    let mut tensor = sys::Tensor::zeroed();
    accepted(fill(&raw mut tensor))?;
    Ok(tensor)
}
