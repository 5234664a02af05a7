//! Model bundles, inference backends and planned device memory for masklet.
//!
//! In scope: reading a [`bundle`] and proving that its manifest and its graphs agree; one
//! [`backend`] trait with a folder per backend; [`memory`]: one slab, regions as scopes, and a plan
//! that is known before anything is allocated; [`tensorrt`]: the binding; [`engine`]: engines built,
//! cached and found. Out of scope: videos, prompts, scores, the tracker's own logic, printing.
//!
//! Feature `cpu` (on by default): the CPU runtime. The build script of `masklet` does without it.

pub mod backend;
pub mod bundle;
#[cfg(feature = "cpu")]
pub mod cpu;
pub mod engine;
pub mod memory;
pub mod tensor;
pub mod tensorrt;
