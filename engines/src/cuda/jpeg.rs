//! nvJPEG: JPEG files decoded by the GPU, into pinned host memory that the device sees.
//!
//! The library belongs to CUDA and is loaded when it is asked for. What it takes of memory goes through
//! the allocators here, so that it is counted like everything else; it keeps what it took until the
//! decoder goes. Interface and numbers: nvJPEG's documentation, "JPEG Decoding", CUDA 11 to 13.
//!
//! Not here: whether to use it, and decoding on the CPU.

use super::counter::{self, Kind};
use super::device::Device;
use super::error::CudaError;
use super::stream::Stream;
use cudarc::driver::sys::{self, CUresult};
use std::ffi::{CStr, c_int, c_uint, c_void};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Files that are looked for. Jetson's own `libnvjpeg.so` (without a number) is another library, with
/// libjpeg's interface.
const CANDIDATES: [&str; 3] = ["libnvjpeg.so.12", "libnvjpeg.so.13", "libnvjpeg.so.11"];
/// `NVJPEG_BACKEND_DEFAULT`.
const BACKEND: c_int = 0;
/// `NVJPEG_OUTPUT_RGBI`: red, green, blue, pixel by pixel.
const RGBI: c_int = 5;
/// Statuses that say something about the file, not about the device: `NVJPEG_STATUS_BAD_JPEG`,
/// `_JPEG_NOT_SUPPORTED`, `_IMPLEMENTATION_NOT_SUPPORTED`, `_INCOMPLETE_BITSTREAM`.
const OF_THE_FILE: [c_int; 4] = [3, 4, 9, 10];

/// Why nvJPEG cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JpegError {
    /// No library.
    #[error(
        "nvJPEG is not here: {} could not be loaded ({reason}); it belongs to CUDA (libnvjpeg), \
         or leave --jpeg-decoder away",
        CANDIDATES.join(", ")
    )]
    NotFound {
        /// The loader's words.
        reason: String,
    },
    /// Another library under the name.
    #[error("{library} is not nvJPEG: it has no {symbol}")]
    NotALibrary {
        /// The file.
        library: String,
        /// What is missing.
        symbol: &'static str,
    },
    /// A call failed.
    #[error("{call} failed: {}", status(*code))]
    Call {
        /// The function.
        call: &'static str,
        /// Its status.
        code: c_int,
    },
    /// The device does not see the target.
    #[error("nvJPEG writes to pinned memory that the device sees; this device sees none")]
    NotMapped,
    /// The device.
    #[error(transparent)]
    Cuda(#[from] CudaError),
}

fn status(code: c_int) -> String {
    let name = match code {
        1 => "not initialised",
        2 => "invalid parameter",
        3 => "bad JPEG",
        4 => "JPEG not supported",
        5 => "out of memory",
        6 => "execution failed",
        7 => "not for this GPU",
        8 => "internal error",
        9 => "not implemented",
        10 => "incomplete bitstream",
        _ => "unknown status",
    };
    format!("{name} ({code})")
}

fn done(call: &'static str, code: c_int) -> Result<(), JpegError> {
    match code {
        0 => Ok(()),
        code => Err(JpegError::Call { call, code }),
    }
}

/// `nvjpegDevAllocator_t`.
#[repr(C)]
struct DeviceAllocator {
    allocate: unsafe extern "C" fn(*mut *mut c_void, usize) -> c_int,
    free: unsafe extern "C" fn(*mut c_void) -> c_int,
}

/// `nvjpegPinnedAllocator_t`.
#[repr(C)]
struct PinnedAllocator {
    allocate: unsafe extern "C" fn(*mut *mut c_void, usize, c_uint) -> c_int,
    free: unsafe extern "C" fn(*mut c_void) -> c_int,
}

