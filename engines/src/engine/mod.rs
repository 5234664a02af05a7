//! Engines on disk: what identifies one, where it is kept, when it is built.
//!
//! An *engine* here is one component of a bundle compiled by TensorRT for one device: a plan file
//! and beside it a sidecar in JSON that says what the plan was made of. The [`EngineKey`] is a hash
//! over everything that decides the plan; an unchanged input finds its plan, a changed one does not.
//! `masklet build`, the build script and the backend all go through this module.
//!
//! Not here: talking to TensorRT ([`crate::tensorrt`]), printing, running engines.

mod atomic;
mod check;
mod compile;
mod error;
mod key;
mod place;
mod sidecar;
mod store;
#[cfg(test)]
mod tests;

pub use check::{ComponentState, EngineState, readiness};
pub use compile::{
    BuildHost, BuildPlan, BuildSettings, BuildWatch, Built, DEFAULT_WORKSPACE_BYTES, Planned,
    build_bundle, parse_compute_capabilities,
};
pub use error::EngineError;
pub use key::{DeviceFields, EngineKey, KeyFields, OptionFields, TargetFields, TensorRtFields};
pub use place::{ENGINES_ENV, SYSTEM_FOLDER, default_folder, search_folders};
pub use sidecar::{BuildRecord, Measured, PlanFile, Sidecar};
pub use store::{Device, EngineStore, Problem, StoredEngine, Verified, Wanted};
