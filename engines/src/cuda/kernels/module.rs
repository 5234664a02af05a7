//! A loaded module of kernels and how they are launched.

use crate::cuda::counter::{self, Kind};
use crate::cuda::device::Device;
use crate::cuda::driver::check;
use crate::cuda::error::CudaError;
use crate::cuda::stream::Stream;
use cudarc::driver::sys;
use std::ffi::{CStr, c_void};
use std::sync::Arc;

/// A module, unloaded when dropped.
#[derive(Debug)]
pub(super) struct Module {
    device: Arc<Device>,
    raw: sys::CUmodule,
}

/// A kernel of a [`Module`], valid as long as that.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kernel(sys::CUfunction);

impl Module {
    /// Loads PTX.
    pub(super) fn load(device: &Arc<Device>, ptx: &CStr) -> Result<Self, CudaError> {
        device.bind()?;
        let mut raw = std::ptr::null_mut();
        // SAFETY: writes one handle, reads a string that ends with a zero; a context is current.
        check("cuModuleLoadData", unsafe {
            sys::cuModuleLoadData(&raw mut raw, ptx.as_ptr().cast())
        })?;
        counter::count(Kind::Module);
        Ok(Self {
            device: Arc::clone(device),
            raw,
        })
    }

    /// A kernel by its name.
    pub(super) fn kernel(&self, name: &CStr) -> Result<Kernel, CudaError> {
        let mut kernel = std::ptr::null_mut();
        // SAFETY: writes one handle; the module is live, the string ends with a zero.
        check("cuModuleGetFunction", unsafe {
            sys::cuModuleGetFunction(&raw mut kernel, self.raw, name.as_ptr())
        })?;
        Ok(Kernel(kernel))
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        self.device.record_err(self.device.synchronize());
        // SAFETY: the handle is live, unloaded once, and no kernel of it is running.
        let code = unsafe { sys::cuModuleUnload(self.raw) };
        self.device.record_err(check("cuModuleUnload", code));
    }
}

/// Puts a kernel on a stream.
///
/// # Safety
/// - `arguments` point to values of the kernel's parameter types, in order.
/// - The kernel's module is live and of the stream's device.
/// - The addresses among them keep the contract of [`Stream`] for what the kernel does.
pub(super) unsafe fn launch<const N: usize>(
    stream: &Stream,
    kernel: Kernel,
    grid: [u32; 3],
    block: [u32; 2],
    mut arguments: [*mut c_void; N],
) -> Result<(), CudaError> {
    stream.device().bind()?;
    // SAFETY: the caller's promise; the driver copies the arguments before it returns.
    check("cuLaunchKernel", unsafe {
        sys::cuLaunchKernel(
            kernel.0,
            grid[0],
            grid[1],
            grid[2],
            block[0],
            block[1],
            1,
            0,
            stream.handle(),
            arguments.as_mut_ptr(),
            std::ptr::null_mut(),
        )
    })
}