unsafe extern "C" fn take(pointer: *mut *mut c_void, bytes: usize) -> c_int {
    let mut address = 0;
    // SAFETY: writes one address; the caller's thread has the context.
    let code = unsafe { sys::cuMemAlloc_v2(&raw mut address, bytes) };
    if code == CUresult::CUDA_SUCCESS {
        counter::count(Kind::Device);
        // SAFETY: nvJPEG gives a pointer's address.
        unsafe { pointer.write(address as *mut c_void) };
    }
    code as c_int
}

unsafe extern "C" fn give_back(pointer: *mut c_void) -> c_int {
    // SAFETY: the driver gave it to `take`, and nvJPEG gives it back once.
    unsafe { sys::cuMemFree_v2(pointer as u64) as c_int }
}

unsafe extern "C" fn take_pinned(pointer: *mut *mut c_void, bytes: usize, flags: c_uint) -> c_int {
    // SAFETY: nvJPEG gives a pointer's address; the caller's thread has the context.
    let code = unsafe { sys::cuMemHostAlloc(pointer, bytes, flags) };
    if code == CUresult::CUDA_SUCCESS {
        counter::count(Kind::Pinned);
    }
    code as c_int
}

unsafe extern "C" fn give_back_pinned(pointer: *mut c_void) -> c_int {
    // SAFETY: the driver gave it to `take_pinned`, and nvJPEG gives it back once.
    unsafe { sys::cuMemFreeHost(pointer) as c_int }
}

/// `nvjpegImage_t`: addresses and row lengths of up to four planes.
#[repr(C)]
struct Image {
    channel: [u64; 4],
    pitch: [usize; 4],
}

/// The loaded library. It stays loaded.
#[derive(Clone, Copy)]
pub struct JpegLibrary {
    property: unsafe extern "C" fn(c_int, *mut c_int) -> c_int,
    create: unsafe extern "C" fn(
        c_int,
        *const DeviceAllocator,
        *const PinnedAllocator,
        c_uint,
        *mut *mut c_void,
    ) -> c_int,
    destroy: unsafe extern "C" fn(*mut c_void) -> c_int,
    state_create: unsafe extern "C" fn(*mut c_void, *mut *mut c_void) -> c_int,
    state_destroy: unsafe extern "C" fn(*mut c_void) -> c_int,
    info: unsafe extern "C" fn(
        *mut c_void,
        *const u8,
        usize,
        *mut c_int,
        *mut c_int,
        *mut c_int,
        *mut c_int,
    ) -> c_int,
    decode: unsafe extern "C" fn(
        *mut c_void,
        *mut c_void,
        *const u8,
        usize,
        c_int,
        *const Image,
        *mut c_void,
    ) -> c_int,
}

impl std::fmt::Debug for JpegLibrary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "nvJPEG {}", self.version())
    }
}

/// # Safety
/// - `T` is the function's type.
unsafe fn symbol<T: Copy>(
    library: &libloading::Library,
    file: &str,
    name: &'static CStr,
) -> Result<T, JpegError> {
    // SAFETY: the caller's promise.
    unsafe { library.get::<T>(name.to_bytes_with_nul()) }
        .map(|found| *found)
        .map_err(|_| JpegError::NotALibrary {
            library: file.to_owned(),
            symbol: name.to_str().unwrap_or("symbol"),
        })
}

impl JpegLibrary {
    /// Loads nvJPEG from `folder`, or where the dynamic loader looks.
    ///
    /// # Errors
    /// When there is none, or it is another library.
    pub fn load(folder: Option<&Path>) -> Result<Self, JpegError> {
        let mut reason = String::new();
        for name in CANDIDATES {
            let path = folder.map_or_else(|| name.into(), |folder| folder.join(name));
            // SAFETY: NVIDIA's library runs its initialisers; the user asked for it.
            match unsafe { libloading::Library::new(&path) } {
                // It keeps state of its own, and is never unloaded.
                Ok(library) => {
                    return Self::open(Box::leak(Box::new(library)), &path.display().to_string());
                }
                Err(error) if reason.is_empty() => reason = error.to_string(),
                Err(_) => {}
            }
        }
        Err(JpegError::NotFound { reason })
    }

