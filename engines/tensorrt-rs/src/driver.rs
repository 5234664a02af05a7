//! Whether the CUDA driver works, asked before TensorRT is: without a driver some of its libraries
//! return garbage pointers instead of errors.
//!
//! Only that question and which device there is. Memory, streams and everything else of CUDA are
//! not here.

use super::sys::CuInitFn;
use super::{Error, ErrorKind};
use libloading::Library;
use std::ffi::{c_char, c_int};

const DRIVER: &str = "libcuda.so.1";

/// What a device is, as far as an engine depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceIdentity {
    /// The driver's name of it: "Orin", "NVIDIA H100 80GB HBM3".
    pub name: String,
    /// (8, 7) for Orin.
    pub compute_capability: (u32, u32),
    /// Streaming multiprocessors; on a Jetson the power mode may switch some off.
    pub multiprocessors: u32,
    /// All its memory in bytes.
    pub memory_bytes: u64,
    /// Its L2 cache in bytes.
    pub l2_bytes: u64,
}

/// Initialises the driver (`cuInit`), which may be done any number of times.
///
/// # Errors
/// A sentence that says what is missing and what to do.
pub fn check() -> super::Result<()> {
    loaded().map(|_| ())
}

/// The device of this ordinal.
///
/// # Errors
/// When there is no driver or no such device.
pub fn device(ordinal: i32) -> super::Result<DeviceIdentity> {
    let driver = loaded()?;
    let failed = |what: &str, code: c_int| {
        driver_error(format!(
            "the CUDA driver has no device {ordinal} ({what} gives error {code}); \
             CUDA_VISIBLE_DEVICES may hide it"
        ))
    };
    let mut device: c_int = 0;
    let mut name = [0 as c_char; 256];
    let mut values: [c_int; 4] = [0; 4];
    let mut memory: usize = 0;
    // SAFETY: the signatures are those of CUDA's driver API, stable since CUDA 2; every pointer is
    // to memory of the stated size that lives through the call.
    unsafe {
        type Get = unsafe extern "C" fn(*mut c_int, c_int) -> c_int;
        type Name = unsafe extern "C" fn(*mut c_char, c_int, c_int) -> c_int;
        type Attribute = unsafe extern "C" fn(*mut c_int, c_int, c_int) -> c_int;
        type Memory = unsafe extern "C" fn(*mut usize, c_int) -> c_int;
        let code = symbol::<Get>(&driver, "cuDeviceGet")?(&raw mut device, ordinal);
        if code != 0 {
            return Err(failed("cuDeviceGet", code));
        }
        let length = name.len() as c_int - 1;
        let code = symbol::<Name>(&driver, "cuDeviceGetName")?(name.as_mut_ptr(), length, device);
        if code != 0 {
            return Err(failed("cuDeviceGetName", code));
        }
        let attribute = symbol::<Attribute>(&driver, "cuDeviceGetAttribute")?;
        // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR, _MULTIPROCESSOR_COUNT,
        // _L2_CACHE_SIZE.
        for (value, key) in values.iter_mut().zip([75, 76, 16, 38]) {
            let code = attribute(value, key, device);
            if code != 0 {
                return Err(failed("cuDeviceGetAttribute", code));
            }
        }
        let code = symbol::<Memory>(&driver, "cuDeviceTotalMem_v2")?(&raw mut memory, device);
        if code != 0 {
            return Err(failed("cuDeviceTotalMem", code));
        }
        let [major, minor, multiprocessors, l2_bytes] = values.map(c_int::unsigned_abs);
        Ok(DeviceIdentity {
            name: super::result::text(name.as_ptr()),
            compute_capability: (major, minor),
            multiprocessors,
            memory_bytes: memory as u64,
            l2_bytes: l2_bytes.into(),
        })
    }
}

fn loaded() -> super::Result<Library> {
    // SAFETY: the driver's library may be loaded any number of times and is made for it.
    let library = unsafe { Library::new(DRIVER) }.map_err(|error| {
        driver_error(format!(
            "no CUDA driver here: {DRIVER} could not be loaded ({}); install NVIDIA's driver (on a \
             Jetson it is part of JetPack)",
            super::library::loader_message(&error)
        ))
    })?;
    // SAFETY: cuInit's signature, see above.
    let code = unsafe { symbol::<CuInitFn>(&library, "cuInit")?(0) };
    match code {
        0 => Ok(library),
        100 => Err(Error::new(
            ErrorKind::NotReady,
            "the CUDA driver is there but sees no device (cuInit gives error 100); is the GPU \
             visible to this container or user?",
        )),
        // The driver's library and the kernel's module differ: only an installation helps.
        803 => Err(driver_error(
            "the CUDA driver does not start: cuInit gives error 803; reboot, or install the driver \
             that fits the kernel"
                .to_owned(),
        )),
        code => Err(Error::new(
            ErrorKind::NotReady,
            format!(
                "the CUDA driver does not start: cuInit gives error {code}; it may still be \
                 loading; if not, reboot, or install the driver that fits the kernel"
            ),
        )),
    }
}

fn driver_error(message: String) -> Error {
    Error::new(ErrorKind::Driver, message)
}

/// # Safety
/// `T` is the function's type.
unsafe fn symbol<T: Copy>(library: &Library, name: &str) -> super::Result<T> {
    // SAFETY: by the contract.
    unsafe { library.get::<T>(name.as_bytes()) }
        .map(|symbol| *symbol)
        .map_err(|_| {
            driver_error(format!(
                "{DRIVER} has no {name}: it is not a CUDA driver, or too old"
            ))
        })
}
