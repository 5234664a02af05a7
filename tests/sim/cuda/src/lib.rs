//! A stand-in for NVIDIA's driver library, over host memory: `libcuda.so.1` for tests.
//!
//! In scope: every driver call that masklet makes and that TensorRT's stand-in makes, so strict that
//! mistakes show: bounds, leaks, double frees, stale addresses and handles are noted; memory is
//! poisoned when it is new; capacity and failures can be set ([`config`](self#how-it-behaves)); and
//! work on streams is deferred and shuffled, so that a missing wait gives a wrong result. The
//! project's kernels run as the compiled `vision.cu` itself. Out of scope: speed. Nothing that runs
//! on it is ever reported as a GPU's: its name begins with "Simulated".
//!
//! The library is this crate as a cdylib. As an ordinary dependency it offers [`support`], which
//! runs a test in a process of its own with the stand-in in its library path.
//!
//! # How it behaves
//! Environment variables and keys are listed in `src/config.rs`. Beside the driver's functions it
//! exports `sim_translate(address, bytes) -> host pointer`, `sim_cuda_set(key, value)`,
//! `sim_cuda_report(buffer, length)`, `sim_cuda_problem(text)`, `sim_cuda_allocations()` and
//! `sim_cuda_used()`.

mod api;
mod config;
mod driver;
mod kernels;
mod memory;
mod status;
pub mod support;
mod work;
