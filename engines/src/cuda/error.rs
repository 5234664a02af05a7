//! What can go wrong with a device, in sentences.

use super::device::DeviceMemory;
use cudarc::driver::sys::CUresult;

/// A result code of the driver other than success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DriverFault(pub(super) CUresult);

impl DriverFault {
    /// The driver's number of the fault (`CUresult` in `cuda.h`).
    pub fn code(self) -> u32 {
        self.0 as u32
    }

    /// What a user can do about it, where that is known.
    fn advice(self) -> Option<&'static str> {
        Some(match self.0 {
            CUresult::CUDA_ERROR_NO_DEVICE => {
                "no GPU is visible: check the driver (nvidia-smi; on a Jetson tegrastats), \
                 CUDA_VISIBLE_DEVICES, and that a container was started with GPU access"
            }
            CUresult::CUDA_ERROR_SYSTEM_DRIVER_MISMATCH
            | CUresult::CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE => {
                "libcuda and the kernel module are of different versions: reboot, or install \
                 matching ones"
            }
            CUresult::CUDA_ERROR_UNSUPPORTED_PTX_VERSION => {
                "the kernels need a driver of CUDA 12.2 or newer: update it"
            }
            CUresult::CUDA_ERROR_NO_BINARY_FOR_GPU => {
                "the kernels need a GPU of compute capability 7.5 or newer"
            }
            CUresult::CUDA_ERROR_JIT_COMPILER_NOT_FOUND => {
                "libnvidia-ptxjitcompiler.so.1 is missing: it belongs to the driver"
            }
            CUresult::CUDA_ERROR_ILLEGAL_ADDRESS
            | CUresult::CUDA_ERROR_LAUNCH_FAILED
            | CUresult::CUDA_ERROR_MISALIGNED_ADDRESS => {
                "work on the device touched memory it must not; the device is unusable until the \
                 process ends"
            }
            _ => return None,
        })
    }
}

impl std::fmt::Display for DriverFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} ({})", self.0, self.code())?;
        match self.advice() {
            Some(advice) => write!(f, "; {advice}"),
            None => Ok(()),
        }
    }
}

/// Why something with the device failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CudaError {
    /// There is no driver library.
    #[error(
        "no CUDA: libcuda.so.1 is not on this machine or not in the library path; it comes with \
         NVIDIA's driver (on a Jetson with nvidia-l4t-cuda)"
    )]
    NoLibrary,
    /// The driver library is too old or not one.
    #[error(
        "libcuda lacks {symbol}: the driver is too old (CUDA 12.2 or newer is needed) or another \
         library stands under its name"
    )]
    MissingSymbol {
        /// The first symbol that was not found.
        symbol: &'static str,
    },
    /// The driver does not start.
    #[error("CUDA does not start: {fault}")]
    Start {
        /// What `cuInit` said.
        fault: DriverFault,
    },
    /// The driver starts but knows no device.
    #[error(
        "CUDA starts but sees no device; check CUDA_VISIBLE_DEVICES and the container's access"
    )]
    NoDevice,
    /// A device number that does not exist.
    #[error("there is no CUDA device {ordinal}: this machine has {count}, numbered from 0")]
    Ordinal {
        /// The number asked for.
        ordinal: usize,
        /// Devices there are.
        count: usize,
    },
    /// The device gives this process nothing to work in.
    #[error(
        "CUDA device {ordinal} gives no context: {fault}; another program holds the device's memory \
         (nvidia-smi or `masklet doctor` names it): end it, or choose another device with --device"
    )]
    NoContext {
        /// The device.
        ordinal: usize,
        /// What the driver said.
        fault: DriverFault,
    },
    /// Every way of taking a block of device memory was refused.
    #[error(
        "out of device memory: {purpose} needs one block of {bytes} bytes, the device reports \
         {} free of {}{}. Plain allocation: {plain}. Mapped chunks: {chunks}. {}",
        memory.free_bytes,
        memory.total_bytes,
        system_available(*available_bytes),
        out_of_memory_advice(*bytes, memory, *available_bytes)
    )]
    OutOfMemory {
        /// What the block is for.
        purpose: &'static str,
        /// Size asked for.
        bytes: u64,
        /// What the driver said was free and in all, at that moment.
        memory: DeviceMemory,
        /// MemAvailable of an integrated device, whose memory is the system's.
        available_bytes: Option<u64>,
        /// How the plain allocation was refused, or that it was not tried.
        plain: String,
        /// How the allocation in chunks was refused, or why it was not tried.
        chunks: String,
    },
    /// Pinned host memory was refused.
    #[error(
        "{purpose} needs {bytes} bytes of pinned host memory, which the driver refused: {fault}; \
         free memory, or lower what is decoded ahead"
    )]
    Pinned {
        /// What the block is for.
        purpose: &'static str,
        /// Size asked for.
        bytes: u64,
        /// What the driver said.
        fault: DriverFault,
    },
    /// A request of no bytes.
    #[error("{purpose} asks for a block of 0 bytes")]
    Empty {
        /// What the block would be for.
        purpose: &'static str,
    },
    /// Two objects of different devices were used together.
    #[error("{what} belongs to another device than the stream")]
    OtherDevice {
        /// The object.
        what: &'static str,
    },
    /// A time was asked of an event that keeps none.
    #[error("an event made without timing has no time")]
    NoTiming,
    /// Sizes that a kernel cannot work on.
    #[error("{kernel}: {reason}")]
    Shape {
        /// The kernel.
        kernel: &'static str,
        /// What is wrong with which value.
        reason: String,
    },
    /// Any other call.
    #[error("{call} failed: {fault}")]
    Call {
        /// The driver's function.
        call: &'static str,
        /// What it said.
        fault: DriverFault,
    },
}

fn system_available(bytes: Option<u64>) -> String {
    bytes.map_or_else(String::new, |bytes| {
        format!(" and the system {bytes} available")
    })
}

/// Memory is there and yet refused: the cause to name is another one than when it is not there.
fn out_of_memory_advice(bytes: u64, memory: &DeviceMemory, available: Option<u64>) -> &'static str {
    let there = memory.free_bytes.max(available.unwrap_or(0));
    match (available, bytes <= there) {
        (Some(_), true) => {
            "The memory is there but the driver refuses it. On L4T 36.4.7 and later NvMap refuses \
             large blocks (NvMapMemAllocInternalTagged, error 12, since the fix of \
             CVE-2025-33177), and its memory fragments until a reboot: reboot and start this \
             first, or lower the demand (`masklet plan` shows it)"
        }
        (None, true) => {
            "The memory is there but not as one block: end other programs on the device, or lower \
             the demand (`masklet plan` shows it)"
        }
        (_, false) => {
            "Lower the demand (`masklet plan` shows it: fewer objects at once, a smaller model or \
             image size), or end other programs that hold memory"
        }
    }
}
