//! One piece of work on a stream, and how it is done.

use crate::driver::state;
use crate::kernels::Launch;
use std::ffi::c_void;
use std::sync::Arc;
use std::time::Instant;

/// A host function with its argument.
#[derive(Clone, Copy)]
pub(crate) struct HostCall {
    pub(crate) function: unsafe extern "C" fn(*mut c_void),
    pub(crate) data: usize,
}

/// Host memory that a copy reads.
#[derive(Clone)]
pub(crate) enum Source {
    /// Pageable memory, read when the call was made.
    Taken(Arc<[u8]>),
    /// Pinned memory, read when the copy runs.
    Host(u64),
}

#[derive(Clone)]
pub(crate) enum Work {
    Kernel(Launch),
    ToDevice {
        target: u64,
        source: Source,
        bytes: u64,
    },
    ToHost {
        target: u64,
        source: u64,
        bytes: u64,
    },
    Copy {
        target: u64,
        source: u64,
        bytes: u64,
    },
    Fill {
        target: u64,
        value: u8,
        bytes: u64,
    },
    Host(HostCall),
    /// An event, by its number.
    Record(u64),
    /// Nothing: a place for dependencies.
    Mark,
    Graph(Arc<Vec<Work>>),
}

thread_local! {
    /// Whether this thread is inside a host function, which must not call the driver.
    pub(crate) static IN_HOST_FUNCTION: std::cell::Cell<bool> =
        const { std::cell::Cell::new(false) };
}

impl Work {
    /// Does it. The driver's state is locked only to check and translate addresses.
    ///
    /// # Errors
    /// What memory it touched that it must not.
    pub(crate) fn run(&self) -> Result<(), String> {
        match self {
            Self::Kernel(launch) => {
                let arguments = launch.translate(&state().memory)?;
                launch.run(arguments)
            }
            Self::ToDevice {
                target,
                source,
                bytes,
            } => {
                let to = resolve(*target, *bytes, "copy to the device")?;
                let from = match source {
                    Source::Taken(taken) => taken.as_ptr() as u64,
                    Source::Host(address) => host(*address, *bytes, "copy to the device")?,
                };
                copy(to, from, *bytes);
                Ok(())
            }
            Self::ToHost {
                target,
                source,
                bytes,
            } => {
                let from = resolve(*source, *bytes, "copy to the host")?;
                let to = host(*target, *bytes, "copy to the host")?;
                copy(to, from, *bytes);
                Ok(())
            }
            Self::Copy {
                target,
                source,
                bytes,
            } => {
                if target.abs_diff(*source) < *bytes {
                    return Err(format!(
                        "copy on the device: {bytes} bytes from {source:#x} to {target:#x} overlap"
                    ));
                }
                let from = resolve(*source, *bytes, "copy on the device (source)")?;
                let to = resolve(*target, *bytes, "copy on the device (target)")?;
                copy(to, from, *bytes);
                Ok(())
            }
            Self::Fill {
                target,
                value,
                bytes,
            } => {
                let to = resolve(*target, *bytes, "fill")?;
                // SAFETY: the range was just checked.
                unsafe { std::ptr::write_bytes(to as *mut u8, *value, *bytes as usize) };
                Ok(())
            }
            Self::Host(call) => {
                IN_HOST_FUNCTION.set(true);
                // SAFETY: the caller of cuLaunchHostFunc promised that this may be called.
                unsafe { (call.function)(call.data as *mut c_void) };
                IN_HOST_FUNCTION.set(false);
                Ok(())
            }
            Self::Record(event) => {
                state().happened(*event, Instant::now());
                Ok(())
            }
            Self::Mark => Ok(()),
            Self::Graph(works) => works.iter().try_for_each(Self::run),
        }
    }
}

fn resolve(address: u64, bytes: u64, who: &str) -> Result<u64, String> {
    state().memory.resolve(address, bytes, who)
}

/// Host memory that a copy touches when it runs: pinned and still allocated, or pageable memory
/// that the caller answers for.
fn host(address: u64, bytes: u64, who: &str) -> Result<u64, String> {
    let state = state();
    if state.memory.in_pinned(address) || state.memory.was_pinned(address) {
        return state.memory.resolve(address, bytes, who);
    }
    Ok(address)
}

fn copy(to: u64, from: u64, bytes: u64) {
    // SAFETY: both ranges were checked as far as they are the device's; pageable memory is the
    // caller's promise.
    unsafe { std::ptr::copy(from as *const u8, to as *mut u8, bytes as usize) };
}