    fn open(library: &'static libloading::Library, file: &str) -> Result<Self, JpegError> {
        // SAFETY: the signatures are those of nvjpeg.h, the same from CUDA 11 to 13.
        unsafe {
            Ok(Self {
                property: symbol(library, file, c"nvjpegGetProperty")?,
                create: symbol(library, file, c"nvjpegCreateEx")?,
                destroy: symbol(library, file, c"nvjpegDestroy")?,
                state_create: symbol(library, file, c"nvjpegJpegStateCreate")?,
                state_destroy: symbol(library, file, c"nvjpegJpegStateDestroy")?,
                info: symbol(library, file, c"nvjpegGetImageInfo")?,
                decode: symbol(library, file, c"nvjpegDecode")?,
            })
        }
    }

    /// The library's version: "12.3.1".
    pub fn version(&self) -> String {
        let part = |which| {
            let mut value = 0;
            // SAFETY: writes one integer; `libraryPropertyType` counts from 0.
            unsafe { (self.property)(which, &raw mut value) };
            value.to_string()
        };
        [0, 1, 2].map(part).join(".")
    }
}

/// What one file needs while it is decoded.
struct Lane {
    state: *mut c_void,
    stream: Stream,
}

// SAFETY: nvJPEG's states may be used from any thread, one at a time.
unsafe impl Send for Lane {}

/// Decodes JPEG files into one block of pinned memory, several at once.
pub struct JpegDecoder {
    library: JpegLibrary,
    handle: *mut c_void,
    lanes: Mutex<Vec<Lane>>,
    host: usize,
    bytes: usize,
    device: u64,
    opened: Arc<Device>,
}

// SAFETY: nvJPEG's handle is thread-safe, lanes are behind a lock, the block is only an address.
unsafe impl Send for JpegDecoder {}
// SAFETY: as above.
unsafe impl Sync for JpegDecoder {}

impl std::fmt::Debug for JpegDecoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JpegDecoder")
            .field("library", &self.library)
            .finish_non_exhaustive()
    }
}

impl JpegDecoder {
    /// A decoder for `lanes` files at once, whose pixels go to the pinned block at `host` (`bytes` long),
    /// which the device finds at `address`.
    ///
    /// # Errors
    /// When nvJPEG refuses the device or memory is short.
    pub fn new(
        device: &Arc<Device>,
        library: JpegLibrary,
        lanes: usize,
        (host, bytes, address): (usize, usize, u64),
    ) -> Result<Self, JpegError> {
        device.bind()?;
        let on_device = DeviceAllocator {
            allocate: take,
            free: give_back,
        };
        let pinned = PinnedAllocator {
            allocate: take_pinned,
            free: give_back_pinned,
        };
        let mut handle = std::ptr::null_mut();
        // SAFETY: reads two structures of functions, writes one handle; a context is current.
        done("nvjpegCreateEx", unsafe {
            (library.create)(
                BACKEND,
                &raw const on_device,
                &raw const pinned,
                0,
                &raw mut handle,
            )
        })?;
        let decoder = Self {
            library,
            handle,
            lanes: Mutex::default(),
            host,
            bytes,
            device: address,
            opened: Arc::clone(device),
        };
        for _ in 0..lanes.max(1) {
            let lane = decoder.lane()?;
            decoder.put(lane);
        }
        Ok(decoder)
    }

    /// The library.
    pub fn library(&self) -> &JpegLibrary {
        &self.library
    }

    fn lane(&self) -> Result<Lane, JpegError> {
        let stream = Stream::new(&self.opened)?;
        let mut state = std::ptr::null_mut();
        // SAFETY: the handle is live; writes one state.
        done("nvjpegJpegStateCreate", unsafe {
            (self.library.state_create)(self.handle, &raw mut state)
        })?;
        Ok(Lane { state, stream })
    }

