//! The CUDA driver, as far as the stand-in needs it: the current device, memory of its own where
//! the client gave no allocator, and host functions on a stream.
//!
//! The driver is loaded when it is first needed. A simulated one's memory is read and written as host
//! memory: device addresses go through its `sim_translate(address, bytes)` where it exports one, else
//! they are taken as host addresses. A GPU's memory is copied (`MASKLET_SIM_NVINFER_STAGED`, see the
//! crate); without that variable only a simulated driver is accepted. Clients' mistakes are noted in
//! the simulated driver's report through `sim_cuda_problem(text)`, where it has that.

use crate::graph::c_string;
use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW, Symbol};
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering};

/// `CUresult`.
type Code = c_int;
type HostFunction = unsafe extern "C" fn(*mut c_void);

const COMPUTE_CAPABILITY_MAJOR: c_int = 75;
const COMPUTE_CAPABILITY_MINOR: c_int = 76;

/// The loaded driver.
pub struct Driver {
    launch_host_function:
        Symbol<unsafe extern "C" fn(*mut c_void, HostFunction, *mut c_void) -> Code>,
    is_capturing: Option<Symbol<unsafe extern "C" fn(*mut c_void, *mut c_uint) -> Code>>,
    synchronize: Option<Symbol<unsafe extern "C" fn(*mut c_void) -> Code>>,
    allocate: Option<Symbol<unsafe extern "C" fn(*mut u64, usize) -> Code>>,
    free: Option<Symbol<unsafe extern "C" fn(u64) -> Code>>,
    current: Option<Symbol<unsafe extern "C" fn(*mut c_int) -> Code>>,
    name: Symbol<unsafe extern "C" fn(*mut c_char, c_int, c_int) -> Code>,
    attribute: Option<Symbol<unsafe extern "C" fn(*mut c_int, c_int, c_int) -> Code>>,
    translate: Option<Symbol<unsafe extern "C" fn(u64, u64) -> *mut c_void>>,
    /// Copies, where memory is not looked at in place.
    copies: Option<Copies>,
    problem: Option<Symbol<unsafe extern "C" fn(*const c_char)>>,
    /// Last: the symbols above are its.
    _library: Library,
}

/// What moves bytes between host and device.
struct Copies {
    down: Symbol<unsafe extern "C" fn(*mut c_void, u64, usize) -> Code>,
    up: Symbol<unsafe extern "C" fn(u64, *const c_void, usize) -> Code>,
    down_on: Symbol<unsafe extern "C" fn(*mut c_void, u64, usize, *mut c_void) -> Code>,
    up_on: Symbol<unsafe extern "C" fn(u64, *const c_void, usize, *mut c_void) -> Code>,
    fill_on: Symbol<unsafe extern "C" fn(u64, u8, usize, *mut c_void) -> Code>,
    host_allocate: Symbol<unsafe extern "C" fn(*mut *mut c_void, usize, c_uint) -> Code>,
    host_free: Symbol<unsafe extern "C" fn(*mut c_void) -> Code>,
}

impl Copies {
    fn load(library: &Library) -> Result<Self, String> {
        // SAFETY: the signatures are those of cuda.h.
        unsafe {
            Ok(Self {
                down: required(library, c"cuMemcpyDtoH_v2")?,
                up: required(library, c"cuMemcpyHtoD_v2")?,
                down_on: required(library, c"cuMemcpyDtoHAsync_v2")?,
                up_on: required(library, c"cuMemcpyHtoDAsync_v2")?,
                fill_on: required(library, c"cuMemsetD8Async")?,
                host_allocate: required(library, c"cuMemHostAlloc")?,
                host_free: required(library, c"cuMemFreeHost")?,
            })
        }
    }
}

fn done(function: &str, code: Code) -> Result<(), String> {
    match code {
        0 => Ok(()),
        code => Err(format!(
            "Error Code 1: Cuda Driver ({function} returned {code})"
        )),
    }
}

