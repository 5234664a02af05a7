//! What can go wrong between us and TensorRT, in sentences.

use super::{Flavour, Version};
use std::path::PathBuf;

/// Why a call into TensorRT failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TensorRtError {
    /// No library was found.
    #[error(
        "no TensorRT here: {looked_for} could not be loaded ({reason}); install TensorRT (JetPack has \
         it: nvidia-jetpack), or name the folder of its libraries with MASKLET_TENSORRT_LIB"
    )]
    NotFound {
        /// The names tried.
        looked_for: String,
        /// What the loader said last.
        reason: String,
    },
    /// A file is not TensorRT.
    #[error("{library} is not a TensorRT library: it has no {symbol}")]
    NotALibrary {
        /// The library.
        library: String,
        /// What it lacks.
        symbol: &'static str,
    },
    /// A version that no table was made for.
    #[error(
        "{library} is {flavour} {version}, which this program cannot drive; it can drive {known}"
    )]
    UnknownVersion {
        /// The library.
        library: String,
        /// Its flavour.
        flavour: Flavour,
        /// Its version.
        version: Version,
        /// What is known.
        known: String,
    },
    /// Known, but built without its headers.
    #[error(
        "{library} is {flavour} {version}, but this program was built without that TensorRT's \
         headers: run tools/setup or set TENSORRT_INCLUDE_DIR, and build again"
    )]
    NoHeaders {
        /// The library.
        library: String,
        /// Its flavour.
        flavour: Flavour,
        /// Its version.
        version: Version,
    },
    /// There is no working CUDA driver.
    #[error("{0}")]
    Driver(String),
    /// The library has no ONNX parser or no builder (lean and dispatch runtimes).
    #[error("{library} cannot build engines: {reason}")]
    CannotBuild {
        /// The library.
        library: String,
        /// Why.
        reason: String,
    },
    /// The ONNX parser does not take the graph.
    #[error("TensorRT's ONNX parser refuses {graph}: {errors}")]
    Parse {
        /// Which graph.
        graph: String,
        /// Every error, with the node's name.
        errors: ParserErrors,
    },
    /// The workspace limit is too small.
    #[error(
        "{graph} needs {needed_bytes} bytes of workspace, the limit is {limit_bytes}; raise --workspace \
         to at least {}",
        mebibytes_up(*needed_bytes)
    )]
    Workspace {
        /// Which graph.
        graph: String,
        /// The limit that was set.
        limit_bytes: u64,
        /// The need that TensorRT named.
        needed_bytes: u64,
    },
    /// The workspace limit is too small for any tactic of some operation.
    #[error(
        "{graph} has an operation that TensorRT cannot do within the workspace limit of {limit_bytes} \
         bytes (it does not say what that needs); raise --workspace"
    )]
    NoTacticWithinWorkspace {
        /// Which graph.
        graph: String,
        /// The limit that was set.
        limit_bytes: u64,
    },
    /// The builder gave up.
    #[error("TensorRT cannot build {graph}: {message}")]
    Build {
        /// Which graph.
        graph: String,
        /// What TensorRT logged.
        message: String,
    },
    /// The user ended the build.
    #[error("building {graph} was interrupted; nothing was written")]
    Interrupted {
        /// Which graph.
        graph: String,
    },
    /// An option that TensorRT does not take.
    #[error("{flavour} {version} does not take {option}: {advice}")]
    Option {
        /// The library's flavour.
        flavour: Flavour,
        /// The library's version.
        version: Version,
        /// The option.
        option: String,
        /// What to do.
        advice: String,
    },
    /// TensorRT-RTX is for other GPUs.
    #[error(
        "TensorRT-RTX {version} does not run on {device}, only on compute capabilities {known}; use \
         TensorRT (libnvinfer) there"
    )]
    OtherGpu {
        /// The library's version.
        version: Version,
        /// The device with its compute capability.
        device: String,
        /// What it runs on.
        known: String,
    },
    /// A plan does not become an engine.
    #[error(
        "TensorRT cannot load the engine ({message}); it was built by another version, for another \
         device, or is damaged: build it again with masklet build --force"
    )]
    Plan {
        /// What TensorRT logged.
        message: String,
    },
    /// An object could not be had.
    #[error("TensorRT gave no {what}: {message}")]
    Refused {
        /// The object or call.
        what: &'static str,
        /// What TensorRT logged.
        message: String,
    },
    /// An engine has no tensor of that name.
    #[error("the engine has no tensor '{name}'; it has {there}")]
    NoTensor {
        /// The name asked for.
        name: String,
        /// What is there.
        there: String,
    },
    /// Scratch memory is too small.
    #[error("the engine needs {needed_bytes} bytes of scratch memory, was given {bytes}")]
    Scratch {
        /// Given.
        bytes: u64,
        /// Needed.
        needed_bytes: u64,
    },
    /// A file could not be read.
    #[error("cannot read {path}: {message}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        message: String,
    },
}

/// Whole MiB, rounded up, as `--workspace` takes it.
fn mebibytes_up(bytes: u64) -> String {
    format!("{}MiB", bytes.div_ceil(1 << 20))
}

/// One error of the ONNX parser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParserError {
    /// The node's name, or its index where it has none; empty for errors of the whole file.
    pub node: String,
    /// The node's operator.
    pub operator: String,
    /// What is wrong.
    pub message: String,
}

/// All errors of one parse.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParserErrors(pub Vec<ParserError>);

impl std::fmt::Display for ParserErrors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() {
            return f.write_str("no reason was given");
        }
        for (i, error) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("; ")?;
            }
            if !error.node.is_empty() {
                write!(f, "node '{}' ({}): ", error.node, error.operator)?;
            }
            f.write_str(&error.message)?;
        }
        Ok(())
    }
}
