//! A stand-in for TensorRT 10's `libnvinfer.so.10` and `libnvonnxparser.so.10`, for tests only.
//!
//! **This is not TensorRT.** It is compiled from NVIDIA's public headers, so that a client which
//! loads it calls the same functions through the same tables, and it runs the graph on the CPU with
//! the `rten` runtime. Its times, its sizes and its choice of what to allocate mean nothing and must
//! never be reported as a device's. It refuses to run on anything but a simulated device.
//!
//! What it is for: the whole path of a client, from parsing through build, plan, deserialisation,
//! memory handed out by the client's allocator, user-managed scratch memory and asynchronous
//! enqueue, on a machine without a GPU, with the client's mistakes made visible:
//!
//! - Work is enqueued on the CUDA stream with `cuLaunchHostFunc` and reads its inputs only when the
//!   stream runs it. Addresses are those bound at the call.
//! - Every run writes over the whole scratch block, and checks that the weights and the persistent
//!   block still hold what was written there. When they do not, or tensors overlap, the outputs are
//!   filled with NaN and an error is logged.
//! - Plans carry version, device and checksum, and are refused as TensorRT refuses them.
//! - Functions it lacks log an error and fail.
//!
//! One file serves as both libraries: link it under both names. Where TensorRT's headers are
//! missing the library is built without entry points, and the build says so.
//!
//! Environment: `MASKLET_SIM_NVINFER_VERSION` (such as `100300`) makes it claim another version;
//! `MASKLET_SIM_NVINFER_STAGED` as above (a simulated device works too).

pub mod driver;
pub mod engine;
pub mod graph;
pub mod pattern;
pub mod plan;
pub mod support;

#[cfg(tensorrt_headers)]
mod entry;
#[cfg(tensorrt_headers)]
mod ffi;

/// The folder of the TensorRT headers the library was compiled from, `None` when it was built
/// empty.
pub const HEADERS: Option<&str> = option_env!("SIM_TENSORRT_HEADERS");
