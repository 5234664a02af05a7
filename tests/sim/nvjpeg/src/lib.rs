//! A stand-in for NVIDIA's `libnvjpeg.so.12` on the simulated device, for tests only.
//!
//! In scope: the calls that masklet makes, with the library's contract: the file is read before
//! `nvjpegDecode` returns, the pixels come when the stream gets there, scratch memory is the client's
//! allocators' and kept until the state goes. The pixels are libjpeg-turbo's, so that masks must be
//! those of the CPU decoder. Out of scope: speed, batches, other output formats than RGBI.
//!
//! Environment: `MASKLET_SIM_NVJPEG_LOG` names a file to which every decoded picture adds a line.

use libjpeg_turbo_rs::{Decoder, PixelFormat};
use libloading::os::unix::{Library, RTLD_NOW, Symbol};
use std::ffi::{c_int, c_uint, c_void};
use std::sync::OnceLock;

pub mod support;

const SUCCESS: c_int = 0;
const INVALID_PARAMETER: c_int = 2;
const BAD_JPEG: c_int = 3;
const ALLOCATOR_FAILURE: c_int = 5;
const EXECUTION_FAILED: c_int = 6;
const RGBI: c_int = 5;

type HostFunction = unsafe extern "C" fn(*mut c_void);

struct Driver {
    launch: Symbol<unsafe extern "C" fn(*mut c_void, HostFunction, *mut c_void) -> c_int>,
    translate: Symbol<unsafe extern "C" fn(u64, u64) -> *mut c_void>,
    _library: Library,
}

// SAFETY: the driver's functions may be called from any thread.
unsafe impl Send for Driver {}
// SAFETY: as above.
unsafe impl Sync for Driver {}

fn driver() -> Option<&'static Driver> {
    static DRIVER: OnceLock<Option<Driver>> = OnceLock::new();
    // SAFETY: the signatures are those of cuda.h and of the simulated driver.
    let load = || unsafe {
        let library = Library::open(Some("libcuda.so.1"), RTLD_NOW).ok()?;
        Some(Driver {
            launch: library.get(b"cuLaunchHostFunc\0").ok()?,
            translate: library.get(b"sim_translate\0").ok()?,
            _library: library,
        })
    };
    DRIVER.get_or_init(load).as_ref()
}

/// `nvjpegDevAllocator_t`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct DeviceAllocator {
    allocate: unsafe extern "C" fn(*mut *mut c_void, usize) -> c_int,
    free: unsafe extern "C" fn(*mut c_void) -> c_int,
}

struct Handle {
    allocator: DeviceAllocator,
}

struct State {
    allocator: DeviceAllocator,
    scratch: *mut c_void,
    bytes: usize,
}

/// `nvjpegImage_t`.
#[repr(C)]
pub struct Image {
    channel: [u64; 4],
    pitch: [usize; 4],
}

