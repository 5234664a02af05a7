//! TensorRT's C entry points. They stand in Rust because a Rust library exports its own C functions
//! only; each hands over to the C++ half.

use crate::ffi::masklet_sim_version;
use std::ffi::{c_char, c_void};

unsafe extern "C" {
    fn masklet_sim_create_builder(logger: *mut c_void, version: i32) -> *mut c_void;
    fn masklet_sim_create_runtime(logger: *mut c_void, version: i32) -> *mut c_void;
    fn masklet_sim_create_parser(
        network: *mut c_void,
        logger: *mut c_void,
        version: i32,
    ) -> *mut c_void;
    fn masklet_sim_parser_version() -> i32;
    fn masklet_sim_logger() -> *mut c_void;
    fn masklet_sim_plugin_registry() -> *mut c_void;
    fn masklet_sim_refuse(logger: *mut c_void, function: *const c_char);
}

/// Says that this is a stand-in: clients look for the symbol.
#[unsafe(no_mangle)]
pub extern "C" fn masklet_stand_in() -> i32 {
    1
}

/// Major, minor and patch of the version, as `10000 * major + 100 * minor + patch`.
#[unsafe(no_mangle)]
pub extern "C" fn getInferLibVersion() -> i32 {
    masklet_sim_version()
}

/// The version's major part.
#[unsafe(no_mangle)]
pub extern "C" fn getInferLibMajorVersion() -> i32 {
    masklet_sim_version() / 10_000
}

/// The version's minor part.
#[unsafe(no_mangle)]
pub extern "C" fn getInferLibMinorVersion() -> i32 {
    masklet_sim_version() / 100 % 100
}

/// The version's patch.
#[unsafe(no_mangle)]
pub extern "C" fn getInferLibPatchVersion() -> i32 {
    masklet_sim_version() % 100
}

/// The build number, of which the stand-in has none.
#[unsafe(no_mangle)]
pub extern "C" fn getInferLibBuildVersion() -> i32 {
    0
}

/// An `IBuilder`, null when the client was compiled against another major version.
///
/// # Safety
/// - `logger` is null or an `ILogger` that outlives the builder and all it makes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn createInferBuilder_INTERNAL(
    logger: *mut c_void,
    version: i32,
) -> *mut c_void {
    // SAFETY: the caller's promise.
    unsafe { masklet_sim_create_builder(logger, version) }
}

/// An `IRuntime`, null when there is no simulated device or the major version is another.
///
/// # Safety
/// - `logger` is null or an `ILogger` that outlives the runtime and all it makes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn createInferRuntime_INTERNAL(
    logger: *mut c_void,
    version: i32,
) -> *mut c_void {
    // SAFETY: the caller's promise.
    unsafe { masklet_sim_create_runtime(logger, version) }
}

/// Always null: the stand-in cannot refit engines.
///
/// # Safety
/// - `logger` is null or an `ILogger`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn createInferRefitter_INTERNAL(
    _engine: *mut c_void,
    logger: *mut c_void,
    _version: i32,
) -> *mut c_void {
    // SAFETY: the caller's promise.
    unsafe { masklet_sim_refuse(logger, c"createInferRefitter".as_ptr()) };
    std::ptr::null_mut()
}

/// An `nvonnxparser::IParser` that fills `network`.
///
/// # Safety
/// - `network` is an `INetworkDefinition` of this library that outlives the parser.
/// - `logger` is null or an `ILogger` that outlives the parser.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn createNvOnnxParser_INTERNAL(
    network: *mut c_void,
    logger: *mut c_void,
    version: i32,
) -> *mut c_void {
    // SAFETY: the caller's promise.
    unsafe { masklet_sim_create_parser(network, logger, version) }
}

/// The parser's interface version.
#[unsafe(no_mangle)]
pub extern "C" fn getNvOnnxParserVersion() -> i32 {
    // SAFETY: it returns a constant.
    unsafe { masklet_sim_parser_version() }
}

/// The logger that was last given to a builder or runtime.
#[unsafe(no_mangle)]
pub extern "C" fn getLogger() -> *mut c_void {
    // SAFETY: it reads one pointer.
    unsafe { masklet_sim_logger() }
}

/// A plugin registry that refuses everything.
#[unsafe(no_mangle)]
pub extern "C" fn getPluginRegistry() -> *mut c_void {
    // SAFETY: it returns the address of a static object.
    unsafe { masklet_sim_plugin_registry() }
}
