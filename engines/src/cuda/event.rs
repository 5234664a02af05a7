//! Events: marks on a stream that others wait for, or that keep the time.

use super::counter::{self, Kind};
use super::device::Device;
use super::driver::{check, done};
use super::error::{CudaError, DriverFault};
use super::stream::Stream;
use cudarc::driver::sys::{self, CUresult};
use std::sync::Arc;
use std::time::Duration;

/// A mark that can be recorded on a stream, again and again; the last record counts.
#[derive(Debug)]
pub struct Event {
    device: Arc<Device>,
    raw: sys::CUevent,
    timing: bool,
}

// SAFETY: the driver lets any thread use an event; calls bind the context first.
unsafe impl Send for Event {}
// SAFETY: as above.
unsafe impl Sync for Event {}

impl Event {
    /// A new event; only one made with `timing` can be asked for times, and costs a little more.
    ///
    /// # Errors
    /// When the driver refuses.
    pub fn new(device: &Arc<Device>, timing: bool) -> Result<Self, CudaError> {
        device.bind()?;
        let flags = if timing {
            sys::CUevent_flags::CU_EVENT_DEFAULT
        } else {
            sys::CUevent_flags::CU_EVENT_DISABLE_TIMING
        };
        let mut raw = std::ptr::null_mut();
        // SAFETY: writes one handle; a context is current.
        check("cuEventCreate", unsafe {
            sys::cuEventCreate(&raw mut raw, flags as u32)
        })?;
        counter::count(Kind::Event);
        Ok(Self {
            device: Arc::clone(device),
            raw,
            timing,
        })
    }

    /// Marks the place behind all work that is on `stream` now.
    ///
    /// # Errors
    /// When the stream is of another device, or the driver fails.
    pub fn record(&self, stream: &Stream) -> Result<(), CudaError> {
        self.same_device(stream.device())?;
        self.device.bind()?;
        // SAFETY: both handles are live and of one context.
        check("cuEventRecord", unsafe {
            sys::cuEventRecord(self.raw, stream.handle())
        })
    }

    /// Waits on the CPU until the stream got past the last record.
    ///
    /// # Errors
    /// When work before it failed.
    pub fn synchronize(&self) -> Result<(), CudaError> {
        self.device.bind()?;
        // SAFETY: the handle is live.
        check("cuEventSynchronize", unsafe {
            sys::cuEventSynchronize(self.raw)
        })
    }

    /// Whether the stream got past the last record; true when there is none.
    ///
    /// # Errors
    /// When work before it failed.
    pub fn is_done(&self) -> Result<bool, CudaError> {
        self.device.bind()?;
        // SAFETY: the handle is live.
        done("cuEventQuery", unsafe { sys::cuEventQuery(self.raw) })
    }

    /// Time on the device from one mark to another; both must have happened. The resolution is
    /// about half a microsecond.
    ///
    /// # Errors
    /// [`CudaError::NoTiming`]; or a mark was not recorded, or has not happened yet.
    pub fn elapsed(from: &Self, to: &Self) -> Result<Duration, CudaError> {
        if !from.timing || !to.timing {
            return Err(CudaError::NoTiming);
        }
        to.same_device(&from.device)?;
        from.device.bind()?;
        let mut milliseconds = 0f32;
        // SAFETY: writes one float; both handles are live and keep times.
        check("cuEventElapsedTime", unsafe {
            sys::cuEventElapsedTime(&raw mut milliseconds, from.raw, to.raw)
        })?;
        Duration::try_from_secs_f64(f64::from(milliseconds) / 1e3).map_err(|_| CudaError::Call {
            call: "cuEventElapsedTime",
            fault: DriverFault(CUresult::CUDA_ERROR_INVALID_VALUE),
        })
    }

    /// Refuses to be used with something of another device.
    pub(super) fn same_device(&self, device: &Arc<Device>) -> Result<(), CudaError> {
        if Arc::ptr_eq(&self.device, device) || self.device.handle() == device.handle() {
            return Ok(());
        }
        Err(CudaError::OtherDevice { what: "the event" })
    }

    /// The driver's handle.
    pub(super) fn raw(&self) -> sys::CUevent {
        self.raw
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        self.device.record_err(self.device.bind());
        // SAFETY: the handle is live and destroyed once; a pending record or wait keeps its effect.
        let code = unsafe { sys::cuEventDestroy_v2(self.raw) };
        self.device.record_err(check("cuEventDestroy_v2", code));
    }
}
