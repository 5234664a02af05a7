//! What a first-time user gets wrong, looked at before it costs a run: the machine, its power mode,
//! memory, GPU, TensorRT, engines, disk and data.
//!
//! [`examine`] looks and changes nothing: it takes no GPU memory, writes no file and starts no
//! other program. Every line says what was found and, where something is to be done, the command
//! that does it. A machine without a GPU is not a fault: the CPU backend is there for it.

mod board;
mod gpu;
mod memory;
mod models;
mod report;

pub use report::{Check, DoctorReport, Outcome, Section};

use crate::machine::SystemRoot;
use std::path::PathBuf;

/// What to look at.
#[derive(Clone, Debug, Default)]
pub struct DoctorOptions {
    /// Where the machine is asked about itself.
    pub root: SystemRoot,
    /// Ordinal of the CUDA device.
    pub device: usize,
    /// Folder of engines; `None` for the usual places.
    pub engines: Option<PathBuf>,
    /// Folder of bundles; `None` for the embedded one alone.
    pub exports: Option<PathBuf>,
    /// A dataset.
    pub split_dir: Option<PathBuf>,
    /// Name of its list of videos.
    pub split_name: Option<String>,
    /// Where run folders will go.
    pub out_dir: PathBuf,
}

/// Looks at everything.
pub fn examine(options: &DoctorOptions) -> DoctorReport {
    let root = &options.root;
    let mut checks = board::checks(root);
    checks.extend(memory::checks(root));
    let (gpu, found) = gpu::checks(root, options.device);
    checks.extend(gpu);
    checks.extend(models::checks(options, &found));
    DoctorReport::new(checks, !root.is_real())
}

#[cfg(test)]
mod tests;
