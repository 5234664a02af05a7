//! The exported functions: the driver's own names and signatures, as cudarc and TensorRT's stand-in
//! call them, and a few of ours (`sim_…`).

// The driver's names and contracts are NVIDIA's (`cuda.h`); what is unsafe about each is in its
// documentation there.
#![allow(non_snake_case, clippy::missing_safety_doc)]

mod control;
mod device;
mod graph;
mod memory;
mod module;
mod stream;

use crate::driver::{Driver, state};
use crate::status::{
    ERROR_ILLEGAL_ADDRESS, ERROR_INVALID_CONTEXT, ERROR_NOT_INITIALIZED, ERROR_NOT_PERMITTED,
    ERROR_STREAM_CAPTURE_UNSUPPORTED,
};
use crate::work::IN_HOST_FUNCTION;
use std::cell::Cell;
use std::ffi::c_int;
use std::sync::MutexGuard;

thread_local! {
    /// The context that is current on this thread; 0 when none is.
    static CURRENT: Cell<usize> = const { Cell::new(0) };
}

/// The one context there is.
const CONTEXT: usize = 0xC0DA_C0DE_0000;

/// What nearly every call needs: a started driver, not inside a host function, a current context,
/// a device that is not broken.
fn enter(call: &str) -> Result<MutexGuard<'static, Driver>, c_int> {
    if IN_HOST_FUNCTION.get() {
        state().problem(format!("{call} inside a host function"));
        return Err(ERROR_NOT_PERMITTED);
    }
    let mut state = state();
    if !state.started {
        return Err(ERROR_NOT_INITIALIZED);
    }
    if CURRENT.get() != CONTEXT {
        state.problem(format!("{call} on a thread without a current context"));
        return Err(ERROR_INVALID_CONTEXT);
    }
    if state.broken {
        return Err(ERROR_ILLEGAL_ADDRESS);
    }
    Ok(state)
}

/// As [`enter`], for calls that a recording by this thread forbids and is broken by.
fn enter_unsafe_for_capture(call: &str) -> Result<MutexGuard<'static, Driver>, c_int> {
    let mut state = enter(call)?;
    let this = std::thread::current().id();
    let mut forbidden = false;
    for stream in state.streams.values_mut() {
        if let Some(capture) = &mut stream.capture
            && capture.thread == this
            && !capture.relaxed
        {
            capture.broken = true;
            forbidden = true;
        }
    }
    if forbidden {
        return Err(ERROR_STREAM_CAPTURE_UNSUPPORTED);
    }
    Ok(state)
}

/// A call's body as its result code.
fn code(body: impl FnOnce() -> Result<(), c_int>) -> c_int {
    body().err().unwrap_or(crate::status::SUCCESS)
}

/// A code as a result.
fn ok(code: c_int) -> Result<(), c_int> {
    if code == crate::status::SUCCESS {
        Ok(())
    } else {
        Err(code)
    }
}