/// Page-locked host memory, for copies that run on a stream.
pub struct Pinned {
    start: AtomicPtr<c_void>,
    bytes: usize,
}

impl Pinned {
    /// The address of a range.
    ///
    /// # Errors
    /// When the range is not within the memory.
    pub fn at(&self, offset: u64, bytes: u64) -> Result<*mut u8, String> {
        let end = offset.checked_add(bytes);
        match (usize::try_from(offset), end.map(usize::try_from)) {
            (Ok(offset), Some(Ok(end))) if end <= self.bytes => {
                let start = self.start.load(Ordering::Acquire);
                match start.is_null() {
                    true => Err("the staging memory was given back".to_owned()),
                    false => Ok(start.cast::<u8>().wrapping_add(offset)),
                }
            }
            _ => Err(format!(
                "{bytes} bytes at {offset} lie beyond the staging memory"
            )),
        }
    }
}

impl Pinned {
    /// Gives the memory back before its owner goes: nothing may use it any more.
    pub fn give_back(&self) {
        let start = self.start.swap(std::ptr::null_mut(), Ordering::AcqRel);
        let copies = driver().ok().and_then(|driver| driver.copies.as_ref());
        if let (Some(copies), false) = (copies, start.is_null()) {
            // SAFETY: the driver gave the memory, and it is taken from here once.
            unsafe { (copies.host_free)(start) };
        }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        self.give_back();
    }
}

// SAFETY: the driver's functions may be called from any thread.
unsafe impl Send for Driver {}
// SAFETY: as above.
unsafe impl Sync for Driver {}

/// The driver of this process, loaded and initialised on the first call that succeeds.
///
/// # Errors
/// When there is none, it does not start, or it is not a simulated one.
pub fn driver() -> Result<&'static Driver, String> {
    static DRIVER: OnceLock<Driver> = OnceLock::new();
    if let Some(driver) = DRIVER.get() {
        return Ok(driver);
    }
    let loaded = Driver::load()?;
    Ok(DRIVER.get_or_init(|| loaded))
}

impl Driver {
    fn load() -> Result<Self, String> {
        // SAFETY: a driver's initialisers have no conditions of their own.
        let library = unsafe { Library::open(Some("libcuda.so.1"), RTLD_NOW | RTLD_GLOBAL) }
            .map_err(|error| format!("libcuda.so.1 cannot be loaded: {error}"))?;
        // SAFETY: the signatures are those of cuda.h.
        let driver = unsafe {
            let initialise: Symbol<unsafe extern "C" fn(c_uint) -> Code> =
                required(&library, c"cuInit")?;
            let code = initialise(0);
            if code != 0 {
                return Err(format!("CUDA initialization failure with error: {code}"));
            }
            Self {
                launch_host_function: required(&library, c"cuLaunchHostFunc")?,
                name: required(&library, c"cuDeviceGetName")?,
                is_capturing: optional(&library, c"cuStreamIsCapturing"),
                synchronize: optional(&library, c"cuStreamSynchronize"),
                allocate: optional(&library, c"cuMemAlloc_v2"),
                free: optional(&library, c"cuMemFree_v2"),
                current: optional(&library, c"cuCtxGetDevice"),
                attribute: optional(&library, c"cuDeviceGetAttribute"),
                translate: optional(&library, c"sim_translate"),
                problem: optional(&library, c"sim_cuda_problem"),
                copies: std::env::var_os("MASKLET_SIM_NVINFER_STAGED")
                    .map(|_| Copies::load(&library))
                    .transpose()?,
                _library: library,
            }
        };
        let name = driver.device_name();
        if driver.copies.is_none() && !name.starts_with("Simulated") {
            return Err(format!(
                "'{name}' is not a simulated device, and this library is a stand-in for tests \
                 (MASKLET_SIM_NVINFER_STAGED=1 runs it there all the same)"
            ));
        }
        Ok(driver)
    }