/// The version, 12.3.1.
#[unsafe(no_mangle)]
extern "C" fn nvjpegGetProperty(which: c_int, value: *mut c_int) -> c_int {
    let Some(&part) = usize::try_from(which).ok().and_then(|i| [12, 3, 1].get(i)) else {
        return INVALID_PARAMETER;
    };
    // SAFETY: the client gives an integer's address.
    unsafe { value.write(part) };
    SUCCESS
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvjpegCreateEx(
    _backend: c_int,
    device: *const DeviceAllocator,
    _pinned: *const c_void,
    _flags: c_uint,
    handle: *mut *mut c_void,
) -> c_int {
    if device.is_null() || driver().is_none() {
        return INVALID_PARAMETER;
    }
    // SAFETY: the client gives an allocator and a handle's address.
    unsafe {
        let allocator = *device;
        handle.write(Box::into_raw(Box::new(Handle { allocator })).cast());
    }
    SUCCESS
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvjpegDestroy(handle: *mut c_void) -> c_int {
    // SAFETY: the client gives back what it was given, once.
    drop(unsafe { Box::from_raw(handle.cast::<Handle>()) });
    SUCCESS
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvjpegJpegStateCreate(handle: *mut c_void, state: *mut *mut c_void) -> c_int {
    // SAFETY: the client gives a live handle and a state's address.
    unsafe {
        let made = State {
            allocator: (*handle.cast::<Handle>()).allocator,
            scratch: std::ptr::null_mut(),
            bytes: 0,
        };
        state.write(Box::into_raw(Box::new(made)).cast());
    }
    SUCCESS
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvjpegJpegStateDestroy(state: *mut c_void) -> c_int {
    // SAFETY: the client gives back what it was given, once.
    let state = unsafe { Box::from_raw(state.cast::<State>()) };
    if !state.scratch.is_null() {
        // SAFETY: the allocator gave it.
        unsafe { (state.allocator.free)(state.scratch) };
    }
    SUCCESS
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvjpegGetImageInfo(
    _handle: *mut c_void,
    data: *const u8,
    length: usize,
    components: *mut c_int,
    subsampling: *mut c_int,
    widths: *mut c_int,
    heights: *mut c_int,
) -> c_int {
    // SAFETY: the client gives a file and the addresses of what is asked for, four extents each.
    unsafe {
        let Ok(decoder) = Decoder::new(std::slice::from_raw_parts(data, length)) else {
            return BAD_JPEG;
        };
        let header = decoder.header();
        components.write(c_int::try_from(header.components.len()).unwrap_or(0));
        subsampling.write(0);
        widths.write(c_int::from(header.width));
        heights.write(c_int::from(header.height));
    }
    SUCCESS
}

/// Says what was decoded, for a test that must know who did it.
fn log(width: usize, height: usize) {
    use std::io::Write;
    let Some(path) = std::env::var_os("MASKLET_SIM_NVJPEG_LOG") else {
        return;
    };
    let file = std::fs::File::options()
        .append(true)
        .create(true)
        .open(path);
    let line = format!("{width}x{height}\n");
    if let Err(error) = file.and_then(|mut file| file.write_all(line.as_bytes())) {
        eprintln!("MASKLET_SIM_NVJPEG_LOG: {error}");
    }
}

struct Late {
    pixels: Vec<u8>,
    target: u64,
}

unsafe extern "C" fn arrive(data: *mut c_void) {
    // SAFETY: `nvjpegDecode` made it, and the stream runs its functions once.
    let late = unsafe { Box::from_raw(data.cast::<Late>()) };
    let Some(driver) = driver() else { return };
    let bytes = late.pixels.len();
    // SAFETY: the driver looks the range up; it is the client's until the stream got here.
    unsafe {
        let to = (driver.translate)(late.target, bytes as u64).cast::<u8>();
        if !to.is_null() {
            to.copy_from_nonoverlapping(late.pixels.as_ptr(), bytes);
        }
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvjpegDecode(
    _handle: *mut c_void,
    state: *mut c_void,
    data: *const u8,
    length: usize,
    format: c_int,
    image: *const Image,
    stream: *mut c_void,
) -> c_int {
    // SAFETY: the client gives a live state, a file and a description of the target.
    let (state, data, image) = unsafe {
        (
            &mut *state.cast::<State>(),
            std::slice::from_raw_parts(data, length),
            &*image,
        )
    };
    let Ok(mut decoder) = Decoder::new(data) else {
        return BAD_JPEG;
    };
    let header = decoder.header();
    let (width, height) = (usize::from(header.width), usize::from(header.height));
    if format != RGBI || image.pitch[0] != 3 * width {
        return INVALID_PARAMETER;
    }
    let bytes = 3 * width * height;
    if bytes > state.bytes {
        // SAFETY: the client's allocator; what it gave before is given back.
        unsafe {
            if !state.scratch.is_null() {
                (state.allocator.free)(state.scratch);
            }
            state.scratch = std::ptr::null_mut();
            if (state.allocator.allocate)(&raw mut state.scratch, bytes) != 0 {
                state.bytes = 0;
                return ALLOCATOR_FAILURE;
            }
        }
        state.bytes = bytes;
    }
    let mut pixels = vec![0; bytes];
    decoder.set_output_format(PixelFormat::Rgb);
    if decoder.decode_image_into(&mut pixels).is_err() {
        return BAD_JPEG;
    }
    let Some(driver) = driver() else {
        return EXECUTION_FAILED;
    };
    log(width, height);
    let target = image.channel[0];
    let late = Box::into_raw(Box::new(Late { pixels, target }));
    // SAFETY: the box lives until the stream runs the function.
    match unsafe { (driver.launch)(stream, arrive, late.cast()) } {
        0 => SUCCESS,
        _ => {
            // SAFETY: the driver did not take it.
            drop(unsafe { Box::from_raw(late) });
            EXECUTION_FAILED
        }
    }
}
