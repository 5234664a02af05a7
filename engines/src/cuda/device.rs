//! One device and its primary context.

use super::driver::{availability, check};
use super::error::{CudaError, DriverFault};
use cudarc::driver::sys::{self, CUdevice_attribute as Attribute, CUresult};
use serde::Serialize;
use std::ffi::{CStr, c_char, c_int};
use std::sync::{Arc, Mutex, PoisonError};

/// What a device is, for reports and for the engines' cache key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeviceInfo {
    /// Number of the device, from 0, among those that are visible.
    pub ordinal: usize,
    /// Its name.
    pub name: String,
    /// Compute capability, major and minor: (8, 7) is Orin.
    pub compute_capability: (u32, u32),
    /// Whether it shares the system's memory, as on a Jetson.
    pub integrated: bool,
    /// All its memory in bytes.
    pub total_bytes: u64,
    /// CUDA version that the driver supports: 12060 is 12.6.
    pub driver_version: u32,
    /// Streaming multiprocessors.
    pub multiprocessors: u32,
    /// Whether it can read pinned host memory in place.
    pub can_map_host: bool,
    /// Whether it can map chunks of memory into one range of addresses.
    pub can_map_chunks: bool,
    /// Whether it is the stand-in of the tests and not a GPU.
    pub simulated: bool,
}

/// Free and total memory of a device as `cuMemGetInfo` reports them.
///
/// On an integrated device "free" leaves out what the system would reclaim (its page cache):
/// MemAvailable of `/proc/meminfo` is the number to judge by there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DeviceMemory {
    /// Free bytes.
    pub free_bytes: u64,
    /// Total bytes.
    pub total_bytes: u64,
}

/// A device whose primary context this process holds.
///
/// The context is the one that the CUDA runtime, and so TensorRT, uses too. It is current on the
/// thread that opened the device; other threads call [`Device::bind`] first. What is made from a
/// device keeps it open.
pub struct Device {
    handle: sys::CUdevice,
    context: sys::CUcontext,
    info: DeviceInfo,
    /// What went wrong where no result could be returned: in drops.
    deferred: Mutex<Vec<CudaError>>,
}

// SAFETY: the driver's device and context handles may be used from any thread; the context is made
// current on each one before it is used.
unsafe impl Send for Device {}
// SAFETY: as above; the one mutable field has a lock.
unsafe impl Sync for Device {}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Device").field(&self.info).finish()
    }
}

impl Device {
    /// Opens a device by its number and makes its context current on this thread.
    ///
    /// # Errors
    /// CUDA is not available ([`availability`]), there is no such device, or its context cannot be
    /// had (most often: no memory).
    pub fn open(ordinal: usize) -> Result<Arc<Self>, CudaError> {
        let handle = handle(ordinal)?;
        let info = describe(ordinal, handle)?;
        let mut context = std::ptr::null_mut();
        // SAFETY: writes one handle of a valid device; released when the `Device` is dropped.
        match unsafe { sys::cuDevicePrimaryCtxRetain(&raw mut context, handle) } {
            CUresult::CUDA_ERROR_OUT_OF_MEMORY => {
                let fault = DriverFault(CUresult::CUDA_ERROR_OUT_OF_MEMORY);
                return Err(CudaError::NoContext { ordinal, fault });
            }
            code => check("cuDevicePrimaryCtxRetain", code)?,
        }
        let device = Self {
            handle,
            context,
            info,
            deferred: Mutex::new(Vec::new()),
        };
        device.bind()?;
        Ok(Arc::new(device))
    }

    /// What it is.
    pub fn info(&self) -> &DeviceInfo {
        &self.info
    }

    /// Makes the device's context current on this thread; cheap when it is already.
    ///
    /// # Errors
    /// When the driver refuses.
    pub fn bind(&self) -> Result<(), CudaError> {
        let mut current = std::ptr::null_mut();
        // SAFETY: writes one handle.
        check("cuCtxGetCurrent", unsafe {
            sys::cuCtxGetCurrent(&raw mut current)
        })?;
        if current == self.context {
            return Ok(());
        }
        // SAFETY: the context lives as long as `self`.
        check("cuCtxSetCurrent", unsafe {
            sys::cuCtxSetCurrent(self.context)
        })
    }

    /// Free and total memory now.
    ///
    /// # Errors
    /// When the driver fails.
    pub fn memory(&self) -> Result<DeviceMemory, CudaError> {
        self.bind()?;
        let (mut free, mut total) = (0, 0);
        // SAFETY: writes two integers; a context is current.
        check("cuMemGetInfo_v2", unsafe {
            sys::cuMemGetInfo_v2(&raw mut free, &raw mut total)
        })?;
        Ok(DeviceMemory {
            free_bytes: free as u64,
            total_bytes: total as u64,
        })
    }

    /// Waits until everything that was put on any stream of the device is done.
    ///
    /// # Errors
    /// When work failed, now or earlier.
    pub fn synchronize(&self) -> Result<(), CudaError> {
        self.bind()?;
        // SAFETY: a context is current.
        check("cuCtxSynchronize", unsafe { sys::cuCtxSynchronize() })
    }