    fn device(&self) -> c_int {
        let mut device = 0;
        let found = self.current.as_ref().is_some_and(|current| {
            // SAFETY: the driver writes one integer.
            unsafe { current(&raw mut device) == 0 }
        });
        if found { device } else { 0 }
    }

    fn device_name(&self) -> String {
        let mut text = [0 as c_char; 256];
        // SAFETY: the length is the array's, and the driver ends the text with NUL.
        unsafe {
            if (self.name)(text.as_mut_ptr(), 255, self.device()) == 0 {
                CStr::from_ptr(text.as_ptr()).to_string_lossy().into_owned()
            } else {
                String::new()
            }
        }
    }

    /// The current device as plans name it: its name and compute capability.
    pub fn identity(&self) -> String {
        let attribute = |which| {
            let mut value = 0;
            self.attribute.as_ref().map(|attribute| {
                // SAFETY: the driver writes one integer.
                unsafe { attribute(&raw mut value, which, self.device()) };
                value
            })
        };
        match (
            attribute(COMPUTE_CAPABILITY_MAJOR),
            attribute(COMPUTE_CAPABILITY_MINOR),
        ) {
            (Some(major), Some(minor)) => {
                format!("{}, compute {major}.{minor}", self.device_name())
            }
            _ => self.device_name(),
        }
    }

    /// Memory of the driver's own, 0 when it refuses.
    pub fn allocate(&self, bytes: u64) -> u64 {
        let (Some(allocate), Ok(bytes)) = (&self.allocate, usize::try_from(bytes)) else {
            return 0;
        };
        let mut address = 0;
        // SAFETY: the driver writes one address.
        let code = unsafe { allocate(&raw mut address, bytes) };
        if code == 0 { address } else { 0 }
    }

    /// Gives back what [`Self::allocate`] gave.
    pub fn free(&self, address: u64) {
        if let Some(free) = &self.free {
            // SAFETY: the driver checks the address.
            unsafe { free(address) };
        }
    }

    /// Waits for a stream.
    pub fn synchronize(&self, stream: *mut c_void) {
        if let Some(synchronize) = &self.synchronize {
            // SAFETY: the stream is the client's, who passed it for this use.
            unsafe { synchronize(stream) };
        }
    }

    /// Whether the stream records a graph instead of running its work.
    pub fn is_capturing(&self, stream: *mut c_void) -> bool {
        let mut status = 0;
        self.is_capturing.as_ref().is_some_and(|is_capturing| {
            // SAFETY: the driver writes one integer.
            unsafe { is_capturing(stream, &raw mut status) == 0 && status != 0 }
        })
    }

    /// Puts a function on a stream.
    ///
    /// # Errors
    /// The driver's code when it refuses.
    ///
    /// # Safety
    /// - `data` stays valid until the stream has run the function, and for as long as a graph that
    ///   captured it exists.
    pub unsafe fn launch(
        &self,
        stream: *mut c_void,
        function: HostFunction,
        data: *mut c_void,
    ) -> Result<(), Code> {
        // SAFETY: the caller keeps `data` alive.
        match unsafe { (self.launch_host_function)(stream, function, data) } {
            0 => Ok(()),
            code => Err(code),
        }
    }

    /// Notes in the driver's report that the client made a mistake.
    pub fn note_problem(&self, text: &str) {
        if let Some(problem) = &self.problem {
            let text = c_string(text);
            // SAFETY: the text ends with NUL.
            unsafe { problem(text.as_ptr()) };
        }
    }

    /// Whether device memory is copied, not looked at in place.
    pub fn is_staged(&self) -> bool {
        self.copies.is_some()
    }

    fn copies(&self) -> Result<&Copies, String> {
        self.copies
            .as_ref()
            .ok_or_else(|| "the driver's copies are not loaded".to_owned())
    }

