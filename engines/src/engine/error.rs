//! What can be wrong with engines, in sentences.

use crate::bundle::BundleError;
use crate::tensorrt;
use std::path::PathBuf;

/// Why an engine could not be built, found or loaded.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// TensorRT or the driver.
    #[error("{0}{advice}", advice = tensorrt::advice(.0))]
    TensorRt(#[from] tensorrt::Error),
    /// The bundle.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// A file of the engines folder.
    #[error("cannot {what} {path}: {source}")]
    Io {
        /// The verb.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is no device to build for.
    #[error(
        "{reason}; engines are built on the device that runs them. Without a GPU, TensorRT-RTX can \
         build for named GPUs: --compute-capability 8.9 (or all)"
    )]
    NoDevice {
        /// What the driver check said.
        reason: String,
    },
    /// A compute capability that does not parse.
    #[error(
        "'{text}' is not a compute capability; write 8.9, several as 8.6,8.9, or all for those of \
         TensorRT-RTX ({all})"
    )]
    Capability {
        /// What was given.
        text: String,
        /// What `all` stands for.
        all: String,
    },
    /// The network that TensorRT made is not the one that the bundle declares.
    #[error("{graph}: TensorRT reads {found}, bundle.toml declares {declared}")]
    NetworkDiffers {
        /// Model and component.
        graph: String,
        /// What the network has.
        found: String,
        /// What the manifest says.
        declared: String,
    },
    /// No engine that fits.
    #[error("no engine for {wanted} in {place}{nearest}; build it with masklet build")]
    NotBuilt {
        /// Model, component, device.
        wanted: String,
        /// The folders looked in.
        place: String,
        /// What there is instead, or nothing.
        nearest: String,
    },
    /// A plan was built by another TensorRT.
    #[error(
        "{plan} was built by {built}, this is {here}; plans do not carry over: build again with \
         masklet build"
    )]
    OtherVersion {
        /// The plan.
        plan: String,
        /// Built by.
        built: String,
        /// The library here.
        here: String,
    },
    /// A plan was built for another device.
    #[error(
        "{plan} was built for {built}, this is {here}; plans do not carry over: build again with \
         masklet build"
    )]
    OtherDevice {
        /// The plan.
        plan: String,
        /// Built for.
        built: String,
        /// The device here.
        here: String,
    },
    /// A plan was cut off.
    #[error(
        "{plan} has {found} bytes, it had {built} when it was built: it was cut off or overwritten; \
         build again with masklet build --force"
    )]
    Truncated {
        /// The plan.
        plan: String,
        /// Bytes found.
        found: u64,
        /// Bytes when built.
        built: u64,
    },
    /// A plan was changed.
    #[error(
        "{plan} is not the plan that was built (its SHA-256 differs): it was damaged or overwritten; \
         build again with masklet build --force"
    )]
    Damaged {
        /// The plan.
        plan: String,
    },
    /// A sidecar that does not parse.
    #[error("{path} does not read as an engine's sidecar: {message}; build again with --force")]
    Sidecar {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        message: String,
    },
}

impl EngineError {
    pub(super) fn io(
        what: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }
}