    fn take(&self) -> Option<Lane> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.pop()
    }

    fn put(&self, lane: Lane) {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.push(lane);
    }

    /// Decodes a file of `height` x `width` pixels into `rgb`, bytes of the block, and waits for it.
    /// False, and nothing of use in `rgb`, where nvJPEG leaves the file to another decoder: it has another
    /// size or not three components, is damaged, or of a kind that nvJPEG does not know.
    ///
    /// # Errors
    /// When `rgb` is not in the block, or the device fails.
    pub fn decode(
        &self,
        jpeg: &[u8],
        (height, width): (usize, usize),
        rgb: &mut [u8],
    ) -> Result<bool, JpegError> {
        let lane = match self.take() {
            Some(lane) => lane,
            None => {
                self.opened.bind()?;
                self.lane()?
            }
        };
        let outcome = self.on_lane(&lane, jpeg, (height, width), rgb);
        self.put(lane);
        outcome
    }

    /// Decodes a file once on every lane, so that each has its memory.
    ///
    /// # Errors
    /// As [`JpegDecoder::decode`].
    pub fn warm_up(
        &self,
        jpeg: &[u8],
        size: (usize, usize),
        rgb: &mut [u8],
    ) -> Result<(), JpegError> {
        let lanes = {
            let mut held = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *held)
        };
        let mut outcome = Ok(());
        for lane in lanes {
            if outcome.is_ok() {
                outcome = self.on_lane(&lane, jpeg, size, rgb).map(|_| ());
            }
            self.put(lane);
        }
        outcome
    }

    fn on_lane(
        &self,
        lane: &Lane,
        jpeg: &[u8],
        (height, width): (usize, usize),
        rgb: &mut [u8],
    ) -> Result<bool, JpegError> {
        let offset = (rgb.as_ptr() as usize).checked_sub(self.host);
        let inside = offset.filter(|offset| offset + rgb.len() <= self.bytes);
        let (Some(offset), true) = (inside, rgb.len() == 3 * height * width) else {
            return Err(JpegError::NotMapped);
        };
        self.opened.bind()?;
        let (mut components, mut subsampling) = (0, 0);
        let (mut widths, mut heights) = ([0; 4], [0; 4]);
        // SAFETY: the handle is live; reads the file, writes two integers and twice four.
        let code = unsafe {
            (self.library.info)(
                self.handle,
                jpeg.as_ptr(),
                jpeg.len(),
                &raw mut components,
                &raw mut subsampling,
                widths.as_mut_ptr(),
                heights.as_mut_ptr(),
            )
        };
        if OF_THE_FILE.contains(&code) {
            return Ok(false);
        }
        done("nvjpegGetImageInfo", code)?;
        let size = (usize::try_from(heights[0]), usize::try_from(widths[0]));
        if components != 3 || size != (Ok(height), Ok(width)) {
            return Ok(false);
        }
        let image = Image {
            channel: [self.device + offset as u64, 0, 0, 0],
            pitch: [3 * width, 0, 0, 0],
        };
        // SAFETY: handle, state and stream are live and this call's alone; the target holds the image and
        // is not touched before the stream is synchronised below.
        let code = unsafe {
            (self.library.decode)(
                self.handle,
                lane.state,
                jpeg.as_ptr(),
                jpeg.len(),
                RGBI,
                &raw const image,
                lane.stream.raw(),
            )
        };
        lane.stream.synchronize()?;
        if OF_THE_FILE.contains(&code) {
            return Ok(false);
        }
        done("nvjpegDecode", code).map(|()| true)
    }
}

impl Drop for JpegDecoder {
    fn drop(&mut self) {
        self.opened.record_err(self.opened.bind());
        let lanes = self.lanes.get_mut().unwrap_or_else(PoisonError::into_inner);
        for lane in lanes.drain(..) {
            // SAFETY: every decode waited for its stream; a state goes once.
            unsafe { (self.library.state_destroy)(lane.state) };
        }
        // SAFETY: the last state is gone; the handle goes once.
        unsafe { (self.library.destroy)(self.handle) };
    }
}
