//! Tests on stand-ins for the CUDA driver, TensorRT and nvJPEG, in one binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod build_script;
mod device_kernels;
mod gpu_check;
mod provisioning;
mod simulated;