    /// The first thing that went wrong where nobody could be told (when something was dropped),
    /// since the last call. To be asked where an object or a video ends.
    ///
    /// # Errors
    /// That error.
    pub fn check_err(&self) -> Result<(), CudaError> {
        let mut deferred = self.deferred.lock().unwrap_or_else(PoisonError::into_inner);
        let first = deferred.drain(..).next();
        first.map_or(Ok(()), Err)
    }

    /// Keeps what a drop could not return.
    pub(super) fn record_err(&self, result: Result<(), CudaError>) {
        if let Err(error) = result {
            tracing::error!(%error, "the device could not give something back");
            self.deferred
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(error);
        }
    }

    /// The driver's handle.
    pub(super) fn handle(&self) -> sys::CUdevice {
        self.handle
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // SAFETY: `open` retained the context once, and nothing made from it lives any more.
        let code = unsafe { sys::cuDevicePrimaryCtxRelease_v2(self.handle) };
        if let Err(error) = check("cuDevicePrimaryCtxRelease_v2", code) {
            tracing::error!(%error, "the device's context was not released");
        }
    }
}

/// What a device is, without opening it: no context is made and no memory taken.
///
/// # Errors
/// CUDA is not available, or there is no such device.
pub fn describe_device(ordinal: usize) -> Result<DeviceInfo, CudaError> {
    let handle = handle(ordinal)?;
    describe(ordinal, handle)
}

/// A device's address on the PCI bus, such as `00000000:65:00.0`, as other libraries of NVIDIA's
/// name it; `None` where there is no such device or it is not on that bus.
pub fn pci_address(ordinal: usize) -> Option<String> {
    let handle = handle(ordinal).ok()?;
    let attribute = |attribute: Attribute| -> Option<c_int> {
        let mut value = 0;
        // SAFETY: writes one integer about a valid device.
        let code = unsafe { sys::cuDeviceGetAttribute(&raw mut value, attribute, handle) };
        check("cuDeviceGetAttribute", code).ok().map(|()| value)
    };
    let domain = attribute(Attribute::CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID)?;
    let bus = attribute(Attribute::CU_DEVICE_ATTRIBUTE_PCI_BUS_ID)?;
    let device = attribute(Attribute::CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID)?;
    Some(format!("{domain:08x}:{bus:02x}:{device:02x}.0"))
}

/// The driver's handle of a device.
fn handle(ordinal: usize) -> Result<sys::CUdevice, CudaError> {
    availability()?;
    let mut count = 0;
    // SAFETY: writes one integer.
    check("cuDeviceGetCount", unsafe {
        sys::cuDeviceGetCount(&raw mut count)
    })?;
    let missing = CudaError::Ordinal {
        ordinal,
        count: usize::try_from(count).unwrap_or(0),
    };
    let number = c_int::try_from(ordinal)
        .ok()
        .filter(|number| *number < count)
        .ok_or(missing)?;
    let mut handle = 0;
    // SAFETY: writes one handle; the number is in range.
    check("cuDeviceGet", unsafe {
        sys::cuDeviceGet(&raw mut handle, number)
    })?;
    Ok(handle)
}

fn describe(ordinal: usize, handle: sys::CUdevice) -> Result<DeviceInfo, CudaError> {
    let attribute = |attribute: Attribute| -> Result<u32, CudaError> {
        let mut value = 0;
        // SAFETY: writes one integer about a valid device.
        check("cuDeviceGetAttribute", unsafe {
            sys::cuDeviceGetAttribute(&raw mut value, attribute, handle)
        })?;
        Ok(u32::try_from(value).unwrap_or(0))
    };
    let mut name = [0 as c_char; 256];
    // SAFETY: writes at most 255 characters and a zero.
    check("cuDeviceGetName", unsafe {
        sys::cuDeviceGetName(name.as_mut_ptr(), 255, handle)
    })?;
    // SAFETY: the last character is a zero whatever the driver wrote.
    let name = unsafe { CStr::from_ptr(name.as_ptr()) }
        .to_string_lossy()
        .into_owned();
    let mut total = 0;
    // SAFETY: writes one integer about a valid device.
    check("cuDeviceTotalMem_v2", unsafe {
        sys::cuDeviceTotalMem_v2(&raw mut total, handle)
    })?;
    let mut version = 0;
    // SAFETY: writes one integer.
    check("cuDriverGetVersion", unsafe {
        sys::cuDriverGetVersion(&raw mut version)
    })?;
    Ok(DeviceInfo {
        ordinal,
        simulated: name.starts_with("Simulated"),
        name,
        compute_capability: (
            attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?,
            attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?,
        ),
        integrated: attribute(Attribute::CU_DEVICE_ATTRIBUTE_INTEGRATED)? != 0,
        total_bytes: total as u64,
        driver_version: u32::try_from(version).unwrap_or(0),
        multiprocessors: attribute(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?,
        can_map_host: attribute(Attribute::CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY)? != 0,
        can_map_chunks: attribute(
            Attribute::CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED,
        )? != 0,
    })
}
