//! The one trait through which the tracker runs components, whatever runs them.
//!
//! A backend owns loaded components and knows how to get at memory; it knows nothing of frames,
//! objects or banks. Each backend stands in a folder of its own and says whether this machine can
//! run it ([`availability`]). A backend allocates no device memory outside the arena once it has
//! warmed up.

use crate::bundle::{Bundle, BundleError, Component};
#[cfg(feature = "cpu")]
use crate::cpu::{CpuBackend, CpuOptions};
use crate::memory::{AccessError, PlanRow, Slab, SlabError, TensorMut, TensorRef};
use serde::Serialize;

/// The backends this library has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BackendKind {
    /// The CPU runtime: the embedded default and the fp32 reference.
    Cpu,
}

impl BackendKind {
    /// All kinds, the one that `auto` tries first coming first.
    pub const ALL: [Self; 1] = [Self::Cpu];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
        }
    }
}

impl std::fmt::Display for BackendKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether a backend can run here, and if not, why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Availability {
    /// It can.
    Available,
    /// It cannot; the reason is a sentence that says what is missing.
    Unavailable(String),
}

/// Whether `kind` can run on this machine.
pub fn availability(kind: BackendKind) -> Availability {
    match kind {
        BackendKind::Cpu if cfg!(feature = "cpu") => Availability::Available,
        BackendKind::Cpu => Availability::Unavailable(
            "this program was built without the CPU runtime (feature `cpu`)".to_owned(),
        ),
    }
}

/// What a backend says about itself, for `run.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BackendInfo {
    /// Which backend.
    pub kind: BackendKind,
    /// The runtime and its version.
    pub runtime: String,
    /// The device's name.
    pub device: String,
    /// Threads of a CPU runtime.
    pub threads: Option<usize>,
    /// What the arena does not hold, in a sentence, so that nobody takes its bytes for all.
    pub outside_arena: String,
}

/// Why a backend failed.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// The bundle's files have gone.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The slab could not be had.
    #[error(transparent)]
    Slab(#[from] SlabError),
    /// A handle was not usable as asked.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// A component did not load.
    #[error("the {kind} backend cannot load '{component}': {message}")]
    Load {
        /// The backend.
        kind: BackendKind,
        /// The component.
        component: &'static str,
        /// What the runtime said.
        message: String,
    },
    /// A component failed while it ran.
    #[error("the {kind} backend failed in '{component}': {message}")]
    Run {
        /// The backend.
        kind: BackendKind,
        /// The component.
        component: &'static str,
        /// What the runtime said.
        message: String,
    },
    /// The backend was left out when this program was built.
    #[error("this program was built without the {kind} backend")]
    NotBuiltIn {
        /// The backend.
        kind: BackendKind,
    },
    /// A bundle that the backend cannot compute.
    #[error("the {kind} backend cannot run a {precision} bundle: {advice}")]
    Precision {
        /// The backend.
        kind: BackendKind,
        /// The bundle's precision.
        precision: String,
        /// What to do.
        advice: String,
    },
}

/// Runs components on arena memory.
///
/// Calls are synchronous from the caller's point of view: when [`Backend::run`] returns, the
/// outputs may be read with [`Backend::download_f32`].
pub trait Backend {
    /// What the backend says about itself.
    fn info(&self) -> BackendInfo;

    /// Takes the one slab of a run.
    ///
    /// # Errors
    /// When the memory cannot be had.
    fn slab(&self, bytes: usize) -> Result<Slab, BackendError>;

    /// What the backend itself keeps in the process region (weights, persistent context memory).
    fn process_rows(&self) -> Vec<PlanRow>;

    /// What the backend itself needs in the frame region (one scratch block for all components).
    fn frame_rows(&self) -> Vec<PlanRow>;

    /// Runs a component. Inputs and outputs come in the order of [`Component::tensors`].
    ///
    /// # Errors
    /// When the runtime fails or a tensor does not fit.
    fn run(
        &self,
        component: Component,
        inputs: &[TensorRef<'_>],
        outputs: &mut [TensorMut<'_>],
    ) -> Result<(), BackendError>;

    /// Copies host values into arena memory; both must have the same number of elements.
    ///
    /// # Errors
    /// When type or size differ.
    fn upload_f32(&self, values: &[f32], to: TensorMut<'_>) -> Result<(), BackendError>;

    /// As [`Backend::upload_f32`], for integers.
    ///
    /// # Errors
    /// When type or size differ.
    fn upload_i32(&self, values: &[i32], to: TensorMut<'_>) -> Result<(), BackendError>;

    /// Copies arena memory out.
    ///
    /// # Errors
    /// When type or size differ.
    fn download_f32(&self, from: TensorRef<'_>, to: &mut [f32]) -> Result<(), BackendError>;

    /// Copies from tensor to tensor inside the arena.
    ///
    /// # Errors
    /// When type or size differ.
    fn copy(&self, from: TensorRef<'_>, to: TensorMut<'_>) -> Result<(), BackendError>;

    /// As [`Backend::copy`] for f32, rounding every value to bfloat16 and back: how the reference
    /// keeps memories of some families.
    ///
    /// # Errors
    /// When type or size differ.
    fn copy_through_bf16(&self, from: TensorRef<'_>, to: TensorMut<'_>)
    -> Result<(), BackendError>;

    /// Sets every byte to zero.
    ///
    /// # Errors
    /// When the memory cannot be written.
    fn zero(&self, to: TensorMut<'_>) -> Result<(), BackendError>;
}

/// Opens a backend for a bundle.
///
/// # Errors
/// When a component does not load.
pub fn open(
    kind: BackendKind,
    bundle: &Bundle,
    threads: usize,
) -> Result<Box<dyn Backend>, BackendError> {
    match kind {
        #[cfg(feature = "cpu")]
        BackendKind::Cpu => Ok(Box::new(CpuBackend::open(bundle, &CpuOptions { threads })?)),
        #[cfg(not(feature = "cpu"))]
        BackendKind::Cpu => {
            let _ = (bundle, threads);
            Err(BackendError::NotBuiltIn { kind })
        }
    }
}