    /// Page-locked memory.
    ///
    /// # Errors
    /// When the driver refuses.
    pub fn pinned(&self, bytes: u64) -> Result<Pinned, String> {
        let bytes = usize::try_from(bytes).map_err(|error| error.to_string())?;
        let mut start = std::ptr::null_mut();
        // SAFETY: the driver writes one address.
        let code = unsafe { (self.copies()?.host_allocate)(&raw mut start, bytes.max(1), 0) };
        done("cuMemHostAlloc", code)?;
        Ok(Pinned {
            start: AtomicPtr::new(start),
            bytes,
        })
    }

    /// Copies host bytes to the device and waits.
    ///
    /// # Errors
    /// When the driver refuses.
    pub fn write(&self, address: u64, from: &[u8]) -> Result<(), String> {
        // SAFETY: the driver reads the slice before it returns.
        done("cuMemcpyHtoD", unsafe {
            (self.copies()?.up)(address, from.as_ptr().cast(), from.len())
        })
    }

    /// Copies device bytes to the host and waits.
    ///
    /// # Errors
    /// When the driver refuses.
    pub fn read(&self, address: u64, to: &mut [u8]) -> Result<(), String> {
        // SAFETY: the driver writes the slice before it returns.
        done("cuMemcpyDtoH", unsafe {
            (self.copies()?.down)(to.as_mut_ptr().cast(), address, to.len())
        })
    }

    /// Puts a copy from the device on a stream.
    ///
    /// # Errors
    /// When the driver refuses.
    ///
    /// # Safety
    /// - `to` is page-locked memory of so many bytes that lives until the stream has run the copy.
    pub unsafe fn read_on(
        &self,
        stream: *mut c_void,
        address: u64,
        to: *mut u8,
        bytes: u64,
    ) -> Result<(), String> {
        // SAFETY: the caller's promise.
        done("cuMemcpyDtoHAsync", unsafe {
            (self.copies()?.down_on)(to.cast(), address, bytes as usize, stream)
        })
    }

    /// Puts a copy to the device on a stream.
    ///
    /// # Errors
    /// When the driver refuses.
    ///
    /// # Safety
    /// - `from` is page-locked memory of so many bytes that lives until the stream has run the copy.
    pub unsafe fn write_on(
        &self,
        stream: *mut c_void,
        address: u64,
        from: *const u8,
        bytes: u64,
    ) -> Result<(), String> {
        // SAFETY: the caller's promise.
        done("cuMemcpyHtoDAsync", unsafe {
            (self.copies()?.up_on)(address, from.cast(), bytes as usize, stream)
        })
    }

    /// Puts a fill of device memory on a stream.
    ///
    /// # Errors
    /// When the driver refuses.
    pub fn fill_on(
        &self,
        stream: *mut c_void,
        address: u64,
        byte: u8,
        bytes: u64,
    ) -> Result<(), String> {
        // SAFETY: the driver checks the address.
        done("cuMemsetD8Async", unsafe {
            (self.copies()?.fill_on)(address, byte, bytes as usize, stream)
        })
    }

    /// The host address of a range of device memory.
    ///
    /// # Errors
    /// When the driver does not know the range.
    pub fn host(&self, address: u64, bytes: u64) -> Result<*mut u8, String> {
        let unknown = || format!("the device has no {bytes} bytes at {address:#x}");
        if address == 0 {
            return Err(unknown());
        }
        let Some(translate) = &self.translate else {
            return Ok(address as *mut u8);
        };
        // SAFETY: the driver looks the range up and touches nothing.
        let host = unsafe { translate(address, bytes) }.cast::<u8>();
        if host.is_null() {
            Err(unknown())
        } else {
            Ok(host)
        }
    }
}

unsafe fn required<T>(library: &Library, name: &CStr) -> Result<Symbol<T>, String> {
    // SAFETY: the caller names the symbol's type.
    unsafe { library.get(name.to_bytes_with_nul()) }
        .map_err(|error| format!("the CUDA driver lacks {}: {error}", name.to_string_lossy()))
}

unsafe fn optional<T>(library: &Library, name: &CStr) -> Option<Symbol<T>> {
    // SAFETY: the caller names the symbol's type.
    unsafe { library.get(name.to_bytes_with_nul()) }.ok()
}
