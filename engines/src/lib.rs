//! Model bundles, inference backends and planned device memory for masklet.
//!
//! In scope: reading a [`bundle`] and proving that its manifest and its graphs agree; one
//! [`backend`] trait with a folder per backend; [`cuda`]: the device through its driver; [`memory`]: one slab, regions as scopes, and a plan
//! that is known before anything is allocated. Out of scope: videos, prompts, scores, the tracker's
//! own logic, printing.

pub mod backend;
pub mod bundle;
#[cfg(feature = "cpu")]
pub mod cpu;
pub mod cuda;
pub mod memory;
pub mod tensor;
pub mod tensorrt;
