//! Device memory, mapped chunks, pinned memory.

use super::{code, enter, enter_unsafe_for_capture, ok};
use crate::driver::{Driver, force};
use crate::memory::GRANULARITY;
use crate::status::{ERROR_INVALID_VALUE, ERROR_NOT_SUPPORTED, ERROR_OUT_OF_MEMORY};
use std::ffi::{c_int, c_uint, c_ulonglong, c_void};

/// Notes what is wrong and answers with the driver's usual code.
fn wrong(driver: &mut Driver, result: Result<(), String>) -> Result<(), c_int> {
    result.map_err(|problem| {
        driver.problem(problem);
        ERROR_INVALID_VALUE
    })
}

/// Waits for all work, as the driver does before it frees.
fn settle(call: &str) -> Result<(), c_int> {
    let tails = enter_unsafe_for_capture(call)?.tails();
    tails.into_iter().try_for_each(|tail| ok(force(tail)))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemAlloc_v2(address: *mut u64, bytes: usize) -> c_int {
    code(|| {
        let mut state = enter_unsafe_for_capture("cuMemAlloc")?;
        let bytes = bytes as u64;
        if bytes == 0 {
            return Err(ERROR_INVALID_VALUE);
        }
        ok(state.admit("device", bytes))?;
        let free = state.config.capacity.saturating_sub(state.memory.used);
        if bytes > free || bytes > state.config.plain_limit {
            return Err(state.refuse());
        }
        let poison = state.config.poison;
        let Some(found) = state.memory.allocate(bytes, poison) else {
            return Err(state.refuse());
        };
        // SAFETY: as cuda.h demands.
        unsafe { *address = found };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemFree_v2(address: u64) -> c_int {
    code(|| {
        settle("cuMemFree")?;
        let mut state = enter("cuMemFree")?;
        let result = state.memory.free(address);
        wrong(&mut state, result)
    })
}

/// The head of CUmemAllocationProp: type, handle types, location type, location number.
#[repr(C)]
struct Properties {
    kind: c_int,
    handle_types: c_int,
    location: c_int,
    id: c_int,
}

/// CUmemAccessDesc.
#[repr(C)]
struct Access {
    location: c_int,
    id: c_int,
    flags: c_int,
}

unsafe fn usable(properties: *const Properties) -> Result<(), c_int> {
    // SAFETY: the callers pass what cuda.h demands.
    let p = unsafe { &*properties };
    // Pinned memory of device 0 is all there is.
    if (p.kind, p.location, p.id) == (1, 1, 0) {
        return Ok(());
    }
    Err(ERROR_NOT_SUPPORTED)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemGetAllocationGranularity(
    granularity: *mut usize,
    properties: *const c_void,
    _option: c_int,
) -> c_int {
    code(|| {
        drop(enter("cuMemGetAllocationGranularity")?);
        // SAFETY: as cuda.h demands.
        unsafe {
            usable(properties.cast())?;
            *granularity = GRANULARITY as usize;
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemAddressReserve(
    address: *mut u64,
    bytes: usize,
    _alignment: usize,
    _wish: u64,
    _flags: c_ulonglong,
) -> c_int {
    code(|| {
        let mut state = enter("cuMemAddressReserve")?;
        let bytes = bytes as u64;
        if bytes == 0 || !bytes.is_multiple_of(GRANULARITY) {
            return Err(ERROR_INVALID_VALUE);
        }
        ok(state.admit("reserve", bytes))?;
        let Some(found) = state.memory.reserve(bytes) else {
            return Err(state.refuse());
        };
        // SAFETY: as cuda.h demands.
        unsafe { *address = found };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemAddressFree(address: u64, bytes: usize) -> c_int {
    code(|| {
        let mut state = enter("cuMemAddressFree")?;
        let result = state.memory.unreserve(address, bytes as u64);
        wrong(&mut state, result)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemCreate(
    handle: *mut u64,
    bytes: usize,
    properties: *const c_void,
    _flags: c_ulonglong,
) -> c_int {
    code(|| {
        let mut state = enter("cuMemCreate")?;
        let bytes = bytes as u64;
        // SAFETY: as cuda.h demands.
        unsafe { usable(properties.cast())? };
        if bytes == 0 || !bytes.is_multiple_of(GRANULARITY) {
            return Err(ERROR_INVALID_VALUE);
        }
        ok(state.admit("chunk", bytes))?;
        let free = state.config.capacity.saturating_sub(state.memory.used);
        if bytes > free || bytes > state.config.chunk_limit {
            return Err(state.refuse());
        }
        // SAFETY: as cuda.h demands.
        unsafe { *handle = state.memory.create(bytes) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemMap(
    address: u64,
    bytes: usize,
    offset: usize,
    handle: u64,
    _flags: c_ulonglong,
) -> c_int {
    code(|| {
        let mut state = enter("cuMemMap")?;
        if offset != 0 {
            return Err(ERROR_INVALID_VALUE);
        }
        let result = state.memory.map(address, bytes as u64, handle);
        wrong(&mut state, result)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemSetAccess(
    address: u64,
    bytes: usize,
    access: *const c_void,
    count: usize,
) -> c_int {
    code(|| {
        let mut state = enter("cuMemSetAccess")?;
        // SAFETY: as cuda.h demands: `count` descriptions, at least one.
        let first = unsafe { &*access.cast::<Access>() };
        if count != 1 || (first.location, first.id, first.flags) != (1, 0, 3) {
            return Err(ERROR_NOT_SUPPORTED);
        }
        let poison = state.config.poison;
        let result = state.memory.set_access(address, bytes as u64, poison);
        wrong(&mut state, result)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemUnmap(address: u64, bytes: usize) -> c_int {
    code(|| {
        // Unlike cuMemFree this waits for nothing: work that still uses the range is caught when it
        // runs.
        let mut state = enter("cuMemUnmap")?;
        let result = state.memory.unmap(address, bytes as u64);
        wrong(&mut state, result)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemRelease(handle: u64) -> c_int {
    code(|| {
        let mut state = enter("cuMemRelease")?;
        let result = state.memory.release(handle);
        wrong(&mut state, result)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemHostAlloc(
    pointer: *mut *mut c_void,
    bytes: usize,
    _flags: c_uint,
) -> c_int {
    code(|| {
        let mut state = enter_unsafe_for_capture("cuMemHostAlloc")?;
        if bytes == 0 {
            return Err(ERROR_INVALID_VALUE);
        }
        ok(state.admit("pinned", bytes as u64))?;
        let Some(found) = state.memory.allocate_pinned(bytes as u64) else {
            return Err(ERROR_OUT_OF_MEMORY);
        };
        // SAFETY: as cuda.h demands.
        unsafe { *pointer = found as *mut c_void };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemFreeHost(pointer: *mut c_void) -> c_int {
    code(|| {
        settle("cuMemFreeHost")?;
        let mut state = enter("cuMemFreeHost")?;
        let result = state.memory.free_pinned(pointer as u64);
        wrong(&mut state, result)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemHostGetDevicePointer_v2(
    address: *mut u64,
    pointer: *mut c_void,
    _flags: c_uint,
) -> c_int {
    code(|| {
        let state = enter("cuMemHostGetDevicePointer")?;
        if !state.memory.in_pinned(pointer as u64) {
            return Err(ERROR_INVALID_VALUE);
        }
        // SAFETY: as cuda.h demands.
        unsafe { *address = pointer as u64 };
        Ok(())
    })
}
