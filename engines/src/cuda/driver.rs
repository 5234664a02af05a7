//! The driver library itself: is it there, is it whole, does it start.

use super::error::{CudaError, DriverFault};
use cudarc::driver::sys::{self, CUresult};
use std::sync::OnceLock;

/// Every symbol this crate calls, by the name cudarc loads it under. A call that is not listed here
/// would panic on a library without it.
const SYMBOLS: &[&str] = &[
    "cuCtxGetCurrent",
    "cuCtxSetCurrent",
    "cuCtxSynchronize",
    "cuDeviceGet",
    "cuDeviceGetAttribute",
    "cuDeviceGetCount",
    "cuDeviceGetName",
    "cuDevicePrimaryCtxRelease_v2",
    "cuDevicePrimaryCtxRetain",
    "cuDeviceTotalMem_v2",
    "cuDriverGetVersion",
    "cuEventCreate",
    "cuEventDestroy_v2",
    "cuEventElapsedTime",
    "cuEventQuery",
    "cuEventRecord",
    "cuEventSynchronize",
    "cuGraphDestroy",
    "cuGraphExecDestroy",
    "cuGraphInstantiateWithFlags",
    "cuGraphLaunch",
    "cuGraphUpload",
    "cuInit",
    "cuLaunchKernel",
    "cuMemAddressFree",
    "cuMemAddressReserve",
    "cuMemAlloc_v2",
    "cuMemCreate",
    "cuMemFreeHost",
    "cuMemFree_v2",
    "cuMemGetAllocationGranularity",
    "cuMemGetInfo_v2",
    "cuMemHostAlloc",
    "cuMemHostGetDevicePointer_v2",
    "cuMemMap",
    "cuMemRelease",
    "cuMemSetAccess",
    "cuMemUnmap",
    "cuMemcpyDtoDAsync_v2",
    "cuMemcpyDtoHAsync_v2",
    "cuMemcpyHtoDAsync_v2",
    "cuMemsetD8Async",
    "cuModuleGetFunction",
    "cuModuleLoadData",
    "cuModuleUnload",
    "cuStreamBeginCapture_v2",
    "cuStreamCreate",
    "cuStreamDestroy_v2",
    "cuStreamEndCapture",
    "cuStreamQuery",
    "cuStreamSynchronize",
    "cuStreamWaitEvent",
];

/// Whether this process can use a CUDA device; the answer is found once and kept.
///
/// # Errors
/// A sentence that says what is missing (library, symbol, device, permission) and what to do.
pub fn availability() -> Result<(), CudaError> {
    static ANSWER: OnceLock<Result<(), CudaError>> = OnceLock::new();
    ANSWER.get_or_init(start).clone()
}

fn start() -> Result<(), CudaError> {
    // SAFETY: opens the library by its ordinary names, which runs its initialisers: what any CUDA
    // program does at its start.
    if !unsafe { sys::is_culib_present() } {
        return Err(CudaError::NoLibrary);
    }
    // SAFETY: the library can be opened, as was just seen. It stays open until the process ends.
    let library = unsafe { sys::culib() };
    for &symbol in SYMBOLS {
        // SAFETY: the address is not used, only asked for.
        if unsafe { library.get::<*const ()>(symbol.as_bytes()) }.is_err() {
            return Err(CudaError::MissingSymbol { symbol });
        }
    }
    // SAFETY: the symbol is there; flags must be 0.
    let code = unsafe { sys::cuInit(0) };
    if code != CUresult::CUDA_SUCCESS {
        return Err(CudaError::Start {
            fault: DriverFault(code),
        });
    }
    let mut devices = 0;
    // SAFETY: writes one integer.
    check("cuDeviceGetCount", unsafe {
        sys::cuDeviceGetCount(&raw mut devices)
    })?;
    if devices < 1 {
        return Err(CudaError::NoDevice);
    }
    Ok(())
}

/// A driver call's result as an error that names the call.
pub(super) fn check(call: &'static str, code: CUresult) -> Result<(), CudaError> {
    match code {
        CUresult::CUDA_SUCCESS => Ok(()),
        code => Err(CudaError::Call {
            call,
            fault: DriverFault(code),
        }),
    }
}

/// As [`check`], for a question that may be answered "not yet".
pub(super) fn done(call: &'static str, code: CUresult) -> Result<bool, CudaError> {
    match code {
        CUresult::CUDA_ERROR_NOT_READY => Ok(false),
        code => check(call, code).map(|()| true),
    }
}
