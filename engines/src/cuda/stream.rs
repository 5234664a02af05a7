//! Streams: queues of work that the device does in order, each beside the others.

use super::counter::{self, Kind};
use super::device::Device;
use super::driver::{check, done};
use super::error::CudaError;
use super::event::Event;
use cudarc::driver::sys;
use std::ffi::c_void;
use std::sync::Arc;

/// A queue of device work. It does not wait for the default stream, nor that one for it.
///
/// Copies return before they are done. Their contract, beside what each says: the ranges stay
/// allocated, and nothing else writes what is read or touches what is written, until the stream got
/// past the copy ([`Stream::synchronize`], or an [`Event`] recorded behind it).
#[derive(Debug)]
pub struct Stream {
    device: Arc<Device>,
    raw: sys::CUstream,
}

// SAFETY: the driver lets any thread use a stream; calls bind the context first.
unsafe impl Send for Stream {}
// SAFETY: as above.
unsafe impl Sync for Stream {}

impl Stream {
    /// A new stream.
    ///
    /// # Errors
    /// When the driver refuses.
    pub fn new(device: &Arc<Device>) -> Result<Self, CudaError> {
        device.bind()?;
        let mut raw = std::ptr::null_mut();
        let flags = sys::CUstream_flags::CU_STREAM_NON_BLOCKING as u32;
        // SAFETY: writes one handle; a context is current.
        check("cuStreamCreate", unsafe {
            sys::cuStreamCreate(&raw mut raw, flags)
        })?;
        counter::count(Kind::Stream);
        Ok(Self {
            device: Arc::clone(device),
            raw,
        })
    }

    /// The device it belongs to.
    pub fn device(&self) -> &Arc<Device> {
        &self.device
    }

    /// The driver's handle (`CUstream`, `cudaStream_t`), for libraries that enqueue work. It lives
    /// as long as the stream.
    pub fn raw(&self) -> *mut c_void {
        self.raw.cast()
    }

    /// Waits until all work on the stream is done.
    ///
    /// # Errors
    /// When work failed, now or earlier.
    pub fn synchronize(&self) -> Result<(), CudaError> {
        self.device.bind()?;
        // SAFETY: the handle is live.
        check("cuStreamSynchronize", unsafe {
            sys::cuStreamSynchronize(self.raw)
        })
    }

    /// Whether all work on the stream is done.
    ///
    /// # Errors
    /// When work failed.
    pub fn is_done(&self) -> Result<bool, CudaError> {
        self.device.bind()?;
        // SAFETY: the handle is live.
        done("cuStreamQuery", unsafe { sys::cuStreamQuery(self.raw) })
    }

    /// What comes on this stream from now on starts when `event`, as last recorded, has happened.
    /// An event that was never recorded is not waited for.
    ///
    /// # Errors
    /// When the event is of another device, or the driver fails.
    pub fn wait(&self, event: &Event) -> Result<(), CudaError> {
        event.same_device(&self.device)?;
        self.device.bind()?;
        // SAFETY: both handles are live; flags must be 0.
        check("cuStreamWaitEvent", unsafe {
            sys::cuStreamWaitEvent(self.raw, event.raw(), 0)
        })
    }

    /// Copies from host memory to the device.
    ///
    /// Pinned memory is read when the copy runs; other memory is read before the call returns, so it
    /// may block.
    ///
    /// # Safety
    /// - `source..source + bytes` is initialised host memory, `target..target + bytes` device memory.
    /// - Both keep the contract of [`Stream`].
    ///
    /// # Errors
    /// When the driver refuses.
    pub unsafe fn copy_to_device(
        &self,
        target: u64,
        source: *const u8,
        bytes: usize,
    ) -> Result<(), CudaError> {
        self.device.bind()?;
        // SAFETY: the caller's promise.
        check("cuMemcpyHtoDAsync_v2", unsafe {
            sys::cuMemcpyHtoDAsync_v2(target, source.cast(), bytes, self.raw)
        })
    }

    /// Copies from the device to host memory.
    ///
    /// Pinned memory is written when the copy runs; for other memory the call may block.
    ///
    /// # Safety
    /// - `target..target + bytes` is writable host memory, `source..source + bytes` device memory.
    /// - Both keep the contract of [`Stream`].
    ///
    /// # Errors
    /// When the driver refuses.
    pub unsafe fn copy_to_host(
        &self,
        target: *mut u8,
        source: u64,
        bytes: usize,
    ) -> Result<(), CudaError> {
        self.device.bind()?;
        // SAFETY: the caller's promise.
        check("cuMemcpyDtoHAsync_v2", unsafe {
            sys::cuMemcpyDtoHAsync_v2(target.cast(), source, bytes, self.raw)
        })
    }

    /// Copies inside the device. The ranges must not overlap.
    ///
    /// # Safety
    /// Both ranges are device memory, do not overlap, and keep the contract of [`Stream`].
    ///
    /// # Errors
    /// When the driver refuses.
    pub unsafe fn copy_device(
        &self,
        target: u64,
        source: u64,
        bytes: usize,
    ) -> Result<(), CudaError> {
        self.device.bind()?;
        // SAFETY: the caller's promise.
        check("cuMemcpyDtoDAsync_v2", unsafe {
            sys::cuMemcpyDtoDAsync_v2(target, source, bytes, self.raw)
        })
    }

    /// Sets device memory to zero.
    ///
    /// # Safety
    /// The range is device memory and keeps the contract of [`Stream`].
    ///
    /// # Errors
    /// When the driver refuses.
    pub unsafe fn fill_zero(&self, target: u64, bytes: usize) -> Result<(), CudaError> {
        self.device.bind()?;
        // SAFETY: the caller's promise.
        check("cuMemsetD8Async", unsafe {
            sys::cuMemsetD8Async(target, 0, bytes, self.raw)
        })
    }

    /// The driver's handle as cudarc types it.
    pub(super) fn handle(&self) -> sys::CUstream {
        self.raw
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.device.record_err(self.device.bind());
        // SAFETY: the handle is live and destroyed once; work on it still runs to its end.
        let code = unsafe { sys::cuStreamDestroy_v2(self.raw) };
        self.device.record_err(check("cuStreamDestroy_v2", code));
    }
}
