//! Start, device, context.

use super::{CONTEXT, CURRENT, code, enter, enter_unsafe_for_capture, ok};
use crate::driver::{force, state};
use crate::status::{
    ERROR_INVALID_CONTEXT, ERROR_INVALID_DEVICE, ERROR_INVALID_VALUE, ERROR_NOT_INITIALIZED,
    SUCCESS, describe,
};
use std::ffi::{c_char, c_int, c_uint};

/// What the device calls itself; the prefix is how it is told from a GPU.
const NAME: &[u8] = b"Simulated Orin (host memory, no GPU)\0";

#[unsafe(no_mangle)]
unsafe extern "C" fn cuInit(flags: c_uint) -> c_int {
    if flags != 0 {
        return ERROR_INVALID_VALUE;
    }
    let mut state = state();
    if state.config.init != SUCCESS {
        return state.config.init;
    }
    if !state.started {
        state.started = true;
        // SAFETY: the function lives as long as the process: the library is never closed.
        unsafe { libc::atexit(super::control::at_exit) };
    }
    SUCCESS
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDriverGetVersion(version: *mut c_int) -> c_int {
    // SAFETY: as cuda.h demands.
    unsafe { *version = 12060 };
    SUCCESS
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuGetErrorName(error: c_int, text: *mut *const c_char) -> c_int {
    let Some((name, _)) = describe(error) else {
        return ERROR_INVALID_VALUE;
    };
    // SAFETY: as cuda.h demands.
    unsafe { *text = name.as_ptr().cast() };
    SUCCESS
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuGetErrorString(error: c_int, text: *mut *const c_char) -> c_int {
    let Some((_, description)) = describe(error) else {
        return ERROR_INVALID_VALUE;
    };
    // SAFETY: as cuda.h demands.
    unsafe { *text = description.as_ptr().cast() };
    SUCCESS
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGetCount(count: *mut c_int) -> c_int {
    if !state().started {
        return ERROR_NOT_INITIALIZED;
    }
    // SAFETY: as cuda.h demands.
    unsafe { *count = 1 };
    SUCCESS
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGet(device: *mut c_int, ordinal: c_int) -> c_int {
    if ordinal != 0 {
        return ERROR_INVALID_DEVICE;
    }
    // SAFETY: as cuda.h demands.
    unsafe { *device = 0 };
    SUCCESS
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGetName(name: *mut c_char, length: c_int, device: c_int) -> c_int {
    if device != 0 || length < 1 {
        return ERROR_INVALID_VALUE;
    }
    let copied = NAME.len().min(length as usize) - 1;
    // SAFETY: as cuda.h demands: `length` characters.
    unsafe {
        std::ptr::copy_nonoverlapping(NAME.as_ptr().cast(), name, copied);
        *name.add(copied) = 0;
    }
    SUCCESS
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGetAttribute(
    value: *mut c_int,
    attribute: c_int,
    _device: c_int,
) -> c_int {
    let state = state();
    let config = &state.config;
    // Numbers of CUdevice_attribute in cuda.h.
    let answer = match attribute {
        1 | 2 => 1024,
        10 => 32,
        13 => 625_000,
        16 => config.multiprocessors,
        18 => c_int::from(config.integrated),
        19 | 31 | 41 => 1,
        38 => config.l2_bytes,
        75 => config.compute / 10,
        76 => config.compute % 10,
        102 => c_int::from(config.can_map_chunks),
        _ => 0,
    };
    // SAFETY: as cuda.h demands.
    unsafe { *value = answer };
    SUCCESS
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceTotalMem_v2(bytes: *mut usize, _device: c_int) -> c_int {
    // SAFETY: as cuda.h demands.
    unsafe { *bytes = state().config.module_memory as usize };
    SUCCESS
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDevicePrimaryCtxRetain(context: *mut usize, device: c_int) -> c_int {
    let mut state = state();
    if !state.started {
        return ERROR_NOT_INITIALIZED;
    }
    if device != 0 {
        return ERROR_INVALID_DEVICE;
    }
    state.retained += 1;
    // SAFETY: as cuda.h demands.
    unsafe { *context = CONTEXT };
    SUCCESS
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDevicePrimaryCtxRelease_v2(_device: c_int) -> c_int {
    let mut state = state();
    if state.retained == 0 {
        state.problem("the primary context was released once too often".to_owned());
        return ERROR_INVALID_CONTEXT;
    }
    state.retained -= 1;
    if state.retained == 0 {
        drop(state);
        CURRENT.set(0);
    }
    SUCCESS
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuCtxGetCurrent(context: *mut usize) -> c_int {
    // SAFETY: as cuda.h demands.
    unsafe { *context = CURRENT.get() };
    SUCCESS
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuCtxSetCurrent(context: usize) -> c_int {
    if context != 0 && (context != CONTEXT || state().retained == 0) {
        return ERROR_INVALID_CONTEXT;
    }
    CURRENT.set(context);
    SUCCESS
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuCtxGetDevice(device: *mut c_int) -> c_int {
    if CURRENT.get() != CONTEXT {
        return ERROR_INVALID_CONTEXT;
    }
    // SAFETY: as cuda.h demands.
    unsafe { *device = 0 };
    SUCCESS
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuCtxSynchronize() -> c_int {
    code(|| {
        let tails = enter_unsafe_for_capture("cuCtxSynchronize")?.tails();
        tails.into_iter().try_for_each(|tail| ok(force(tail)))
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemGetInfo_v2(free: *mut usize, total: *mut usize) -> c_int {
    code(|| {
        let state = enter("cuMemGetInfo")?;
        let capacity = state.config.capacity;
        // SAFETY: as cuda.h demands.
        unsafe {
            *free = capacity.saturating_sub(state.memory.used) as usize;
            *total = capacity as usize;
        }
        Ok(())
    })
}
