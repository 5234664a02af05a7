//! Model bundles, devices, runtimes and planned device memory for masklet.
//!
//! In scope: reading a [`bundle`] and proving that its manifest and its graphs agree; a [`device`]
//! (memory, copies, the ends of the pipeline) and a [`runtime`] (what executes components on it),
//! one trait and one folder per kind each, put together as a [`backend`]; [`memory`]: one slab,
//! regions as scopes, and a plan that is known before anything is allocated; [`cuda`]: the driver
//! behind a CUDA device; [`tensorrt`]: the binding; [`engine`]: engines built, cached and found.
//! Out of scope: videos, prompts, scores, the tracker's own logic, printing.
//!
//! Feature `cpu` (on by default): the rten runtime. The build script of `masklet` does without it.

pub mod backend;
pub mod bundle;
pub mod cuda;
pub mod device;
pub mod engine;
pub mod error;
pub mod memory;
pub mod runtime;
pub mod tensor;
pub mod tensorrt;

pub use error::{Error, ErrorClass, ErrorKind};
