//! What a real driver does not have: looking behind addresses, changing the device's behaviour, and
//! the report. For tests and for TensorRT's stand-in.

use crate::driver::state;
use std::ffi::{CStr, c_char, c_int, c_void};

/// Where the host finds `bytes` at a device address; null, and a problem noted, when that range is
/// not one live allocation. May be called inside host functions.
#[unsafe(no_mangle)]
extern "C" fn sim_translate(address: u64, bytes: u64) -> *mut c_void {
    let mut state = state();
    match state.memory.resolve(address, bytes, "sim_translate") {
        Ok(host) => host as *mut c_void,
        Err(problem) => {
            state.problem(problem);
            std::ptr::null_mut()
        }
    }
}

/// Changes the device's behaviour (keys: `config.rs`); 0 when key or value mean nothing.
#[unsafe(no_mangle)]
unsafe extern "C" fn sim_cuda_set(key: *const c_char, value: *const c_char) -> c_int {
    // SAFETY: the caller passes two strings that end with a zero.
    let (key, value) = unsafe { (CStr::from_ptr(key), CStr::from_ptr(value)) };
    let (Ok(key), Ok(value)) = (key.to_str(), value.to_str()) else {
        return 0;
    };
    let mut state = state();
    let known = state.config.set(key, value);
    if key == "seed" {
        state.reseed();
    }
    c_int::from(known)
}

/// Allocating calls so far, refused ones among them.
#[unsafe(no_mangle)]
extern "C" fn sim_cuda_allocations() -> u64 {
    state().allocations()
}

/// Bytes of device memory in use.
#[unsafe(no_mangle)]
extern "C" fn sim_cuda_used() -> u64 {
    state().memory.used
}

/// Notes a problem that somebody else found, TensorRT's stand-in say.
#[unsafe(no_mangle)]
unsafe extern "C" fn sim_cuda_problem(text: *const c_char) {
    // SAFETY: the caller passes a string that ends with a zero.
    let text = unsafe { CStr::from_ptr(text) }.to_string_lossy();
    state().problem(text.into_owned());
}

/// Writes the report (JSON) and a zero into a buffer, as far as it fits; returns its whole length.
#[unsafe(no_mangle)]
unsafe extern "C" fn sim_cuda_report(buffer: *mut c_char, length: usize) -> usize {
    let report = state().report();
    let text = serde_json::to_string(&report).unwrap_or_default();
    if length > 0 {
        let copied = text.len().min(length - 1);
        // SAFETY: the caller's buffer has `length` bytes.
        unsafe {
            std::ptr::copy_nonoverlapping(text.as_ptr().cast(), buffer, copied);
            *buffer.add(copied) = 0;
        }
    }
    text.len()
}

/// Writes the report when the process ends, where one is wanted, and says what is wrong.
pub(super) extern "C" fn at_exit() {
    let state = state();
    let report = state.report();
    if let Some(path) = &state.config.report {
        let text = serde_json::to_string(&report).unwrap_or_default();
        if let Err(error) = std::fs::write(path, text) {
            eprintln!("simulated CUDA: {}: {error}", path.display());
        }
    }
}
