//! Model bundles, inference backends and planned device memory for masklet.
//!
//! In scope: reading a [`bundle`] and proving that its manifest and its graphs agree; one
//! [`backend`] trait with a folder per backend; [`memory`]: one slab, regions as scopes, and a plan
//! that is known before anything is allocated; [`cuda`]: the device behind a slab; [`tensorrt`]: the
//! binding and, in [`tensorrt_backend`], what runs components with it; [`engine`]: engines built,
//! cached and found. Out of scope: videos, prompts, scores, the tracker's own logic, printing.
//!
//! Feature `cpu` (on by default): the CPU runtime. The build script of `masklet` does without it.

pub mod backend;
pub mod bundle;
#[cfg(feature = "cpu")]
pub mod cpu;
pub mod cuda;
pub mod engine;
pub mod memory;
pub mod tensor;
pub mod tensorrt;
pub mod tensorrt_backend;
