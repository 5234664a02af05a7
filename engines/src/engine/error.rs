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
        "{source}; engines are built on the device that runs them{}",
        without_gpu()
    )]
    NoDevice {
        /// What the driver check reported.
        source: tensorrt::Error,
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
    /// Several engines fit and none is preferred.
    #[error(
        "several engines fit {wanted}, built with {options}; name one with --engine-options, or \
         remove the others"
    )]
    Ambiguous {
        /// Model, component, device.
        wanted: String,
        /// Their options.
        options: String,
    },
    /// Engines fit, but none was built with the named options.
    #[error("no engine for {wanted} was built with {options}, only with {existing}")]
    OtherOptions {
        /// Model, component, device.
        wanted: String,
        /// The options asked for.
        options: String,
        /// What there is.
        existing: String,
    },
    /// There is no engines folder.
    #[error("there is no engines folder {folder}; masklet build makes it")]
    NoFolder {
        /// The folder.
        folder: PathBuf,
    },
    /// Another process has held the lock for too long.
    #[error("another process has held the lock of {folder} for {seconds} s; try again later")]
    Locked {
        /// The engines folder.
        folder: PathBuf,
        /// How long it was waited for.
        seconds: u64,
    },
    /// The user ended the wait for a lock.
    #[error("interrupted while waiting for another build in {folder}")]
    Interrupted {
        /// The engines folder.
        folder: PathBuf,
    },
    /// A plan was cut off.
    #[error(
        "{plan} has {found} bytes, it had {built} when it was built: it was cut off or overwritten; \
         masklet build builds it again"
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
         masklet build builds it again"
    )]
    Damaged {
        /// The plan.
        plan: String,
    },
    /// A sidecar of another version of this program.
    #[error(
        "{path} is a record of format {found}, this version reads {known}; masklet build builds the \
         engine again"
    )]
    OtherFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The format that is read.
        known: u32,
    },
    /// A sidecar that does not parse.
    #[error("{path} is not a valid record of an engine: {message}; masklet build builds it again")]
    Sidecar {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        message: String,
    },
}

/// What a machine that can have no engines of its own can do.
fn without_gpu() -> &'static str {
    if cfg!(target_arch = "x86_64") {
        ". Without a GPU, TensorRT-RTX can build for named GPUs: --compute-capability 8.9 (or all)"
    } else {
        ""
    }
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
